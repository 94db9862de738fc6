"""What is remembered of a training run, within a budget of memory."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from .functions import Array


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch: losses, and scores (accuracy, or R² in regression)."""

    epoch: int
    train_loss: float
    test_loss: float
    train_score: float
    test_score: float


FIELDS = tuple(field.name for field in fields(Epoch))
_values = attrgetter(*FIELDS)


class History:
    """Losses and scores by epoch.

    Up to `budget` rows are kept. When they are full, every second one is dropped, so a long run
    is remembered evenly, from the first epoch to the latest.

    Attributes:
        changes: (epoch, what changed) for every setting or weight changed on the way.

    >>> history = History(budget=4)
    >>> for epoch in range(6):
    ...     history.add(Epoch(epoch, 1.0, 1.0, 0.0, 0.0))
    >>> history.epoch.astype(int).tolist()
    [0, 2, 4, 5]
    """

    def __init__(self, budget: int = 4096) -> None:
        self.budget = budget
        self.changes: list[tuple[int, dict[str, Any]]] = []
        self._rows = np.empty((budget, len(FIELDS)))
        self._count = 0
        self._every = 1

    def add(self, measured: Epoch) -> None:
        """Remember one more epoch."""
        if self._count and self._rows[self._count - 1, 0] % self._every:
            self._count -= 1  # the latest row was kept only while it was the latest
        if self._count == self.budget:
            self._every *= 2
            kept = self._rows[: self._count]
            kept = kept[kept[:, 0] % self._every == 0]
            self._rows[: len(kept)] = kept
            self._count = len(kept)
        self._rows[self._count] = _values(measured)
        self._count += 1

    def forget_from(self, epoch: int) -> None:
        """Drop the rows of this epoch and later ones."""
        self._count = int(np.searchsorted(self._rows[: self._count, 0], epoch))

    @property
    def first(self) -> Epoch:
        """The first epoch remembered."""
        return self._at(0)

    @property
    def last(self) -> Epoch:
        """The latest epoch remembered."""
        return self._at(self._count - 1)

    def _at(self, row: int) -> Epoch:
        epoch, *measured = self._rows[row].tolist()
        return Epoch(int(epoch), *measured)

    def column(self, name: str) -> Array:
        """One field of all rows, as a copy."""
        return self._rows[: self._count, FIELDS.index(name)].copy()

    epoch = property(lambda self: self.column("epoch"))
    train_loss = property(lambda self: self.column("train_loss"))
    test_loss = property(lambda self: self.column("test_loss"))
    train_score = property(lambda self: self.column("train_score"))
    test_score = property(lambda self: self.column("test_score"))

    def __len__(self) -> int:
        return self._count


class Snapshots:
    """Weights along the way: at most `budget`, thinned evenly like `History`.

    >>> snapshots = Snapshots(budget=4)
    >>> for epoch in range(6):
    ...     snapshots.add(epoch, np.zeros(1))
    >>> snapshots.epochs
    (0, 2, 4, 5)
    """

    def __init__(self, budget: int = 64) -> None:
        self.budget = budget
        self._every = 1
        self._epochs: list[int] = []
        self._weights: list[Array] = []

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(self._epochs)

    def add(self, epoch: int, weights: Array) -> None:
        """Keep `weights` (not copied) of the latest epoch."""
        if self._epochs and self._epochs[-1] % self._every:
            self.forget_from(self._epochs[-1])  # it was kept only while it was the latest
        if len(self._epochs) == self.budget:
            self._every *= 2
            kept = [i for i, e in enumerate(self._epochs) if e % self._every == 0]
            self._epochs = [self._epochs[i] for i in kept]
            self._weights = [self._weights[i] for i in kept]
        self._epochs.append(epoch)
        self._weights.append(weights)

    def forget_from(self, epoch: int) -> None:
        """Drop the snapshots of this epoch and later ones."""
        place = bisect.bisect_left(self._epochs, epoch)
        del self._epochs[place:], self._weights[place:]

    def nearest(self, epoch: int) -> tuple[int, Array]:
        """The kept epoch nearest to `epoch`, and its weights."""
        i = min(range(len(self._epochs)), key=lambda j: abs(self._epochs[j] - epoch))
        return self._epochs[i], self._weights[i]
