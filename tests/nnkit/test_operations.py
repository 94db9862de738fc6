"""Operations as functions: NumPy's values, right gradients, one dtype, errors that say the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit import Tensor, gradient_check, operations
from nnkit.errors import ShapeError

X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])
POSITIVE = np.abs(X)
ROW = np.array([0.25, 3.0, -0.75])

CASES: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "exp": (nnkit.exp, np.exp, (X,)),
    "log": (nnkit.log, np.log, (POSITIVE,)),
    "sqrt": (nnkit.sqrt, np.sqrt, (POSITIVE,)),
    "absolute": (nnkit.absolute, np.abs, (X,)),
    "sin": (nnkit.sin, np.sin, (X,)),
    "cos": (nnkit.cos, np.cos, (X,)),
    "power": (nnkit.power, np.power, (POSITIVE, ROW)),
    "power of a number": (lambda x: nnkit.power(x, 3), lambda x: x**3, (X,)),
    "clip": (lambda x: nnkit.clip(x, -1, 1), lambda x: np.clip(x, -1, 1), (X,)),
    "clip below": (lambda x: nnkit.clip(x, low=0.1), lambda x: np.clip(x, 0.1, None), (X,)),
    "maximum": (nnkit.maximum, np.maximum, (X, ROW)),
    "minimum": (nnkit.minimum, np.minimum, (X, ROW)),
    "where": (lambda a, b: nnkit.where(X > 0, a, b), lambda a, b: np.where(X > 0, a, b), (X, ROW)),
    "concatenate": (
        lambda a, b: nnkit.concatenate([a, b], axis=1),
        lambda a, b: np.concatenate([a, b], axis=1),
        (X, X[:, :1]),
    ),
    "stack": (
        lambda a, b: nnkit.stack([a, b], axis=-1),
        lambda a, b: np.stack([a, b], axis=-1),
        (X, X + 1),
    ),
}


def test_every_function_has_a_case() -> None:
    assert {name.split()[0] for name in CASES} == set(operations.__all__)
    assert set(operations.__all__) <= set(nnkit.__all__)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_numpys(name: str, dtype: Any) -> None:
    ours, theirs, inputs = CASES[name]
    arrays = [np.asarray(x, dtype) for x in inputs]
    result = ours(*map(Tensor, arrays))
    assert isinstance(result, Tensor) and result.dtype == dtype
    np.testing.assert_allclose(result.data, theirs(*arrays), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_right(name: str) -> None:
    ours, _, inputs = CASES[name]
    gradient_check(ours, *inputs).assert_ok()


@pytest.mark.parametrize("function", [nnkit.maximum, nnkit.minimum])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_take_the_dtype_of_the_tensor_beside_them(function: Any, dtype: Any) -> None:
    x = Tensor(X.astype(dtype))
    for result in (function(x, 0.0), function(0.0, x), nnkit.where(X > 0, x, 0.0)):
        assert result.dtype == dtype


@pytest.mark.parametrize("condition", [True, [1, 0, 2], np.array([True, False, True])])
def test_where_takes_anything_as_its_condition(condition: Any) -> None:
    result = nnkit.where(condition, ROW, 9.0)
    np.testing.assert_array_equal(result.data, np.where(condition, ROW, 9.0))
    as_tensor = nnkit.where(Tensor(np.asarray(condition)), ROW, 9.0)
    np.testing.assert_array_equal(as_tensor.data, result.data)


def test_where_keeps_nan_of_the_other_side_out_of_the_gradient() -> None:
    x = Tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        nnkit.where(x > 0, nnkit.sqrt(nnkit.maximum(x, 0.5)), 0.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.25]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: nnkit.concatenate(Tensor(X)), "concatenate takes a list of tensors"),
        (lambda: nnkit.concatenate([]), "at least one"),
        (lambda: nnkit.concatenate([X, ROW]), "concatenate cannot take shapes"),
        (lambda: nnkit.concatenate([X, X], axis=2), "axis 2 is out of bounds"),
        (lambda: nnkit.stack(3.0), "stack takes a list of tensors"),
        (lambda: nnkit.stack([X, ROW]), r"one shape, got \(2, 3\), \(3,\)"),
        (lambda: nnkit.maximum(X, X[:, :2]), "maximum cannot take shapes"),
        (lambda: nnkit.where(X > 0, X, X[:, :2]), "where cannot take shapes"),
    ],
)
def test_errors_say_what_was_expected(wrong: Any, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        wrong()
