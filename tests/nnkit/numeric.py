"""What several test files share: central differences, memory orders, comparing bit for bit."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: The step of a central difference: its error is of the order of its square, 4e-11.
STEP = 6e-6

#: Ways to lay the same numbers out in memory.
LAYOUTS = ("C", "F", "strided", "reversed", "inside")


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """A fresh array of these values in C or Fortran order, or as a view of a larger array."""
    values = np.asarray(values)
    if layout in ("C", "F"):
        return np.array(values, order=layout)
    if layout == "reversed":
        turned = (slice(None, None, -1),) * values.ndim
        return np.array(values[turned], order="C")[turned]
    step = 2 if layout == "strided" else 1
    larger = np.full([step * n + 1 for n in values.shape], 7, values.dtype)
    view = larger[tuple(slice(1, None, step) for _ in values.shape)]
    view = view if values.ndim else larger
    view[...] = values
    return view


def central_differences(
    function: Callable[..., np.ndarray], inputs: Sequence[np.ndarray], which: int, grad: np.ndarray
) -> np.ndarray:
    """d(grad · function(*inputs)) / d(inputs[which]), element by element, in float64."""
    result = np.zeros(inputs[which].shape)
    for index in np.ndindex(inputs[which].shape):
        sides = []
        for step in (STEP, -STEP):
            moved = [np.array(x) for x in inputs]
            moved[which][index] += step
            sides.append(function(*moved))
        result[index] = np.sum(grad * (sides[0] - sides[1])) / (2 * STEP)
    return result


def arrays_in(thing: Any) -> list[np.ndarray]:
    """All arrays in nested tuples and lists."""
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, (tuple, list)):
        return [array for part in thing for array in arrays_in(part)]
    return []


def assert_same_bits(left: Any, right: Any, where: str = "") -> None:
    """The same dtype, shape and values, NaN equal to NaN; 0.0 and -0.0 count as equal."""
    left, right = np.asarray(left), np.asarray(right)
    assert left.dtype == right.dtype, f"{where}: dtypes {left.dtype} and {right.dtype}"
    assert left.shape == right.shape, f"{where}: shapes {left.shape} and {right.shape}"
    if not np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
        raise AssertionError(f"{where}: these differ\n{left}\n{right}")
