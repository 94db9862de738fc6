"""Operations on tensors as functions: `exp(x)`, `where(mask, a, b)`, `concatenate([a, b])`.

They take tensors, arrays and numbers and broadcast as NumPy does. Arithmetic is spelled with
operators (`x + y`, `x @ y`, `x ** 2`), reductions and shapes with methods (`x.sum(axis=0)`,
`x.reshape(2, 3)`), activations live in `nnkit.modules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import functions as F
from .errors import ShapeError
from .tensor import Tensor, _like, apply, as_tensor

__all__ = [
    "absolute", "clip", "concatenate", "cos", "exp", "log", "maximum", "minimum", "power", "sin",
    "sqrt", "stack", "where",
]  # fmt: skip


def exp(x: Any) -> Tensor:
    """eˣ.

    >>> exp([0.0, 1.0])
    Tensor([1.    , 2.7183])
    """
    return as_tensor(x).exp()


def log(x: Any) -> Tensor:
    """The natural logarithm; -inf at 0 and NaN below, as in NumPy.

    >>> log([1.0, 2.0])
    Tensor([0.    , 0.6931])
    """
    return as_tensor(x).log()


def sqrt(x: Any) -> Tensor:
    """√x, whose slope at 0 is infinite.

    >>> sqrt([4.0])
    Tensor([2.])
    """
    return as_tensor(x).sqrt()


def absolute(x: Any) -> Tensor:
    """|x|, with slope 0 at 0; also spelled `abs(x)`.

    >>> absolute([-2.0, 3.0])
    Tensor([2., 3.])
    """
    return as_tensor(x).abs()


def sin(x: Any) -> Tensor:
    """sin x, x in radians.

    >>> sin([0.0])
    Tensor([0.])
    """
    return apply(F.Sin(), x)


def cos(x: Any) -> Tensor:
    """cos x, x in radians.

    >>> cos([0.0])
    Tensor([1.])
    """
    return apply(F.Cos(), x)


def power(x: Any, exponent: Any) -> Tensor:
    """xᵖ, also spelled `x ** p`; the exponent may be a tensor where x is positive.

    >>> power([2.0, 3.0], 2)
    Tensor([4., 9.])
    """
    return as_tensor(x).__pow__(exponent)


def clip(x: Any, low: float | None = None, high: float | None = None) -> Tensor:
    """Values limited to [low, high]; no gradient flows where a limit cut.

    >>> clip([-2.0, 0.5, 2.0], -1, 1)
    Tensor([-1. ,  0.5,  1. ])
    """
    return as_tensor(x).clip(low, high)


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two, element by element; a tie shares the gradient half and half.

    >>> maximum([1.0, 5.0], 3.0)
    Tensor([3., 5.])
    """
    return apply(F.Maximum(), *_pair(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two, element by element; a tie shares the gradient half and half.

    >>> minimum([1.0, 5.0], 3.0)
    Tensor([1., 3.])
    """
    return apply(F.Minimum(), *_pair(a, b))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """`a` where the condition holds (is not zero), else `b`; the condition gets no gradient.

    >>> x = Tensor([-1.0, 2.0])
    >>> where(x > 0, x, 0.0)
    Tensor([0., 2.])
    """
    chosen = condition if isinstance(condition, Tensor) else _mask(condition)
    return apply(F.Where(), chosen, *_pair(a, b))


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along an axis that they have; the other sizes must agree.

    >>> concatenate([[1.0, 2.0], [3.0]])
    Tensor([1., 2., 3.])
    """
    return apply(F.Concatenate(axis), *_several("concatenate", tensors))


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape put side by side along a new axis.

    >>> stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    Tensor([[1., 3.],
            [2., 4.]])
    """
    parts = _several("stack", tensors)
    if len({t.shape for t in parts}) > 1:
        shapes = ", ".join(str(t.shape) for t in parts)
        raise ShapeError(f"stack needs tensors of one shape, got {shapes}")
    return apply(F.Stack(axis), *parts)


def _mask(condition: Any) -> Tensor:
    return Tensor._of(np.asarray(condition, dtype=bool))


def _pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands as tensors; plain numbers take the dtype of the tensor beside them."""
    if isinstance(a, Tensor):
        return a, _like(b, a)
    second = as_tensor(b)
    return _like(a, second), second


def _several(name: str, tensors: Sequence[Any]) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (Sequence, np.ndarray)):
        raise ShapeError(f"{name} takes a list of tensors, such as {name}([a, b])")
    if not len(tensors):
        raise ShapeError(f"{name} needs at least one tensor")
    return [as_tensor(t) for t in tensors]
