"""Learning-rate schedules against PyTorch's trajectories, and their own promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nnkit import SGD, AdaGrad, Adam, Parameter
from nnkit.errors import ConfigError
from nnkit.optim import Optimizer
from nnkit.schedules import (
    SCHEDULES,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
)
from tests.reference import Case, cases

REFERENCE_KINDS = {"linear": "warmup"}

MAKERS: dict[str, Any] = {
    "constant": Schedule,
    "step": lambda o: StepLR(o, 7, 0.5),
    "exponential": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealingLR(o, 30, 0.001),
    "one_cycle": lambda o: OneCycleLR(o, 0.5, 60),
    "plateau": lambda o: ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1),
    "warmup": lambda o: LinearLR(o, 0.1, 1.0, 12),
}


def sgd(lr: float = 0.1, **options: Any) -> Optimizer:
    return SGD([Parameter([0.0])], lr=lr, **options)


@pytest.mark.parametrize("case", cases("schedules"), ids=str)
def test_rates_are_pytorchs(case: Case) -> None:
    options = dict(case.options)
    optimizer = sgd(options.pop("lr"), momentum=0.9)
    schedule = SCHEDULES[REFERENCE_KINDS.get(case.kind, case.kind)](optimizer, **options)
    metrics = case.arrays.get("metrics", [None] * len(case["lr"]))
    rates, momenta = [], []
    for metric in metrics:
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.momentum)
        schedule.step(metric)
    np.testing.assert_allclose(rates, case["lr"], rtol=1e-10)
    if "momentum" in case.arrays:
        np.testing.assert_allclose(momenta, case["momentum"], rtol=1e-10)


def test_every_schedule_is_compared_with_pytorch() -> None:
    compared = {REFERENCE_KINDS.get(case.kind, case.kind) for case in cases("schedules")}
    assert compared | {"constant"} == SCHEDULES.keys() == MAKERS.keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_group_keeps_its_own_base_rate(name: str) -> None:
    groups = [{"params": [Parameter([0.0])], "lr": lr} for lr in (0.1, 0.4)]
    schedule = MAKERS[name](SGD(groups))
    for _ in range(10):
        schedule.step(1.0)
    first, second = schedule.get_last_lr()
    assert second == pytest.approx(first if name == "one_cycle" else 4 * first, rel=1e-9) or (
        name == "cosine" and second > first
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_dict_goes_on_where_it_stopped(name: str) -> None:
    metrics = [math.sin(t) + 2 for t in range(24)]
    whole, first, second = sgd(), sgd(), sgd()
    through, before, after = (MAKERS[name](o) for o in (whole, first, second))
    for metric in metrics:
        through.step(metric)
    for metric in metrics[:13]:
        before.step(metric)
    after.load_state_dict(before.state_dict())
    assert second.lr == first.lr
    for metric in metrics[13:]:
        after.step(metric)
    assert (second.lr, after.state_dict()) == (whole.lr, through.state_dict())


def test_state_of_another_schedule_is_refused() -> None:
    optimizer = sgd()
    schedule = StepLR(optimizer, 3)
    with pytest.raises(ConfigError, match="StepLR"):
        schedule.load_state_dict(ExponentialLR(sgd(), 0.5).state_dict())
    assert schedule.last_epoch == 0


def test_a_new_base_rate_shifts_the_whole_schedule() -> None:
    optimizer = sgd(1.0)
    schedule = ExponentialLR(optimizer, 0.5)
    schedule.base_lrs = [8.0]
    schedule.step()
    assert optimizer.lr == 4.0


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("make", [
    lambda optimizer: ExponentialLR(optimizer, 0.5),
    lambda optimizer: OneCycleLR(optimizer, 1.0, total_steps=5),
    ReduceLROnPlateau,
])  # fmt: skip
def test_a_base_rate_that_cannot_be_changes_nothing(make: Any, rate: float) -> None:
    schedule = make(sgd(1.0))
    before = schedule.state_dict()
    with pytest.raises(ConfigError, match="lr"):
        schedule.rebase(rate)
    assert schedule.state_dict() == before


def test_one_cycle_stays_at_its_end() -> None:
    optimizer = sgd()
    schedule = OneCycleLR(optimizer, 1.0, total_steps=5)
    for _ in range(4):
        schedule.step()
    last = optimizer.lr
    schedule.step()
    assert optimizer.lr == last == pytest.approx(1 / 25 / 1e4)


def test_one_cycle_moves_the_first_beta_of_adam() -> None:
    optimizer = Adam([Parameter([0.0])])
    schedule = OneCycleLR(optimizer, 1.0, total_steps=11, cycle_momentum=True)
    assert optimizer.betas == (0.95, 0.999)
    for _ in range(2):
        schedule.step()
    assert 0.85 <= optimizer.betas[0] < 0.95
    assert optimizer.betas[1] == 0.999


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_cycle_is_finite_at_its_edges(steps: int, share: float) -> None:
    schedule = OneCycleLR(sgd(), 1.0, total_steps=steps, pct_start=share)
    assert all(0 < schedule.rate(0.0, t) <= 1 for t in range(steps))


def test_plateau_counts_nan_as_no_improvement() -> None:
    optimizer = sgd(1.0)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for metric in (1.0, math.nan):
        schedule.step(metric)
    assert optimizer.lr == 0.5


def test_plateau_needs_a_metric() -> None:
    with pytest.raises(ConfigError, match="metric"):
        ReduceLROnPlateau(sgd()).step()


def test_plateau_takes_a_loss_as_it_comes() -> None:
    from nnkit import MSE

    schedule = ReduceLROnPlateau(sgd())
    schedule.step(MSE()([1.0], [3.0]))
    assert schedule.best == 4.0


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("step_size", lambda o: StepLR(o, 0)),
        ("step_size", lambda o: StepLR(o, 2.5)),
        ("step_size", lambda o: StepLR(o, "3")),
        ("step_size", lambda o: StepLR(o, math.inf)),
        ("optimizer", lambda o: Schedule(o.param_groups)),
        ("gamma", lambda o: StepLR(o, 2, -1.0)),
        ("gamma", lambda o: ExponentialLR(o, math.nan)),
        ("T_max", lambda o: CosineAnnealingLR(o, -3)),
        ("eta_min", lambda o: CosineAnnealingLR(o, 3, -0.1)),
        ("start_factor", lambda o: LinearLR(o, 0.0)),
        ("total_iters", lambda o: LinearLR(o, total_iters=0)),
        ("max_lr", lambda o: OneCycleLR(o, 0.0, 10)),
        ("total_steps", lambda o: OneCycleLR(o, 1.0, 0)),
        ("pct_start", lambda o: OneCycleLR(o, 1.0, 10, pct_start=1.5)),
        ("anneal_strategy", lambda o: OneCycleLR(o, 1.0, 10, anneal_strategy="sine")),
        ("base_momentum", lambda o: OneCycleLR(o, 1.0, 10, base_momentum=1.0)),
        ("cycle_momentum", lambda o: OneCycleLR(o, 1.0, 10, cycle_momentum=True)),
        ("mode", lambda o: ReduceLROnPlateau(o, "low")),
        ("factor", lambda o: ReduceLROnPlateau(o, factor=1.0)),
        ("patience", lambda o: ReduceLROnPlateau(o, patience=-1)),
        ("threshold_mode", lambda o: ReduceLROnPlateau(o, threshold_mode="both")),
        ("threshold", lambda o: ReduceLROnPlateau(o, threshold=-1.0)),
    ],
)
def test_bad_settings_name_the_field_and_leave_the_rate(field: str, make: Any) -> None:
    optimizer = AdaGrad([Parameter([0.0])], lr=0.3)
    with pytest.raises(ConfigError) as caught:
        make(optimizer)
    assert caught.value.field == field
    assert optimizer.lr == 0.3


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: Adam(p, lr=0.1)]
)
def test_one_cycle_resumes_with_its_momentum(make):
    def momentum(optimizer):
        return getattr(optimizer, "betas", (getattr(optimizer, "momentum", None),))[0]

    def scheduled():
        optimizer = make([Parameter([0.0])])
        return optimizer, OneCycleLR(optimizer, 1.0, total_steps=40, cycle_momentum=True)

    optimizer, schedule = scheduled()
    for _ in range(10):
        schedule.step()
    other, resumed = scheduled()
    resumed.load_state_dict(schedule.state_dict())
    assert momentum(other) == momentum(optimizer) != 0.95
