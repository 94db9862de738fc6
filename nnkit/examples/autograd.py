"""Automatic differentiation, and three networks trained with it.

python -m nnkit.examples.autograd
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from nnkit import (
    SGD,
    Adam,
    Dense,
    RMSprop,
    Sequential,
    Tensor,
    accuracy,
    binary_cross_entropy_loss,
    cross_entropy_loss,
    make_dataset,
    mse_loss,
    r2_score,
    relu,
    sigmoid,
    tanh,
)

Generator = np.random.Generator


def differentiate() -> None:
    """Gradients of a formula."""
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = Tensor([2.0, 3.0, 4.0], requires_grad=True)
    z = x * y + x
    loss = z.sum()
    loss.backward()
    print(f"z = {z}")
    print(f"x.grad = {x.grad}")  # y + 1
    print(f"y.grad = {y.grad}")  # x


def regression(epochs: int, generator: Generator) -> float:
    """A plane in ten dimensions, bent a little."""
    X_train = generator.normal(size=(200, 10)).astype(np.float32)
    y_train = np.tanh(X_train @ generator.normal(size=(10, 1))).astype(np.float32)
    model = Sequential(
        Dense(10, 64, activation=relu, generator=generator),
        Dense(64, 32, activation=relu, generator=generator),
        Dense(32, 1, activation=None, generator=generator),
    )
    criterion = mse_loss
    optimizer = Adam(model.parameters(), lr=0.001)
    for epoch in range(epochs):
        X_tensor = Tensor(X_train, requires_grad=False)
        y_tensor = Tensor(y_train, requires_grad=False)
        predictions = model(X_tensor)
        loss = criterion(predictions, y_tensor)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        if (epoch + 1) % 100 == 0:
            print(f"Epoch {epoch + 1}, Loss: {loss.data.item():.4f}")
    return r2_score(model(X_train), y_train)


def binary_classification(epochs: int, generator: Generator) -> float:
    """Two moons; predictions and targets of shape (batch,)."""
    data = make_dataset("moons", samples=300, noise=0.2, seed=0)
    model = Sequential(
        Dense(2, 16, activation=tanh, generator=generator),
        Dense(16, 1, activation=sigmoid, generator=generator),
    )
    optimizer = SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.0001)
    for epoch in range(epochs):
        predictions = model(data.inputs)[:, 0]
        loss = binary_cross_entropy_loss(predictions, data.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (epoch + 1) % 100 == 0:
            print(f"Epoch {epoch + 1}, Loss: {loss.item():.4f}")
    return accuracy(model(data.inputs), data.targets)


def multi_class_classification(epochs: int, generator: Generator) -> float:
    """Three spiral arms; predictions are logits (batch, classes), targets class indices."""
    data = make_dataset("arms", samples=300, noise=0.1, seed=0)
    model = Sequential(
        Dense(2, 32, activation=relu, generator=generator),
        Dense(32, 32, activation=relu, generator=generator),
        Dense(32, 3, generator=generator),
    )
    optimizer = RMSprop(model.parameters(), lr=0.005, alpha=0.99, eps=1e-8)
    for epoch in range(epochs):
        loss = cross_entropy_loss(model(data.inputs), data.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (epoch + 1) % 100 == 0:
            print(f"Epoch {epoch + 1}, Loss: {loss.item():.4f}")
    return accuracy(model(data.inputs), data.targets)


def main(argv: Sequence[str] | None = None) -> tuple[float, float, float]:
    """Run the examples, and return R² and the two accuracies."""
    parser = argparse.ArgumentParser(description="Automatic differentiation at work.")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    generator = np.random.default_rng(options.seed)
    print("Gradients")
    differentiate()
    print("\nSimple regression")
    fit = regression(options.epochs, generator)
    print(f"R²: {fit:.4f}")
    print("\nBinary classification")
    binary = binary_classification(options.epochs, generator)
    print(f"Accuracy: {binary:.4f}")
    print("\nMulti-class classification")
    several = multi_class_classification(options.epochs, generator)
    print(f"Accuracy: {several:.4f}")
    return fit, binary, several


if __name__ == "__main__":
    main()
