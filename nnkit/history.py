"""What is remembered of a training run, within a budget of memory."""

from __future__ import annotations

import bisect
from typing import Any, Protocol

import numpy as np

from .functions import Array

FIELDS = ("epoch", "train_loss", "test_loss", "train_score", "test_score")


class Measured(Protocol):
    """What is known after an epoch."""

    @property
    def epoch(self) -> int: ...
    @property
    def train_loss(self) -> float: ...
    @property
    def test_loss(self) -> float: ...
    @property
    def train_score(self) -> float: ...
    @property
    def test_score(self) -> float: ...


class History:
    """Losses and scores by epoch.

    Up to `budget` rows are kept. When they are full, every second one is dropped, so a long run
    is remembered evenly, from the first epoch to the latest.

    Attributes:
        changes: (epoch, what changed) for every setting or weight changed on the way.

    >>> history = History(budget=4)
    >>> from types import SimpleNamespace
    >>> for epoch in range(6):
    ...     history.add(SimpleNamespace(epoch=epoch, train_loss=1.0, test_loss=1.0,
    ...                                 train_score=0.0, test_score=0.0))
    >>> history.epoch.astype(int).tolist()
    [0, 2, 4, 5]
    """

    def __init__(self, budget: int = 4096) -> None:
        self.budget = budget
        self.changes: list[tuple[int, dict[str, Any]]] = []
        self._rows = np.empty((budget, len(FIELDS)))
        self._count = 0
        self._every = 1

    def add(self, measured: Measured) -> None:
        """Remember one more epoch."""
        if self._count and self._rows[self._count - 1, 0] % self._every:
            self._count -= 1  # the latest row was kept only while it was the latest
        if self._count == self.budget:
            self._every *= 2
            kept = self._rows[: self._count]
            kept = kept[kept[:, 0] % self._every == 0]
            self._rows[: len(kept)] = kept
            self._count = len(kept)
        self._rows[self._count] = [getattr(measured, name) for name in FIELDS]
        self._count += 1

    def replace_last(self, measured: Measured) -> None:
        """Correct the latest row, after an edit."""
        self._rows[self._count - 1] = [getattr(measured, name) for name in FIELDS]

    @property
    def first(self) -> Any:
        """The first epoch remembered."""
        return _Row(self._rows[0])

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


class _Row:
    def __init__(self, values: Array) -> None:
        for name, value in zip(FIELDS, values.tolist(), strict=True):
            setattr(self, name, value)


class Snapshots:
    """Weights along the way: at most `budget`, thinned evenly like `History`."""

    def __init__(self, budget: int = 64) -> None:
        self.budget = budget
        self._every = 1
        self._epochs: list[int] = []
        self._weights: list[Array] = []

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(self._epochs)

    def add(self, epoch: int, weights: Array) -> None:
        """Keep `weights` (not copied) if this epoch is one of those kept."""
        if epoch % self._every:
            return
        if len(self._epochs) == self.budget:
            self._every *= 2
            kept = [i for i, e in enumerate(self._epochs) if e % self._every == 0]
            self._epochs = [self._epochs[i] for i in kept]
            self._weights = [self._weights[i] for i in kept]
            if epoch % self._every:
                return
        self._epochs.append(epoch)
        self._weights.append(weights)

    def replace(self, epoch: int, weights: Array) -> None:
        """Correct the snapshot of `epoch` and forget those after it."""
        place = bisect.bisect_left(self._epochs, epoch)
        del self._epochs[place:], self._weights[place:]
        self.add(epoch, weights)

    def nearest(self, epoch: int) -> tuple[int, Array]:
        """The kept epoch nearest to `epoch`, and its weights."""
        i = min(range(len(self._epochs)), key=lambda j: abs(self._epochs[j] - epoch))
        return self._epochs[i], self._weights[i]
