"""Layers and networks: against PyTorch, in both calling styles, and as holders of state."""

import copy
import functools
import gc
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest

import nnkit as nn
from nnkit.errors import ConfigError, GraphError, ShapeError
from nnkit.modules.activations import ACTIVATIONS, FunctionActivation
from nnkit.tensor import Parameter, Tensor, apply, no_grad
from tests.nnkit.numeric import central_differences
from tests.reference import cases

DTYPES = (np.float32, np.float64)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def close(actual, expected: np.ndarray, scale: float = 1.0) -> None:
    """To 1e-6 in float32 and 1e-12 in float64, relative to `scale` or the value itself."""
    actual = np.asarray(actual)
    assert actual.dtype == expected.dtype
    tight = 1e-6 if expected.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(actual, expected, rtol=tight, atol=tight * scale)


def small_net(dtype=np.float32) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2, 3, nn.Tanh(), generator=rng(), dtype=dtype),
        nn.BatchNorm(3, dtype=dtype),
        nn.Linear(3, 1, generator=rng(), dtype=dtype),
    )


class TestAgainstPyTorch:
    @pytest.mark.parametrize("case", cases("layers", kind="linear"), ids=str)
    def test_linear(self, case):
        layer = nn.Linear(3, 4, bias=case.options["bias"], dtype=case.dtype)
        layer.load_state_dict({n: case[n] for n in ("weight", "bias") if n in case.arrays})
        x = Tensor(case["input"].copy(), requires_grad=True)
        output = layer(x)
        close(output, case["output"])
        output.backward(case["cotangent"])
        close(x.grad, case["grad_input"])
        close(layer.weight.grad, case["grad_weight"])
        if case.options["bias"]:
            close(layer.grad_bias, case["grad_bias"])

    @pytest.mark.parametrize("case", cases("layers", kind="layer_norm"), ids=str)
    def test_layer_norm(self, case):
        """Ours is over the last axis and always has a scale and a shift.

        PyTorch's over two axes is ours over the two made one; its `elementwise_affine=False` is
        ours as it starts, with ones and zeros.
        """
        over = len(case.options["normalized_shape"])
        rows = case["input"].reshape(*case["input"].shape[:-over], -1)
        layer = nn.LayerNorm(rows.shape[-1], eps=case.options["eps"], dtype=case.dtype)
        if case.options["affine"]:
            layer.load_state_dict({n: case[n].ravel() for n in ("weight", "bias")})
        x = Tensor(rows, requires_grad=True)
        output = layer(x)
        close(output, case["output"].reshape(rows.shape))
        output.backward(case["cotangent"].reshape(rows.shape))
        close(x.grad, case["grad_input"].reshape(rows.shape))
        if case.options["affine"]:
            close(layer.weight.grad, case["grad_weight"].ravel())
            close(layer.bias.grad, case["grad_bias"].ravel())

    @pytest.mark.parametrize("case", cases("layers", kind="batch_norm"), ids=str)
    def test_batch_norm(self, case):
        """Three batches in training, the last with a dead unit, then one in evaluation."""
        eps, momentum = case.options["eps"], case.options["momentum"]
        layer = nn.BatchNorm(3, eps=eps, momentum=momentum, dtype=case.dtype)
        if case.options["affine"]:
            layer.weight.data, layer.bias.data = case["weight"], case["bias"]
        for call in ("{}0", "{}1", "{}2", "eval_{}"):
            layer.train(call != "eval_{}")
            layer.zero_grad()
            x = Tensor(case[call.format("input")].copy(), requires_grad=True)
            output = layer(x)
            output.backward(case[call.format("cotangent")])
            close(output, case[call.format("output")])
            # Gradients of the input are sums that cancel; the dead unit's are divided by √eps.
            expected = case[call.format("grad_input")]
            close(x.grad, expected, scale=max(1.0, float(np.abs(expected).max())))
            if case.options["affine"]:
                close(layer.weight.grad, case[call.format("grad_weight")], scale=4.0)
                close(layer.bias.grad, case[call.format("grad_bias")])
            if call != "eval_{}":
                close(layer.running_mean, case[call.format("running_mean")])
                close(layer.running_var, case[call.format("running_var")])


NETWORKS = {
    "linear": lambda d: nn.Linear(3, 2, dtype=d, generator=rng()),
    "linear without bias": lambda d: nn.Linear(3, 2, bias=False, dtype=d, generator=rng()),
    "batch norm": lambda d: nn.BatchNorm(3, dtype=d),
    "layer norm": lambda d: nn.LayerNorm(3, dtype=d),
    "dropout": lambda d: nn.Dropout(0.4, generator=rng()),
    "flatten": lambda d: nn.Flatten(),
    **{name: (lambda d, cls=cls: cls()) for name, cls in ACTIVATIONS.items()},
    "network": lambda d: nn.Sequential(
        nn.Linear(3, 4, dtype=d, generator=rng()),
        nn.LayerNorm(4, dtype=d),
        nn.GELU(),
        nn.Linear(4, 4, "tanh", dtype=d, generator=rng()),
        nn.BatchNorm(4, dtype=d),
        nn.Linear(4, 2, nn.sigmoid, dtype=d, generator=rng()),
    ),
}


class TestGradients:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_are_the_central_differences(self, name):
        """Of the input and of every parameter, in float64, in evaluation and in training."""
        x = np.random.default_rng(0).normal(size=(5, 3))
        for training in (True, False):
            model = NETWORKS[name](np.float64).train(training)
            state = model.state_dict()
            names = [n for n, _ in model.named_parameters()]

            def run(x, *values, name=name, training=training, names=names):
                fresh = NETWORKS[name](np.float64).train(training)  # the same random numbers
                for parameter, value in zip(fresh.parameters(), values, strict=True):
                    parameter.data = value
                return fresh(x).data

            inputs = [x, *[state[n] for n in names]]
            output = model(x)
            cotangent = np.random.default_rng(1).normal(size=output.shape)
            grads = [model.backward(cotangent), *[p.grad for p in model.parameters()]]
            for i, grad in enumerate(grads):
                expected = central_differences(run, inputs, i, cotangent)
                np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_and_outputs_keep_the_dtype(self, name, dtype):
        model = NETWORKS[name](dtype)
        output = model(np.ones((4, 3), dtype) * np.arange(4, dtype=dtype)[:, None])
        assert output.dtype == dtype
        assert model.backward(np.ones(output.shape, dtype)).dtype == dtype
        assert {p.grad.dtype for p in model.parameters()} <= {np.dtype(dtype)}

    @pytest.mark.parametrize("name", NETWORKS)
    def test_of_both_styles_are_the_same_bits(self, name):
        x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
        cotangent = np.random.default_rng(1).normal(size=NETWORKS[name](np.float32)(x).shape)
        manual, auto = NETWORKS[name](np.float32), NETWORKS[name](np.float32)
        manual(x)
        towards_input = manual.backward(cotangent)
        given = Tensor(x, requires_grad=True)
        auto(given).backward(cotangent)
        np.testing.assert_array_equal(towards_input, given.grad)
        for one, other in zip(manual.parameters(), auto.parameters(), strict=True):
            np.testing.assert_array_equal(one.grad, other.grad)


class TestManualStyle:
    def test_walks_layer_by_layer_as_by_hand(self):
        model = nn.Sequential(nn.Linear(2, 3, generator=rng()), nn.Tanh(), nn.Linear(3, 1))
        criterion = nn.MSE()
        x, y = rng().normal(size=(5, 2)).astype("f"), rng().normal(size=(5, 1)).astype("f")
        loss = criterion(model(x), y)
        grad = criterion.backward()
        np.testing.assert_allclose(grad, 2 * (model(x).data - y) / 5, rtol=1e-5)
        by_hand = grad
        for layer in reversed(model.layers):
            by_hand = layer.backward(by_hand)
        one_by_one = [p.grad.copy() for p in model.parameters()]
        model.zero_grad()
        np.testing.assert_array_equal(model.backward(grad), by_hand)
        for parameter, expected in zip(model.parameters(), one_by_one, strict=True):
            np.testing.assert_array_equal(parameter.grad, expected)
        model.zero_grad()
        loss.backward()
        for parameter, expected in zip(model.parameters(), one_by_one, strict=True):
            np.testing.assert_allclose(parameter.grad, expected, rtol=1e-6)

    def test_replaces_gradients_and_may_be_repeated(self):
        layer = nn.Linear(2, 1)
        layer(np.ones((3, 2)))
        for scale in (1.0, 1.0, 5.0):
            grad = layer.backward(np.full((3, 1), scale))
            np.testing.assert_allclose(layer.grad_weights, [[3 * scale] * 2])
            np.testing.assert_allclose(layer.grad_biases, [3 * scale])
            np.testing.assert_allclose(grad, np.repeat(layer.weights.data * scale, 3, axis=0))

    def test_gradients_are_zero_before_the_first_backward(self):
        layer = nn.Linear(2, 3)
        layer.grad_weights.fill(0)
        layer.grad_biases.fill(0)
        assert layer.grad_weights.shape == (3, 2)
        assert layer.grad_bias.shape == (3,)
        assert not layer.grad_weights.any()

    def test_gradients_read_by_either_name_are_one_array(self):
        layer = nn.Linear(2, 3)
        layer(np.ones((1, 2))).sum().backward()
        assert layer.grad_weights is layer.weight.grad
        assert layer.grad_biases is layer.grad_bias is layer.bias.grad
        layer.grad_weights.fill(7)
        assert (layer.weight.grad == 7).all()

    def test_update_weights_is_gradient_descent(self):
        layer = nn.Linear(2, 1)
        before = layer.state_dict()
        layer(np.ones((3, 2)))
        layer.backward(np.ones((3, 1)))
        layer.update_weights(0.5)
        np.testing.assert_allclose(layer.weights.data, before["weight"] - 1.5, rtol=1e-6)
        layer.zero_gradients()
        layer.update_weights(0.5)
        np.testing.assert_allclose(layer.biases.data, before["bias"] - 1.5, rtol=1e-6)

    def test_a_backward_written_by_hand_over_the_layers_works(self):
        class Network(nn.Module):
            def __init__(self):
                self.layers = [nn.Linear(2, 3, generator=rng()), nn.ReLU(), nn.Linear(3, 1)]

            def forward(self, x):
                for layer in self.layers:
                    x = layer.forward(x)
                return x

            def backward(self, grad_output):
                grad = grad_output
                for layer in reversed(self.layers):
                    grad = layer.backward(grad)
                return grad

        model = Network()
        model(np.ones((4, 2)))
        assert model.backward(np.ones((4, 1))).shape == (4, 2)
        assert model.layers[0].grad_weights.any()

    def test_backward_before_a_call_is_an_error(self):
        for module in (nn.Linear(2, 1), nn.ReLU(), nn.Sequential(nn.ReLU()), nn.MSE()):
            with pytest.raises(GraphError, match="call the module"):
                module.backward(np.ones((1, 1)))

    def test_backward_without_a_graph_is_an_error(self):
        layer = nn.Linear(2, 1)
        with no_grad():
            layer(np.ones((3, 2)))
        with pytest.raises(GraphError, match="no_grad"):
            layer.backward(np.ones((3, 1)))

    def test_backward_after_the_graph_was_freed_is_an_error(self):
        layer = nn.Linear(2, 1)
        layer(np.ones((3, 2))).sum().backward()
        with pytest.raises(GraphError, match="freed"):
            layer.backward(np.ones((3, 1)))

    def test_backward_with_another_shape_is_an_error(self):
        layer = nn.Linear(2, 1)
        layer(np.ones((3, 2)))
        with pytest.raises(ShapeError, match=r"\(3, 1\), got \(3,\)"):
            layer.backward(np.ones(3))
        with pytest.raises(ShapeError, match="pass grad"):
            layer.backward()

    def test_a_module_used_twice_answers_for_its_last_call(self):
        layer = nn.Linear(1, 1)
        layer(np.ones((1, 1)))
        layer(np.full((1, 1), 5.0))
        layer.backward(np.ones((1, 1)))
        np.testing.assert_array_equal(layer.grad_weights, [[5]])


class TestLinear:
    def test_sizes_by_any_name(self):
        for layer in (
            nn.Linear(2, 5),
            nn.Linear(input_size=2, output_size=5),
            nn.Linear(in_features=2, out_features=5),
            nn.Dense(2, 5),
            nn.Dense(in_features=2, out_features=5, use_bias=True, activation=None),
        ):
            assert layer.weights.shape == (5, 2)
            assert layer.biases.shape == (5,)
            assert layer(np.ones((3, 2))).shape == (3, 5)

    def test_sizes_that_make_no_sense_are_refused(self):
        for wrong in ((0, 1), (1, 0), (-1, 1), (2.5, 1), ("2", 1)):
            with pytest.raises(ConfigError, match="whole number from 1"):
                nn.Linear(*wrong)
        with pytest.raises(ConfigError, match="out_features"):
            nn.Linear(2)

    def test_without_bias(self):
        layer = nn.Linear(2, 3, bias=False)
        assert [name for name, _ in layer.named_parameters()] == ["weight"]
        np.testing.assert_allclose(
            layer(np.eye(2)).data, layer.weight.data.T, rtol=1e-6
        )  # no shift
        with pytest.raises(GraphError, match="no such parameter"):
            _ = layer.biases
        assert layer.bias is None

    @pytest.mark.parametrize("shape", [(2,), (1, 2), (0, 2), (4, 3, 2), (2, 0, 2)])
    def test_takes_the_last_axis(self, shape):
        layer = nn.Linear(2, 5, generator=rng())
        x = rng().normal(size=shape)
        output = layer(x)
        assert output.shape == (*shape[:-1], 5)
        np.testing.assert_allclose(
            output.data, x @ layer.weight.data.T + layer.bias.data, rtol=1e-5, atol=1e-6
        )
        assert layer.backward(np.ones(output.shape)).shape == shape

    @pytest.mark.parametrize("shape", [(), (3,), (4, 3), (2, 2, 1)])
    def test_refuses_another_number_of_inputs(self, shape):
        with pytest.raises(ShapeError, match=r"\(examples, 2\)"):
            nn.Linear(2, 5)(np.ones(shape))

    @pytest.mark.parametrize("activation", [nn.Tanh(), nn.tanh, "tanh", lambda x: x.tanh()])
    def test_activation_as_module_function_or_name(self, activation):
        layer = nn.Linear(2, 3, activation)
        x = np.ones((4, 2), np.float32)
        plain = x @ layer.weight.data.T + layer.bias.data
        np.testing.assert_allclose(layer(x).data, np.tanh(plain), rtol=1e-6)

    def test_activation_that_is_none_of_these_is_refused(self):
        for wrong in ("tan", 3):
            with pytest.raises(ConfigError, match="activation"):
                nn.Linear(2, 3, wrong)

    def test_same_generator_same_weights(self):
        first, second = (nn.Linear(4, 3, generator=rng()) for _ in "12")
        np.testing.assert_array_equal(first.weight.data, second.weight.data)
        second.reset_parameters(np.random.default_rng(4))
        assert (first.weight.data != second.weight.data).all()
        second.reset_parameters(rng())
        np.testing.assert_array_equal(first.weight.data, second.weight.data)

    def test_weights_of_both_dtypes_are_the_same_numbers(self):
        single, double = (nn.Linear(4, 3, generator=rng(), dtype=d) for d in DTYPES)
        np.testing.assert_array_equal(single.weight.data, double.weight.data.astype(np.float32))

    def test_takes_data_of_the_other_dtype_in_its_own(self):
        layer = nn.Linear(2, 3)
        x = Tensor(np.ones((4, 2)), requires_grad=True)
        output = layer(x)
        assert output.dtype == np.float32
        output.sum().backward()
        assert x.grad.dtype == np.float64


class TestMemoryOfLinear:
    """A layer takes the memory of its last call again, unless something needs what it holds."""

    def kept(self, layer):
        return layer._function._kept[0]

    def example(self, rows=5):
        rng = np.random.default_rng(rows)
        return nn.Linear(2, 3, generator=rng), rng.normal(size=(4, rows, 2)).astype(np.float32)

    def test_serves_step_after_step(self):
        layer, xs = self.example()
        layer(xs[0]).sum().backward()
        memory = weakref.ref(self.kept(layer))
        for x in xs[1:]:
            layer.zero_grad()
            layer(x).sum().backward()
            assert self.kept(layer) is memory()
            np.testing.assert_allclose(layer.grad_weights[0], x.sum(axis=0), rtol=1e-5)

    @pytest.mark.parametrize("keeps", ["the graph", "a graph that was walked"])
    def test_is_left_to_a_graph_that_needs_it(self, keeps):
        layer, xs = self.example()
        first = layer(xs[0]).sum()
        if keeps != "the graph":
            first.backward(retain_graph=True)
            layer.zero_grad()
        memory = weakref.ref(self.kept(layer))
        layer(xs[1]).sum().backward()
        assert memory() is not None and self.kept(layer) is not memory()
        layer.zero_grad()
        first.backward()
        np.testing.assert_allclose(layer.grad_weights[0], xs[0].sum(axis=0), rtol=1e-5)

    def test_fits_the_number_of_examples_and_the_dtype(self):
        layer, xs = self.example()
        layer(xs[0]).sum().backward()
        few = layer(xs[1][:2])
        np.testing.assert_array_equal(few.data, layer(xs[1]).data[:2])
        layer.weight = nn.Parameter(layer.weight.data.astype(np.float64))
        layer.bias = nn.Parameter([0.5, 0, 0], dtype=np.float64)
        x = xs[2].astype(np.float64) + 1e-12
        exact = layer(x)
        assert exact.dtype == np.float64
        expected = x @ layer.weight.data.T + layer.bias.data
        np.testing.assert_allclose(exact.data, expected, rtol=1e-14)

    def test_takes_no_inputs_of_another_width(self):
        layer, xs = self.example()
        function, weight, bias = layer._function, layer.weight, layer.bias
        with no_grad():
            layer(xs[0])
            with pytest.raises(ShapeError):
                apply(function, Tensor(xs[0][:, :1]), weight, bias)

    def test_is_given_back_where_it_is_large(self):
        layer, xs = self.example(rows=20_000)
        layer(xs[0])
        assert self.kept(layer) is None

    @pytest.mark.parametrize("watch", ["settrace", "setprofile"])
    def test_is_not_taken_for_free_where_the_import_was_watched(self, watch):
        """Who reads local variables refers to them too."""
        program = """
import sys
def trace(frame, event, argument):
    frame.f_locals
    return trace
sys.WATCH(trace)
import nnkit as nn
sys.WATCH(None)
import numpy as np
layer = nn.Linear(2, 1)
first = layer(np.ones((3, 2), np.float32)).sum()
layer(np.full((3, 2), 5, np.float32))
first.backward()
print(layer.weight.grad.tolist())
"""
        program = program.replace("WATCH", watch)
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert run.stdout == "[[3.0, 3.0]]\n", run.stderr

    def test_is_no_part_of_a_copy(self):
        layer, xs = self.example()
        layer(xs[0])
        assert self.kept(copy.deepcopy(layer)) is None


def test_a_layer_has_a_floating_dtype():
    for wrong in ("f2", int):
        with pytest.raises(ShapeError, match="float32 or float64"):
            nn.Linear(2, 3, dtype=wrong)


class TestLazyDense:
    def test_counts_its_inputs_at_the_first_call(self):
        layer = nn.Dense(64)
        with pytest.raises(GraphError, match="first call"):
            layer.parameters()
        with pytest.raises(GraphError, match="first call"):
            _ = layer.weights
        assert layer(np.ones((5, 3))).shape == (5, 64)
        assert layer.weights.shape == (64, 3)
        with pytest.raises(ShapeError, match=r"\(examples, 3\)"):
            layer(np.ones((5, 4)))

    def test_draws_the_weights_that_it_would_have_drawn_at_once(self):
        lazy = nn.Dense(4, generator=rng())
        lazy(np.ones((1, 3)))
        np.testing.assert_array_equal(lazy.weight.data, nn.Dense(3, 4, generator=rng()).weight.data)

    def test_a_refused_first_input_leaves_it_open(self):
        layer = nn.Dense(4)
        with pytest.raises(ShapeError):
            layer(3.0)
        assert layer.weight is None
        layer(np.ones((1, 2)))

    def test_an_optimizer_made_too_early_says_so(self):
        for model in (nn.Dense(4), nn.Sequential(nn.Linear(2, 4), nn.Dense(1))):
            with pytest.raises(GraphError, match="call the model once"):
                nn.SGD(model.parameters())


class TestDropout:
    def test_drops_the_share_and_keeps_the_mean(self):
        n = 40_000
        for p in (0.1, 0.5, 0.9):
            y = nn.Dropout(p, generator=rng())(np.ones((n, 1), np.float32)).data
            assert set(np.unique(y)) == {0.0, np.float32(1 / (1 - p))}
            share = (y == 0).mean()
            assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / n)

    def test_drops_single_values_independently(self):
        y = nn.Dropout(0.5, generator=rng())(np.ones((20_000, 2))).data > 0
        assert abs(np.corrcoef(y.T)[0, 1]) < 0.05
        assert abs(np.corrcoef(y[:-1, 0], y[1:, 0])[0, 1]) < 0.05

    def test_same_generator_same_masks_and_a_new_one_each_call(self):
        one, other = nn.Dropout(generator=rng()), nn.Dropout(generator=rng())
        x = np.ones((10, 10))
        first = one(x).data
        np.testing.assert_array_equal(first, other(x).data)
        assert (one(x).data != first).any()

    def test_gradient_passes_where_values_passed(self):
        layer = nn.Dropout(0.5, generator=rng())
        y = layer(np.ones((20, 20)))
        np.testing.assert_array_equal(layer.backward(np.ones((20, 20))), y.data)

    def test_does_nothing_in_evaluation_or_at_zero(self):
        x = Tensor(np.ones((3, 3)))
        assert nn.Dropout(0.5).eval()(x) is x
        assert nn.Dropout(0)(x) is x
        layer = nn.Dropout(0.5).eval()
        layer(np.ones((2, 2)))
        np.testing.assert_array_equal(layer.backward(np.full((2, 2), 3)), np.full((2, 2), 3))

    @pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
    def test_refuses_a_share_that_is_none(self, p):
        with pytest.raises(ConfigError, match="p: "):
            nn.Dropout(p)


class TestNormalization:
    @pytest.mark.parametrize(
        "make, field",
        [
            (lambda: nn.BatchNorm(-3), "features"),
            (lambda: nn.BatchNorm(2, eps=-1), "eps"),
            (lambda: nn.BatchNorm(2, momentum=7), "momentum"),
            (lambda: nn.LayerNorm(2.5), "features"),
        ],
    )
    def test_options_out_of_range_are_refused(self, make, field):
        with pytest.raises(ConfigError) as caught:
            make()
        assert caught.value.field == field

    def test_batch_norm_needs_two_examples_in_training_only(self):
        layer = nn.BatchNorm(2)
        for n in (0, 1):
            with pytest.raises(ShapeError, match=f"at least two examples.*got {n}"):
                layer(np.ones((n, 2)))
        np.testing.assert_array_equal(layer.running_mean, [0, 0])
        assert layer.eval()(np.ones((1, 2))).shape == (1, 2)

    @pytest.mark.parametrize("shape", [(2,), (4, 3), (4, 2, 2)])
    def test_batch_norm_refuses_other_shapes(self, shape):
        with pytest.raises(ShapeError, match=r"\(n, 2\)"):
            nn.BatchNorm(2)(np.ones(shape))

    def test_batch_norm_does_not_learn_in_evaluation(self):
        layer = nn.BatchNorm(2)
        layer(rng().normal(size=(8, 2)))
        before = layer.state_dict()
        layer.eval()(rng().normal(size=(8, 2)) + 5)
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_layer_norm_treats_each_example_by_itself(self):
        layer, x = nn.LayerNorm(4), rng().normal(size=(5, 4)).astype("f")
        together = layer(x).data
        for row, expected in zip(x, together, strict=True):
            np.testing.assert_allclose(layer(row).data, expected, rtol=1e-6)
        np.testing.assert_allclose(together.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(together.std(1), 1, rtol=1e-3)
        with pytest.raises(ShapeError, match="last axis of 4"):
            layer(np.ones((4, 5)))

    def test_constant_features_give_zeros_and_not_nan(self):
        for layer in (nn.BatchNorm(3), nn.LayerNorm(3)):
            y = layer(np.full((4, 3), 7.0))
            np.testing.assert_array_equal(y.data, np.zeros((4, 3)))
            assert np.isfinite(layer.backward(np.ones((4, 3)))).all()


class TestModes:
    def test_train_and_eval_reach_every_module(self):
        model = nn.Sequential(nn.Sequential(nn.Dropout()), nn.Linear(2, 2, nn.ReLU()))
        assert model.eval() is model
        assert [m.training for m in model.modules()] == [False] * 5
        assert model.train() is model
        assert all(m.training for m in model.modules())
        assert nn.Module.training is True

    def test_a_part_may_be_in_another_mode(self):
        model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5, generator=rng()))
        model[1].eval()
        np.testing.assert_array_equal(model(np.ones((2, 2))).data, model[0](np.ones((2, 2))).data)


class TestParameters:
    def test_have_dotted_names_in_the_order_of_the_attributes(self):
        class Net(nn.Module):
            def __init__(self):
                self.scale = Parameter([1.0])
                self.blocks = [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2, bias=False))]
                self.pair = (nn.ReLU(), nn.BatchNorm(2))
                self.head = nn.Linear(2, 1)

        net = Net()
        names = [name for name, _ in net.named_parameters()]
        assert names == [
            "scale", "blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight",
            "pair.1.weight", "pair.1.bias", "head.weight", "head.bias",
        ]  # fmt: skip
        assert [name for name, _ in net.named_buffers()] == [
            "pair.1.running_mean",
            "pair.1.running_var",
        ]
        assert list(net.state_dict()) == [*names, "pair.1.running_mean", "pair.1.running_var"]
        assert [n for n, _ in net.named_parameters()] == names

    def test_tied_ones_count_once_and_receive_both_gradients(self):
        first = nn.Linear(2, 2, bias=False, generator=rng())
        second = nn.Linear(2, 2, bias=False)
        second.weight = first.weight
        model = nn.Sequential(first, nn.Tanh(), second)
        assert [name for name, _ in model.named_parameters()] == ["0.weight"]
        x = rng().normal(size=(4, 2)).astype("f")
        model(x).sum().backward()
        both = first.weight.grad
        apart = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Tanh(), nn.Linear(2, 2, bias=False))
        for layer in (apart[0], apart[2]):
            layer.weight.data = first.weight.data
        apart(x).sum().backward()
        np.testing.assert_allclose(both, apart[0].weight.grad + apart[2].weight.grad, rtol=1e-6)

    def test_tied_ones_stay_tied_under_an_optimizer(self):
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
        second.weight = first.weight
        model = nn.Sequential(first, second)
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        assert len(optimizer.parameters) == 3
        model(np.ones((1, 2))).sum().backward()
        optimizer.step()
        assert first.weight is second.weight
        assert first.weight.data is second.weight.data

    def test_a_module_used_in_two_places_counts_once(self):
        layer = nn.Linear(2, 2)
        model = nn.Sequential(layer, nn.ReLU(), layer)
        assert len(list(model.parameters())) == 2
        assert len(list(model.modules())) == 3


class TestState:
    def test_numbers_too_large_for_the_dtype_are_refused(self):
        model = nn.Linear(2, 1)
        with pytest.raises(ShapeError, match="weight: has values too large for float32"):
            model.load_state_dict({"weight": np.full((1, 2), 1e300), "bias": [0.0]})

    def test_round_trip(self):
        source, target = small_net(), small_net()
        source(rng().normal(size=(5, 2)))
        for parameter in source.parameters():
            parameter.data = rng().normal(size=parameter.shape)
        target.load_state_dict(source.state_dict())
        x = rng().normal(size=(4, 2))
        np.testing.assert_array_equal(source.eval()(x).data, target.eval()(x).data)

    def test_is_a_copy(self):
        model = small_net()
        state = model.state_dict()
        for value in state.values():
            value.fill(9)
        assert all((value != 9).all() for value in model.state_dict().values())
        model.load_state_dict(state)
        state["0.weight"].fill(1)
        assert (model[0].weight.data == 9).all()

    def test_keeps_the_arrays_and_the_dtype(self):
        model = small_net()
        before = {name: p.data for name, p in model.named_parameters()}
        model.load_state_dict({n: v.astype(np.float64) for n, v in model.state_dict().items()})
        for name, parameter in model.named_parameters():
            assert parameter.data is before[name]
            assert parameter.dtype == np.float32

    def test_every_problem_is_listed_at_once_and_nothing_changes(self):
        model = small_net()
        before = model.state_dict()
        state = {name: value + 1 for name, value in before.items()}
        del state["0.bias"], state["1.running_var"]
        state |= {"extra": np.ones(2), "more": 3, "0.weight": np.ones((2, 3)), "2.bias": 1.0}
        with pytest.raises(ShapeError) as caught:
            model.load_state_dict(state)
        for part in (
            "missing: 0.bias", "missing: 1.running_var", "unexpected: extra", "unexpected: more",
            r"0.weight: expected shape \(3, 2\), got \(2, 3\)",
            r"2.bias: expected shape \(1,\), got \(\)",
        ):  # fmt: skip
            caught.match(part)
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    @pytest.mark.parametrize(
        "wrong", [np.array(["a"]), np.array([None]), np.array([1j]), [{}]], ids=repr
    )
    def test_values_that_are_no_numbers_are_refused_before_anything_changes(self, wrong):
        model = nn.Linear(2, 1)
        before = model.state_dict()
        with pytest.raises(ShapeError, match="bias: expected real numbers"):
            model.load_state_dict({"weight": np.zeros((1, 2)), "bias": wrong})
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])


class TestContainers:
    def test_sequential_in_any_spelling(self):
        layers = [nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)]
        for model in (nn.Sequential(*layers), nn.Sequential(layers), nn.Sequential(tuple(layers))):
            assert list(model) == layers
            assert len(model) == 3
            assert model[2] is layers[2]
        model = nn.Sequential([]).append(layers[0]).append(nn.relu)
        assert isinstance(model[1], FunctionActivation)
        assert model(np.ones((1, 2))).shape == (1, 3)

    @pytest.mark.parametrize("wrong", [3, "relu", None, nn.ReLU])
    def test_sequential_refuses_what_is_no_layer(self, wrong):
        with pytest.raises(ConfigError, match="layers"):
            nn.Sequential(nn.ReLU(), wrong)

    def test_a_class_derived_from_sequential_may_have_more(self, tmp_path):
        class Net(nn.Sequential):
            def __init__(self):
                super().__init__(nn.Linear(2, 3), nn.Dropout())
                self.head = nn.Linear(3, 1)

            def forward(self, x):
                return self.head(super().forward(x))

        net = Net().eval()
        names = [name for name, _ in net.named_parameters()]
        assert names == ["0.weight", "0.bias", "head.weight", "head.bias"]
        assert not net.head.training
        net.save(tmp_path / "net.npz")
        x = np.ones((2, 2))
        loaded = Net().eval().load(tmp_path / "net.npz")
        np.testing.assert_array_equal(net(x).data, loaded(x).data)

    def test_flatten(self):
        layer = nn.Flatten()
        assert layer(np.ones((0, 3, 2))).shape == (0, 6)
        assert layer(np.ones(4)).shape == (4, 1)
        assert layer(np.ones((2, 3, 4))).shape == (2, 12)
        assert layer.backward(np.ones((2, 12))).shape == (2, 3, 4)


class TestActivations:
    def test_each_has_a_name_a_function_and_a_module(self):
        x = rng().normal(size=(3, 4))
        for name, cls in ACTIVATIONS.items():
            function = getattr(nn, name)
            assert getattr(nn, cls.__name__) is cls
            np.testing.assert_array_equal(cls()(x).data, function(x).data)

    def test_options(self):
        x = np.float32([[-1.0, 2.0]])
        for module, expected in (
            (nn.LeakyReLU(0.5), [[-0.5, 2]]),
            (nn.LeakyReLU(alpha=0.25), [[-0.25, 2]]),
            (nn.ELU(2.0), [[2 * np.expm1(np.float32(-1)), 2]]),
            (nn.Softmax(axis=0), [[1, 1]]),
            (nn.LogSoftmax(axis=0), [[0, 0]]),
            (nn.GELU("tanh"), nn.gelu(x, approximate="tanh").data),
        ):
            np.testing.assert_allclose(module(x).data, expected, rtol=1e-6)
        for wrong in (lambda: nn.gelu(x, "erf"), lambda: nn.GELU("erf")):
            with pytest.raises(ConfigError, match="approximate"):
                wrong()


class TestText:
    def test_repr_is_a_tree(self):
        model = nn.Sequential(nn.Linear(2, 3, nn.Tanh()), nn.Sequential(nn.Dropout(0.25)))
        assert repr(model) == (
            "Sequential(\n"
            "  (0): Linear(in_features=2, out_features=3\n"
            "    (activation): Tanh()\n"
            "  )\n"
            "  (1): Sequential(\n"
            "    (0): Dropout(p=0.25)\n"
            "  )\n"
            ")"
        )

    def test_summary_is_a_table_of_the_modules_that_hold_parameters_or_no_others(self):
        model = nn.Sequential(nn.Linear(2, 600, nn.Tanh()), nn.Sequential(nn.Dropout(0.1)))
        assert model.summary() == (
            "module        type     parameters                    count\n"
            "0             Linear   weight (600, 2), bias (600,)  1,800\n"
            "0.activation  Tanh                                       0\n"
            "1.0           Dropout                                    0\n"
            "total                                                1,800"
        )

    def test_summary_counts_each_parameter_once(self):
        model = small_net()
        lines = model.summary().splitlines()
        assert lines[0].split() == ["module", "type", "parameters", "count"]
        assert lines[-1].split() == ["total", str(sum(p.size for p in model.parameters()))]
        assert any("Linear" in line and "weight (3, 2), bias (3,)" in line for line in lines)
        tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        tied[1].weight = tied[0].weight
        assert tied.summary().splitlines()[-1].split() == ["total", "8"]


class TestModule:
    def test_layer_is_module(self):
        assert nn.Layer is nn.Module

    def test_without_forward_says_so(self):
        class Empty(nn.Module):
            pass

        with pytest.raises(NotImplementedError, match="Empty has no forward"):
            Empty()(1)

    def test_inputs_may_be_given_by_name(self):
        layer, criterion = nn.Linear(2, 1), nn.MSE()
        y = layer(x=np.ones((3, 2)))
        criterion(prediction=y, target=np.zeros((3, 1)))
        assert layer.backward(criterion.backward()).shape == (3, 2)

    def test_a_call_of_its_own_is_inherited(self):
        class Base(nn.Module):
            def __call__(self, x):
                return "base"

        class Derived(Base):
            def forward(self, x):
                return x

        assert Derived()(np.ones(2)) == "base"

    def test_forward_may_come_from_another_class(self):
        class Mixin:
            def forward(self, x):
                return self.layer(x)

        class Net(Mixin, nn.Module):
            def __init__(self):
                self.layer = nn.Linear(2, 1)

        net = Net()
        net(np.ones((3, 2)))
        assert net.backward(np.ones((3, 1))).shape == (3, 2)

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies_are_apart(self, copied):
        model = small_net()
        x = rng().normal(size=(4, 2))
        model(x)
        other = copied(model)
        np.testing.assert_array_equal(model(x).data, other(x).data)
        other[0].weight.data = np.zeros((3, 2))
        assert model[0].weight.data.any()
        other.load_state_dict({name: 0 * value for name, value in model.state_dict().items()})
        assert not other(x).data.any()

    def test_does_not_outlive_its_last_reference(self):
        model = small_net()
        model(np.ones((3, 2)) * [[1], [2], [3]]).sum().backward()
        watched = weakref.ref(model[0].weight)
        gc.disable()
        try:
            del model
            assert watched() is None
        finally:
            gc.enable()


class TestListsOfTensors:
    class Add(nn.Module):
        def forward(self, xs):
            return xs[0] + xs[1]

    def test_keep_their_graphs(self):
        a, b = (Tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
        module = self.Add()
        module([a * 2, b * 3]).sum().backward()
        np.testing.assert_array_equal(a.grad, [2, 2])
        np.testing.assert_array_equal(b.grad, [3, 3])
        with pytest.raises(GraphError, match="called with a list of tensors"):
            module.backward(np.ones(2))

    def test_are_stacked_for_modules_that_take_one(self):
        a = Tensor([1.0, -2.0], requires_grad=True)
        nn.ReLU()([a, a]).sum().backward()
        np.testing.assert_array_equal(a.grad, [2, 0])
        assert nn.Linear(2, 1)([a, a, a]).shape == (3, 1)
        assert nn.MSE()([Tensor(1.0), Tensor(2.0)], [1.0, 1.0]).item() == 0.5
        chain = nn.Sequential(self.Add(), nn.Tanh())
        assert chain([a, Tensor([0.0])]).shape == (2,)

    def test_an_input_may_have_a_default(self):
        class Constant(nn.Module):
            def forward(self, x=None):
                return 1.0 if x is None else x

        assert Constant()() == 1.0

    def test_any_number_of_inputs_under_any_name(self):
        class Sum(nn.Module):
            def forward(self, *x):
                return sum(x[1:], x[0])

        assert Sum()(Tensor([1.0]), Tensor([2.0]), Tensor([3.0])).item() == 6


def test_a_sequential_is_edited_like_a_list():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    model.insert(1, nn.relu)
    model[0] = nn.Linear(2, 3)
    assert len(list(model.parameters())) == 4
    del model[1]
    assert [type(layer) for layer in model] == [nn.Linear, nn.Linear]
    for edit in (lambda: model.insert(0, 3), lambda: model.__setitem__(0, nn.Tanh)):
        with pytest.raises(ConfigError, match="layers: must be modules"):
            edit()
    assert len(model) == 2


def test_weights_are_exchanged_by_a_state_of_themselves():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    state = model.state_dict()
    live = {name: p.data for name, p in model.named_parameters()}
    model.load_state_dict({name: live[name.translate(str.maketrans("01", "10"))] for name in live})
    np.testing.assert_array_equal(model[0].weight.data, state["1.weight"])
    np.testing.assert_array_equal(model[1].weight.data, state["0.weight"])


def test_a_seed_serves_as_a_generator():
    for make in (lambda seed: nn.Linear(2, 3, generator=seed), lambda _: nn.Linear(2, 3)):
        first, second = make(1), make(1)
        first.reset_parameters(0)
        second.reset_parameters(0)
        np.testing.assert_array_equal(first.weight.data, second.weight.data)
    assert nn.Dropout(0.5, generator=3)(np.ones((2, 2))).shape == (2, 2)


class TestForwardsOfAllKinds:
    def test_a_name_only_parameter_is_passed_by_name(self):
        class Named(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(2, 1)

            def forward(self, *, x):
                return self.layer(x)

        model = Named()
        assert model(x=np.ones((3, 2))).shape == (3, 1)
        assert model.backward(np.ones((3, 1))).shape == (3, 2)

    def test_a_wrapped_forward_of_ours_remembers_its_own_result(self):
        def twice(forward):
            @functools.wraps(forward)
            def wrapped(self, x):
                return 2 * forward(self, x)

            return wrapped

        class Doubled(nn.Linear):
            forward = twice(nn.Linear.forward)

        model = Doubled(2, 1, init="zeros")
        model(np.ones((1, 2)))
        model.backward(np.ones((1, 1)))
        np.testing.assert_array_equal(model.grad_weights, [[2, 2]])

    def test_another_function_in_an_activation_of_ours_counts(self):
        class Tripled(nn.ReLU):
            function = staticmethod(lambda x: x * 3)

        np.testing.assert_array_equal(Tripled()([-1.0]).data, [-3])

    def test_there_is_no_gradient_to_an_input_that_requires_none(self):
        class Residual(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(2, 2, init="zeros")

            def forward(self, x):
                return x * 2 + self.layer(x)

        model, one = Residual(), np.ones((1, 2), np.float32)
        model(Tensor(one))
        assert model.backward(one) is None
        weights = model.layer.grad_weights.copy()
        for x in (one, Tensor(one, requires_grad=True)):
            model(x)
            np.testing.assert_array_equal(model.backward(one), [[2, 2]])
            np.testing.assert_array_equal(model.layer.grad_weights, weights)
