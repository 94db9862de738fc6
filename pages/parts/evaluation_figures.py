"""The charts of the Evaluate page. Nothing here knows Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.datasets import Dataset
from nnkit.evaluation import ClassificationReport
from nnkit.experiment import Experiment
from nnkit.validation import Fold, Spread
from pages.parts import views
from pages.parts.figure_parts import (
    MUTED,
    NEUTRAL,
    PAPER,
    TEXT,
    Figure,
    axis,
    largest,
    layout,
    line,
    markers,
    note,
    padded,
    ringed,
    round_up,
    safe_text,
    segment,
    thin,
    unit_square,
)
from pages.parts.figures import MAX_POINTS
from pages.parts.palette import CLASSES, POSITIVE
from pages.parts.pictures import sample

BARS = 25


def plane(experiment: Experiment, data: Dataset, marked: NDArray[np.int64]) -> Figure:
    """The network's output under the points of `data`, with the rows `marked` ringed."""
    figure = views.output_over(experiment, data)
    return ringed(figure, views.places(experiment, data)[marked])


def confusion_matrix(
    matrix: NDArray[Any], class_names: Sequence[str], marked: tuple[int, int] | None = None
) -> Figure:
    """Counts, true classes as rows, the first on top; colour is the share of the row.

    A click on a cell reports `index` [row, column]; the cell `marked` has a frame.
    """
    matrix = np.asarray(matrix)
    names = [safe_text(name, limit=11) for name in class_names]
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    cells = {
        "type": "heatmap",
        "z": share.astype(np.float32),
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, NEUTRAL], [1, POSITIVE]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "text": matrix.tolist(),
        "texttemplate": "%{text}",
        "textfont": {"size": 14},
        "hovertemplate": "%{text} points: true %{y}, predicted %{x}<br>"
        "%{z:.1%} of true %{y}<extra></extra>",
    }
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names}
    edges = [-0.5, len(names) - 0.5]
    still = {"showgrid": False, "fixedrange": True}
    chart = layout(
        xaxis=axis("predicted", edges, **ticks, **still),
        yaxis=axis("true", edges[::-1], **ticks, **still),
        margin={"l": 90, "r": 8, "t": 8, "b": 44},
    )
    if marked is not None:
        row, column = marked
        frame = {
            "type": "rect", "x0": column - 0.48, "x1": column + 0.48, "y0": row - 0.48,
            "y1": row + 0.48, "line": {"color": TEXT, "width": 2},
        }  # fmt: skip
        chart["shapes"] = [frame]
    return {"data": [cells], "layout": chart}


def roc(
    false_positive_rate: NDArray[Any],
    true_positive_rate: NDArray[Any],
    thresholds: NDArray[Any],
    *,
    area: float,
    threshold: float = 0.5,
) -> Figure:
    """ROC curve, thresholds falling, with its area and the point where `threshold` lies."""
    kept = thin(true_positive_rate, false_positive_rate)
    steps = line(false_positive_rate[kept], true_positive_rate[kept], "ROC", POSITIVE)
    steps["line"]["shape"] = "hv"
    steps |= {
        "customdata": thresholds[kept],
        "hovertemplate": "threshold %{customdata:.3f}<br>true positives %{y:.1%}<br>"
        "false positives %{x:.1%}<extra></extra>",
    }
    at = max(int(np.count_nonzero(thresholds >= threshold)) - 1, 0)
    here = np.array([[false_positive_rate[at], true_positive_rate[at]]])
    marker = markers(here, f"threshold {threshold:.2f}", TEXT, size=11) | {"cliponaxis": False}
    chart = unit_square("false positive rate", "true positive rate")
    chart["annotations"] = [note(f"area {area:.3f}", x=1, y=0.05, xanchor="right")]
    return {"data": [steps, marker], "layout": chart}


def roc_of_classes(report: ClassificationReport) -> Figure:
    """A ROC curve of each class against the rest, with its area; undefined ones are left out."""
    traces, entries = [], []
    for label, name in enumerate(report.data.class_names):
        one = report.against_rest(label)
        curve, colour, area = one.roc, CLASSES[label % len(CLASSES)], one.area
        if np.isnan(area):
            continue
        kept = thin(curve.true_positive_rate, curve.false_positive_rate)
        trace = line(
            curve.false_positive_rate[kept], curve.true_positive_rate[kept], safe_text(name), colour
        )
        trace["line"]["shape"] = "hv"
        trace["hovertemplate"] = (
            "true positives %{y:.1%}<br>false positives %{x:.1%}<extra>%{fullData.name}</extra>"
        )
        traces.append(trace)
        mark = f'<span style="color:{colour}"><b>—</b></span>'
        entries.append(f"{mark} {safe_text(name, 12)} {area:.3f}")
    chart = unit_square("false positive rate", "true positive rate")
    chart["annotations"] = [
        note("<br>".join(entries), x=1, y=0.03, xanchor="right", yanchor="bottom", align="right")
    ]
    return {"data": traces, "layout": chart}


def calibration(predicted: NDArray[Any], observed: NDArray[Any], counts: NDArray[Any]) -> Figure:
    """Share of class 1 over mean predicted probability, by bin; the larger a dot, the more points.

    A calibrated model lies on the diagonal. Empty bins are left out.
    """
    filled = np.asarray(counts) > 0
    predicted, observed, counts = predicted[filled], observed[filled], counts[filled]
    trace = line(predicted, observed, "bins", POSITIVE) | {
        "mode": "lines+markers",
        "cliponaxis": False,
        "customdata": counts,
        "marker": {
            "color": POSITIVE,
            "opacity": 1,
            "size": 6 + 14 * np.sqrt(counts / counts.max(initial=1)),
            "line": {"color": PAPER, "width": 1},
        },
        "hovertemplate": "predicted %{x:.1%}<br>observed %{y:.1%}<br>"
        "%{customdata} points<extra></extra>",
    }
    return {"data": [trace], "layout": unit_square("predicted probability", "observed share")}


def residuals(predicted: NDArray[Any], targets: NDArray[Any]) -> Figure:
    """Target minus prediction, over prediction: after a good fit, a level band around zero."""
    errors = np.asarray(targets, dtype=np.float64) - predicted
    both = np.stack((predicted, errors), axis=1)[sample(len(errors), MAX_POINTS)]
    trace = markers(both, "residuals", POSITIVE)
    trace["hovertemplate"] = "predicted %{x:.4~g}<br>residual %{y:.4~g}<extra></extra>"
    limit = round_up(largest(errors))
    chart = layout(
        xaxis=axis("predicted", padded(predicted), showgrid=False),
        yaxis=axis("target minus predicted", [-limit, limit], nticks=6),
        shapes=[segment(0, 0, 1, 0, xref="paper")],
    )
    return {"data": [trace], "layout": chart}


def residual_histogram(residuals: NDArray[np.float64]) -> Figure:
    """How many residuals are how large; after a good fit, a narrow heap around zero."""
    limit = round_up(largest(residuals))
    counts, edges = np.histogram(residuals, bins=BARS, range=(-limit, limit))
    bars = {
        "type": "bar",
        "x": (edges[:-1] + edges[1:]) / 2,
        "y": counts,
        "width": np.diff(edges),
        "customdata": np.column_stack((edges[:-1], edges[1:])),
        "marker": {"color": POSITIVE, "line": {"width": 0}},
        "hovertemplate": "%{y} points<br>%{customdata[0]:.3~g} to %{customdata[1]:.3~g}"
        "<extra></extra>",
    }
    chart = layout(
        xaxis=axis("target minus predicted", [-limit, limit], nticks=6, showgrid=False),
        yaxis=axis("points", [0, round_up(float(counts.max()))], nticks=5),
        shapes=[segment(0, 0, 0, 1, yref="paper")],
        bargap=0.08,
    )
    return {"data": [bars], "layout": chart}


def predicted_and_target(predicted: NDArray[np.float64], targets: NDArray[Any]) -> Figure:
    """Predictions over targets, with the diagonal where they agree."""
    both = np.column_stack((targets, predicted))
    trace = markers(both[sample(len(both), MAX_POINTS)], "points", POSITIVE)
    trace["hovertemplate"] = "target %{x:.4~g}<br>predicted %{y:.4~g}<extra></extra>"
    low, high = padded(both)
    chart = layout(
        xaxis=axis("target", [low, high], nticks=6),
        yaxis=axis("predicted", [low, high], nticks=6),
        shapes=[segment(low, low, high, high)],
    )
    return {"data": [trace], "layout": chart}


def fold_scores(done: Sequence[Fold], folds: int, test: Spread | None, *, name: str) -> Figure:
    """Train and test score of every fold, with the mean of the test scores and one deviation."""
    number = np.array([fold.number for fold in done], dtype=np.float32)
    scores = {
        "train": np.array([fold.latest.train_score for fold in done]),
        "test": np.array([fold.latest.test_score for fold in done]),
    }
    traces = []
    for part, colour in (("train", MUTED), ("test", TEXT)):
        points = np.column_stack((number, scores[part]))
        trace = markers(points, part, colour, size=8, hollow=part == "train")
        trace["hovertemplate"] = "fold %{x}<br>%{y:.4f}<extra>%{fullData.name}</extra>"
        traces.append(trace)
    shapes = []
    if test is not None:
        across = {"x0": 0, "x1": 1, "xref": "paper", "layer": "below"}
        spread = 0.0 if np.isnan(test.deviation) else test.deviation
        shapes = [
            {"type": "rect", **across, "y0": test.mean - spread, "y1": test.mean + spread,
             "fillcolor": POSITIVE, "opacity": 0.15, "line": {"width": 0}},
            {"type": "line", **across, "y0": test.mean, "y1": test.mean,
             "line": {"color": POSITIVE, "width": 1.5}},
        ]  # fmt: skip
    legend = (
        f'<span style="color:{MUTED}">○</span> train   ● test   '
        f'<span style="color:{POSITIVE}"><b>—</b></span> mean test ± deviation'
    )
    finite = np.concatenate([*scores.values(), [0.9]])
    low = float(np.floor(10 * np.nanmin(finite)) / 10)
    chart = layout(
        xaxis=axis("fold", [0.5, folds + 0.5], tickmode="linear", dtick=1, showgrid=False),
        yaxis=axis(safe_text(name), [max(low, -1.0) - 0.005, 1.02], nticks=6),
        shapes=shapes,
        margin={"l": 46, "r": 8, "t": 24, "b": 38},
        annotations=[note(legend, x=0, y=1, xref="paper", yref="paper", yanchor="bottom")],
    )
    return {"data": traces, "layout": chart}
