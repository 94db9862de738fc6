"""Experiments: the same again bit for bit, their statuses, edits while training, and pictures."""

from __future__ import annotations

import copy
import dataclasses
import io
import itertools
import math
import pickle
import re
import tracemalloc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit import experiment as experiment_module
from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import FEATURES, Dataset, feature_names, make_dataset
from nnkit.errors import ConfigError, DataError, FileError
from nnkit.evaluation import evaluate
from nnkit.experiment import Experiment
from nnkit.history import FIELDS, Epoch, History, Snapshots
from nnkit.init import INITIALIZERS
from nnkit.predictor import Predictor
from nnkit.settings import (
    HIDDEN_ACTIVATIONS,
    LIVE_FIELDS,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
)
from nnkit.step import TrainingStep
from tests.nnkit.configurations import configurations
from tests.nnkit.numeric import assert_same_bits

#: A small network on few points: an epoch takes a fraction of a millisecond.
SMALL = ExperimentConfig(
    dataset="xor", samples=60, layers=(LayerConfig(6, "tanh"), LayerConfig(4)), batch_size=16
)
ONE_INPUT = recommended("sine").replace(samples=60, layers=(LayerConfig(5, "tanh"),))
BLOBS = recommended("blobs").replace(samples=80)


def trained(config: ExperimentConfig = SMALL, epochs: int = 5, **changes: Any) -> Experiment:
    experiment = Experiment(config.replace(**changes))
    for _ in experiment.run(epochs=epochs):
        pass
    return experiment


def weights(experiment: Experiment) -> np.ndarray:
    """Parameters and running statistics, in one vector."""
    return np.concatenate([a.ravel() for a in experiment.network.state_dict().values()])


def rows(experiment: Experiment) -> np.ndarray:
    """The whole history."""
    return np.stack([experiment.history.column(name) for name in FIELDS])


def trajectory(experiment: Experiment, epochs: int) -> list[np.ndarray]:
    """The weights before and after each epoch."""
    kept = [weights(experiment)]
    for _ in experiment.run(epochs=epochs):
        kept.append(weights(experiment))
    return kept


def assert_same_run(left: Experiment, right: Experiment) -> None:
    """The same state and history, and so the same future."""
    assert left.epoch == right.epoch
    assert_same_bits(weights(left), weights(right), "weights")
    assert_same_bits(left.optimizer.memory, right.optimizer.memory, "optimizer")
    assert_same_bits(rows(left), rows(right), "history")
    for _ in range(2):
        assert repr(left.step()) == repr(right.step())
    assert_same_bits(weights(left), weights(right), "weights, two epochs on")


# ---- the same again ------------------------------------------------------------------------------

#: One of each kind of thing that draws numbers or keeps state.
VARIETY = {
    "default": ExperimentConfig(samples=80),
    "dropout": SMALL.replace(layers=(LayerConfig(6, "relu", dropout=0.3),)),
    "batch normalization": SMALL.replace(layers=(LayerConfig(6, normalization="batch"),)),
    "layer normalization": SMALL.replace(layers=(LayerConfig(6, normalization="layer"),)),
    "no hidden layer": SMALL.replace(layers=()),
    "softmax": BLOBS,
    "regression": ONE_INPUT.replace(schedule="one_cycle"),
    "plateau": SMALL.replace(schedule="plateau", schedule_settings={"patience": 1}),
    "momentum": SMALL.replace(optimizer="sgd", optimizer_settings={"momentum": 0.9}),
    "penalties": SMALL.replace(l1=0.01, l2=0.1, clip_norm=1.0),
    "standardized": SMALL.replace(standardize=True, features=("x1", "x1*x2")),
    "noise": SMALL.replace(label_noise=0.1, outliers=0.1, imbalance=0.3),
    "one batch": SMALL.replace(batch_size=10_000),
    "batches of one": SMALL.replace(batch_size=1, samples=20),
}


class TestDeterminism:
    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_the_same_configuration_gives_the_same_bits_at_every_epoch(
        self, config: ExperimentConfig
    ) -> None:
        one, other = Experiment(config), Experiment(config)
        for left, right in zip(trajectory(one, 6), trajectory(other, 6), strict=True):
            assert_same_bits(left, right)
        assert_same_run(one, other)

    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_reset_replays_exactly(self, config: ExperimentConfig) -> None:
        experiment = Experiment(config)
        first, history = trajectory(experiment, 6), rows(experiment)
        experiment.reset()
        assert (experiment.epoch, experiment.status, experiment.message) == (0, "ready", "")
        for left, right in zip(first, trajectory(experiment, 6), strict=True):
            assert_same_bits(left, right)
        assert_same_bits(rows(experiment), history)

    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_captured_steps_and_plain_ones_give_the_same(
        self, config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        captured = trained(config)
        assert captured._step.reason == ""

        def plain(*arguments: Any) -> TrainingStep:
            return TrainingStep(*arguments, capture=False)

        monkeypatch.setattr(experiment_module, "TrainingStep", plain)
        without = trained(config)
        assert without._step.reason == "capture=False"
        assert_same_run(captured, without)

    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_pieces_give_the_same_as_one_run(self, config: ExperimentConfig) -> None:
        whole, pieces = trained(config, 8), Experiment(config)
        pieces.step()
        for _ in pieces.run(epochs=2):
            pass
        pieces.pause()
        for _ in pieces.run(seconds=0):  # one epoch, however short the time
            pass
        assert pieces.epoch == 4
        for epoch in pieces.run():  # until the caller stops asking
            if epoch.epoch == 8:
                break
        assert_same_run(whole, pieces)

    def test_looking_changes_nothing(self) -> None:
        config = VARIETY["dropout"]
        watched, alone = Experiment(config), trained(config, 6)
        for _ in watched.run(epochs=6):
            watched.grid(9)
            watched.unit_grids(7)
            watched.feature_grids(7)
            watched.predict([[0.1, 0.2]])
            watched.save(io.BytesIO())
        assert_same_run(watched, alone)

    @pytest.mark.parametrize(
        ("seed", "data_differ", "weights_differ"),
        [("data_seed", True, False), ("init_seed", False, True)],
    )
    def test_seeds_are_apart(self, seed: str, data_differ: bool, weights_differ: bool) -> None:
        one, other = Experiment(SMALL), Experiment(SMALL.replace(**{seed: 1}))
        same_data = np.array_equal(one.train_data.inputs, other.train_data.inputs)
        assert same_data is not data_differ
        assert np.array_equal(weights(one), weights(other)) is not weights_differ

    def test_the_order_of_batches_comes_from_the_initial_seed(self) -> None:
        config = SMALL.replace(init="zeros", layers=())
        one, other = trained(config, 1), trained(config, 1, init_seed=1)
        assert not np.array_equal(weights(one), weights(other))

    def test_global_random_state_is_left_alone(self) -> None:
        np.random.seed(0)
        before = np.random.get_state()[1].copy()  # type: ignore[index]
        trained(VARIETY["dropout"], 2)
        assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index]


# ---- statuses ------------------------------------------------------------------------------------


class TestStatus:
    def test_from_ready_to_training_to_paused(self) -> None:
        experiment = Experiment(SMALL)
        assert (experiment.status, experiment.epoch, len(experiment.history)) == ("ready", 0, 1)
        experiment.pause()
        assert experiment.status == "ready"
        latest = experiment.step()
        assert (experiment.status, experiment.epoch, latest.epoch) == ("training", 1, 1)
        assert latest is experiment.latest
        experiment.pause()
        assert experiment.status == "paused"
        experiment.step()
        assert (experiment.status, experiment.epoch) == ("training", 2)

    def test_run_of_no_epochs_does_nothing(self) -> None:
        experiment = Experiment(SMALL)
        assert list(experiment.run(epochs=0)) == []
        assert experiment.status == "ready"

    def test_run_yields_what_is_known_after_each_epoch(self) -> None:
        experiment = Experiment(SMALL)
        events = list(experiment.run(epochs=4))
        assert [event.epoch for event in events] == [1, 2, 3, 4]
        assert [event.test_loss for event in events] == experiment.history.test_loss[1:].tolist()
        assert experiment.history.epoch.tolist() == [0, 1, 2, 3, 4]

    def test_losses_and_scores_are_those_of_the_weights(self) -> None:
        experiment = trained(epochs=3)
        for data, loss, score in (
            (experiment.train_data, experiment.latest.train_loss, experiment.latest.train_score),
            (experiment.test_data, experiment.latest.test_loss, experiment.latest.test_score),
        ):
            p = experiment.predict(data.inputs).astype(np.float64)
            surprise = -np.log(np.where(data.targets == 1, p, 1 - p)).mean()
            assert loss == pytest.approx(surprise, rel=1e-5)
            assert score == np.mean((p >= 0.5) == data.targets)

    def test_regression_is_scored_by_r2(self) -> None:
        experiment = trained(ONE_INPUT, 3)
        predicted, actual = experiment.predict(experiment.test_data.inputs), experiment.test_data
        residual = np.square(predicted - actual.targets).sum()
        total = np.square(actual.targets - actual.targets.mean()).sum()
        assert experiment.latest.test_score == pytest.approx(1 - residual / total, rel=1e-5)
        assert experiment.latest.test_loss == pytest.approx(residual / len(actual), rel=1e-5)


class TestDivergence:
    @pytest.mark.parametrize(
        "config",
        [
            ONE_INPUT.replace(learning_rate=1e3, optimizer="sgd"),
            ONE_INPUT.replace(learning_rate=1e3),
            recommended("ripple").replace(samples=60, learning_rate=1e3),
            SMALL.replace(learning_rate=1e4, optimizer="sgd", layers=(LayerConfig(32),) * 6),
            ExperimentConfig(learning_rate=1e3),
            SMALL.replace(
                learning_rate=1e4,
                optimizer="sgd",
                layers=(LayerConfig(8, normalization="batch"), LayerConfig(32)),
                l2=10,
            ),
        ],
        ids=["sgd", "adam", "ripple", "deep", "spirals", "batch normalization"],
    )
    def test_stops_by_itself_with_the_last_finite_state(self, config: ExperimentConfig) -> None:
        experiment = Experiment(config)
        before = weights(experiment)
        for epoch in experiment.run(epochs=200):
            if experiment.status != "diverged":
                before = weights(experiment)
                assert epoch.epoch == experiment.epoch
        assert experiment.status == "diverged"
        assert_same_bits(weights(experiment), before)
        assert np.isfinite(experiment.grid(9)).all()
        assert math.isfinite(experiment.latest.train_loss)
        assert np.isfinite(experiment.history.train_loss).all()
        assert experiment.history.epoch[-1] == experiment.epoch
        assert f"diverged in epoch {experiment.epoch + 1}" in experiment.message
        assert f"weights of epoch {experiment.epoch} are back" in experiment.message
        assert f"learning rate of {config.learning_rate:g} is too high" in experiment.message
        assert "try 0.03" in experiment.message

    def test_says_whether_the_loss_grew_or_overflowed(self) -> None:
        config = ONE_INPUT.replace(learning_rate=1e4, optimizer="sgd")
        experiment = Experiment(config)
        list(experiment.run(epochs=50))
        assert re.search(r"the loss grew to \d", experiment.message)
        experiment = Experiment(config.replace(layers=(LayerConfig(32),) * 4))
        list(experiment.run(epochs=50))
        assert "the loss overflowed" in experiment.message

    def test_nothing_more_is_trained_until_something_changes(self) -> None:
        experiment = Experiment(ONE_INPUT.replace(learning_rate=1e3))
        list(experiment.run(epochs=200))
        epoch = experiment.epoch
        assert list(experiment.run(epochs=5)) == []
        with pytest.raises(ConfigError, match="learning_rate: training diverged; lower it, or"):
            experiment.step()
        experiment.change(learning_rate=0.01)
        assert (experiment.status, experiment.message) == ("paused", "")
        losses = [event.train_loss for event in experiment.run(epochs=60)]
        assert experiment.status == "training"
        assert experiment.epoch == epoch + 60
        assert losses[-1] < losses[0]

    def test_goes_on_like_an_experiment_that_never_diverged(self) -> None:
        """Adam's moments and step count are put back along with the weights."""
        config = SMALL.replace(optimizer="adam")
        one, other = trained(config), trained(config)
        one.optimizer.flat += 1e9
        one.optimizer.memory += 1e9
        one.optimizer.steps += 3
        one._diverge(dataclasses.replace(one.latest, train_loss=math.nan))
        assert one.status == "diverged"
        one.change(l2=0.01)
        other.change(l2=0.01)
        assert_same_run(one, other)

    def test_reset_gives_another_chance(self) -> None:
        experiment = Experiment(ONE_INPUT.replace(learning_rate=1e3))
        list(experiment.run(epochs=200))
        experiment.reset()
        assert (experiment.status, experiment.message, experiment.epoch) == ("ready", "", 0)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_weight_that_stops_being_finite(self, value: float) -> None:
        experiment = trained(epochs=2)
        before = weights(experiment)
        experiment.network.linears[0].weights.data[0, 0] = value
        experiment.step()
        assert experiment.status == "diverged"
        assert_same_bits(weights(experiment), before)


class TestStopping:
    NOISY = ExperimentConfig(
        dataset="moons", noise=0.6, samples=60, layers=(LayerConfig(32),), patience=5
    )

    def test_early_with_the_best_weights(self) -> None:
        experiment = Experiment(self.NOISY)
        seen = dict(zip(itertools.count(), trajectory(experiment, 2000), strict=False))
        last = max(seen)
        losses = experiment.history.test_loss
        best = int(losses[1:].argmin()) + 1
        assert experiment.status == "stopped"
        assert last == best + 5 < 2000
        assert experiment.message == (
            "Stopped early: no better test loss for 5 epochs. "
            f"The weights of epoch {best}, the best, are back."
        )
        assert_same_bits(weights(experiment), seen[best])
        # What is told goes with the weights that are in place; the history keeps the whole story.
        assert experiment.epoch == best
        assert experiment.latest.test_loss == losses[best]
        assert experiment.history.epoch[-1] == last

    def test_early_stopping_can_be_gone_on_from(self) -> None:
        experiment = Experiment(self.NOISY)
        list(experiment.run(epochs=2000))
        best = experiment.epoch
        assert list(experiment.run(epochs=3)) == []
        experiment.step()
        assert (experiment.status, experiment.epoch) == ("training", best + 1)
        assert experiment.history.epoch.tolist() == list(range(best + 2))

    def test_early_stopping_brings_back_running_statistics_too(self) -> None:
        layer = LayerConfig(32, normalization="batch")
        experiment = Experiment(self.NOISY.replace(layers=(layer,)))
        seen = trajectory(experiment, 2000)
        assert experiment.status == "stopped"
        assert_same_bits(weights(experiment), seen[experiment.epoch])

    def test_at_the_target_score(self) -> None:
        experiment = Experiment(recommended("circle").replace(target_score=0.9))
        scores = [event.test_score for event in experiment.run(epochs=200)]
        assert experiment.status == "stopped"
        assert experiment.message == "Reached the target score 0.9."
        assert scores[-1] >= 0.9 > max(scores[:-1])
        assert len(scores) == experiment.epoch < 200

    def test_at_a_target_r2(self) -> None:
        experiment = Experiment(recommended("plane").replace(target_score=0.8, samples=100))
        list(experiment.run(epochs=300))
        assert (experiment.status, experiment.latest.test_score >= 0.8) == ("stopped", True)

    def test_never_unless_asked(self) -> None:
        experiment = trained(self.NOISY.replace(patience=0), 60)
        assert (experiment.epoch, experiment.status) == (60, "training")

    def test_a_change_lets_it_go_on(self) -> None:
        experiment = Experiment(recommended("circle").replace(target_score=0.9))
        list(experiment.run(epochs=200))
        experiment.change(target_score=0)
        assert (experiment.status, experiment.message) == ("paused", "")
        assert len(list(experiment.run(epochs=3))) == 3


# ---- changes while training ----------------------------------------------------------------------


class TestChange:
    NEW: ClassVar = {
        "learning_rate": 0.001,
        "batch_size": 7,
        "l1": 0.02,
        "l2": 0.5,
        "clip_norm": 0.01,
        "patience": 3,
        "target_score": 0.5,
    }

    def test_every_live_field_is_tested_here(self) -> None:
        assert set(self.NEW) == set(LIVE_FIELDS)

    @pytest.mark.parametrize("name", LIVE_FIELDS)
    def test_acts_and_is_recorded(self, name: str) -> None:
        config = TestStopping.NOISY.replace(patience=0)
        changed, unchanged = trained(config), trained(config)
        changed.change(**{name: self.NEW[name]})
        assert changed.history.changes == [(5, {name: self.NEW[name]})]
        assert getattr(changed.config, name) == self.NEW[name]
        assert_same_bits(weights(changed), weights(unchanged))  # nothing is trained by it
        list(changed.run(epochs=60))
        list(unchanged.run(epochs=60))
        assert not np.array_equal(weights(changed), weights(unchanged))

    @pytest.mark.parametrize("name", ["learning_rate", "batch_size", "l1", "l2", "clip_norm"])
    def test_before_the_first_epoch_is_like_having_it_from_the_start(self, name: str) -> None:
        changed = Experiment(SMALL)
        changed.change(**{name: self.NEW[name]})
        assert_same_run(changed, Experiment(SMALL.replace(**{name: self.NEW[name]})))

    @pytest.mark.parametrize("optimizer", ["adam", "adamw"])
    def test_l2_beside_weight_decay(self, optimizer: str) -> None:
        config = SMALL.replace(optimizer=optimizer)
        changed = Experiment(config)
        changed.change(l2=0.3)
        assert_same_run(changed, Experiment(config.replace(l2=0.3)))

    def test_to_the_same_value_is_no_change(self) -> None:
        experiment = trained()
        experiment.change(l2=SMALL.l2, batch_size=SMALL.batch_size)
        assert experiment.history.changes == []

    def test_there_and_back_is_as_if_nothing_had_been(self) -> None:
        one, other = trained(), trained()
        one.change(batch_size=7, l1=0.1)
        one.change(batch_size=SMALL.batch_size, l1=SMALL.l1)
        assert len(one.history.changes) == 2
        assert_same_run(one, other)

    def test_reset_keeps_what_was_changed(self) -> None:
        experiment = trained()
        experiment.change(learning_rate=0.001)
        experiment.reset()
        assert experiment.config.learning_rate == 0.001
        assert_same_run(experiment, Experiment(SMALL.replace(learning_rate=0.001)))

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"samples": 100}, "samples: needs a new experiment; live are learning_rate, batch"),
            ({"layers": ()}, "layers: needs a new experiment"),
            ({"bogus": 1}, "bogus: needs a new experiment"),
            ({"learning_rate": -1}, "learning_rate: must be a number from 1e-06 to 10000, got -1"),
            ({"l2": 0.5, "learning_rate": math.nan}, "learning_rate: must be a number"),
            ({"l2": 0.5, "samples": 10}, "samples: needs a new experiment"),
        ],
    )
    def test_refused_changes_nothing(self, changes: dict[str, Any], words: str) -> None:
        experiment = trained()
        with pytest.raises(ConfigError) as caught:
            experiment.change(**changes)
        assert str(caught.value).startswith(words)
        assert experiment.config == SMALL
        assert experiment.history.changes == []
        assert_same_run(experiment, trained())

    @pytest.mark.parametrize(
        ("schedule", "options"),
        [
            ("constant", {}),
            ("step", {"step_size": 2, "gamma": 0.5}),
            ("exponential", {"gamma": 0.5}),
            ("cosine", {"epochs": 12}),
            ("one_cycle", {"epochs": 12}),
            ("warmup", {"epochs": 12}),
        ],
    )
    def test_of_the_rate_goes_on_in_its_schedule(
        self, schedule: str, options: dict[str, Any]
    ) -> None:
        config = SMALL.replace(schedule=schedule, schedule_settings=options)
        experiment, so_from_the_first = (
            Experiment(config),
            Experiment(config.replace(learning_rate=0.01)),
        )
        for _ in zip(experiment.run(epochs=5), so_from_the_first.run(epochs=5), strict=True):
            pass
        experiment.change(learning_rate=0.01)
        for _ in range(3):
            assert experiment.optimizer.lr == so_from_the_first.optimizer.lr
            experiment.step()
            so_from_the_first.step()

    def test_of_the_rate_keeps_the_reductions_of_a_plateau(self) -> None:
        settings = {"patience": 1, "factor": 0.5}
        config = SMALL.replace(schedule="plateau", schedule_settings=settings)
        experiment = Experiment(config.replace(learning_rate=1e-6, optimizer="sgd", init="zeros"))
        while experiment.optimizer.lr == 1e-6:
            experiment.step()
        experiment.change(learning_rate=4e-6)
        assert experiment.optimizer.lr == pytest.approx(2e-6)

    def test_is_in_the_configuration_that_is_saved(self) -> None:
        experiment = trained()
        experiment.change(learning_rate=0.001)
        assert experiment.predictor.config.learning_rate == 0.001


class TestLastBatch:
    """Batch normalization cannot learn from one example, and the last batch may hold just one."""

    LAYERS = (LayerConfig(4, normalization="batch"),)

    def test_of_one_is_refused(self) -> None:
        with pytest.raises(ConfigError) as caught:
            Experiment(SMALL.replace(layers=self.LAYERS, batch_size=47))
        assert str(caught.value) == (
            "batch_size: 47 leaves one of the 48 training examples for the last batch, and batch "
            "normalization compares at least two; take 48"
        )

    def test_is_refused_while_training(self) -> None:
        experiment = trained(layers=self.LAYERS)
        with pytest.raises(ConfigError, match="batch_size: 47 leaves one of the 48"):
            experiment.change(batch_size=47)
        assert experiment.config.batch_size == 16
        experiment.step()

    def test_what_is_proposed_works(self) -> None:
        for size in range(2, 60):
            config = SMALL.replace(layers=self.LAYERS, batch_size=size)
            try:
                Experiment(config).step()
            except ConfigError as error:
                Experiment(config.replace(batch_size=int(str(error).split()[-1]))).step()

    def test_one_training_example(self) -> None:
        data = Dataset([[0.0], [1.0]], [0.0, 1.0], "regression")
        config = ExperimentConfig("regression", CUSTOM, features=("x1",), loss="mse")
        with pytest.raises(ConfigError, match="samples: must leave two to train on"):
            Experiment(config.replace(layers=self.LAYERS), data)
        Experiment(config.replace(layers=(LayerConfig(4),)), data).step()

    def test_without_batch_normalization_one_is_fine(self) -> None:
        trained(batch_size=47, epochs=1)


# ---- edits of the network ------------------------------------------------------------------------


class TestEdits:
    def test_a_weight(self) -> None:
        experiment = trained()
        before = experiment.latest
        experiment.set_weight(1, 2, 3, -1.5)
        assert experiment.network.linears[1].weights.data[2, 3] == -1.5
        assert experiment.history.changes == [(5, {"weight": [1, 2, 3, -1.5]})]
        assert experiment.latest.epoch == 5
        assert experiment.latest.train_loss != before.train_loss
        assert experiment.history.train_loss[-1] == experiment.latest.train_loss
        assert len(experiment.history) == 6

    def test_a_bias_of_the_output(self) -> None:
        experiment = trained()
        experiment.set_bias(2, 0, 3)
        assert experiment.network.linears[2].biases.data[0] == 3
        assert experiment.history.changes == [(5, {"bias": [2, 0, 3]})]
        assert experiment.predict([[0.0, 0.0]])[0] > trained().predict([[0.0, 0.0]])[0]

    def test_training_goes_on_from_the_value_set(self) -> None:
        edited, other = trained(learning_rate=1e-6), trained(learning_rate=1e-6)
        edited.set_weight(0, 0, 0, 2.0)
        edited.set_bias(0, 1, -2.0)
        edited.step()
        other.step()
        assert edited.network.linears[0].weights.data[0, 0] == pytest.approx(2, abs=1e-4)
        assert edited.network.linears[0].biases.data[1] == pytest.approx(-2, abs=1e-4)

    def test_setting_it_back_is_as_if_nothing_had_been(self) -> None:
        one, other = trained(), trained()
        before = float(one.network.linears[0].weights.data[3, 1])
        one.set_weight(0, 3, 1, 0.5)
        one.set_weight(0, 3, 1, before)
        assert_same_run(one, other)

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            (lambda e: e.set_weight(3, 0, 0, 1.0), "layer: must be a whole number from 0 to 2"),
            (lambda e: e.set_weight(-1, 0, 0, 1.0), "layer: must be a whole number from 0 to 2"),
            (lambda e: e.set_weight(0, 6, 0, 1.0), "unit: must be a whole number from 0 to 5"),
            (lambda e: e.set_weight(0, 0, -1, 1.0), "source: must be a whole number from 0 to 1"),
            (lambda e: e.set_weight(0, 0, 0, math.nan), "weight: must be a number from -1e+06"),
            (lambda e: e.set_weight(0, 0, 0, 1e39), "weight: must be a number from -1e+06"),
            (lambda e: e.set_weight(0, 0, 0, "1"), "weight: must be a number from -1e+06"),
            (lambda e: e.set_bias(2, 1, 1.0), "unit: must be a whole number from 0 to 0"),
            (lambda e: e.set_bias(0, 0, math.inf), "bias: must be a number from -1e+06"),
            (lambda e: e.silence(2, 0), "layer: must be a whole number from 0 to 1"),
            (lambda e: e.silence(0, 6), "unit: must be a whole number from 0 to 5"),
            (lambda e: e.silence(0, -1), "unit: must be a whole number from 0 to 5"),
        ],
    )
    def test_refused_changes_nothing(self, edit: Callable[[Experiment], None], words: str) -> None:
        experiment = trained()
        with pytest.raises(ConfigError) as caught:
            edit(experiment)
        assert str(caught.value).startswith(words)
        assert experiment.history.changes == []
        assert_same_run(experiment, trained())

    def test_after_divergence_lets_training_go_on(self) -> None:
        experiment = Experiment(ONE_INPUT.replace(learning_rate=1e3))
        list(experiment.run(epochs=200))
        experiment.set_bias(0, 0, 0.0)
        assert (experiment.status, experiment.message) == ("paused", "")


class TestSilence:
    @pytest.mark.parametrize(
        "layer",
        [
            LayerConfig(6, "relu"),
            LayerConfig(6, "softplus", dropout=0.5),
            LayerConfig(6, "sigmoid", normalization="layer"),
            LayerConfig(6, "softmax", normalization="batch"),
        ],
        ids=lambda layer: layer.activation,
    )
    def test_a_unit_gives_nothing_and_comes_back_exactly(self, layer: LayerConfig) -> None:
        config = SMALL.replace(layers=(layer, LayerConfig(4, "tanh")))
        experiment, other = trained(config), trained(config)
        before, units = experiment.grid(11), experiment.unit_grids(11)
        experiment.silence(0, 2)
        assert experiment.silenced == {(0, 2)}
        silenced = experiment.unit_grids(11)
        assert (silenced[0][2] == 0).all()
        assert_same_bits(np.delete(silenced[0], 2, axis=0), np.delete(units[0], 2, axis=0))
        assert not np.array_equal(silenced[1], units[1])
        assert not np.array_equal(experiment.grid(11), before)
        # Whatever its weights are, it contributes nothing.
        grid = experiment.grid(11)
        experiment.set_weight(0, 2, 0, 9.0)
        if layer.activation != "softmax" and layer.normalization != "layer":
            # (In these, units hear of each other.)
            assert_same_bits(experiment.grid(11), grid)
        experiment.set_weight(0, 2, 0, float(other.network.linears[0].weights.data[2, 0]))
        experiment.silence(0, 2, False)
        assert experiment.silenced == set()
        assert_same_bits(experiment.grid(11), before)
        assert_same_run(experiment, other)

    def test_training_leaves_its_weights_alone(self) -> None:
        experiment = trained(optimizer="sgd")
        experiment.silence(0, 1)
        into = experiment.network.linears[0].weights.data[1].copy()
        out_of = experiment.network.linears[1].weights.data[:, 1].copy()
        list(experiment.run(epochs=5))
        assert_same_bits(experiment.network.linears[0].weights.data[1], into)
        assert_same_bits(experiment.network.linears[1].weights.data[:, 1], out_of)
        assert experiment._step.reason == ""

    def test_of_all_units_leaves_a_constant(self) -> None:
        experiment = trained()
        for unit in range(4):
            experiment.silence(1, unit)
        assert len(np.unique(experiment.grid(9))) == 1

    def test_is_recorded_and_measured(self) -> None:
        experiment = trained(epochs=40)
        before = experiment.latest.train_loss
        experiment.silence(0, 0)
        assert experiment.history.changes == [(40, {"silenced": [0, 0, True]})]
        assert experiment.latest.train_loss != before
        assert experiment.latest.epoch == 40

    def test_twice_is_the_same_as_once(self) -> None:
        experiment = trained()
        experiment.silence(0, 0)
        experiment.silence(0, 0)
        experiment.silence(1, 3)
        assert experiment.silenced == {(0, 0), (1, 3)}
        experiment.silence(0, 0, False)
        assert experiment.silenced == {(1, 3)}

    def test_reset_forgets_it(self) -> None:
        experiment = trained()
        experiment.silence(0, 0)
        experiment.reset()
        assert experiment.silenced == set()
        assert_same_run(experiment, Experiment(SMALL))


class TestRestructured:
    def test_another_activation_goes_on(self) -> None:
        old = trained()
        old.silence(0, 1)
        new = old.restructured(SMALL.replace(layers=(LayerConfig(6, "relu"), LayerConfig(4))))
        assert (new.epoch, new.status) == (5, "paused" if old.status != "ready" else "ready")
        assert_same_bits(weights(new), weights(old))
        assert_same_bits(new.optimizer.memory, old.optimizer.memory)
        assert new.optimizer.steps == old.optimizer.steps
        assert new.silenced == {(0, 1)}
        assert new.history.epoch.tolist() == [0, 1, 2, 3, 4, 5]
        assert new.history.changes[:-1] == old.history.changes
        assert new.latest.train_loss != old.latest.train_loss
        new.step()
        assert (new.epoch, old.epoch) == (6, 5)
        assert len(old.history) == 6

    def test_into_the_same_gives_the_same_future(self) -> None:
        old = trained(schedule="cosine")
        assert_same_run(old.restructured(old.config), trained(schedule="cosine"))

    def test_a_unit_more_and_a_unit_less(self) -> None:
        old = trained()
        more = old.restructured(SMALL.replace(layers=(LayerConfig(7, "tanh"), LayerConfig(4))))
        assert (more.epoch, more.status) == (0, "ready")
        for ours, theirs in zip(old.network.linears, more.network.linears, strict=True):
            units, inputs = ours.weights.shape
            assert_same_bits(theirs.weights.data[:units, :inputs], ours.weights.data)
            assert_same_bits(theirs.biases.data[:units], ours.biases.data)
        back = more.restructured(old.config)
        assert_same_bits(weights(back), weights(old))
        assert_same_bits(back.grid(9), old.grid(9))

    def test_kept_units_take_their_weights_along(self) -> None:
        old = trained()
        layers = (LayerConfig(5, "tanh"), LayerConfig(4))
        new = old.restructured(SMALL.replace(layers=layers), {0: [0, 1, 3, 4, 5]})
        old.silence(0, 2)
        np.testing.assert_allclose(new.grid(9), old.grid(9), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("normalization", ["batch", "layer"])
    def test_normalization_and_silence_go_along(self, normalization: str) -> None:
        first = LayerConfig(6, "tanh", normalization=normalization)
        old = trained(SMALL.replace(layers=(first, LayerConfig(4, normalization=normalization))))
        old.silence(0, 2)
        old.silence(0, 4)
        units = old.unit_grids(9)
        more = old.restructured(
            old.config.replace(layers=(first, LayerConfig(5, normalization=normalization)))
        )
        assert more.silenced == {(0, 2), (0, 4)}
        assert_same_bits(more.unit_grids(9)[0], units[0])
        if normalization == "batch":  # in layer normalization, units hear of each other
            np.testing.assert_allclose(more.unit_grids(9)[1][:4], units[1], rtol=1e-5, atol=1e-6)
            fewer = dataclasses.replace(first, units=4)
            less = old.restructured(
                old.config.replace(layers=(fewer, old.config.layers[1])), {0: [4, 5, 0, 1]}
            )
            assert less.silenced == {(0, 0)}
            np.testing.assert_allclose(
                less.unit_grids(9)[0], units[0][[4, 5, 0, 1]], rtol=1e-5, atol=1e-6
            )

    @pytest.mark.parametrize(
        "changes",
        [{"optimizer": "adadelta"}, {"schedule": "cosine"}, {"l2": 0.1}, {"init_seed": 5}],
        ids=lambda changes: next(iter(changes)),
    )
    def test_anything_else_keeps_the_weights_and_counts_from_zero(
        self, changes: dict[str, Any]
    ) -> None:
        old = trained()
        new = old.restructured(SMALL.replace(**changes))
        assert_same_bits(weights(new), weights(old))
        assert (new.epoch, new.status, new.optimizer.steps) == (0, "ready", 0)
        assert new.history.changes == [(0, {"weights": "kept"})]
        list(new.run(epochs=2))
        assert new.history.epoch.tolist() == [0, 1, 2]

    def test_a_layer_more_keeps_those_before_it(self) -> None:
        old = trained()
        new = old.restructured(SMALL.replace(layers=(*SMALL.layers, LayerConfig(3))))
        for i in range(2):
            assert_same_bits(
                new.network.linears[i].weights.data, old.network.linears[i].weights.data
            )
        fewer = old.restructured(SMALL.replace(layers=SMALL.layers[:1]))
        assert_same_bits(fewer.network.linears[0].weights.data, old.network.linears[0].weights.data)

    def test_features_keep_theirs_by_name(self) -> None:
        old = trained(features=("x1", "x1*x2", "x2"))
        new = old.restructured(old.config.replace(features=("x2", "x1^2", "x1")))
        weights_now = new.network.linears[0].weights.data
        assert_same_bits(weights_now[:, 0], old.network.linears[0].weights.data[:, 2])
        assert_same_bits(weights_now[:, 2], old.network.linears[0].weights.data[:, 0])

    def test_trains_on_and_resets_to_its_own_start(self) -> None:
        config = SMALL.replace(layers=(LayerConfig(7, "tanh"),))
        new = trained().restructured(config)
        list(new.run(epochs=3))
        assert new.epoch == 3
        new.reset()
        assert_same_run(new, Experiment(config))

    def test_own_data_are_taken_along(self) -> None:
        data = make_dataset("moons", samples=50)
        old = Experiment(SMALL.replace(dataset=CUSTOM), data)
        assert old.restructured(old.config.replace(layers=())).data is data

    def test_refused_leaves_it_as_it_was(self) -> None:
        old = trained(batch_size=47)
        with pytest.raises(ConfigError):
            old.restructured(old.config.replace(layers=(LayerConfig(4, normalization="batch"),)))
        assert_same_run(old, trained(batch_size=47))


# ---- going back in time --------------------------------------------------------------------------


class TestShowEpoch:
    CONFIG = SMALL.replace(layers=(LayerConfig(6, normalization="batch"),))

    def test_puts_weights_and_running_statistics_back(self) -> None:
        experiment = Experiment(self.CONFIG)
        seen = trajectory(experiment, 10)
        for epoch in (3, 0, 10, 7):
            assert experiment.show_epoch(epoch) == epoch
            assert experiment.epoch == experiment.latest.epoch == epoch
            assert_same_bits(weights(experiment), seen[epoch])
            assert experiment.latest.train_loss == experiment.history.train_loss[epoch]

    def test_looking_back_and_returning_changes_nothing(self) -> None:
        one, other = trained(self.CONFIG, 10), trained(self.CONFIG, 10)
        for epoch in (0, 4, 10):
            one.show_epoch(epoch)
        assert one.history.changes == []
        assert_same_run(one, other)

    def test_training_on_from_there_forgets_what_came_after(self) -> None:
        experiment = trained(self.CONFIG, 10)
        experiment.show_epoch(4)
        assert len(experiment.history) == 11
        experiment.step()
        assert experiment.epoch == 5
        assert experiment.history.epoch.tolist() == [0, 1, 2, 3, 4, 5]
        assert experiment.snapshots.epochs == (0, 1, 2, 3, 4, 5)
        assert experiment.history.changes == [(4, {"snapshot": 4})]
        fresh = trained(self.CONFIG, 4)
        assert_same_bits(rows(fresh), rows(experiment)[:, :5])

    def test_an_edit_there_does_too(self) -> None:
        experiment = trained(epochs=10)
        experiment.show_epoch(4)
        experiment.set_bias(0, 0, 1.0)
        assert experiment.history.epoch.tolist() == [0, 1, 2, 3, 4]
        assert experiment.history.train_loss[-1] == experiment.latest.train_loss
        assert experiment.show_epoch(10) == 4

    def test_nearest_of_those_kept_and_the_latest_always(self) -> None:
        experiment = trained(SMALL.replace(layers=(), samples=10), 301)
        latest = weights(experiment)
        assert len(experiment.snapshots.epochs) <= 64
        shown = experiment.show_epoch(77)
        assert shown in experiment.snapshots.epochs
        assert abs(shown - 77) <= 4
        assert experiment.show_epoch(10**9) == 301
        assert_same_bits(weights(experiment), latest)
        assert experiment.show_epoch(-5) == 0

    def test_after_divergence_lets_training_go_on(self) -> None:
        experiment = Experiment(ONE_INPUT.replace(learning_rate=1e3))
        list(experiment.run(epochs=200))
        experiment.show_epoch(0)
        assert (experiment.status, experiment.message) == ("paused", "")


# ---- memory --------------------------------------------------------------------------------------


def measured(epoch: int) -> Epoch:
    return Epoch(epoch, 1.0 / (epoch + 1), 2.0, 0.5, 0.25)


class TestMemory:
    @settings(max_examples=50)
    @given(st.integers(2, 40), st.integers(1, 400))
    def test_history_is_thinned_evenly_within_its_budget(self, budget: int, epochs: int) -> None:
        history = History(2 * (budget // 2))
        for epoch in range(epochs):
            history.add(measured(epoch))
            assert len(history) <= history.budget
            assert history.last.epoch == epoch
        kept = history.epoch
        assert kept[0] == 0
        assert history.first.train_loss == 1.0
        gaps = np.diff(kept)
        assert len(set(gaps[:-1])) <= 1
        assert (gaps[-1:] <= gaps.max(initial=0)).all()
        assert len(kept) >= min(epochs, history.budget // 2)
        assert_same_bits(history.train_loss, 1.0 / (kept + 1))

    @settings(max_examples=50)
    @given(st.integers(2, 40), st.integers(1, 400), st.integers(0, 400))
    def test_snapshots_too(self, budget: int, epochs: int, wanted: int) -> None:
        snapshots = Snapshots(2 * (budget // 2))
        for epoch in range(epochs):
            snapshots.add(epoch, np.full(3, epoch))
            assert len(snapshots.epochs) <= snapshots.budget
            assert snapshots.epochs[-1] == epoch
        epoch, weights_then = snapshots.nearest(wanted)
        assert (weights_then == epoch).all()
        assert abs(epoch - wanted) == min(abs(e - wanted) for e in snapshots.epochs)
        snapshots.forget_from(wanted)
        assert all(e < wanted for e in snapshots.epochs)

    @given(st.lists(st.integers(0, 30), max_size=6))
    def test_forgetting_and_going_on(self, places: list[int]) -> None:
        history = History(8)
        epoch = -1
        for place in (40, *places):
            back = min(place, epoch + 1)
            history.forget_from(back)
            for epoch in range(back, back + 30):
                history.add(measured(epoch))
            assert history.last.epoch == epoch
            assert len(history) <= 8
            assert (np.diff(history.epoch) > 0).all()

    def test_nothing_grows_over_thousands_of_epochs(self) -> None:
        config = ExperimentConfig(dataset="xor", samples=8, layers=(LayerConfig(2),))
        experiment = Experiment(config.replace(schedule="exponential", batch_size=4))
        for _ in experiment.run(epochs=1100):
            pass
        tracemalloc.start()
        try:
            for _ in experiment.run(epochs=50):
                pass
            before = tracemalloc.get_traced_memory()[0]
            for _ in experiment.run(epochs=500):
                pass
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert experiment.epoch == 1650
        assert len(experiment.history) <= experiment.history.budget
        assert len(experiment.snapshots.epochs) <= experiment.snapshots.budget
        assert grown < 20_000


# ---- pictures ------------------------------------------------------------------------------------


class TestGrids:
    @pytest.mark.parametrize("resolution", [1, 2, 24, 50])
    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_a_grid_is_the_prediction_of_its_points(
        self, config: ExperimentConfig, resolution: int
    ) -> None:
        experiment = trained(config, 2)
        grid = experiment.grid(resolution)
        predicted = experiment.predict(experiment.plane(resolution))
        assert_same_bits(grid.reshape(predicted.shape), predicted)

    @pytest.mark.parametrize("resolution", [31, 32, 100, 101])
    @pytest.mark.parametrize(
        "config",
        [
            SMALL.replace(layers=(LayerConfig(64),) * 3),
            BLOBS.replace(layers=(LayerConfig(64, "tanh", normalization="batch"),) * 3),
            SMALL.replace(layers=(LayerConfig(64, "softmax"), LayerConfig(33, "elu", 0, "layer"))),
        ],
        ids=["relu", "batch", "softmax"],
    )
    def test_of_large_networks_too(self, config: ExperimentConfig, resolution: int) -> None:
        """Large grids are computed in blocks, and products of other sizes round in other ways."""
        experiment = trained(config, 1)
        grid = experiment.grid(resolution)
        predicted = experiment.predict(experiment.plane(resolution))
        assert_same_bits(grid.reshape(predicted.shape), predicted)

    @pytest.mark.parametrize("config", VARIETY.values(), ids=VARIETY)
    def test_unit_grids_go_with_grid_and_layers(self, config: ExperimentConfig) -> None:
        experiment = trained(config, 2)
        units = experiment.unit_grids(10)
        assert [len(layer) for layer in units[:-1]] == [layer.units for layer in config.layers]
        assert all(layer.dtype == np.float32 for layer in units)
        grid = experiment.grid(10)
        classes = experiment.predictor.network.output.weights.shape[0]
        assert len(units[-1]) == classes
        output = units[-1][0] if classes == 1 else np.moveaxis(units[-1], 0, -1)
        assert_same_bits(output, grid)

    def test_unit_grids_by_hand(self) -> None:
        experiment = trained()
        x = experiment.plane(9)
        first, second, output = experiment.unit_grids(9)
        by_hand = []
        for linear, activation in zip(
            experiment.network.linears,
            (np.tanh, lambda z: np.maximum(z, 0), lambda z: 1 / (1 + np.exp(-z))),
            strict=True,
        ):
            x = activation(x @ linear.weights.data.T + linear.biases.data)
            by_hand.append(x.T.reshape(-1, 9, 9))
        for ours, theirs in zip((first, second, output), by_hand, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    def test_rows_go_up_and_columns_go_right(self) -> None:
        experiment = Experiment(SMALL.replace(layers=()))
        experiment.set_weight(0, 0, 0, 1.0)
        experiment.set_weight(0, 0, 1, 100.0)
        experiment.set_bias(0, 0, 0.0)
        grid = experiment.grid(5)
        assert (np.diff(grid, axis=0) >= 0).all()
        assert grid[0, 0] < 0.01 < 0.99 < grid[-1, 0]
        assert grid[2, 0] < grid[2, 4]
        plane = experiment.plane(5).reshape(5, 5, 2)
        assert plane[0, 0].tolist() == pytest.approx([-1.2, -1.2])
        assert plane[0, 4].tolist() == pytest.approx([1.2, -1.2])
        assert plane[4, 0].tolist() == pytest.approx([-1.2, 1.2])

    def test_of_one_input_are_curves(self) -> None:
        experiment = trained(ONE_INPUT, 2)
        assert experiment.grid(20).shape == (20,)
        assert [layer.shape for layer in experiment.unit_grids(20)] == [(5, 20), (1, 20)]
        assert experiment.feature_grids(20).shape == (3, 20)
        assert experiment.plane(20, extent=2.0)[:, 0].tolist() == pytest.approx(
            np.linspace(-2, 2, 20).tolist()
        )

    def test_of_several_classes(self) -> None:
        experiment = trained(BLOBS, 2)
        grid = experiment.grid(8)
        assert grid.shape == (8, 8, 4)
        np.testing.assert_allclose(grid.sum(axis=-1), 1, rtol=1e-5)

    def test_around_the_data_where_no_extent_is_given(self) -> None:
        rng = np.random.default_rng(0)
        inputs = rng.uniform([150, 45], [195, 100], (60, 2))
        data = Dataset(inputs, rng.integers(0, 2, 60), "classification")
        experiment = Experiment(ExperimentConfig(dataset="custom", standardize=True), data)
        points = experiment.plane(5, None)
        low, high = inputs.min(axis=0), inputs.max(axis=0)
        np.testing.assert_allclose(points.min(axis=0), low - 0.05 * (high - low), rtol=1e-5)
        np.testing.assert_allclose(points.max(axis=0), high + 0.05 * (high - low), rtol=1e-5)
        assert experiment.grid(5, None).shape == (5, 5)
        np.testing.assert_array_equal(experiment.plane(3).min(axis=0), np.float32([-1.2, -1.2]))

    def test_of_more_inputs_hold_the_others_at_their_median(self) -> None:
        rng = np.random.default_rng(0)
        inputs = rng.normal(size=(40, 4)) * [1, 10, 100, 1]
        data = Dataset(inputs, (inputs[:, 1] > 0).astype(int), "classification")
        config = SMALL.replace(dataset=CUSTOM, features=feature_names(4), standardize=True)
        experiment = Experiment(config, data)
        plane = experiment.plane(6)
        median = np.median(experiment.train_data.inputs, axis=0)
        assert (plane[:, 2:] == median[2:].astype(np.float32)).all()
        assert plane[:, 1].min() < inputs[:, 1].min()
        assert plane[:, 1].max() > inputs[:, 1].max()
        assert experiment.grid(6).shape == (6, 6)
        assert_same_bits(experiment.grid(6).ravel(), experiment.predict(plane))
        experiment.shown_inputs = (3, 1)
        plane = experiment.plane(6).reshape(6, 6, 4)
        assert (plane[..., [0, 2]] == median[[0, 2]].astype(np.float32)).all()
        assert (plane[:, :, 3] == plane[:1, :, 3]).all()  # the first runs along the rows
        assert (plane[:, :, 1] == plane[:, :1, 1]).all()  # the second along the columns
        assert_same_bits(experiment.grid(6), experiment.predict(plane.reshape(36, 4)).reshape(6, 6))
        experiment.reset()
        assert experiment.shown_inputs == (3, 1)
        assert experiment.restructured(config.replace(layers=())).shown_inputs == (3, 1)
        for wrong in ((0, 0), (0, 4), (-1, 0)):
            with pytest.raises(ConfigError, match="inputs: must be"):
                experiment.shown_inputs = wrong
        assert experiment.shown_inputs == (3, 1)

    def test_features(self) -> None:
        experiment = Experiment(SMALL)
        x1, x2 = experiment.plane(7).T.reshape(2, 7, 7)
        expected = [x1, x2, x1 * x1, x2 * x2, x1 * x2, np.sin(np.pi * x1), np.sin(np.pi * x2)]
        grids = experiment.feature_grids(7)
        assert len(grids) == len(FEATURES)
        np.testing.assert_allclose(grids, expected, rtol=1e-5, atol=1e-6)

    def test_follow_training_and_are_arrays_of_their_own(self) -> None:
        experiment = trained(epochs=1)
        grid, units = experiment.grid(9), experiment.unit_grids(9)
        kept, kept_units = grid.copy(), [layer.copy() for layer in units]
        list(experiment.run(epochs=5))
        now = experiment.grid(9)
        assert not np.array_equal(now, kept)
        assert_same_bits(grid, kept)
        for layer, before in zip(units, kept_units, strict=True):
            assert_same_bits(layer, before)
        now[:] = 0
        assert not np.array_equal(experiment.grid(9), now)

    def test_are_without_dropout_and_training_goes_on_with_it(self) -> None:
        experiment = trained(VARIETY["dropout"], 2)
        assert_same_bits(experiment.grid(9), experiment.grid(9))
        assert_same_bits(experiment.unit_grids(9)[0], experiment.unit_grids(9)[0])


# ---- data ----------------------------------------------------------------------------------------


class TestData:
    def test_split_as_asked(self) -> None:
        experiment = Experiment(SMALL.replace(samples=100, train_fraction=0.7))
        assert (len(experiment.train_data), len(experiment.test_data)) == (70, 30)
        assert len(experiment.data) == 100

    def test_is_what_the_configuration_says(self) -> None:
        config = SMALL.replace(noise=0.2, label_noise=0.1, outliers=0.05, imbalance=0.5)
        expected = make_dataset(
            "xor", samples=60, noise=0.2, seed=0, imbalance=0.5, label_noise=0.1, outliers=0.05
        )
        assert_same_bits(Experiment(config).data.inputs, expected.inputs)
        assert_same_bits(Experiment(config).data.targets, expected.targets)

    def test_standardized_on_training_data(self) -> None:
        experiment = Experiment(SMALL.replace(standardize=True, features=FEATURES))
        columns = experiment.predictor.prepare(experiment.train_data.inputs)
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(columns.std(axis=0), 1, rtol=1e-5)
        other = experiment.predictor.prepare(experiment.test_data.inputs)
        assert np.abs(other.mean(axis=0)).max() > 1e-3

    def test_given_apart(self) -> None:
        data = make_dataset("arms", samples=90, arms=3)
        config = recommended("arms").replace(dataset=CUSTOM, samples=500)
        experiment = Experiment(config, data)
        assert experiment.data is data
        list(experiment.run(epochs=2))
        assert experiment.grid(5).shape == (5, 5, 3)

    def test_test_data_given_apart(self) -> None:
        data, test = make_dataset("xor", samples=40), make_dataset("xor", samples=30, seed=1)
        experiment = Experiment(SMALL.replace(dataset=CUSTOM), data, test)
        assert experiment.train_data is data
        assert experiment.test_data is test

    @pytest.mark.parametrize(
        ("changes", "data", "words"),
        [
            ({"dataset": CUSTOM}, None, "dataset: is 'custom', so the data have to be given"),
            ({}, make_dataset("xor", samples=20), "dataset: must be 'custom' where data are given"),
            (
                {"dataset": CUSTOM},
                make_dataset("plane", samples=20),
                "task: is classification, and the data are for regression",
            ),
            (
                {"dataset": CUSTOM},
                make_dataset("arms", samples=20),
                "loss: binary_cross_entropy tells two classes apart, not 3",
            ),
            (
                {"dataset": CUSTOM, "features": ("x3",)},
                make_dataset("xor", samples=20),
                "features: x3 cannot be made of this data",
            ),
        ],
    )
    def test_that_does_not_go_with_the_configuration(
        self, changes: dict[str, Any], data: Dataset | None, words: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            Experiment(SMALL.replace(**changes), data)
        assert str(caught.value).startswith(words)

    @pytest.mark.parametrize("scale", [1e-12, 1e6, 1e18])
    def test_of_any_scale_is_learned_when_standardized(self, scale: float) -> None:
        data = make_dataset("xor", samples=100)
        data = dataclasses.replace(data, inputs=data.inputs * scale)
        config = SMALL.replace(dataset=CUSTOM, standardize=True, learning_rate=0.05)
        experiment = Experiment(config, data)
        list(experiment.run(epochs=60))
        assert experiment.latest.train_score > 0.9

    @pytest.mark.parametrize("fraction", [0.05, 0.95])
    @pytest.mark.parametrize("name", ["xor", "blobs", "sine"])
    def test_of_the_smallest_size(self, name: str, fraction: float) -> None:
        config = recommended(name)
        least = 2 * max(config.classes, 2)
        experiment = Experiment(config.replace(samples=least, train_fraction=fraction))
        experiment.step()
        assert len(experiment.train_data) + len(experiment.test_data) == least
        assert min(len(experiment.train_data), len(experiment.test_data)) >= 1


# ---- every choice learns -------------------------------------------------------------------------


def assert_learns(config: ExperimentConfig, epochs: int = 25) -> None:
    experiment = Experiment(config)
    first = experiment.latest.train_loss
    for _ in experiment.run(epochs=epochs):
        pass
    assert experiment.status == "training", experiment.message
    assert experiment.epoch == epochs
    assert experiment.latest.train_loss < first
    assert experiment._step.reason == ""


CORNERS = {
    f"{name} {dict(zip(numbers, values, strict=True))}": (
        name,
        dict(zip(numbers, values, strict=True)),
    )
    for name, numbers in OPTIMIZER_SETTINGS.items()
    for values in itertools.product(*(sorted({n.low, n.default, n.high}) for n in numbers.values()))
    if (name, *values) != ("sgd", 0, 1)  # Nesterov without momentum is refused
}


class TestEveryChoice:
    @settings(max_examples=30, deadline=None)
    @given(configurations(), st.integers(10, 40))
    def test_any_valid_configuration_works(self, config: ExperimentConfig, samples: int) -> None:
        """Or is refused for a last batch of one; nothing ever becomes NaN, whatever happens."""
        data = None
        if config.dataset == CUSTOM:
            loss_for_two = config.task == "classification"
            inputs = np.random.default_rng(samples).normal(size=(samples, 7))
            targets = inputs[:, 0] > 0 if loss_for_two else inputs[:, 0]
            data = Dataset(inputs, targets.astype(float), config.task)  # type: ignore[arg-type]
        else:
            config = config.replace(samples=max(samples, 2 * config.classes))
        try:
            experiment = Experiment(config, data)
        except ConfigError as error:
            assert error.field in ("batch_size", "samples")
            assert any(layer.normalization == "batch" for layer in config.layers)
            return
        list(experiment.run(epochs=2))
        assert experiment.status in ("training", "diverged", "stopped")
        assert np.isfinite(weights(experiment)).all()
        assert math.isfinite(experiment.latest.train_loss)
        grid = experiment.grid(6)
        assert np.isfinite(grid).all()
        assert_same_bits(experiment.predict(experiment.plane(6)).reshape(grid.shape), grid)
        file = io.BytesIO()
        experiment.save(file)
        loaded = Predictor.load(file)
        assert loaded.config == config
        assert_same_bits(loaded.predict(experiment.plane(6)).reshape(grid.shape), grid)

    @pytest.mark.parametrize(("name", "options"), CORNERS.values(), ids=CORNERS)
    def test_optimizers_with_all_settings(self, name: str, options: dict[str, float]) -> None:
        rates = {"sgd": 0.05, "adagrad": 0.05, "adadelta": 1.0}
        rate = rates.get(name, 0.005)
        if options.get("momentum", 0) > 0.99:
            rate *= 0.05
        config = SMALL.replace(optimizer=name, optimizer_settings=options, learning_rate=rate)
        if options.get("beta1", 0) ** 2 > options.get("beta2", 1):
            # Then Adam need not converge (Reddi et al., 2018), but must not break.
            assert np.isfinite(trained(config, 40).grid(9)).all()
        else:
            assert_learns(config, 40)

    @pytest.mark.parametrize("name", SCHEDULE_SETTINGS)
    def test_schedules(self, name: str) -> None:
        table = SCHEDULE_SETTINGS[name]
        for pick in ("low", "default", "high"):
            options = {n: getattr(number, pick) for n, number in table.items()}
            config = SMALL.replace(schedule=name, schedule_settings=options)
            experiment = trained(config, 25)
            assert experiment.status == "training"
            assert 0 <= experiment.optimizer.lr <= 0.03 * (1 + 1e-9)
            if (name, pick) not in (("step", "low"), ("exponential", "low"), ("plateau", "low")):
                assert experiment.latest.train_loss < experiment.history.first.train_loss

    @pytest.mark.parametrize(
        ("schedule", "options", "rates"),
        [
            ("constant", {}, [1, 1, 1, 1]),
            ("step", {"step_size": 2, "gamma": 0.5}, [1, 0.5, 0.5, 0.25]),
            ("exponential", {"gamma": 0.5}, [0.5, 0.25, 0.125, 0.0625]),
            ("cosine", {"epochs": 4}, [0.8535534, 0.5, 0.1464466, 0]),
            ("warmup", {"epochs": 4}, [0.5, 2 / 3, 5 / 6, 1]),
        ],
    )
    def test_schedules_count_epochs(
        self, schedule: str, options: dict[str, Any], rates: list[float]
    ) -> None:
        config = SMALL.replace(schedule=schedule, schedule_settings=options, learning_rate=0.01)
        experiment = Experiment(config)
        seen = [experiment.optimizer.lr for _ in experiment.run(epochs=4)]
        assert seen == pytest.approx([0.01 * rate for rate in rates], abs=1e-9)

    def test_plateau_hears_of_the_test_loss(self) -> None:
        config = SMALL.replace(
            schedule="plateau", schedule_settings={"patience": 2}, learning_rate=1e-6
        )
        experiment = trained(config.replace(optimizer="sgd", init="zeros"), 12)
        assert experiment.optimizer.lr < 1e-6

    @pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
    @pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
    def test_layers(self, activation: str, normalization: str) -> None:
        layer = LayerConfig(8, activation, 0.0, normalization)
        assert_learns(SMALL.replace(layers=(layer, layer)))

    def test_dropout(self) -> None:
        layer = LayerConfig(32, "relu", dropout=0.5)
        assert_learns(SMALL.replace(layers=(layer, layer)), 40)

    def test_ten_layers_of_sixty_four(self) -> None:
        layer = LayerConfig(64, "relu", normalization="layer")
        assert_learns(SMALL.replace(layers=(layer,) * 10, learning_rate=0.003), 10)

    @pytest.mark.parametrize("init", [i for i in INITIALIZERS if i != "zeros"])
    def test_initialisations(self, init: str) -> None:
        assert_learns(SMALL.replace(init=init))

    def test_zeros_stay_symmetric(self) -> None:
        experiment = trained(init="zeros")
        assert not experiment.network.linears[0].weights.data.any()

    @pytest.mark.parametrize(
        "loss", ["binary_cross_entropy", "cross_entropy", "one_vs_rest", "hinge"]
    )
    def test_losses_of_two_classes(self, loss: str) -> None:
        config = recommended("moons").replace(samples=100, loss=loss)
        experiment = trained(config, 60)
        assert experiment.latest.train_score > 0.9
        grid = experiment.grid(5)
        assert grid.shape == ((5, 5) if loss in ("binary_cross_entropy", "hinge") else (5, 5, 2))
        assert ((grid >= 0) & (grid <= 1)).all()

    @pytest.mark.parametrize("loss", ["cross_entropy", "one_vs_rest"])
    def test_losses_of_several_classes(self, loss: str) -> None:
        experiment = trained(BLOBS.replace(loss=loss), 60)
        assert experiment.latest.train_score > 0.9
        answers = experiment.predict(experiment.test_data.inputs).argmax(axis=1)
        assert np.mean(answers == experiment.test_data.targets) == experiment.latest.test_score

    @pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
    def test_losses_of_regression(self, loss: str) -> None:
        experiment = trained(ONE_INPUT.replace(loss=loss), 150)
        assert experiment.latest.train_score > 0.5

    def test_a_feature_that_solves_it(self) -> None:
        config = SMALL.replace(features=("x1*x2",), layers=(), samples=200, learning_rate=0.1)
        assert trained(config, 60).latest.test_score > 0.95
        assert trained(config.replace(features=("x1", "x2")), 60).latest.test_score < 0.8

    def test_penalties_shrink_weights_and_not_biases(self) -> None:
        config = SMALL.replace(optimizer="sgd", learning_rate=0.1)
        free = trained(config, 40)
        for name in ("l1", "l2"):
            held = trained(config.replace(**{name: 0.05}), 40)
            assert (
                np.abs(held.network.linears[0].weights.data).sum()
                < np.abs(free.network.linears[0].weights.data).sum()
            )
        experiment = Experiment(config.replace(l2=1.0))
        penalised = [g["weight_decay"] for g in experiment.optimizer.param_groups]
        shapes = [g["params"][0].ndim for g in experiment.optimizer.param_groups]
        assert [decay > 0 for decay in penalised] == [ndim > 1 for ndim in shapes]

    def test_clipping_bounds_each_step(self) -> None:
        config = SMALL.replace(
            optimizer="sgd", learning_rate=1.0, clip_norm=1e-3, batch_size=10_000
        )
        experiment = Experiment(config)
        path = trajectory(experiment, 3)
        for before, after in itertools.pairwise(path):
            assert np.linalg.norm(after - before) <= 1.001e-3


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
    @pytest.mark.parametrize("epochs", [0, 3])
    def test_go_on_as_the_original_does(self, copied: Any, epochs: int) -> None:
        config = SMALL.replace(
            layers=(LayerConfig(4, "tanh", 0.2, "batch"),), schedule="exponential"
        )
        experiment = trained(config, epochs)
        experiment.unit_grids(8)
        other, before = copied(experiment), weights(experiment).copy()
        trajectory(other, 3)
        assert_same_bits(weights(experiment), before)
        trajectory(experiment, 3)
        assert_same_run(experiment, other)
        for mine, others in zip(experiment.unit_grids(8), other.unit_grids(8), strict=True):
            assert_same_bits(mine, others)


class TestInterrupted:
    def test_half_an_epoch_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        config = SMALL.replace(layers=(LayerConfig(4, "tanh", 0.2, "batch"),))
        experiment, undisturbed = trained(config, 2), trained(config, 5)
        whole = experiment._step.epochs

        def half(x: Any, y: Any, **options: Any) -> Any:
            whole(x, y, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(experiment._step, "epochs", half)
        with pytest.raises(KeyboardInterrupt):
            experiment.step()
        assert experiment.status == "paused"
        assert experiment.epoch == 2
        assert experiment._measure(2) == experiment.latest
        monkeypatch.undo()
        trajectory(experiment, 3)
        assert_same_bits(weights(experiment), weights(undisturbed))


class TestLoadedAgain:
    def test_counts_all_epochs(self) -> None:
        file = io.BytesIO()
        trained(SMALL, 3).save(file)
        experiment = Experiment.load(io.BytesIO(file.getvalue()))
        trajectory(experiment, 2)
        again = io.BytesIO()
        experiment.save(again)
        assert Predictor.load(io.BytesIO(again.getvalue())).epoch == 5
        experiment.reset()
        experiment.save(again := io.BytesIO())
        assert Predictor.load(io.BytesIO(again.getvalue())).epoch == 0

    def test_refuses_data_in_another_order(self) -> None:
        x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
        targets = (x[:, 0] > 0).astype(int)
        data = Dataset(
            x, targets, "classification", input_names=("a", "b"), class_names=("cat", "dog")
        )
        experiment = Experiment(ExperimentConfig(dataset=CUSTOM), data)
        experiment.save(file := io.BytesIO())
        swapped = (
            dataclasses.replace(data, input_names=("b", "a")),
            dataclasses.replace(data, class_names=("dog", "cat")),
        )
        for other, what in zip(swapped, ("inputs a, b", "classes cat, dog"), strict=True):
            with pytest.raises(FileError, match=f"with the {what} in this order"):
                Experiment.load(io.BytesIO(file.getvalue()), other)
            with pytest.raises(DataError, match=f"with the {what} in this order"):
                evaluate(experiment, other)
        Experiment.load(io.BytesIO(file.getvalue()), data)


def test_scores_of_two_outputs_that_tie_are_those_of_the_evaluation() -> None:
    config = recommended("xor").replace(
        loss="cross_entropy", layers=(LayerConfig(4),), init="zeros"
    )
    experiment = Experiment(config)
    found = evaluate(experiment, experiment.train_data).at().accuracy
    assert experiment.latest.train_score == found
