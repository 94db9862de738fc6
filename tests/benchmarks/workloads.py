"""What is measured: the workloads, their data, and the interface of every contender.

W1 to W5 train a network; W6 and W7 evaluate one on a grid, as a picture of it needs. Data, initial
weights and the order of batches are made here, in NumPy from fixed seeds, so that all contenders do
the same arithmetic from the same start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Weights = list[tuple[np.ndarray, np.ndarray]]  # of each layer: W (inputs, outputs), b (outputs,)
Kind = Literal["train", "predict", "units"]


@dataclass(frozen=True)
class Workload:
    """A row of the table: ``units`` of each layer, inputs first, all but the last activated.

    One output is trained with binary cross-entropy on logits, several with softmax cross-entropy.
    ``steps`` make an epoch, ``epochs`` a timed run; each evaluation of a grid counts as a step.
    """

    name: str
    title: str
    kind: Kind
    units: tuple[int, ...]
    activation: Literal["tanh", "relu"]
    batch: int
    steps: int
    epochs: int
    learning_rate: float = 0.01


@dataclass(frozen=True)
class Batches:
    """An epoch, shuffled already; every epoch goes through it in the same order.

    ``inputs`` are float32 (steps, batch, features). ``targets`` are float32 (steps, batch, 1) of 0
    and 1 for one output, int64 (steps, batch) for several; on a grid, zeros without a meaning.
    """

    inputs: np.ndarray
    targets: np.ndarray


class Runner(Protocol):
    """A contender, in float32 on one thread. Only `run` is timed."""

    kinds: tuple[Kind, ...]  # the workloads it takes part in

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        """Build, copy and compile whatever the runs need."""

    def restart(self) -> None:
        """Back to the initial weights, and a new Adam (0.9, 0.999, 1e-8)."""

    def run(self, epochs: int) -> np.ndarray | list[np.ndarray]:
        """Train or evaluate for so many epochs and return

        - "train": the loss of each step before its update, a mean over the batch; or the mean of
          each epoch, where a contender keeps no more,
        - "predict": the logits, (points, outputs), of the last evaluation,
        - "units": the last evaluation of every unit, a list of (points, units) for each layer, in
          any memory order; logits in the last.
        """


SMALL, LARGE = (2, 8, 8, 1), (2, 64, 64, 1)
WORKLOADS = (
    Workload("W1", "2-8-8-1 tanh, batch 10 of 500", "train", SMALL, "tanh", 10, 50, 60),
    Workload("W2", "2-8-8-1 tanh, batch 32 of 480", "train", SMALL, "tanh", 32, 15, 200),
    Workload("W3", "2-8-8-1 tanh, all 500 at once", "train", SMALL, "tanh", 500, 200, 5),
    Workload(
        "W4", "2-64-64-1 ReLU, batch 128 of 1,920", "train", LARGE, "relu", 128, 15, 30, 0.003
    ),
    Workload(
        "W5",
        "64-256-256-10 ReLU, batch 128 of 2,560",
        "train",
        (64, 256, 256, 10),
        "relu",
        128,
        20,
        15,
        learning_rate=0.0001,
    ),
    Workload("W6 small", "2-8-8-1 on a 100x100 grid", "predict", SMALL, "tanh", 10_000, 1, 100),
    Workload("W6 large", "2-64-64-1 on a 100x100 grid", "predict", LARGE, "relu", 10_000, 1, 30),
    Workload("W7 small", "units of 2-8-8-1, 50x50 grid", "units", SMALL, "tanh", 2_500, 1, 300),
    Workload("W7 large", "units of 2-64-64-1, 50x50 grid", "units", LARGE, "relu", 2_500, 1, 100),
)


def prepare(workload: Workload) -> tuple[Weights, Batches]:
    """Initial weights and the epoch of a workload; the same at every call."""
    rng = np.random.default_rng(20)
    weights = [
        (
            rng.normal(0, n**-0.5, (n, m)).astype(np.float32),
            rng.normal(0, 0.1, m).astype(np.float32),
        )
        for n, m in zip(workload.units, workload.units[1:], strict=False)
    ]
    if workload.kind != "train":
        return weights, _grid(workload.batch)
    make = _spirals if workload.units[-1] == 1 else _clusters
    if workload.batch >= 500:
        inputs, targets = make(workload, workload.batch, rng)
        repeated = (np.broadcast_to(a, (workload.steps, *a.shape)) for a in (inputs, targets))
        return weights, Batches(*repeated)
    whole = make(workload, workload.steps * workload.batch, rng)
    return weights, Batches(*(a.reshape(workload.steps, -1, *a.shape[1:]) for a in whole))


def _spirals(
    workload: Workload, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Two interleaved spirals within the unit circle, noisy and shuffled."""
    label = rng.permutation(np.arange(samples) % 2)
    radius = np.sqrt(rng.random(samples))
    angle = 1.5 * np.pi * radius + np.pi * label
    inputs = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inputs += rng.normal(0, 0.02, inputs.shape)
    return inputs.astype(np.float32), label[:, None].astype(np.float32)


def _clusters(
    workload: Workload, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping Gaussian clusters, one for each class."""
    features, classes = workload.units[0], workload.units[-1]
    label = rng.integers(0, classes, samples)
    centres = rng.normal(0, 0.25, (classes, features))
    return (centres[label] + rng.normal(size=(samples, features))).astype(np.float32), label


def _grid(points: int) -> Batches:
    side = np.linspace(-1.2, 1.2, round(points**0.5), dtype=np.float32)
    inputs = np.stack(np.meshgrid(side, side), axis=-1).reshape(1, points, 2)
    return Batches(inputs, np.zeros((1, points, 1), np.float32))
