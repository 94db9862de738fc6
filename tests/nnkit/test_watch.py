"""What a captured step sees of the world around it, and what it leaves alone."""

import random
import sys
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

import nnkit as nn
from nnkit import functions as F
from nnkit.forward import ForwardPass
from nnkit.optim import Optimizer
from nnkit.step import TrainingStep
from nnkit.tensor import apply

X = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(32, 1)).astype(np.float32)
CLASSES = np.arange(32) % 3


class Scaled(nn.Module):
    """A layer times what `scale` says; most tests derive from it."""

    def __init__(self):
        self.layer = nn.Linear(2, 1, generator=np.random.default_rng(0))

    def scale(self):
        return 1.0

    def forward(self, x):
        return self.layer(x) * self.scale()


def trained(make, edit=None, capture=True):
    """Losses of three steps, then three after an edit, and the reason for running plainly."""
    model, loss, optimizer = make()
    step = TrainingStep(model, loss, optimizer, capture=capture)
    losses = [step.epochs(X, Y, epochs=3)]
    if edit is not None:
        edit(model, loss, optimizer)
        losses.append(step.epochs(X, Y, epochs=3))
    return np.concatenate(losses).tolist(), step.reason


def assert_alike(make, edit=None):
    """The same numbers captured and plain; returns the reason for not capturing."""
    losses, reason = trained(make, edit)
    plain, _ = trained(make, edit, capture=False)
    np.testing.assert_allclose(losses, plain, rtol=1e-6)
    return reason


def with_loss(make_loss, make_optimizer=nn.SGD):
    def make():
        model = Scaled()
        optimizer = make_optimizer(model.parameters(), lr=0.01)
        return model, make_loss(optimizer), optimizer

    return make


# Other kinds of state -----------------------------------------------------------------------


class Room(dict):
    """A dict with an attribute."""

    gain = 1.0


class Slots:
    """Callable, without a dict."""

    __slots__ = ("gain",)

    def __init__(self):
        self.gain = 1.0

    def __call__(self, prediction, target):
        return nn.mse_loss(prediction, target) * self.gain


def weighted(room):
    def loss(prediction, target):
        return nn.mse_loss(prediction, target) * room.gain

    loss.room = room
    return loss


def with_an_attribute(_):
    def loss(prediction, target):
        return nn.mse_loss(prediction, target) * loss.gain

    loss.gain = 1.0
    return loss


@pytest.mark.parametrize(
    "make_loss, edit",
    [
        (with_an_attribute, lambda loss: setattr(loss, "gain", 3.0)),
        (lambda _: weighted(Room()), lambda loss: setattr(loss.room, "gain", 3.0)),
        (lambda _: Slots(), lambda loss: setattr(loss, "gain", 3.0)),
    ],
)
def test_edits_of_what_a_loss_holds_in_unusual_places(make_loss, edit):
    assert_alike(with_loss(make_loss), lambda model, loss, optimizer: edit(loss))


@pytest.fixture
def package(monkeypatch):
    """A module in a module, as `settings` in a package of the user's."""
    package, inner = ModuleType("package"), ModuleType("package.inner")
    package.inner, inner.gain = inner, 1.0
    monkeypatch.setitem(sys.modules, "package", package)
    monkeypatch.setitem(sys.modules, "package.inner", inner)
    monkeypatch.setitem(globals(), "package_in_use", package)
    return package


def at_first(package, loss):
    def make_loss(_):
        package.inner.gain = 1.0
        return loss

    return make_loss


def later(package):
    return lambda *_: setattr(package.inner, "gain", 3.0)


def test_edits_of_modules_inside_modules(package):
    def loss(prediction, target):
        return nn.mse_loss(prediction, target) * package_in_use.inner.gain  # noqa: F821

    assert not assert_alike(with_loss(at_first(package, loss)), later(package))


def test_edits_of_what_a_loss_imports_itself(package):
    def loss(prediction, target):
        from package.inner import gain

        return nn.mse_loss(prediction, target) * gain

    assert not assert_alike(with_loss(at_first(package, loss)), later(package))


def test_globals_that_come_into_being(monkeypatch):
    def loss(prediction, target):
        try:
            gain = appears_later
        except NameError:
            gain = 1.0
        return nn.mse_loss(prediction, target) * gain

    results = []
    for capture in (True, False):
        monkeypatch.delitem(globals(), "appears_later", raising=False)
        edit = lambda *_: monkeypatch.setitem(globals(), "appears_later", 3.0)  # noqa: E731
        results.append(trained(with_loss(lambda _: loss), edit, capture)[0])
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_an_array_that_was_hung_on_a_layer_of_ours():
    class Gained(Scaled):
        def __init__(self):
            super().__init__()
            self.layer.gain = np.ones(1, np.float32)

        def scale(self):
            return float(self.layer.gain[0])

    def make():
        model = Gained()
        return model, nn.MSE(), nn.SGD(model.parameters(), lr=0.01)

    assert not assert_alike(make, lambda model, *_: model.layer.gain.fill(3.0))


@pytest.mark.parametrize("part", ["steps", "lr"])
def test_losses_that_read_the_optimizer_run_plainly(part):
    def make_loss(optimizer):
        return lambda p, t: nn.mse_loss(p, t) * (getattr(optimizer, part) + 1)

    assert "SGD" in assert_alike(with_loss(make_loss), lambda m, loss, o: setattr(o, "lr", 0.5))


def test_inputs_that_a_forward_replaces():
    class Replaces(Scaled):
        def forward(self, x):
            x.data = np.zeros(x.shape)
            return self.layer(x)

    def make():
        model = Replaces()
        return model, nn.MSE(), nn.SGD(model.parameters(), lr=0.01)

    assert assert_alike(make)


# Chance -------------------------------------------------------------------------------------


def shared_python(_):
    random.seed(0)
    return lambda p, t: nn.mse_loss(p, t) * random.random()


def own_python(_):
    chance = random.Random(0)
    return lambda p, t: nn.mse_loss(p, t) * chance.random()


def shared_numpy(_):
    np.random.seed(0)
    return lambda p, t: nn.mse_loss(p, t + np.random.randn(*t.shape))


def legacy_numpy(_):
    chance = np.random.RandomState(0)
    return lambda p, t: nn.mse_loss(p, t) * chance.rand()


@pytest.mark.parametrize("make_loss", [shared_python, own_python, shared_numpy, legacy_numpy])
def test_chance_without_a_generator_runs_plainly_and_draws_the_same(make_loss):
    assert assert_alike(with_loss(make_loss))


@pytest.mark.parametrize("chance", [random, random.Random(0), np.random])
def test_a_forward_pass_with_chance_is_not_frozen(chance):
    class Random(Scaled):
        def scale(self):
            return chance.random()

    run = ForwardPass(Random(), np.ones((1, 2)))
    assert len({run()[0].item() for _ in range(3)}) == 3


def test_a_forward_pass_that_counts_is_not_frozen():
    class Counts(Scaled):
        calls = 0

        def scale(self):
            self.calls += 1
            return float(self.calls)

    run = ForwardPass(Counts(), np.ones((1, 2)))
    first, second, third = (run()[0].item() for _ in range(3))
    np.testing.assert_allclose([second, third], [2 * first, 3 * first], rtol=1e-6)


# What is no obstacle ------------------------------------------------------------------------


class Decorated(Scaled):
    """Holds arrays of text, a long chain of lists, and a tensor that cannot be written."""

    names: ClassVar = np.array(["red", "blue"])

    def __init__(self):
        super().__init__()
        self.classes = np.array(["red", "blue"])
        self.when = np.array(["2026-01-01"], "datetime64[D]")
        self.chain = None
        for _ in range(3000):
            self.chain = [self.chain]
        fixed = np.ones(1, np.float32)
        fixed.flags.writeable = False
        self.fixed = nn.Tensor(fixed)

    def scale(self):
        return self.fixed


@pytest.mark.parametrize("capture", [True, False])
def test_modules_may_hold_anything(capture):
    model = Decorated()
    step = TrainingStep(model, nn.MSE(), nn.SGD(model.parameters()), capture=capture)
    assert np.isfinite(step.epochs(X, Y, epochs=3)).all()
    assert step.reason == ("" if capture else "capture=False")


def test_an_array_of_objects_cannot_be_seen():
    model = Scaled()
    model.things = np.array([{}, []], dtype=object)
    step = TrainingStep(model, nn.MSE(), nn.SGD(model.parameters()))
    step(X, Y)
    assert "ndarray" in step.reason


# Checks of losses ---------------------------------------------------------------------------


class Renamed(nn.CrossEntropy):
    """One of ours under a name of the user's."""


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropy(),
        nn.cross_entropy_loss,
        Renamed(),
        lambda p, t: nn.cross_entropy_loss(p, t) * 2.0,
    ],
)
def test_targets_are_checked_at_every_step(loss):
    model = nn.Linear(2, 3, generator=np.random.default_rng(0))
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    step = TrainingStep(model, loss, optimizer)
    step(X, CLASSES)
    assert not step.reason
    before, wrong = model.weight.data.copy(), CLASSES.copy()
    wrong[5] = 7
    with pytest.raises(nn.ShapeError, match="class indices from 0 to 2"):
        step(X, wrong)
    np.testing.assert_array_equal(model.weight.data, before)


def test_loss_functions_are_captured_as_their_modules_are():
    for function, module in nn.losses.BY_FUNCTION.items():
        targets = CLASSES if module.name == "cross_entropy" else (Y > 0).astype(np.float32)
        targets = 2 * targets - 1 if module.name == "hinge" else targets
        results = []
        for loss in (function, module):
            outputs = 3 if module.name == "cross_entropy" else 1
            model = nn.Linear(2, outputs, "sigmoid", generator=np.random.default_rng(0))
            step = TrainingStep(model, loss, nn.SGD(model.parameters(), lr=0.1))
            results.append(step.epochs(X, targets, batch_size=8, epochs=3))
            assert not step.reason
        np.testing.assert_array_equal(*results)


def test_computed_targets_that_need_checks_run_plainly():
    model = nn.Linear(2, 3, generator=np.random.default_rng(0))
    step = TrainingStep(
        model, lambda p, t: nn.cross_entropy_loss(p, t * 1.0), nn.SGD(model.parameters())
    )
    step(X, CLASSES)
    assert "targets that are computed" in step.reason


@pytest.mark.parametrize("single", [True, False])
def test_predictions_out_of_range_stop_at_the_step_that_plain_training_stops_at(single):
    results = []
    for capture in (True, False):
        model = nn.Linear(2, 1, init="zeros")
        model.bias.data = [0.5]
        optimizer = nn.SGD(model.parameters(), lr=0.5, momentum=0.5)
        step = TrainingStep(model, nn.BinaryCrossEntropy(), optimizer, capture=capture)
        with pytest.raises(nn.ShapeError, match="probabilities"):
            if single:
                while True:
                    step(X, Y > 0)
            else:
                step.epochs(X, Y > 0, batch_size=8, epochs=50)
        results.append([optimizer.steps, *optimizer.memory[0], *model.weight.data[0]])
    np.testing.assert_array_equal(*results)
    assert np.isfinite(results[0]).all()


# Optimizers of the user's own ---------------------------------------------------------------


class Halving(nn.SGD):
    """Does more at every third step."""

    calls = 0

    def step(self):
        super().step()
        self.calls += 1
        if self.calls % 3 == 0:
            self.flat *= 0.5


class Configured(nn.SGD):
    """A rule with a dict of its own."""

    def __init__(self, *arguments, **options):
        self.settings = {"gain": 1.0}
        super().__init__(*arguments, **options)

    def update(self, k, p, gradient, memory, numbers):
        k.subtract(p, k.multiply(gradient[0], self.settings["gain"] * 0.01), out=p)


def test_an_optimizer_with_a_step_of_its_own_runs_plainly():
    reason = assert_alike(with_loss(lambda _: nn.MSE(), Halving))
    assert "Halving has a step of its own" in reason


def test_a_step_that_was_wrapped_runs_plainly():
    def make():
        model, loss, optimizer = with_loss(lambda _: nn.MSE())()
        inner = optimizer.step

        def outer():
            inner()
            optimizer.flat[...] *= 0.5

        optimizer.step = outer
        return model, loss, optimizer

    assert "step of its own" in assert_alike(make)


def test_edits_of_what_a_rule_holds():
    def edit(model, loss, optimizer):
        optimizer.settings["gain"] = 5.0

    assert not assert_alike(with_loss(lambda _: nn.MSE(), Configured), edit)


def test_the_fields_that_work_are_those_that_optimizers_have():
    optimizer = nn.Adam([nn.Parameter([0.0])])
    assert optimizer.working_fields <= vars(optimizer).keys()
    assert Optimizer.working_fields < nn.Adam.working_fields


# What is left behind ------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 300])
def test_gradients_of_the_last_step_are_there(epochs):
    gradients = []
    for capture in (True, False):
        model = nn.Sequential(nn.Linear(2, 4, "tanh"), nn.Linear(4, 1))
        model.reset_parameters(np.random.default_rng(1))
        optimizer = nn.Adam(model.parameters(), lr=0.01)
        TrainingStep(model, nn.MSE(), optimizer, capture=capture).epochs(X, Y, epochs=epochs)
        gradients.append([p.grad for p in model.parameters()])
    for captured, plain in zip(*gradients, strict=True):
        np.testing.assert_array_equal(captured, plain)


def test_gradients_that_penalties_have_changed_are_not():
    model = nn.Linear(2, 1)
    optimizer = nn.SGD(model.parameters(), lr=0.01, weight_decay=0.1)
    TrainingStep(model, nn.MSE(), optimizer)(X, Y)
    assert model.weight.grad is None


class Total(F.Reduced):
    """An operation of one's own that remembers what ours does."""


class AppliesSine(Scaled):
    def forward(self, x):
        return apply(F.Sin(), self.layer(x))


def test_operations_that_are_applied_by_hand_are_captured():
    def make():
        model, total = AppliesSine(), Total(F.SquaredError())
        optimizer = nn.SGD(model.parameters(), lr=0.01)
        return model, lambda p, t: apply(total, p, t), optimizer

    assert assert_alike(make) == ""


@pytest.mark.parametrize("delta", [0.1, 2.0])
def test_the_delta_of_a_loss_counts_from_the_next_step(delta):
    def edit(model, loss, optimizer):
        loss.delta = delta

    assert assert_alike(with_loss(lambda optimizer: nn.Huber()), edit) == ""


def test_no_output_is_left_from_the_trial():
    model = nn.Sequential(nn.Linear(2, 1))
    TrainingStep(model, nn.MSE(), nn.SGD(model.parameters(), lr=0.1))(X, Y)
    with pytest.raises(nn.GraphError, match="no output before it is called"):
        _ = model[0].output


def test_a_loss_of_one_number_in_any_shape_and_no_other():
    for capture in (True, False):
        model = nn.Linear(2, 1)
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        step = TrainingStep(
            model, lambda p, t: ((p - t) ** 2).mean(axis=0), optimizer, capture=capture
        )
        assert isinstance(step(X, Y), float)
        before = model.weight.data.copy()
        step = TrainingStep(model, lambda p, t: 1.0, optimizer, capture=capture)
        with pytest.raises(nn.GraphError, match="this one is a float"):
            step(X, Y)
        np.testing.assert_array_equal(model.weight.data, before)


# What a forward looks up by its name as text ------------------------------------------------

SHARED = ModuleType("shared_by_forwards")
SHARED.gain = gain_here = 1.0
BY_TEXT = {
    "getattr": lambda x: x * getattr(SHARED, "gain"),  # noqa: B009
    "vars": lambda x: x * vars(SHARED)["gain"],
    "globals": lambda x: x * globals()["gain_here"],
    "names in a tuple": lambda x: x * sum(globals()[name] for name in ("gain_here", "Scaled")[:1]),
    "sys.modules": lambda x: x * sys.modules["shared_by_forwards"].gain,
    "__import__": lambda x: x * __import__("shared_by_forwards").gain,
    "eval": lambda x: eval("x * gain_here"),
}


@pytest.mark.parametrize("scaled", BY_TEXT.values(), ids=BY_TEXT)
def test_edits_of_what_is_looked_up_by_its_name_as_text(scaled, monkeypatch):
    monkeypatch.setitem(sys.modules, "shared_by_forwards", SHARED)
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    losses = []
    for capture in (True, False):
        with monkeypatch.context() as patch:
            model = nn.Sequential(
                nn.Linear(2, 4, generator=0), scaled, nn.Linear(4, 1, generator=1)
            )
            optimizer = nn.SGD(model.parameters(), lr=0.1)
            step = nn.TrainingStep(model, nn.MSE(), optimizer, capture=capture)
            before = step.epochs(x, x[:, :1], epochs=2)
            patch.setattr(SHARED, "gain", 2.0)
            patch.setitem(globals(), "gain_here", 2.0)
            losses.append([*before, *step.epochs(x, x[:, :1], epochs=2)])
    np.testing.assert_array_equal(*losses)
