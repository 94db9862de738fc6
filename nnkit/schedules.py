"""Learning-rate schedules: call `schedule.step()` once an epoch (or once a batch).

Names, arguments and rates are PyTorch's. Where a rate depends on the number of steps alone, it is
computed in closed form, so `schedule.rate(base, t)` can be drawn without training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .errors import ConfigError
from .optim import Optimizer
from .settings import number, whole_number

__all__ = [
    "SCHEDULES", "CosineAnnealingLR", "ExponentialLR", "LinearLR", "LinearWarmup", "OneCycleLR",
    "ReduceLROnPlateau", "Schedule", "StepLR",
]  # fmt: skip


class Schedule:
    """Base of the schedules that have a closed form; a constant rate by itself.

    Args:
        optimizer: whose learning rates are set, each group's from its own base rate: the rate it
            had when the schedule was made.

    `base_lrs` may be assigned to while training, to shift the whole schedule from the next step on;
    `rebase` shifts it at once.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise ConfigError("optimizer", f"must be an optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply()

    def rate(self, base: float, t: int) -> float:
        """The learning rate after `t` steps, for a group whose base rate is `base`."""
        return base

    def step(self, metric: float | None = None) -> None:
        """Set the rates for the next epoch; `metric` is of use to `ReduceLROnPlateau` alone."""
        self.last_epoch += 1
        self._apply()

    def _apply(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.last_epoch)

    def rebase(self, lr: float) -> None:
        """Go on from the present step as if the base rate of every group had been `lr`.

        >>> from nnkit import SGD, Parameter
        >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
        >>> schedule = ExponentialLR(optimizer, gamma=0.5)
        >>> schedule.step()
        >>> schedule.rebase(0.1)
        >>> optimizer.lr
        0.05
        """
        self.base_lrs = [_positive("lr", lr)] * len(self.base_lrs)
        self._apply()

    def get_last_lr(self) -> list[float]:
        """The learning rates now in force, one a group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on from here: plain numbers and lists."""
        state = {name: value for name, value in vars(self).items() if name != "optimizer"}
        return {**state, "base_lrs": list(self.base_lrs), "lrs": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, for an optimizer with the same groups."""
        mine = self.state_dict()
        if state.keys() != mine.keys() or len(state["lrs"]) != len(mine["lrs"]):
            raise ConfigError(
                "state", f"is not of a {type(self).__name__} over {len(mine['lrs'])} group(s)"
            )
        vars(self).update({name: value for name, value in state.items() if name != "lrs"})
        self.base_lrs = list(self.base_lrs)
        for group, rate in zip(self.optimizer.param_groups, state["lrs"], strict=True):
            group["lr"] = rate


class StepLR(Schedule):
    """base·gammaᵏ, where k counts how many times `step_size` epochs have passed.

    >>> from nnkit import SGD, Parameter
    >>> schedule = StepLR(SGD([Parameter([0.0])], lr=1.0), step_size=10, gamma=0.5)
    >>> [schedule.rate(1.0, t) for t in (0, 9, 10, 25)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = whole_number("step_size", step_size)
        self.gamma = _positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma ** (t // self.step_size)


class ExponentialLR(Schedule):
    """base·gammaᵗ.

    >>> from nnkit import SGD, Parameter
    >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
    >>> ExponentialLR(optimizer, gamma=0.5).step()
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = _positive("gamma", gamma)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return base * self.gamma**t


class CosineAnnealingLR(Schedule):
    """eta_min + ½(base - eta_min)(1 + cos(πt/T_max)) (Loshchilov and Hutter, 2017).

    Falls from the base rate to `eta_min` in `T_max` epochs; past them it rises again, as in
    PyTorch.

    >>> from nnkit import SGD, Parameter
    >>> schedule = CosineAnnealingLR(SGD([Parameter([0.0])], lr=1.0), T_max=10)
    >>> [round(schedule.rate(1.0, t), 3) for t in (0, 5, 10)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = whole_number("T_max", T_max)
        self.eta_min = _from_zero("eta_min", eta_min)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        return _cosine(base, self.eta_min, t / self.T_max)


class LinearLR(Schedule):
    """base·factor, the factor moving evenly from `start_factor` to `end_factor` and staying there.

    With the default factors this is a warm-up (Goyal et al., 2017).

    >>> from nnkit import SGD, Parameter
    >>> schedule = LinearLR(SGD([Parameter([0.0])], lr=1.0), start_factor=0.2, total_iters=4)
    >>> [round(schedule.rate(1.0, t), 3) for t in (0, 2, 4, 9)]
    [0.2, 0.6, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = _positive("start_factor", start_factor)
        self.end_factor = _from_zero("end_factor", end_factor)
        self.total_iters = whole_number("total_iters", total_iters)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        share = min(t / self.total_iters, 1.0)
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class OneCycleLR(Schedule):
    """One rise to `max_lr` and a long fall to almost nothing (Smith and Topin, 2018).

    From max_lr/div_factor up to max_lr over the first `pct_start` of `total_steps`, then down to
    max_lr/(div_factor·final_div_factor); the base rate is not used. Beyond `total_steps` the last
    rate stays (PyTorch raises an error there).

    Args:
        anneal_strategy: "cos" or "linear".
        cycle_momentum: also move the momentum (β₁ of Adam) from `max_momentum` down to
            `base_momentum` and back. Off unless asked for (PyTorch: on), since every change of it
            makes a captured step be captured anew.

    >>> from nnkit import SGD, Parameter
    >>> schedule = OneCycleLR(SGD([Parameter([0.0])]), max_lr=1.0, total_steps=101)
    >>> [round(schedule.rate(0.0, t), 2) for t in (0, 29, 100)]
    [0.04, 1.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = False,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ConfigError(
                "anneal_strategy", f"must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        number("pct_start", pct_start, 0, 1, "[]")
        number("base_momentum", base_momentum, 0, 1, "()")
        number("max_momentum", max_momentum, 0, 1, "()")
        if cycle_momentum and not _momentum(optimizer):
            raise ConfigError("cycle_momentum", "needs an optimizer with a momentum above 0")
        self.max_lr = _positive("max_lr", max_lr)
        self.total_steps = whole_number("total_steps", total_steps)
        self.pct_start, self.anneal_strategy = pct_start, anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.base_momentum, self.max_momentum = base_momentum, max_momentum
        self.div_factor = _positive("div_factor", div_factor)
        self.final_div_factor = _positive("final_div_factor", final_div_factor)
        super().__init__(optimizer)

    def rate(self, base: float, t: int) -> float:
        start = self.max_lr / self.div_factor
        return self._between(start, self.max_lr, start / self.final_div_factor, t)

    def rebase(self, lr: float) -> None:
        """Go on from the present step as if `max_lr` had been `lr`."""
        self.max_lr = _positive("lr", lr)
        super().rebase(lr)

    def momentum(self, t: int) -> float:
        """The momentum after `t` steps, where it is cycled."""
        return self._between(self.max_momentum, self.base_momentum, self.max_momentum, t)

    def _between(self, start: float, top: float, end: float, t: int) -> float:
        t = min(t, self.total_steps - 1)
        turn = self.pct_start * self.total_steps - 1
        anneal = _cosine if self.anneal_strategy == "cos" else _straight
        if t <= turn:
            return anneal(start, top, t / turn if turn else 1.0)
        left = self.total_steps - 1 - turn
        return anneal(top, end, (t - turn) / left if left else 1.0)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._apply_momentum()

    def _apply(self) -> None:
        super()._apply()
        self._apply_momentum()

    def _apply_momentum(self) -> None:
        if self.cycle_momentum:
            momentum = self.momentum(self.last_epoch)
            if hasattr(self.optimizer, "betas"):
                self.optimizer.betas = (momentum, self.optimizer.betas[1])
            else:
                self.optimizer.momentum = momentum  # type: ignore[attr-defined]


class ReduceLROnPlateau(Schedule):
    """Multiplies the rate by `factor` when the metric has not improved for `patience` epochs.

    Args:
        mode: "min" for a loss, "max" for a score.
        patience: epochs without improvement that are let pass; the next one reduces the rate.
        threshold: what counts as an improvement: better than best·(1 ∓ threshold) where
            `threshold_mode` is "rel", better than best ∓ threshold where it is "abs".
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: the lowest rate.
        eps: changes of the rate smaller than this are not made.

    `step(metric)` needs the metric; one that is NaN is no improvement.

    >>> from nnkit import SGD, Parameter
    >>> optimizer = SGD([Parameter([0.0])], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ConfigError("mode", f"must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ConfigError("threshold_mode", f"must be 'rel' or 'abs', got {threshold_mode!r}")
        number("factor", factor, 0, 1, "()")
        self.mode, self.factor = mode, factor
        self.patience = whole_number("patience", patience, 0)
        self.threshold, self.threshold_mode = _from_zero("threshold", threshold), threshold_mode
        self.cooldown = whole_number("cooldown", cooldown, 0)
        self.min_lr, self.eps = _from_zero("min_lr", min_lr), _from_zero("eps", eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_epochs = self.cooldown_left = 0
        super().__init__(optimizer)

    def step(self, metric: float | None = None) -> None:
        if metric is None:
            raise ConfigError("metric", "must be given: step(validation_loss)")
        value = float(metric)
        self.last_epoch += 1
        if self._improves(value):
            self.best, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.cooldown_left > 0:
            self.cooldown_left -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            self._reduce()
            self.cooldown_left, self.bad_epochs = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs" or math.isinf(self.best):
            return sign * value > sign * self.best + self.threshold
        return sign * value > sign * self.best * (1 + sign * self.threshold)

    def _reduce(self) -> None:
        for group in self.optimizer.param_groups:
            new = max(group["lr"] * self.factor, self.min_lr)
            if group["lr"] - new > self.eps:
                group["lr"] = new

    def rebase(self, lr: float) -> None:
        """Go on as if the base rate of every group had been `lr`: reductions so far stay."""
        _positive("lr", lr)
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr * (group["lr"] / base if base else 1.0)
        super().rebase(lr)

    def _apply(self) -> None:
        """Nothing: the rates in force are the state."""


LinearWarmup = LinearLR

#: Schedules by name; a constant rate needs none.
SCHEDULES: Mapping[str, type[Schedule]] = MappingProxyType(
    {
        "constant": Schedule,
        "step": StepLR,
        "exponential": ExponentialLR,
        "cosine": CosineAnnealingLR,
        "one_cycle": OneCycleLR,
        "plateau": ReduceLROnPlateau,
        "warmup": LinearLR,
    }
)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _straight(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _momentum(optimizer: Optimizer) -> float:
    betas = getattr(optimizer, "betas", None)
    value: float = betas[0] if betas else getattr(optimizer, "momentum", 0.0)
    return value


def _positive(name: str, value: float) -> float:
    """`value` as it came, which may be an array that changes in place."""
    number(name, value, 0, ends="()")
    return value


def _from_zero(name: str, value: float) -> float:
    """`value` as it came, like `_positive`."""
    number(name, value)
    return value
