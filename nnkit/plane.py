"""The plane (or line) of inputs that pictures show, and what a network makes of it."""

from __future__ import annotations

import numpy as np

from .datasets import Dataset, feature_names, make_features
from .errors import ConfigError
from .forward import ForwardPass
from .functions import Array
from .predictor import Predictor
from .settings import Number

#: Half the side of the plane shown.
EXTENT = 1.2
#: Grids whose points and outputs are kept in memory, to be filled anew.
KEPT = 8


class Plane:
    """Grids over two inputs, from -extent to extent in each; over one where there is only one.

    Where `extent` is None, and with more than two inputs, the inputs shown run a little beyond the
    range that they have in the data. Inputs that are not shown are held at their median.

    Args:
        predictor: the network with its features.
        data: all the data, for the ranges.
        train_data: what the network learns from, for the medians.
        inputs: which two inputs are shown, where there are more.

    Raises:
        ConfigError: inputs that are not two different columns of the data.
    """

    def __init__(
        self,
        predictor: Predictor,
        data: Dataset,
        train_data: Dataset,
        inputs: tuple[int, int] = (0, 1),
    ) -> None:
        self.predictor, self.data, self.train_data = predictor, data, train_data
        count = len(data.input_names)
        if count > 1:
            column = Number(0, 0, count - 1, True)
            first, second = (int(column.check("inputs", place)) for place in inputs)
            inputs = first, second
            if inputs[0] == inputs[1]:
                raise ConfigError("inputs", f"must be two different columns, got {inputs}")
        self.inputs = inputs
        self.dimensions = min(2, count)
        self._passes: dict[tuple[int, float | None, bool], ForwardPass] = {}

    def edges(self, extent: float | None = EXTENT) -> list[tuple[float, float]]:
        """From where to where each of the inputs shown goes."""
        if extent is not None and len(self.data.input_names) <= 2:
            return [(-extent, extent)] * self.dimensions
        shown = self.data.inputs[:, self.inputs[: self.dimensions]].astype(np.float64)
        middle, half = (shown.max(axis=0) + shown.min(axis=0)) / 2, np.ptp(shown, axis=0) / 2
        half = 1.1 * np.where(half > 0, half, 1.0)
        return list(zip((middle - half).tolist(), (middle + half).tolist(), strict=True))

    def points(self, resolution: int, extent: float | None = EXTENT) -> Array:
        """Raw inputs (r·r, d) of a grid, rows of the second input from low to high."""
        axes = [np.linspace(*edge, resolution, dtype=np.float32) for edge in self.edges(extent)]
        if self.dimensions == 1:
            return axes[0][:, None]
        second, first = np.meshgrid(axes[1], axes[0], indexing="ij")
        points = np.stack([first.ravel(), second.ravel()], axis=1)
        if len(self.data.input_names) == 2:
            return points
        rows = np.tile(np.median(self.train_data.inputs, axis=0), (len(points), 1))
        rows[:, self.inputs] = points
        return rows.astype(np.float32)

    def grid(self, resolution: int = 100, extent: float | None = EXTENT) -> Array:
        """Predictions: (r, r), or (r, r, classes), or (r,) for one input.

        Row 0 has the lowest second input, column 0 the lowest first. New at each call.
        """
        logits = self._forward(resolution, extent, False)()[-1]
        values = self.predictor.read(logits)
        return values.reshape(*(resolution,) * self.dimensions, *values.shape[1:]).copy()

    def unit_grids(self, resolution: int = 24, extent: float | None = EXTENT) -> list[Array]:
        """What every unit gives: for each layer (units, r, r), or (units, r) for one input.

        Hidden layers after their activation, then the output as people read it.
        """
        *hidden, logits = self._forward(resolution, extent, True)()
        columns = (*hidden, self.predictor.read_columns(logits))
        return [self._pictures(values, resolution) for values in columns]

    def feature_grids(self, resolution: int = 24, extent: float | None = EXTENT) -> Array:
        """Every available feature: (features, r, r), or (features, r) for one input."""
        names = feature_names(len(self.data.input_names))
        return self._pictures(make_features(self.points(resolution, extent), names), resolution)

    def _pictures(self, columns: Array, resolution: int) -> Array:
        return columns.T.reshape(-1, *(resolution,) * self.dimensions).copy()

    def _forward(self, resolution: int, extent: float | None, all_layers: bool) -> ForwardPass:
        network = self.predictor.network
        key = (resolution, extent, all_layers)
        if key not in self._passes:
            x = self.predictor.prepare(self.points(resolution, extent))
            outputs = network.layer_outputs if all_layers else None
            if len(self._passes) == KEPT:
                del self._passes[next(iter(self._passes))]  # the oldest
            self._passes[key] = ForwardPass(network, x, outputs)
        network.eval()
        return self._passes[key]
