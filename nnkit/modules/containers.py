"""Modules in a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from ..errors import ConfigError
from ..tensor import Tensor
from .activations import FunctionActivation
from .base import Module
from .calls import as_input, remembers


class Sequential(Module):
    """Modules applied one after the other: `Sequential(a, b, c)` or `Sequential([a, b, c])`.

    >>> from nnkit import Linear, Tanh
    >>> net = Sequential(Linear(2, 4), Tanh())
    >>> len(net.append(Linear(4, 1)))
    3
    """

    def __init__(self, *layers: Any) -> None:
        self.layers: list[Module] = []
        given = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        for layer in given:
            self.append(layer)

    def append(self, layer: Any) -> Self:
        """Add a module (or a function on tensors) at the end."""
        return self.insert(len(self.layers), layer)

    def insert(self, index: int, layer: Any) -> Self:
        """Add a module (or a function on tensors) before the one at `index`."""
        self.layers.insert(index, _as_module(layer))
        return self

    def __setitem__(self, index: int, layer: Any) -> None:
        self.layers[index] = _as_module(layer)

    def __delitem__(self, index: int) -> None:
        del self.layers[index]

    @remembers
    def forward(self, x: Any) -> Any:
        if not isinstance(x, Tensor):
            x = as_input(x, takes_lists=True)  # the first layer knows what it takes
        y = x
        for layer in self.layers:
            y = layer(y)
        self._last_call = (x, y)
        return y

    def named_children(self) -> Iterator[tuple[str, Module]]:
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))
        # What a derived class has beside them.
        yield from (pair for pair in super().named_children() if not pair[0].startswith("layers."))

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)


def _as_module(layer: Any) -> Module:
    if isinstance(layer, Module):
        return layer
    if not callable(layer) or isinstance(layer, type):
        raise ConfigError(
            "layers", f"must be modules or functions, such as ReLU() or relu; got {layer!r}"
        )
    return FunctionActivation(layer)
