"""Activations as functions on tensors (`relu(x)`) and as modules (`ReLU()`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from .. import functions as F
from ..errors import ConfigError, GraphError
from ..functions import Array
from ..tensor import Tensor, apply, as_tensor
from .base import Module
from .calls import as_input, remembers


def relu(x: Any) -> Tensor:
    """max(x, 0) (Nair and Hinton, 2010).

    >>> relu([-1.0, 2.0])
    Tensor([0., 2.])
    """
    return apply(_RELU, x)


def leaky_relu(x: Any, alpha: float = 0.01) -> Tensor:
    """x where positive, else alpha·x (Maas et al., 2013).

    >>> leaky_relu([-1.0, 2.0], alpha=0.5)
    Tensor([-0.5,  2. ])
    """
    return apply(F.LeakyReLU(alpha), x)


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """x·Φ(x) with Φ the normal distribution function (Hendrycks and Gimpel, 2016).

    `approximate="tanh"` takes their cheaper formula, ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    >>> gelu([0.0, 1.0])
    Tensor([0.    , 0.8413])
    """
    return apply(_gelu(approximate), x)


def _gelu(approximate: str) -> F.Function:
    if approximate not in ("none", "tanh"):
        raise ConfigError("approximate", f"must be 'none' or 'tanh', got {approximate!r}")
    return _GELU_TANH if approximate == "tanh" else _GELU


def sigmoid(x: Any) -> Tensor:
    """1/(1 + e⁻ˣ), the logistic function.

    >>> sigmoid([0.0])
    Tensor([0.5])
    """
    return apply(_SIGMOID, x)


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent.

    >>> tanh([0.0, 100.0])
    Tensor([0., 1.])
    """
    return apply(_TANH, x)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """eˣ/Σeˣ along `axis`: positive numbers that sum to 1.

    >>> softmax([[0.0, 0.0]])
    Tensor([[0.5, 0.5]])
    """
    return apply(F.Softmax(axis), x)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """x - log Σeˣ along `axis`, finite for every finite x.

    >>> log_softmax([[0.0, 10000.0]])
    Tensor([[-10000.,      0.]])
    """
    return apply(F.LogSoftmax(axis), x)


def silu(x: Any) -> Tensor:
    """x·σ(x), also called swish (Elfwing et al., 2018).

    >>> silu([0.0])
    Tensor([0.])
    """
    return apply(_SILU, x)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha·(eˣ - 1) (Clevert et al., 2016).

    >>> elu([-100.0, 2.0])
    Tensor([-1.,  2.])
    """
    return apply(F.ELU(alpha), x)


def softplus(x: Any) -> Tensor:
    """log(1 + eˣ), a smooth ReLU (Dugas et al., 2001).

    >>> softplus([0.0])
    Tensor([0.6931])
    """
    return apply(_SOFTPLUS, x)


def sine(x: Any) -> Tensor:
    """sin x, for periodic targets (Sitzmann et al., 2020).

    >>> sine([0.0])
    Tensor([0.])
    """
    return apply(_SIN, x)


def identity(x: Any) -> Tensor:
    """x itself.

    >>> identity([1.0])
    Tensor([1.])
    """
    return as_tensor(x)


_RELU, _GELU, _GELU_TANH, _SIGMOID = F.ReLU(), F.GELU(), F.GELUTanh(), F.Sigmoid()
_TANH, _SILU, _SOFTPLUS, _SIN = F.Tanh(), F.SiLU(), F.Softplus(), F.Sin()


class Activation(Module):
    """Base of the activations: a module without parameters that applies one function.

    >>> class Double(Activation):
    ...     name, function = "double", staticmethod(lambda x: 2 * x)
    >>> Double()([1.0, 2.0])
    Tensor([2., 4.], from=multiply)
    """

    name: ClassVar[str]
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, **options: Any) -> None:
        self.options = options

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "function" in vars(cls) and "operation" not in vars(cls):
            cls.operation = None  # type: ignore[assignment, method-assign]

    @property
    def operation(self) -> F.Function | None:
        """The function with its options as one operation of the graph, where it is one."""
        return None

    @remembers
    def forward(self, x: Any) -> Tensor:
        if not isinstance(x, Tensor):
            x = as_input(x)
        operation = self.operation
        y = type(self).function(x, **self.options) if operation is None else apply(operation, x)
        self._last_call = (x, y)
        return y

    def gradient(self, x: Any) -> Array:
        """dy/dx at `x` as an array, for activations that work element by element.

        >>> ReLU().gradient([-1.0, 2.0])
        array([0., 1.], dtype=float32)
        """
        if "axis" in self.options:
            raise GraphError(
                f"each output of {type(self).__name__} depends on several inputs; "
                "call it, and then backward(grad)"
            )
        y = self(x.data if isinstance(x, Tensor) else x)
        return np.asarray(self.backward(np.ones(y.shape)))

    def _describe(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.options.items())


class ReLU(Activation):
    """max(x, 0) as a module.

    >>> ReLU()([-1.0, 2.0])
    Tensor([0., 2.], from=relu)
    """

    name, function, operation = "relu", relu, _RELU


class LeakyReLU(Activation):
    """x where positive, else alpha·x, as a module."""

    name, function = "leaky_relu", leaky_relu

    def __init__(self, alpha: float = 0.01) -> None:
        super().__init__(alpha=alpha)

    @property
    def operation(self) -> F.Function:
        return F.LeakyReLU(self.options["alpha"])


class GELU(Activation):
    """x·Φ(x) as a module; `approximate="tanh"` for the cheaper formula."""

    name, function = "gelu", gelu

    def __init__(self, approximate: str = "none") -> None:
        _gelu(approximate)  # refuses an unknown name
        super().__init__(approximate=approximate)

    @property
    def operation(self) -> F.Function:
        return _gelu(self.options["approximate"])


class Sigmoid(Activation):
    """1/(1 + e⁻ˣ) as a module."""

    name, function, operation = "sigmoid", sigmoid, _SIGMOID


class Tanh(Activation):
    """The hyperbolic tangent as a module."""

    name, function, operation = "tanh", tanh, _TANH


class Softmax(Activation):
    """eˣ/Σeˣ along an axis as a module."""

    name, function = "softmax", softmax

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)

    @property
    def operation(self) -> F.Function:
        return F.Softmax(self.options["axis"])


class LogSoftmax(Activation):
    """x - log Σeˣ along an axis as a module."""

    name, function = "log_softmax", log_softmax

    def __init__(self, axis: int = -1) -> None:
        super().__init__(axis=axis)

    @property
    def operation(self) -> F.Function:
        return F.LogSoftmax(self.options["axis"])


class SiLU(Activation):
    """x·σ(x) as a module."""

    name, function, operation = "silu", silu, _SILU


class ELU(Activation):
    """x where positive, else alpha·(eˣ - 1), as a module."""

    name, function = "elu", elu

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)

    @property
    def operation(self) -> F.Function:
        return F.ELU(self.options["alpha"])


class Softplus(Activation):
    """log(1 + eˣ) as a module."""

    name, function, operation = "softplus", softplus, _SOFTPLUS


class Sine(Activation):
    """sin x as a module."""

    name, function, operation = "sine", sine, _SIN


class Identity(Activation):
    """x itself as a module."""

    name, function = "identity", identity


ACTIVATIONS: Mapping[str, type[Activation]] = MappingProxyType({
    cls.name: cls
    for cls in (
        ReLU, LeakyReLU, GELU, Sigmoid, Tanh, Softmax, LogSoftmax, SiLU, ELU, Softplus, Sine,
        Identity,
    )
})  # fmt: skip


class FunctionActivation(Module):
    """Any function from tensor to tensor, as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", "function")

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

    def _describe(self) -> str:
        return self.name


def as_activation(activation: Any) -> Module | None:
    """The module for a name, a function, a module, or None.

    >>> as_activation("relu")
    ReLU()
    """
    if activation is None or isinstance(activation, Module):
        return activation
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ConfigError(
                "activation", f"must be one of {', '.join(ACTIVATIONS)}; got {activation!r}"
            )
        return ACTIVATIONS[activation]()
    if not callable(activation):
        raise ConfigError(
            "activation", f"must be a module, a function or a name; got {activation!r}"
        )
    for cls in ACTIVATIONS.values():
        if activation is cls.function:
            return cls()
    return FunctionActivation(activation)
