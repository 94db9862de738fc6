"""Modules on disk, and their summaries."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit import (
    BatchNorm,
    Dense,
    Dropout,
    Linear,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Tensor,
    load_archive,
    save_archive,
)
from nnkit.errors import FileError, GraphError, ShapeError

X = np.random.default_rng(0).normal(size=(5, 3))


def network(*, sized: bool, units: int = 4) -> Sequential:
    first = Dense(3, units) if sized else Dense(units)
    return Sequential(first, ReLU(), BatchNorm(units), Dense(units, 2) if sized else Dense(2))


def trained() -> Sequential:
    model = network(sized=True)
    model(X)
    return model.eval()


def test_a_file_gives_the_network_back(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "w.npz")
    other = network(sized=True).eval()
    assert other.load(tmp_path / "w.npz") is other
    np.testing.assert_array_equal(other(X), model(X))
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert {"0.weight", "0.bias", "2.running_mean", "__format__"} <= set(file.files)


def test_the_configuration_goes_along() -> None:
    file = io.BytesIO()
    trained().save(file, {"layers": [4, 2]})
    assert load_archive(file).config == {"layers": [4, 2]}


def test_layers_without_sizes_take_them_from_the_file() -> None:
    file = io.BytesIO()
    model = trained()
    model.save(file)
    other = network(sized=False).load(file).eval()
    np.testing.assert_array_equal(other(X), model(X))
    alone = Dense(4)
    Linear(2, 4).save(file := io.BytesIO())
    assert alone.load(file).weights.shape == (4, 2)


def test_a_network_without_sizes_cannot_be_saved() -> None:
    with pytest.raises(GraphError, match="0 has no parameters yet"):
        network(sized=False).save(io.BytesIO())


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"0.weight": np.zeros((5, 3))}, "0.weight: expected float"),
        ({"0.weight": np.zeros(4)}, "0.weight"),
        ({"0.weight": None}, "0.weight"),
        ({"more": np.zeros(1)}, "unexpected: more"),
        ({"0.bias": np.zeros(4, np.float64)}, "expected float32"),
    ],
)
def test_another_networks_file_changes_nothing(sized: bool, arrays: Any, words: str) -> None:
    state = {**trained().state_dict(), **arrays}
    file = io.BytesIO()
    save_archive(file, {name: array for name, array in state.items() if array is not None})
    model = network(sized=sized)
    before, attributes = model.state_dict(), dict(model[0].__dict__)
    with pytest.raises(FileError, match=words):
        model.load(file)
    after = model.state_dict()
    assert after.keys() == before.keys() and dict(model[0].__dict__) == attributes
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("content", [b"", b"PK", b"nonsense" * 9])
def test_a_damaged_file_changes_nothing(sized: bool, content: bytes) -> None:
    model = network(sized=sized)
    before = model.state_dict()
    with pytest.raises(FileError):
        model.load(io.BytesIO(content))
    assert model.state_dict().keys() == before.keys()


def test_weights_that_are_not_finite_are_not_saved() -> None:
    model = Linear(2, 1)
    model.weights.data = [[np.nan, 0.0]]
    file = io.BytesIO()
    with pytest.raises(FileError, match="not finite"):
        model.save(file)
    assert not file.getvalue()


class TestSummary:
    def test_shows_outputs_for_an_input_shape(self) -> None:
        text = network(sized=False).summary(input_shape=(3,))
        assert text.splitlines() == [
            "module  type       output  parameters                count",
            "0       Dense      (n, 4)  weight (4, 3), bias (4,)     16",
            "1       ReLU       (n, 4)                                0",
            "2       BatchNorm  (n, 4)  weight (4,), bias (4,)        8",
            "3       Dense      (n, 2)  weight (2, 4), bias (2,)     10",
            "total                                                   34",
        ]

    def test_one_number_is_a_shape(self) -> None:
        model = network(sized=True)
        assert model.summary(3) == model.summary((3,))

    def test_changes_nothing_else(self) -> None:
        model = Sequential(Linear(3, 2), Dropout(0.5))
        output = model(X)
        state = model[1].generator.bit_generator.state
        model.summary((3,))
        assert model.training and model[1].training
        assert model[1].generator.bit_generator.state == state
        np.testing.assert_array_equal(model[1]._last_call[1], output)
        assert model.backward(np.ones((5, 2))).shape == (5, 3)

    def test_an_error_on_the_way_changes_nothing_either(self) -> None:
        model = Sequential(Linear(3, 2))
        model(X)
        with pytest.raises(ShapeError):
            model.summary((4,))
        assert model.training
        assert model.backward(np.ones((5, 2))).shape == (5, 3)

    def test_modules_that_are_not_called_have_no_output(self) -> None:
        class Half(Module):
            def __init__(self) -> None:
                self.used, self.unused = Linear(2, 3), Linear(2, 9)
                self.scale = Parameter([2.0])

            def forward(self, x: Tensor) -> Tensor:
                return self.used(x) * self.scale

        lines = [line.split("  ") for line in Half().summary((7, 2)).splitlines()]
        outputs = {line[0]: line for line in lines}
        assert "(n, 7, 3)" in outputs["used"]
        assert not any("(n" in cell for cell in outputs["unused"])
        assert "(n, 7, 3)" in outputs["(self)"]
