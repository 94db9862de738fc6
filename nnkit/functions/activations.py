"""Activations, each with the derivative written from what the forward pass already has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import ONE, Array, Function, Gradients, Kernels


class ReLU(Function):
    rule = "dx = dy where y > 0, else 0"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.positive_part(x)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.indicator(np.greater, saved, 0.0)
        return (k.multiply(grad, slope, out=slope),)


class LeakyReLU(Function):
    rule = "dx = dy where x > 0, else slope·dy"

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = float(negative_slope)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        slope = k.indicator(np.greater, x, 0.0)
        slope = k.multiply(slope, 1.0 - self.negative_slope, out=slope)
        slope = k.add(slope, self.negative_slope, out=slope)
        return k.multiply(x, slope), slope

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.multiply(grad, saved),)


class Tanh(Function):
    rule = "dx = (1 - y²)·dy"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.tanh(x)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.square(saved)
        slope = k.subtract(ONE, slope, out=slope)
        return (k.multiply(grad, slope, out=slope),)


def logistic(k: Kernels, x: Array) -> Array:
    """1 / (1 + e⁻ˣ) in a new array; where e⁻ˣ overflows to infinity, that gives the right 0."""
    y = k.negative(x)
    y = k.saturating_exp(y, out=y)
    y = k.add(y, ONE, out=y)
    return k.reciprocal(y, out=y)


class Sigmoid(Function):
    rule = "dx = y·(1 - y)·dy"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = logistic(k, x)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.subtract(ONE, saved)
        slope = k.multiply(slope, saved, out=slope)
        return (k.multiply(grad, slope, out=slope),)


class SiLU(Function):
    rule = "dx = σ(x)·(1 + x·(1 - σ(x)))·dy"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        gate = logistic(k, x)
        y = k.multiply(x, gate)
        return y, (gate, y)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        gate, y = saved
        slope = k.subtract(1.0, gate)
        slope = k.multiply(slope, y, out=slope)
        slope = k.add(slope, gate, out=slope)
        return (k.multiply(grad, slope, out=slope),)


class ELU(Function):
    rule = "dx = dy where x > 0, else α·eˣ·dy"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = float(alpha)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        low = k.minimum(x, 0.0)
        low = k.expm1(low, out=low)
        low = k.multiply(low, self.alpha, out=low)
        return k.add(k.maximum(x, 0.0), low), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.minimum(saved, 0.0)
        slope = k.exp(slope, out=slope)  # and not y + α, of which few digits are left far below 0
        if self.alpha != 1:
            below = k.multiply(slope, self.alpha)
            slope = k.where(k.greater(saved, 0.0), 1.0, below)
        return (k.multiply(grad, slope, out=slope),)


class Softplus(Function):
    """log(1 + eˣ), as max(x, 0) + log1p(e^-|x|): no overflow."""

    rule = "dx = σ(x)·dy"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.absolute(x)
        y = k.negative(y, out=y)
        y = k.exp(y, out=y)
        y = k.log1p(y, out=y)
        return k.add(y, k.maximum(x, 0.0), out=y), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = logistic(k, saved)
        return (k.multiply(grad, slope, out=slope),)


def limited(k: Kernels, x: Array, size: float) -> Array:
    """x within ±size, so that its powers are finite."""
    near = k.minimum(x, size)
    return k.maximum(near, -size, out=near)


class GELUTanh(Function):
    """½x(1 + tanh(√(2/π)(x + 0.044715x³))), the approximation of Hendrycks and Gimpel (2016)."""

    rule = "dx = (½(1 + t) + ½x(1 - t²)·u′)·dy with t = tanh(u)"

    @property
    def name(self) -> str:
        return "gelu"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        near = limited(k, x, 10.0)  # t is ±1 beyond
        t = k.square(near)
        t = k.multiply(t, 0.044715, out=t)
        t = k.add(t, 1.0, out=t)
        t = k.multiply(t, near, out=t)
        t = k.multiply(t, math.sqrt(2 / math.pi), out=t)
        t = k.tanh(t, out=t)
        y = k.add(t, 1.0)
        y = k.multiply(y, 0.5, out=y)
        return k.multiply(y, x, out=y), (near, t)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        near, t = saved
        inner = k.square(near)
        inner = k.multiply(inner, 3 * 0.044715, out=inner)
        inner = k.add(inner, 1.0, out=inner)
        inner = k.multiply(inner, math.sqrt(2 / math.pi), out=inner)
        inner = k.multiply(inner, near, out=inner)
        slope = k.square(t)
        slope = k.subtract(1.0, slope, out=slope)
        slope = k.multiply(slope, inner, out=slope)
        slope = k.add(slope, t, out=slope)
        slope = k.add(slope, 1.0, out=slope)
        slope = k.multiply(slope, 0.5, out=slope)
        return (k.multiply(grad, slope, out=slope),)


# fmt: off
#: Chebyshev coefficients of P on t in (0, 1]; fourteen are enough for float32.
ERFC_COEFFICIENTS = (
    -1.3026537197817094, 0.64196979235649021, 0.019476473204185836,
    -0.0095615147868086323, -0.00094659534448203692, 0.00036683949785276145,
    4.2523324806907769e-05, -2.0278578112534242e-05, -1.6242900046470256e-06,
    1.3036558355805232e-06, 1.5626441722066142e-08, -8.5238095914926541e-08,
    6.5290544390988515e-09, 5.0593434955514693e-09, -9.9136415649303348e-10,
    -2.2736512229318321e-10, 9.6467911020154844e-11, 2.3940380830395573e-12,
    -6.8860275264980064e-12, 8.9448792730952278e-13, 3.1309213993386162e-13,
    -1.127082236132672e-13, 3.8109052515437007e-16, 7.1060976139222918e-15,
    -1.5230282017094499e-15, -9.4574945528698571e-17, 1.210237188117625e-16,
    -2.8166630843605615e-17, 5.0030099517233033e-20, 2.3281041375418045e-18,
)
# fmt: on


def normal_cdf(k: Kernels, x: Array) -> Array:
    """Φ(x) = ½ erfc(-x/√2), to the last digits of the dtype of `x`.

    NumPy has no error function. With t = 2/(2 + z), erfc(z) = t·exp(-z² + P(t)) for z ≥ 0, where
    P is smooth enough for a short Chebyshev series (Press et al., Numerical Recipes, 2007, 6.2.2).
    """
    terms = ERFC_COEFFICIENTS if x.dtype == np.float64 else ERFC_COEFFICIENTS[:14]
    z = k.absolute(x)
    z = k.multiply(z, math.sqrt(0.5), out=z)
    t = k.divide(2.0, k.add(z, 2.0))
    twice = k.subtract(k.multiply(t, 4.0), 2.0)
    # Clenshaw's recurrence for the sum of cⱼ·Tⱼ.
    last, before = k.multiply(t, 0.0), k.multiply(t, 0.0)
    for c in terms[:0:-1]:
        following = k.multiply(twice, last)
        following = k.subtract(following, before, out=following)
        before, last = last, k.add(following, c, out=following)
    series = k.multiply(twice, last)
    series = k.add(series, terms[0], out=series)
    series = k.multiply(series, 0.5, out=series)
    series = k.subtract(series, before, out=series)
    series = k.subtract(series, k.square(z), out=series)
    tail = k.exp(series, out=series)
    tail = k.multiply(tail, t, out=tail)
    tail = k.multiply(tail, 0.5, out=tail)
    return k.where(k.greater(x, 0.0), k.subtract(1.0, tail), tail)


class GELU(Function):
    """x·Φ(x) with the exact normal distribution function (Hendrycks and Gimpel, 2016)."""

    rule = "dx = (Φ(x) + x·φ(x))·dy"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        near = limited(k, x, 40.0)  # Φ is 0 or 1 beyond
        phi = normal_cdf(k, near)
        return k.multiply(x, phi), (near, phi)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        near, phi = saved
        slope = k.square(near)
        slope = k.multiply(slope, -0.5, out=slope)
        slope = k.exp(slope, out=slope)
        slope = k.multiply(slope, 1 / math.sqrt(2 * math.pi), out=slope)
        slope = k.multiply(slope, near, out=slope)
        slope = k.add(slope, phi, out=slope)
        return (k.multiply(grad, slope, out=slope),)


class Softmax(Function):
    """eˣ / Σeˣ along an axis, with the largest x taken off first."""

    rule = "dx = y·(dy - Σ dy·y)"

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.subtract(x, k.max(x, axis=self.axis, keepdims=True))
        y = k.exp(y, out=y)
        y = k.divide(y, k.sum(y, axis=self.axis, keepdims=True), out=y)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        inner = k.multiply(grad, saved)
        total = k.sum(inner, axis=self.axis, keepdims=True)
        centred = k.subtract(grad, total, out=inner)
        return (k.multiply(centred, saved, out=centred),)


class LogSoftmax(Function):
    """x - log Σeˣ along an axis, with the largest x taken off first."""

    rule = "dx = dy - softmax(x)·Σdy"

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    @property
    def name(self) -> str:
        return "log_softmax"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.subtract(x, k.max(x, axis=self.axis, keepdims=True))
        total = k.sum(k.exp(y), axis=self.axis, keepdims=True)
        y = k.subtract(y, k.log(total, out=total), out=y)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        weights = k.exp(saved)
        total = k.sum(grad, axis=self.axis, keepdims=True)
        weights = k.multiply(weights, total, out=weights)
        return (k.subtract(grad, weights, out=weights),)
