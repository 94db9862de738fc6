"""Initial values of weights, by name.

`fan_in` and `fan_out` are the numbers of inputs and outputs of a layer; for a weight of shape
(out, in) they are its second and first axis. Each rule keeps the size of signals about equal from
layer to layer for the activations that it is named for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from .errors import ConfigError
from .functions import Array

Initializer = Callable[[tuple[int, ...], "np.random.Generator"], Array]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2:
        return (shape[0] if shape else 1), (shape[0] if shape else 1)
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def _uniform(bound: float, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    return generator.uniform(-bound, bound, shape)


def xavier_uniform(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Uniform in ±√(6/(fan_in + fan_out)): for tanh and sigmoid (Glorot and Bengio, 2010).

    >>> w = xavier_uniform((3, 2), np.random.default_rng(0))
    >>> w.shape, bool(np.abs(w).max() <= (6 / 5) ** 0.5)
    ((3, 2), True)
    """
    fan_in, fan_out = _fans(shape)
    return _uniform(math.sqrt(6 / max(fan_in + fan_out, 1)), shape, generator)


def xavier_normal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Normal with variance 2/(fan_in + fan_out) (Glorot and Bengio, 2010)."""
    fan_in, fan_out = _fans(shape)
    return generator.normal(0.0, math.sqrt(2 / max(fan_in + fan_out, 1)), shape)


def he_uniform(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Uniform in ±√(6/fan_in): for ReLU and its relatives (He et al., 2015)."""
    return _uniform(math.sqrt(6 / max(_fans(shape)[0], 1)), shape, generator)


def he_normal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Normal with variance 2/fan_in (He et al., 2015)."""
    return generator.normal(0.0, math.sqrt(2 / max(_fans(shape)[0], 1)), shape)


def lecun_uniform(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Uniform in ±√(3/fan_in) (LeCun et al., 1998)."""
    return _uniform(math.sqrt(3 / max(_fans(shape)[0], 1)), shape, generator)


def lecun_normal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Normal with variance 1/fan_in (LeCun et al., 1998)."""
    return generator.normal(0.0, math.sqrt(1 / max(_fans(shape)[0], 1)), shape)


def orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Rows (or columns, whichever are fewer) of length 1 at right angles (Saxe et al., 2014)."""
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.asarray(q if rows >= columns else q.T).reshape(shape)


def zeros(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """All zero: hidden units then stay copies of each other, which is worth seeing once."""
    return np.zeros(shape)


def constant(value: float) -> Initializer:
    """Every weight the same `value`."""
    return lambda shape, generator: np.full(shape, value)


def uniform(low: float, high: float) -> Initializer:
    """Uniform in [low, high)."""
    return lambda shape, generator: generator.uniform(low, high, shape)


INITIALIZERS: Mapping[str, Initializer] = MappingProxyType({
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "zeros": zeros,
})  # fmt: skip


def suiting(activation: str) -> str:
    """The name of the rule for layers with that activation: He's for ReLU's family, else Xavier's.

    >>> suiting("relu"), suiting("tanh")
    ('he_uniform', 'xavier_uniform')
    """
    gated = ("relu", "leaky_relu", "gelu", "silu", "elu")
    return "he_uniform" if activation in gated else "xavier_uniform"


def initializer(rule: str | Initializer) -> Initializer:
    """The rule of that name; a function is taken as it is.

    >>> initializer("he_normal") is he_normal
    True
    """
    if callable(rule):
        return rule
    if rule not in INITIALIZERS:
        raise ConfigError("init", f"must be one of {', '.join(INITIALIZERS)}; got {rule!r}")
    return INITIALIZERS[rule]
