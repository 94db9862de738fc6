"""Normalization and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Array, Function, Gradients, Kernels


class Normalize(Function):
    """(x - mean) / √(variance + eps) over the given axes; the variance is the biased one."""

    rule = "dx = (dy - mean(dy) - y·mean(dy·y)) / std"

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        self.axes, self.eps = axes, float(eps)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        size = float(np.prod([x.shape[a] for a in self.axes]))
        mean = k.divide(k.sum(x, axis=self.axes, keepdims=True), size)
        centred = k.subtract(x, mean)
        variance = k.divide(k.sum(k.square(centred), axis=self.axes, keepdims=True), size)
        scale = k.reciprocal(k.sqrt(k.add(variance, self.eps)))
        y = k.multiply(centred, scale, out=centred)
        return y, (y, scale, size, mean, variance)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        y, scale, size = saved[:3]
        mean_grad = k.divide(k.sum(grad, axis=self.axes, keepdims=True), size)
        along = k.divide(k.sum(k.multiply(grad, y), axis=self.axes, keepdims=True), size)
        dx = k.multiply(y, along)
        dx = k.subtract(grad, dx, out=dx)
        dx = k.subtract(dx, mean_grad, out=dx)
        return (k.multiply(dx, scale, out=dx),)


class BatchStatistics(Normalize):
    """`Normalize`, which also moves running averages of mean and variance.

    running ← (1 - momentum)·running + momentum·batch, with the unbiased variance of the batch
    (Ioffe and Szegedy, 2015).
    """

    def __init__(
        self, axes: tuple[int, ...], eps: float, momentum: float, mean: Array, variance: Array
    ) -> None:
        super().__init__(axes, eps)
        self.momentum, self.mean, self.variance = float(momentum), mean, variance

    @property
    def name(self) -> str:
        return "normalize"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y, saved = super().forward(k, x)
        _, _, size, mean, variance = saved
        unbiased = k.multiply(variance, size / max(size - 1.0, 1.0))
        for running, batch in ((self.mean, mean), (self.variance, unbiased)):
            k.multiply(running, 1.0 - self.momentum, out=running)
            k.add(running, k.multiply(batch.reshape(running.shape), self.momentum), out=running)
        return y, saved


class Dropout(Function):
    """Each value is dropped with probability p, the rest grow by 1/(1 - p).

    Srivastava et al., 2014, in the inverted form: nothing changes at evaluation.
    """

    rule = "dx = mask·dy/(1 - p)"

    def __init__(self, p: float, generator: np.random.Generator) -> None:
        self.p, self.generator = float(p), generator

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        mask = k.random(self.generator, shape=x.shape, dtype=x.dtype.type)
        mask = k.indicator(np.greater_equal, mask, self.p)
        mask = k.multiply(mask, 1.0 / (1.0 - self.p), out=mask)
        return k.multiply(x, mask), mask

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.multiply(grad, saved),)
