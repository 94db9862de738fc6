"""Reductions, and operations that move values without changing them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Array, Function, Gradients, Kernels, is_basic_index

Axis = int | tuple[int, ...] | None


def as_axis(axis: Any) -> Axis:
    """An axis as given; a list of them as the tuple that NumPy takes."""
    return tuple(axis) if isinstance(axis, list) else axis


def spread(grad: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """A view of `grad` stretched back to the `shape` that was reduced over `axis`."""
    if grad.ndim == 0:  # the usual end of a loss, and a tenth of the time of broadcast_to
        grad = np.asarray(grad)
        return np.ndarray(shape, grad.dtype, grad, 0, (0,) * len(shape))
    if axis is not None and not keepdims:
        axes = axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(a % len(shape) for a in axes)
        grad = grad.reshape([1 if i in axes else n for i, n in enumerate(shape)])
    return np.broadcast_to(grad, shape)


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements a reduction of `shape` over `axis` takes together."""
    if axis is None:
        return math.prod(shape)
    return math.prod(shape[a] for a in (axis if isinstance(axis, tuple) else (axis,)))


class Sum(Function):
    passes_gradient_on = True
    rule = "every summand receives the gradient of the sum"

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = as_axis(axis), keepdims

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.sum(x, axis=self.axis, keepdims=self.keepdims), x.shape

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (spread(grad, saved, self.axis, self.keepdims),)


class Mean(Sum):
    rule = "every element receives the gradient of the mean divided by their number"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        mean = k.mean(x, axis=self.axis, keepdims=self.keepdims)
        return mean, (x.shape, float(count(x.shape, self.axis)))

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        shape, n = saved
        return (spread(k.divide(grad, n), shape, self.axis, self.keepdims),)


class Max(Function):
    """The largest element along an axis; ties share the gradient in equal parts."""

    rule = "the gradient goes to the largest element (in equal parts at a tie)"

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = as_axis(axis), keepdims

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.max(x, axis=self.axis, keepdims=self.keepdims)
        return y, (x, y)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        x, y = saved
        largest = spread(np.asarray(y), x.shape, self.axis, self.keepdims)
        share = k.indicator(np.equal, x, largest)
        ties = k.sum(share, axis=self.axis, keepdims=True)
        share = k.divide(share, ties, out=share)
        spread_grad = spread(grad, x.shape, self.axis, self.keepdims)
        return (k.multiply(share, spread_grad, out=share),)


class Reshape(Function):
    passes_gradient_on = True
    rule = "the gradient is given the old shape"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.reshape(x, shape=self.shape), x.shape

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.reshape(grad, shape=saved),)


class Transpose(Function):
    passes_gradient_on = True
    rule = "the gradient's axes are put back"

    def __init__(self, axes: tuple[int, ...] | None = None) -> None:
        self.axes = axes

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return x.transpose(self.axes), None

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        if self.axes is None:
            return (grad.transpose(),)
        order = np.argsort([axis % grad.ndim for axis in self.axes])
        return (grad.transpose(tuple(int(i) for i in order)),)


class Index(Function):
    """x[index] for integers, slices, masks and integer arrays."""

    rule = "the gradient goes back to the places read; a place read twice receives both"

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        if is_basic_index(self.index):
            parts = self.index if isinstance(self.index, tuple) else (self.index,)
            # With `...` a single element is a view too, and not a NumPy scalar.
            return x[parts if Ellipsis in parts else (*parts, ...)], x.shape
        return k.gather(x, index=self.index), x.shape

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.scatter(grad, index=self.index, shape=saved),)


class Concatenate(Function):
    passes_gradient_on = True
    rule = "each part receives its slice of the gradient"

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def forward(self, k: Kernels, *inputs: Array) -> tuple[Array, Any]:
        joined = k.concatenate(*inputs, axis=self.axis)
        return joined, [x.shape[self.axis] for x in inputs]

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        parts = np.split(grad, np.cumsum(saved)[:-1], axis=self.axis)
        return [part if need else None for part, need in zip(parts, needs, strict=True)]


class Stack(Function):
    passes_gradient_on = True
    rule = "each part receives its slice of the gradient"

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def forward(self, k: Kernels, *inputs: Array) -> tuple[Array, Any]:
        parts = [np.expand_dims(x, self.axis) for x in inputs]
        return k.concatenate(*parts, axis=self.axis), None

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        parts = np.moveaxis(grad, self.axis, 0)
        return [parts[i, ...] if need else None for i, need in enumerate(needs)]
