"""What a reader of a network's numbers should be told beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .errors import ConfigError
from .evaluation import ClassificationReport, Decisions, RegressionReport, Report


@dataclass(frozen=True)
class Remark:
    """Something that a reader of the numbers should know: what about, and a sentence."""

    about: Literal["few samples", "gap", "balance"]
    text: str


WIDE = 0.10  #: a confidence interval of the accuracy wider than this deserves a remark
UNEVEN = 0.15  #: a class that makes up so much more of the data than an even share does
FEW = 30  #: fewer samples than this do, in regression
BY_HEART = "the network has learned training samples by heart. Try more data, L2 or dropout."


def remarks(train: Report, test: Report, threshold: float = 0.5) -> tuple[Remark, ...]:
    """What should be said beside the numbers of a network, most important first.

    A gap between training and test data; test data too few to be exact; classes that are so
    uneven that accuracy alone says little, or that are not tested.

    Args:
        threshold: of the decisions, as in `ClassificationReport.at`.

    Raises:
        ConfigError: reports of two tasks.
    """
    if isinstance(train, ClassificationReport) and isinstance(test, ClassificationReport):
        seen, unseen = train.at(threshold), test.at(threshold)
        found = [_gap(train, test, seen, unseen), *_uneven(test, unseen), _inexact(unseen)]
    elif isinstance(train, RegressionReport) and isinstance(test, RegressionReport):
        found = [_regression_gap(train, test), _no_better(test), _few(test)]
    else:
        raise ConfigError("test", "must be a report of the same task as train")
    return tuple(remark for remark in found if remark)


def _gap(
    train: ClassificationReport, test: ClassificationReport, seen: Decisions, unseen: Decisions
) -> Remark | None:
    """Accuracies whose intervals lie apart, or losses that are clearly apart."""
    if seen.interval[0] > unseen.interval[1] and seen.accuracy > unseen.accuracy + 0.02:
        gap = 100 * (seen.accuracy - unseen.accuracy)
        said = f"Accuracy is {gap:.0f} points lower on test data, more than chance"
    elif test.loss > 2 * train.loss and test.loss > train.loss + 0.1:
        said = f"The loss is {_times(test.loss, train.loss)} as high on test data"
    else:
        return None
    return Remark("gap", f"{said}: {BY_HEART}")


def _regression_gap(train: RegressionReport, test: RegressionReport) -> Remark | None:
    if test.rmse <= 1.5 * train.rmse or test.rmse - train.rmse <= 0.05 * test.baseline:
        return None
    times = _times(test.rmse, train.rmse)
    return Remark("gap", f"Errors are {times} as large on test data: {BY_HEART}")


def _times(large: float, small: float) -> str:
    """How many times as large, in words that do not boast of digits."""
    ratio = large / small if small else np.inf
    return f"{ratio:.1f} times" if ratio < 100 else "over 100 times"


def _uneven(test: ClassificationReport, decisions: Decisions) -> list[Remark]:
    names = test.data.class_names
    support = [scores.support for scores in decisions.by_class]
    found = []
    missing = [name for name, count in zip(names, support, strict=True) if not count]
    if missing:
        found.append(Remark("balance", f"No test sample is of class {', '.join(missing)}."))
    if test.baseline >= 1 / len(names) + UNEVEN:
        often = names[int(np.argmax(support))]
        text = (
            f"{test.baseline:.0%} of the test samples are of class {often}, so a constant answer "
            f"is right {test.baseline:.0%} of the time. "
        )
        if decisions.interval[0] <= test.baseline:
            text += "This network is not clearly better than that."
        else:
            text += "Compare the accuracy with that, and read precision and recall."
        found.append(Remark("balance", text))
    return found


def _inexact(decisions: Decisions) -> Remark | None:
    low, high = decisions.interval
    if high - low <= WIDE:
        return None
    return Remark(
        "few samples",
        f"With {_samples(len(decisions.actual))}, the true accuracy is likely between "
        f"{low:.0%} and {high:.0%} (95% confidence).",
    )


def _no_better(test: RegressionReport) -> Remark | None:
    if not test.r2 <= 0:
        return None
    return Remark("balance", "Always predicting the mean target would do as well on test data.")


def _few(test: RegressionReport) -> Remark | None:
    if len(test.data) >= FEW:
        return None
    return Remark(
        "few samples", f"With {_samples(len(test.data))}, these numbers are a rough guess."
    )


def _samples(count: int) -> str:
    return "1 test sample" if count == 1 else f"{count:,} test samples"
