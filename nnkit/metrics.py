"""Measures of what a network gets right, in plain NumPy.

Every function takes predictions first and targets second, as the losses do, and anything NumPy
can read as an array (tensors too). Computation is in float64.

- Binary: predictions (n,) or (n, 1), scores such as probabilities; class 1 is predicted where
  score >= threshold. Use threshold=0 for logits. Targets are 0 or 1.
- Several classes: predictions (n, C), a score a class; the largest wins, of equal ones the
  first, and `threshold` is not used. Targets are class indices, or one-hot rows (n, C).
- Predictions of whole-number (or bool) dtype and shape (n,) or (n, 1) are class indices already.
- Regression: (n,), (n, 1) or (n, k); (n,) goes with (n, 1), other shapes must be equal, and
  nothing is broadcast.

A prediction that is NaN makes a single number NaN; what returns arrays refuses it. Data that do
not fit together raise `ShapeError`; no samples, or impossible labels, `DataError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nnkit.errors import ConfigError, DataError, ShapeError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Average = Literal["binary", "macro"]


class RocCurve(NamedTuple):
    """Rates (m,) at falling thresholds (m,); the first threshold is inf, above every score."""

    false_positive_rate: FloatArray
    true_positive_rate: FloatArray
    thresholds: FloatArray


class CalibrationCurve(NamedTuple):
    """For each bin that is not empty: share of positives, mean probability, samples."""

    prob_true: FloatArray
    prob_pred: FloatArray
    counts: IntArray


# --- classification --------------------------------------------------------------------------


def accuracy(predictions: npt.ArrayLike, targets: npt.ArrayLike, threshold: float = 0.5) -> float:
    """Share of samples whose predicted class is the target.

    >>> accuracy([[0.9], [0.2], [0.6]], [[1], [0], [0]])
    0.6666666666666666
    >>> accuracy([[2.0, 1.0, 0.0], [0.1, 0.2, 0.3]], [0, 2])
    1.0
    """
    predicted, actual, _ = _class_indices(predictions, targets, threshold)
    if predicted is None:
        return float("nan")
    return float(np.mean(predicted == actual))


def confusion_matrix(
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    threshold: float = 0.5,
    *,
    classes: int | None = None,
) -> IntArray:
    """Counts (C, C): entry [i, j] is the samples of class i that were predicted as j.

    C is the number of columns of predictions or one-hot targets, else the largest class index
    seen plus one, at least 2; `classes` makes it larger.

    >>> confusion_matrix([0.9, 0.2, 0.6, 0.1], [1, 0, 0, 0])
    array([[2, 1],
           [0, 1]])
    """
    predicted, actual, count = _class_indices(predictions, targets, threshold)
    if predicted is None:
        raise DataError("predictions hold NaN: they belong to no class")
    if classes is not None:
        if classes < count:
            raise ConfigError("classes", f"must be at least the {count} seen, got {classes}")
        count = classes
    return np.bincount(actual * count + predicted, minlength=count * count).reshape(count, count)


def precision(
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    threshold: float = 0.5,
    *,
    average: Average = "binary",
    label: int | None = None,
) -> float:
    """TP / (TP + FP): of what was predicted as a class, the share that is of it.

    0.0 where nothing was predicted as the class.

    Args:
        average: "binary" measures class 1 and needs two classes; "macro" is the plain mean
            over the classes that occur in targets or predictions.
        label: measures this class against the rest instead.

    Raises:
        ConfigError: "binary" with more than two classes, an unknown average or label.

    >>> precision([0.9, 0.2, 0.6, 0.1], [1, 0, 0, 0])
    0.5
    """
    return _score(_precision, predictions, targets, threshold, average, label)


def recall(
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    threshold: float = 0.5,
    *,
    average: Average = "binary",
    label: int | None = None,
) -> float:
    """TP / (TP + FN): of what is of a class, the share that was predicted as it.

    0.0 where no target is of the class. Arguments and errors as in `precision`.

    >>> recall([0.9, 0.2, 0.6, 0.1], [1, 0, 0, 1])
    0.5
    """
    return _score(_recall, predictions, targets, threshold, average, label)


def f1_score(
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    threshold: float = 0.5,
    *,
    average: Average = "binary",
    label: int | None = None,
) -> float:
    """2 TP / (2 TP + FP + FN): the harmonic mean of precision and recall.

    0.0 where the class occurs in neither targets nor predictions. Arguments and errors as in
    `precision`; "macro" is the mean of the classes' F1.

    >>> f1_score([0.9, 0.2, 0.6, 0.1], [1, 0, 0, 0])
    0.6666666666666666
    >>> f1_score([0, 1, 2, 2], [0, 1, 1, 2], average="macro")
    0.7777777777777777
    """
    return _score(_f1, predictions, targets, threshold, average, label)


def roc_curve(
    predictions: npt.ArrayLike, targets: npt.ArrayLike, *, label: int | None = None
) -> RocCurve:
    """True against false positive rate, one point for each different score and one at (0, 0).

    At a threshold t a sample counts as positive where score >= t. Without positives the true
    positive rate is NaN, without negatives the false positive rate.

    Args:
        label: the class taken as positive; 1 when left out and there are two classes. Where
            predictions have one column, the scores of class 0 are 1 - score.

    Raises:
        DataError: scores that are NaN.
        ConfigError: more than two classes and no label.

    >>> curve = roc_curve([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    >>> curve.false_positive_rate, curve.true_positive_rate
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    >>> curve.thresholds
    array([ inf, 0.8 , 0.4 , 0.35, 0.1 ])
    """
    scores, positive = _binary_scores(predictions, targets, label)
    if np.isnan(scores).any():
        raise DataError("scores hold NaN: they cannot be put in order")
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    true = np.append(0, np.cumsum(positive)[last])
    false = np.append(0, last + 1) - true
    with np.errstate(invalid="ignore"):
        return RocCurve(false / false[-1], true / true[-1], np.append(np.inf, scores[last]))


def roc_auc(
    predictions: npt.ArrayLike, targets: npt.ArrayLike, *, label: int | None = None
) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    With several classes and no label, the plain mean over the classes, each against the rest
    (macro). NaN where it is not defined: only positives, only negatives, a score that is NaN;
    classes for which it is not defined are left out of the mean.

    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    array = _numbers("predictions", predictions)
    if np.isnan(array).any():
        return float("nan")
    columns = array.shape[1] if array.ndim == 2 else 1
    if columns > 2 and label is None:
        areas = [_area(roc_curve(array, targets, label=column)) for column in range(columns)]
        defined = [area for area in areas if not np.isnan(area)]
        return float(np.mean(defined)) if defined else float("nan")
    return _area(roc_curve(array, targets, label=label))


def calibration_curve(
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    bins: int = 10,
    label: int | None = None,
) -> CalibrationCurve:
    """Do 70 % of the samples given 0.7 turn out positive? Observed share against prediction.

    Probabilities are put into equally wide bins, ((i - 1) / bins, i / bins], with 0 in the
    first; empty bins are left out.

    Raises:
        DataError: predictions outside 0 … 1.
        ConfigError: fewer than one bin; more than two classes and no label.

    >>> calibration_curve([0.1, 0.2, 0.9, 0.8], [0, 1, 1, 1], bins=2)._asdict()
    {'prob_true': array([0.5, 1. ]), 'prob_pred': array([0.15, 0.85]), 'counts': array([2, 2])}
    """
    if bins < 1:
        raise ConfigError("bins", f"must be at least 1, got {bins!r}")
    probabilities, positive = _binary_scores(predictions, targets, label)
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise DataError("probabilities must lie between 0 and 1; apply sigmoid or softmax first")
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    where = np.searchsorted(edges, probabilities)
    counts = np.bincount(where, minlength=bins)
    filled = counts > 0
    counts = counts[filled]
    return CalibrationCurve(
        np.bincount(where, positive, bins)[filled] / counts,
        np.bincount(where, probabilities, bins)[filled] / counts,
        counts,
    )


# --- regression ------------------------------------------------------------------------------


def mean_squared_error(predictions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """mean((prediction - target)²) over all entries.

    >>> mean_squared_error([1.0, 2.0], [[1.0], [4.0]])
    2.0
    """
    predicted, actual = _paired(predictions, targets)
    return float(np.mean(np.square(predicted - actual)))


def root_mean_squared_error(predictions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """The square root of `mean_squared_error`, in the units of the target.

    >>> root_mean_squared_error([3.0, 4.0], [0.0, 1.0])
    3.0
    """
    return float(np.sqrt(mean_squared_error(predictions, targets)))


def mean_absolute_error(predictions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """mean(|prediction - target|) over all entries.

    >>> mean_absolute_error([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    predicted, actual = _paired(predictions, targets)
    return float(np.mean(np.abs(predicted - actual)))


def r2_score(predictions: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """R² = 1 - Σ(prediction - target)² / Σ(target - mean target)².

    1 is perfect, 0 is as good as always predicting the mean, and worse is below 0. Where all
    targets are the same it is 1.0 if every prediction is exact, else 0.0; for a single sample
    it is NaN. With several outputs, the mean of their R².

    >>> r2_score([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    predicted, actual = _paired(predictions, targets)
    if len(actual) < 2 or np.isnan(predicted).any():
        return float("nan")
    residual = np.square(predicted - actual).sum(axis=0)
    total = np.square(actual - actual.mean(axis=0)).sum(axis=0)
    # Rounding of the mean can leave a constant column a tiny total, so equality decides.
    constant = (actual == actual[0]).all(axis=0) | (total == 0)
    scores = 1.0 - residual / np.where(constant, 1.0, total)
    scores[constant] = residual[constant] == 0
    return float(np.mean(scores))


# --- helpers ---------------------------------------------------------------------------------


def _precision(hits: IntArray, predicted: IntArray, actual: IntArray) -> FloatArray:
    return np.asarray(hits / np.maximum(predicted, 1))


def _recall(hits: IntArray, predicted: IntArray, actual: IntArray) -> FloatArray:
    return np.asarray(hits / np.maximum(actual, 1))


def _f1(hits: IntArray, predicted: IntArray, actual: IntArray) -> FloatArray:
    return np.asarray(2 * hits / np.maximum(predicted + actual, 1))


def _score(
    rule: Callable[[IntArray, IntArray, IntArray], FloatArray],
    predictions: npt.ArrayLike,
    targets: npt.ArrayLike,
    threshold: float,
    average: Average,
    label: int | None,
) -> float:
    """A rule of (hits, predicted, actual) counts a class, for one class or as their mean."""
    predicted, actual, classes = _class_indices(predictions, targets, threshold)
    if predicted is None:
        return float("nan")
    counts = [
        np.bincount(members, minlength=classes)
        for members in (actual[predicted == actual], predicted, actual)
    ]
    scores = rule(counts[0], counts[1], counts[2])
    if average not in ("binary", "macro"):
        raise ConfigError("average", f"must be 'binary' or 'macro', got {average!r}")
    if label is not None or average == "binary":
        return float(scores[_positive(label, classes)])
    return float(np.mean(scores[counts[1] + counts[2] > 0]))


def _positive(label: int | None, classes: int) -> int:
    if label is None and classes > 2:
        raise ConfigError(
            "label", f"must say which of the {classes} classes counts as positive (or use macro)"
        )
    if label is None:
        return 1
    if not 0 <= label < classes:
        raise ConfigError("label", f"must be from 0 to {classes - 1}, got {label!r}")
    return label


def _class_indices(
    predictions: npt.ArrayLike, targets: npt.ArrayLike, threshold: float
) -> tuple[IntArray | None, IntArray, int]:
    """Predicted and actual class (n,) and the number of classes; no predictions if some are NaN."""
    scores = _numbers("predictions", predictions)
    given = np.asarray(predictions).dtype.kind in "biu"
    if scores.ndim == 2 and scores.shape[1] > 1:
        classes, predicted = scores.shape[1], scores.argmax(axis=1)
    elif given:
        predicted = _labels("predictions", scores)
        classes = 0
    else:
        classes, predicted = 2, (_flat(scores) >= threshold).astype(np.int64)
    actual, classes = _actual(targets, len(scores), classes)
    if np.isnan(scores).any():
        return None, actual, classes
    return predicted, actual, max(classes, int(predicted.max()) + 1)


def _binary_scores(
    predictions: npt.ArrayLike, targets: npt.ArrayLike, label: int | None
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """The positive class's scores (n,) and whether each target is of that class."""
    scores = _numbers("predictions", predictions)
    columns = scores.shape[1] if scores.ndim == 2 else 1
    actual, classes = _actual(targets, len(scores), max(2, columns))
    positive = _positive(label, classes)
    if columns > 1:
        return scores[:, positive], actual == positive
    return _flat(scores) if positive else 1.0 - _flat(scores), actual == positive


def _actual(targets: npt.ArrayLike, samples: int, classes: int) -> tuple[IntArray, int]:
    """Class indices (n,) of targets given as indices or one-hot, and the number of classes.

    `classes` is what the predictions allow, 0 if they don't say.
    """
    array = _numbers("targets", targets)
    if len(array) != samples:
        raise ShapeError(f"{samples} predictions need as many targets, got {len(array)}")
    if array.ndim == 2 and array.shape[1] > 1:
        width = array.shape[1]
        if classes not in (0, width):
            raise ShapeError(f"predictions are of {classes} classes, one-hot targets of {width}")
        if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()):
            raise DataError("one-hot targets must hold a single 1 in each row, else 0")
        return array.argmax(axis=1), width
    labels = _labels("targets", array)
    seen = int(labels.max()) + 1
    if classes and seen > classes:
        raise DataError(f"targets must be from 0 to {classes - 1}, got {seen - 1}")
    return labels, classes or max(2, seen)


def _labels(what: str, array: FloatArray) -> IntArray:
    flat = _flat(array)
    if not ((flat >= 0) & (flat == np.floor(flat)) & (flat < 1e6)).all():
        raise DataError(f"{what} must be class indices 0, 1, 2 …, got {flat[:5]}")
    return flat.astype(np.int64)


def _paired(predictions: npt.ArrayLike, targets: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both as (n, k)."""
    predicted, actual = _numbers("predictions", predictions), _numbers("targets", targets)
    columns = [array[:, np.newaxis] if array.ndim == 1 else array for array in (predicted, actual)]
    if columns[0].shape != columns[1].shape:
        raise ShapeError(
            f"predictions {predicted.shape} and targets {actual.shape} must have the same shape"
        )
    return columns[0], columns[1]


def _numbers(what: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must be numbers, got {array.dtype}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise ShapeError(f"{what} must be (n,) or (n, columns), got {array.shape}")
    if len(array) == 0:
        raise DataError(f"{what} hold no samples: there is nothing to measure")
    return array.astype(np.float64, copy=False)


def _flat(array: FloatArray) -> FloatArray:
    return array.reshape(len(array))


def _area(curve: RocCurve) -> float:
    return float(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))
