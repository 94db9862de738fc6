"""The network, drawn and edited in place: a Streamlit component that shows one frame at a time.

`network_view` is its place on the page. What it shows is a `NetworkFrame`, packed into one array
of bytes by `pack_frame` and sent with all else of its epoch by a `live_frame`; the browser draws it
and sends back what the user did as a `NetworkEvent`. Layers are counted from 0 over the hidden
layers, with the output layer last; inputs of a unit are the columns of its layer's weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nnkit.errors import ShapeError
from pages.parts import palette
from pages.parts.live_frame import FOLLOW

MAX_LAYERS = 10
MAX_UNITS = 64
MAX_VALUE = 1e6
FLOOR = 0.1
MOST_PICTURES = 32


# ---- frames: Python to browser -------------------------------------------------------------------


@dataclass(frozen=True)
class LayerView:
    """One layer as it is shown. `normalization` ("batch", "layer") only enters the formula."""

    units: int
    activation: str
    normalization: str = "none"


@dataclass(frozen=True)
class NetworkFrame:
    """Everything the view shows, all of one epoch.

    Args:
        epoch: the epoch all the numbers belong to.
        features: the names of all available input features, in order.
        active: for each feature, whether the network uses it.
        layers: the hidden layers, then the output layer.
        weights: for each layer an array (units, inputs); the first has one column for each
            *active* feature.
        biases: for each layer an array (units,).
        pictures: what each unit computes over the inputs: arrays (units, r, r) over the plane,
            with row 0 at the lowest x2 and column 0 at the lowest x1, or (units, r) over one
            input. The first array shows *all* features, the others the layers after their
            activation; r is the same for all.
        silenced: (layer, unit) of the hidden units that are switched off.
        selected: (layer, unit) of the selected unit.
        editable: whether the network can be edited now.
    """

    epoch: int
    features: tuple[str, ...]
    active: tuple[bool, ...]
    layers: tuple[LayerView, ...]
    weights: Sequence[NDArray[np.floating]]
    biases: Sequence[NDArray[np.floating]]
    pictures: Sequence[NDArray[np.floating]]
    silenced: frozenset[tuple[int, int]] = frozenset()
    selected: tuple[int, int] | None = None
    editable: bool = True


@np.errstate(over="ignore", invalid="ignore")
def pack_frame(
    frame: NetworkFrame, *, height: int = 520, activations: Sequence[str] = (), live: bool = False
) -> bytes:
    """Pack a frame into bytes, little-endian throughout.

    ========  =====================================================================
    uint32    length of the header
    header    JSON in ASCII, padded with spaces to a multiple of four
    float32   centre and scale of each picture, then all weights, then all biases
    uint8     the pictures, one code for each value
    ========  =====================================================================

    A code c from 1 to 255 stands for the value centre + scale · (c - 128) / 127, and 0 for a value
    that is not finite. Each picture has its own scale, the largest |value| it shows, but at least
    0.1, so that a unit that does nothing looks neutral. Outputs that are probabilities have a
    fixed one: 0.5 ± 0.5 after a sigmoid (the boundary is neutral), 0 to 1 after a softmax.
    Layers of more than 32 units, too small to see, send one code for each unit: its mean, on the
    scale of its whole picture.

    Args:
        frame: what to show.
        height: in pixels, everything included.
        activations: the activations to choose from in the hidden layers.
        live: whether frames follow each other quickly (while training).

    Raises:
        ShapeError: an array does not fit the layers.
    """
    _check(frame)
    resolution, dimensions = frame.pictures[0].shape[-1], frame.pictures[0].ndim - 1
    flat = [np.asarray(p, np.float32).reshape(len(p), -1) for p in frame.pictures]
    ranges = [_ranges(p) for p in flat]
    ranges[-1] = _output_ranges(frame.layers[-1], ranges[-1])
    values = [p if len(p) <= MOST_PICTURES else p.mean(axis=1, keepdims=True) for p in flat]
    header = {
        "epoch": int(frame.epoch),
        "features": frame.features,
        "active": [bool(on) for on in frame.active],
        "layers": [
            {"units": v.units, "activation": v.activation, "normalization": v.normalization}
            for v in frame.layers
        ],
        "resolution": resolution,
        "dimensions": dimensions,
        "pixels": [p.shape[1] for p in values],
        "silenced": sorted([int(layer), int(unit)] for layer, unit in frame.silenced),
        "selected": frame.selected and [int(index) for index in frame.selected],
        "editable": frame.editable,
        "live": live,
        "height": height,
        "activations": tuple(activations),
    }
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    floats = [*ranges, *frame.weights, *frame.biases]
    return b"".join(
        [
            len(text).to_bytes(4, "little"),
            text,
            *(np.ascontiguousarray(array, dtype="<f4").tobytes() for array in floats),
            *(_quantize(p, r).tobytes() for p, r in zip(values, ranges, strict=True)),
        ]
    )


def _check(frame: NetworkFrame) -> None:
    """Refuse arrays that do not fit the layers: the browser would show nonsense."""
    columns = [len(frame.features), *(layer.units for layer in frame.layers)]
    inputs = [sum(frame.active), *columns[1:-1]]
    side = np.shape(frame.pictures[0])[1:] if frame.pictures else ()
    expected = {
        "active": [(len(frame.features),)],
        "weights": list(zip(columns[1:], inputs, strict=True)),
        "biases": [(units,) for units in columns[1:]],
        "pictures": [(units, *side) for units in columns],
    }
    given = {
        "active": [np.shape(frame.active)],
        **{name: [np.shape(a) for a in getattr(frame, name)] for name in list(expected)[1:]},
    }
    for name, shapes in expected.items():
        if given[name] != shapes:
            raise ShapeError(f"{name} of a network frame: expected {shapes}, got {given[name]}")
    if len(set(side)) != 1 or len(side) > 2:
        raise ShapeError(f"pictures must be (units, r) or (units, r, r), got (units, {side})")


def _ranges(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre and scale of each picture (see `pack_frame`), as two columns."""
    size = np.abs(values)
    scale = np.maximum(np.where(np.isfinite(size), size, 0).max(axis=1), FLOOR)
    return np.stack([np.zeros_like(scale), scale], axis=1)


def _output_ranges(layer: LayerView, ranges: NDArray[np.float32]) -> NDArray[np.float32]:
    probability = {"sigmoid": (0.5, 0.5), "softmax": (0.0, 1.0)}
    if layer.activation not in probability:
        return ranges
    return np.tile(np.array(probability[layer.activation], np.float32), (layer.units, 1))


def _quantize(values: NDArray[np.float32], ranges: NDArray[np.float32]) -> NDArray[np.uint8]:
    centre, scale = ranges[:, :1], ranges[:, 1:]
    codes = np.rint((values - centre) * (127 / scale)) + 128
    return np.where(np.isfinite(values), np.clip(codes, 1, 255), 0).astype(np.uint8)


# ---- events: browser to Python -------------------------------------------------------------------


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
    return abs(value) <= MAX_VALUE  # which nan is not


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


def _fits(event: NetworkEvent, frame: NetworkFrame, activations: Sequence[str]) -> bool:
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


def _new_events(
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


# ---- the component -------------------------------------------------------------------------------


_MODULES = ("frame", "words", "elements", "paint", "editor", "network_view")


def _bundle() -> str:
    """The modules as one: a component's JavaScript is a single text that cannot import others.

    Comments and indentation stay behind, since that text is sent again and again.
    """
    here = Path(__file__).parent
    code = "\n".join((here / f"{name}.js").read_text(encoding="utf-8") for name in _MODULES)
    code = re.sub(r"^import .*? from .*?$", "", code, flags=re.MULTILINE | re.DOTALL)
    code = re.sub(r"^export (?!default)", "", code, flags=re.MULTILINE)
    code = re.sub(r"^\s*(//.*|/\*\*(?s:.*?)\*/)$", "", code, flags=re.MULTILINE)
    constants = {
        "STYLE": re.sub(r"\s+", " ", (here / "network_view.css").read_text(encoding="utf-8")),
        "PALETTE": {
            "negative": palette.NEGATIVE,
            "positive": palette.POSITIVE,
            "neutral_light": palette.NEUTRAL_LIGHT,
            "neutral_dark": palette.NEUTRAL_DARK,
            "classes": palette.CLASSES,
        },
        "MAX_LAYERS": MAX_LAYERS,
        "MAX_UNITS": MAX_UNITS,
        "MAX_VALUE": MAX_VALUE,
    }
    lines = [f"const {name} = {json.dumps(value)}" for name, value in constants.items()]
    lines += filter(None, (line.strip() for line in code.splitlines()))
    return "\n".join(lines)


_mount = st.components.v2.component("nnkit_network_view", js=FOLLOW + _bundle())


def network_view(
    frame: NetworkFrame,
    *,
    key: str,
    activations: Sequence[str],
    on_event: Callable[[NetworkEvent], None],
) -> None:
    """The place of a network; it shows what a `live_frame` holds under the same `key`.

    Args:
        frame: what is shown in this run, by the layers and features it has.
        key: the key of the view; it stays the same view for as long as the key does.
        activations: the activations to choose from in the hidden layers.
        on_event: called for each thing the user does to the network, as Streamlit calls its
            callbacks: before the script runs again, so that the next frame shows the edit. Only
            events that fit the frame shown last arrive. Nothing is changed by the view itself.
    """
    seen_key = f"_{key}_seen"

    def receive() -> None:
        payload = st.session_state[key].get("event")
        seen = st.session_state.get(seen_key, ("", 0))
        events, st.session_state[seen_key] = _new_events(payload, seen)
        for event in events:
            if _fits(event, frame, activations):
                on_event(event)

    _mount(key=key, data={"follow": key}, on_event_change=receive)
