"""The network, drawn and edited in place: a Streamlit component that shows one frame at a time.

`network_view` is its place on the page. What it shows is a `NetworkFrame`, packed into one array
of bytes by `pack_frame` and sent with all else of its epoch by a `live_frame`; the browser draws it
and sends back what the user did as a `NetworkEvent`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from nnkit.experiment import BY_HAND
from nnkit.settings import MAX_LAYERS, MAX_UNITS
from pages.parts import palette
from pages.parts.live_frame import FOLLOW
from pages.parts.network_frame import NetworkFrame
from pages.parts.network_view.events import NetworkEvent, fits, new_events

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
        "MAX_VALUE": BY_HAND.high,
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
        events, st.session_state[seen_key] = new_events(payload, seen)
        for event in events:
            if fits(event, frame, activations):
                on_event(event)

    _mount(key=key, data={"follow": key}, on_event_change=receive)
