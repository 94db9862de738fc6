"""Losses, example by example: shape of the targets in, one loss per element (or per row) out.

Taking their mean or sum is `Reduced`, apart from them, so that the losses of many batches can be
taken at once. Targets are data: no gradient flows to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import ONE, ZERO, Array, Function, Gradients, Kernels

#: Losses that BLAS adds up: sooner than NumPy, but with errors that grow with their number.
FEW = 1024


class Reduced(Function):
    """The mean or the sum of the losses that another function gives: one number.

    Every loss has the same share in it, so that `backward` of the other function is given the
    gradient as one number, which NumPy broadcasts. Keep one instance a loss: it remembers the ones
    that a few losses are added up with, and that number.
    """

    __slots__ = ("_known",)  # beside the attributes: it does not change what this computes

    def __init__(self, losses: Function, reduction: str = "mean") -> None:
        self.losses, self.reduction = losses, reduction
        self._known: tuple[int, Any, Any, Array] = (-1, None, None, ONE)

    @property
    def name(self) -> str:
        return f"{self.reduction} of {self.losses.name}"

    @property
    def rule(self) -> str:  # type: ignore[override]
        share = ", divided by their number" if self.reduction == "mean" else ""
        return f"each loss receives the gradient{share}; {self.losses.rule}"

    @property
    def passes_gradient_on(self) -> bool:  # type: ignore[override]
        return self.losses.passes_gradient_on

    def forward(self, k: Kernels, p: Array, t: Array) -> tuple[Array, Any]:
        losses, saved = self.losses.forward(k, p, t)
        size, dtype, ones, share = self._known
        if size != losses.size or dtype is not losses.dtype:
            ones, share = self._constants(losses)
        if k.recording:  # asked sooner than told
            k.constant(ones)
            k.constant(share)
        if self.reduction != "mean":
            total = k.sum(losses) if ones is None else k.dot(k.ravel(losses), ones)
            return total, (k, saved, ONE)
        total = k.mean(losses) if ones is None else k.average(k.ravel(losses), ones)
        return total, (k, saved, share)

    def _constants(self, losses: Array) -> tuple[Any, Array]:
        """Ones to add up these losses with, if they are few, and the share of each in the mean."""
        size, dtype = losses.size, losses.dtype
        if not size and self.reduction == "mean":
            raise ValueError("there is no mean of no examples")
        floating = dtype.kind == "f"
        ones = np.ones(size, dtype) if size <= FEW and floating else None
        share = np.array(1 / max(size, 1), dtype if floating else np.float32)
        if size:
            self._known = size, dtype, ones, share
        return ones, share

    def of_each(self, losses: Array) -> Array:
        """What `forward` makes of each of these losses, along the first axis, to the same bits."""
        ones, _ = self._constants(losses[0])
        if ones is None:
            totals = np.add.reduce(losses, axis=tuple(range(1, losses.ndim)))
        else:
            totals = np.vecdot(losses.reshape(len(losses), -1), ones)
        result: Array = totals / losses[0].size if self.reduction == "mean" else totals
        return result

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        made_in, saved, share = saved
        if not made_in.recording:  # or recording no more
            k = made_in  # the gradient has no axes, but what the losses are made of may have
        share = share if grad is ONE else k.multiply(grad, share)
        return self.losses.backward(k, share, saved, needs)


class SquaredError(Function):
    rule = "d(p - t)² = 2(p - t)·dp"

    def forward(self, k: Kernels, p: Array, t: Array) -> tuple[Array, Any]:
        difference = k.subtract(p, t)
        return k.square(difference), difference

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.multiply(saved, 2.0)
        return k.multiply(grad, slope, out=slope), None


class AbsoluteError(Function):
    rule = "d|p - t| = sign(p - t)·dp"

    def forward(self, k: Kernels, p: Array, t: Array) -> tuple[Array, Any]:
        difference = k.subtract(p, t)
        return k.absolute(difference), difference

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.sign(saved)
        return k.multiply(grad, slope, out=slope), None


class HuberError(Function):
    """½d² while |d| ≤ δ, then δ(|d| - ½δ) (Huber, 1964), as c(|d| - ½c) with c = min(|d|, δ)."""

    rule = "dp receives (p - t) limited to ±δ"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = float(delta)

    def forward(self, k: Kernels, p: Array, t: Array) -> tuple[Array, Any]:
        difference = k.subtract(p, t)
        size = k.absolute(difference)
        core = k.minimum(size, self.delta)
        size = k.subtract(size, k.multiply(core, 0.5), out=size)
        return k.multiply(size, core, out=size), difference

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.minimum(saved, self.delta)
        slope = k.maximum(slope, -self.delta, out=slope)
        return k.multiply(grad, slope, out=slope), None


class HingeError(Function):
    """max(0, 1 - t·s) for targets ±1 and a score s (Cortes and Vapnik, 1995)."""

    rule = "dscore = -t where t·score < 1, else 0"

    def forward(self, k: Kernels, score: Array, target: Array) -> tuple[Array, Any]:
        margin = k.multiply(score, target)
        margin = k.subtract(1.0, margin, out=margin)
        return k.maximum(margin, 0.0), (margin, target)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        margin, target = saved
        slope = k.indicator(np.greater, margin, 0.0)
        slope = k.multiply(slope, target, out=slope)
        slope = k.negative(slope, out=slope)
        return k.multiply(grad, slope, out=slope), None


class BinaryCrossEntropyError(Function):
    """-t·log p - (1 - t)·log(1 - p) of a probability p.

    Each logarithm is held at -100 or above, so a certain and wrong answer costs 100 and not
    infinity; the gradient's denominator p(1 - p) is held away from 0 alike.
    """

    rule = "dp = (p - t) / (p·(1 - p))"

    def forward(self, k: Kernels, p: Array, t: Array) -> tuple[Array, Any]:
        tiny = math.exp(-100) if p.dtype == np.float64 else float(np.finfo(np.float32).tiny)
        # max(p, tiny) keeps the logarithm finite and silent; the limit itself is -100.
        log_p = k.maximum(k.log(k.maximum(p, tiny)), -100.0)
        log_p = k.where(k.less_equal(p, tiny), -100.0, log_p)
        q = k.subtract(1.0, p)
        log_q = k.maximum(k.log(k.maximum(q, tiny)), -100.0)
        log_q = k.where(k.less_equal(q, tiny), -100.0, log_q)
        # -(t·log p + (1 - t)·log q), without a difference of large numbers.
        loss = k.multiply(t, log_p)
        loss = k.add(loss, k.multiply(k.subtract(1.0, t), log_q), out=loss)
        return k.negative(loss, out=loss), (p, t)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        p, t = saved
        below = k.multiply(p, k.subtract(1.0, p))
        below = k.maximum(below, 1e-12, out=below)
        slope = k.subtract(p, t)
        slope = k.divide(slope, below, out=slope)
        return k.multiply(grad, slope, out=slope), None


class BinaryCrossEntropyWithLogits(Function):
    """max(z, 0) - z·t + log1p(e^-|z|): the same loss of a logit z, finite for every z."""

    rule = "dz = σ(z) - t"

    def forward(self, k: Kernels, z: Array, t: Array) -> tuple[Array, Any]:
        loss = k.absolute(z)
        loss = k.negative(loss, out=loss)
        loss = k.exp(loss, out=loss)
        loss = k.log1p(loss, out=loss)
        loss = k.add(loss, k.maximum(z, ZERO), out=loss)
        return k.subtract(loss, k.multiply(z, t), out=loss), (z, t)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        z, t = saved
        # (1 - t) - 1/(1 + eᶻ): where eᶻ overflows to infinity, the quotient is the right 0.
        below = k.saturating_exp(z)
        below = k.add(below, ONE, out=below)
        share = k.divide(grad, below, out=below)
        return k.subtract(k.multiply(grad, k.subtract(ONE, t)), share, out=share), None


class CrossEntropy(Function):
    """-Σ t·log softmax(z) over the last axis; t are class indices or a distribution per row."""

    rule = "dz = softmax(z)·Σt - t"

    def forward(self, k: Kernels, z: Array, t: Array) -> tuple[Array, Any]:
        one_hot = t.ndim == z.ndim - 1
        if one_hot:
            # Class by class in memory, as the layer that made z leaves it.
            classes = np.arange(z.shape[-1], dtype=z.dtype).reshape(-1, *(1,) * t.ndim)
            t = k.indicator(np.equal, k.constant(classes), t[None])
            t = t.transpose(*range(1, t.ndim), 0)
        shifted = k.subtract(z, k.max(z, axis=-1, keepdims=True))
        weights = k.exp(shifted)
        total = k.sum(weights, axis=-1, keepdims=True)
        # A difference beyond the largest number is held there: -inf·0 would be NaN.
        shifted = k.maximum(shifted, float(np.finfo(z.dtype).min), out=shifted)
        shifted = k.subtract(shifted, k.log(total), out=shifted)
        loss = k.sum(k.multiply(shifted, t), axis=-1)
        return k.negative(loss), (weights, total, t, one_hot)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        weights, total, t, one_hot = saved
        slope = k.divide(weights, total)
        if not one_hot:  # where a row of t sums to another number than 1
            slope = k.multiply(slope, k.sum(t, axis=-1, keepdims=True), out=slope)
        slope = k.subtract(slope, t, out=slope)
        return k.multiply(grad[..., None], slope, out=slope), None
