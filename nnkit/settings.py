"""What can be set: the choices and numbers of an experiment, their limits, and what they mean.

Pages make their controls from these tables, and `nnkit.config` checks with them what it is given.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from reprlib import repr as repr_short
from types import MappingProxyType
from typing import Any

import numpy as np

from .errors import ConfigError

MAX_LAYERS, MAX_UNITS = 10, 64


def short(value: Any) -> str:
    """`value` as it is written, cut where it is long: for messages about what a stranger sent."""
    text = repr_short(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def number(
    name: str,
    value: Any,
    low: float = 0,
    high: float = math.inf,
    ends: str = "[)",
    *,
    note: str = "",
    arrays: bool = True,
) -> float:
    """`value` as a float from `low` and below `high`, or a `ConfigError` that says so.

    Args:
        name: of the field, for the message.
        ends: which limits belong to the range, as mathematics writes it: "[]", "[)", "(]" or "()".
        note: what else there is to say of the range.
        arrays: whether an array of no axis, which holds one number, is taken for it.

    >>> number("momentum", 0.9, 0, 1)
    0.9
    >>> number("momentum", 1.0, 0, 1)
    Traceback (most recent call last):
    nnkit.errors.ConfigError: momentum: must be a number from 0 and below 1, got 1.0
    """
    found = _single(value, arrays)
    above = low <= found if ends[0] == "[" else low < found
    below = found <= high if ends[1] == "]" else found < high
    with suppress(OverflowError):  # of whole numbers beyond all floats
        if above and below:
            return float(found)
    wanted = f"{'from' if ends[0] == '[' else 'above'} {low:g}"
    if high < math.inf:
        wanted += f" {'to' if ends[1] == ']' else 'and below'} {high:g}"
    raise ConfigError(name, f"must be a number {wanted}{note}, got {short(value)}")


def whole_number(
    name: str,
    value: Any,
    low: float = 1,
    high: float = math.inf,
    *,
    note: str = "",
    floats: bool = True,
    arrays: bool = True,
) -> int:
    """`value` as an int from `low` to `high`, or a `ConfigError` that says so.

    Takes 3.0 for 3, unless `floats` is False; `note` and `arrays` are as in `number`.

    >>> whole_number("epochs", 3.0)
    3
    >>> whole_number("epochs", 2.5)
    Traceback (most recent call last):
    nnkit.errors.ConfigError: epochs: must be a whole number from 1, got 2.5
    """
    found = _single(value, arrays)
    # NaN is not within the limits, and int() cannot take infinity.
    within = low <= found <= high and found < math.inf and found == int(found)
    if within and (floats or isinstance(found, numbers.Integral)):
        return int(found)
    wanted = f"from {int(low)}" + (f" to {int(high)}" if high < math.inf else "")
    raise ConfigError(name, f"must be a whole number {wanted}{note}, got {short(value)}")


def _single(value: Any, arrays: bool) -> Any:
    """`value` if it is a real number, Python's or NumPy's; else NaN, which is within no limits."""
    if arrays and isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    return value if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan


@dataclass(frozen=True)
class Number:
    """A numeric setting: its default and its limits."""

    default: float
    low: float
    high: float
    whole: bool = False
    title: str = ""
    help: str = ""

    def check(self, name: str, value: Any) -> float | int:
        """`value` as a number within the limits, or a `ConfigError` that names them."""
        if self.whole:
            return whole_number(name, value, self.low, self.high, arrays=False)
        return number(name, value, self.low, self.high, "[]", arrays=False)


@dataclass(frozen=True)
class LossRule:
    """What a loss is for, and the output layer that goes with it."""

    title: str
    task: str
    output: str  # the activation that turns outputs into what people read
    binary_only: bool = False
    per_class: bool = False  # one output unit for each class
    help: str = ""


LOSS_RULES: Mapping[str, LossRule] = MappingProxyType({
    "binary_cross_entropy": LossRule(
        "Binary cross-entropy", "classification", "sigmoid", binary_only=True,
        help="How surprised a probability is by the label; one sigmoid output for two classes.",
    ),
    "cross_entropy": LossRule(
        "Cross-entropy (softmax)", "classification", "softmax", per_class=True,
        help="One output for each class; softmax makes them compete for probability.",
    ),
    "one_vs_rest": LossRule(
        "One against the rest", "classification", "sigmoid", per_class=True,
        help="A yes-or-no question for each class, each with a sigmoid of its own.",
    ),
    "hinge": LossRule(
        "Hinge", "classification", "sigmoid", binary_only=True,
        help="Punishes points on the wrong side of a margin and ignores the rest, as in an SVM.",
    ),
    "mse": LossRule(
        "Mean squared error", "regression", "identity",
        help="The mean of squared errors: large errors count most.",
    ),
    "l1": LossRule(
        "Mean absolute error", "regression", "identity",
        help="The mean of absolute errors: outliers pull less.",
    ),
    "huber": LossRule(
        "Huber", "regression", "identity",
        help="Squared for small errors, absolute for large ones: smooth and robust.",
    ),
})  # fmt: skip

_MOMENTUM = Number(
    0.9, 0, 0.999, title="Momentum", help="The share of the last step kept in the next."
)
_BETA1 = Number(0.9, 0, 0.999, title="β₁", help="How long the mean of gradients is remembered.")
_BETA2 = Number(0.999, 0, 0.99999, title="β₂", help="How long the size of gradients is remembered.")

OPTIMIZER_SETTINGS: Mapping[str, Mapping[str, Number]] = MappingProxyType(
    {
        "sgd": {
            "momentum": dataclasses.replace(_MOMENTUM, default=0.0),
            "nesterov": Number(0, 0, 1, True, "Nesterov", "Look ahead along the momentum first."),
        },
        "adam": {"beta1": _BETA1, "beta2": _BETA2},
        "adamw": {
            "beta1": _BETA1,
            "beta2": _BETA2,
            "weight_decay": Number(
                0.01, 0, 1, title="Weight decay", help="Shrinks weights a little each step."
            ),
        },
        "rmsprop": {
            "alpha": Number(
                0.99, 0, 0.9999, title="α", help="How long squared gradients are remembered."
            ),
            "momentum": dataclasses.replace(_MOMENTUM, default=0.0),
        },
        "adagrad": {
            "lr_decay": Number(
                0, 0, 1, title="Rate decay", help="How fast the learning rate falls by itself."
            ),
        },
        "adadelta": {
            "rho": Number(
                0.9, 0, 0.9999, title="ρ", help="How long squared gradients are remembered."
            ),
        },
    }
)

_HORIZON = Number(200, 1, 100_000, True, "Epochs", "The length of the schedule, in epochs.")

SCHEDULE_SETTINGS: Mapping[str, Mapping[str, Number]] = MappingProxyType(
    {
        "constant": {},
        "step": {
            "step_size": Number(50, 1, 100_000, True, "Every", "Epochs between two steps down."),
            "gamma": Number(0.5, 0.001, 1, title="Factor", help="What the rate is multiplied by."),
        },
        "exponential": {
            "gamma": Number(0.99, 0.5, 1, title="Factor", help="Multiplies the rate each epoch.")
        },
        "cosine": {"epochs": _HORIZON},
        "one_cycle": {"epochs": _HORIZON},
        "plateau": {
            "factor": Number(
                0.5, 0.01, 0.99, title="Factor", help="What the rate is multiplied by."
            ),
            "patience": Number(
                20, 1, 10_000, True, "Patience", "Epochs without progress before it falls."
            ),
        },
        "warmup": {"epochs": dataclasses.replace(_HORIZON, default=10)},
    }
)

#: Activations offered for hidden layers, with their titles.
HIDDEN_ACTIVATIONS: Mapping[str, str] = MappingProxyType({
    "relu": "ReLU", "leaky_relu": "Leaky ReLU", "gelu": "GELU", "silu": "SiLU", "elu": "ELU",
    "softplus": "Softplus", "tanh": "Tanh", "sigmoid": "Sigmoid", "sine": "Sine",
    "softmax": "Softmax", "identity": "Linear",
})  # fmt: skip

NORMALIZATIONS = ("none", "batch", "layer")

LIMITS: Mapping[str, Number] = MappingProxyType({
    "samples": Number(500, 4, 10_000, True),
    "noise": Number(0.1, 0, 1),
    "imbalance": Number(0, 0, 0.95),
    "label_noise": Number(0, 0, 0.5),
    "outliers": Number(0, 0, 0.5),
    "train_fraction": Number(0.8, 0.05, 0.95),
    "data_seed": Number(0, 0, 2**31 - 1, True),
    "init_seed": Number(0, 0, 2**31 - 1, True),
    "learning_rate": Number(0.03, 1e-6, 1e4),
    "batch_size": Number(32, 1, 10_000, True),
    "l1": Number(0, 0, 10),
    "l2": Number(0, 0, 10),
    "clip_norm": Number(0, 0, 1e6),
    "patience": Number(0, 0, 100_000, True),
    "target_score": Number(0, 0, 1),
})  # fmt: skip

#: What may change while training goes on; everything else makes a new experiment.
LIVE_FIELDS = (
    "learning_rate", "batch_size", "l1", "l2", "clip_norm", "patience", "target_score",
)  # fmt: skip
