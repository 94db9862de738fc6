"""Layers in a row, for classification (XOR) and for regression, with weights saved and loaded.

python -m nnkit.examples.classify_and_regress --folder /tmp
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import (
    MSE,
    BinaryCrossEntropy,
    Layer,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    accuracy,
    make_dataset,
    r2_score,
)


def train(
    model: Sequential, criterion: Layer, X: Any, y: Any, epochs: int, learning_rate: float
) -> None:
    """Forward through all layers, backward through all layers, update."""
    for epoch in range(1, epochs + 1):
        loss = criterion.forward(model.forward(X), y)
        model.backward(criterion.backward())
        model.update_weights(learning_rate)
        if epoch % (epochs // 4 or 1) == 0:
            print(f"  epoch {epoch}, loss {loss:.4f}")


def classifier(generator: np.random.Generator) -> Sequential:
    """Two hidden units are enough for XOR, and more make it easy."""
    model = Sequential()
    model.append(Linear(2, 8, generator=generator))
    model.append(Sigmoid())
    model.append(Linear(8, 1, generator=generator))
    model.append(Sigmoid())
    return model


def regressor(generator: np.random.Generator) -> Sequential:
    """A curve of straight pieces, one corner for each hidden unit."""
    return Sequential(
        Linear(1, 32, generator=generator), ReLU(), Linear(32, 1, generator=generator)
    )


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    """Train both, save and load both, and return accuracy and R² of what was loaded."""
    parser = argparse.ArgumentParser(description="Classification, regression, and .npz files.")
    parser.add_argument("--epochs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to keep the weights")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        return run(options.folder or Path(temporary), options.epochs, options.seed)


def run(folder: Path, epochs: int, seed: int) -> tuple[float, float]:
    generator = np.random.default_rng(seed)

    print("Classification: XOR")
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    y = np.array([[0], [1], [1], [0]], dtype=np.float32)
    model = classifier(generator)
    train(model, BinaryCrossEntropy(), X, y, epochs, learning_rate=1.0)
    model.save(folder / "xor.npz")
    loaded = classifier(generator).load(folder / "xor.npz")
    for inputs, output in zip(X, loaded(X), strict=True):
        print(f"  {inputs} -> {output[0]:.3f}")
    score = accuracy(loaded(X), y)

    print("Regression: a sine wave")
    data = make_dataset("sine", samples=200, noise=0.1, seed=seed)
    targets = data.targets[:, None]
    model = regressor(generator)
    train(model, MSE(), data.inputs, targets, epochs, learning_rate=0.1)
    model.save(folder / "sine.npz")
    loaded = regressor(generator).load(folder / "sine.npz")
    fit = r2_score(loaded(data.inputs), targets)
    print(f"  R² {fit:.3f}")
    same = np.array_equal(loaded(data.inputs), model(data.inputs))
    print(f"Loaded networks answer as the saved ones did: {same}")
    return score, fit


if __name__ == "__main__":
    main()
