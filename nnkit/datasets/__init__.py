"""Data to learn from: seeded toy sets, files, painted points; features, scaling and splits.

`dataset` says what a data set is, `synthetic` draws toy ones and `formula` those of one's own,
`table` and `csv` read files and write them, `prepare` makes training and test data, features and
standardized columns.
"""

from nnkit.datasets.csv import read_csv, read_table, to_csv
from nnkit.datasets.dataset import TASKS, Dataset, Task, from_points, from_values, random_points
from nnkit.datasets.formula import from_formula
from nnkit.datasets.prepare import (
    FEATURES,
    Standardizer,
    feature_names,
    k_folds,
    make_features,
    split,
)
from nnkit.datasets.synthetic import DATASETS, DatasetInfo, make_dataset, twospirals
from nnkit.datasets.table import CsvColumn, CsvTable

__all__ = [
    "DATASETS",
    "FEATURES",
    "TASKS",
    "CsvColumn",
    "CsvTable",
    "Dataset",
    "DatasetInfo",
    "Standardizer",
    "Task",
    "feature_names",
    "from_formula",
    "from_points",
    "from_values",
    "k_folds",
    "make_dataset",
    "make_features",
    "random_points",
    "read_csv",
    "read_table",
    "split",
    "to_csv",
    "twospirals",
]
