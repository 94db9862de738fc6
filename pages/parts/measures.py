"""The numbers of a report as rows of a table, in words for people. Nothing here knows Streamlit."""

from __future__ import annotations

import math

from nnkit.evaluation import ClassificationReport, RegressionReport, Report
from nnkit.settings import LOSS_RULES
from pages.parts.status import number

Row = tuple[str, ...]  # measure, what it says, on training data, on test data


def rows(train: Report, test: Report, *, loss: str, threshold: float = 0.5) -> list[Row]:
    """Every number on training and test data, as text; "–" where it is not defined."""
    title = LOSS_RULES[loss].title
    samples = f"{len(train.data):,}", f"{len(test.data):,}"
    losses = number(train.loss), number(test.loss)
    first = [
        ("Points", "", *samples),
        ("Loss", f"{title}; without penalties, less is better", *losses),
    ]
    if isinstance(train, ClassificationReport) and isinstance(test, ClassificationReport):
        return first + _classification(train, test, threshold)
    assert isinstance(train, RegressionReport) and isinstance(test, RegressionReport)
    return first + _regression(train, test)


def _classification(
    train: ClassificationReport, test: ClassificationReport, threshold: float
) -> list[Row]:
    reports = (train, test)
    decided = [report.at(threshold) for report in reports]
    scores = [decisions.scores for decisions in decided]
    if test.data.classes == 2:
        it, mean = f"class {test.data.class_names[1]}", ""
    else:
        it, mean = "a class", "Mean "
    return [
        ("Accuracy", "share of points given their class", *(_percent(d.accuracy) for d in decided)),
        ("– likely within", "95% confidence: few points, wide range",
         *(_range(*d.interval) for d in decided)),
        ("– of a constant", "always answering the most frequent class",
         *(_percent(r.baseline) for r in reports)),
        (f"{mean}Precision".capitalize(), f"of those called {it}, how many are",
         *(_percent(s.precision) for s in scores)),
        (f"{mean}Recall".capitalize(), f"of those that are {it}, how many are found",
         *(_percent(s.recall) for s in scores)),
        (f"{mean}F1", "precision and recall in one", *(_percent(s.f1) for s in scores)),
        (f"{mean}ROC area", f"how often {it} scores above another",
         *(_plain(r.area) for r in reports)),
        ("Calibration error", "how far probabilities are off",
         *(_percent(r.calibration_error) for r in reports)),
    ]  # fmt: skip


def _regression(train: RegressionReport, test: RegressionReport) -> list[Row]:
    reports = (train, test)
    return [
        ("R²", "share of the variation explained; the mean alone has 0",
         *(_plain(r.r2) for r in reports)),
        ("RMSE", "root of the mean squared error, in units of the target",
         *(number(r.rmse) for r in reports)),
        ("– of a constant", "always answering the mean target",
         *(number(r.baseline) for r in reports)),
        ("MAE", "mean absolute error: outliers weigh less", *(number(r.mae) for r in reports)),
        ("Bias", "mean residual; above 0, predictions are too low",
         *(number(r.bias) for r in reports)),
    ]  # fmt: skip


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def _range(low: float, high: float) -> str:
    return f"{100 * low:.0f}\u2060–\u2060{100 * high:.0f}%"  # not to be broken at the dash


def _plain(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
