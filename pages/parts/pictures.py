"""Small pictures made without a plotting library: grids as PNG images, data sets as SVG."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.palette import CLASSES, NEGATIVE, POSITIVE


def value_image(values: NDArray[Any], limit: float) -> str:
    """A grid of values on the diverging scale, `-limit` to `limit`, as the URI of a PNG image.

    Row 0 of the grid is the lowest row of the image. Zero is transparent: over the neutral colour
    of a theme the shades are those of the diverging scale. NaN shows as zero.
    """
    level = np.clip(np.nan_to_num(values / limit), -1, 1) * 127
    shades = np.vstack((_shades(NEGATIVE, 128)[::-1], _shades(POSITIVE, 128)[1:]))
    return _png(127 + np.rint(level).astype(np.int64), shades)


def class_image(likely: NDArray[Any], confidence: NDArray[Any], classes: int) -> str:
    """A grid of class numbers, each in its colour, transparent where `confidence` (0 to 1) is 0."""
    levels = 256 // classes
    level = np.clip(np.nan_to_num(confidence), 0, 1) * (levels - 1)
    shades = np.vstack([_shades(CLASSES[k % len(CLASSES)], levels) for k in range(classes)])
    return _png(likely * levels + np.rint(level).astype(np.int64), shades)


def dataset_thumbnail(inputs: NDArray[Any], targets: NDArray[Any], *, points: int = 150) -> str:
    """A small picture of a data set as SVG text, 100 by 100 units, transparent behind.

    Integer targets are classes. Other targets are coloured on the diverging scale; with a single
    input the target is drawn upwards instead.
    """
    kept = sample(len(targets), points)
    inputs, targets = np.asarray(inputs)[kept], np.asarray(targets)[kept]
    if inputs.shape[1] == 1:
        inputs = np.column_stack((inputs, targets))
    low, high = inputs[:, :2].min(axis=0), inputs[:, :2].max(axis=0)
    places = 5 + 90 * (inputs[:, :2] - low) / np.where(high > low, high - low, 1)
    classes = targets.dtype.kind in "iu"
    largest = float(np.abs(targets).max()) or 1.0
    marks = []
    for (x, y), target in zip(places, targets, strict=True):
        colour, opacity, corner = CLASSES[int(target) % len(CLASSES)], 1.0, 2.5 * (target % 2 == 0)
        if not classes:
            colour, corner = (NEGATIVE, POSITIVE)[int(target > 0)], 2.5
            opacity = 0.2 + 0.8 * abs(target) / largest
        marks.append(
            f'<rect x="{x - 2.5:.1f}" y="{97.5 - y:.1f}" width="5" height="5" rx="{corner}"'
            f' fill="{colour}" fill-opacity="{opacity:.2f}"/>'
        )
    body = "".join(marks)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{body}</svg>'


def sample(count: int, limit: int) -> NDArray[np.intp]:
    """Indices of at most `limit` of `count` items, evenly chosen.

    >>> sample(10, 4)
    array([0, 3, 6, 9])
    """
    return np.linspace(0, max(count - 1, 0), min(count, limit)).astype(np.intp)


def _shades(colour: str, levels: int) -> NDArray[np.uint8]:
    """From transparent to `colour`, RGBA."""
    shades = np.empty((levels, 4), dtype=np.uint8)
    shades[:, :3] = tuple(bytes.fromhex(colour[1:]))
    shades[:, 3] = np.linspace(0, 255, levels).round()
    return shades


def _png(indices: NDArray[Any], shades: NDArray[np.uint8]) -> str:
    """A PNG image of palette colours (PNG specification, 3rd edition, 2025, colour type 3)."""
    rows, columns = indices.shape
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)  # each line begins with filter type 0
    lines[:, 1:] = indices[::-1]
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", shades[:, :3].tobytes()),
        (b"tRNS", shades[:, 3].tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
