"""Edits of the network, from the row of controls above it and from the network view itself."""

from __future__ import annotations

import dataclasses
from typing import Any

from nnkit.config import LayerConfig
from nnkit.datasets import feature_names
from nnkit.errors import ConfigError
from nnkit.settings import MAX_LAYERS
from pages.parts import state, views
from pages.parts.network_view.events import NetworkEvent


def apply(event: NetworkEvent) -> None:
    """Do what the visitor did in the network view.

    Raises:
        ConfigError: it cannot be; nothing has changed.
    """
    match event:
        case NetworkEvent("select", layer=layer, unit=unit):
            chosen = None if layer is None or unit is None else (layer, unit)
            state.session().selected = chosen
        case NetworkEvent("add_layer", at=int(at)):
            add_layer(at)
        case NetworkEvent("remove_layer", layer=int(layer)):
            remove_layer(layer)
        case NetworkEvent("add_unit", layer=int(layer)):
            change_layer(layer, units=_layers()[layer].units + 1)
        case NetworkEvent("remove_unit", layer=int(layer), unit=unit):
            remove_unit(layer, unit)
        case NetworkEvent("set_activation", layer=int(layer), activation=str(activation)):
            change_layer(layer, activation=activation)
        case NetworkEvent("toggle_feature", feature=str(feature)):
            toggle_feature(feature)
        case NetworkEvent("silence", layer=int(layer), unit=int(unit), silenced=bool(silenced)):
            silence(layer, unit, silenced)
        case NetworkEvent("set_weight", layer=int(layer), unit=int(unit), input=int(source)):
            set_weight(layer, unit, source, float(event.value or 0))
        case NetworkEvent("set_bias", layer=int(layer), unit=int(unit)):
            set_bias(layer, unit, float(event.value or 0))


def _layers() -> tuple[LayerConfig, ...]:
    return state.experiment().config.layers


def add_layer(at: int | None = None) -> None:
    """A layer like the one before it, at a place or at the end."""
    layers = list(_layers())
    if len(layers) == MAX_LAYERS:
        raise ConfigError("layers", f"there are {MAX_LAYERS} already, the most there can be")
    at = len(layers) if at is None else at
    layers.insert(at, layers[max(at - 1, 0)] if layers else LayerConfig())
    state.change(layers=tuple(layers))


def remove_layer(layer: int | None = None) -> None:
    """One layer less: a given one, or the last."""
    layers = list(_layers())
    if layers:
        layers.pop(-1 if layer is None else layer)
        state.change(layers=tuple(layers))


def change_layer(layer: int, **settings: Any) -> None:
    """Other units, activation, dropout or normalization for one layer."""
    layers = list(_layers())
    if layer >= len(layers):  # the browser has not heard yet that it is gone
        return
    layers[layer] = dataclasses.replace(layers[layer], **settings)
    state.change(layers=tuple(layers))


def remove_unit(layer: int, unit: int | None) -> None:
    """One unit less; without a number, the last of its layer."""
    units = _layers()[layer].units
    if units == 1:
        raise ConfigError("units", "a layer needs at least one; remove the layer instead")
    removed = units - 1 if unit is None else unit
    change = dataclasses.replace(_layers()[layer], units=units - 1)
    layers = tuple(change if i == layer else old for i, old in enumerate(_layers()))
    stay = [old for old in range(units) if old != removed]
    config = state.experiment().config.replace(layers=layers)
    state.adopt(config, keep_weights=True, kept_units={layer: stay})


def toggle_feature(name: str) -> None:
    """Give the network an input feature, or take it away."""
    now = state.experiment()
    used = set(now.config.features) ^ {name}
    available = feature_names(now.data.inputs.shape[1])
    state.change(features=tuple(feature for feature in available if feature in used))


def set_weight(layer: int, unit: int, source: int, value: float) -> None:
    """Give one weight a value; training goes on from there."""
    now = state.experiment()
    if layer == 0:
        source = views.feature_columns(now)[source]
    before = float(now.network.linears[layer].weights.data[unit, source])
    state.edit(
        "a weight",
        lambda: now.set_weight(layer, unit, source, value),
        lambda: now.set_weight(layer, unit, source, before),
    )


def set_bias(layer: int, unit: int, value: float) -> None:
    """Give one bias a value; training goes on from there."""
    now = state.experiment()
    before = float(now.network.linears[layer].biases.data[unit])
    state.edit(
        "a bias",
        lambda: now.set_bias(layer, unit, value),
        lambda: now.set_bias(layer, unit, before),
    )


def silence(layer: int, unit: int, silenced: bool) -> None:
    """Switch a hidden unit off, or on again."""
    now = state.experiment()
    state.edit(
        "silencing",
        lambda: now.silence(layer, unit, silenced),
        lambda: now.silence(layer, unit, not silenced),
    )
