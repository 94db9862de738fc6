"""Cross-validation: every sample tested once, nothing peeked at, exact, and free to cancel."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig
from nnkit.datasets import Dataset, k_folds, make_dataset
from nnkit.errors import ConfigError
from nnkit.experiment import Experiment
from nnkit.history import Epoch
from nnkit.validation import Fold, cross_validate, summarize

CONFIG = ExperimentConfig(dataset="moons", samples=60, layers=(LayerConfig(4, "tanh"),))
DATA = Experiment(CONFIG).data


def folds_of(config=CONFIG, data=DATA, folds=3, epochs=2):
    *_, last = cross_validate(config, data, folds=folds, epochs=epochs)
    return last.done


def test_each_sample_is_tested_once():
    done = folds_of(folds=7)
    assert [fold.number for fold in done] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(fold.test_samples for fold in done) == 60
    assert all(fold.train_samples + fold.test_samples == 60 for fold in done)


def test_a_fold_is_an_experiment_on_its_parts():
    done = folds_of(epochs=4)
    custom = CONFIG.replace(dataset=CUSTOM, dataset_settings={})
    for fold, (train, test) in zip(done, k_folds(DATA, 3, CONFIG.data_seed), strict=True):
        experiment = Experiment(custom, train, test)
        for _ in experiment.run(epochs=4):
            pass
        assert fold.latest == experiment.latest


def test_the_same_configuration_gives_the_same_numbers():
    assert folds_of() == folds_of()
    assert folds_of(CONFIG.replace(data_seed=1)) != folds_of()  # dealt otherwise
    assert folds_of(CONFIG.replace(init_seed=1)) != folds_of()


def test_progress_is_told_after_each_epoch():
    events = list(cross_validate(CONFIG, DATA, folds=3, epochs=4))
    assert len(events) == 12
    shares = [event.share for event in events]
    assert shares == pytest.approx(np.arange(1, 13) / 12)
    assert [len(event.done) for event in events] == [0] * 3 + [1] * 4 + [2] * 4 + [3]
    assert all((event.folds, event.epochs) == (3, 4) for event in events)


def test_cancelling_keeps_what_is_finished():
    events = cross_validate(CONFIG, DATA, folds=3, epochs=4)
    event = next(event for event in events if len(event.done) == 1 and event.epoch == 2)
    events.close()
    assert event.done == folds_of(epochs=4)[:1]
    assert list(events) == []


def test_test_data_never_choose_the_epoch():
    peeking = CONFIG.replace(patience=1, target_score=0.01)
    assert folds_of(peeking, epochs=10) == folds_of(epochs=10)
    assert all(fold.latest.epoch == 10 for fold in folds_of(peeking, epochs=10))


def test_a_fold_that_diverges_is_told_and_the_others_go_on():
    data = make_dataset("plane", samples=40)
    wild = ExperimentConfig(
        task="regression", dataset="plane", loss="mse", optimizer="sgd", learning_rate=1e4,
        layers=(LayerConfig(4, "relu"),),
    )  # fmt: skip
    done = folds_of(wild, data, epochs=30)
    assert [fold.diverged for fold in done] == [True, True, True]
    assert all(math.isfinite(fold.latest.test_loss) for fold in done)
    assert not any(fold.diverged for fold in folds_of())


def test_several_classes_and_regression():
    blobs = CONFIG.replace(dataset="blobs", loss="cross_entropy")
    assert len(folds_of(blobs, Experiment(blobs).data)) == 3
    sine = ExperimentConfig(task="regression", dataset="sine", loss="mse", features=("x1",))
    assert len(folds_of(sine, Experiment(sine).data)) == 3


@pytest.mark.parametrize("folds", [-1, 0, 1, 21, 61])
def test_folds_out_of_range_are_refused_at_the_call(folds):
    with pytest.raises(ConfigError, match="from 2 to 20 for 60 samples") as caught:
        cross_validate(CONFIG, DATA, folds=folds)
    assert caught.value.field == "folds"


def test_r2_needs_two_samples_a_fold():
    config = ExperimentConfig(task="regression", dataset="sine", loss="mse", features=("x1",))
    data = make_dataset("sine", samples=9)
    with pytest.raises(ConfigError, match="from 2 to 4"):
        cross_validate(config, data, folds=5)
    assert all(fold.test_samples >= 2 for fold in folds_of(config, data, folds=4))


@pytest.mark.parametrize("epochs", [0, -5, 10_001])
def test_epochs_out_of_range(epochs):
    with pytest.raises(ConfigError, match="epochs"):
        cross_validate(CONFIG, DATA, epochs=epochs)


def test_data_that_do_not_go_with_the_configuration_are_refused_at_the_call():
    with pytest.raises(ConfigError, match="task"):
        cross_validate(CONFIG, make_dataset("plane", samples=20))
    with pytest.raises(ConfigError, match="loss"):
        cross_validate(CONFIG, make_dataset("blobs", samples=20))


def test_a_size_that_only_a_later_fold_has_is_refused_at_the_call():
    layers = (LayerConfig(4, "tanh", normalization="batch"),)
    config = CONFIG.replace(layers=layers, batch_size=20)
    sizes = [len(train) for train, _ in k_folds(DATA.subset(range(59)), 3)]
    assert sizes == [39, 39, 40]
    with pytest.raises(ConfigError, match="batch_size"):
        cross_validate(config.replace(batch_size=39), DATA.subset(range(59)), folds=3)
    assert len(folds_of(config, DATA.subset(range(59)))) == 3


def test_a_class_of_one_sample_does_no_harm():
    data = Dataset(np.eye(10, 2), [0] * 9 + [1], "classification")
    assert len(folds_of(CONFIG, data, folds=5)) == 5


# --- the summary


def fold(score, loss):
    return Fold(1, 10, 5, Epoch(3, loss / 2, loss, score + 1, score), False)


def test_mean_and_deviation():
    summary = summarize([fold(0.5, 1.0), fold(0.7, 4.0), fold(0.9, 1.0)])
    assert summary.test_score == pytest.approx((0.7, statistics.stdev([0.5, 0.7, 0.9])))
    assert summary.test_loss == pytest.approx((2, statistics.stdev([1, 4, 1])))
    assert summary.train_score.mean == pytest.approx(1.7)
    assert summary.train_loss.mean == pytest.approx(1)


def test_one_fold_has_no_deviation_and_none_no_summary():
    assert math.isnan(summarize([fold(0.5, 1.0)]).test_score.deviation)
    with pytest.raises(ConfigError, match="at least one"):
        summarize([])


# --- an experiment with test data of its own


def test_given_test_data_are_tested_on_and_all_other_data_trained_on():
    train, test = next(k_folds(DATA, 4))
    custom = CONFIG.replace(dataset=CUSTOM, dataset_settings={})
    experiment = Experiment(custom, train, test)
    assert experiment.train_data is train and experiment.test_data is test
    experiment.step()
    wider = experiment.restructured(custom.replace(layers=(LayerConfig(5, "tanh"),)))
    assert wider.train_data is train and wider.test_data is test


@pytest.mark.parametrize("folds", [5.0, "3", None])
def test_folds_are_a_whole_number(folds: Any) -> None:
    with pytest.raises(ConfigError, match="folds: must be a whole number from 2"):
        cross_validate(CONFIG, DATA, folds=folds)
