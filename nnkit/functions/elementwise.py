"""Arithmetic and elementary functions, element by element, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Array, Function, Gradients, Kernels, unbroadcast


class Add(Function):
    passes_gradient_on = True
    rule = "d(a + b) = da + db: both operands receive the gradient unchanged"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        return k.add(a, b), (a.shape, b.shape)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return [unbroadcast(k, grad, s) if n else None for s, n in zip(saved, needs, strict=True)]


class Subtract(Function):
    passes_gradient_on = True
    rule = "d(a - b) = da - db: the second operand receives the negated gradient"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        return k.subtract(a, b), (a.shape, b.shape)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a_shape, b_shape = saved
        return (
            unbroadcast(k, grad, a_shape) if needs[0] else None,
            unbroadcast(k, k.negative(grad), b_shape) if needs[1] else None,
        )


class Multiply(Function):
    rule = "d(a·b) = b·da + a·db: each operand receives the gradient times the other"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        return k.multiply(a, b), (a, b)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a, b = saved
        return (
            unbroadcast(k, k.multiply(grad, b), a.shape) if needs[0] else None,
            unbroadcast(k, k.multiply(grad, a), b.shape) if needs[1] else None,
        )


class Divide(Function):
    rule = "d(a/b) = da/b - (a/b²)·db"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        quotient = k.divide(a, b)
        return quotient, (a.shape, b, quotient)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a_shape, b, quotient = saved
        scaled = k.divide(grad, b)
        towards_b = None
        if needs[1]:
            towards_b = unbroadcast(k, k.negative(k.multiply(scaled, quotient)), b.shape)
        return unbroadcast(k, scaled, a_shape) if needs[0] else None, towards_b


class Power(Function):
    """x ** exponent for a fixed number; 0 ** 0 is 1, as in NumPy."""

    rule = "d(xᵖ) = p·xᵖ⁻¹·dx"

    def __init__(self, exponent: float) -> None:
        self.exponent = float(exponent)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        if self.exponent == 2:
            return k.square(x), x
        return k.power(x, self.exponent), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        p = self.exponent
        if p == 0:
            return (k.multiply(grad, 0.0),)
        slope = saved if p == 2 else k.power(saved, p - 1)
        slope = k.multiply(slope, p)
        return (k.multiply(grad, slope, out=slope),)


class PowerOf(Function):
    """a ** b where both are tensors; a must be positive where the gradient of b is asked."""

    rule = "d(aᵇ) = b·aᵇ⁻¹·da + aᵇ·log(a)·db"

    @property
    def name(self) -> str:
        return "power"

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        y = k.power(a, b)
        return y, (a, b, y)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a, b, y = saved
        towards_a = towards_b = None
        if needs[0]:
            # a⁰ is flat, also at 0, where 0⁻¹ must not turn the product into NaN.
            exponent = k.where(k.equal(b, 0.0), 1.0, b)
            slope = k.multiply(b, k.power(a, k.subtract(exponent, 1.0)))
            towards_a = unbroadcast(k, k.multiply(grad, slope), a.shape)
        if needs[1]:
            # 0 ** b is flat in b, so log 0 must not turn the product into NaN.
            positive = k.where(k.greater(a, 0.0), a, 1.0)
            slope = k.multiply(y, k.log(positive))
            towards_b = unbroadcast(k, k.multiply(grad, slope), b.shape)
        return towards_a, towards_b


class Negative(Function):
    rule = "d(-x) = -dx"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.negative(x), None

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.negative(grad),)


class Exp(Function):
    rule = "d(eˣ) = eˣ·dx"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.exp(x)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.multiply(grad, saved),)


class Log(Function):
    rule = "d(log x) = dx/x"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.log(x), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.divide(grad, saved),)


class Sqrt(Function):
    rule = "d(√x) = dx/(2√x)"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = k.sqrt(x)
        return y, y

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.multiply(saved, 2.0)
        return (k.divide(grad, slope, out=slope),)


class Abs(Function):
    rule = "d|x| = sign(x)·dx, taken as 0 at 0"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.absolute(x), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.sign(saved)
        return (k.multiply(grad, slope, out=slope),)


class Sin(Function):
    rule = "d(sin x) = cos(x)·dx"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.sin(x), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.cos(saved)
        return (k.multiply(grad, slope, out=slope),)


class Cos(Function):
    rule = "d(cos x) = -sin(x)·dx"

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.cos(x), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        slope = k.sin(saved)
        slope = k.negative(slope, out=slope)
        return (k.multiply(grad, slope, out=slope),)


class Clip(Function):
    """Values limited to [low, high]; the gradient passes where x lies within (ends included)."""

    rule = "d clip(x) = dx inside the limits, 0 outside"

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low = None if low is None else float(low)
        self.high = None if high is None else float(high)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        y = x
        if self.low is not None:
            y = k.maximum(y, self.low)
        if self.high is not None:
            y = k.minimum(y, self.high)
        return (k.copy(y) if y is x else y), x

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        result = grad
        if self.low is not None:
            result = k.multiply(result, k.indicator(np.greater_equal, saved, self.low))
        if self.high is not None:
            result = k.multiply(result, k.indicator(np.less_equal, saved, self.high))
        return (k.copy(result) if result is grad else result,)


class Maximum(Function):
    """The larger of two, element by element; a tie shares the gradient half and half."""

    rule = "the gradient goes to the larger operand (half to each at a tie)"
    pick = staticmethod(np.greater)

    def forward(self, k: Kernels, a: Array, b: Array) -> tuple[Array, Any]:
        y = k.maximum(a, b) if self.pick is np.greater else k.minimum(a, b)
        return y, (a, b)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        a, b = saved
        tie = k.multiply(k.indicator(np.equal, a, b), 0.5)
        results: list[Array | None] = []
        for mine, other, need in ((a, b, needs[0]), (b, a, needs[1])):
            share = k.add(k.indicator(self.pick, mine, other), tie) if need else None
            results.append(
                None if share is None else unbroadcast(k, k.multiply(grad, share), mine.shape)
            )
        return results


class Minimum(Maximum):
    """The smaller of two, element by element; a tie shares the gradient half and half."""

    rule = "the gradient goes to the smaller operand (half to each at a tie)"
    pick = staticmethod(np.less)


class Where(Function):
    """`a` where the condition holds, else `b`; no gradient flows to the condition."""

    rule = "the gradient goes to the operand that was chosen"

    def forward(self, k: Kernels, mask: Array, a: Array, b: Array) -> tuple[Array, Any]:
        chosen = k.greater(k.absolute(mask), 0.0) if mask.dtype != bool else mask
        return k.where(chosen, a, b), (chosen, a.shape, b.shape)

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        chosen, a_shape, b_shape = saved
        return (
            None,
            unbroadcast(k, k.where(chosen, grad, 0.0), a_shape) if needs[1] else None,
            unbroadcast(k, k.where(chosen, 0.0, grad), b_shape) if needs[2] else None,
        )


class Cast(Function):
    """The same values in another floating dtype."""

    rule = "the gradient is cast back"

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def forward(self, k: Kernels, x: Array) -> tuple[Array, Any]:
        return k.cast(x, dtype=self.dtype), x.dtype

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        return (k.cast(grad, dtype=saved),)
