"""Charts of networks and their training: data in, plotly figure out. Nothing here knows Streamlit.

A figure is the plain dict that plotly defines, `{"data": [traces], "layout": {...}}`;
`plotly.graph_objects.Figure(figure)` makes the class of it. Texts like `var(--st-text-color)`
stand for the page's theme and are filled in where the figure is drawn, by `live_plot`.

Made to be redrawn many times a second. Margins and ranges are fixed, each class is one trace of one
colour and shape, and what moves with every epoch is an image (the plane behind the points) or a
shape (a curve): plotly moves those without drawing points and axes anew. An unseen trace with the
same numbers answers the mouse.

The plane: a grid of shape (rows, columns) holds values at evenly spaced points, edges included;
row 0 is the lowest x₂, column 0 the lowest x₁. `extent` is (x₁ low, x₁ high, x₂ low, x₂ high).
Points are (inputs of shape (n, 2), targets of shape (n,)); above `MAX_POINTS`, every k-th is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnkit.assembly import likeliest
from pages.parts.figure_parts import (
    MUTED,
    NEUTRAL,
    PAPER,
    TEXT,
    Figure,
    axis,
    colour_bar,
    coloured,
    curve,
    decades,
    highest,
    largest,
    layout,
    markers,
    note,
    padded,
    round_up,
    safe_text,
    thin,
)
from pages.parts.palette import CLASSES, NEGATIVE, POSITIVE
from pages.parts.pictures import class_image, sample, value_image

Extent = tuple[float, float, float, float]
Points = tuple[NDArray[Any], NDArray[Any]]

INPUT_NAMES = ("x₁", "x₂")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "hexagon")
SIGNS = "●■◆▲★⬢"  # the same in text
MAX_POINTS = 1500
UNIFIED_HOVER = {
    "unifiedhovertitle": {"text": "epoch %{x:d}"},
    "spikecolor": MUTED,
    "spikethickness": 1,
    "spikedash": "dot",
}


# --- The plane ---------------------------------------------------------------------------------


def decision_boundary(
    grid: NDArray[Any],
    extent: Extent,
    train: Points | None = None,
    test: Points | None = None,
    *,
    class_names: Sequence[str] = ("0", "1"),
    input_names: Sequence[str] = INPUT_NAMES,
    discretize: bool = False,
) -> Figure:
    """Class regions under the points, each class with a colour and a shape.

    Args:
        grid: probability of class 1, shape (r, r), or of every class, shape (r, r, classes).
            Sure regions are strongly coloured, undecided ones grey.
        test: drawn hollow.
        discretize: show only which class is likeliest, not how likely it is.
    """
    grid = np.asarray(grid)
    if grid.ndim == 2:
        grid = np.stack((1 - grid, grid), axis=2)
    names = [safe_text(name) for name in class_names]
    even = 1 / grid.shape[2]
    confidence = (grid.max(axis=2) - even) / (1 - even or 1)
    if discretize:
        confidence = np.ones_like(confidence)
    image = class_image(likeliest(grid), confidence, grid.shape[2])
    traces = [_unseen_classes(grid, extent, names)]
    traces += _class_points(train, names) + _class_points(test, names, hollow=True)
    plane = _plane(image, grid.shape, extent, input_names)
    return {"data": traces, "layout": plane | {"annotations": [_key(class_names)]}}


def _key(class_names: Sequence[str]) -> dict[str, Any]:
    """Which colour and shape is which class, in a line above the plane."""
    room = 40 // min(len(class_names), len(CLASSES))  # characters for each
    parts = [
        f'<span style="color:{colour}">{sign}</span> {safe_text(name, room)}'
        for colour, sign, name in zip(CLASSES, SIGNS, class_names)  # noqa: B905 (there may be more)
    ]
    if len(class_names) > len(parts):
        parts.append(f"and {len(class_names) - len(parts)} more")
    place = {"xref": "x domain", "yref": "y domain", "x": 0, "y": 1, "yanchor": "bottom"}
    font = {"size": 11, "color": MUTED}
    return note("class " + " \u2002".join(parts), **place, font=font)


def regression_surface(
    grid: NDArray[Any],
    extent: Extent,
    train: Points,
    test: Points | None = None,
    *,
    limit: float | None = None,
    input_names: Sequence[str] = INPUT_NAMES,
) -> Figure:
    """Predicted values, negative to positive, under points coloured by target on the same scale.

    `limit` is the value of the strongest colour; by default the largest absolute target.
    """
    limit = limit or largest(train[1])
    traces = [_unseen_values(grid, extent)]
    traces += _target_points(train, limit) + _target_points(test, limit, hollow=True)
    plane = _plane(value_image(grid, limit), grid.shape, extent, input_names)
    plane["margin"] = plane["margin"] | {"r": 52}  # room for the colour bar
    return {"data": traces, "layout": plane}


def unit_picture(
    grid: NDArray[Any],
    extent: Extent,
    *,
    meaning: str = "",
    of_class: tuple[int, int] = (0, 2),
    input_names: Sequence[str] = INPUT_NAMES,
) -> Figure:
    """What one unit computes over the plane, its largest absolute value in the strongest colour.

    Args:
        meaning: "sigmoid" for the probability of the second of two classes, neutral at a half;
            "softmax" for that of one of several.
        of_class: which class, of how many.
    """
    if meaning == "softmax":
        image = class_image(np.full(grid.shape, of_class[0]), grid, of_class[1])
    elif meaning == "sigmoid":
        image = value_image(grid - 0.5, 0.5)
    else:
        image = value_image(grid, largest(grid))
    traces = [_unseen_values(grid, extent)]
    plane = _plane(image, grid.shape, extent, input_names, opacity=1)
    return {"data": traces, "layout": plane}


def regression_curve(
    x: NDArray[Any],
    predicted: NDArray[Any],
    train: Points,
    test: Points | None = None,
    *,
    input_name: str = "x",
    output_name: str = "target",
) -> Figure:
    """Fitted curve over the data, for one input; here inputs have shape (n,) or (n, 1).

    The axis goes as far as the data; where there are none, as far as the curve.
    """
    shape, unseen = curve(np.ravel(x), np.ravel(predicted), "prediction", TEXT, width=2.5)
    traces = [unseen]
    for points, name, hollow in ((train, "train", False), (test, "test", True)):
        if points is not None:
            both = np.column_stack([np.ravel(values) for values in points])
            both = both[sample(len(both), MAX_POINTS)]
            traces.append(markers(both, name, POSITIVE, hollow=hollow))
    targets = np.concatenate([np.ravel(part[1]) for part in (train, test) if part is not None])
    reach = 1.1 * round_up(largest(predicted))
    chart = layout(
        xaxis=axis(safe_text(input_name), [float(np.min(x)), float(np.max(x))], showgrid=False),
        yaxis=axis(output_name, padded(targets) if len(targets) else [-reach, reach], nticks=6),
        shapes=[shape],
    )
    return {"data": traces, "layout": chart}


def weight_bars(names: Sequence[str], values: NDArray[Any], *, title: str) -> Figure:
    """A bar for each number, of the colour of its sign, in the order given.

    Numbers that are not finite have no bar.
    """
    heights = np.where(np.isfinite(values), values, 0)
    bars = [
        {
            "type": "rect",
            "x0": place - 0.4,
            "x1": place + 0.4,
            "y0": 0,
            "y1": float(height),
            "fillcolor": POSITIVE if height > 0 else NEGATIVE,
            "line": {"width": 0},
        }
        for place, height in enumerate(heights)
    ]
    unseen = {
        "type": "bar",
        "x": np.arange(len(values)),
        "y": heights,
        "hovertext": [safe_text(name) for name in names],
        "hovertemplate": "%{hovertext} %{y:.4~g}<extra></extra>",
        "opacity": 0,
        "showlegend": False,
    }
    limit = round_up(largest(heights))
    step = -(-len(names) // 9)  # as many names as there is room for
    chart = layout(
        xaxis=axis(
            "",
            [-0.6, len(names) - 0.4],
            showgrid=False,
            tickvals=list(range(0, len(names), step)),
            ticktext=[safe_text(name, 10) for name in names[::step]],
        ),
        yaxis=axis("", [-limit, limit], tickvals=[-limit, 0, limit]),
        shapes=bars,
        margin={"l": 46, "r": 8, "t": 20, "b": 22},
        annotations=[
            note(safe_text(title), x=0, y=1, xref="paper", yref="paper", yanchor="bottom")
        ],
    )
    return {"data": [unseen], "layout": chart}


def _plane(
    image: str,
    shape: Sequence[int],
    extent: Extent,
    input_names: Sequence[str],
    *,
    opacity: float = 0.65,  # points of the same colour stand out
) -> dict[str, Any]:
    left, right, bottom, top = (float(edge) for edge in extent)
    # a value stands in the middle of its pixel, so the image is one pixel larger than the plane
    step_x, step_y = (right - left) / (shape[1] - 1), (top - bottom) / (shape[0] - 1)
    picture = {
        "source": image,
        "x": left - step_x / 2,
        "y": top + step_y / 2,
        "sizex": right - left + step_x,
        "sizey": top - bottom + step_y,
        "xref": "x",
        "yref": "y",
        "sizing": "stretch",
        "layer": "below",
        "opacity": opacity,
    }
    plain = {"showgrid": False, "constrain": "domain", "nticks": 5}
    square = {"scaleanchor": "x", "scaleratio": (right - left) / (top - bottom)}
    square["constraintoward"] = "top"
    return layout(
        xaxis=axis(safe_text(input_names[0]), [left, right], **plain),
        yaxis=axis(safe_text(input_names[1]), [bottom, top], **plain, **square),
        images=[picture],
        plot_bgcolor=NEUTRAL,
        margin={"l": 46, "r": 8, "t": 24, "b": 38},
    )


def _unseen_values(grid: NDArray[Any], extent: Extent) -> dict[str, Any]:
    """The numbers of the plane for the mouse, at every second grid point: plenty to point at."""
    left, right, bottom, top = (float(edge) for edge in extent)
    rows, columns = grid.shape[:2]
    return {
        "type": "heatmap",
        "z": np.asarray(grid[::2, ::2], dtype=np.float32),
        "x0": left,
        "dx": 2 * (right - left) / (columns - 1),
        "y0": bottom,
        "dy": 2 * (top - bottom) / (rows - 1),
        "opacity": 0,
        "showscale": False,
        "hovertemplate": "%{x:.3~g}, %{y:.3~g}<br>%{z:.4~g}<extra></extra>",
    }


def _unseen_classes(grid: NDArray[Any], extent: Extent, names: Sequence[str]) -> dict[str, Any]:
    percent = np.rint(np.clip(np.nan_to_num(grid[::2, ::2]), 0, 1) * 100).astype(np.uint8)
    rows = [f"{name}: %{{customdata[{k}]}} %" for k, name in enumerate(names)]
    return _unseen_values(grid[:, :, 0], extent) | {
        "z": percent[:, :, 0],
        "customdata": percent,
        "hovertemplate": "<br>".join(["%{x:.3~g}, %{y:.3~g}", *rows]) + "<extra></extra>",
    }


def _class_points(
    points: Points | None, names: Sequence[str], *, hollow: bool = False
) -> list[dict[str, Any]]:
    if points is None:
        return []
    inputs, labels = (np.asarray(values) for values in points)
    kept = sample(len(labels), MAX_POINTS)
    inputs, labels = inputs[kept], labels[kept]
    traces = []
    for k, name in enumerate(names):
        colour, symbol = CLASSES[k % len(CLASSES)], SYMBOLS[k % len(SYMBOLS)]
        title = f"{name}, {'test' if hollow else 'train'}"
        traces.append(markers(inputs[labels == k], title, colour, symbol=symbol, hollow=hollow))
    return traces


def _target_points(
    points: Points | None, limit: float, *, hollow: bool = False
) -> list[dict[str, Any]]:
    if points is None:
        return []
    inputs, targets = (np.asarray(values) for values in points)
    kept = sample(len(targets), MAX_POINTS)
    inputs, targets = inputs[kept], targets[kept].astype(np.float32)
    trace = markers(inputs, "test" if hollow else "train", PAPER, hollow=hollow)
    trace |= {
        "customdata": targets,
        "hovertemplate": "%{fullData.name}<br>%{x:.3~g}, %{y:.3~g}<br>"
        "target %{customdata:.4~g}<extra></extra>",
    }
    if hollow:
        trace["marker"]["line"] |= coloured(targets, limit)
    else:
        trace["marker"] |= coloured(targets, limit) | colour_bar()
    return [trace]


# --- Training ----------------------------------------------------------------------------------


def loss_curves(
    epochs: ArrayLike, train: ArrayLike, test: ArrayLike | None = None, *, log_scale: bool = False
) -> Figure:
    """Loss of every epoch on training and test data; values that are not finite leave a gap."""
    arrays = [np.asarray(values, np.float64) for values in (train, test) if values is not None]
    series = [np.where(np.isfinite(values), values, np.nan) for values in arrays]
    values = np.concatenate(series)
    if log_scale:
        series = [np.where(values > 0, values, np.nan) for values in series]
        low, high = decades(values)
        steps = "D2" if high - low <= 2 else 1  # 1, 2, 5 or powers of ten only
        yaxis = axis("loss", [low, high], type="log", dtick=steps, tickformat="~g")
    else:
        yaxis = axis("loss", [0, round_up(highest(values, 1.0))], nticks=5)
    return _history(epochs, series, yaxis)


def _history(epochs: ArrayLike, series: Sequence[NDArray[Any]], yaxis: dict[str, Any]) -> Figure:
    kept = thin(*series)
    x = np.asarray(epochs, dtype=np.float64)[kept]
    shapes, traces, entries = [], [], []
    looks = ("train", MUTED, "4px,3px", "– –"), ("test", TEXT, "solid", "—")
    for values, (name, colour, dash, sign) in zip(series, looks, strict=False):
        shape, unseen = curve(x, values[kept], name, colour, dash=dash)
        shapes.append(shape)
        traces.append(unseen)
        entries.append(f'<span style="color:{colour}"><b>{sign}</b> {name}</span>')
    last = round_up(max(10.0, x[-1])) if len(x) else 10.0
    chart = layout(
        xaxis=axis("epoch", [0, last], nticks=6, showgrid=False, **UNIFIED_HOVER),
        yaxis=yaxis,
        shapes=shapes,
        margin={"l": 46, "r": 8, "t": 24, "b": 38},
        annotations=[  # plotly's own legend takes ten times as long to update
            note("   ".join(entries), x=0, y=1, xref="paper", yref="paper", yanchor="bottom")
        ],
        hovermode="x unified",
        hoverdistance=-1,  # the nearest epoch, however far
        uirevision=yaxis.get("type", "linear"),  # another scale starts unzoomed
    )
    return {"data": traces, "layout": chart}
