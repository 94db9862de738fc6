"""Two spirals: check the gradients, train, and draw the boundary as it evolves.

python -m nnkit.examples.spirals --picture spirals.svg
"""

from __future__ import annotations

import argparse
import base64
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import (
    MSE,
    Module,
    accuracy,
    create_network,
    gradient_check,
    no_grad,
    train_one_step,
    twospirals,
)

PLANE, PIXELS, SIDE = 1.2, 80, 240
ORANGE, GREY, BLUE = (230, 121, 37), (240, 240, 240), (40, 110, 190)


def main(argv: Sequence[str] | None = None) -> float:
    """Check, train, draw, and return the last accuracy."""
    parser = argparse.ArgumentParser(description="Learn to tell two spirals apart.")
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--learning-rate", type=float, default=3.0)
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, default=Path("spirals.svg"), help="an .svg file")
    options = parser.parse_args(argv)

    X, T = twospirals(options.points, noise=0.05, seed=options.seed)
    network = create_network(generator=np.random.default_rng(options.seed))
    loss = MSE()

    print("Gradients, a few of each array:")
    report = gradient_check(network, X[:10], loss=loss, targets=T[:10], max_entries=20)
    print(report)
    report.assert_ok()

    panels = []
    shown = {round(share * options.epochs) for share in (0, 0.1, 0.25, 0.4, 0.6, 1)}
    for epoch in range(options.epochs + 1):
        if epoch in shown:
            prediction = network(X)
            score = accuracy(prediction, T)
            print(f"Epoch {epoch}, Error: {loss(prediction, T):.4f}, Accuracy: {score:.4f}")
            panels.append((f"epoch {epoch}: {score:.0%} right", boundary(network)))
        if epoch < options.epochs:
            train_one_step(network, loss, options.learning_rate, X, T)

    options.picture.write_text(picture(panels, X, T), encoding="utf-8")
    print(f"Saved {options.picture}")
    return accuracy(network(X), T)


def boundary(network: Module) -> Any:
    """What the network says on a grid over the plane, row by row from the top: (PIXELS, PIXELS)."""
    line = np.linspace(-PLANE, PLANE, PIXELS)
    x, y = np.meshgrid(line, -line)
    with no_grad():
        answers = network(np.column_stack([x.ravel(), y.ravel()]))
    return np.reshape(answers, (PIXELS, PIXELS))


def picture(panels: Sequence[tuple[str, Any]], X: Any, T: Any) -> str:
    """Boundaries side by side as SVG text, each with its title and the points."""
    places = (X * [1, -1] / PLANE + 1) * SIDE / 2
    points = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="rgb{BLUE if t else ORANGE}"/>'
        for (x, y), t in zip(places, T[:, 0], strict=True)
    )
    parts = [
        f'<g transform="translate({i * (SIDE + 10) + 10} 30)">'
        f'<text y="-8">{title}</text>'
        f'<image width="{SIDE}" height="{SIDE}" href="data:image/png;base64,{png(colours(z))}"/>'
        f'<g stroke="white" stroke-width="0.6">{points}</g></g>'
        for i, (title, z) in enumerate(panels)
    ]
    width = len(panels) * (SIDE + 10) + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{SIDE + 40}" '
        f'font-family="sans-serif" font-size="14">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def colours(z: Any) -> Any:
    """Orange for 0, grey for a half, blue for 1, as bytes (rows, columns, 3)."""
    anchors = np.array([ORANGE, GREY, BLUE])
    channels = [np.interp(z, [0, 0.5, 1], anchors[:, c]) for c in range(3)]
    # Halfway to white, so that the points stand out.
    return ((np.stack(channels, axis=-1) + 255) / 2).astype(np.uint8)


def png(pixels: Any) -> str:
    """Bytes (rows, columns, 3) as a PNG image, in base64."""
    rows, columns, _ = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)  # each line without a filter
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + image).decode()


if __name__ == "__main__":
    main()
