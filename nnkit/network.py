"""The network of an experiment: hidden blocks and an output layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .config import LayerConfig
from .functions import Array
from .init import suiting
from .modules import BatchNorm, Dropout, LayerNorm, Linear, Module
from .modules.activations import ACTIVATIONS
from .tensor import Tensor


class Silencer(Module):
    """Passes values on, except those of silenced units, which become zero.

    >>> gate = Silencer(3)
    >>> gate.silence(1, True)
    >>> gate([[1.0, 1.0, 1.0]])
    Tensor([[1., 0., 1.]], from=multiply)
    """

    def __init__(self, units: int) -> None:
        self.mask = np.ones(units, np.float32)
        self.any_silenced = False

    def silence(self, unit: int, silenced: bool) -> None:
        """Switch a unit off, or on again."""
        self.mask[unit] = 0.0 if silenced else 1.0
        self.any_silenced = not self.mask.all()

    def forward(self, x: Tensor) -> Tensor:
        return x * Tensor._of(self.mask) if self.any_silenced else x


class Block(Module):
    """A hidden layer: linear, normalization, activation, and dropout in training."""

    def __init__(self, inputs: int, config: LayerConfig, init: str) -> None:
        rule = None if init == "auto" else init
        activation = ACTIVATIONS[config.activation]()
        self.linear = Linear(inputs, config.units, init=rule or suiting(config.activation))
        self.normalization: Module | None = None
        if config.normalization == "batch":
            self.normalization = BatchNorm(config.units)
        elif config.normalization == "layer":
            self.normalization = LayerNorm(config.units)
        self.activation: Module = activation
        self.silencer = Silencer(config.units)
        self.dropout = Dropout(config.dropout) if config.dropout else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        if self.normalization is not None:
            x = self.normalization(x)
        x = self.silencer(self.activation(x))
        return x if self.dropout is None else self.dropout(x)

    def take_units(self, other: Block, units: Sequence[int]) -> None:
        """Normalize and silence the first units as `other` does those of its `units`."""
        for unit, theirs in enumerate(units):
            self.silencer.silence(unit, not other.silencer.mask[theirs])
        ours = self.normalization
        if ours is not None and type(ours) is type(other.normalization):
            state = ours.state_dict()
            for name, values in other.normalization.state_dict().items():
                state[name][: len(units)] = values[units]
            ours.load_state_dict(state)


class Network(Module):
    """Hidden blocks, then a linear output layer that gives logits (or the predicted number).

    >>> net = Network(2, (LayerConfig(8), LayerConfig(4)), 1, generator=np.random.default_rng(0))
    >>> net(np.zeros((5, 2))).shape
    (5, 1)
    >>> [n for n, _ in net.named_parameters()][:2]
    ['hidden.0.linear.weight', 'hidden.0.linear.bias']
    """

    def __init__(
        self,
        inputs: int,
        layers: tuple[LayerConfig, ...],
        outputs: int,
        *,
        init: str = "auto",
        generator: np.random.Generator | None = None,
    ) -> None:
        sizes = [inputs, *(layer.units for layer in layers)]
        self.hidden = [Block(size, layer, init) for size, layer in zip(sizes, layers, strict=False)]
        self.output = Linear(sizes[-1], outputs, init=None if init == "auto" else init)
        self.reset_parameters(generator)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.hidden:
            x = block(x)
        logits: Tensor = self.output(x)
        return logits

    def layer_outputs(self, x: Tensor) -> list[Tensor]:
        """What each hidden layer gives, and the output layer's logits."""
        outputs: list[Tensor] = []
        for block in self.hidden:
            x = block(x)
            outputs.append(x)
        return [*outputs, self.output(x)]

    @property
    def linears(self) -> list[Linear]:
        """The linear layers from the first to the output."""
        return [*(block.linear for block in self.hidden), self.output]

    @property
    def silenced(self) -> set[tuple[int, int]]:
        """(layer, unit) of every hidden unit that is switched off."""
        return {
            (layer, int(unit))
            for layer, block in enumerate(self.hidden)
            for unit in np.flatnonzero(block.silencer.mask == 0)
        }

    def weights(self) -> list[Array]:
        """The weight matrices (out, in), first to output; shared until an optimizer is made."""
        return [layer.weights.data for layer in self.linears]

    def biases(self) -> list[Array]:
        """The bias vectors (out,), first to output; shared until an optimizer is made."""
        return [layer.biases.data for layer in self.linears]
