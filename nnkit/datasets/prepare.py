"""From a data set to what a network is given: parts to train and test on, features, scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nnkit.datasets.dataset import Dataset
from nnkit.errors import ConfigError, DataError, ShapeError
from nnkit.settings import number, whole_number

Column = npt.NDArray[Any]

_FEATURES: Mapping[str, tuple[int, Callable[[Sequence[Column]], Column]]] = MappingProxyType(
    {  # name: inputs needed, rule
        "x1": (1, lambda x: x[0]),
        "x2": (2, lambda x: x[1]),
        "x1^2": (1, lambda x: x[0] * x[0]),
        "x2^2": (2, lambda x: x[1] * x[1]),
        "x1*x2": (2, lambda x: x[0] * x[1]),
        "sin(x1)": (1, lambda x: np.sin(np.pi * x[0])),
        "sin(x2)": (2, lambda x: np.sin(np.pi * x[1])),
    }
)
FEATURES: tuple[str, ...] = tuple(_FEATURES)


def feature_names(dimensions: int) -> tuple[str, ...]:
    """The features that can be made of so many inputs.

    One input has no x2; more than two are taken as they are, x1, x2, x3 …

    >>> feature_names(1)
    ('x1', 'x1^2', 'sin(x1)')
    >>> feature_names(4)
    ('x1', 'x2', 'x3', 'x4')
    """
    if dimensions > 2:
        return tuple(f"x{column + 1}" for column in range(dimensions))
    return tuple(name for name, (needed, _) in _FEATURES.items() if needed <= dimensions)


def make_features(inputs: npt.ArrayLike, names: Sequence[str]) -> npt.NDArray[Any]:
    """The columns a network is given, computed from the inputs.

    x1, x2, their squares, x1*x2, and sin(x1) = sin(π·x1), sin(x2) = sin(π·x2): one whole wave
    over [-1, 1], where the data lie. (A plain sin(x) is almost a straight line there.)

    Args:
        inputs: (n, d); (n,) is taken as (n, 1).
        names: from `feature_names(d)`, at least one.

    Returns:
        (n, len(names)), float32 unless the inputs are float64.

    Raises:
        ConfigError: no name, a name twice, or one that cannot be made of d inputs.
        ShapeError: inputs that are not (n, d).

    >>> make_features([[0.5, -2.0]], ["x1*x2", "x2^2", "sin(x1)"])
    array([[-1.,  4.,  1.]])
    """
    array = np.asarray(inputs)
    if array.dtype.kind != "f":
        array = array.astype(np.float32 if array.dtype.kind in "biu" else np.float64)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2:
        raise ShapeError(f"inputs must be (samples, inputs), got {array.shape}")
    dimensions = array.shape[1]
    allowed = feature_names(dimensions)
    if not names or len(set(names)) != len(names):
        raise ConfigError("features", f"must name at least one, each once, got {list(names)}")
    for name in names:
        if name not in allowed:
            known = ", ".join(allowed)
            raise ConfigError(
                "features", f"{name!r} cannot be made of {dimensions} input(s); use {known}"
            )
    if dimensions > 2:
        return array[:, [allowed.index(name) for name in names]]
    columns = list(array.T)
    return np.column_stack([_FEATURES[name][1](columns) for name in names])


class Standardizer:
    """Shifts and scales each column to mean 0 and standard deviation 1: (x - mean) / scale.

    Fit it on training data only, so that nothing of the test data leaks in. A column that is
    the same in every row gets scale 1 and becomes 0. `mean` and `scale` are float64 (d,) and
    can be given instead of fitted, as when a stored network is loaded.

    >>> scaler = Standardizer().fit([[1.0, 5.0], [3.0, 5.0]])
    >>> scaler.mean, scaler.scale
    (array([2., 5.]), array([1., 1.]))
    >>> scaler.transform([[3.0, 6.0]])
    array([[1., 1.]])
    >>> scaler.inverse([[1.0, 1.0]])
    array([[3., 6.]])
    """

    def __init__(
        self, mean: npt.ArrayLike | None = None, scale: npt.ArrayLike | None = None
    ) -> None:
        self._fitted: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None
        if mean is None and scale is None:
            return
        if mean is None or scale is None:
            raise ConfigError("scale", "mean and scale are given together or not at all")
        middle, width = np.array(mean, np.float64), np.array(scale, np.float64)
        if middle.ndim != 1 or middle.shape != width.shape:
            raise ShapeError(
                f"mean and scale must both be (d,), got {middle.shape} and {width.shape}"
            )
        if not (np.isfinite([middle, width]).all() and (width > 0).all()):
            raise DataError("mean must be finite, and scale finite and above 0")
        self._fitted = middle, width

    @property
    def mean(self) -> npt.NDArray[Any]:
        """What is taken away from each column."""
        return self._of_fit()[0]

    @property
    def scale(self) -> npt.NDArray[Any]:
        """What each column is divided by."""
        return self._of_fit()[1]

    def fit(self, inputs: npt.ArrayLike) -> Standardizer:
        """Takes mean and (population) standard deviation of each column of (n, d) inputs.

        Raises:
            ShapeError: not (n, d) with at least one row.
            DataError: values that are not finite, or too large to square in float64.
        """
        array = np.asarray(inputs, dtype=np.float64)
        if array.ndim != 2 or len(array) == 0:
            raise ShapeError(f"inputs must be (samples, inputs), got {array.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = array.mean(axis=0), array.std(axis=0)
        if not np.isfinite([mean, scale]).all():
            raise DataError("inputs must be finite, and below 1e150, to be standardized")
        # Rounding can give a constant column a tiny deviation, so equality decides. A deviation
        # that is 0 all the same belongs to values that differ too little to be scaled.
        scale[(array == array[0]).all(axis=0) | (scale == 0.0)] = 1.0
        self._fitted = mean, scale
        return self

    def transform(self, inputs: npt.ArrayLike) -> npt.NDArray[Any]:
        """(x - mean) / scale, computed in float64; float32 inputs give a float32 result."""
        array, mean, scale = self._fitting(inputs)
        scaled: npt.NDArray[Any] = (array - mean) / scale
        return scaled.astype(array.dtype, copy=False)

    def inverse(self, inputs: npt.ArrayLike) -> npt.NDArray[Any]:
        """x · scale + mean: undoes `transform`."""
        array, mean, scale = self._fitting(inputs)
        back: npt.NDArray[Any] = array * scale + mean
        return back.astype(array.dtype, copy=False)

    def _of_fit(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if self._fitted is None:
            raise DataError("the standardizer has no mean and scale yet: call fit first")
        return self._fitted

    def _fitting(
        self, inputs: npt.ArrayLike
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        mean, scale = self._of_fit()
        array = np.asarray(inputs)
        if array.dtype.kind != "f":
            array = array.astype(np.float64)
        if array.ndim != 2 or array.shape[1] != len(mean):
            raise ShapeError(f"inputs must be (samples, {len(mean)}), got {array.shape}")
        return array, mean, scale


def split(
    dataset: Dataset, train_fraction: float = 0.8, seed: int | np.random.Generator = 0
) -> tuple[Dataset, Dataset]:
    """Splits at random into (train, test), with round(train_fraction · n) rows to train on.

    Neither side is ever empty. In classification the split is stratified: each class is
    spread over both sides in proportion, and a class of two or more samples is on both sides
    if these have room for one of each class. A class of a single sample goes to train.

    Args:
        train_fraction: above 0 and below 1.
        seed: a number, or a `numpy.random.Generator` to draw from.

    Raises:
        ConfigError: a fraction out of range.
        DataError: a data set of one sample.

    >>> data = Dataset([[0.0]] * 8, [0, 0, 0, 0, 0, 0, 1, 1], "classification")
    >>> train, test = split(data, 0.5)
    >>> train.targets, test.targets
    (array([0, 0, 0, 1]), array([0, 0, 0, 1]))
    """
    number("train_fraction", train_fraction, 0, 1, "()")
    n = len(dataset)
    if n < 2:
        raise DataError("one sample cannot be split into train and test: at least 2 are needed")
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    # A row's place within its class, from 0 (first) to 1 (last): the rows of smallest place
    # are a sample of every class in proportion.
    place = np.empty(n)
    for label in range(max(1, dataset.classes)):
        members = order[dataset.targets[order] == label] if dataset.classes else order
        place[members] = np.linspace(0.0, 1.0, len(members))
    order = order[np.argsort(place[order], kind="stable")]
    n_train = min(max(round(train_fraction * n), 1), n - 1)
    return dataset.subset(np.sort(order[:n_train])), dataset.subset(np.sort(order[n_train:]))


def k_folds(
    dataset: Dataset, folds: int = 5, seed: int | np.random.Generator = 0
) -> Iterator[tuple[Dataset, Dataset]]:
    """Splits into (train, test) `folds` times, each row being tested on exactly once.

    Stratified in classification: a class has about the same share in every fold.

    Raises:
        ConfigError: fewer than 2 folds, or more folds than samples.

    >>> data = Dataset([[0.0]] * 6, [0, 0, 0, 0, 1, 1], "classification")
    >>> [test.targets.tolist() for train, test in k_folds(data, 2)]
    [[0, 0, 1], [0, 0, 1]]
    """
    n = len(dataset)
    folds = whole_number("folds", folds, 2, n, note=", the number of samples", floats=False)
    order = np.random.default_rng(seed).permutation(n)
    if dataset.classes:
        order = order[np.argsort(dataset.targets[order], kind="stable")]
    # The generator of folds apart from the checks, so that these come at the call.
    return _fold_by_fold(dataset, order, folds)


def _fold_by_fold(
    dataset: Dataset, order: npt.NDArray[np.int64], folds: int
) -> Iterator[tuple[Dataset, Dataset]]:
    for fold in range(folds):
        tested = np.zeros(len(dataset), dtype=bool)
        tested[order[fold::folds]] = True
        yield dataset.subset(~tested), dataset.subset(tested)
