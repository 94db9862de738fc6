"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from .base import Array, Function, Gradients, Kernels, unbroadcast
from .memory import UNSHARED, over_both

#: Elements of a matrix that may be kept for the next call.
KEPT = 16_384


class MatMul(Function):
    """a @ b for matrices, stacks of matrices and vectors, as `numpy.matmul`."""

    rule = "dA = dY·Bᵀ, dB = Aᵀ·dY"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        return k.matmul(a, b), (a, b)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a, b = saved
        # A vector takes part as a matrix of one row (left) or one column (right).
        left = a[None, :] if a.ndim == 1 else a
        right = b[:, None] if b.ndim == 1 else b
        if a.ndim == 1:
            grad = np.expand_dims(grad, -1 if b.ndim == 1 else -2)
        if b.ndim == 1:
            grad = np.expand_dims(grad, -1)
        results: list[Array | None] = [None, None]
        if needs[0]:
            d_left = k.matmul(grad, np.swapaxes(right, -1, -2))
            results[0] = k.reshape(unbroadcast(k, d_left, left.shape), shape=a.shape)
        if needs[1]:
            d_right = k.matmul(np.swapaxes(left, -1, -2), grad)
            results[1] = k.reshape(unbroadcast(k, d_right, right.shape), shape=b.shape)
        return results


class Linear(Function):
    """x Wᵀ + b for x (n, in), W (out, in), b (out,), all of one dtype.

    The bias is one more column beside W, met by a row of ones below xᵀ: a single product gives
    the output, and a single product gives the gradients of weight and bias together. In memory
    the output lies unit by unit (its transpose is C-ordered), which is what BLAS writes fastest.

    Keep one instance a layer: it remembers the view over the layer's weight and bias, and the
    matrix with the ones, which the next call writes its inputs into if it can.
    """

    rule = "dx = dY·W, dW = dYᵀ·x, db = the sum of dY over the examples"

    def __init__(self) -> None:
        self._joined: tuple[Any, Any, Any, Any] = (None, None, None, None)
        self._kept: tuple[Any, tuple[int, ...]] = (None, ())

    def __getstate__(self) -> dict[str, Any]:
        return vars(Linear())  # a copy of a view is no view

    def forward(self, k: Kernels, x: Array, weight: Array, bias: Array) -> tuple[Array, Any]:
        known_weight, known_bias, both, across = self._joined
        if known_weight is not weight or known_bias is not bias:
            both, across = self._join(k, weight, bias)
        tall, shape = self._kept
        # Known to nobody else, it is needed by no graph.
        if getrefcount(tall) == UNSHARED and shape == x.shape and not k.recording:
            tall[:-1] = x.T
        else:
            tall = k.with_ones(x)
            self._kept = (None, ()) if k.recording or tall.size > KEPT else (tall, x.shape)
        return k.dot(both, tall).T, (tall, across)

    def _join(self, k: Kernels, weight: Array, bias: Array) -> tuple[Array, Array]:
        """W and b side by side, (out, in + 1): a view where they are neighbours; and Wᵀ."""
        self._kept = (None, ())  # perhaps of another dtype
        across = weight.T
        view = over_both(across, bias)
        if view is None:
            return k.concatenate(across, bias[None], axis=0).T, across
        self._joined = (weight, bias, view.T, across)
        return view.T, across

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        tall, across = saved
        for_x, for_weight, for_bias = needs
        dx = k.dot(across, grad.T).T if for_x else None
        if not (for_weight or for_bias):
            return dx, None, None
        both = k.dot(tall, grad)
        return dx, both[:-1].T if for_weight else None, both[-1] if for_bias else None


class LinearWithoutBias(Function):
    """x Wᵀ for x (n, in) and W (out, in)."""

    rule = "dx = dY·W, dW = dYᵀ·x"

    @property
    def name(self) -> str:
        return "linear"

    def forward(self, k: Kernels, x: Array, weight: Array) -> tuple[Array, Any]:
        return k.dot(weight, x.T).T, (x, weight)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        x, weight = saved
        return (
            k.dot(weight.T, grad.T).T if needs[0] else None,
            k.dot(x.T, grad).T if needs[1] else None,
        )
