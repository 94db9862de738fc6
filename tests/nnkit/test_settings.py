"""Numbers given by users: in whatever call, nonsense is refused with the name of the field."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import nnkit as nn
from nnkit.config import ExperimentConfig
from nnkit.errors import ConfigError
from nnkit.settings import Number, number, whole_number

XOR = nn.make_dataset("xor", samples=40)


def sgd(**options: Any) -> nn.SGD:
    return nn.SGD([nn.Parameter([1.0])], **options)


def network(**options: Any) -> nn.NeuralNetwork:
    return nn.NeuralNetwork((nn.Dense(1),), nn.MSE(), **options)


def validate(**options: Any) -> Any:
    return nn.cross_validate(ExperimentConfig(dataset="xor"), XOR, **options)


def optimizer(rule: str, **options: Any) -> Any:
    return nn.OPTIMIZERS[rule]([nn.Parameter([1.0])], **options)


#: Calls that take a number under a name, and the name.
NUMBERS: list[tuple[Any, str]] = [
    (lambda v: nn.Dropout(v), "p"),
    (lambda v: nn.BatchNorm(2, eps=v), "eps"),
    (lambda v: nn.BatchNorm(2, momentum=v), "momentum"),
    (lambda v: nn.LayerNorm(2, eps=v), "eps"),
    (lambda v: nn.StepLR(sgd(), 2, gamma=v), "gamma"),
    (lambda v: nn.ExponentialLR(sgd(), v), "gamma"),
    (lambda v: nn.ExponentialLR(sgd(), 0.5).rebase(v), "lr"),
    (lambda v: nn.CosineAnnealingLR(sgd(), 2, eta_min=v), "eta_min"),
    (lambda v: nn.LinearLR(sgd(), start_factor=v), "start_factor"),
    (lambda v: nn.LinearLR(sgd(), end_factor=v), "end_factor"),
    (lambda v: nn.OneCycleLR(sgd(), v, 10), "max_lr"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, 10, pct_start=v), "pct_start"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, 10, base_momentum=v), "base_momentum"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, 10, max_momentum=v), "max_momentum"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, 10, div_factor=v), "div_factor"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, 10, final_div_factor=v), "final_div_factor"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), factor=v), "factor"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), threshold=v), "threshold"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), min_lr=v), "min_lr"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), eps=v), "eps"),
    (lambda v: sgd(lr=v), "lr"),
    (lambda v: setattr(sgd(), "lr", v), "lr"),
    (lambda v: sgd(momentum=v), "momentum"),
    (lambda v: sgd(dampening=v), "dampening"),
    (lambda v: sgd(weight_decay=v), "weight_decay"),
    (lambda v: sgd(l1=v), "l1"),
    (lambda v: optimizer("adam", betas=(v, 0.9)), "betas"),
    (lambda v: optimizer("adam", betas=(0.9, v)), "betas"),
    (lambda v: optimizer("adam", eps=v), "eps"),
    (lambda v: optimizer("rmsprop", alpha=v), "alpha"),
    (lambda v: optimizer("rmsprop", momentum=v), "momentum"),
    (lambda v: optimizer("adagrad", lr_decay=v), "lr_decay"),
    (lambda v: optimizer("adadelta", rho=v), "rho"),
    (lambda v: network(learning_rate=v), "learning_rate"),
    (lambda v: network(regularization_factor=v), "regularization_factor"),
    (lambda v: nn.make_dataset("xor", noise=v), "noise"),
    (lambda v: nn.make_dataset("xor", imbalance=v), "imbalance"),
    (lambda v: nn.make_dataset("xor", label_noise=v), "label_noise"),
    (lambda v: nn.make_dataset("xor", outliers=v), "outliers"),
    (lambda v: ExperimentConfig(learning_rate=v), "learning_rate"),
    (lambda v: nn.Huber(delta=v), "delta"),
    (lambda v: nn.split(XOR, v), "train_fraction"),
    (lambda v: nn.from_formula("x", noise=v), "noise"),
]

#: The same for whole numbers: first sizes, which may be None for later.
SIZES: list[tuple[Any, str]] = [
    (lambda v: nn.Linear(v, 2), "in_features"),
    (lambda v: nn.Linear(2, v), "out_features"),
    (lambda v: nn.Linear(input_size=v, output_size=2), "in_features"),
    (lambda v: nn.Dense(2, v), "out_features"),
]
WHOLE: list[tuple[Any, str]] = [
    (lambda v: nn.BatchNorm(v), "features"),
    (lambda v: nn.LayerNorm(v), "features"),
    (lambda v: nn.StepLR(sgd(), v), "step_size"),
    (lambda v: nn.CosineAnnealingLR(sgd(), v), "T_max"),
    (lambda v: nn.LinearLR(sgd(), total_iters=v), "total_iters"),
    (lambda v: nn.OneCycleLR(sgd(), 1.0, v), "total_steps"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), patience=v), "patience"),
    (lambda v: nn.ReduceLROnPlateau(sgd(), cooldown=v), "cooldown"),
    (lambda v: nn.make_dataset("xor", samples=v), "samples"),
    (lambda v: nn.make_dataset("xor", seed=v), "seed"),
    (lambda v: nn.make_dataset("arms", arms=v), "arms"),
    (lambda v: validate(folds=v), "folds"),
    (lambda v: nn.k_folds(XOR, v), "folds"),
    (lambda v: nn.from_formula("x", samples=v), "samples"),
    (lambda v: validate(epochs=v), "epochs"),
    (lambda v: ExperimentConfig(batch_size=v), "batch_size"),
]

NONE = ["a", "3", True, np.True_, np.array(True), math.nan, -math.inf, [1], {}, 1j, -1]
NONE += [np.array([1, 2]), np.array("a"), np.float32("nan"), np.array(math.nan)]


@pytest.mark.parametrize("value", NONE, ids=repr)
@pytest.mark.parametrize(("call", "field"), NUMBERS + SIZES + WHOLE)
def test_what_is_no_number_is_refused_by_name(call: Any, field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be a (whole )?number (from|above) ") as caught:
        call(value)
    assert caught.value.field == field


@pytest.mark.parametrize(("call", "field"), NUMBERS + WHOLE)
def test_none_is_no_number(call: Any, field: str) -> None:
    with pytest.raises(ConfigError, match=r"must be a .*, got None") as caught:
        call(None)
    assert caught.value.field == field


@pytest.mark.parametrize(("call", "field"), NUMBERS)
def test_a_number_beyond_all_floats_is_refused(call: Any, field: str) -> None:
    with pytest.raises(ConfigError, match="must be a number") as caught:
        call(10**400)
    assert caught.value.field == field


@pytest.mark.parametrize("value", [2.5, math.inf, Fraction(5, 2), np.array(2.5)], ids=repr)
@pytest.mark.parametrize(("call", "field"), SIZES + WHOLE)
def test_a_whole_number_is_whole(call: Any, field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match="must be a whole number from") as caught:
        call(value)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
@pytest.mark.parametrize("value", [*NONE, 0], ids=repr)
def test_a_limit_of_gradients_is_a_number_or_none(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: must be a number above 0 \(or None\), got"):
        sgd(**{name: value})
    assert getattr(sgd(**{name: None}), name) is None
    assert getattr(sgd(**{name: math.inf}), name) == math.inf


@pytest.mark.parametrize(
    ("ends", "inside", "wanted"),
    [
        ("[]", [0, 0.5, 1], "from 0 to 1"),
        ("[)", [0, 0.5], "from 0 and below 1"),
        ("(]", [0.5, 1], "above 0 to 1"),
        ("()", [0.5], "above 0 and below 1"),
    ],
)
def test_ends_are_open_or_closed(ends: str, inside: list[float], wanted: str) -> None:
    for value in (-0.5, 0, 0.5, 1, 1.5):
        if value in inside:
            assert number("x", value, 0, 1, ends) == value
        else:
            with pytest.raises(ConfigError, match=rf"^x: must be a number {wanted}, got {value}$"):
                number("x", value, 0, 1, ends)


@pytest.mark.parametrize(
    "value", [3, 3.0, np.int8(3), np.float16(3), np.array(3), np.array(3.0), Fraction(3)], ids=repr
)
def test_numbers_of_python_and_numpy_are_taken(value: Any) -> None:
    assert number("x", value) == whole_number("n", value) == 3
    assert (type(number("x", value)), type(whole_number("n", value))) == (float, int)


def test_floats_and_arrays_are_taken_where_they_may_be() -> None:
    assert whole_number("n", np.array(3), floats=False) == 3
    for value in (3.0, np.array(3.0), np.float32(3)):
        with pytest.raises(ConfigError, match=r"^n: must be a whole number from 1, got"):
            whole_number("n", value, floats=False)
    for check in (Number(1, 0, 9), Number(1, 0, 9, whole=True)):
        assert check.check("x", np.float32(3)) == 3
        with pytest.raises(ConfigError, match=r"from 0 to 9, got array\(3\)"):
            check.check("x", np.array(3))


def test_what_was_given_stays_as_it_was() -> None:
    """A share that is an array goes on counting when it changes in place."""
    share = np.array(0.5)
    assert nn.Dropout(share).p is nn.ExponentialLR(sgd(), share).gamma is share
    assert network(learning_rate=share).learning_rate is share
