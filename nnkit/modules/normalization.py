"""Layers that behave differently in training and evaluation, and normalization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import functions as F
from ..errors import ShapeError
from ..functions import Array
from ..functions.base import current_kernels
from ..settings import number, whole_number
from ..tensor import Parameter, Tensor, apply
from .base import Module


class Dropout(Module):
    """In training, each value is zero with probability p and the rest grow by 1/(1 - p).

    Srivastava et al., 2014, "Dropout". In evaluation values pass unchanged.

    >>> Dropout(0.5).eval()([1.0, 2.0])
    Tensor([1., 2.], requires_grad=True)
    """

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        number("p", p, 0, 1)
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
        self.features = whole_number("features", features, 1, 2**31, floats=False)
        self.eps = number("eps", eps, 0, 1e6, "[]")
        self.momentum = number("momentum", momentum, 0, 1, "[]")
        self.weight = Parameter(np.ones(features), dtype=dtype, name="weight")
        self.bias = Parameter(np.zeros(features), dtype=dtype, name="bias")
        self._running_mean = np.zeros(features, dtype)
        self._running_var = np.ones(features, dtype)

    @property
    def running_mean(self) -> Array:
        """The mean of each feature that evaluation goes by."""
        current_kernels().escape(self)
        return self._running_mean

    @running_mean.setter
    def running_mean(self, values: ArrayLike) -> None:
        self.running_mean[...] = values

    @property
    def running_var(self) -> Array:
        """The variance of each feature that evaluation goes by."""
        current_kernels().escape(self)
        return self._running_var

    @running_var.setter
    def running_var(self, values: ArrayLike) -> None:
        self.running_var[...] = values

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
                (0,), self.eps, self.momentum, self._running_mean, self._running_var
            )
            return apply(statistics, x) * self.weight + self.bias
        mean, variance = Tensor._of(self._running_mean), Tensor._of(self._running_var)
        return (x - mean) / (variance + self.eps).sqrt() * self.weight + self.bias

    def _initialize(self, generator: np.random.Generator) -> None:
        self.weight.data, self.bias.data = np.ones(self.features), np.zeros(self.features)
        self._running_mean[...], self._running_var[...] = 0, 1

    def _describe(self) -> str:
        return str(self.features)


class LayerNorm(Module):
    """γ·(x - mean)/√(variance + eps) + β over the last axis, each example by itself.

    Ba et al., 2016, "Layer normalization".

    >>> LayerNorm(2)([[1.0, 3.0]])
    Tensor([[-1.,  1.]], from=add)
    """

    def __init__(self, features: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        self.features = whole_number("features", features, 1, 2**31, floats=False)
        self.eps = number("eps", eps, 0, 1e6, "[]")
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
