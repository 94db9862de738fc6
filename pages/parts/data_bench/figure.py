"""A data set as a plotly figure: points over two of its inputs, or targets over its only one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.datasets import Dataset
from nnkit.plane import EXTENT
from pages.parts.figure_parts import (
    MUTED,
    NEUTRAL,
    Figure,
    axis,
    colour_bar,
    coloured,
    largest,
    layout,
    markers,
    padded,
    safe_text,
)
from pages.parts.figures import MAX_POINTS, SYMBOLS
from pages.parts.palette import CLASSES, POSITIVE
from pages.parts.pictures import sample


def data_figure(data: Dataset, columns: tuple[int, int] = (0, 1)) -> Figure:
    """Points over two inputs, coloured by target; with one input, the target over it.

    Above `MAX_POINTS`, every k-th is drawn. The legend counts the samples of each class.
    """
    shown = (0,) if data.inputs.shape[1] == 1 else columns
    kept = sample(len(data), MAX_POINTS)
    places = data.inputs[kept][:, shown]
    targets = data.targets[kept]
    names = [{"x1": "x₁", "x2": "x₂"}.get(name, name) for name in data.input_names]
    titles = [safe_text(names[column]) for column in shown]
    if len(shown) == 1:
        places = np.column_stack((places, targets))
        titles.append(safe_text(data.target_name))
    if data.classes:
        traces = _class_traces(data, places, targets)
    elif len(shown) == 1:
        traces = [markers(places, data.target_name, POSITIVE)]
    else:
        traces = [_valued_trace(places, targets)]
    on_plane = len(shown) == 2 and np.abs(data.inputs[:, shown]).max() <= EXTENT
    limits = [[-EXTENT, EXTENT]] * 2 if on_plane else [padded(values) for values in places.T]
    square: dict[str, Any] = {"scaleanchor": "x", "constraintoward": "top"} if on_plane else {}
    plain = {"nticks": 6, "constrain": "domain"}
    chart = layout(
        xaxis=axis(titles[0], limits[0], **plain),
        yaxis=axis(titles[1], limits[1], **plain, **square),
        margin={"l": 46, "r": 8, "t": 30, "b": 38}
        if data.classes
        else {"l": 46, "r": 56, "t": 8, "b": 38},
        showlegend=bool(data.classes),
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1.01,
            "yanchor": "bottom",
            "itemclick": False,
            "itemdoubleclick": False,
            "font": {"size": 11},
        },
    )
    return {"data": traces, "layout": chart}


def _class_traces(
    data: Dataset, places: NDArray[Any], targets: NDArray[Any]
) -> list[dict[str, Any]]:
    counts = np.bincount(data.targets, minlength=data.classes)
    traces = []
    for label, name in enumerate(data.class_names):
        points = places[targets == label]
        symbol = SYMBOLS[label % len(SYMBOLS)]
        trace = markers(points, "", CLASSES[label % len(CLASSES)], symbol=symbol)
        trace["name"] = f"{safe_text(name, 16)}: {counts[label]:,}"
        traces.append(trace)
    return traces


def _valued_trace(places: NDArray[Any], targets: NDArray[Any]) -> dict[str, Any]:
    limit = largest(targets)
    trace = markers(places, "target", NEUTRAL)
    trace["customdata"] = targets
    trace["hovertemplate"] = "%{x:.4~g}, %{y:.4~g}<br>target %{customdata:.4~g}<extra></extra>"
    trace["marker"] |= coloured(targets, limit) | colour_bar()
    trace["marker"]["line"] = {"color": MUTED, "width": 0.8}  # 0 has the colour of the paper
    return trace
