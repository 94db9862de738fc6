"""Training loops: events, early stopping, schedules, and the network in one object."""

from __future__ import annotations

import copy
import math
import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from nnkit import (
    L1,
    MSE,
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    CrossEntropy,
    Dense,
    Dropout,
    ExponentialLR,
    Linear,
    Module,
    NeuralNetwork,
    OneCycleLR,
    Progress,
    ReduceLROnPlateau,
    ReLU,
    Sequential,
    Sigmoid,
    StepLR,
    Tanh,
    TrainingStep,
    accuracy,
    create_network,
    evaluate,
    fit,
    mse_loss,
    train_epochs,
    train_one_step,
    twospirals,
    update_module,
)
from nnkit.errors import ConfigError, DataError, GraphError, ShapeError
from tests.nnkit.numeric import assert_same_bits

X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
Y = np.tanh(X[:, :1] - 2 * X[:, 1:])


def network(seed: int = 0) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(Linear(2, 8, Tanh(), generator=rng), Linear(8, 1, generator=rng))


def weights(model: Module) -> np.ndarray:
    return np.concatenate([p.data.ravel() for p in model.parameters()])


class TestTrainEpochs:
    def test_events_tell_epoch_losses_and_rate(self) -> None:
        model = network()
        before = evaluate(model, X, Y, MSE())
        optimizer = SGD(model.parameters(), lr=0.1)
        events = list(
            train_epochs(model, X, Y, MSE(), optimizer, epochs=5, validation=(X[:9], Y[:9]))
        )
        assert [event.epoch for event in events] == [1, 2, 3, 4, 5]
        assert events[0].loss == pytest.approx(before, rel=1e-6)
        assert events[-1].loss < events[0].loss
        assert events[-1].validation_loss == pytest.approx(evaluate(model, X[:9], Y[:9], MSE()))
        assert {event.learning_rate for event in events} == {0.1}
        assert events[0].best

    def test_nothing_happens_before_an_event_is_asked_for(self) -> None:
        model = network()
        before = weights(model)
        events = train_epochs(model, X, Y, MSE(), SGD(model.parameters()), epochs=5)
        np.testing.assert_array_equal(weights(model), before)
        next(events)
        after_one = weights(model)
        assert not np.array_equal(after_one, before)
        events.close()  # type: ignore[attr-defined]
        np.testing.assert_array_equal(weights(model), after_one)

    def test_step_by_step_is_the_same_as_at_once(self) -> None:
        once, steps = network(), network()
        options: dict[str, Any] = {"epochs": 6, "batch_size": 16}
        rngs = [np.random.default_rng(1) for _ in range(2)]
        fit(once, X, Y, MSE(), Adam(once.parameters()), generator=rngs[0], **options)
        events = train_epochs(
            steps, X, Y, MSE(), Adam(steps.parameters()), generator=rngs[1], **options
        )
        while next(events, None):
            steps(X)  # a look in between changes nothing
        np.testing.assert_array_equal(weights(once), weights(steps))

    def test_captured_and_plain_agree_bit_for_bit(self) -> None:
        results = []
        for capture in (True, False):
            model = network()
            optimizer = Adam(model.parameters(), lr=0.01)
            step = TrainingStep(model, MSE(), optimizer, capture=capture)
            fit(
                model, X, Y, MSE(), optimizer, epochs=7, batch_size=16, step=step,
                generator=np.random.default_rng(2), schedule=StepLR(optimizer, 2, 0.5),
            )  # fmt: skip
            assert bool(step.reason) is not capture
            results.append(weights(model))
        np.testing.assert_array_equal(*results)

    def test_the_loss_of_an_epoch_counts_examples_not_batches(self) -> None:
        model = network()
        frozen = SGD(model.parameters(), lr=0.0)
        (event,) = train_epochs(model, X, Y, MSE(), frozen, epochs=1, batch_size=16)
        assert event.loss == pytest.approx(evaluate(model, X, Y, MSE()), rel=1e-6)
        (event,) = train_epochs(model, X, Y, MSE("sum"), frozen, epochs=1, batch_size=16)
        assert event.loss == pytest.approx(evaluate(model, X, Y, MSE("sum")), rel=1e-6)

    def test_a_function_may_be_the_loss_and_lists_the_data(self) -> None:
        model = network()
        history = fit(
            model, X.tolist(), Y.tolist(), mse_loss, SGD(model.parameters(), lr=0.1), epochs=20
        )
        assert history[-1].loss < history[0].loss

    def test_training_mode_on_and_evaluation_leaves_modes_alone(self) -> None:
        model = Sequential(Linear(2, 4), Dropout(0.5), Linear(4, 1)).eval()
        model[0].train()
        evaluate(model, X, Y, MSE())
        assert [m.training for m in model.modules()] == [False, True, False, False]
        events = train_epochs(
            model, X, Y, MSE(), SGD(model.parameters()), epochs=2, validation=(X, Y)
        )
        next(events)
        assert all(m.training for m in model.modules())

    def test_validation_uses_no_dropout(self) -> None:
        model = Sequential(Dropout(0.9))
        assert evaluate(model, X, X, MSE()) == 0.0


class TestEarlyStopping:
    """A validation set whose loss falls, and later rises for good."""

    def overfitting(self) -> tuple[Module, Any, Any]:
        rng = np.random.default_rng(0)
        x = rng.uniform(-1, 1, (16, 1)).astype(np.float32)
        y = np.sin(3 * x) + rng.normal(0, 0.5, x.shape).astype(np.float32)
        points = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
        model = Sequential(
            Linear(1, 64, Tanh(), generator=rng), Linear(64, 64, Tanh(), generator=rng),
            Linear(64, 1, generator=rng),
        )  # fmt: skip
        return model, (x, y), (points, np.sin(3 * points))

    def test_it_stops_and_puts_the_best_weights_back(self) -> None:
        model, train, validation = self.overfitting()
        optimizer = Adam(model.parameters(), lr=0.01)
        history = fit(
            model, *train, MSE(), optimizer, epochs=3000, validation=validation, patience=30
        )
        losses = [event.validation_loss for event in history]
        best = min(losses)  # type: ignore[type-var]
        assert len(history) < 3000
        assert losses.index(best) == len(history) - 31
        assert evaluate(model, *validation, MSE()) == best < losses[-1]  # type: ignore[operator]
        assert [e.epoch for e in history if e.best][-1] == losses.index(best) + 1

    def test_best_weights_come_back_at_the_last_epoch_too(self) -> None:
        model, train, validation = self.overfitting()
        history = fit(
            model, *train, MSE(), SGD(model.parameters(), lr=30.0), epochs=5,
            validation=validation, patience=100,
        )  # fmt: skip
        best = min(e.validation_loss for e in history if e.validation_loss is not None)
        assert evaluate(model, *validation, MSE()) == best

    def test_an_improvement_must_be_large_enough(self) -> None:
        model, train, validation = self.overfitting()
        history = fit(
            model, *train, MSE(), SGD(model.parameters(), lr=1e-6), epochs=100,
            validation=validation, patience=4, min_delta=0.1,
        )  # fmt: skip
        assert len(history) == 5

    def test_a_loss_that_is_not_a_number_is_no_improvement(self) -> None:
        model, train, validation = self.overfitting()
        history = fit(
            model, *train, lambda p, t: ((p - t) ** 2).mean() * math.nan,
            SGD(model.parameters(), lr=0.0), epochs=100, validation=validation, patience=3,
        )  # fmt: skip
        assert len(history) == 3 and not any(event.best for event in history)

    def test_patience_needs_validation(self) -> None:
        model = network()
        with pytest.raises(ConfigError, match="validation"):
            train_epochs(model, X, Y, MSE(), SGD(model.parameters()), epochs=3, patience=2)


def test_schedules_are_stepped_by_epoch_with_the_loss() -> None:
    model = network()
    optimizer = SGD(model.parameters(), lr=1.0)
    history = fit(model, X, Y, MSE(), optimizer, epochs=4, schedule=ExponentialLR(optimizer, 0.5))
    assert [event.learning_rate for event in history] == [1.0, 0.5, 0.25, 0.125]
    plateau = ReduceLROnPlateau(optimizer, patience=0, threshold=1.0, factor=0.5)
    history = fit(
        model, X, Y, MSE(), optimizer, epochs=3, schedule=plateau, validation=(X[:5], Y[:5])
    )
    assert plateau.best == history[0].validation_loss


def test_a_callback_sees_every_event_and_may_stop() -> None:
    seen: list[Progress] = []

    def stop(progress: Progress) -> bool:
        seen.append(progress)
        return progress.epoch < 3

    model = network()
    history = fit(model, X, Y, MSE(), SGD(model.parameters()), epochs=10, callback=stop)
    assert history == seen and len(seen) == 3


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ConfigError, {"epochs": 0}),
        (ConfigError, {"epochs": 2.5}),
        (ConfigError, {"epochs": "many"}),
        (ConfigError, {"batch_size": 0}),
        (ConfigError, {"patience": 0, "validation": (X, Y)}),
        (ConfigError, {"validation": (X, Y, Y)}),
    ],
)
def test_settings_are_refused_before_anything_changes(error: Any, options: Any) -> None:
    model = network()
    before = weights(model)
    with pytest.raises(error):
        train_epochs(model, X, Y, MSE(), SGD(model.parameters()), **{"epochs": 1, **options})
    np.testing.assert_array_equal(weights(model), before)


def test_data_that_does_not_fit_is_refused() -> None:
    model = network()
    optimizer = SGD(model.parameters())
    for x, y in ((X, Y[:-1]), (X[:0], Y[:0])):
        with pytest.raises(DataError):
            fit(model, x, y, MSE(), optimizer, epochs=1)
    with pytest.raises(ShapeError, match="reshape"):
        fit(model, X, Y[:, 0], MSE(), optimizer, epochs=1)


class TestByHand:
    def test_one_step_is_one_step_of_gradient_descent(self) -> None:
        one, other = network(), network()
        error = train_one_step(one, MSE(), 0.1, X, Y)
        loss = mse_loss(other(X), Y)
        loss.backward()
        SGD(other.parameters(), lr=0.1).step()
        assert type(error) is float and error == loss.item()
        np.testing.assert_array_equal(weights(one), weights(other))

    def test_the_loss_must_have_a_backward_pass(self) -> None:
        with pytest.raises(ConfigError, match="loss module"):
            train_one_step(network(), mse_loss, 0.1, X, Y)  # type: ignore[arg-type]

    def test_old_gradients_play_no_part(self) -> None:
        one, other = network(), network()
        for parameter in one.parameters():
            parameter.grad = np.ones(parameter.shape)
        for model in (one, other):
            train_one_step(model, MSE(), 0.1, X, Y)
        np.testing.assert_array_equal(weights(one), weights(other))

    def test_update_module_moves_against_the_gradient(self) -> None:
        model = network()
        before = weights(model)
        for parameter in model.parameters():
            parameter.grad = np.full(parameter.shape, 2.0)
        update_module(model, 0.25)
        np.testing.assert_allclose(weights(model), before - 0.5, rtol=1e-6)

    def test_create_network_by_default_learns_two_spirals(self) -> None:
        points, targets = twospirals(200, noise=0.05)
        model = create_network(generator=np.random.default_rng(0))
        for _ in range(3000):
            train_one_step(model, MSE(), 3.0, points, targets)
        assert accuracy(model(points), targets) == 1.0

    def test_create_network_to_order(self) -> None:
        model = create_network((3, 5, 2), ReLU(), None, generator=np.random.default_rng(0))
        assert [type(m).__name__ for m in model] == ["Linear", "ReLU", "Linear"]
        assert model(np.ones((4, 3))).shape == (4, 2)
        with pytest.raises(ConfigError, match="sizes"):
            create_network((3,))


def boxed(**options: Any) -> NeuralNetwork:
    layers = ((Dense(8), Tanh()), (Dense(1), Sigmoid()))
    defaults: dict[str, Any] = {
        "layers": layers, "loss": BinaryCrossEntropy(), "learning_rate": 0.5,
        "generator": np.random.default_rng(0),
    }  # fmt: skip
    return NeuralNetwork(**(defaults | options))


LABELS = (X[:, 0] * X[:, 1] > 0).astype(int)


class TestNeuralNetwork:
    def test_sizes_come_from_the_data_and_labels_from_their_shape(self) -> None:
        model = boxed(optimizer="adam", learning_rate=0.03).fit(X, LABELS, epochs=300)
        assert [p.shape for p in model.parameters()] == [(8, 2), (8,), (1, 8), (1,)]
        assert accuracy(model(X), LABELS) > 0.95
        assert model(X).shape == (50, 1)

    def test_labels_of_either_shape_are_the_same(self) -> None:
        one, other = (boxed().fit(X, y, epochs=5) for y in (LABELS, LABELS[:, None]))
        np.testing.assert_array_equal(weights(one), weights(other))

    def test_the_same_seed_gives_the_same_network(self) -> None:
        rngs = [np.random.default_rng(seed) for seed in (4, 4, 5)]
        results = [
            weights(boxed(generator=rng).fit(X, LABELS, epochs=3, batch_size=8)) for rng in rngs
        ]
        np.testing.assert_array_equal(results[0], results[1])
        assert not np.array_equal(results[0], results[2])

    def test_fit_goes_on_where_it_stopped(self) -> None:
        twice = boxed(optimizer="adam").fit(X, LABELS, epochs=4).fit(X, LABELS, epochs=3)
        once = boxed(optimizer="adam").fit(X, LABELS, epochs=7)
        np.testing.assert_array_equal(weights(twice), weights(once))
        assert [p.loss for p in twice.history] == [p.loss for p in once.history]

    def test_fit_is_the_loop_of_its_own_steps(self) -> None:
        fitted, looped = (boxed(regularization_factor=0.7) for _ in range(2))
        fitted.fit(X, LABELS, epochs=6)
        for _ in range(6):
            looped(X)
            looped.backward_step(LABELS)
            looped.update()
        np.testing.assert_allclose(weights(looped), weights(fitted), rtol=1e-5)

    def test_regularization_is_on_weights_by_the_number_of_examples(self) -> None:
        plain, regular = (boxed(regularization_factor=factor) for factor in (0.0, 5.0))
        for model in (plain, regular):
            model(X)
            model.backward_step(LABELS)
        for a, b in zip(plain.parameters(), regular.parameters(), strict=True):
            assert a.grad is not None and b.grad is not None
            penalty = 5.0 / 50 * a.data if a.ndim > 1 else 0.0
            np.testing.assert_allclose(b.grad, a.grad + penalty, rtol=1e-5)

    def test_a_learning_rate_may_change_between_fits(self) -> None:
        model = boxed().fit(X, LABELS, epochs=1)
        before = weights(model)
        model.learning_rate = 0.0
        np.testing.assert_array_equal(weights(model.fit(X, LABELS, epochs=2)), before)
        assert [p.learning_rate for p in model.history] == [0.5, 0.0, 0.0]

    def test_optimizers_schedules_and_callbacks(self) -> None:
        seen: list[Progress] = []
        model = boxed(
            optimizer=partial(SGD, momentum=0.9), schedule=lambda o: StepLR(o, 2, gamma=0.1)
        ).fit(X, LABELS, epochs=4, callback=seen.append)
        assert [p.learning_rate for p in seen] == pytest.approx([0.5, 0.5, 0.05, 0.05])
        assert model.history == tuple(seen)

    def test_validation_and_patience(self) -> None:
        model = boxed(learning_rate=0.0)
        model.fit(X, LABELS, epochs=50, validation=(X[:9], LABELS[:9]), patience=3)
        assert len(model.history) == 4

    def test_layers_that_do_not_train_and_layers_alone(self) -> None:
        layers = (Dense(8), (BatchNorm(8), ReLU()), Dropout(0.2), (Dense(3), None))
        labels = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
        model = boxed(layers=layers, loss=CrossEntropy(), optimizer="adam", learning_rate=0.02)
        model.fit(X, labels, epochs=150, batch_size=25).eval()
        assert len(model) == 5
        assert accuracy(model(X), labels) > 0.9

    def test_saved_and_loaded(self, tmp_path: Any) -> None:
        model = boxed().fit(X, LABELS, epochs=3)
        model.save(tmp_path / "w.npz")
        other = boxed(generator=np.random.default_rng(9))
        other.load(tmp_path / "w.npz")
        np.testing.assert_array_equal(other(X), model(X))

    def test_a_copy_trains_on_its_own(self) -> None:
        model = boxed().fit(X, LABELS, epochs=2)
        before = weights(model)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            other.fit(X, LABELS, epochs=2)
            assert not np.array_equal(weights(other), before)
            np.testing.assert_array_equal(weights(model), before)

    def test_backward_step_needs_a_call(self) -> None:
        with pytest.raises(GraphError, match="call the model"):
            boxed().backward_step(LABELS)

    @pytest.mark.parametrize(
        ("field", "options"),
        [
            ("loss", {"loss": mse_loss}),
            ("optimizer", {"optimizer": "newton"}),
            ("learning_rate", {"learning_rate": -1.0}),
            ("regularization_factor", {"regularization_factor": math.inf}),
            ("layers", {"layers": ((Dense(8), 3),)}),
            ("layers", {"layers": Dense(8)}),
        ],
    )
    def test_bad_settings_name_the_field(self, field: str, options: Any) -> None:
        with pytest.raises(ConfigError) as caught:
            boxed(**options)
        assert caught.value.field == field

    @pytest.mark.parametrize("labels", [LABELS[:-1], LABELS[:0]])
    def test_labels_for_other_examples_are_refused(self, labels: Any) -> None:
        with pytest.raises(DataError, match="as many labels"):
            boxed().fit(X, labels)

    @pytest.mark.parametrize("wrong", [1, [[1.0], [1.0, 2.0]], [["a"]], None])
    def test_what_is_no_rows_of_numbers_is_named(self, wrong: Any) -> None:
        with pytest.raises(DataError, match=r"^labels must be rows of real numbers"):
            boxed().fit(X, wrong)
        with pytest.raises(DataError, match=r"^examples must be rows of real numbers"):
            boxed().fit(wrong, LABELS)
        model = Linear(2, 1)
        step = TrainingStep(model, MSE(), SGD(model.parameters()))
        with pytest.raises(DataError, match=r"^x must be rows of real numbers"):
            step(wrong, LABELS)
        with pytest.raises(DataError, match=r"^y must be rows of real numbers"):
            step.epochs(X, wrong)

    def test_labels_of_another_shape_are_refused(self) -> None:
        with pytest.raises(ShapeError):
            boxed().fit(X, np.stack([LABELS, LABELS], axis=1), epochs=1)


class TestEditsBetweenFits:
    """A fit trains the network as it is then."""

    @staticmethod
    def fitted(**changes: Any) -> NeuralNetwork:
        g = np.random.default_rng(0)
        model = NeuralNetwork(
            [Linear(2, 4, generator=g), Tanh(), Linear(4, 1, generator=g)], MSE(), 0.1, **changes
        )
        return model.fit(X, Y, epochs=2)

    def test_layers_that_are_added_or_replaced_are_trained(self) -> None:
        model = self.fitted()
        model.append(Linear(1, 1, generator=np.random.default_rng(1)))
        model[0] = Linear(2, 4, generator=np.random.default_rng(2))
        before = [p.data.copy() for p in model.parameters()]
        model.fit(X, Y, epochs=2)
        for p, old in zip(model.parameters(), before, strict=True):
            assert (p.data != old).any()

    def test_another_loss_counts(self) -> None:
        model, other = self.fitted(), self.fitted()
        model.loss = L1()
        model.fit(X, Y, epochs=3)
        other.fit(X, Y, epochs=3)
        assert not np.array_equal(weights(model), weights(other))
        assert model.history[-1].loss != other.history[-1].loss

    def test_a_penalty_comes_and_goes(self) -> None:
        for optimizer in ("sgd", "adam"):
            always = self.fitted(regularization_factor=5.0, optimizer=optimizer).fit(X, Y, epochs=4)
            later, never = self.fitted(optimizer=optimizer), self.fitted(optimizer=optimizer)
            later.regularization_factor = 5.0
            later.fit(X, Y, epochs=4)
            assert len(later._step.optimizer.param_groups) == 4
            assert later._step.optimizer.steps == always._step.optimizer.steps
            decays = [group["weight_decay"] for group in later._step.optimizer.param_groups]
            assert decays == [0.1, 0.0, 0.1, 0.0]
            later.regularization_factor = 0.0
            later.fit(X, Y, epochs=1)
            assert not any(group["weight_decay"] for group in later._step.optimizer.param_groups)
            never.regularization_factor = 5.0
            never.regularization_factor = 0.0
            never.fit(X, Y, epochs=4)
            fresh = self.fitted(optimizer=optimizer).fit(X, Y, epochs=4)
            assert_same_bits(weights(never), weights(fresh))

    def test_an_optimizers_own_decay_stays_and_comes_back(self) -> None:
        model = self.fitted(optimizer="adamw").fit(X, Y, epochs=2)
        assert [g["weight_decay"] for g in model._step.optimizer.param_groups] == [0.01]
        for factor in (0.1, 0.0):
            model.regularization_factor = factor
            model.fit(X, Y, epochs=1)
        assert [g["weight_decay"] for g in model._step.optimizer.param_groups] == [0.01]

    @pytest.mark.parametrize("order", [1, -1])
    def test_an_optimizer_that_picks_its_parameters_goes_on(self, order: int) -> None:
        def make(params: Any, lr: float) -> Adam:
            return Adam([p for p in list(params)[::order] if p.requires_grad], lr=lr)

        results = []
        for parts in ([6], [1] * 6):
            model = self.fitted(optimizer=make)
            model[0].weight.requires_grad = False
            for epochs in parts:
                model.fit(X, Y, epochs=epochs)
            results.append(weights(model))
        assert_same_bits(*results)

    def test_a_rate_set_before_the_first_fit_leaves_the_schedule(self) -> None:
        model = NeuralNetwork(
            [Linear(2, 1, generator=0)], MSE(),
            schedule=lambda o: OneCycleLR(o, max_lr=1.0, total_steps=10),
        )  # fmt: skip
        model.learning_rate = 0.05
        model.fit(X, Y, epochs=3)
        assert model._schedule.max_lr == 1.0

    def test_groups_keep_their_rates(self) -> None:
        def make(params: Any, lr: float) -> SGD:
            first, *rest = params
            return SGD([{"params": [first], "lr": lr / 10}, {"params": rest}], lr=lr)

        model = self.fitted(optimizer=make, schedule=partial(StepLR, step_size=5))
        model.append(Linear(1, 1))
        model.fit(X, Y, epochs=1)
        assert model._schedule.base_lrs == [0.01, 0.1]

    def test_a_learning_rate_is_where_the_schedule_starts(self) -> None:
        model = self.fitted(schedule=partial(ExponentialLR, gamma=0.5))
        model.learning_rate = 0.8
        model.fit(X, Y, epochs=2)
        assert [p.learning_rate for p in model.history] == [0.1, 0.05, 0.2, 0.1]
        model.append(Linear(1, 1))
        assert model.fit(X, Y, epochs=1).history[-1].learning_rate == 0.05


def test_a_callback_may_look_at_the_model() -> None:
    def run(callback: Any) -> np.ndarray:
        g = np.random.default_rng(0)
        model = Sequential(
            Linear(2, 8, generator=g), Dropout(0.5, generator=g), Linear(8, 1, generator=g)
        )
        fit(model, X, Y, MSE(), SGD(model.parameters(), lr=0.1), epochs=4, callback=callback(model))
        return weights(model)

    def looking(model: Module) -> Any:
        return lambda _: (model.eval()(X), None)[1]

    assert_same_bits(run(lambda _: None), run(looking))


def test_a_callback_may_answer_with_a_number_of_numpy() -> None:
    model = Linear(2, 1)
    options: dict[str, Any] = {"epochs": 5, "callback": lambda p: np.float64(p.epoch) < 2}
    assert len(fit(model, X, Y, MSE(), SGD(model.parameters(), lr=0.1), **options)) == 2


def test_a_fit_that_is_broken_off_is_in_the_history() -> None:
    def interrupt(progress: Progress) -> None:
        if progress.epoch == 3:
            raise KeyboardInterrupt

    model = TestEditsBetweenFits.fitted()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, callback=interrupt)
    assert [p.epoch for p in model.history] == [1, 2, 1, 2, 3]


def test_validation_that_is_a_share_is_refused() -> None:
    model = Linear(2, 1)
    with pytest.raises(ConfigError, match="validation: must be a pair"):
        fit(model, X, Y, MSE(), SGD(model.parameters(), lr=0.1), epochs=1, validation=0.2)


def test_a_seed_serves_for_the_order() -> None:
    results = []
    for generator in (3, np.random.default_rng(3)):
        model = Linear(2, 1, generator=0)
        optimizer = SGD(model.parameters(), lr=0.1)
        fit(model, X, Y, MSE(), optimizer, epochs=2, batch_size=8, generator=generator)
        results.append(weights(model))
    assert_same_bits(*results)


@pytest.mark.parametrize("x", [None, [[1.0], [1.0, 2.0]], [["a"]], [[1j]]])
def test_what_is_no_rows_of_numbers_is_refused(x: Any) -> None:
    model = Linear(2, 1)
    with pytest.raises(DataError, match=r"^x (must be|needs) rows"):
        fit(model, x, Y, MSE(), SGD(model.parameters(), lr=0.1), epochs=1)
