"""One frame of everything that is watched, shown all at once.

Elements of their own reach the browser one by one, and Streamlit draws them as they come: a chart
would show an epoch that another has already left. Here a frame is one message. It holds the
status and what each view shows, and the browser hands them out between two screen refreshes.

A view takes part by following a name: its Python mounts it once a run, with `data={"follow": name}`
and `FOLLOW` in front of its JavaScript, which calls `follow(name, show)` and is given every message
that `live_frame` holds for that name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

_FOLDER = Path(__file__).parent

#: JavaScript that defines `follow(name, show)`, which returns a function to stop.
FOLLOW = (_FOLDER / "follow.js").read_text(encoding="utf-8")

_mount = st.components.v2.component(
    "live_frame",
    html='<div class="live-frame"></div>',
    js=FOLLOW + (_FOLDER / "live_frame.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def live_frame(status: str, messages: Mapping[str, bytes], *, key: str, live: bool) -> None:
    """Show `status`, and let every view that follows one of the names show its message.

    Args:
        status: one HTML element, with all texts in it escaped. It stays the same element from
            frame to frame; only what differs in it is changed.
        messages: by name, what the views are to show.
        key: Streamlit key.
        live: whether frames follow each other quickly; a visitor who prefers reduced motion is
            then shown four a second.
    """
    _mount(key=key, data=_pack(status, messages, live))


def _pack(status: str, messages: Mapping[str, bytes], live: bool) -> bytes:
    """A line of JSON with names and lengths in bytes, then the parts; the status is the first."""
    parts = [status.encode(), *messages.values()]
    header = {"live": live, "names": list(messages), "lengths": [len(part) for part in parts]}
    return b"".join((json.dumps(header).encode(), b"\n", *parts))
