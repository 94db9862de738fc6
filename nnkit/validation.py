"""k-fold cross-validation: how well a configuration learns, and how much that is luck of the split.

The data are dealt into k parts. k networks are trained, each on all parts but one, and tested on
the part it has not seen; every sample is tested on exactly once (Stone, 1974; Kohavi, 1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .config import CUSTOM, ExperimentConfig
from .datasets import Dataset, k_folds
from .errors import ConfigError
from .experiment import Experiment
from .history import Epoch
from .settings import whole_number

MAX_FOLDS, MAX_EPOCHS = 20, 10_000


@dataclass(frozen=True)
class Fold:
    """What one of the k networks came to.

    Attributes:
        number: from 1 to k.
        train_samples, test_samples: how many it learned from and was tested on.
        latest: its last epoch: losses, and scores (accuracy, or R² in regression).
        diverged: whether training broke off; `latest` is then the last epoch before.
    """

    number: int
    train_samples: int
    test_samples: int
    latest: Epoch
    diverged: bool


@dataclass(frozen=True)
class ValidationProgress:
    """How far a cross-validation has come.

    Attributes:
        done: the folds that are finished.
        folds, epochs: how many there will be, and of how many epochs each.
        epoch: epochs done of the fold at work; 0 between two folds.
    """

    done: tuple[Fold, ...]
    folds: int
    epochs: int
    epoch: int

    @property
    def share(self) -> float:
        """How much of the work is done, from 0 to 1."""
        return (len(self.done) + self.epoch / self.epochs) / self.folds


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1) over the folds; NaN deviation for a single one."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Summary:
    """Scores (accuracy, or R² in regression) and losses over the folds."""

    test_score: Spread
    test_loss: Spread
    train_score: Spread
    train_loss: Spread


def cross_validate(
    config: ExperimentConfig, data: Dataset, *, folds: int = 5, epochs: int = 100
) -> Iterator[ValidationProgress]:
    """Train and test a configuration on each fold, telling after every epoch how far it is.

    To cancel, stop asking: what is finished is in `done` of the last event. The folds are dealt
    by `config.data_seed`, stratified in classification. All start from the same initial weights,
    so the spread is that of the data. Early stopping and the target score are off, as they would
    choose the epoch by looking at the part that is to be unseen.

    Args:
        data: all samples, such as `Experiment.data`; `config.train_fraction` is not used.
        folds: k, 2 to 20, at most one a sample (in regression one for two, as R² needs two).

    Raises:
        ConfigError: folds or epochs out of range, or data that do not go with the configuration;
            at the call, before anything is trained.

    >>> from nnkit.config import LayerConfig
    >>> config = ExperimentConfig(dataset="xor", samples=100, layers=(LayerConfig(8, "tanh"),))
    >>> for progress in cross_validate(config, Experiment(config).data, folds=4, epochs=30):
    ...     pass
    >>> progress.share, [fold.test_samples for fold in progress.done]
    (1.0, [25, 25, 25, 25])
    >>> summarize(progress.done).test_score.mean > 0.9
    True
    """
    limit = min(MAX_FOLDS, len(data) // (1 if data.classes else 2))
    note = f" for {len(data)} samples"
    folds = whole_number("folds", folds, 2, limit, note=note, floats=False)
    epochs = whole_number("epochs", epochs, 1, MAX_EPOCHS)
    fixed = config.replace(dataset=CUSTOM, dataset_settings={}, patience=0, target_score=0.0)
    parts = list(k_folds(data, folds, config.data_seed))
    for part in {len(train): (train, test) for train, test in parts}.values():
        Experiment(fixed, *part)  # refuses what cannot be trained, which may hang on the size
    return _run(fixed, parts, epochs)


def _run(
    config: ExperimentConfig, parts: Sequence[tuple[Dataset, Dataset]], epochs: int
) -> Iterator[ValidationProgress]:
    done: list[Fold] = []
    for number, (train, test) in enumerate(parts, start=1):
        experiment = Experiment(config, train, test)
        for latest in experiment.run(epochs=epochs):
            if latest.epoch < epochs and experiment.status == "training":
                yield ValidationProgress(tuple(done), len(parts), epochs, latest.epoch)
        diverged = experiment.status == "diverged"
        done.append(Fold(number, len(train), len(test), experiment.latest, diverged))
        yield ValidationProgress(tuple(done), len(parts), epochs, 0)


def summarize(folds: Sequence[Fold]) -> Summary:
    """Mean and spread of scores and losses over the folds that are done.

    Raises:
        ConfigError: there is none.
    """
    if not folds:
        raise ConfigError("folds", "needs at least one that is done")
    return Summary(
        *(
            _spread([getattr(fold.latest, name) for fold in folds])
            for name in ("test_score", "test_loss", "train_score", "train_loss")
        )
    )


def _spread(values: Sequence[float]) -> Spread:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation)
