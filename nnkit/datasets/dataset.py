"""One data set as plain arrays, checked once when it is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnkit.errors import ConfigError, DataError

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")

MAX_CLASSES = 50


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples as rows, with what is needed to name and draw them.

    The arrays are copied, converted and made read-only, so that one data set can serve many
    users. Numbers are finite, and there is at least one sample; a part of a split may be that
    small. What a network can *learn from* needs more: two samples and two classes (or two
    different targets), which `from_points`, `from_values` and `CsvTable.to_dataset` ask for.

    Args:
        inputs: (n, d) numbers, kept as float32; (n,) is taken as (n, 1).
        targets: (n,) or (n, 1): class labels 0 … classes-1, kept as int64, or for regression
            numbers, kept as float32.
        task: "classification" or "regression".
        input_names: one a column; x1, x2, … when left out.
        class_names: one a class, at least two; "0", "1", … when left out. Empty in regression.
        target_name: "label" or "target" when left out.
        notes: sentences about the data that its user should read (rows left out …).

    Raises:
        DataError: empty, not finite, shapes that do not fit, labels out of range, bad names.
        ConfigError: an unknown task.

    >>> data = Dataset([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], "classification")
    >>> data
    Dataset(4 samples, inputs x1, x2, classes 0, 1)
    >>> len(data), data.classes, data.inputs.dtype, data.targets.dtype
    (4, 2, dtype('float32'), dtype('int64'))
    """

    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    task: Task
    input_names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    target_name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ConfigError("task", f"must be one of {', '.join(TASKS)}, got {self.task!r}")
        inputs = _inputs(self.inputs)
        targets: npt.NDArray[Any]
        if self.task == "classification":
            targets = _labels(self.targets, len(inputs))
            names = tuple(self.class_names) or tuple(
                str(label) for label in range(max(2, int(targets.max()) + 1))
            )
            if len(names) < 2:
                raise DataError(f"classification needs at least two classes, got {names}")
            if targets.max() >= len(names):
                raise DataError(f"labels must be below {len(names)}, got {targets.max()}")
            _check_names("class", names)
            default = "label"
        else:
            targets = _numbers("targets", self.targets, len(inputs))
            names, default = (), "target"
            if self.class_names:
                raise DataError("regression has no classes: leave class_names out")
        input_names = tuple(self.input_names) or tuple(
            f"x{column + 1}" for column in range(inputs.shape[1])
        )
        if len(input_names) != inputs.shape[1]:
            raise DataError(f"{inputs.shape[1]} inputs but {len(input_names)} input names")
        target_name = self.target_name or default
        _check_names("column", (*input_names, target_name))
        for array in (inputs, targets):
            array.setflags(write=False)
        checked = {
            "inputs": inputs,
            "targets": targets,
            "input_names": input_names,
            "class_names": names,
            "target_name": target_name,
            "notes": tuple(self.notes),
        }
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @property
    def classes(self) -> int:
        """Number of classes; 0 in regression."""
        return len(self.class_names)

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        parts = f"{len(self)} samples, inputs {', '.join(self.input_names)}"
        if self.classes:
            return f"Dataset({parts}, classes {', '.join(self.class_names)})"
        return f"Dataset({parts}, target {self.target_name})"

    def subset(self, rows: npt.ArrayLike) -> Dataset:
        """The chosen rows (indices or a mask) with the same names and classes.

        >>> Dataset([[1.0], [2.0], [3.0]], [2, 4, 6], "regression").subset([2, 0]).targets
        array([6., 2.], dtype=float32)
        """
        index = np.asarray(rows)
        return dataclasses.replace(self, inputs=self.inputs[index], targets=self.targets[index])


def from_points(
    points: npt.ArrayLike, labels: npt.ArrayLike, class_names: Sequence[str] = ()
) -> Dataset:
    """Classification data from given points, as painted on the plane.

    Args:
        points: (n, d) coordinates.
        labels: (n,) class of each point, 0, 1, …
        class_names: names of all classes that can occur; "0", "1", … when left out.

    Raises:
        DataError: fewer than two points, points of one class only, or what `Dataset` refuses.

    >>> from_points([(0.1, 0.2), (-0.5, 0.3)], [0, 1])
    Dataset(2 samples, inputs x1, x2, classes 0, 1)
    """
    return require_learnable(
        Dataset(
            np.asarray(points),
            np.asarray(labels),
            "classification",
            class_names=tuple(class_names),
        )
    )


def from_values(
    points: npt.ArrayLike, values: npt.ArrayLike, task: Task, threshold: float = 0.0
) -> Dataset:
    """Data from a function's values at given points: as targets, or cut at a threshold.

    In classification the label is 1 where value > threshold and 0 elsewhere. Points where the
    value is not finite (1/0, the root of a negative number) are left out, and a note says so.

    Args:
        points: (n, d) coordinates.
        values: (n,) value of the function at each point.

    Raises:
        DataError: values of another shape, or nothing to learn: fewer than two points left,
            one class only, the same value everywhere.

    >>> points = random_points(100, seed=0)
    >>> data = from_values(points, points[:, 0] * points[:, 1], "classification")
    >>> [int(count) for count in np.bincount(data.targets)]
    [56, 44]
    """
    rows = _as_array("points", points)
    results = _as_array("values", values).astype(np.float64)
    if rows.ndim == 0 or len(rows) == 0 or results.shape != (len(rows),):
        raise DataError(f"points of shape {rows.shape} cannot have values {results.shape}")
    # float32 is what is kept, so a value too large for it counts as not finite.
    finite = np.abs(results) <= np.finfo(np.float32).max
    notes: tuple[str, ...] = ()
    if not finite.any():
        raise DataError("the function has no finite value at any of the points")
    if not finite.all():
        notes = (f"{(~finite).sum()} of {len(rows)} points were left out: no finite value there.",)
    if task == "classification":
        results = (results > threshold).astype(np.int64)
    return require_learnable(Dataset(rows[finite], results[finite], task, notes=notes))


def random_points(samples: int, dimensions: int = 2, seed: int = 0) -> npt.NDArray[np.float32]:
    """(samples, dimensions) points, uniform over [-1, 1] in each coordinate.

    >>> random_points(3, dimensions=1, seed=1).shape
    (3, 1)
    """
    points = np.random.default_rng(seed).uniform(-1.0, 1.0, (samples, dimensions))
    return points.astype(np.float32)


def require_learnable(dataset: Dataset) -> Dataset:
    """Returns the data set itself if there is something to learn in it.

    Raises:
        DataError: one sample, one class only, or the same target everywhere.

    >>> require_learnable(Dataset([[1.0], [2.0]], [0, 0], "classification"))
    Traceback (most recent call last):
    nnkit.errors.DataError: all 2 samples belong to one class (0): at least two classes are needed
    """
    if len(dataset) < 2:
        raise DataError(
            "there is one sample only: at least two are needed, one to train on and one to test"
        )
    first = dataset.targets[0]
    if (dataset.targets == first).all():
        if dataset.task == "classification":
            raise DataError(
                f"all {len(dataset)} samples belong to one class"
                f" ({dataset.class_names[first]}): at least two classes are needed"
            )
        raise DataError(f"the target is {first:g} in every row: there is nothing to learn")
    return dataset


def _inputs(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = _as_array("inputs", values)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"inputs must be (samples, inputs), at least one each, got {array.shape}")
    return _finite_float32("inputs", array)


def _numbers(what: str, values: npt.ArrayLike, samples: int) -> npt.NDArray[np.float32]:
    return _finite_float32(what, _column(what, values, samples))


def _labels(values: npt.ArrayLike, samples: int) -> npt.NDArray[np.int64]:
    array = _column("labels", values, samples)
    whole = np.isfinite(array) & (array >= 0) & (array == np.floor(array))
    if not whole.all():
        row = int(np.argmin(whole))
        raise DataError(f"labels must be 0, 1, 2 …, got {array[row]} in row {row}")
    if array.max() >= MAX_CLASSES:
        raise DataError(f"there can be at most {MAX_CLASSES} classes, got label {array.max()}")
    return array.astype(np.int64)


def _column(what: str, values: npt.ArrayLike, samples: int) -> npt.NDArray[Any]:
    array = _as_array(what, values)
    if array.shape not in ((samples,), (samples, 1)):
        raise DataError(f"{samples} samples need {what} of shape ({samples},), got {array.shape}")
    return array.reshape(samples)


def _as_array(what: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what} must be a regular array of numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers, got {array.dtype}")
    return array


def _finite_float32(what: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float32, order="C")
    finite = np.isfinite(result)
    if not finite.all():
        place = tuple(int(index) for index in np.argwhere(~finite)[0])
        where = f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else "")
        raise DataError(
            f"{what} must be finite and below 3.4e38, got {array[place]} in {where} (from 0)"
        )
    return result


def _check_names(what: str, names: tuple[str, ...]) -> None:
    seen = set()
    for name in names:
        if not isinstance(name, str) or not name or name != " ".join(name.split()):
            raise DataError(f"a {what} name must be a line of text, got {name!r}")
        if name in seen:
            raise DataError(f"two {what} names are the same: {name!r}")
        seen.add(name)
