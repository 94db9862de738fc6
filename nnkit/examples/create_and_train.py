"""Create a network and train it: layers, loss and learning rate in one object.

python -m nnkit.examples.create_and_train
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from nnkit import (
    BinaryCrossEntropy,
    Dense,
    NeuralNetwork,
    Progress,
    ReLU,
    Sigmoid,
    accuracy,
    make_dataset,
    split,
)


def show(progress: Progress) -> None:
    """One line every hundred epochs."""
    if progress.epoch % 100 == 0:
        print(f"Epoch {progress.epoch}, Loss: {progress.loss:.4f}")


def main(argv: Sequence[str] | None = None) -> float:
    """Train, print, and return the accuracy on test data."""
    parser = argparse.ArgumentParser(description="Create and train a neural network.")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--learning-rate", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)

    data = make_dataset("circle", samples=500, noise=0.1, seed=options.seed)
    train, test = split(data, 0.8, seed=options.seed)

    layers = (
        (Dense(64), ReLU()),
        (Dense(64), ReLU()),
        (Dense(1), Sigmoid()),
    )
    model = NeuralNetwork(
        layers=layers,
        loss=BinaryCrossEntropy(),
        learning_rate=options.learning_rate,
        generator=np.random.default_rng(options.seed),
    )
    model.fit(train.inputs, train.targets, epochs=options.epochs, callback=show)

    print(model.summary(input_shape=(2,)))
    for name, part in (("Training", train), ("Test", test)):
        print(f"{name} accuracy: {accuracy(model(part.inputs), part.targets):.4f}")
    return accuracy(model(test.inputs), test.targets)


if __name__ == "__main__":
    main()
