"""What is captured, what is not, and that neither changes a number."""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnkit as nn
from nnkit import functions as F
from nnkit.backpropagation import backpropagate
from nnkit.capture import Uncapturable, recording
from nnkit.functions.base import NUMPY_KERNELS, kernels
from nnkit.losses import Loss
from nnkit.program import Program, Table
from nnkit.step import TrainingStep
from nnkit.tensor import Parameter, Tensor, apply, no_grad
from tests.nnkit.numeric import assert_same_bits
from tests.nnkit.operations import TABLE, Problem, Row
from tests.nnkit.twins import Twins

# Every operation, forward and backward ------------------------------------------------------------

#: These hold state of their own, and are replayed inside networks, in the tests of steps.
WITH_STATE = (F.BatchStatistics, F.Dropout)


def tensors_of(row: Row, inputs: list[np.ndarray]) -> list[Tensor]:
    return [Tensor._of(x, i not in row.data) for i, x in enumerate(inputs)]


def computed(row: Row, problem: Problem, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The output and all gradients, from inputs of which the last is the cotangent."""
    *values, grad = inputs
    tensors = tensors_of(row, values)
    output = apply(problem.make(), *tensors)
    output.backward(grad)
    return [output._data, *[t.grad for t in tensors if t.grad is not None]]


def replayed(
    row: Row, problem: Problem, first: list[np.ndarray], then: list[np.ndarray]
) -> list[np.ndarray]:
    """The same, recorded with the `first` inputs and replayed with others."""
    with recording() as recorder:
        given = [recorder.know("given", x) for x in first]
        tensors = tensors_of(row, first[:-1])
        output = apply(problem.make(), *tensors)
        found = {id(t): g for t, g in backpropagate(output, first[-1]).items()}
        results = [output._data, *[found[id(t)] for t in tensors if id(t) in found]]
        places = [recorder.place(recorder.copy(result)) for result in results]
    for place in places:
        place.storage.kind = "given"
    program = Program(recorder, places, [given, [place.storage for place in places]])
    tables = {storage: Table(storage, 1) for group in program.groups for storage in group}
    for storage, x in zip(given, then, strict=True):
        tables[storage].stack(recorder.place(storage.array))[0] = x
    program.preparation(0, tables)(1)
    program.compile()(*([program.views(group, tables, 0)] for group in (0, 1)))
    return [tables[place.storage].stack(place)[0] for place in places]


def takes_arrays(problem: Problem) -> bool:
    """Whether an index holds arrays, which might have been computed from values."""
    index = getattr(problem.make(), "index", None)
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray) for part in parts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", [r for r in TABLE if r.function not in WITH_STATE], ids=str)
@settings(max_examples=10, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_every_operation_replays_to_the_same_bits(row, dtype, data, seed):
    """Recorded with some numbers, replayed with others: nothing of the first may be left."""
    problem = data.draw(row.problems.filter(lambda p: all(math.prod(s) for s in p.shapes)))
    runs = []
    for start in (seed, seed + 1):
        values = row.inputs(problem, start)
        inputs = [np.array(x, dtype if x.dtype.kind == "f" else bool, order="C") for x in values]
        with no_grad():
            output = apply(problem.make(), *[Tensor._of(x) for x in inputs])._data
        grad = np.random.default_rng(start).normal(size=output.shape)
        runs.append([*inputs, np.asarray(grad, output.dtype)])
    if not runs[0][-1].size:
        return
    if takes_arrays(problem):
        with pytest.raises(Uncapturable, match="index"):
            replayed(row, problem, *runs)
        return
    expected = computed(row, problem, [x.copy() for x in runs[1]])
    for one, other in zip(replayed(row, problem, *runs), expected, strict=True):
        assert_same_bits(one, other)


class TestRecorder:
    def test_an_array_from_elsewhere_is_noticed(self):
        with recording() as recorder, pytest.raises(Uncapturable, match="made outside of nnkit"):
            recorder.add(np.ones(2), 1.0)

    def test_so_is_one_that_is_partly_from_elsewhere(self):
        known = np.ones(4)
        with recording() as recorder:
            recorder.know("fixed", known)
            assert recorder.add(known[1:3], 1.0).tolist() == [2, 2]
            with pytest.raises(Uncapturable, match="made outside of nnkit"):
                recorder.add(known, known.copy())

    @pytest.mark.parametrize(
        "look",
        [
            lambda x: x.data,
            lambda x: x.item(),
            lambda x: float(x),
            lambda x: bool(x),
            lambda x: x.tolist(),
            lambda x: x.numpy(),
            lambda x: np.asarray(x),
            lambda x: np.mean(x),
            lambda x: x > 1,
            lambda x: x == 1,
            lambda x: f"{x:.3f}",
            lambda x: str(x),
            lambda x: repr(x),
            lambda x: x[Tensor([0])],
        ],
    )
    def test_every_way_to_look_at_values_is_noticed(self, look):
        values = np.ones(1, np.float32)
        with recording() as recorder:
            recorder.know("fixed", values)
            x = Tensor._of(values, True)
            y = x * 2
            with pytest.raises(Uncapturable):
                look(y)

    def test_looking_at_shapes_is_not(self):
        values = np.ones((2, 3), np.float32)
        with recording() as recorder:
            recorder.know("fixed", values)
            y = Tensor._of(values, True) * 2
            assert (y.shape, y.ndim, y.size, len(y), y.dtype) == ((2, 3), 2, 6, 2, np.float32)
            assert y.requires_grad

    def test_is_in_force_only_inside_its_block(self):
        before = kernels.get()
        with pytest.raises(KeyError), recording():
            assert kernels.get().recording
            raise KeyError
        assert kernels.get() is before
        assert not kernels.get().recording

    @pytest.mark.parametrize("shape", [(), (2, 3)])
    def test_its_graph_can_be_walked_afterwards(self, shape):
        x = Tensor(np.full(shape, 0.5), requires_grad=True)
        with recording() as recorder:
            recorder.know("fixed", x._data)
            y = (x.tanh() * 3.0).sum()
        y.backward()
        np.testing.assert_allclose(x.grad, 3 - 3 * np.tanh(x.data) ** 2)

    def test_its_loss_can_be_walked_afterwards(self):
        x, target = Tensor([[0.5], [1.0]], requires_grad=True), Tensor([[0.0], [2.0]])
        with recording() as recorder:
            recorder.know("fixed", x._data)
            recorder.know("fixed", target._data)
            loss = nn.MSE()(x, target)
        loss.backward()
        np.testing.assert_array_equal(x.grad, [[0.5], [-1.0]])

    def test_what_nobody_wants_is_left_out(self):
        values = np.ones(3)
        with recording() as recorder:
            recorder.know("fixed", values)
            wanted = recorder.add(values, 1.0)
            recorder.exp(recorder.multiply(wanted, 2.0))
            place = recorder.place(wanted)
        program = Program(recorder, [place], [[]])
        assert len(program.calls) == 1
        program.compile()([()])
        np.testing.assert_array_equal(program.array(place), [2, 2, 2])

    def test_writing_into_constants_starts_from_them_each_time(self):
        values = np.array([1.0, 2.0])
        with recording() as recorder:
            recorder.know("fixed", values)
            total = recorder.add(recorder.constant(np.array([10.0, 20.0])), 1.0)
            place = recorder.place(recorder.add(recorder.copy(values), total))
        program = Program(recorder, [place], [[]])
        run = program.compile()
        for _ in range(2):
            run([()])
            np.testing.assert_array_equal(program.array(place), [12, 23])
            values += 0


# Modules that users write ------------------------------------------------------------------


def data(n: int = 12):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    return x, (x.sum(1, keepdims=True) + rng.normal(size=(n, 1)) / 10).astype(np.float32)


def twins_of(make_model, make_loss=nn.MSE) -> Twins:
    def build():
        model = make_model()
        model.reset_parameters(np.random.default_rng(1))
        return model, make_loss(), nn.Adam(model.parameters(), lr=0.05)

    return Twins(build)


def train(twins: Twins, rounds: int = 3) -> None:
    for seed in range(rounds):
        twins.train(*data(), batch_size=5, epochs=3, seed=seed)


class TwoLayers(nn.Module):
    """What the modules below have in common."""

    def __init__(self):
        self.first, self.second = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.between(self.first(x)))


class Residual(nn.Module):
    """Own parameters, reuse, slices, joins, reductions and products: all over our operations."""

    def __init__(self):
        self.scale = Parameter(np.ones(4), dtype=np.float32)
        self.first, self.second = nn.Linear(2, 4, "tanh"), nn.Linear(4, 4)
        self.shift = np.full(4, 0.5, np.float32)
        self.head = nn.Linear(9, 1)

    def forward(self, x):
        h = self.first(x)
        h = h + self.second(h * self.scale).tanh() * 0.5 + self.shift
        mean = h.mean(axis=1, keepdims=True)
        centred = (h - mean) / ((h - mean) ** 2).mean(axis=1, keepdims=True).clip(1e-3).sqrt()
        product = (h[:, :2] @ h[:, 2:].T).exp().clip(None, 5.0)
        weights = product / product.sum(axis=1, keepdims=True)
        largest = nn.maximum(abs(h).max(axis=1, keepdims=True), 0.1)
        return self.head(nn.concatenate([h, weights @ centred, largest], axis=1))


class Attention(nn.Module):
    """A stack of matrices, a transpose and a reshape."""

    def __init__(self):
        self.embed, self.head = nn.Linear(1, 4), nn.Linear(8, 1)

    def forward(self, x):
        h = self.embed(x.reshape(x.shape[0], 2, 1))
        scores = nn.softmax(h @ h.transpose(0, 2, 1) * 0.5)
        return self.head((scores @ h).reshape(x.shape[0], 8))


class BranchesOnShapes(TwoLayers):
    def between(self, h):
        return h.tanh() if h.shape[0] > 3 else h


class BranchesOnMode(TwoLayers):
    def between(self, h):
        return h.tanh() if self.training else h


class PicksColumns(TwoLayers):
    def between(self, h):
        return h[:, [3, 1, 0, 0]] * h[:, 1:2] + h[0, 0]


@pytest.mark.parametrize(
    "model",
    [Residual, Attention, BranchesOnShapes, BranchesOnMode, PicksColumns],
)
def test_modules_over_our_operations_are_captured(model):
    twins = twins_of(model)
    train(twins)
    twins.edit(lambda step: step.model.eval())
    train(twins)
    twins.assert_captured()


class ReadsValues(TwoLayers):
    reason = "looked at values"

    def between(self, h):
        return h * float(abs(h.data).mean())


class BranchesOnValues(TwoLayers):
    reason = "looked at values"

    def between(self, h):
        return h.tanh() if h.sum().item() > 0 else h


class BranchesOnAComparison(TwoLayers):
    reason = "looked at values"

    def between(self, h):
        return h * (h > 0)


class RawNumPyInside(TwoLayers):
    reason = ""

    def between(self, h):
        return h * Tensor(np.cos(np.asarray(h)))


class RawNumPyOfConstants(TwoLayers):
    reason = "made outside"

    def between(self, h):
        return h * np.linspace(0.5, 1, h.shape[1])


class RawNumPyOfParameters(TwoLayers):
    """Reads the values of its parameters around the tensor."""

    reason = ""

    def between(self, h):
        return h * float(np.abs(self.first.weight.data).max())


class GradientsInTheForward(TwoLayers):
    """Reads what the last backward pass left."""

    reason = ""

    def between(self, h):
        grad = self.first.weight.grad
        return h * (1.0 if grad is None else 1.0 / (1.0 + float(np.abs(grad).max())))


class CountsCalls(TwoLayers):
    """A number that changes at each call, and what is computed with it."""

    reason = "changed something"

    def __init__(self):
        super().__init__()
        self.calls = 0

    def between(self, h):
        self.calls += 1
        return h * (1.0 / self.calls)


class CountsCallsAside(CountsCalls):
    """The same, without an effect on the numbers: it shall count right all the same."""

    def between(self, h):
        self.calls += 1
        return h.tanh()


class KeepsAList(TwoLayers):
    reason = ""

    def __init__(self):
        super().__init__()
        self.seen = []

    def between(self, h):
        self.seen.append(h.shape[0])
        return h * (1 + 0.1 * (len(self.seen) % 3))


class KeepsADict(TwoLayers):
    reason = ""

    def __init__(self):
        super().__init__()
        self.state = {"calls": 0}

    def between(self, h):
        self.state["calls"] += 1
        return h * (1 + 0.1 * (self.state["calls"] % 3))


class CountsInAnArray(TwoLayers):
    reason = ""

    def __init__(self):
        super().__init__()
        self.calls = np.zeros((), np.float32)

    def between(self, h):
        self.calls += 1
        return h * (1 + 0.1 * float(self.calls % 3))


class CountsInAnObject(TwoLayers):
    reason = ""

    def __init__(self):
        super().__init__()
        self.state = SimpleNamespace(calls=0)

    def between(self, h):
        self.state.calls += 1
        return h * (1 + 0.1 * (self.state.calls % 3))


class DrawsNoise(TwoLayers):
    reason = "made outside"

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(3)

    def between(self, h):
        return h + Tensor(self.generator.normal(size=h.shape).astype(np.float32))


class DrawsANumber(TwoLayers):
    reason = "gave other numbers"

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(3)

    def between(self, h):
        return h * self.generator.random()


class SometimesSkips(TwoLayers):
    """Stochastic depth: what is drawn decides which operations run."""

    reason = ""

    def __init__(self):
        super().__init__()
        self.generator = np.random.default_rng(3)

    def between(self, h):
        return h.tanh() if self.generator.random() < 0.5 else h


class PicksByValue(TwoLayers):
    reason = ""

    def between(self, h):
        order = np.argsort(np.asarray(h[0]))
        return h[:, order]


class FailsUnderRecording(TwoLayers):
    """Works on plain arrays only, in a way that no recorder can foresee."""

    reason = ""

    def between(self, h):
        assert kernels.get() is NUMPY_KERNELS, "surprised"
        return h.tanh()


class ChangesItsWeights(TwoLayers):
    """Weights are normalised in place at each call."""

    reason = ""

    def between(self, h):
        with no_grad():
            self.second.weight.data = self.second.weight.data * 0.99
        return h


PLAIN = [
    ReadsValues, BranchesOnValues, BranchesOnAComparison, RawNumPyInside, RawNumPyOfConstants,
    RawNumPyOfParameters, GradientsInTheForward, CountsCalls, CountsCallsAside, KeepsAList,
    KeepsADict, CountsInAnArray, CountsInAnObject, DrawsNoise, DrawsANumber, SometimesSkips,
    PicksByValue, FailsUnderRecording, ChangesItsWeights,
]  # fmt: skip


@pytest.mark.parametrize("model", PLAIN)
def test_modules_that_cannot_be_captured_run_plainly_with_the_same_numbers(model):
    twins = twins_of(model)
    train(twins)
    assert twins.captured.reason
    assert model.reason in twins.captured.reason
    for name in ("calls", "seen", "state"):
        one, other = (getattr(step.model, name, None) for step in twins.steps)
        assert one == other, f"{name}: {one} captured, {other} plain"


# Edits of what users write ------------------------------------------------------------------


class Configured(TwoLayers):
    def __init__(self):
        super().__init__()
        self.factor = 1.0
        self.options = {"power": 1.0, "inner": {"shift": 0.0}, "array": np.ones(4, np.float32)}
        self.factors = [1.0, 1.0]
        self.settings = SimpleNamespace(gain=1.0)
        self.array = np.ones(4, np.float32)
        self.number = np.ones(1, np.float32)

    def between(self, h):
        h = h * self.factor * self.options["power"] + self.options["inner"]["shift"]
        h = h * self.factors[1] * self.settings.gain * self.array
        return h.tanh() * float(self.number[0])


def set_inner(model):
    model.options["inner"]["shift"] = 0.5


def set_dict_array(model):
    model.options["array"] = np.zeros(4, np.float32)


CONFIGURED_EDITS = {
    "attribute": lambda model: setattr(model, "factor", 0.5),
    "dict": lambda model: model.options.update(power=0.5),
    "nested dict": set_inner,
    "array in a dict": set_dict_array,
    "list": lambda model: model.factors.__setitem__(1, 0.5),
    "object": lambda model: setattr(model.settings, "gain", 0.5),
    "array replaced": lambda model: setattr(model, "array", np.full(4, 0.5, np.float32)),
    "array in place": lambda model: model.array.fill(0.5),
    "array read as a number": lambda model: model.number.fill(0.5),
    "new attribute": lambda model: setattr(model, "note", "x"),
    "method": lambda model: setattr(model, "between", lambda h: h * 0.5),
}


@pytest.mark.parametrize("edit", CONFIGURED_EDITS.values(), ids=CONFIGURED_EDITS)
def test_edits_of_anything_that_a_module_holds_count_from_the_next_step(edit):
    twins = twins_of(Configured)
    train(twins, 1)
    twins.edit(lambda step: edit(step.model))
    train(twins, 1)


def test_edits_of_what_a_function_closes_over_count_from_the_next_step():
    scale = [1.0]

    def make():
        return nn.Sequential(nn.Linear(2, 4), lambda x: x.tanh() * scale[0], nn.Linear(4, 1))

    twins = twins_of(make)
    train(twins, 1)
    scale[0] = 0.5
    train(twins, 1)


# What forwards look up outside of their modules

GAIN, GAINS, GAIN_ARRAY = 1.0, [1.0], np.ones(4, np.float32)
ELSEWHERE = ModuleType("elsewhere")
ELSEWHERE.gain = 1.0
CALLS = 0


class Scaled(TwoLayers):
    gain = 1.0
    gains: ClassVar = {"one": 1.0}


class LooksAround(Scaled):
    """Its forward depends on classes, globals, another function's globals, and another module."""

    def between(self, h):
        h = h * self.gain * self.gains["one"] * GAIN * gain_of_a_list() * ELSEWHERE.gain
        return h.tanh() * max(number * float(GAIN_ARRAY[0]) for number in GAINS)


def gain_of_a_list():
    return GAINS[0]


HERE = "tests.nnkit.test_capture."
EDITS_AROUND = {
    "class": lambda patch: patch.setattr(LooksAround, "gain", 0.5, raising=False),
    "base class": lambda patch: patch.setattr(Scaled, "gain", 0.5),
    "dict of a class": lambda patch: patch.setitem(Scaled.gains, "one", 0.5),
    "method": lambda patch: patch.setattr(TwoLayers, "between", lambda _, h: h, raising=False),
    "global": lambda patch: patch.setattr(f"{HERE}GAIN", 0.5),
    "global list": lambda _: GAINS.__setitem__(0, 0.5),
    "global array": lambda patch: patch.setattr(f"{HERE}GAIN_ARRAY", np.full(4, 0.5, np.float32)),
    "global array in place": lambda _: GAIN_ARRAY.fill(0.5),
    "global function": lambda patch: patch.setattr(f"{HERE}gain_of_a_list", lambda: 0.5),
    "module": lambda patch: patch.setattr(ELSEWHERE, "gain", 0.5),
}


@pytest.mark.parametrize("edit", EDITS_AROUND.values(), ids=EDITS_AROUND)
def test_edits_of_what_a_forward_looks_up_count_from_the_next_step(edit, monkeypatch):
    monkeypatch.setattr(f"{HERE}GAINS", [1.0])
    monkeypatch.setattr(f"{HERE}GAIN_ARRAY", np.ones(4, np.float32))
    twins = twins_of(LooksAround)
    train(twins, 1)
    assert not twins.captured.reason
    edit(monkeypatch)
    train(twins, 1)


def test_edits_of_what_a_loss_looks_up_count_from_the_next_step(monkeypatch):
    twins = twins_of(lambda: nn.Linear(2, 1), lambda: lambda p, t: ((p - t) ** 2).mean() * GAIN)
    train(twins, 1)
    monkeypatch.setattr(f"{HERE}GAIN", 0.5)
    train(twins, 1)


def test_edits_of_what_a_method_closes_over_count_from_the_next_step():
    gain = 1.0

    class Closes(TwoLayers):
        def between(self, h):
            return h * gain

    twins = twins_of(Closes)
    train(twins, 1)
    gain = 0.5
    train(twins, 1)


class CountsGlobally(TwoLayers):
    def between(self, h):
        global CALLS
        CALLS += 1
        return h * (1.0 / CALLS)


class CountsInItsClass(TwoLayers):
    calls = 0

    def between(self, h):
        type(self).calls += 1
        return h * (1.0 / self.calls)


@pytest.mark.parametrize("model", [CountsGlobally, CountsInItsClass])
def test_a_forward_that_counts_outside_of_its_module_runs_plainly(model, monkeypatch):
    losses = []
    for capture in (True, False):
        monkeypatch.setattr(f"{HERE}CALLS", 0)
        monkeypatch.setattr(CountsInItsClass, "calls", 0)
        network = model()
        network.reset_parameters(np.random.default_rng(1))
        optimizer = nn.Adam(network.parameters(), lr=0.05)
        step = nn.TrainingStep(network, nn.MSE(), optimizer, capture=capture)
        losses.append(step.epochs(*data(), batch_size=5, epochs=3))
        assert step.reason
    assert_same_bits(*losses, "losses")


def test_what_python_keeps_in_classes_is_no_obstacle():
    """Data classes, abstract classes, properties, partial functions and methods of classes."""

    @dataclass
    class Options:
        power: float = 1.0

    class Abstract(TwoLayers, ABC):
        @abstractmethod
        def between(self, h): ...

    class Whole(Abstract):
        options = Options()

        @property
        def power(self):
            return self.options.power

        @classmethod
        def base(cls):
            return 1.0

        @staticmethod
        def scaled(h, by):
            return h * by

        def between(self, h):
            return partial(self.scaled, by=self.power)(h) * self.base()

    twins = twins_of(Whole)
    train(twins, 1)
    assert not twins.captured.reason
    Whole.options.power = 0.5
    train(twins, 1)


# Losses that users write ------------------------------------------------------------------


def log_cosh(prediction, target):
    d = prediction - target
    return (d.exp() + (-d).exp()).log().mean()


def with_penalty(prediction, target):
    return nn.mse_loss(prediction, target) + 0.1 * abs(prediction).mean()


class Weighted(nn.MSE):
    """One of ours with a forward of its own."""

    def forward(self, prediction, target):
        return super().forward(prediction, target) * 3.0


class Smoothed(nn.MSE):
    """One of ours with targets of its own."""

    def targets_for(self, prediction, target):
        return super().targets_for(prediction, target) * 0.5


class Cubic(Loss):
    """A loss of one's own on our base."""

    @property
    def function(self):
        return F.HuberError(0.25)


class Module(nn.Module):
    def __init__(self):
        self.weight = np.full((1, 1), 2.0, np.float32)

    def forward(self, prediction, target):
        return (((prediction - target) ** 2) * self.weight).sum()


@pytest.mark.parametrize(
    "make_loss",
    [lambda: log_cosh, lambda: with_penalty, Weighted, Smoothed, Cubic, Module],
    ids=["log_cosh", "with_penalty", "Weighted", "Smoothed", "Cubic", "Module"],
)
def test_losses_that_users_write_are_captured_with_their_values(make_loss):
    twins = twins_of(lambda: nn.Linear(2, 1), make_loss)
    train(twins)
    twins.assert_captured()


def test_a_loss_that_looks_at_values_runs_plainly():
    def balanced(prediction, target):
        return nn.mse_loss(prediction, target) / float(abs(prediction.data).mean())

    twins = twins_of(lambda: nn.Linear(2, 1), lambda: balanced)
    train(twins)
    assert "looked at values" in twins.captured.reason


def test_an_error_in_a_module_reaches_the_user_as_it_is():
    class Broken(TwoLayers):
        def between(self, h):
            raise ZeroDivisionError("mine")

    for step in twins_of(Broken).steps:
        with pytest.raises(ZeroDivisionError, match="mine"):
            step(*data())
        assert not kernels.get().recording


def test_an_error_in_a_loss_leaves_what_a_plain_step_leaves():
    """The forward pass has run: running averages have moved and random numbers are drawn, once."""

    class Late(nn.Module):
        def forward(self, prediction, target):
            raise ZeroDivisionError

    def make():
        generator = np.random.default_rng(0)
        return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3), nn.Dropout(generator=generator))

    twins = twins_of(make, Late)
    for step in twins.steps:
        with pytest.raises(ZeroDivisionError):
            step(*data())
    twins.compare()
    assert twins.captured.optimizer.steps == 0


class Reading(nn.Module):
    """A network whose forward looks at its own state in one of the library's ways."""

    def __init__(self, look):
        self.hidden, self.output = seeded(nn.Linear(3, 4)), seeded(nn.Linear(4, 1))
        self.normalization, self.teacher = nn.BatchNorm(4), seeded(nn.Linear(4, 1))
        self.look = look

    def forward(self, x):
        h = self.normalization(self.hidden(x))
        return self.output(h) * self.look(self, h)


def seeded(layer):
    layer.reset_parameters(np.random.default_rng(3))
    return layer


def copied(net, h):
    net.teacher.load_state_dict(net.output.state_dict())
    return net.teacher(h.detach())


@pytest.mark.parametrize(
    "look",
    [
        lambda net, h: 1.0 + float(net.normalization.running_var.mean()),
        lambda net, h: 1.0 + float(next(net.normalization.named_buffers())[1].sum()),
        lambda net, h: float(np.square(net.hidden.state_dict()["weight"]).sum()),
        lambda net, h: 1.0 + float(net.hidden.grad_weights.sum()),
        lambda net, h: 1.0 + min(nn.clip_grad_norm_(net.output.parameters(), 1.0), 1.0),
        lambda net, h: float(np.square(copy.deepcopy(net.hidden.weight).data).sum()),
        copied,
    ],
)
def test_state_that_a_forward_reads_is_never_frozen(look):
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    y = x[:, :1].copy()
    found = []
    for capture in (True, False):
        net = Reading(look)
        step = TrainingStep(net, nn.MSE(), nn.SGD(net.parameters(), 0.01), capture=capture)
        found.append(step.epochs(x, y, epochs=20))
        assert "looked at values" in step.reason or not capture
    np.testing.assert_array_equal(*found)


def test_a_mean_behind_a_product_is_captured():
    layer, weight = seeded(nn.Linear(3, 4)), Parameter(np.ones((4, 1)))
    found = []
    for capture in (True, False):
        net = nn.Sequential(copy.deepcopy(layer), lambda h: h @ weight)
        optimizer = nn.SGD([*net.parameters()], 0.1)
        step = TrainingStep(net, lambda p, t: p.mean() * 2.0, optimizer, capture=capture)
        found.append(step.epochs(np.ones((8, 3)), np.ones((8, 1)), epochs=5))
        assert not (capture and step.reason)
    np.testing.assert_array_equal(*found)
