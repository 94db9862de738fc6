"""What the user did in the network view, as the browser tells it: anything may come from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nnkit.experiment import BY_HAND
from nnkit.settings import MAX_LAYERS, MAX_UNITS
from pages.parts.network_frame import NetworkFrame


@dataclass(frozen=True)
class NetworkEvent:
    """What the user did. Only the fields that `ACTIONS` lists for the action are set."""

    action: str
    at: int | None = None
    layer: int | None = None
    unit: int | None = None
    input: int | None = None
    value: float | None = None
    activation: str | None = None
    feature: str | None = None
    silenced: bool | None = None


ACTIONS: Mapping[str, tuple[str, ...]] = {
    "add_layer": ("at",),
    "remove_layer": ("layer",),
    "add_unit": ("layer",),
    "remove_unit": ("layer", "unit"),
    "set_activation": ("layer", "activation"),
    "toggle_feature": ("feature",),
    "set_weight": ("layer", "unit", "input", "value"),
    "set_bias": ("layer", "unit", "value"),
    "select": ("layer", "unit"),
    "silence": ("layer", "unit", "silenced"),
}


def parse_event(raw: object) -> NetworkEvent | None:
    """The event that `raw` stands for, or None: it comes from a browser, so anything may come.

    `remove_unit` with `unit` None removes the last unit of the layer, whichever that is by then;
    `select` with `layer` and `unit` None means that no unit is selected any more.

    >>> parse_event({"action": "add_unit", "layer": 1}).layer
    1
    >>> parse_event({"action": "add_unit", "layer": -1}) is None
    True
    """
    if not isinstance(raw, dict):
        return None
    action = raw.get("action")
    if not isinstance(action, str) or action not in ACTIONS:
        return None
    values = {name: raw.get(name) for name in ACTIONS[action]}
    if action == "select" and values == {"layer": None, "unit": None}:
        return NetworkEvent(action)
    if action == "remove_unit" and values["unit"] is None:
        del values["unit"]
    if not all(_VALID[name](value) for name, value in values.items()):
        return None
    return NetworkEvent(action, **values)


def _is_index(limit: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and 0 <= value < limit


def _is_value(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return BY_HAND.low <= value <= BY_HAND.high  # which nan is not


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


_VALID: Mapping[str, Callable[[object], bool]] = {
    "at": _is_index(MAX_LAYERS),
    "layer": _is_index(MAX_LAYERS + 1),
    "unit": _is_index(MAX_UNITS),
    "input": _is_index(MAX_UNITS),
    "value": _is_value,
    "activation": _is_name,
    "feature": _is_name,
    "silenced": lambda value: isinstance(value, bool),
}


def fits(event: NetworkEvent, frame: NetworkFrame, activations: Sequence[str]) -> bool:
    """Whether the event speaks of things that are in the frame the user saw."""
    layers = frame.layers
    hidden = len(layers) - 1
    if event.layer is not None:
        last = hidden if event.action in ("select", "set_weight", "set_bias") else hidden - 1
        if event.layer > last:
            return False
        if event.unit is not None and event.unit >= layers[event.layer].units:
            return False
        if event.input is not None and event.input >= frame.weights[event.layer].shape[1]:
            return False
    return (
        (event.at is None or event.at <= hidden)
        and (event.activation is None or event.activation in activations)
        and (event.feature is None or event.feature in frame.features)
    )


def new_events(
    payload: object, seen: tuple[str, int]
) -> tuple[list[NetworkEvent], tuple[str, int]]:
    """The events in a message that were not in earlier ones, and what has been seen now.

    Streamlit delivers only the last of several triggers that come while a script is busy, so the
    browser repeats the events of the last seconds in every message, numbered in order and marked
    with the mount they come from.
    """
    match payload:
        case {"mount": str(mount), "events": list(raws)}:
            pass
        case _:
            return [], seen
    last = seen[1] if seen[0] == mount else 0
    events = []
    for raw in raws:
        number = raw.get("number") if isinstance(raw, dict) else None
        event = parse_event(raw)
        if type(number) is int and number > last:
            last = number
            if event is not None:
                events.append(event)
    return events, (mount, last)
