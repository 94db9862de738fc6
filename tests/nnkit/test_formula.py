"""Data from formulas: the targets they say, the same every time, nonsense refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.datasets import Dataset, from_formula, random_points
from nnkit.errors import ConfigError, DataError, ExpressionError, NnkitError


def test_a_comparison_makes_classes():
    data = from_formula("x^2 + y^2 < 0.5", samples=200, seed=3)
    assert (data.task, data.classes) == ("classification", 2)
    np.testing.assert_array_equal(data.inputs, random_points(200, seed=3))
    np.testing.assert_array_equal(data.targets, (data.inputs**2).sum(axis=1) < 0.5)


def test_another_formula_makes_numbers():
    data = from_formula("x - 2*y", samples=50)
    assert data.task == "regression"
    np.testing.assert_allclose(data.targets, data.inputs @ [1, -2], rtol=1e-6, atol=1e-7)


def test_a_threshold_makes_classes_of_numbers():
    data = from_formula("x - 2*y", samples=50, threshold=0.5)
    np.testing.assert_array_equal(data.targets, data.inputs.astype(float) @ [1, -2] > 0.5)


@pytest.mark.parametrize(
    "formula, threshold, inputs",
    [("sin(3*x)", None, 1), ("y", None, 2), ("x + 0*y", None, 2), ("x > 0", None, 2), ("x", 0, 2)],
)
def test_numbers_of_x_alone_have_one_input(formula, threshold, inputs):
    assert from_formula(formula, samples=20, threshold=threshold).inputs.shape == (20, inputs)


def test_noise_moves_points_of_classes_and_errs_in_numbers():
    still, moved = (from_formula("x > y", samples=4000, noise=noise) for noise in (0, 0.4))
    np.testing.assert_array_equal(moved.targets, still.targets)
    inside = np.abs(moved.inputs).max(axis=1) < 1
    assert (moved.inputs - still.inputs)[inside].std() == pytest.approx(0.1, rel=0.1)
    assert np.abs(from_formula("x > y", samples=4000, noise=1).inputs).max() <= np.float32(1.2)
    exact, rough = (from_formula("100 * x", samples=4000, noise=noise) for noise in (0, 0.5))
    np.testing.assert_array_equal(rough.inputs, exact.inputs)
    error = (rough.targets - exact.targets).std()
    assert error == pytest.approx(0.5 * exact.targets.std(), rel=0.05)


def test_the_first_note_is_the_call_that_draws_the_data():
    for settings in ({}, {"threshold": 0.1}, {"noise": 0.123456789, "seed": 5}):
        data = from_formula("z = x*y; z", samples=30, **settings)
        again = eval(data.notes[0], {"from_formula": from_formula})
        np.testing.assert_array_equal(again.inputs, data.inputs)
        np.testing.assert_array_equal(again.targets, data.targets)


def test_points_without_a_value_are_left_out():
    data = from_formula("sqrt(x)", samples=100)
    assert (data.inputs >= 0).all()
    assert "left out" in data.notes[1]


@pytest.mark.parametrize(
    "formula, settings, error, reason",
    [
        ("x +", {}, ExpressionError, "end"),
        ("x > 0", {"threshold": 0.5}, ConfigError, "compares already"),
        ("x", {"threshold": float("nan")}, ConfigError, "finite"),
        ("x", {"samples": 1}, ConfigError, "samples"),
        ("x", {"noise": 1.5}, ConfigError, "noise"),
        ("x", {"seed": -1}, ConfigError, "seed"),
        ("3", {}, DataError, "nothing to learn"),
        ("1 > 2", {}, DataError, "one class"),
        ("log(-1 - x^2)", {}, DataError, "no finite value"),
    ],
)
def test_what_cannot_be_is_refused(formula, settings, error, reason):
    with pytest.raises(error, match=reason):
        from_formula(formula, **settings)


@given(
    st.text("xy01.+-*/^()<>=; sincoexplgqrt", max_size=25),
    st.floats(0, 1),
    st.none() | st.floats(-2, 2),
)
def test_any_text_is_data_or_a_reason(formula, noise, threshold):
    try:
        data = from_formula(formula, samples=20, noise=noise, threshold=threshold)
    except NnkitError as error:
        assert str(error)
    else:
        assert isinstance(data, Dataset)
        assert np.isfinite(data.inputs).all() and np.isfinite(data.targets).all()
