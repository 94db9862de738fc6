"""What charts are put together from: axes, lines, points, colours, limits, texts."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.palette import NEGATIVE, POSITIVE
from pages.parts.texts import shortened

Figure = dict[str, Any]

TEXT = "var(--st-text-color)"
MUTED = "var(--st-gray-text-color)"
LINES = "var(--st-border-color-light)"
PAPER = "var(--st-background-color)"
NEUTRAL = "var(--neutral)"
CLEAR = "rgba(0,0,0,0)"


def layout(**settings: Any) -> dict[str, Any]:
    """What all charts share, with `settings` on top. Margins are fixed: measuring them is slow."""
    font = {"family": "var(--st-font)", "size": 12, "color": TEXT}
    shared = {
        "uirevision": "same",  # keeps zoom and pan over updates
        "margin": {"l": 46, "r": 8, "t": 8, "b": 38},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "showlegend": False,
        "font": font,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": LINES, "font": font},
        "modebar": {"bgcolor": CLEAR, "color": MUTED, "activecolor": TEXT},
    }
    return shared | settings


def axis(title: str, limits: Sequence[float], **settings: Any) -> dict[str, Any]:
    shared = {
        "title": {"text": title, "font": {"size": 12, "color": MUTED}, "standoff": 4},
        "range": list(limits),
        "gridcolor": LINES,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": 11, "color": MUTED},
        "automargin": False,
    }
    return shared | settings


def unit_square(x_title: str, y_title: str) -> dict[str, Any]:
    """A layout whose axes both go from 0 to 1, with the diagonal."""
    limits = [-0.02, 1.02]
    return layout(
        xaxis=axis(x_title, limits, nticks=6, constrain="domain"),
        yaxis=axis(y_title, limits, nticks=6, constrain="domain", scaleanchor="x"),
        shapes=[segment(0, 0, 1, 1)],
    )


def markers(
    points: NDArray[Any],
    name: str,
    colour: str,
    *,
    symbol: str = "circle",
    size: int = 7,
    hollow: bool = False,
) -> dict[str, Any]:
    """Points of shape (n, 2) as a trace of one colour and symbol."""
    fill, edge, width = (PAPER, colour, 1.6) if hollow else (colour, PAPER, 0.8)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": np.asarray(points[:, 0], dtype=np.float32),
        "y": np.asarray(points[:, 1], dtype=np.float32),
        "marker": {
            "symbol": symbol,
            "size": size,
            "color": fill,
            "line": {"color": edge, "width": width},
        },
        "hovertemplate": "%{fullData.name}<br>%{x:.3~g}, %{y:.3~g}<extra></extra>",
    }


def ringed(figure: Figure, points: NDArray[Any]) -> Figure:
    """The figure with a ring around each of the points (k, 2)."""
    ring = markers(points, "marked", TEXT, symbol="circle-open", size=14)
    ring["marker"]["line"] = {"width": 2}
    ring |= {"hoverinfo": "skip", "hovertemplate": None}
    return {**figure, "data": [*figure["data"], ring]}


def coloured(values: NDArray[Any], limit: float) -> dict[str, Any]:
    """What gives markers or their edges the colours of values, from `-limit` to `limit`."""
    return {
        "color": values,
        "colorscale": [[0, NEGATIVE], [0.5, NEUTRAL], [1, POSITIVE]],
        "cmin": -limit,
        "cmax": limit,
    }


def colour_bar() -> dict[str, Any]:
    """What shows the scale of coloured markers beside the chart."""
    bar = {"thickness": 8, "outlinewidth": 0, "len": 1, "ypad": 0, "xpad": 6, "nticks": 5}
    return {"showscale": True, "colorbar": bar | {"tickfont": {"size": 11, "color": MUTED}}}


def line(x: NDArray[Any], y: NDArray[Any], name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "line": {"color": colour, "width": 1.5},
        "hovertemplate": "%{y:.4~g}",
    }


def curve(
    x: NDArray[Any],
    y: NDArray[Any],
    name: str,
    colour: str,
    width: float = 1.5,
    dash: str = "solid",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line that is quick to move: a shape to see, and an unseen trace to answer the mouse.

    Values that are not finite leave a gap; a single point is drawn as a dot.
    """
    finite = np.isfinite(y)
    commands = np.where(np.roll(finite, 1), "L", "M")  # after a gap: move, do not draw
    commands[:1] = "M"
    steps = zip(commands.tolist(), x.tolist(), y.tolist(), finite.tolist(), strict=True)
    path = "".join(f"{command}{a:.6g},{b:.6g}" for command, a, b, shown in steps if shown)
    shape: dict[str, Any] = {"name": name, "line": {"color": colour, "width": width, "dash": dash}}
    if finite.sum() == 1:
        at = int(np.argmax(finite))
        shape |= {"type": "circle", "x0": -2, "x1": 2, "y0": -2, "y1": 2, "fillcolor": colour}
        shape |= {"xsizemode": "pixel", "ysizemode": "pixel"}
        shape |= {"xanchor": float(x[at]), "yanchor": float(y[at])}
    else:
        shape |= {"type": "path", "path": path or "M0,0", "visible": bool(path)}
    return shape, line(x, y, name, colour) | {"opacity": 0, "showlegend": False}


def segment(x0: float, y0: float, x1: float, y1: float, **settings: Any) -> dict[str, Any]:
    """A dotted straight line to compare with."""
    ends = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
    dotted = {"color": MUTED, "width": 1, "dash": "dot"}
    return {"type": "line", **ends, "line": dotted, "layer": "below"} | settings


def note(text: str, **place: Any) -> dict[str, Any]:
    return {"text": text, "showarrow": False, "xanchor": "left"} | place


def thin(*series: NDArray[Any], limit: int = 400) -> NDArray[np.intp]:
    """Indices of at most `limit` entries that keep the shape of all `series` of one length.

    Of each stretch of 2ᵏ entries the lowest and the highest of every series are kept, and always
    the very first and last. Stretches start at multiples of 2ᵏ, so a curve that grows keeps what
    is drawn already until it has doubled.

    >>> thin(np.arange(1000.0), limit=10)
    array([  0, 255, 256, 511, 512, 767, 768, 999])
    """
    length = len(series[0])
    if length <= limit:
        return np.arange(length)
    stretches = max(1, (limit - 2) // (2 * len(series)))
    width = 2 ** math.ceil(math.log2(length / stretches))
    starts = np.arange(0, length, width)
    kept = [np.array([0, length - 1])]
    for values in series:
        padding = np.full(len(starts) * width - length, np.nan)
        rows = np.concatenate((values, padding)).reshape(len(starts), width)
        kept.append(starts + np.where(np.isnan(rows), np.inf, rows).argmin(axis=1))
        kept.append(starts + np.where(np.isnan(rows), -np.inf, rows).argmax(axis=1))
    return np.unique(np.concatenate(kept))


def highest(values: NDArray[Any], default: float) -> float:
    """The largest finite value, or `default` where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else default


def largest(values: NDArray[Any]) -> float:
    """The largest absolute value, or 1 where there is none above 0."""
    return highest(np.abs(values), 0.0) or 1.0


def round_up(value: float) -> float:
    """The next number with a short name, for an axis that seldom moves.

    >>> round_up(0.69), round_up(10), round_up(43)
    (0.8, 10.0, 50.0)
    """
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return float(f"{power * next(step for step in steps if step * power >= value * 0.999999):.6g}")


def decades(values: NDArray[Any]) -> list[float]:
    """Limits of a logarithmic axis, as powers of ten, around all values above zero.

    >>> decades(np.array([0.7, 0.02, 0.0]))
    [-2, 0]
    """
    logarithms = np.log10(values[np.isfinite(values) & (values > 0)])
    if not logarithms.size:
        return [-3, 0]
    low, high = math.floor(logarithms.min()), math.ceil(logarithms.max())
    return [min(low, high - 1), high]


def padded(values: NDArray[Any]) -> list[float]:
    """Limits a tenth beyond the finite values on both sides."""
    low, high = -highest(-values, 1.0), highest(values, 1.0)
    padding = 0.1 * (high - low) or 1.0
    return [low - padding, high + padding]


def safe_text(name: object, limit: int = 40) -> str:
    """A name from outside, cut at `limit`, in which plotly reads no markup and no placeholder."""
    return html.escape(shortened(str(name), limit), quote=False).replace("%{", "%&#123;")
