"""What there is to see of an experiment, as figures and frames. Nothing here knows Streamlit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.assembly import likeliest
from nnkit.config import CUSTOM
from nnkit.datasets import Dataset, feature_names
from nnkit.experiment import Experiment
from nnkit.plane import EXTENT
from nnkit.predictor import Predictor
from pages.parts import figures
from pages.parts.figure_parts import Figure, padded, ringed, safe_text
from pages.parts.network_frame import LayerView, NetworkFrame

ABOUT_ZERO: figures.Extent = (-EXTENT, EXTENT, -EXTENT, EXTENT)
RESOLUTION = 80  # of the output and of a unit shown large
PICTURE = 24  # of a unit in the network view

_FEATURE = re.compile(r"x\d+(\^2|\*x\d+)?|sin\(x\d+\)")
_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def feature_title(name: str) -> str:
    """A feature as it is written: x₁² for x1^2, sin πx₁ for sin(x1). Other names stay."""
    if not _FEATURE.fullmatch(name):
        return name
    name = re.sub(r"x(\d+)", lambda place: "x" + place[1].translate(_BELOW), name)
    return name.replace("^2", "²").replace("*", "").replace("sin(", "sin π").rstrip(")")


def reach(experiment: Experiment) -> float | None:
    """How far the plane (or line) goes from 0: 1.2, or as far as the data; None: around the data.

    The latter for data of one's own that do not lie about 0 as the data sets here do.
    """
    farthest = float(np.abs(experiment.data.inputs).max())
    if 0.3 < farthest < 1.35:
        return EXTENT
    return None if experiment.config.dataset == CUSTOM else 1.1 * farthest or EXTENT


def extent(experiment: Experiment) -> figures.Extent:
    """The part of the plane (or of the line, twice) that is shown."""
    edges = experiment.shown.edges(reach(experiment))
    return (*edges[0], *edges[-1])


def input_names(experiment: Experiment) -> tuple[str, ...]:
    """What the axes of the plane are called."""
    names = experiment.data.input_names
    if len(names) > 2:
        return tuple(names[column] for column in experiment.shown_inputs)
    return tuple(feature_title(name) for name in names)


def places(experiment: Experiment, data: Dataset) -> NDArray[Any]:
    """Where the rows of `data` stand in the output's figure: (n, 2); one input goes across."""
    if data.inputs.shape[1] == 1:
        return np.column_stack((data.inputs, data.targets))
    return data.inputs[:, experiment.shown_inputs]


def _points(experiment: Experiment, data: Dataset) -> figures.Points:
    flat = data.inputs.shape[1] == 1 and data.task == "regression"  # its targets go upwards anyway
    return (data.inputs if flat else places(experiment, data)), data.targets


def output_figure(
    experiment: Experiment, *, show_test: bool = False, discretize: bool = False
) -> Figure:
    """Decision boundary, fitted surface or fitted curve, with the points it was learned from."""
    test = experiment.test_data if show_test else None
    return output_over(experiment, experiment.train_data, test, discretize=discretize)


def output_over(
    experiment: Experiment, data: Dataset, test: Dataset | None = None, *, discretize: bool = False
) -> Figure:
    """What the network answers, under the points of `data`, and hollow those of `test`.

    With one input and classes, the points stand on a line for each class.
    """
    far, names = reach(experiment), input_names(experiment)
    one = len(experiment.data.input_names) == 1
    regression = experiment.config.task == "regression"
    points = _points(experiment, data)
    others = None if test is None else _points(experiment, test)
    if one and regression:
        x = np.linspace(*extent(experiment)[:2], 240, dtype=np.float32)
        curve = experiment.grid(240, far)
        return figures.regression_curve(x, curve, points, others, input_name=names[0])
    grid, where = experiment.grid(RESOLUTION, far), extent(experiment)
    if regression:
        return figures.regression_surface(grid, where, points, others, input_names=names)
    return _regions(
        grid, where, points, others,
        class_names=experiment.data.class_names, input_names=names, discretize=discretize,
    )  # fmt: skip


def _regions(
    grid: NDArray[Any],
    where: figures.Extent,
    *points: figures.Points | None,
    class_names: tuple[str, ...],
    input_names: tuple[str, ...],
    discretize: bool = False,
) -> Figure:
    """Class regions over a plane, or over the line of one input with a step up for each class."""
    one = len(input_names) == 1
    if one:
        grid = np.repeat(grid[None], len(grid), axis=0)
        input_names, where = (*input_names, "class"), (*where[:2], -0.6, len(class_names) - 0.4)
    figure = figures.decision_boundary(
        grid, where, *points, class_names=class_names, input_names=input_names,
        discretize=discretize,
    )  # fmt: skip
    if one:
        ticks = list(map(safe_text, class_names))
        figure["layout"]["yaxis"] |= {"tickvals": list(range(len(ticks))), "ticktext": ticks}
    return figure


def loss_figure(experiment: Experiment, *, log_scale: bool = False) -> Figure:
    """Train and test loss, epoch by epoch."""
    past = experiment.history
    return figures.loss_curves(past.epoch, past.train_loss, past.test_loss, log_scale=log_scale)


def unit_figure(experiment: Experiment, layer: int, unit: int) -> Figure:
    """What one unit gives over the plane (or line), large."""
    values = experiment.unit_grids(RESOLUTION, reach(experiment))[layer][unit]
    names = input_names(experiment)
    if values.ndim == 2:
        last = layer == len(experiment.config.layers)
        return figures.unit_picture(
            values, extent(experiment), input_names=names,
            meaning=experiment.predictor.output if last else "",
            of_class=(unit, len(experiment.data.class_names)),
        )  # fmt: skip
    x = np.linspace(*extent(experiment)[:2], RESOLUTION, dtype=np.float32)
    nothing = (np.empty((0, 1)), np.empty(0))
    return figures.regression_curve(
        x, values, nothing, input_name=names[0], output_name="activation"
    )


def unit_name(experiment: Experiment, layer: int, unit: int) -> str:
    """What a unit is called, the output layer coming last."""
    if layer < len(experiment.config.layers):
        return f"Layer {layer + 1}, unit {unit + 1}"
    outputs = experiment.network.linears[-1].weights.shape[0]
    return f"Output {unit + 1}" if outputs > 1 else "Output"


def incoming(experiment: Experiment, layer: int, unit: int) -> dict[str, float]:
    """What goes into a unit: its bias, then its weights by their sources, in order."""
    linear = experiment.network.linears[layer]
    weights = linear.weights.data[unit]
    if layer:
        names = [f"unit {source + 1}" for source in range(len(weights))]
    else:
        names = [feature_title(name) for name in experiment.config.features]
    return {
        "bias": float(linear.biases.data[unit]),
        **dict(zip(names, weights.tolist(), strict=True)),
    }


def weights_figure(experiment: Experiment, layer: int, unit: int) -> Figure:
    """The weights that go into a unit, and its bias, as bars."""
    values = incoming(experiment, layer, unit)
    title = f"{unit_name(experiment, layer, unit)}: what goes in"
    return figures.weight_bars(list(values), np.array(list(values.values())), title=title)


def weights_in_words(experiment: Experiment, layer: int, unit: int) -> str:
    """The same for screen readers, the strongest first."""
    strongest = sorted(incoming(experiment, layer, unit).items(), key=lambda pair: -abs(pair[1]))
    said = ", ".join(f"{name} {value:.3g}" for name, value in strongest)
    return f"What goes into {unit_name(experiment, layer, unit)}: {said}"


def feature_columns(experiment: Experiment) -> list[int]:
    """Columns of the first weights in the order in which features are shown."""
    used = experiment.config.features
    available = feature_names(experiment.data.inputs.shape[1])
    return [used.index(name) for name in available if name in used]


def network_frame(
    experiment: Experiment, *, selected: tuple[int, int] | None = None
) -> NetworkFrame:
    """Everything the network view shows, of the current epoch."""
    config, network = experiment.config, experiment.network
    available = feature_names(experiment.data.inputs.shape[1])
    far = reach(experiment)
    units = experiment.unit_grids(PICTURE, far)
    features: NDArray[Any] = experiment.feature_grids(PICTURE, far)
    if far is None:  # data that do not lie about 0: low and high, not negative and positive
        features = features - features.mean(axis=tuple(range(1, features.ndim)), keepdims=True)
    layers = [
        LayerView(layer.units, layer.activation, layer.normalization) for layer in config.layers
    ]
    layers.append(LayerView(len(units[-1]), experiment.predictor.output))
    weights = network.weights()
    weights[0] = weights[0][:, feature_columns(experiment)]
    return NetworkFrame(
        epoch=experiment.epoch,
        features=available,
        active=tuple(name in config.features for name in available),
        layers=tuple(layers),
        weights=weights,
        biases=network.biases(),
        pictures=(features, *units),
        silenced=frozenset(experiment.silenced),
        selected=selected,
    )


# ---- of a predictor, which may come from a file and knows no data --------------------------------


def predictor_extent(predictor: Predictor) -> figures.Extent:
    """Where to look: ±1.2, or where the data that it was standardized on seem to lie."""
    scaler, raw = predictor.standardizer, predictor.config.features
    count = len(predictor.input_names)
    if scaler is None or set(raw) - {f"x{i + 1}" for i in range(count)}:
        return ABOUT_ZERO
    low, high = (scaler.mean + sign * 2.5 * scaler.scale for sign in (-1, 1))
    if max(-low.min(), high.max()) <= EXTENT:
        return ABOUT_ZERO
    second = min(1, count - 1)
    return (float(low[0]), float(high[0]), float(low[second]), float(high[second]))


def example_points(predictor: Predictor) -> NDArray[Any]:
    """Two points (2, d) to begin with: about the middle, and a little off it."""
    count = len(predictor.input_names)
    scaler = predictor.standardizer
    if scaler is None or predictor_extent(predictor) == ABOUT_ZERO:
        return np.array([[0.0] * count, [0.5] * count])
    middle = np.asarray(scaler.mean[:count], np.float64)
    off = middle + np.asarray(scaler.scale[:count], np.float64)
    return np.array([[float(f"{value:.3g}") for value in point] for point in (middle, off)])


def answers(predictor: Predictor, points: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Predictions for points (n, d) as named columns: probabilities and classes, or numbers."""
    predicted = predictor.predict(points)
    names = predictor.class_names
    if not names:
        return {"prediction": predicted}
    if predicted.ndim == 1:
        columns = {f"P({names[1]})": predicted}
    else:
        columns = {f"P({name})": predicted[:, k] for k, name in enumerate(names)}
    return {"class": np.array(names)[_class_numbers(predicted)], **columns}


def _class_numbers(predicted: NDArray[Any]) -> NDArray[Any]:
    """The likeliest class of each answer of `Predictor.predict`."""
    return likeliest(predicted[:, None] if predicted.ndim == 1 else predicted)


def plane_figure(predictor: Predictor, where: figures.Extent, points: NDArray[Any]) -> Figure:
    """What a predictor says over a part of its line or plane, with `points` marked.

    With more than two inputs the first two are shown, the others at their training mean (or 0).
    """
    classes, dimensions = predictor.class_names, len(predictor.input_names)
    names = tuple(map(feature_title, predictor.input_names))
    axis, second = (
        np.linspace(low, high, RESOLUTION, dtype=np.float32) for low, high in (where[:2], where[2:])
    )
    if dimensions == 1:
        values, answered = predictor.predict(axis[:, None]), predictor.predict(points)
        if classes:
            figure = _regions(values, where, class_names=classes, input_names=names)
            return ringed(figure, np.column_stack((points[:, 0], _class_numbers(answered))))
        nothing = (points[:0], answered[:0])
        figure = figures.regression_curve(
            axis, values, nothing, input_name=names[0], output_name="prediction"
        )
        figure["layout"]["yaxis"]["range"] = padded(np.concatenate((values, answered)))
        return ringed(figure, np.column_stack((points[:, 0], answered)))
    x2, x1 = np.meshgrid(second, axis, indexing="ij")
    plane = np.zeros((x1.size, dimensions), np.float32)
    if dimensions > 2 and predictor.standardizer is not None:
        plane[:] = predictor.standardizer.mean
    plane[:, 0], plane[:, 1] = x1.ravel(), x2.ravel()
    predicted = predictor.predict(plane)
    grid = predicted.reshape(RESOLUTION, RESOLUTION, *predicted.shape[1:])
    if classes:
        figure = _regions(grid, where, class_names=classes, input_names=names[:2])
        return ringed(figure, points[:, :2])
    limit = float(np.abs(predicted).max()) or 1.0
    marked = (points[:, :2], predictor.predict(points))
    return figures.regression_surface(grid, where, marked, limit=limit, input_names=names[:2])
