"""Every operation: right, and a good neighbour, over shapes, broadcasts and memory orders."""

import gc
import itertools
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit as nn
from nnkit import functions as F
from nnkit.errors import ShapeError
from nnkit.functions.base import NUMPY_KERNELS, ONE, SCALAR_KERNELS
from nnkit.tensor import Tensor, apply, no_grad
from tests.nnkit.numeric import LAYOUTS, arrays_in, central_differences, laid_out
from tests.nnkit.operations import TABLE, Problem, Row, all_functions
from tests.reference import cases, index

seeds = st.integers(0, 2**16)
every_row = pytest.mark.parametrize("row", TABLE, ids=str)


def test_every_operation_has_a_row():
    assert {row.function for row in TABLE} == set(all_functions())


def tensors_of(row: Row, inputs: list[np.ndarray]) -> list[Tensor]:
    """Leaves around these very arrays; those that can be differentiated ask for it."""
    return [Tensor._of(x, i not in row.data) for i, x in enumerate(inputs)]


def run(problem: Problem, *inputs: np.ndarray) -> np.ndarray:
    with no_grad():
        return apply(problem.make(), *[Tensor._of(x) for x in inputs])._data


def gradients(output: Tensor, grad: np.ndarray, needs: list[bool]) -> F.base.Gradients:
    """What the backward rule alone answers."""
    k = NUMPY_KERNELS if grad.ndim else SCALAR_KERNELS
    return output._function.backward(k, grad, output._record[2], needs)


def cotangent(output: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, 1]).uniform(-1, 1, output.shape).astype(output.dtype)


def in_float32(inputs: list[np.ndarray]) -> list[np.ndarray]:
    return [x.astype(np.float32) if x.dtype.kind == "f" else x for x in inputs]


@every_row
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=seeds)
def test_gradient_is_the_central_difference(row, data, seed):
    """In float64, with a random cotangent, from inputs and a cotangent in any memory order."""
    problem = data.draw(row.problems)
    values = row.inputs(problem, seed)
    inputs = [laid_out(x, data.draw(st.sampled_from(LAYOUTS))) for x in values]
    tensors = tensors_of(row, inputs)
    output = apply(problem.make(), *tensors)
    np.testing.assert_allclose(output._data, run(problem, *values), rtol=1e-12, atol=1e-14)
    grad = cotangent(output._data, seed)
    output.backward(laid_out(grad, data.draw(st.sampled_from(LAYOUTS))))
    for i, tensor in enumerate(tensors):
        if i in row.data:
            assert tensor.grad is None
            continue
        assert tensor.grad.shape == tensor.shape
        assert tensor.grad.dtype == np.float64
        expected = central_differences(partial(run, problem), values, i, grad)
        np.testing.assert_allclose(tensor.grad, expected, rtol=1e-7, atol=1e-8)


@every_row
@settings(max_examples=10, deadline=None)
@given(data=st.data(), seed=seeds)
def test_float32_stays_float32(row, data, seed):
    problem = data.draw(row.problems)
    values = row.inputs(problem, seed)
    exact, rounded = tensors_of(row, values), tensors_of(row, in_float32(values))
    wanted, output = apply(problem.make(), *exact), apply(problem.make(), *rounded)
    assert output.dtype == (np.float64 if row.function is F.Cast else np.float32)
    grad = cotangent(wanted._data, seed)
    wanted.backward(grad)
    output.backward(grad)
    for tensor, other in zip(rounded, exact, strict=True):
        if tensor.requires_grad:
            assert tensor.grad.dtype == np.float32
            if row.function is not F.Dropout:  # which draws other numbers in another dtype
                np.testing.assert_allclose(tensor.grad, other.grad, rtol=1e-3, atol=2e-3)
                np.testing.assert_allclose(output._data, wanted._data, rtol=1e-4, atol=2e-5)


@every_row
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=seeds)
def test_nothing_is_written_to_and_nothing_is_shared(row, data, seed):
    """Inputs, cotangent and saved arrays keep their values; each gradient has its own memory."""
    problem = data.draw(row.problems)
    inputs = [laid_out(x, data.draw(st.sampled_from(LAYOUTS))) for x in row.inputs(problem, seed)]
    tensors = tensors_of(row, inputs)
    output = apply(problem.make(), *tensors)
    grad = cotangent(output._data, seed)
    kept = [*inputs, grad, *arrays_in(output._record[2])]
    before = [x.copy() for x in kept]

    first = gradients(output, grad, [t.requires_grad for t in tensors])
    if not row.function.passes_gradient_on:
        # The graph hands such arrays to the user as they are.
        for mine in arrays_in(list(first)):
            assert not any(np.shares_memory(mine, other) for other in kept)
        for mine, other in itertools.combinations(arrays_in(list(first)), 2):
            assert not np.shares_memory(mine, other)

    output.backward(grad, retain_graph=True)
    once = [t.grad for t in tensors if t.requires_grad]
    for mine, other in itertools.combinations([*inputs, grad, output._data, *once], 2):
        both_given = not any(mine is g or other is g for g in once)
        assert both_given or not np.shares_memory(mine, other)
    for tensor in tensors:
        tensor.grad = None
    output.backward(grad, retain_graph=True)
    for now, then in zip([t.grad for t in tensors if t.requires_grad], once, strict=True):
        np.testing.assert_array_equal(now, then)
    for array, values in zip(kept, before, strict=True):
        np.testing.assert_array_equal(array, values)


@every_row
@settings(max_examples=10, deadline=None)
@given(data=st.data(), seed=seeds)
def test_only_what_is_needed_is_computed(row, data, seed):
    problem = data.draw(row.problems)
    inputs = row.inputs(problem, seed)
    tensors = tensors_of(row, inputs)
    output = apply(problem.make(), *tensors)
    grad = cotangent(output._data, seed)
    able = [i for i in range(len(tensors)) if i not in row.data]
    everything = gradients(output, grad, [i in able for i in range(len(tensors))])
    assert len(everything) == len(tensors)
    for size in range(1, len(able) + 1):
        for asked in itertools.combinations(able, size):
            some = gradients(output, grad, [i in asked for i in range(len(tensors))])
            for i, (one, other) in enumerate(zip(some, everything, strict=True)):
                assert (one is not None) == (i in asked)
                if one is not None:
                    np.testing.assert_array_equal(one, other)


@every_row
@settings(max_examples=5, deadline=None)
@given(data=st.data(), seed=seeds)
def test_the_graph_is_released_by_backward(row, data, seed):
    """Neither inputs nor saved arrays outlive backward(), and no cycle needs the collector.

    But for those that the operation keeps for its next call.
    """
    problem = data.draw(row.problems)
    tensors = tensors_of(row, row.inputs(problem, seed))
    middle = [Tensor._of(t._data * 1, t.requires_grad) for t in tensors]
    function = problem.make()
    output = apply(function, *middle)
    kept = [
        output._data,
        *arrays_in([getattr(function, n, None) for n in ("_kept", "_known")]),
        ONE,
    ]
    saved = [
        a
        for a in arrays_in(output._record[2])
        if not any(a is other or np.shares_memory(a, other) for other in kept)
    ]
    watched = [weakref.ref(thing) for thing in (*middle, *saved)]
    gc.disable()
    try:
        output.backward(cotangent(output._data, seed))
        del middle, saved, kept
        assert [ref() for ref in watched if ref() is not None] == []
    finally:
        gc.enable()


# Against PyTorch --------------------------------------------------------------------------------


def variance(x: Tensor, axis, keepdims: bool) -> Tensor:
    return ((x - x.mean(axis, keepdims=True)) ** 2).mean(axis, keepdims)


def logsumexp(x: Tensor, axis, keepdims: bool) -> Tensor:
    largest = x.max(axis, keepdims=True).detach()
    total = (x - largest).exp().sum(axis, keepdims)
    return total.log() + largest.reshape(total.shape)


def as_axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def reduction(function):
    return lambda case, x: function(x, as_axis(case.options["axis"]), case.options["keepdims"])


def power(case, base: Tensor, *exponent: Tensor) -> Tensor:
    return base ** (exponent[0] if exponent else case.options["exponent"])


#: How each kind of reference case is written here.
SPELLED = {
    "relu": lambda case, x: nn.relu(x),
    "leaky_relu": lambda case, x: nn.leaky_relu(x, case.options["negative_slope"]),
    "elu": lambda case, x: nn.elu(x, case.options["alpha"]),
    "gelu": lambda case, x: nn.gelu(x, case.options["approximate"]),
    "sigmoid": lambda case, x: nn.sigmoid(x),
    "tanh": lambda case, x: nn.tanh(x),
    "silu": lambda case, x: nn.silu(x),
    "softplus": lambda case, x: nn.softplus(x),
    "sin": lambda case, x: nn.sine(x),
    "softmax": lambda case, x: nn.softmax(x, case.options["axis"]),
    "log_softmax": lambda case, x: nn.log_softmax(x, case.options["axis"]),
    "neg": lambda case, x: -x,
    "exp": lambda case, x: x.exp(),
    "log": lambda case, x: x.log(),
    "sqrt": lambda case, x: x.sqrt(),
    "abs": lambda case, x: abs(x),
    "add": lambda case, a, b: a + b,
    "sub": lambda case, a, b: a - b,
    "mul": lambda case, a, b: a * b,
    "div": lambda case, a, b: a / b,
    "maximum": lambda case, a, b: nn.maximum(a, b),
    "minimum": lambda case, a, b: nn.minimum(a, b),
    "power": power,
    "clip": lambda case, x: x.clip(case.options["low"], case.options["high"]),
    "where": lambda case, a, b: nn.where(case.options["condition"], a, b),
    "sum": reduction(Tensor.sum),
    "mean": reduction(Tensor.mean),
    "max": reduction(Tensor.max),
    "min": reduction(Tensor.min),
    "var": reduction(variance),
    "logsumexp": reduction(logsumexp),
    "matmul": lambda case, a, b: a @ b,
    "index": lambda case, x: x[index(case)],
    "concatenate": lambda case, *parts: nn.concatenate(parts, case.options["axis"]),
    "stack": lambda case, *parts: nn.stack(parts, case.options["axis"]),
    "reshape": lambda case, x: x.reshape(case.options["shape"]),
    "transpose": lambda case, x: x.transpose(case.options["axes"]),
}


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-6 relative in float32 and 1e-12 in float64, of the largest number around."""
    assert actual.dtype == expected.dtype
    tight = {"float32": 1e-6, "float64": 1e-12}[str(expected.dtype)]
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=tight, atol=tight * min(scale, 10))


#: PyTorch takes this gradient from a sum that is rounded at 1e4, with an error of 4e-4.
ROUNDED_IN_PYTORCH = "logsumexp-extreme-float32"


@pytest.mark.parametrize(
    "case", [c for c in cases("operations") if c.name != ROUNDED_IN_PYTORCH], ids=str
)
def test_operations_agree_with_pytorch(case):
    """Kinks, ties and limits included: our conventions there are PyTorch's."""
    inputs = [Tensor(x.copy(), requires_grad=True) for x in case.series("input")]
    with np.errstate(over="ignore"):
        output = SPELLED[case.kind](case, *inputs)
        output.backward(case["cotangent"])
    close(output._data, case["output"])
    for tensor, expected in zip(inputs, case.series("grad"), strict=True):
        close(tensor.grad, expected)


# What a row cannot say ---------------------------------------------------------------------------


def test_casting_to_float32_and_back_keeps_gradients_in_the_dtype_of_each_side():
    x = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float64)
    y = x.astype(np.float32)
    assert y.dtype == np.float32
    y.backward(np.array([1, 3], np.float32))
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [1, 3])


@pytest.mark.parametrize(
    "function",
    [
        F.Power(np.float64(3)),
        F.Power(np.int64(2)),
        F.Clip(np.float64(-0.5), np.float64(0.5)),
        F.LeakyReLU(np.float64(0.1)),
        F.ELU(np.float64(0.1)),
        F.Dropout(np.float64(0.5), np.random.default_rng(0)),
        F.Normalize((0,), np.float64(1e-5)),
        F.BatchStatistics((0,), 1e-5, np.float64(0.1), np.zeros((), "f"), np.zeros((), "f")),
    ],
    ids=lambda function: function.name,
)
def test_options_that_are_numpy_numbers_do_not_widen_float32(function):
    """As they come out of np.linspace: NumPy would compute in float64."""
    x = Tensor([-1.0, 0.25, 2.0], requires_grad=True)
    y = apply(function, x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("function", [F.Linear, F.LinearWithoutBias])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_does_not_depend_on_where_weight_and_bias_lie(function, dtype):
    """One block, as a layer makes it, or arrays apart: the same bits."""
    rng = np.random.default_rng(0)
    x, block = rng.normal(size=(7, 3)).astype(dtype), rng.normal(size=(4, 5)).astype(dtype)
    apart = [block[:-1].T.copy(), block[-1].copy()]
    results = []
    for weight, bias in ((block[:-1].T, block[-1]), apart):
        given = [x, weight, bias] if function is F.Linear else [x, weight]
        tensors = [Tensor._of(a, True) for a in given]
        output = apply(function(), *tensors)
        output.backward(np.ones(output.shape))
        results.append([output._data, *[t.grad for t in tensors]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", [F.Maximum, F.Minimum])
def test_equal_operands_share_the_gradient(function):
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 5.0], requires_grad=True)
    apply(function(), a, b).sum().backward()
    assert a.grad[0] == b.grad[0] == 0.5


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_elu_has_all_digits_of_its_slope_far_below_zero(alpha):
    x = Tensor(np.linspace(-80, 2, 40, dtype=np.float32), requires_grad=True)
    apply(F.ELU(alpha), x).sum().backward()
    slope = np.where(x.data > 0, 1, alpha * np.exp(x.data.astype(np.float64)))
    np.testing.assert_allclose(x.grad, slope, rtol=1e-6)


@pytest.mark.parametrize("function", [F.GELU(), F.GELUTanh(), F.SiLU(), F.Softplus(), F.ELU()])
def test_activations_take_numbers_of_any_size(function):
    x = Tensor(np.float32([-3e38, -1e20, -1e4, 1e4, 1e20, 3e38]), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = apply(function, x)
        y.sum().backward()
    below = -1.0 if isinstance(function, F.ELU) else 0.0
    np.testing.assert_array_equal(y.data, np.where(x.data > 0, x.data, below))
    np.testing.assert_array_equal(x.grad, x.data > 0)


class SumOfSquares(F.Function):
    """One number, with a backward rule that works on numbers in place."""

    def forward(self, k, x, scale):
        return k.multiply(k.sum(k.square(x)), scale), (x, scale)

    def backward(self, k, grad, saved, needs):
        x, scale = saved
        twice = k.multiply(grad, 2.0)
        twice = k.multiply(twice, scale, out=twice)
        return k.multiply(x, twice), k.multiply(grad, k.sum(k.square(x)))


def test_rules_work_in_place_on_gradients_of_one_number():
    x, scale = Tensor([1.0, 2.0], requires_grad=True), Tensor(3.0, requires_grad=True)
    apply(SumOfSquares(), x, scale).backward()
    np.testing.assert_array_equal(x.grad, [6.0, 12.0])
    assert isinstance(scale.grad, np.ndarray) and scale.grad == 5.0


@pytest.mark.parametrize("inputs", [([1.0], None), (None, [1.0]), ([1.0], None, [1.0])])
def test_none_is_no_input(inputs):
    with pytest.raises(ShapeError, match="real numbers"):
        apply(F.Concatenate(0), *inputs)


def test_powers_of_zero_are_flat_in_the_exponent():
    """And not NaN, as log(0)·0 would be."""
    base = Tensor([0.0, 0.0, 2.0], requires_grad=True)
    exponent = Tensor([1.0, 3.0, 3.0], requires_grad=True)
    (base**exponent).sum().backward()
    np.testing.assert_array_equal(base.grad, [1, 0, 12])
    np.testing.assert_allclose(exponent.grad, [0, 0, 8 * np.log(2)], rtol=1e-6)


def test_a_place_read_twice_receives_both_gradients():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[[0, 2, 0, 0]].backward([1, 10, 100, 1000])
    np.testing.assert_array_equal(x.grad, [1101, 0, 10])


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_where_takes_what_is_not_zero_for_true(dtype):
    mask = np.array([0.5, 0.0, -2.0, 1.0]).astype(dtype)
    a, b = Tensor(np.ones(4), requires_grad=True), Tensor(np.zeros(4), requires_grad=True)
    chosen = apply(F.Where(), Tensor._of(mask), a, b)
    np.testing.assert_array_equal(chosen.data, [1, 0, 1, 1])
    chosen.sum().backward()
    np.testing.assert_array_equal(a.grad, [1, 0, 1, 1])
    np.testing.assert_array_equal(b.grad, [0, 1, 0, 0])


@pytest.mark.parametrize("n", [2, 6])
def test_batch_statistics_move_running_averages_with_the_unbiased_variance(n):
    x = np.random.default_rng(0).normal(3, 2, (n, 4))
    mean, variance_ = np.full(4, 1.0), np.full(4, 2.0)
    apply(F.BatchStatistics((0,), 1e-5, 0.25, mean, variance_), Tensor(x))
    np.testing.assert_allclose(mean, 0.75 * 1 + 0.25 * x.mean(0))
    np.testing.assert_allclose(variance_, 0.75 * 2 + 0.25 * x.var(0, ddof=1))


@pytest.mark.parametrize("name", sorted(cls.__name__ for cls in all_functions()))
def test_every_operation_has_a_name_and_a_rule_to_show(name):
    function = getattr(F, name)
    assert function.rule
    assert function.__name__ in vars(F)
