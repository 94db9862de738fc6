"""Losses as modules (`MSE()(prediction, target)`) and as functions (`mse_loss`).

A loss is a module whose output is one number, so `criterion.backward()` gives dL/dprediction.
Predictions and targets must have the same shape: (n, 1) against (n,) is refused, because
broadcasting would silently compare every prediction with every target.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from . import functions as F
from .errors import ConfigError, ShapeError
from .functions import Array, Function
from .functions.base import ONE, ZERO, clip_ufunc, current_kernels
from .modules.base import Module
from .modules.calls import as_input, remembers
from .settings import number
from .tensor import Tensor, apply, as_tensor

REDUCTIONS = ("mean", "sum", "none")


class Loss(Module):
    """Base of the losses.

    Args:
        reduction: "mean" over all elements (over the examples, for cross-entropy), "sum", or
            "none" for one loss per element (per example).
    """

    name: ClassVar[str]
    __slots__ = ("_reduced",)  # beside the attributes, like the last call

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in REDUCTIONS:
            raise ConfigError(
                "reduction", f"must be one of {', '.join(REDUCTIONS)}; got {reduction!r}"
            )
        self.reduction = reduction

    @property
    def function(self) -> Function:
        """The loss of each element, before any reduction."""
        raise NotImplementedError

    @remembers
    def forward(self, prediction: Any, target: Any) -> Tensor:
        if not isinstance(prediction, Tensor):
            prediction = as_input(prediction)
        truth = self.targets_for(prediction, target)
        function = self.function
        if self.reduction != "none":
            function = self.reduced(function)
        loss = apply(function, prediction, truth)
        self._last_call = (prediction, loss)
        return loss

    def reduced(self, function: Function) -> F.Reduced:
        """`function` with the reduction behind it: the same as last time, unless they differ."""
        kept: F.Reduced | None = getattr(self, "_reduced", None)
        if kept is None or kept.losses is not function or kept.reduction != self.reduction:
            kept = self._reduced = F.Reduced(function, self.reduction)
        return kept

    def gradient(self, prediction: Any, target: Any) -> Array:
        """dL/dprediction as an array: a call and its `backward()` in one.

        >>> MSE().gradient([1.0, 3.0], [1.0, 1.0])
        array([0., 2.], dtype=float32)
        """
        self(prediction.data if isinstance(prediction, Tensor) else prediction, target)
        return np.asarray(self.backward())

    def targets_for(self, prediction: Tensor, target: Any) -> Tensor:
        """`target` as data in the dtype of `prediction`, refused where it does not fit."""
        values = prediction._data
        truth: Tensor = target
        if not isinstance(target, Tensor) or target._data.dtype is not values.dtype:
            truth = Tensor(target, dtype=values.dtype)
        shape, data = values.shape, truth._data
        if data.shape != shape or not shape:
            self.check_shapes(shape, data.shape)
        k = current_kernels()
        if k.recording:
            k.check_later(self, values, data)
        else:
            self.check_targets(data, shape)
            self.check_predictions(values)
        return truth

    def check_shapes(self, prediction: tuple[int, ...], target: tuple[int, ...]) -> None:
        if prediction != target:
            raise ShapeError(
                f"{type(self).__name__} expects targets of the predictions' shape {prediction}, "
                f"got {target}" + _reshape_hint(prediction, target)
            )

    def check_targets(self, target: Array, prediction: tuple[int, ...]) -> None:
        """Refuse targets that have no meaning for predictions of that shape."""

    def check_predictions(self, prediction: Array) -> None:
        """Refuse predictions that the loss has no meaning for."""

    def _describe(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


def _reshape_hint(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    same_size = int(np.prod(prediction)) == int(np.prod(target))
    return f"; reshape them with target.reshape{prediction}" if same_size else ""


class MSE(Loss):
    """Mean squared error, mean (p - t)².

    >>> MSE()([1.0, 3.0], [1.0, 1.0]).item()
    2.0
    """

    name, function = "mse", F.SquaredError()


class L1(Loss):
    """Mean absolute error, mean |p - t|.

    >>> L1()([1.0, 3.0], [1.0, 1.0]).item()
    1.0
    """

    name, function = "l1", F.AbsoluteError()


class Huber(Loss):
    """½d² for |d| ≤ delta, else delta·(|d| - ½delta), with d = p - t (Huber, 1964).

    >>> Huber()([0.5, 3.0], [0.0, 0.0], ).item()
    1.3125
    """

    name = "huber"

    def __init__(self, reduction: str = "mean", *, delta: float = 1.0) -> None:
        super().__init__(reduction)
        number("delta", delta, 0, ends="(]")
        self.delta = delta

    @property
    def function(self) -> Function:
        return F.HuberError(self.delta)

    def _describe(self) -> str:
        return ", ".join(filter(None, (super()._describe(), f"delta={self.delta:g}")))


class Hinge(Loss):
    """max(0, 1 - t·s) for scores s and targets -1 and 1 (Cortes and Vapnik, 1995).

    >>> Hinge()([2.0, 0.5], [1.0, -1.0]).item()
    0.75
    """

    name, function = "hinge", F.HingeError()

    def check_targets(self, target: Array, prediction: tuple[int, ...]) -> None:
        if not np.isin(target, (-1, 1)).all():
            raise ShapeError("Hinge expects targets -1 and 1; for 0 and 1 pass 2 * target - 1")


class _ProbabilityLoss(Loss):
    """Base of the losses whose targets are probabilities."""

    def check_targets(self, target: Array, prediction: tuple[int, ...]) -> None:
        fits = np.equal(clip_ufunc(target, ZERO, ONE), target)
        if 0 in fits.tobytes():  # which is the fastest look at a few truth values
            raise ShapeError(
                f"{type(self).__name__} expects targets from 0 to 1, got values from "
                f"{target.min():g} to {target.max():g}; for labels -1 and 1 pass (target + 1) / 2"
            )


class BinaryCrossEntropy(_ProbabilityLoss):
    """-t·log p - (1 - t)·log(1 - p) of probabilities p and targets t in [0, 1].

    Each logarithm ends at -100.

    From logits, `BinaryCrossEntropyWithLogits` is exact and never needs that limit.

    >>> round(BinaryCrossEntropy()([0.5], [1.0]).item(), 4)
    0.6931
    """

    name, function = "bce", F.BinaryCrossEntropyError()

    def check_predictions(self, prediction: Array) -> None:
        # NaN among them must not hide the others, of which there may be many steps.
        if prediction.size and (
            np.fmin.reduce(prediction, None) < 0 or np.fmax.reduce(prediction, None) > 1
        ):
            raise ShapeError(
                "BinaryCrossEntropy expects probabilities between 0 and 1; put a Sigmoid before "
                "it, or use BinaryCrossEntropyWithLogits on the raw scores"
            )


class BinaryCrossEntropyWithLogits(_ProbabilityLoss):
    """Binary cross-entropy of σ(z) for targets in [0, 1], from logits z; finite for every finite z.

    >>> round(BinaryCrossEntropyWithLogits()([0.0], [1.0]).item(), 4)
    0.6931
    """

    name, function = "bce_with_logits", F.BinaryCrossEntropyWithLogits()


class CrossEntropy(Loss):
    """-log softmax(z)[t] of logits z (n, classes); t are indices (n,) or one-hot (n, classes).

    >>> round(CrossEntropy()([[0.0, 0.0]], [1]).item(), 4)
    0.6931
    """

    name, function = "cross_entropy", F.CrossEntropy()

    def check_shapes(self, prediction: tuple[int, ...], target: tuple[int, ...]) -> None:
        if not prediction or target not in (prediction, prediction[:-1]):
            raise ShapeError(
                "CrossEntropy expects logits (n, classes) with class indices (n,) or "
                f"distributions (n, classes); got {prediction} and {target}"
            )

    def check_targets(self, target: Array, prediction: tuple[int, ...]) -> None:
        if target.ndim < len(prediction) and target.size:
            classes = prediction[-1]
            if target.min() < 0 or target.max() >= classes or (target % 1).any():
                raise ShapeError(
                    f"CrossEntropy expects class indices from 0 to {classes - 1}, "
                    f"got values from {target.min():g} to {target.max():g}"
                )


MSELoss, L1Loss, HuberLoss, HingeLoss = MSE, L1, Huber, Hinge
BCELoss, BCEWithLogitsLoss, CrossEntropyLoss = (
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
)

LOSSES: Mapping[str, type[Loss]] = MappingProxyType({
    cls.name: cls
    for cls in (
        MSE, L1, Huber, Hinge, BinaryCrossEntropy, BinaryCrossEntropyWithLogits, CrossEntropy,
    )
})  # fmt: skip


def mse_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Mean squared error; see `MSE`."""
    return MSE(reduction).forward(as_tensor(prediction), target)


def l1_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Mean absolute error; see `L1`."""
    return L1(reduction).forward(as_tensor(prediction), target)


def huber_loss(prediction: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Quadratic near zero, linear beyond `delta`; see `Huber`."""
    return Huber(reduction, delta=delta).forward(as_tensor(prediction), target)


def hinge_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """max(0, 1 - t·s); see `Hinge`."""
    return Hinge(reduction).forward(as_tensor(prediction), target)


def binary_cross_entropy_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Cross-entropy of probabilities; see `BinaryCrossEntropy`."""
    return BinaryCrossEntropy(reduction).forward(as_tensor(prediction), target)


def binary_cross_entropy_with_logits(
    prediction: Any, target: Any, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of logits; see `BinaryCrossEntropyWithLogits`."""
    return BinaryCrossEntropyWithLogits(reduction).forward(as_tensor(prediction), target)


def cross_entropy_loss(prediction: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Cross-entropy of logits over classes; see `CrossEntropy`."""
    return CrossEntropy(reduction).forward(as_tensor(prediction), target)


#: What each of these functions computes when it is given no options.
BY_FUNCTION: Mapping[Any, Loss] = MappingProxyType({
    mse_loss: MSE(),
    l1_loss: L1(),
    huber_loss: Huber(),
    hinge_loss: Hinge(),
    binary_cross_entropy_loss: BinaryCrossEntropy(),
    binary_cross_entropy_with_logits: BinaryCrossEntropyWithLogits(),
    cross_entropy_loss: CrossEntropy(),
})  # fmt: skip
