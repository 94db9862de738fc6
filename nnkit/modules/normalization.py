"""Layers that behave differently in training and evaluation, and normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import functions as F
from ..errors import ConfigError, ShapeError
from ..settings import Number
from ..tensor import Parameter, Tensor, apply
from .base import Module

_FEATURES = Number(1, 1, 2**31, whole=True)
_EPS, _MOMENTUM = Number(1e-5, 0, 1e6), Number(0.1, 0, 1)


class Dropout(Module):
    """In training, each value is zero with probability p and the rest grow by 1/(1 - p).

    Srivastava et al., 2014, "Dropout". In evaluation values pass unchanged.

    >>> Dropout(0.5).eval()([1.0, 2.0])
    Tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        if not 0 <= p < 1:
            raise ConfigError("p", f"must be at least 0 and below 1, got {p!r}")
        self.p = p
        self.generator = np.random.default_rng(generator)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return apply(F.Dropout(self.p, self.generator), x)

    def _initialize(self, generator: np.random.Generator) -> None:
        self.generator = generator.spawn(1)[0]

    def _describe(self) -> str:
        return f"p={self.p}"


class BatchNorm(Module):
    """γ·(x - mean)/√(variance + eps) + β for x of shape (n, features), over the examples.

    In training the batch's own mean and (biased) variance are used, and running averages are
    moved by `momentum`; in evaluation the running averages are used (Ioffe and Szegedy, 2015).

    Raises:
        ShapeError: fewer than two examples in training, where the variance means nothing.

    >>> BatchNorm(3)(np.ones((4, 3))).shape
    (4, 3)
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(
        self, features: int, *, eps: float = 1e-5, momentum: float = 0.1, dtype: Any = np.float32
    ) -> None:
        self.features, self.eps = int(_FEATURES.check("features", features)), _EPS.check("eps", eps)
        self.momentum = _MOMENTUM.check("momentum", momentum)
        self.weight = Parameter(np.ones(features), dtype=dtype, name="weight")
        self.bias = Parameter(np.zeros(features), dtype=dtype, name="bias")
        self.running_mean = np.zeros(features, dtype)
        self.running_var = np.ones(features, dtype)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ShapeError(f"BatchNorm expected shape (n, {self.features}), got {x.shape}")
        x = x.astype(self.weight.dtype)
        if self.training:
            if x.shape[0] < 2:
                raise ShapeError(
                    "batch normalization needs at least two examples in training, "
                    f"got {x.shape[0]}; use larger batches, or eval() to predict"
                )
            statistics = F.BatchStatistics(
                (0,), self.eps, self.momentum, self.running_mean, self.running_var
            )
            return apply(statistics, x) * self.weight + self.bias
        mean = Tensor._of(self.running_mean)
        variance = Tensor._of(self.running_var)
        return (x - mean) / (variance + self.eps).sqrt() * self.weight + self.bias

    def _initialize(self, generator: np.random.Generator) -> None:
        self.weight.data, self.bias.data = np.ones(self.features), np.zeros(self.features)
        self.running_mean[...], self.running_var[...] = 0, 1

    def _describe(self) -> str:
        return str(self.features)


class LayerNorm(Module):
    """γ·(x - mean)/√(variance + eps) + β over the last axis, each example by itself.

    Ba et al., 2016, "Layer normalization".

    >>> LayerNorm(2)([[1.0, 3.0]])
    Tensor([[-1.,  1.]], from=add)
    """

    def __init__(self, features: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.features, self.eps = int(_FEATURES.check("features", features)), _EPS.check("eps", eps)
        self.weight = Parameter(np.ones(features), dtype=dtype, name="weight")
        self.bias = Parameter(np.zeros(features), dtype=dtype, name="bias")

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[-1] != self.features:
            raise ShapeError(f"LayerNorm expected a last axis of {self.features}, got {x.shape}")
        x = x.astype(self.weight.dtype)
        return apply(F.Normalize((-1,), self.eps), x) * self.weight + self.bias

    def _initialize(self, generator: np.random.Generator) -> None:
        self.weight.data, self.bias.data = np.ones(self.features), np.zeros(self.features)

    def _describe(self) -> str:
        return str(self.features)


class Flatten(Module):
    """(n, ...) to (n, product of the rest).

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))
