"""Learn XOR with a model of one's own: layers, backward pass and update written out by hand.

python -m nnkit.examples.xor --epochs 1000 --learning-rate 0.1
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit import BinaryCrossEntropy, Linear, Module, ReLU, Sigmoid, accuracy


class Model(Module):
    """Three layers; what the last lines do by hand, `Module` would do by itself."""

    def __init__(self, generator: np.random.Generator | None = None) -> None:
        super().__init__()
        self.fc_0 = Linear(3, 4, ReLU(), generator=generator)
        self.fc_1 = Linear(4, 4, ReLU(), generator=generator)
        self.fc_output = Linear(4, 1, Sigmoid(), generator=generator)
        self.layers = [self.fc_0, self.fc_1, self.fc_output]

    def forward(self, x: Any) -> Any:
        x = self.fc_0(x)
        x = self.fc_1(x)
        x = self.fc_output(x)
        return x

    def backward(self, grad_output: Any = None) -> Any:
        """Backpropagate gradients through all layers."""
        grad = grad_output
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad

    def update_weights(self, learning_rate: float) -> None:
        """Update weights for all layers."""
        for layer in self.layers:
            layer.update_weights(learning_rate)

    def zero_gradients(self) -> None:
        """Reset gradients to zero."""
        for layer in self.layers:
            layer.grad_weights.fill(0)
            layer.grad_biases.fill(0)


def main(argv: Sequence[str] | None = None) -> float:
    """Train, print, and return the last accuracy."""
    parser = argparse.ArgumentParser(description="Learn XOR with a model of one's own.")
    parser.add_argument("--epochs", type=int, default=1000)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)

    X_train = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=np.float32)
    y_train = np.array([[0], [1], [1], [0]], dtype=np.float32)
    model = Model(np.random.default_rng(options.seed))
    criterion = BinaryCrossEntropy()

    for epoch in range(options.epochs):
        model.zero_gradients()
        predictions = model(X_train)
        loss = criterion(predictions, y_train)
        loss_gradient = criterion.backward()
        model.backward(loss_gradient)
        model.update_weights(options.learning_rate)
        acc = accuracy(predictions, y_train)
        if epoch % 100 == 0:
            print(f"Epoch {epoch}, Loss: {loss:.4f}, Accuracy: {acc:.4f}")

    final_predictions = model(X_train)
    for input_val, pred, true in zip(X_train, final_predictions, y_train, strict=True):
        print(f"Input: {input_val}, Predicted: {pred[0]:.4f}, True: {true[0]}")
    return accuracy(final_predictions, y_train)


if __name__ == "__main__":
    main()
