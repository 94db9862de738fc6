"""Metrics against values computed with scikit-learn 1.9, by hand, and by definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.errors import ConfigError, DataError, ShapeError
from nnkit.metrics import (
    accuracy,
    calibration_curve,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision,
    r2_score,
    recall,
    roc_auc,
    roc_curve,
    root_mean_squared_error,
)

PROBABILITIES = [0.1, 0.9, 0.8, 0.35, 0.35, 0.6, 0.05, 0.5, 0.72, 0.35, 0.2, 0.95]
TARGETS = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1]

SCORES = [
    [0.7, 0.2, 0.1],
    [0.1, 0.6, 0.3],
    [0.3, 0.3, 0.4],
    [0.5, 0.4, 0.1],
    [0.2, 0.2, 0.6],
    [0.1, 0.8, 0.1],
    [0.4, 0.35, 0.25],
    [0.05, 0.15, 0.8],
    [0.6, 0.1, 0.3],
    [0.25, 0.5, 0.25],
]
CLASSES = [0, 1, 2, 1, 2, 1, 2, 2, 0, 0]

# threshold: accuracy, confusion, (precision, recall, F1), the same three as macro, F1 of class 0
BINARY = {
    0.5: (
        0.75,
        [[4, 1], [2, 5]],
        (0.8333333333333334, 0.7142857142857143, 0.7692307692307693),
        (0.75, 0.7571428571428571, 0.7482517482517483),
        0.7272727272727273,
    ),
    0.7: (
        0.75,
        [[5, 0], [3, 4]],
        (1.0, 0.5714285714285714, 0.7272727272727273),
        (0.8125, 0.7857142857142857, 0.7482517482517483),
        0.7692307692307693,
    ),
}
RULES = (precision, recall, f1_score)

binary_cases = st.lists(
    st.tuples(st.sampled_from(np.linspace(0, 1, 9).tolist()), st.integers(0, 1)), min_size=1
)


class Wrapped:
    """Stands for a tensor: something NumPy can read through `__array__`."""

    def __init__(self, values: object) -> None:
        self.values = values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize("threshold", BINARY)
def test_binary_against_scikit_learn(threshold):
    share, matrix, single, macro, negative = BINARY[threshold]
    assert accuracy(PROBABILITIES, TARGETS, threshold) == share
    assert confusion_matrix(PROBABILITIES, TARGETS, threshold).tolist() == matrix
    for rule, expected, mean in zip(RULES, single, macro, strict=True):
        assert rule(PROBABILITIES, TARGETS, threshold) == pytest.approx(expected, rel=1e-12)
        value = rule(PROBABILITIES, TARGETS, threshold, average="macro")
        assert value == pytest.approx(mean, rel=1e-12)
    assert f1_score(PROBABILITIES, TARGETS, threshold, label=0) == pytest.approx(negative)


def test_several_classes_against_scikit_learn():
    assert accuracy(SCORES, CLASSES) == 0.7
    assert confusion_matrix(SCORES, CLASSES).tolist() == [[2, 1, 0], [1, 2, 0], [1, 0, 3]]
    per_class = (
        (0.5, 0.6666666666666666, 1.0),
        (0.6666666666666666, 0.6666666666666666, 0.75),
        (0.5714285714285714, 0.6666666666666666, 0.8571428571428571),
    )
    macro = (0.7222222222222222, 0.6944444444444443, 0.6984126984126985)
    for rule, each, mean in zip(RULES, per_class, macro, strict=True):
        found = [rule(SCORES, CLASSES, label=label) for label in range(3)]
        assert found == pytest.approx(each, rel=1e-12)
        assert rule(SCORES, CLASSES, average="macro") == pytest.approx(mean, rel=1e-12)
    areas = (0.8571428571428571, 0.9523809523809524, 0.8958333333333334)
    found = [roc_auc(SCORES, CLASSES, label=label) for label in range(3)]
    assert found == pytest.approx(areas, rel=1e-12)
    assert roc_auc(SCORES, CLASSES) == pytest.approx(0.9017857142857143, rel=1e-12)


def test_roc_curve_against_scikit_learn():
    false, true, thresholds = roc_curve(PROBABILITIES, TARGETS)
    sevenths = [0, 1, 2, 3, 4, 4, 5, 6, 7, 7, 7]
    assert false == pytest.approx([0, 0, 0, 0, 0, 0.2, 0.2, 0.6, 0.6, 0.8, 1])
    assert true == pytest.approx(np.array(sevenths) / 7)
    expected = [math.inf, 0.95, 0.9, 0.8, 0.72, 0.6, 0.5, 0.35, 0.2, 0.1, 0.05]
    assert thresholds.tolist() == expected
    assert roc_auc(PROBABILITIES, TARGETS) == pytest.approx(0.8285714285714285, rel=1e-12)


def test_calibration_curve_against_scikit_learn():
    true, predicted, counts = calibration_curve(PROBABILITIES, TARGETS, bins=5)
    assert true == pytest.approx([1 / 3, 1 / 3, 0.5, 1, 1])
    assert predicted == pytest.approx([0.11666666666666668, 0.35, 0.55, 0.76, 0.925])
    assert counts.tolist() == [3, 3, 2, 2, 2]


def test_regression_against_scikit_learn():
    targets = np.array([0.2, -1.0, 3.5, 0.7, 2.0])
    predictions = np.array([0.1, -0.8, 3.0, 1.2, 2.5])
    assert r2_score(predictions, targets) == pytest.approx(0.9330431871442919, rel=1e-12)
    assert mean_absolute_error(predictions, targets) == pytest.approx(0.36, rel=1e-12)
    assert mean_squared_error(predictions, targets) == pytest.approx(0.16, rel=1e-12)
    assert root_mean_squared_error(predictions, targets) == pytest.approx(0.4, rel=1e-12)
    both = np.column_stack((predictions, 2 * predictions))
    actual = np.column_stack((targets, targets**2))
    assert r2_score(both, actual) == pytest.approx(0.7239345544789689, rel=1e-12)
    assert mean_absolute_error(both, actual) == pytest.approx(1.372, rel=1e-12)
    assert mean_squared_error(both, actual) == pytest.approx(5.12962, rel=1e-12)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("target_shape", [(-1,), (-1, 1)])
@pytest.mark.parametrize("wrap", [np.array, Wrapped, list])
def test_shapes_and_kinds_give_the_same(shape, target_shape, wrap):
    probabilities = wrap(np.array(PROBABILITIES, dtype=np.float32).reshape(shape))
    targets = wrap(np.array(TARGETS, dtype=np.float32).reshape(target_shape))
    assert accuracy(probabilities, targets) == 0.75
    assert roc_auc(probabilities, targets) == pytest.approx(0.8285714285714285)
    assert len(calibration_curve(probabilities, targets).counts) == 9
    assert mean_squared_error(probabilities, probabilities) == 0.0
    assert r2_score(probabilities, wrap(np.array(PROBABILITIES).reshape(target_shape))) > 0.999


def test_class_indices_one_hot_and_scores_agree():
    one_hot = np.eye(3)[CLASSES]
    indices = np.argmax(SCORES, axis=1)
    for predictions in (SCORES, indices, indices[:, np.newaxis]):
        for targets in (CLASSES, one_hot, np.array(CLASSES)[:, np.newaxis]):
            assert accuracy(predictions, targets) == 0.7
            assert confusion_matrix(predictions, targets)[2].tolist() == [1, 0, 3]
    two = np.column_stack((1 - np.array(PROBABILITIES), PROBABILITIES))
    assert accuracy(two, np.eye(2)[TARGETS]) == 8 / 12, "the tie goes to the first class"
    assert roc_auc(two, TARGETS) == roc_auc(PROBABILITIES, TARGETS)
    assert roc_auc(two, TARGETS, label=0) == roc_auc(PROBABILITIES, TARGETS, label=0)
    below, above = (calibration_curve(two, TARGETS, bins=3, label=label) for label in (0, 1))
    assert below.prob_pred == pytest.approx(1 - above.prob_pred[::-1])


def test_threshold_includes_its_own_value_and_suits_logits():
    assert accuracy([0.5], [1]) == 1.0
    assert accuracy([[-2.0], [0.3], [-0.1]], [0, 1, 1], threshold=0.0) == 2 / 3
    assert accuracy([math.inf, -math.inf], [1, 0]) == 1.0


def test_where_a_measure_is_not_defined():
    assert precision([0.1, 0.2], [1, 0]) == 0.0
    assert recall([0.9, 0.2], [0, 0]) == 0.0
    assert f1_score([0.1, 0.2], [0, 0]) == 0.0
    assert f1_score([0, 0], [0, 0], average="macro") == 1.0, "class 1 is nowhere: left out"
    assert math.isnan(roc_auc([0.1, 0.9], [1, 1]))
    assert math.isnan(roc_auc([0.1, 0.9], [0, 0]))
    curve = roc_curve([0.1, 0.9], [1, 1])
    assert np.isnan(curve.false_positive_rate).all()
    assert curve.true_positive_rate.tolist() == [0.0, 0.5, 1.0]
    assert roc_auc(SCORES, [0] * 5 + [1] * 5) == pytest.approx(
        np.mean([roc_auc(SCORES, [0] * 5 + [1] * 5, label=label) for label in (0, 1)])
    ), "class 2 is nowhere: left out"
    assert math.isnan(roc_auc(SCORES, [0] * 10))
    assert r2_score([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert r2_score([2.0, 3.0], [2.0, 2.0]) == 0.0
    assert r2_score([0.1] * 3, [0.1] * 3) == 1.0, "the mean of 0.1s is not quite 0.1"
    assert r2_score([0.0, 0.0], [0.0, 1e-200]) == 1.0, "squares too small for float64"
    assert math.isnan(r2_score([2.0], [2.0]))


def test_nan_goes_through_numbers_and_is_refused_by_arrays():
    spoiled = [math.nan, 0.7]
    for measure in (accuracy, precision, recall, f1_score, roc_auc):
        assert math.isnan(measure(spoiled, [0, 1]))
    for measure in (mean_squared_error, mean_absolute_error, root_mean_squared_error, r2_score):
        assert math.isnan(measure(spoiled, [0.0, 1.0]))
    for measure in (confusion_matrix, roc_curve, calibration_curve):
        with pytest.raises(DataError):
            measure(spoiled, [0, 1])


@pytest.mark.parametrize("measure", [accuracy, f1_score, roc_auc, mean_squared_error, r2_score])
def test_what_does_not_fit_is_refused(measure):
    with pytest.raises(ShapeError):
        measure([0.1, 0.2], [0, 1, 1])
    with pytest.raises(ShapeError):
        measure(np.zeros((2, 3)), np.eye(4)[:2])
    with pytest.raises(ShapeError):
        measure(np.zeros((2, 2, 1)), [0, 1])
    with pytest.raises(ShapeError):
        measure(0.5, 1)
    with pytest.raises(DataError):
        measure([], [])
    with pytest.raises(DataError):
        measure(["a"], [1])


@pytest.mark.parametrize("targets", [[0, 2], [0, -1], [0, 0.5], [0, math.nan], [0, math.inf]])
def test_impossible_labels_are_refused(targets):
    for measure in (accuracy, confusion_matrix, precision, roc_curve, calibration_curve):
        with pytest.raises(DataError):
            measure([0.1, 0.2], targets)


def test_settings_are_checked():
    with pytest.raises(DataError):
        accuracy(SCORES[:1], [[0, 1, 1]])
    with pytest.raises(DataError):
        calibration_curve([1.5, 0.1], [1, 0])
    with pytest.raises(ConfigError, match="bins"):
        calibration_curve([0.5], [1], bins=0)
    for measure in (precision, recall, f1_score, roc_curve, calibration_curve):
        with pytest.raises(ConfigError, match="label"):
            measure(SCORES, CLASSES)
        with pytest.raises(ConfigError, match="label"):
            measure(SCORES, CLASSES, label=3)
    with pytest.raises(ConfigError, match="average"):
        precision(SCORES, CLASSES, average="micro")
    with pytest.raises(ConfigError, match="classes"):
        confusion_matrix(SCORES, CLASSES, classes=2)
    assert confusion_matrix([0.1], [0], classes=3).shape == (3, 3)


@given(binary_cases)
def test_roc_auc_is_how_often_a_positive_scores_higher(cases):
    scores, targets = map(np.array, zip(*cases, strict=True))
    gaps = scores[targets == 1][:, np.newaxis] - scores[targets == 0]
    area = roc_auc(scores, targets)
    if gaps.size:
        assert area == pytest.approx(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
    else:
        assert math.isnan(area)


@given(binary_cases, st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]))
def test_binary_measures_follow_from_the_confusion_matrix(cases, threshold):
    scores, targets = zip(*cases, strict=True)
    matrix = confusion_matrix(scores, targets, threshold)
    (_, false_positive), (false_negative, hits) = matrix.tolist()
    assert matrix.sum() == len(cases)
    assert accuracy(scores, targets, threshold) == pytest.approx(np.trace(matrix) / len(cases))
    p, r = precision(scores, targets, threshold), recall(scores, targets, threshold)
    assert p == pytest.approx(hits / (hits + false_positive) if hits else 0.0)
    assert r == pytest.approx(hits / (hits + false_negative) if hits else 0.0)
    harmonic = 2 * p * r / (p + r) if hits else 0.0
    assert f1_score(scores, targets, threshold) == pytest.approx(harmonic)


@given(binary_cases, st.integers(1, 12))
def test_calibration_counts_every_sample_once(cases, bins):
    scores, targets = zip(*cases, strict=True)
    true, predicted, counts = calibration_curve(scores, targets, bins=bins)
    assert counts.sum() == len(cases) and (counts > 0).all() and len(counts) <= bins
    assert true @ counts == pytest.approx(sum(targets))
    assert predicted @ counts == pytest.approx(sum(scores))


def test_nothing_given_is_changed():
    scores, targets = np.array(SCORES), np.array(CLASSES)
    before = scores.copy(), targets.copy()
    roc_auc(scores, targets)
    f1_score(scores, targets, average="macro")
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(targets, before[1])
