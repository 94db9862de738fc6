"""Tensors, and the graph they grow.

A `Tensor` is an array that remembers how it was made: the operation, the tensors that went in, and
what the backward rule wants to see again. So tensors are the nodes of the graph. `loss.backward()`
walks them once, each after everything that used it, adding up gradients where a tensor was used
more than once. Nothing recurses, so depth is limited by memory only.

`apply` runs at every operation and is written for speed: around small arrays it costs more than the
arithmetic. Hence one, two and three inputs are spelled out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import functions as F
from .backpropagation import backpropagate
from .errors import GraphError, ShapeError
from .functions.base import SCALAR_KERNELS, Array, Function, current_kernels

Index = Any
_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)


class no_grad(ContextDecorator):
    """No graph is grown inside `with no_grad():`, nor by a function under `@no_grad()`.

    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(_grad_enabled.set(False))

    def __exit__(self, *exception: object) -> None:
        _grad_enabled.reset(self._tokens.pop())

    def _recreate_cm(self) -> no_grad:  # a decorated function may run in several threads
        return no_grad()


_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def _floating(dtype: Any) -> np.dtype[Any]:
    """`dtype` if it is one that a tensor can have."""
    wanted = np.dtype(dtype)
    for known in _DTYPES:
        if wanted == known:
            return known
    raise ShapeError(f"the dtype of a tensor is float32 or float64, not {wanted}")


def native(array: Array) -> Array:
    """`array` with NumPy's own dtype object, unlike unpickled ones: dtypes are compared by it."""
    if array.dtype in _DTYPES and not any(array.dtype is known for known in _DTYPES):
        return array.view(_floating(array.dtype))
    return array


def _float_array(data: Any, dtype: Any) -> Array:
    """`data` as a floating array: float32 unless it is float64 already or a dtype is asked for."""
    if dtype is None and type(data) is np.ndarray and data.dtype in _DTYPES:
        return native(data)
    if isinstance(data, Tensor):
        data = data._data
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"a Tensor needs rows of equal length: {error}") from error
    if dtype is not None:
        dtype = _floating(dtype)
    elif isinstance(data, (np.ndarray, np.generic)) and array.dtype.str[1:] == "f8":
        dtype = _DTYPES[1]  # in this machine's order of bytes
    else:
        dtype = _DTYPES[0]
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"a Tensor holds real numbers; got an array of dtype {array.dtype}")
    return array.astype(dtype)


#: The function that made a result, its inputs, what its backward rule wants to see again, the
#: depths and versions of the inputs when they were used.
Record = tuple[Function, tuple["Tensor", ...], Any, Sequence[int], Sequence[int]]


class Tensor:
    """An array with gradients.

    Args:
        data: numbers, nested lists, an array or a tensor. float32 and float64 arrays keep their
            dtype and are shared, not copied; everything else becomes float32.
        requires_grad: whether `backward()` shall leave dL/d(this) in `grad`.
        dtype: np.float32 or np.float64, to choose.

    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    # Most tensors are results that live for one step: slots are made, read and freed fastest.
    __slots__ = (
        "__weakref__", "_data", "_depth", "_function", "_grad", "_record", "_retains", "_version",
        "name",
    )  # fmt: skip
    _data: Array
    _version: int  # how often the values were changed in place
    _depth: int  # 0 if no gradient is required, 1 for leaves, else more than that of all inputs
    _grad: Array | None
    _retains: bool  # whether `backward()` leaves its gradient, though it is a result
    _function: Function | None  # that made it, if it requires a gradient
    _record: Record | None  # what to walk back with; None again once the graph is freed
    name: str
    __array_priority__ = 1000.0

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        *,
        dtype: Any = None,
        name: str = "",
    ) -> None:
        self._data = _float_array(data, dtype)
        self._depth = 1 if requires_grad else 0
        self._version, self._retains, self.name = 0, False, name
        self._grad = self._function = self._record = None

    @classmethod
    def _of(cls, data: Array, requires_grad: bool = False) -> Tensor:
        """A tensor around `data` as it is: no conversion, no copy."""
        tensor = cls.__new__(cls)
        tensor._data = data
        tensor._depth = int(requires_grad)
        tensor._version, tensor._retains, tensor.name = 0, False, ""
        tensor._grad = tensor._function = tensor._record = None
        return tensor

    def __getstate__(self) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """All but the graph: a copy of a result is a leaf."""
        current_kernels().escape(self)
        state: Any = super().__getstate__()
        attributes, slots = state
        leaf = {"_depth": min(self._depth, 1), "_function": None, "_record": None}
        return attributes, slots | leaf

    def __setstate__(self, state: tuple[dict[str, Any] | None, dict[str, Any]]) -> None:
        attributes, slots = state
        for name, value in {**slots, **(attributes or {})}.items():
            setattr(self, name, native(value) if isinstance(value, np.ndarray) else value)

    # What it holds --------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The values, shared with this tensor. Assigning replaces them in place.

        The graph notices an assignment between the forward and the backward pass, not what is
        written into the array itself (`x.data[0] = 1`) or through another tensor on it. An
        optimizer moves its parameters into a vector of its own when it is made: an array that was
        taken from a parameter before is not shared any more.
        """
        k = current_kernels()
        if k.recording:  # which is asked sooner than told
            k.escape(self)
        return self._data

    @data.setter
    def data(self, values: ArrayLike) -> None:
        current_kernels().escape(self)
        new = np.asarray(values)
        if new.shape != self._data.shape:
            raise ShapeError(
                f"{self.name or 'this tensor'} has shape {self._data.shape}; "
                f"cannot assign values of shape {new.shape}"
            )
        if new is not self._data:
            self._data[...] = new
        self._version += 1

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` works out dL/d(this)."""
        return self._depth > 0

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._function is not None and not value:
            raise GraphError(
                "only leaves can be told that they require no gradient; "
                "use detach() for the values of a result outside the graph"
            )
        self._depth = max(self._depth, 1) if value else 0

    @property
    def grad(self) -> Array | None:
        """dL/d(this) as an array, or None before the first `backward()`."""
        current_kernels().escape(self)
        return self._grad

    @grad.setter
    def grad(self, value: ArrayLike | None) -> None:
        current_kernels().escape(self)
        if value is None:
            self._grad = None
            return
        new = np.asarray(value, dtype=self._data.dtype)
        if new.shape != self._data.shape:
            raise ShapeError(
                f"the gradient of a tensor of shape {self._data.shape} has that shape too; "
                f"got {new.shape}"
            )
        self._grad = new

    shape = property(lambda self: self._data.shape)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    dtype = property(lambda self: self._data.dtype)

    @property
    def is_leaf(self) -> bool:
        """True for tensors that no operation made."""
        return self._function is None

    @property
    def _inputs(self) -> tuple[Tensor, ...] | None:
        """What the operation that made it was given; None for a leaf or once the graph is freed."""
        return None if self._record is None else self._record[1]

    def numpy(self) -> Array:
        """The values as an array, shared with this tensor."""
        return self.data

    def item(self) -> float:
        """The one value of a tensor of size 1, as a Python float."""
        if self._data.size != 1:
            raise ShapeError(f"item() needs a tensor of one element; this one has {self.shape}")
        return float(self.data.reshape(())[()])

    def tolist(self) -> Any:
        return self.data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's functions see the values: `np.mean(tensor)` is a number, outside the graph."""
        return function(*_plain(args), **{name: _plain(value) for name, value in kwargs.items()})

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._data.size == 1 else format(str(self), spec)

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", precision=4, prefix="Tensor(")
        parts = [body]
        if self._data.dtype != np.float32:
            parts.append(f"dtype={self._data.dtype}")
        if self._function is not None:
            parts.append(f"from={self._function.name}")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        return f"{type(self).__name__}({', '.join(parts)})"

    # Comparisons give boolean arrays, outside the graph. Tensors are hashed by identity.

    def __lt__(self, other: Any) -> Any:
        return np.less(self.data, _plain(other))

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self.data, _plain(other))

    def __gt__(self, other: Any) -> Any:
        return np.greater(self.data, _plain(other))

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self.data, _plain(other))

    def __eq__(self, other: Any) -> Any:
        return np.equal(self.data, _plain(other))

    def __ne__(self, other: Any) -> Any:
        return np.not_equal(self.data, _plain(other))

    __hash__ = object.__hash__

    def __setitem__(self, index: Index, value: Any) -> None:
        raise TypeError(
            "tensors do not take item assignment, because the graph needs the old values; "
            "use where(mask, new, old) or concatenate for a differentiable change, "
            "or write into tensor.data before the forward pass"
        )

    # The graph ------------------------------------------------------------------------------

    def backward(self, grad: ArrayLike | None = None, *, retain_graph: bool = False) -> None:
        """Add dL/d(leaf) to `leaf.grad` for every leaf that this tensor depends on.

        The graph is freed on the way unless `retain_graph`; gradients accumulate over calls.

        Args:
            grad: dL/d(this), of this tensor's shape; 1 if this tensor has one element.

        Raises:
            GraphError: no graph, a freed graph, or a parameter changed since the forward pass.
            ShapeError: `grad` is missing for more than one element, or has another shape.
        """
        if not self._depth:
            raise GraphError(
                "nothing to differentiate: no tensor that led here has requires_grad=True"
                " (or it was computed under no_grad)"
            )
        for leaf, gradient in backpropagate(self, grad, retain_graph=retain_graph).items():
            if leaf._grad is None:
                leaf._grad = gradient
            else:
                leaf._grad = np.asarray(current_kernels().add(leaf._grad, gradient))

    def retain_grad(self) -> None:
        """Ask for `grad` on a tensor in the middle of the graph too."""
        self._retains = True

    def detach(self) -> Tensor:
        """The same values outside the graph, in the same memory."""
        return Tensor._of(self._data)

    # Operations -----------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return apply(_ADD, self, _like(other, self))

    def __sub__(self, other: Any) -> Tensor:
        return apply(_SUBTRACT, self, _like(other, self))

    def __mul__(self, other: Any) -> Tensor:
        return apply(_MULTIPLY, self, _like(other, self))

    def __truediv__(self, other: Any) -> Tensor:
        return apply(_DIVIDE, self, _like(other, self))

    def __matmul__(self, other: Any) -> Tensor:
        return apply(_MATMUL, self, _like(other, self))

    def __radd__(self, other: Any) -> Tensor:
        return apply(_ADD, _like(other, self), self)

    def __rsub__(self, other: Any) -> Tensor:
        return apply(_SUBTRACT, _like(other, self), self)

    def __rmul__(self, other: Any) -> Tensor:
        return apply(_MULTIPLY, _like(other, self), self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return apply(_DIVIDE, _like(other, self), self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return apply(_MATMUL, _like(other, self), self)

    # `w -= 0.1 * w.grad` changes a leaf in place; other tensors are replaced by the result.

    def __iadd__(self, other: Any) -> Tensor:
        return self._replaced_by(self + other)

    def __isub__(self, other: Any) -> Tensor:
        return self._replaced_by(self - other)

    def __imul__(self, other: Any) -> Tensor:
        return self._replaced_by(self * other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._replaced_by(self / other)

    def __ipow__(self, other: Any) -> Tensor:
        return self._replaced_by(self**other)

    def __imatmul__(self, other: Any) -> Tensor:
        return self._replaced_by(self @ other)

    def _replaced_by(self, result: Tensor) -> Tensor:
        if self._depth != 1:
            return result
        if _grad_enabled.get():
            raise GraphError(
                f"{self.name or 'a tensor'} requires a gradient, so it is changed in place only "
                "inside `with no_grad():` (or by way of its data, as in p.data -= 0.1 * p.grad)"
            )
        self.data = result._data
        return self

    def __pos__(self) -> Tensor:
        return self

    def __neg__(self) -> Tensor:
        return apply(_NEGATIVE, self)

    def __pow__(self, exponent: Any) -> Tensor:
        if isinstance(exponent, (int, float, np.number)):
            return apply(F.Power(float(exponent)), self)
        return apply(F.PowerOf(), self, _like(exponent, self))

    def __rpow__(self, base: Any) -> Tensor:
        return apply(F.PowerOf(), _like(base, self), self)

    def __abs__(self) -> Tensor:
        return apply(F.Abs(), self)

    def __getitem__(self, index: Index) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        plain = tuple(_row_numbers(part) if isinstance(part, Tensor) else part for part in parts)
        return apply(F.Index(plain if isinstance(index, tuple) else plain[0]), self)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum over all elements, or over `axis`."""
        return apply(F.Sum(axis, keepdims), self)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean over all elements, or over `axis`."""
        return apply(F.Mean(axis, keepdims), self)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The largest element, or along `axis`; ties share the gradient."""
        return apply(F.Max(axis, keepdims), self)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The smallest element, or along `axis`; ties share the gradient."""
        return -((-self).max(axis, keepdims))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one entry may be -1."""
        new = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return apply(F.Reshape(tuple(new)), self)

    def flatten(self) -> Tensor:
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order; reversed if none is given."""
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        return apply(F.Transpose(tuple(order) or None), self)

    @property
    def T(self) -> Tensor:
        return self.transpose()

    def exp(self) -> Tensor:
        return apply(F.Exp(), self)

    def log(self) -> Tensor:
        return apply(F.Log(), self)

    def sqrt(self) -> Tensor:
        return apply(F.Sqrt(), self)

    def abs(self) -> Tensor:
        return apply(F.Abs(), self)

    def tanh(self) -> Tensor:
        return apply(F.Tanh(), self)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """Values limited to [low, high]."""
        return apply(F.Clip(low, high), self)

    def astype(self, dtype: Any) -> Tensor:
        """The same values as float32 or float64; this tensor itself if nothing changes."""
        same = self._data.dtype is dtype or self._data.dtype == dtype
        return self if same else apply(F.Cast(_floating(dtype)), self)


_ADD, _SUBTRACT, _MULTIPLY = F.Add(), F.Subtract(), F.Multiply()
_DIVIDE, _NEGATIVE, _MATMUL = F.Divide(), F.Negative(), F.MatMul()


class Parameter(Tensor):
    """A tensor that is trained: it requires a gradient and a module knows it by name.

    >>> Parameter([0.0, 0.0]).requires_grad
    True
    """

    def __init__(self, data: Any, *, dtype: Any = None, name: str = "") -> None:
        super().__init__(data, True, dtype=dtype, name=name)


def as_tensor(data: Any) -> Tensor:
    """`data` itself if it is a tensor, else a tensor around it."""
    return data if isinstance(data, Tensor) else Tensor(data)


class _NotGiven:
    """Stands for an input that an operation does not have."""


def _plain(value: Any) -> Any:
    """`value` with arrays in the place of tensors, in lists and tuples too."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value


def _row_numbers(index: Tensor) -> Array:
    """The values of a tensor that is used as an index."""
    numbers: Array = index.data.astype(np.intp)
    if (numbers != index.data).any():
        raise ShapeError(
            "an index has to be whole numbers, or a mask that is an array: x[x > 0], not "
            "x[Tensor(x > 0)], for a tensor holds 0.0 and 1.0"
        )
    return numbers


def _like(other: Any, tensor: Tensor) -> Tensor:
    """`other` as a tensor; plain numbers take the dtype of `tensor`, so float32 stays float32."""
    if isinstance(other, Tensor):
        return other
    if isinstance(other, (int, float)):
        number = current_kernels().constant(np.asarray(other, tensor._data.dtype))
        return Tensor._of(number)
    return Tensor(other, dtype=tensor._data.dtype)


def apply(function: Function, x: Any, y: Any = _NotGiven, z: Any = _NotGiven, *more: Any) -> Tensor:
    """Run `function` on tensors, growing the graph if any of them requires a gradient.

    Inputs of other kinds are made tensors first.
    """
    k = current_kernels()
    inputs: tuple[Any, ...]
    depths: Sequence[int]
    versions: Sequence[int]
    try:
        if not x._data.ndim and not k.recording:
            k = SCALAR_KERNELS
        if y is _NotGiven:  # most operations have few inputs: spelled out, they take half the time
            inputs, versions, depth = (x,), (x._version,), x._depth
            depths = (depth,)
            output, saved = function.forward(k, x._data)
        elif z is _NotGiven:
            inputs, versions = (x, y), (x._version, y._version)
            depths = a, b = x._depth, y._depth
            depth = a if a > b else b  # which is faster than max
            output, saved = function.forward(k, x._data, y._data)
        elif not more:
            inputs, versions = (x, y, z), (x._version, y._version, z._version)
            depths = a, b, c = x._depth, y._depth, z._depth
            depth = a if a > b else b
            depth = c if c > depth else depth
            output, saved = function.forward(k, x._data, y._data, z._data)
        else:
            inputs = (x, y, z, *more)
            versions = [t._version for t in inputs]
            depths = [t._depth for t in inputs]
            depth = max(depths)
            output, saved = function.forward(k, *[t._data for t in inputs])
    except AttributeError:
        inputs = tuple(t for t in (x, y, z, *more) if t is not _NotGiven)
        if all(isinstance(t, Tensor) for t in inputs):
            raise
        return apply(function, *map(as_tensor, inputs))
    except ValueError as error:
        shapes = " and ".join(str(t.shape) for t in inputs)
        raise ShapeError(f"{function.name} cannot take shapes {shapes}: {error}") from error
    result = _new(Tensor)
    result._data = output if type(output) is _ndarray else np.asarray(output)
    result._version = 0
    result._retains = False
    result._grad = None
    result.name = ""
    if depth and _grows():
        result._depth = depth + 1
        result._function = function
        result._record = (function, inputs, saved, depths, versions)
    else:
        result._depth = 0
        result._function = result._record = None
    return result


_new, _ndarray = object.__new__, np.ndarray  # the former without what `Tensor.__init__` does
_grows = _grad_enabled.get  # found sooner by this name
