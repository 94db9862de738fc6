"""Honest numbers on a trained network: how right it is, on which samples, and how sure of it.

`evaluate` measures a network on one data set; call it for training and for test data and compare
the two. What hangs on the threshold comes from `ClassificationReport.at`, without predicting anew.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from . import metrics
from .assembly import make_loss, mean_loss, targets_for
from .datasets import Dataset
from .errors import ConfigError, DataError
from .experiment import Experiment
from .metrics import CalibrationCurve, FloatArray, IntArray, RocCurve
from .predictor import Predictor, check_order

CALIBRATION_BINS = 10


class ClassScores(NamedTuple):
    """Precision, recall and F1 of a class, and how many samples are of it (`support`)."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Decisions:
    """Which class each sample was given, and how right that was.

    Attributes:
        predicted: (n,) class given.
        actual: (n,) class it is of.
        classes: the number of classes.

    >>> decisions = Decisions(np.array([1, 0, 1, 0]), np.array([1, 0, 0, 0]), 2)
    >>> decisions.matrix
    array([[2, 1],
           [0, 1]])
    >>> decisions.accuracy, decisions.scores.precision, decisions.samples(0, 1)
    (0.75, 0.5, array([2]))
    """

    predicted: IntArray
    actual: IntArray
    classes: int

    @property
    def matrix(self) -> IntArray:
        """Confusion matrix (C, C): entry [i, j] is the samples of class i that were given j."""
        return metrics.confusion_matrix(self.predicted, self.actual, classes=self.classes)

    @property
    def accuracy(self) -> float:
        """Share of samples that were given their class."""
        return metrics.accuracy(self.predicted, self.actual)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy; see `wilson_interval`."""
        return wilson_interval(int(np.sum(self.predicted == self.actual)), len(self.actual))

    @property
    def scores(self) -> ClassScores:
        """Of class 1 where there are two, else the mean over the classes that occur (macro)."""
        each = self.by_class
        if self.classes == 2:
            return each[1]
        given = np.bincount(self.predicted, minlength=self.classes)
        rows = [row for row, count in zip(each, given, strict=True) if row.support or count]
        precision, recall, f1 = np.mean([row[:3] for row in rows], axis=0).tolist()
        return ClassScores(precision, recall, f1, len(self.actual))

    @property
    def by_class(self) -> tuple[ClassScores, ...]:
        """Of each class against the rest; 0.0 where there is nothing to divide by."""
        matrix = self.matrix
        hits, given, support = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        return tuple(
            ClassScores(float(p), float(r), float(f), int(n))
            for p, r, f, n in zip(
                hits / np.maximum(given, 1),
                hits / np.maximum(support, 1),
                2 * hits / np.maximum(given + support, 1),
                support,
                strict=True,
            )
        )

    def samples(self, actual: int, predicted: int) -> IntArray:
        """Rows of the samples of one class that were given another, or the same."""
        return np.flatnonzero((self.actual == actual) & (self.predicted == predicted))


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """What a network makes of classified data.

    Attributes:
        data: the data it was measured on.
        loss: the mean loss it was trained with, without penalties.
        probabilities: float64; of class 1, shape (n,), where there are two classes, else of
            every class, (n, classes).
    """

    data: Dataset
    loss: float
    probabilities: FloatArray

    def at(self, threshold: float = 0.5) -> Decisions:
        """The decisions at a threshold, from 0 to 1.

        Of two classes, 1 is given where its probability >= threshold. Of several, the likeliest
        is given, and the threshold is not used.
        """
        if self.probabilities.ndim == 1:
            predicted = (self.probabilities >= threshold).astype(np.int64)
        else:
            predicted = self.probabilities.argmax(axis=1)
        return Decisions(predicted, self.data.targets, self.data.classes)

    def against_rest(self, label: int) -> ClassificationReport:
        """The same network seen as asked one question: is it this class (1) or another (0)?

        Raises:
            ConfigError: there is no such class.
        """
        if not 0 <= label < self.data.classes:
            raise ConfigError("label", f"must be from 0 to {self.data.classes - 1}, got {label!r}")
        columns = self.probabilities
        if columns.ndim == 1:
            columns = np.stack((1 - columns, columns), axis=1)
        name = self.data.class_names[label]
        data = dataclasses.replace(
            self.data, targets=self.data.targets == label, class_names=(f"not {name}", name)
        )
        return ClassificationReport(data, self.loss, columns[:, label])

    @property
    def roc(self) -> RocCurve:
        """True against false positive rate of class 1, of two; see `metrics.roc_curve`.

        Raises:
            ConfigError: several classes, each of which has its own: ask `against_rest`.
        """
        return metrics.roc_curve(self.probabilities, self.data.targets)

    @property
    def area(self) -> float:
        """Area under the ROC curve; of several classes the mean. NaN where it is not defined."""
        return metrics.roc_auc(self.probabilities, self.data.targets)

    @property
    def calibration(self) -> CalibrationCurve:
        """Observed share over predicted probability, in ten bins.

        Of two classes, the share and the probability of class 1. Of several, how often the
        likeliest class is right, over its probability (Guo et al., 2017).
        """
        if self.probabilities.ndim == 1:
            sure, right = self.probabilities, self.data.targets
        else:
            sure = self.probabilities.max(axis=1)
            right = (self.at().predicted == self.data.targets).astype(np.int64)
        return metrics.calibration_curve(sure, right, bins=CALIBRATION_BINS)

    @property
    def calibration_error(self) -> float:
        """Mean distance of `calibration` from the diagonal, each bin counted by its samples.

        The expected calibration error of Naeini, Cooper and Hauskrecht (2015).
        """
        curve = self.calibration
        distance = np.abs(curve.prob_true - curve.prob_pred)
        return float(np.average(distance, weights=curve.counts))

    @property
    def baseline(self) -> float:
        """The accuracy of always giving the most frequent class."""
        return float(np.bincount(self.data.targets).max() / len(self.data))


@dataclass(frozen=True, eq=False)
class RegressionReport:
    """What a network makes of data with numbers to predict.

    Attributes:
        data: the data it was measured on.
        loss: the mean loss it was trained with, without penalties.
        predictions: (n,) float64.
    """

    data: Dataset
    loss: float
    predictions: FloatArray

    @property
    def residuals(self) -> FloatArray:
        """(n,) target minus prediction."""
        return np.asarray(self.data.targets - self.predictions)

    @property
    def r2(self) -> float:
        """1 for a perfect fit, 0 for one as good as the mean; NaN for a single sample."""
        return metrics.r2_score(self.predictions, self.data.targets)

    @property
    def rmse(self) -> float:
        """Root of the mean squared residual, in the units of the target."""
        return metrics.root_mean_squared_error(self.predictions, self.data.targets)

    @property
    def mae(self) -> float:
        """Mean absolute residual, in the units of the target."""
        return metrics.mean_absolute_error(self.predictions, self.data.targets)

    @property
    def bias(self) -> float:
        """Mean residual: above 0 where predictions are too low as a whole."""
        return float(self.residuals.mean())

    @property
    def baseline(self) -> float:
        """The RMSE of always predicting the mean: the standard deviation of the targets."""
        return float(np.std(self.data.targets, dtype=np.float64))


Report = ClassificationReport | RegressionReport


def evaluate(model: Experiment | Predictor, data: Dataset) -> Report:
    """Measure a network, as it is now, on a data set.

    Raises:
        ConfigError: data for another task.
        DataError: classes the network does not know, or outputs that are not finite.
        ShapeError: another number of inputs than the network takes.

    >>> from nnkit.config import ExperimentConfig
    >>> experiment = Experiment(ExperimentConfig(dataset="circle", noise=0))
    >>> for epoch in experiment.run(epochs=40):
    ...     pass
    >>> report = evaluate(experiment, experiment.test_data)
    >>> report.at(0.5).accuracy > 0.9, report.area > 0.95
    (True, True)
    >>> report.at(0.5).accuracy == experiment.latest.test_score
    True
    """
    predictor = model.predictor if isinstance(model, Experiment) else model
    config = predictor.config
    if data.task != config.task:
        raise ConfigError("task", f"is {config.task}, and the data are for {data.task}")
    if data.classes != len(predictor.class_names):
        raise DataError(
            f"the network knows the classes {', '.join(predictor.class_names)}; "
            f"the data have {', '.join(data.class_names)}"
        )
    check_order(predictor, data)
    logits = predictor.logits(data.inputs)
    lost = int(np.count_nonzero(~np.isfinite(logits).all(axis=1)))
    if lost:
        raise DataError(
            f"the network's output is not finite for {lost} of {len(data)} samples; "
            "standardize the inputs or lower the learning rate"
        )
    kind = config.loss
    loss = mean_loss(make_loss(kind), logits, targets_for(kind, data))
    # float64, where a sigmoid of 20 is not yet 1: the order of very sure samples is kept.
    answers = predictor.read(logits.astype(np.float64))
    if data.task == "regression":
        return RegressionReport(data, loss, answers)
    if data.classes == 2 and answers.ndim == 2:
        both = answers.sum(axis=1)
        answers = np.where(both > 0, answers[:, 1] / np.where(both > 0, both, 1), 0.5)
    return ClassificationReport(data, loss, answers)


def wilson_interval(hits: int, samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share that was seen as `hits` of `samples`, by the score test.

    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n) with p = hits / n. It stays within
    0 … 1 and holds for few samples and for shares near 0 and 1 (Wilson, 1927; recommended by
    Brown, Cai and DasGupta, 2001).

    Raises:
        ConfigError: no samples, more hits than samples, a confidence not between 0 and 1.

    >>> [round(bound, 3) for bound in wilson_interval(9, 10)]
    [0.596, 0.982]
    """
    if samples < 1 or not 0 <= hits <= samples:
        raise ConfigError("hits", f"must be from 0 to the samples, got {hits} of {samples}")
    if not 0 < confidence < 1:
        raise ConfigError("confidence", f"must be above 0 and below 1, got {confidence!r}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = hits / samples, z * z / samples
    middle = share + spread / 2
    half = z * ((share * (1 - share) + spread / 4) / samples) ** 0.5
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(0.0, low) if hits else 0.0, min(1.0, high) if hits < samples else 1.0
