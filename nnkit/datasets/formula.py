"""Data from a formula: its values at random points, to be learned as numbers or as two classes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from nnkit.datasets.dataset import Dataset, Task, from_values, random_points
from nnkit.datasets.synthetic import MAX_SAMPLES, onto_plane
from nnkit.errors import ConfigError
from nnkit.expressions import parse
from nnkit.settings import number, whole_number

JITTER = 0.25
"""Standard deviation of each coordinate at noise = 1, in classification."""


def from_formula(
    formula: str,
    *,
    samples: int = 500,
    noise: float = 0.0,
    seed: int = 0,
    threshold: float | None = None,
) -> Dataset:
    """Data whose targets are a formula of x and y (x1 and x2) at points of [-1, 1]².

    A comparison makes two classes, 1 where it holds; any other formula makes numbers, or with a
    threshold two classes too, 1 where value > threshold. A formula of numbers that uses x alone
    has one input. The same arguments give the same data, bit for bit.

    Args:
        formula: as `nnkit.expressions.parse` reads it.
        samples: number of points, 2 to 100,000. Where the formula has no finite value (1/0), the
            point is left out.
        noise: 0 … 1. At 1, a normal error with the standard deviation of the targets; or in
            classification of 0.25 in each coordinate, after the label was found.
        seed: of all random numbers drawn. The points before noise are
            `random_points(samples, seed=seed)`.

    Returns:
        A data set whose first note is the call that draws it.

    Raises:
        ExpressionError: the formula cannot be read, with the place.
        ConfigError: a value out of its range, or a threshold for what is a comparison already.
        DataError: nothing to learn: the same target, or one class, everywhere.

    >>> from_formula("x * y > 0", samples=100)
    Dataset(100 samples, inputs x1, x2, classes 0, 1)
    >>> from_formula("sin(3*x)", samples=100, noise=0.1).notes[0]
    "from_formula('sin(3*x)', samples=100, noise=0.1, seed=0)"
    """
    expression = parse(formula)
    samples = whole_number("samples", samples, 2, MAX_SAMPLES, floats=False)
    noise = number("noise", noise, 0, 1, "[]")
    seed = whole_number("seed", seed, 0, 2**63 - 1, floats=False)
    if threshold is not None and expression.is_threshold:
        raise ConfigError("threshold", "is for formulas of numbers; this one compares already")
    if threshold is not None and not math.isfinite(threshold):
        raise ConfigError("threshold", f"must be a finite number, got {threshold!r}")
    task: Task = "regression"
    if threshold is not None or expression.is_threshold:
        task = "classification"
    curve = task == "regression" and expression.variables == ("x",)
    points = random_points(samples, 1 if curve else 2, seed)
    columns = dict(zip("xy", points.T.astype(np.float64), strict=False))
    values = np.broadcast_to(np.asarray(expression.evaluate(columns)), samples)
    data = from_values(points, values, task, 0.5 if threshold is None else threshold)
    call = f"from_formula({formula!r}, samples={samples}, noise={noise}, seed={seed}"
    call += ")" if threshold is None else f", threshold={threshold})"
    return dataclasses.replace(_noisy(data, noise, seed), notes=(call, *data.notes))


def _noisy(data: Dataset, noise: float, seed: int) -> Dataset:
    rng = np.random.default_rng((seed, 1))  # a stream apart from that of the points
    if data.task == "classification":
        moved = data.inputs + noise * JITTER * rng.standard_normal(data.inputs.shape)
        return dataclasses.replace(data, inputs=onto_plane(moved).astype(np.float32))
    error = noise * float(np.std(data.targets, dtype=np.float64)) * rng.standard_normal(len(data))
    return dataclasses.replace(data, targets=data.targets + error)
