"""Evaluation: the same numbers as in training and in the metrics, and words where they mislead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit import metrics
from nnkit.config import ExperimentConfig, LayerConfig
from nnkit.datasets import Dataset, make_dataset
from nnkit.errors import ConfigError, DataError, ShapeError
from nnkit.evaluation import (
    ClassificationReport,
    Decisions,
    RegressionReport,
    evaluate,
    wilson_interval,
)
from nnkit.experiment import Experiment
from nnkit.remarks import remarks


def trained(epochs=3, data=None, **settings):
    config = ExperimentConfig(**{"samples": 120, "layers": (LayerConfig(6, "tanh"),)} | settings)
    experiment = Experiment(config, data)
    for _ in experiment.run(epochs=epochs):
        pass
    return experiment


def binary(probabilities, targets, loss=0.3):
    inputs = np.zeros((len(targets), 2))
    data = Dataset(inputs, targets, "classification", class_names=("no", "yes"))
    return ClassificationReport(data, loss, np.asarray(probabilities, np.float64))


def regression(predictions, targets, loss=0.1):
    data = Dataset(np.zeros((len(targets), 1)), targets, "regression")
    return RegressionReport(data, loss, np.asarray(predictions, np.float64))


# --- agreement with training


CASES = [
    {"dataset": "xor", "loss": "binary_cross_entropy"},
    {"dataset": "xor", "loss": "hinge"},
    {"dataset": "xor", "loss": "cross_entropy"},
    {"dataset": "xor", "loss": "one_vs_rest"},
    {"dataset": "blobs", "loss": "cross_entropy"},
    {"dataset": "blobs", "loss": "one_vs_rest"},
    {"dataset": "plane", "task": "regression", "loss": "mse"},
    {"dataset": "sine", "task": "regression", "loss": "l1", "features": ("x1",)},
    {"dataset": "plane", "task": "regression", "loss": "huber", "standardize": True},
]


@pytest.mark.parametrize("settings", CASES, ids=lambda case: f"{case['dataset']}-{case['loss']}")
def test_numbers_are_those_of_training(settings):
    experiment = trained(**settings, noise=0.4)
    train = evaluate(experiment, experiment.train_data)
    test = evaluate(experiment, experiment.test_data)
    latest = experiment.latest
    assert train.loss == pytest.approx(latest.train_loss, rel=1e-5)
    assert test.loss == pytest.approx(latest.test_loss, rel=1e-5)
    if isinstance(test, RegressionReport):
        scores = train.r2, test.r2
    else:
        scores = train.at().accuracy, test.at().accuracy
    assert scores == pytest.approx((latest.train_score, latest.test_score), abs=1e-6)


def test_a_probability_of_exactly_one_half_is_class_one_here_and_in_training():
    experiment = trained(epochs=0, imbalance=0.6)
    for parameter in experiment.network.parameters():
        parameter.data = np.zeros_like(parameter.data)
    experiment.set_bias(1, 0, 0.0)  # measured anew
    report = evaluate(experiment, experiment.test_data)
    assert (report.probabilities == 0.5).all()
    assert report.at().accuracy == experiment.latest.test_score == report.data.targets.mean() < 0.4


def test_a_predictor_does_as_well_as_its_experiment():
    experiment = trained()
    one = evaluate(experiment, experiment.data)
    other = evaluate(experiment.predictor, experiment.data)
    assert one.loss == other.loss
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_evaluating_leaves_training_as_it_is():
    looked, alone = trained(epochs=2), trained(epochs=2)
    evaluate(looked, looked.test_data)
    looked.step(), alone.step()
    np.testing.assert_array_equal(looked.optimizer.flat, alone.optimizer.flat)


def test_very_sure_samples_keep_their_order():
    experiment = trained(epochs=0, layers=())
    experiment.set_weight(0, 0, 0, 40.0)
    data = Dataset([[0.55, 0], [0.7, 0]], [0, 1], "classification")
    low, high = evaluate(experiment, data).probabilities
    assert np.float32(low) == np.float32(high) == 1 and low < high


# --- decisions


@st.composite
def decided(draw):
    classes = draw(st.integers(2, 5))
    labels = st.lists(st.integers(0, classes - 1), min_size=1, max_size=40)
    actual = np.array(draw(labels))
    predicted = draw(
        st.lists(st.integers(0, classes - 1), min_size=len(actual), max_size=len(actual))
    )
    return Decisions(np.array(predicted), actual, classes)


@given(decided())
def test_scores_of_classes_are_those_of_the_metrics(decisions):
    targets = np.eye(decisions.classes, dtype=int)[decisions.actual]
    rules = (metrics.precision, metrics.recall, metrics.f1_score)
    for label, scores in enumerate(decisions.by_class):
        expected = [rule(decisions.predicted, targets, label=label) for rule in rules]
        assert list(scores[:3]) == pytest.approx(expected)
        assert scores.support == np.sum(decisions.actual == label)
    average = "binary" if decisions.classes == 2 else "macro"
    expected = [rule(decisions.predicted, targets, average=average) for rule in rules]
    assert list(decisions.scores[:3]) == pytest.approx(expected)


@given(decided())
def test_each_sample_is_in_one_cell_of_the_matrix(decisions):
    classes = range(decisions.classes)
    cells = {(i, j): decisions.samples(i, j) for i in classes for j in classes}
    rows = np.concatenate(list(cells.values()))
    assert sorted(rows.tolist()) == list(range(len(decisions.actual)))
    assert all(decisions.matrix[cell] == len(samples) for cell, samples in cells.items())
    low, high = decisions.interval
    assert 0 <= low <= decisions.accuracy <= high <= 1


def test_the_threshold_moves_decisions_from_all_to_none():
    report = binary([0.0, 0.2, 0.5, 0.9, 1.0], [0, 1, 0, 1, 1])
    assert report.at(0).predicted.tolist() == [1, 1, 1, 1, 1]
    assert report.at().predicted.tolist() == [0, 0, 1, 1, 1]
    assert report.at(0.9).matrix.tolist() == [[2, 0], [1, 2]]
    assert report.at(1).predicted.tolist() == [0, 0, 0, 0, 1]
    none = binary([0.1, 0.2], [0, 1]).at(1)
    assert none.scores.precision == none.scores.recall == none.scores.f1 == 0


# --- reports


def test_one_class_against_the_rest():
    experiment = trained(dataset="blobs", loss="cross_entropy")
    report = evaluate(experiment, experiment.test_data)
    for label in range(4):
        one = report.against_rest(label)
        assert one.data.class_names == (f"not {label}", f"{label}")
        np.testing.assert_array_equal(one.data.targets, report.data.targets == label)
        np.testing.assert_array_equal(one.probabilities, report.probabilities[:, label])
        assert one.loss == report.loss
    areas = [report.against_rest(label).area for label in range(4)]
    assert report.area == pytest.approx(np.mean(areas))
    with pytest.raises(ConfigError, match="from 0 to 3"):
        report.against_rest(4)


def test_the_other_of_two_classes():
    report = binary([0.2, 0.7], [0, 1])
    assert report.against_rest(0).probabilities == pytest.approx([0.8, 0.3])
    assert report.against_rest(1).probabilities.tolist() == [0.2, 0.7]
    assert report.roc.thresholds.tolist() == [np.inf, 0.7, 0.2]


def test_a_class_named_as_another_is_negated():
    data = Dataset([[0.0]] * 2, [0, 1], "classification", class_names=("a", "not a"))
    report = ClassificationReport(data, 0.0, np.array([0.1, 0.9]))
    assert report.against_rest(1).data.class_names == ("not not a", "not a")


def test_calibration_of_two_classes():
    report = binary([0.15, 0.15, 0.85, 0.85, 0.85], [0, 1, 1, 1, 1])
    assert report.calibration.prob_true.tolist() == [0.5, 1.0]
    assert report.calibration_error == pytest.approx((2 * 0.35 + 3 * 0.15) / 5)


def test_calibration_of_several_classes_is_that_of_the_likeliest():
    data = Dataset(np.zeros((4, 1)), [0, 1, 2, 2], "classification")
    columns = np.array([[0.65, 0.25, 0.1], [0.65, 0.25, 0.1], [0, 0.15, 0.85], [0, 0.15, 0.85]])
    report = ClassificationReport(data, 0.0, columns)
    assert report.calibration.prob_pred == pytest.approx([0.65, 0.85])
    assert report.calibration.prob_true.tolist() == [0.5, 1.0]
    assert report.calibration_error == pytest.approx(0.15)


def test_a_curve_for_one_class_only_is_not_defined():
    report = binary([0.2, 0.7], [1, 1])
    assert math.isnan(report.area) and np.isnan(report.roc.false_positive_rate).all()
    assert report.baseline == 1


def test_regression_measures():
    report = regression([1.0, 2.0, 4.0, 3.0], [1.0, 2.0, 3.0, 6.0])
    assert report.residuals.tolist() == [0, 0, -1, 3]
    assert report.bias == 0.5 and report.mae == 1
    assert report.rmse == pytest.approx(math.sqrt(2.5))
    assert report.baseline == pytest.approx(math.sqrt(3.5))
    assert report.r2 == pytest.approx(1 - 2.5 / 3.5)


# --- what is refused


def test_data_the_network_is_not_for():
    experiment = trained()
    with pytest.raises(ConfigError, match="task"):
        evaluate(experiment, make_dataset("plane", samples=10))
    with pytest.raises(DataError, match="the network knows the classes 0, 1"):
        evaluate(experiment, make_dataset("blobs", samples=20))
    with pytest.raises(ShapeError, match="expected inputs"):
        evaluate(experiment, Dataset(np.zeros((2, 3)), [0, 1], "classification"))


def test_outputs_that_are_not_finite():
    experiment = trained(epochs=0, layers=(), features=("x1", "x1^2"))
    experiment.set_weight(0, 0, 1, 10.0)
    data = Dataset([[1.0, 0], [1.5e19, 0]], [0, 1], "classification")
    with pytest.raises(DataError, match="not finite for 1 of 2 samples"):
        evaluate(experiment, data)


# --- the interval


@pytest.mark.parametrize(
    ("hits", "samples", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (9, 10, 0.5958, 0.9821),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_wilson_interval_of_published_examples(hits, samples, low, high):
    # 81 of 263 is from Newcombe (1998), Statistics in Medicine 17, table I.
    assert wilson_interval(hits, samples) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_narrows_with_samples(counts):
    hits, samples = counts
    low, high = wilson_interval(hits, samples)
    assert 0 <= low <= hits / samples <= high <= 1
    more = wilson_interval(4 * hits, 4 * samples)
    assert more[1] - more[0] < high - low
    wider = wilson_interval(hits, samples, 0.99)
    assert wider[0] <= low and wider[1] >= high


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 5), (6, 5), (1, 5, 1.0), (1, 5, 0.0)])
def test_an_interval_of_nothing(arguments):
    with pytest.raises(ConfigError):
        wilson_interval(*arguments)


# --- remarks


def about(train, test, threshold=0.5):
    return [remark.about for remark in remarks(train, test, threshold)]


GOOD = binary([0.1] * 200 + [0.9] * 200, [0] * 200 + [1] * 200)


def test_good_numbers_need_no_remark():
    assert about(GOOD, GOOD) == []


def test_a_gap_in_accuracy_that_chance_does_not_explain():
    test = binary([0.1] * 200 + [0.9] * 160 + [0.1] * 40, [0] * 200 + [1] * 200)
    (remark,) = remarks(GOOD, test)
    assert remark.about == "gap"
    assert "10 points lower" in remark.text


def test_a_gap_that_chance_explains_is_none():
    test = binary([0.1] * 10 + [0.9] * 9 + [0.1], [0] * 10 + [1] * 10)
    (remark,) = remarks(GOOD, test)
    assert remark.about == "few samples"
    assert "With 20 test samples" in remark.text


def test_a_gap_in_loss():
    test = binary(GOOD.probabilities, GOOD.data.targets, loss=1.2)
    (remark,) = remarks(GOOD, test)
    assert "4.0 times" in remark.text
    perfect = binary(GOOD.probabilities, GOOD.data.targets, loss=0.0)
    assert "over 100 times" in remarks(perfect, test)[0].text
    assert about(perfect, binary(GOOD.probabilities, GOOD.data.targets, loss=0.05)) == []


def test_uneven_classes():
    constant = binary([0.1] * 400, [0] * 320 + [1] * 80)
    (remark,) = remarks(constant, constant)
    assert "80% of the test samples are of class no" in remark.text
    assert "not clearly better" in remark.text
    better = binary([0.1] * 320 + [0.9] * 80, [0] * 320 + [1] * 80)
    assert "Compare the accuracy" in remarks(better, better)[0].text


def test_a_class_without_test_samples_is_named():
    test = binary([0.1] * 400, [0] * 400)
    assert "No test sample is of class yes" in remarks(GOOD, test)[0].text


def test_remarks_follow_the_threshold():
    half = binary([0.1] * 20 + [0.9] * 20, [0] * 20 + [1] * 20)
    low = next(r for r in remarks(GOOD, half, 0.95) if r.about == "few samples")
    assert "between 35% and 65%" in low.text


def test_regression_remarks():
    targets = np.linspace(-1, 1, 50)
    good = regression(targets + 0.01, targets)
    assert about(good, good) == []
    worse = regression(targets + 0.2 * (-1) ** np.arange(50), targets)
    assert about(good, worse) == ["gap"]
    assert about(worse, regression(np.zeros(50) + 5, targets)) == ["gap", "balance"]
    few = regression([0.0, 1.0], [0.01, 1.01])
    assert "With 2 test samples" in remarks(few, few)[0].text
    one = regression([0.0], [0.0])
    assert "With 1 test sample," in remarks(good, one)[0].text


def test_reports_of_two_tasks_are_not_compared():
    with pytest.raises(ConfigError, match="same task"):
        remarks(GOOD, regression([0.0], [1.0]))
