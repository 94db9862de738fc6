"""What a differentiable operation is: a forward and a backward rule on plain arrays.

Rules are written in the calls of a *namespace* `k` (see `Kernels`), never in NumPy directly.
Run with `Kernels` they simply compute. Run with the recorder of `nnkit.capture` the very same
rules compute and leave a log that can be replayed without allocating anything. That is why a
rule obeys three laws:

1. every number it makes comes from a call on `k` (views such as `x.T` or `x[1:]` are free);
2. it never branches on values, only on shapes and on which gradients are needed;
3. it never writes into its inputs or its saved arrays; `out=` is for its own temporaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context, ContextVar
from operator import methodcaller
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy._core import umath
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = Sequence[Array | None]


#: The ufunc behind np.clip: keeps NaN as np.maximum does, at more than twice its speed.
clip_ufunc: Any = getattr(umath, "clip", np.clip)
_add_up: Any = np.add.reduce  # whose types leave out=None out
_largest: Any = np.maximum.reduce
_array, _empty, _exp = np.array, np.empty, np.exp  # found in half the time, here, at every step
# Arrays of one number, which ufuncs take in half the time of Python's. float64 stays float64.
ZERO, ONE = np.array(0.0, np.float32), np.array(1.0, np.float32)
_INFINITY = np.array(np.inf, np.float32)


def _context(**errors: Any) -> Context:
    context = Context()
    context.run(np.seterr, **errors)
    return context


# To run things where NumPy does not warn: `SILENT.copy().run` takes a tenth of np.errstate's time.
SILENT, _SATURATING = _context(all="ignore"), _context(over="ignore")


class Kernels:
    """The array calls that rules are written in: here NumPy's own, run at once.

    Every call takes arrays (or Python numbers) first and may take `out=`; the rest are options.
    """

    recording: ClassVar[bool] = False

    add = np.add
    subtract = np.subtract
    multiply = np.multiply
    divide = np.divide
    negative = np.negative
    power = np.power
    square = np.square
    sqrt = np.sqrt
    exp = np.exp
    expm1 = np.expm1
    log = np.log
    log1p = np.log1p
    absolute = np.absolute
    sign = np.sign
    sin = np.sin
    cos = np.cos
    tanh = np.tanh
    reciprocal = np.reciprocal
    maximum = np.maximum
    minimum = np.minimum
    greater = np.greater
    greater_equal = np.greater_equal
    less = np.less
    less_equal = np.less_equal
    equal = np.equal
    matmul = np.matmul

    #: a @ b for two matrices or two vectors, straight to BLAS.
    dot: Any = staticmethod(np.ndarray.dot)
    #: All elements in one row: a view where memory allows one, else a copy.
    ravel: Any = staticmethod(methodcaller("ravel"))

    @staticmethod
    def sum(
        x: Array, *, axis: Any = None, keepdims: bool = False, out: Array | None = None
    ) -> Array:
        result: Array = _add_up(x, axis, None, out, keepdims)
        return result

    @staticmethod
    def mean(
        x: Array, *, axis: Any = None, keepdims: bool = False, out: Array | None = None
    ) -> Array:
        total = _add_up(x, axis, None, out, keepdims)
        if axis is None and out is None and not keepdims:
            return _array(total / x.size)  # a scalar, which Python divides in no time
        n = x.size / max(1, total.size)
        result: Array = total / n if out is None else np.divide(total, n, out)
        return result

    @staticmethod
    def average(x: Array, ones: Array, *, out: Array | None = None) -> Array:
        """The mean of a vector, by BLAS, which has added it up before NumPy's sum has begun."""
        mean: Array = x.dot(ones) / len(x)
        if out is None:
            return mean
        out[...] = mean
        return out

    @staticmethod
    def max(
        x: Array, *, axis: Any = None, keepdims: bool = False, out: Array | None = None
    ) -> Array:
        result: Array = _largest(x, axis, None, out, keepdims)
        return result

    @staticmethod
    def copy(x: Array, *, out: Array | None = None) -> Array:
        """A copy in the same memory order (or into `out`, cast to its dtype)."""
        if out is None:
            return x.copy(order="K")
        np.copyto(out, x)
        return out

    @staticmethod
    def cast(x: Array, *, dtype: Any, out: Array | None = None) -> Array:
        if out is None:
            return x.astype(dtype)
        np.copyto(out, x, casting="same_kind")
        return out

    @staticmethod
    def indicator(compare: Any, a: Array, b: Any, *, out: Array | None = None) -> Array:
        """1 where `compare(a, b)` holds and 0 elsewhere, in the dtype of `a`."""
        if out is None:
            plain = not isinstance(b, np.ndarray) or b.shape == a.shape
            out = np.empty_like(a, shape=None if plain else np.broadcast_shapes(a.shape, b.shape))
        result: Array = compare(a, b, out)
        return result

    @staticmethod
    def positive_part(x: Array, *, out: Array | None = None) -> Array:
        """max(x, 0), with NaN kept."""
        result: Array = clip_ufunc(x, ZERO, _INFINITY, out)
        return result

    @staticmethod
    def saturating_exp(x: Array, *, out: Array | None = None) -> Array:
        """eˣ where overflow to infinity is as good as any large number, and no cause to warn."""
        result: Array = _SATURATING.copy().run(_exp, x, out)
        return result

    @staticmethod
    def where(mask: Array, a: Any, b: Any, *, out: Array | None = None) -> Array:
        if out is None:
            chosen: Array = np.where(mask, a, b)
            return chosen
        np.copyto(out, b)
        np.copyto(out, a, where=mask)
        return out

    @staticmethod
    def reshape(x: Array, *, shape: tuple[int, ...], out: Array | None = None) -> Array:
        """A view where memory allows one, else a copy."""
        if out is None:
            return x.reshape(shape)
        np.copyto(out, x.reshape(shape))
        return out

    @staticmethod
    def concatenate(*arrays: Array, axis: int, out: Array | None = None) -> Array:
        return np.concatenate(arrays, axis=axis, out=out)

    @staticmethod
    def gather(x: Array, *, index: Any, out: Array | None = None) -> Array:
        """x[index], copied (basic slices need no call: they are views)."""
        result: Array = np.array(x[index])
        if out is None:
            return result
        np.copyto(out, result)
        return out

    @staticmethod
    def scatter(
        values: Array, *, index: Any, shape: tuple[int, ...], out: Array | None = None
    ) -> Array:
        """Zeros of `shape` with `values` added at `index`; repeated places add up."""
        if out is None:
            out = np.empty(shape, values.dtype)
        out.fill(0)
        if is_basic_index(index):
            out[index] = values
        else:
            np.add.at(out, index, values)
        return out

    @staticmethod
    def random(
        generator: np.random.Generator,
        *,
        shape: tuple[int, ...],
        dtype: Any,
        out: Array | None = None,
    ) -> Array:
        """Uniform numbers in [0, 1), drawn from `generator`."""
        result: Array = generator.random(shape, dtype, out)
        return result

    def escape(self, tensor: Any) -> None:
        """Called where values leave the graph for Python's eyes: of interest to a recorder."""

    def check_later(self, loss: Any, prediction: Array, target: Array) -> None:
        """A recorder's: the values of predictions and targets are to be checked at every step."""

    @staticmethod
    def constant(x: Array) -> Array:
        """Numbers that depend on shapes alone."""
        return x

    @staticmethod
    def with_ones(x: Array) -> Array:
        """xᵀ for `x` of shape (n, d), with a row of ones below: (d + 1, n)."""
        n, d = x.shape
        tall = _empty((d + 1, n), x.dtype)
        tall.fill(1)
        tall[:d] = x.T
        return tall


def is_basic_index(index: Any) -> bool:
    """True for integers, slices, `...` and None: NumPy answers those with a view."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice))
        for part in parts
    ) and not any(isinstance(part, (bool, np.bool_)) for part in parts)


def _without_out(call: Any) -> Any:
    return staticmethod(lambda *args, out=None, **options: np.asarray(call(*args, **options)))


class ScalarKernels(Kernels):
    """The same calls for 0-d arrays, which NumPy answers with scalars: no use as `out=`."""


for _name, _call in vars(Kernels).items():
    if isinstance(_call, (np.ufunc, staticmethod)) and _name != "constant":
        setattr(ScalarKernels, _name, _without_out(getattr(Kernels, _name)))

SCALAR_KERNELS = ScalarKernels()

#: NumPy's calls, as a module: in that Python finds a name in a third of the time.
NUMPY_KERNELS: Any = ModuleType("kernels", Kernels.__doc__)
vars(NUMPY_KERNELS).update((n, getattr(Kernels(), n)) for n in dir(Kernels) if n[0] != "_")

#: The namespace in force. Plain unless a step is being recorded.
kernels: ContextVar[Kernels] = ContextVar("kernels", default=NUMPY_KERNELS)
current_kernels = kernels.get  # called by this name, it need not be looked up each time


class Function:
    """One differentiable operation.

    `forward(k, *arrays)` returns the output and what the backward rule needs of it.
    `backward(k, grad, saved, needs)` takes dL/d(output) and returns dL/d(input) for each input,
    None where `needs` is 0, because nobody asks.
    """

    #: True where `backward` may hand on `grad` itself (or a view of it) instead of a new array.
    passes_gradient_on: ClassVar[bool] = False

    #: The rule in words and formula, shown where a graph is explained.
    rule: ClassVar[str] = ""

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def forward(self, k: Kernels, *inputs: Any, **_: Any) -> tuple[Array, Any]:
        raise NotImplementedError

    def backward(self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]) -> Gradients:
        raise NotImplementedError


def unbroadcast(k: Kernels, grad: Array, shape: tuple[int, ...]) -> Array:
    """Sum `grad` over the axes along which an operand of `shape` was broadcast."""
    if grad.shape == shape:
        return grad
    lead = grad.ndim - len(shape)
    stretched = tuple(lead + i for i, n in enumerate(shape) if n == 1 and grad.shape[lead + i] != 1)
    axes = (*range(lead), *stretched)
    total = k.sum(grad, axis=axes, keepdims=True)
    return k.reshape(total, shape=shape)
