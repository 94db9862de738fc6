"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import functions as F
from .. import init as initial
from ..errors import ConfigError, GraphError, ShapeError
from ..functions import Array
from ..settings import whole_number
from ..tensor import Parameter, Tensor, _floating, apply
from .activations import as_activation
from .base import Module
from .calls import as_input, remembers


class Linear(Module):
    """y = activation(x Wᵀ + b) for x of shape (..., in), W (out, in), b (out,).

    Args:
        in_features: number of inputs; None to take it from the first call.
        out_features: number of outputs.
        activation: applied to the result: a module, a function on tensors, or a name.
        bias: whether there is a b.
        init: rule for W (see `nnkit.init`); by default He's for the ReLU family and Xavier's
            otherwise. Biases start at zero.
        generator: where W is drawn from; a fresh, unseeded one if left out.
        dtype: of the parameters, and so of the output.
        input_size, output_size: other names for the two sizes.

    >>> layer = Linear(3, 2, generator=np.random.default_rng(0))
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        activation: Any = None,
        *,
        bias: bool = True,
        init: str | initial.Initializer | None = None,
        generator: np.random.Generator | None = None,
        dtype: Any = np.float32,
        input_size: int | None = None,
        output_size: int | None = None,
    ) -> None:
        features = input_size if in_features is None else in_features
        size = output_size if out_features is None else out_features
        if size is None:
            raise ConfigError("out_features", "must be given: the number of units of the layer")
        if features is not None:
            features = whole_number("in_features", features, floats=False)
        self.in_features = features
        self.out_features = whole_number("out_features", size, floats=False)
        self.activation = as_activation(activation)
        self.use_bias = bias
        self.init = init
        self.dtype = _floating(dtype)
        self._generator = generator
        self._function = F.Linear()
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if self.in_features is not None:
            self._create(self.in_features)

    def _create(self, in_features: int) -> Parameter:
        """Parameters for this number of inputs, drawn; returns the weight."""
        self._allocate(in_features)
        self._initialize(np.random.default_rng(self._generator))
        return self.weights

    def _allocate(self, in_features: int) -> None:
        """Parameters of zeros, in one block: the bias right below Wᵀ."""
        self.in_features = in_features
        block = np.zeros((in_features + 1, self.out_features), self.dtype)
        self.weight = Parameter(block[:-1].T, name="weight")
        if self.use_bias:
            self.bias = Parameter(block[-1], name="bias")

    @property
    def is_sized(self) -> bool:
        return self.weight is not None

    def _size_for(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        shape = shapes.get("weight", ())
        if len(shape) == 2 and shape[1]:
            self._allocate(shape[1])

    def _initialize(self, generator: np.random.Generator) -> None:
        self._generator = generator
        if self.weight is None:
            return
        rule = self.init
        if rule is None:
            rule = initial.suiting(getattr(self.activation, "name", ""))
        self.weight.data = initial.initializer(rule)(self.weight.shape, generator)
        if self.bias is not None:
            self.bias.data = np.zeros(self.bias.shape)

    @remembers
    def forward(self, x: Any) -> Tensor:
        if not isinstance(x, Tensor):
            x = as_input(x)
        weight, bias, data = self.weight, self.bias, x._data
        shape = data.shape
        if (
            bias is None
            or len(shape) != 2
            or shape[1] != self.in_features
            or data.dtype is not bias._data.dtype
        ):
            y = self._of_any_form(x)
        else:
            y = apply(self._function, x, weight, bias)
        if self.activation is not None:
            y = self.activation(y)
        self._last_call = (x, y)
        return y

    def _of_any_form(self, x: Tensor) -> Tensor:
        """The output for `x` of any shape and dtype; at the first call, parameters to fit it."""
        shape = x._data.shape
        if self.weight is None and shape:
            self._create(shape[-1])
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(
                f"{type(self).__name__} expected inputs of shape (examples, {self.in_features}), "
                f"got {shape}"
            )
        rows = x if len(shape) == 2 else x.reshape(-1, shape[-1])
        rows = rows.astype(self.weights.dtype)
        if self.bias is None:
            y = apply(_WITHOUT_BIAS, rows, self.weight)
        else:
            y = apply(self._function, rows, self.weight, self.bias)
        return y if len(shape) == 2 else y.reshape(*shape[:-1], self.out_features)

    # The names of the manual style ----------------------------------------------------------

    @property
    def output(self) -> Tensor:
        """What the last call gave (after the activation, where the layer has one)."""
        last = getattr(self, "_last_call", None)
        if last is None:
            raise GraphError(f"{self!r} has no output before it is called")
        output: Tensor = last[1]
        return output

    @property
    def weights(self) -> Parameter:
        """W, shape (out, in)."""
        return _built(self.weight, self)

    @property
    def biases(self) -> Parameter:
        """b, shape (out,)."""
        return _built(self.bias, self)

    @property
    def grad_weights(self) -> Array:
        """dL/dW as an array; zero before the first backward pass."""
        return _gradient(self.weights)

    @grad_weights.setter
    def grad_weights(self, value: Array) -> None:
        self.weights.grad = value

    @property
    def grad_biases(self) -> Array:
        """dL/db as an array; zero before the first backward pass."""
        return _gradient(self.biases)

    @grad_biases.setter
    def grad_biases(self, value: Array) -> None:
        self.biases.grad = value

    grad_bias = grad_biases

    def _describe(self) -> str:
        parts = [f"in_features={self.in_features}", f"out_features={self.out_features}"]
        return ", ".join(parts if self.use_bias else [*parts, "bias=False"])


class Dense(Linear):
    """`Linear` under its other name: `Dense(64)` takes the number of inputs from the first call.

    >>> Dense(10, 64, activation="relu").weight.shape
    (64, 10)
    >>> Dense(64)(np.ones((5, 3))).shape
    (5, 64)
    """

    def __init__(
        self,
        in_features: int | None = None,
        out_features: int | None = None,
        use_bias: bool = True,
        activation: Any = None,
        **options: Any,
    ) -> None:
        if out_features is None and "output_size" not in options:
            in_features, out_features = None, in_features
        super().__init__(in_features, out_features, activation, bias=use_bias, **options)


_WITHOUT_BIAS = F.LinearWithoutBias()


def _built(parameter: Parameter | None, layer: Linear) -> Parameter:
    if parameter is None:
        raise GraphError(
            f"{layer!r} has no such parameter (yet): its inputs are counted at the first call"
        )
    return parameter


def _gradient(parameter: Parameter) -> Array:
    gradient = parameter.grad
    if gradient is None:
        gradient = parameter._grad = np.zeros_like(parameter._data)
    return gradient
