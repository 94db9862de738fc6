"""What the Gradients page offers to look at: formulas to edit, and layers that work on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from nnkit import cross_entropy_loss, mse_loss, tanh
from nnkit import functions as F
from nnkit.tensor import Tensor, apply

DEFAULT_VALUE = 0.5


@dataclass(frozen=True)
class Example:
    """A formula, or with `function` a computation on arrays that `text` and `latex` describe.

    `lesson` says what to look at.
    """

    text: str
    values: Mapping[str, Any]
    lesson: str
    function: Callable[..., Tensor] | None = None
    latex: str = ""


def _layer(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    targets = Tensor(np.array([[1.0, -1.0], [0.0, 1.0], [0.5, 0.0]]), name="t")
    return mse_loss(tanh(apply(F.Linear(), x, weight, bias)), targets)


def _classifier(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    targets = Tensor(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), name="t")
    return cross_entropy_loss(apply(F.Linear(), x, weight, bias), targets)


EXAMPLES: Mapping[str, Example] = MappingProxyType(
    {
        "Neuron": Example(
            "relu(w*x + b)",
            {"w": 0.8, "x": 1.5, "b": -0.5},
            "Make b smaller than -1.2: the unit is off, and no gradient gets past relu.",
        ),
        "Diamond": Example(
            "a = x*y; sin(a) + a^2",
            {"x": 1.5, "y": -0.5},
            "The result depends on a in two ways, so a receives two parts, which add up.",
        ),
        "Reuse": Example(
            "x*x + 3*x",
            {"x": 2.0},
            "x is used three times: its gradient is complete when all three parts have arrived.",
        ),
        "Softmax": Example(
            "a = exp(x); b = exp(y); c = exp(z); -log(a / (a + b + c))",
            {"x": 1.0, "y": 0.5, "z": -1.0},
            "Cross-entropy of the first of three classes. Each logit receives its probability, "
            "the right one less 1: the three gradients add up to 0.",
        ),
        "Logistic loss": Example(
            "p = sigmoid(w*x + b); -(t*log(p) + (1 - t)*log(1 - p))",
            {"w": 0.8, "x": 1.5, "b": -0.5, "t": 1.0},
            "Much cancels on the way: before the sigmoid only p - t is left.",
        ),
        "Small network": Example(
            "g = tanh(w1*x + w2*y + b1); h = tanh(w3*x + w4*y + b2); "
            "z = u1*g + u2*h + b3; (sigmoid(z) - t)^2",
            {"w1": 0.9, "w2": -0.4, "b1": 0.1, "w3": -0.7, "w4": 0.6, "b2": 0.2}
            | {"u1": 1.2, "u2": -0.8, "b3": 0.05, "x": 0.5, "y": 1.0, "t": 1.0},
            "Two tanh units and a sigmoid output: one backward pass gives all nine slopes to "
            "train with.",
        ),
        "Layer": Example(
            "mean((tanh(x Wᵀ + b) − t)²)",
            {
                "x": np.array([[0.5, 1.0], [-1.0, 0.3], [0.8, -0.6]]),
                "W": np.array([[0.6, -0.4], [0.2, 0.9]]),
                "b": np.array([0.2, -0.3]),
            },
            "Three examples go through a layer of two units at once; W receives the sum over "
            "the examples.",
            _layer,
            r"L = \operatorname{mean}\bigl((\tanh(x\,W^{\top} + b) - t)^2\bigr)",
        ),
        "Classifier": Example(
            "mean(cross_entropy(x Wᵀ + b, t))",
            {
                "x": np.array([[0.5, 1.0], [-1.0, 0.3]]),
                "W": np.array([[0.6, -0.4], [0.2, 0.9], [-0.5, 0.3]]),
                "b": np.array([0.2, 0.0, -0.1]),
            },
            "The rule of softmax with cross-entropy in one step: probabilities minus targets.",
            _classifier,
            r"L = \operatorname{mean}\bigl(-t \log\operatorname{softmax}(x\,W^{\top} + b)\bigr)",
        ),
    }
)
