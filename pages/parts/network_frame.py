"""What the network view shows at one epoch, and how it is packed. Nothing here knows Streamlit.

Layers are counted from 0 over the hidden layers, with the output layer last; inputs of a unit are
the columns of its layer's weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnkit.errors import ShapeError

FLOOR = 0.1
MOST_PICTURES = 32


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
