"""The gradient check: it passes what is right, finds what is wrong, and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit import (
    MSE,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Dropout,
    LayerNorm,
    Linear,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    gradient_check,
    maximum,
    mse_loss,
    no_grad,
    relu,
    softmax,
)
from nnkit.errors import ConfigError, GraphError, ShapeError
from nnkit.functions import Array, Function, Kernels, unbroadcast
from nnkit.tensor import apply

POINT = np.array([[0.3, -1.2, 0.8], [1.5, 0.1, -0.4]])


class Rule(Function):
    """A function given by two lambdas, so that wrong rules take a line each."""

    def __init__(
        self, forward: Callable[..., Array], backward: Callable[..., Sequence[Array | None]]
    ) -> None:
        self._forward, self._backward = forward, backward

    def forward(self, k: Kernels, *inputs: Array) -> tuple[Array, Any]:
        return self._forward(*inputs), inputs

    def backward(
        self, k: Kernels, grad: Array, saved: Any, needs: Sequence[int]
    ) -> Sequence[Array | None]:
        return self._backward(grad, *saved)


def soft(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


RIGHT: dict[str, Rule] = {
    "square": Rule(np.square, lambda g, x: [2 * x * g]),
    "tanh": Rule(np.tanh, lambda g, x: [(1 - np.tanh(x) ** 2) * g]),
    "softmax": Rule(soft, lambda g, x: [soft(x) * (g - (g * soft(x)).sum(-1, keepdims=True))]),
}
WRONG: dict[str, Rule] = {
    "wrong sign": Rule(np.tanh, lambda g, x: [-(1 - np.tanh(x) ** 2) * g]),
    "missing factor": Rule(np.square, lambda g, x: [x * g]),
    "one part in 100,000 too large": Rule(np.square, lambda g, x: [2.00002 * x * g]),
    # Right for a gradient of ones alone, where both it and the truth are zero.
    "softmax for ones only": Rule(soft, lambda g, x: [g * (soft(x) - soft(x))]),
    "cotangent forgotten": Rule(np.square, lambda g, x: [2 * x]),
    "one entry wrong": Rule(np.square, lambda g, x: [2 * x * g * (x != 0.1)]),
    "nothing": Rule(np.square, lambda g, x: [None]),
    "NaN": Rule(np.square, lambda g, x: [x * np.nan]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass(name: str) -> None:
    report = gradient_check(lambda x: apply(RIGHT[name], x), POINT)
    assert report and report.ok and report.error < 1e-8
    report.assert_ok()


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_found(name: str) -> None:
    report = gradient_check(lambda x: apply(WRONG[name], x), POINT)
    assert not report.ok and not report
    with pytest.raises(AssertionError, match="WRONG"):
        report.assert_ok()


def test_a_wrong_sum_over_a_broadcast_axis_is_found() -> None:
    right = Rule(np.add, lambda g, a, b: [g, unbroadcast(Kernels(), g, b.shape)])
    mean = Rule(np.add, lambda g, a, b: [g, g.mean(axis=0)])
    bias = [1.0, 2.0, 3.0]
    assert gradient_check(lambda a, b: apply(right, a, b), POINT, bias)
    report = gradient_check(lambda a, b: apply(mean, a, b), POINT, bias)
    assert [entry.error < 1e-6 for entry in report.entries] == [True, False]


def test_a_gradient_of_another_shape_is_reported() -> None:
    rule = Rule(np.add, lambda g, a, b: [g, g])
    with pytest.raises(ShapeError, match=r"input 1 has shape \(3,\)"):
        gradient_check(lambda a, b: apply(rule, a, b), POINT, [1.0, 2.0, 3.0])


def test_the_report_names_the_worst_entry_with_both_values() -> None:
    report = gradient_check(lambda x: apply(WRONG["one entry wrong"], x).sum(), POINT)
    worst = report.worst
    assert (worst.name, worst.index, worst.analytic) == ("input", (1, 1), 0.0)
    cotangent = np.random.default_rng(0).standard_normal()
    assert worst.numeric == pytest.approx(0.2 * cotangent)
    head, line, verdict = str(report).splitlines()
    assert head.split()[:2] == ["name", "shape"]
    assert line.startswith("WRONG  input") and "[1, 1]" in line and "0.025" in line
    assert verdict == "some gradients are WRONG (tolerance 1e-06)"


def test_entries_that_are_nan_are_the_worst() -> None:
    rule = Rule(np.square, lambda g, x: [np.where(x == 0.1, np.nan, -x)])
    worst = gradient_check(lambda x: apply(rule, x), POINT).worst
    assert worst.index == (1, 1) and np.isnan(worst.error)


class TestModels:
    """Whole networks, in every form of call."""

    def network(self) -> Sequential:
        rng = np.random.default_rng(3)
        return Sequential(
            Linear(2, 5, Tanh(), generator=rng),
            BatchNorm(5),
            Dropout(0.4, generator=rng),
            LayerNorm(5),
            Linear(5, 1, Sigmoid(), generator=rng),
        )

    X = np.random.default_rng(0).normal(size=(6, 2))
    T = (X[:, :1] > 0).astype(float)

    def test_the_forms_of_call_agree(self) -> None:
        network, loss = self.network(), BinaryCrossEntropy()
        first = gradient_check(network, loss, self.X, self.T)
        second = gradient_check(network, self.X, loss=loss, targets=self.T)
        third = gradient_check(network, (self.X,), loss=loss, targets=self.T)
        assert first.ok and first == second == third
        names = ["input", *(name for name, _ in network.named_parameters())]
        assert [entry.name for entry in first.entries] == names

    def test_a_function_may_be_the_loss(self) -> None:
        assert gradient_check(Linear(2, 1), mse_loss, self.X, self.T).ok

    def test_targets_may_be_class_indices(self) -> None:
        assert gradient_check(Linear(2, 3), CrossEntropy(), self.X, [0, 1, 2, 0, 1, 2]).ok

    def test_everything_is_as_before(self) -> None:
        network = self.network()
        optimizer = Adam(network.parameters())
        network(self.X).sum().backward()
        network(self.X)
        before = [(p.data, p.data.copy(), p.grad, p._version) for p in network.parameters()]
        buffers = {name: (b, b.copy()) for name, b in network.named_buffers()}
        attributes = [dict(module.__dict__) for module in network.modules()]
        last_calls = [module._last_call for module in network.modules()]
        (dropout,) = [m for m in network.modules() if isinstance(m, Dropout)]
        state = dropout.generator.bit_generator.state
        assert gradient_check(network, MSE(), self.X, self.T).ok
        for parameter, (array, values, grad, version) in zip(
            network.parameters(), before, strict=True
        ):
            assert parameter._data is array and parameter._grad is grad
            assert parameter._version == version and array.dtype == np.float32
            np.testing.assert_array_equal(array, values)
        for name, buffer in network.named_buffers():
            assert buffer is buffers[name][0]
            np.testing.assert_array_equal(buffer, buffers[name][1])
        for module, kept, last in zip(network.modules(), attributes, last_calls, strict=True):
            assert module.__dict__.keys() == kept.keys() and module._last_call is last
        assert dropout.generator.bit_generator.state == state
        flat = optimizer.flat.copy()
        optimizer.step()
        assert not np.array_equal(optimizer.flat, flat)

    def test_everything_is_as_before_after_an_error_too(self) -> None:
        network = self.network()
        before = [p.data.copy() for p in network.parameters()]
        with pytest.raises(ShapeError):
            gradient_check(network, MSE(), self.X, np.zeros(6))
        for parameter, values in zip(network.parameters(), before, strict=True):
            assert parameter.dtype == np.float32
            np.testing.assert_array_equal(parameter.data, values)

    def test_layers_without_sizes_are_checked_and_stay_without(self) -> None:
        network = Sequential(Dense(3), Tanh(), Dense(1))
        report = gradient_check(network, MSE(), self.X, self.T)
        assert report.ok and len(report.entries) == 1 + 4
        assert not dict(network.named_parameters())

    def test_a_parameter_of_the_loss_is_checked_under_its_name(self) -> None:
        class Weighted(Module):
            def __init__(self) -> None:
                self.scale = Parameter(2.0)

            def forward(self, prediction: Tensor, target: Any) -> Tensor:
                return ((prediction - target) ** 2 * self.scale).mean()

        report = gradient_check(Linear(2, 1), Weighted(), self.X, self.T)
        assert report.ok and report.entries[-1].name == "loss.scale"

    def test_frozen_parameters_are_left_out(self) -> None:
        layer = Linear(2, 1)
        layer.weights.requires_grad = False
        report = gradient_check(layer, self.X)
        assert [entry.name for entry in report.entries] == ["input", "bias"] and report.ok

    def test_some_entries_of_each_array(self) -> None:
        report = gradient_check(self.network(), MSE(), self.X, self.T, max_entries=3)
        assert report.ok and {entry.checked for entry in report.entries} == {3, 1}


class ByHand(Module):
    """A model with a backward pass of its own, right or wrong."""

    def __init__(self, factor: float) -> None:
        rng = np.random.default_rng(0)
        self.layers = [Linear(2, 3, Tanh(), generator=rng), Linear(3, 1, generator=rng)]
        self.factor = factor

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def backward(self, grad_output: Any = None) -> Any:
        for layer in reversed(self.layers):
            grad_output = layer.backward(grad_output) * self.factor
        return grad_output


class TestBackwardByHand:
    X, T = TestModels.X, TestModels.T

    @pytest.mark.parametrize("with_loss", [False, True])
    def test_it_is_what_is_checked(self, with_loss: bool) -> None:
        call = (MSE(), self.X, self.T) if with_loss else (self.X,)
        assert gradient_check(ByHand(1.0), *call).ok
        report = gradient_check(ByHand(0.5), *call)
        wrong = [entry.name for entry in report.entries if entry.error > report.tolerance]
        assert wrong == ["input", "layers.0.weight", "layers.0.bias"]

    def test_arrays_will_do(self) -> None:
        class Logistic(Module):
            def forward(self, x: Any) -> Any:
                self.y = 1 / (1 + np.exp(-np.asarray(x)))
                return self.y

            def backward(self, grad_output: Any = None) -> Any:
                return grad_output * self.y * (1 - self.y)

        assert gradient_check(Logistic(), self.X).ok

    def test_what_cannot_be_asked_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="loss"):
            gradient_check(ByHand(1.0), mse_loss, self.X, self.T)

        class Both(ByHand):
            def forward(self, x: Any, y: Any = None) -> Any:
                return super().forward(x + y)

        with pytest.raises(ConfigError, match="one input"):
            gradient_check(Both(1.0), self.X, self.X)


class TestCorners:
    @pytest.mark.parametrize("x", [0.0, 1e-5, -1e-5, 1.5e-5, -0.4e-5])
    def test_near_a_corner_the_slope_of_either_side_is_right(self, x: float) -> None:
        report = gradient_check(relu, [x])
        assert report.ok and report.entries[0].corners == 1
        assert "1 (1 corners)" in str(report)

    def test_beyond_both_slopes_is_wrong_all_the_same(self) -> None:
        rule = Rule(lambda x: np.maximum(x, 0), lambda g, x: [g * np.where(x == 0, 1.1, x > 0)])
        assert not gradient_check(lambda x: apply(rule, x), [0.0, 1.0])

    def test_smooth_points_are_no_corners(self) -> None:
        report = gradient_check(lambda x: x.exp() / x, POINT)
        assert report.ok and report.entries[0].corners == 0

    def test_a_tie(self) -> None:
        assert gradient_check(maximum, [1.0, 2.0], [1.0, 3.0]).ok

    @pytest.mark.parametrize("seed", range(5))
    def test_a_relu_network_on_many_points(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        network = Sequential(Linear(2, 16, ReLU(), generator=rng), Linear(16, 1, generator=rng))
        X = np.random.default_rng(seed).normal(size=(500, 2))
        gradient_check(network, MSE(), X, X[:, :1] * X[:, 1:], max_entries=20).assert_ok()


@settings(max_examples=30, deadline=None)
@given(
    scale=st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6]),
    shift=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_no_false_alarm_at_any_scale(scale: float, shift: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(3, 2)) + shift
    gradient_check(lambda t: (t * 0.1).tanh() * scale + t * scale, x).assert_ok()


class TestRefusals:
    def test_chance_without_a_seed(self) -> None:
        rng = np.random.default_rng(0)
        with pytest.raises(GraphError, match="other values"):
            gradient_check(lambda x: x * rng.normal(), POINT)

    def test_a_seed_for_each_call_is_fine(self) -> None:
        assert gradient_check(lambda x: x * np.random.default_rng(0).normal(), POINT)

    def test_float32_inside(self) -> None:
        layer = Linear(3, 1)
        with pytest.raises(GraphError, match="float32"):
            gradient_check(lambda x: layer(x), POINT)

    def test_nothing_to_differentiate(self) -> None:
        with pytest.raises(GraphError, match="differentiated"), no_grad():
            gradient_check(lambda x: x * 2, POINT)

    def test_no_tensor(self) -> None:
        with pytest.raises(GraphError, match="Tensor, got float"):
            gradient_check(lambda x: 1.0, POINT)

    @pytest.mark.parametrize(
        ("field", "inputs", "options"),
        [
            ("inputs", (), {}),
            ("inputs", (MSE(), POINT), {}),
            ("inputs", (MSE(), POINT, POINT), {"targets": POINT}),
            ("eps", (POINT,), {"eps": 0.0}),
            ("tolerance", (POINT,), {"tolerance": -1.0}),
        ],
    )
    def test_calls_of_no_known_form(self, field: str, inputs: Any, options: Any) -> None:
        with pytest.raises(ConfigError) as caught:
            gradient_check(softmax, *inputs, **options)
        assert caught.value.field == field


def test_inputs_are_not_changed_and_may_be_tensors_integers_or_empty() -> None:
    x = Tensor(POINT)
    values = x.data.copy()
    assert gradient_check(softmax, x).ok
    np.testing.assert_array_equal(x.data, values)
    assert gradient_check(softmax, [[1, 2]]).ok
    report = gradient_check(lambda t: t * 2, np.zeros((0, 2)))
    assert report.ok and report.entries[0].checked == 0
