"""A plotly figure on the page that changes in place.

`st.plotly_chart` mounts a new plot whenever its figure changes. This component keeps one plot and
gives every later figure to `Plotly.react`, so zoom, pan and hover survive and nothing flickers.

plotly.js is the copy inside the installed plotly package. Streamlit serves it once to each page
load; a frame carries only the figure (`_pack`). Plots that change together with others follow a
`live_frame`: `followed_plot` is the place of such a plot, `plot_message` what it is to show.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit import runtime

from pages.parts import palette
from pages.parts.live_frame import FOLLOW

_FOLDER = Path(__file__).parent
_mount = st.components.v2.component(
    "live_plot",
    html='<div class="live-plot" role="img" data-testid="live-plot" aria-busy="true"></div>',
    css=(
        f".live-plot {{ --neutral-light: {palette.NEUTRAL_LIGHT};"
        f" --neutral-dark: {palette.NEUTRAL_DARK}; }}\n"
        + (_FOLDER / "live_plot.css").read_text(encoding="utf-8")
    ),
    js=FOLLOW + (_FOLDER / "live_plot.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # plotly.js puts its style rules in the document's head
)


def live_plot(
    figure: Mapping[str, Any],
    *,
    key: str,
    height: int,
    label: str,
    epoch: int | None = None,
    on_click: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Show `figure`; when called again with the same `key`, update the plot that is there.

    Args:
        figure: `{"data": [traces], "layout": {...}}`, as the functions of `figures` return it.
            `var(--st-...)` in a text stands for a value of Streamlit's theme, `var(--neutral)`
            for the middle of the diverging scale.
        key: Streamlit key, one for each plot of a page.
        height: in pixels; the width is the column's.
        label: what the plot shows, for screen readers.
        epoch: shown as the element's `data-epoch` once this figure is drawn.
        on_click: called before the next run with the clicked point:
            `{"x", "y", "trace", "index", "customdata"}`.
    """
    message = plot_message(
        figure, key=key, height=height, label=label, epoch=epoch, clickable=on_click is not None
    )
    events: dict[str, Any] = {}
    if on_click is not None:
        events["on_click_change"] = lambda: on_click(st.session_state[key].click)
    _mount(key=key, data=message, height=height, **events)


def followed_plot(*, key: str, height: int) -> None:
    """The place of a plot that shows what a `live_frame` holds under the same `key`."""
    _mount(key=key, data={"follow": key}, height=height)


def plot_message(
    figure: Mapping[str, Any],
    *,
    key: str,
    height: int,
    label: str,
    epoch: int | None = None,
    clickable: bool = False,
) -> bytes:
    """What a plot is to show, for the browser; the arguments are those of `live_plot`."""
    header = {
        "script": _plotly_url(key),
        "height": height,
        "label": label,
        "epoch": epoch,
        "clickable": clickable,
    }
    return _pack(header, figure)


def _pack(header: Mapping[str, Any], figure: Mapping[str, Any]) -> bytes:
    """Lines of JSON: header, layout, images and shapes, then each trace; arrays in base64.

    The browser does only what changed lines call for. New images and shapes cost little; a new
    layout or trace makes plotly.js draw everything anew. So what moves with every epoch is best
    an image or a shape. A trace of opacity 0 is there to answer the mouse, and is brought up to
    date only while the mouse is on the plot.
    """
    layout = dict(figure["layout"])
    marks = {kind: layout.pop(kind, []) for kind in ("images", "shapes")}
    traces = figure["data"]
    unseen = [i for i, trace in enumerate(traces) if trace.get("opacity") == 0]
    parts = ({**header, "unseen": unseen}, layout, marks, *traces)
    lines = (json.dumps(part, default=_typed_array, allow_nan=False) for part in parts)
    return "\n".join(lines).encode()


def _typed_array(value: Any) -> Any:
    """An array as `{"dtype", "bdata", "shape"}`, plotly's own notation for typed arrays."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"A figure holds numbers, texts and arrays, but got {value!r}.")
    if value.dtype.kind not in "fiub":
        return value.tolist()
    if value.dtype.kind == "b":
        value = value.astype(np.uint8)
    elif value.dtype.str[1:] not in ("u1", "f4"):
        value = value.astype(np.float64)
    little_endian = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
    return {
        "dtype": value.dtype.str[1:],
        "bdata": base64.b64encode(little_endian.tobytes()).decode(),
        "shape": value.shape,
    }


@cache
def _plotly_js() -> bytes:
    from plotly.offline import get_plotlyjs  # the first plot of the process pays for it

    script: str = get_plotlyjs()
    return script.encode()


def _plotly_url(key: str) -> str | None:
    """Where Streamlit serves plotly.js; it forgets files that a run did not ask for."""
    if not runtime.exists():  # run as a plain script: nothing is shown
        return None
    media = runtime.get_instance().media_file_mgr
    return media.add(_plotly_js(), "text/javascript", f"live_plot.{key}")
