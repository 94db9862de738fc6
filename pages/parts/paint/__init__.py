"""Points painted on the plane: a Streamlit component with class brushes, an eraser and undo.

The browser has the points while they are painted, so that strokes are drawn at once; after each
stroke it sends all of them, and Python keeps them. Python sends points of its own only under a
new `revision`: what is on its way in either direction is never mistaken for newer than it is.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nnkit.datasets import Dataset, from_points
from nnkit.errors import DataError
from nnkit.plane import EXTENT
from pages.parts import palette
from pages.parts.figures import SYMBOLS
from pages.parts.pictures import sample

MAX_POINTS = 2000
MAX_CLASSES = len(palette.CLASSES)


def _no_points() -> NDArray[np.float32]:
    return np.empty((0, 2), np.float32)


def _no_labels() -> NDArray[np.uint8]:
    return np.empty(0, np.uint8)


@dataclass(frozen=True, eq=False)
class Painting:
    """Points on the plane [-1.2, 1.2]², each of the class of its brush.

    Args:
        points: (n, 2) float32, n at most 2,000.
        labels: (n,) uint8, the brush of each point, 0 to 5.
        revision: counts how often Python has put other points here.
    """

    points: NDArray[np.float32] = field(default_factory=_no_points)
    labels: NDArray[np.uint8] = field(default_factory=_no_labels)
    revision: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def dataset(self) -> Dataset:
        """The painted points as data. A brush without points is no class, and a note says so.

        Raises:
            DataError: fewer than two points, or one class only.
        """
        if not len(self):
            raise DataError("nothing is painted yet: at least two points of two classes are needed")
        brushes, labels = np.unique(self.labels, return_inverse=True)
        if len(brushes) == 1:
            raise DataError(f"only class {brushes[0]} is painted: at least two classes are needed")
        data = from_points(self.points, labels, [str(brush) for brush in brushes])
        if len(brushes) == brushes[-1] + 1:
            return data
        note = "Brushes between were left out, so later classes changed colour and shape."
        return dataclasses.replace(data, notes=(note,))

    def started_from(self, data: Dataset) -> Painting:
        """The points of a data set instead, at most 2,000 of them, evenly chosen.

        Raises:
            DataError: it is no classification of 2 inputs on the plane, or has too many classes.
        """
        if data.task != "classification" or data.inputs.shape[1] != 2:
            raise DataError("only data with two inputs and classes can be painted on")
        if data.classes > MAX_CLASSES:
            raise DataError(f"there are {data.classes} classes, and {MAX_CLASSES} brushes")
        if np.abs(data.inputs).max() > EXTENT:
            raise DataError(f"some points lie beyond the plane, which goes to ±{EXTENT}")
        kept = sample(len(data), MAX_POINTS)
        labels = data.targets[kept].astype(np.uint8)
        return Painting(data.inputs[kept], labels, self.revision + 1)


def parse_points(raw: object) -> tuple[NDArray[np.float32], NDArray[np.uint8]] | None:
    """Points and labels of a message, or None: it comes from a browser, so anything may come.

    >>> parse_points({"places": [0.5, -0.25], "labels": "3"})
    (array([[ 0.5 , -0.25]], dtype=float32), array([3], dtype=uint8))
    >>> parse_points({"places": [0.5, 7], "labels": "3"}) is None
    True
    """
    match raw:
        case {"places": list(places), "labels": str(text)}:
            pass
        case _:
            return None
    if len(text) > MAX_POINTS or len(places) != 2 * len(text):
        return None
    if not set(text) <= set("0123456789"[:MAX_CLASSES]):
        return None
    if not all(type(value) in (int, float) and abs(value) <= EXTENT for value in places):
        return None
    points = np.array(places, np.float32).reshape(-1, 2)
    return points, np.array(list(text), np.uint8)


_FOLDER = Path(__file__).parent
_CONSTANTS = {
    "PLANE": EXTENT,
    "MAX_POINTS": MAX_POINTS,
    "COLOURS": palette.CLASSES,
    "SYMBOLS": SYMBOLS[:MAX_CLASSES],
}
_CODE = "\n".join(
    [
        *(f"const {name} = {json.dumps(value)}" for name, value in _CONSTANTS.items()),
        (_FOLDER / "paint.js").read_text(encoding="utf-8"),
    ]
)
_mount = st.components.v2.component(
    "nnkit_paint",
    html='<div class="paint" role="group" aria-label="Paint points"></div>',
    css=(_FOLDER / "paint.css").read_text(encoding="utf-8"),
    js=_CODE,
)


def paint(painting: Painting, *, key: str, on_paint: Callable[[Painting], None]) -> None:
    """Show the points, to be painted on.

    Args:
        painting: what Python has; the browser goes on with its own points as long as the
            revision is the same.
        key: the key of the component.
        on_paint: called after each stroke, before the script runs again, with all points.
    """

    def receive() -> None:
        message: Any = st.session_state[key].get("painted")
        parsed = parse_points(message)
        if parsed is not None and message.get("revision") == painting.revision:
            on_paint(dataclasses.replace(painting, points=parsed[0], labels=parsed[1]))

    _mount(key=key, data=_message(painting), on_painted_change=receive)


def _message(painting: Painting) -> bytes:
    """Little-endian: uint32 revision, uint32 n, 2n float32 coordinates, n uint8 labels."""
    return b"".join(
        [
            np.array([painting.revision, len(painting)], "<u4").tobytes(),
            np.ascontiguousarray(painting.points, "<f4").tobytes(),
            np.ascontiguousarray(painting.labels, np.uint8).tobytes(),
        ]
    )
