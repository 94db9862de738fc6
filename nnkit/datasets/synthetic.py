"""Seeded toy data: each set is one small function, and a row in the table that describes it.

Every set is drawn in the same four steps, each with a random stream of its own, so that turning
one setting leaves what the others drew as it was: base points, noise, outliers, label noise.
Points lie in [-1, 1]² before noise and on the plane [-1.2, 1.2]² after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from nnkit.datasets import shapes
from nnkit.datasets.dataset import Dataset, Task
from nnkit.errors import ConfigError
from nnkit.settings import Number, number, whole_number

PLANE = 1.2
"""Half the side of the plane shown: points that noise would carry off it are reflected back."""
MAX_SAMPLES = 100_000
MAX_IMBALANCE = 0.95
MAX_LABEL_NOISE = 0.5
MAX_OUTLIERS = 0.5


@dataclass(frozen=True)
class DatasetInfo:
    """What a data set is called, what it teaches, and how it is drawn.

    Args:
        name: what `make_dataset` takes.
        title: what people read.
        task: "classification" or "regression".
        dimensions: number of inputs.
        teaches: one line on what it shows.
        source: classification: (rng, n, label, classes) -> (n, 2) points of that class;
            regression: (n, dimensions) inputs -> (n,) targets without noise.
        jitter: standard deviation of the normal noise at noise = 1; of each coordinate in
            classification, of the target in regression. It grows linearly with noise …
        spread: … from this standard deviation at noise = 0.
        settings: the whole numbers that `make_dataset` also takes for this set, by name.

    >>> DATASETS["arms"].title, *DATASETS["arms"].settings
    ('Spiral arms', 'arms')
    """

    name: str
    title: str
    task: Task
    dimensions: int
    teaches: str
    source: Callable[..., shapes.FloatArray] = field(repr=False)
    jitter: float
    spread: float = 0.0
    settings: Mapping[str, Number] = field(default_factory=dict)

    @property
    def noise_help(self) -> str:
        """What the noise of this data set means, in a sentence.

        >>> DATASETS["sine"].noise_help
        'Noise 1 is a normal error of standard deviation 0.4 in the target; noise 0 is none.'
        """
        where = "each coordinate" if self.task == "classification" else "the target"
        least = f"{self.spread:g}" if self.spread else "none"
        return (
            f"Noise 1 is a normal error of standard deviation {self.spread + self.jitter:g}"
            f" in {where}; noise 0 is {least}."
        )


def _table(*rows: DatasetInfo) -> Mapping[str, DatasetInfo]:
    return MappingProxyType({row.name: row for row in rows})


_ARMS = MappingProxyType({"arms": Number(3, 3, 5, True, "Arms")})
_CLASSES = MappingProxyType({"classes": Number(4, 2, 6, True, "Classes")})

DATASETS: Mapping[str, DatasetInfo] = _table(
    DatasetInfo(
        "spirals",
        "Two spirals",
        "classification",
        2,
        "Layers fold the plane until two arms, wound into each other, come apart.",
        shapes.spiral_arm(turns=1.5),
        jitter=0.15,
    ),
    DatasetInfo(
        "xor",
        "XOR",
        "classification",
        2,
        "No straight line solves it: a hidden layer, or the product x1·x2, is needed.",
        shapes.xor,
        jitter=0.3,
    ),
    DatasetInfo(
        "circle",
        "Disc in a circle",
        "classification",
        2,
        "A few straight cuts together close around a disc; x1² and x2² do it at once.",
        shapes.circle,
        jitter=0.25,
    ),
    DatasetInfo(
        "moons",
        "Two moons",
        "classification",
        2,
        "A gently curved boundary: a small network is enough.",
        shapes.moons,
        jitter=0.25,
    ),
    DatasetInfo(
        "gaussians",
        "Two Gaussians",
        "classification",
        2,
        "A single unit finds the best line; where clouds overlap, nothing gets everything right.",
        shapes.gaussians,
        jitter=0.3,
        spread=0.15,
    ),
    DatasetInfo(
        "checkerboard",
        "Checkerboard",
        "classification",
        2,
        "Sixteen cells ask for many cuts: width and patience count.",
        shapes.checkerboard,
        jitter=0.15,
    ),
    DatasetInfo(
        "arms",
        "Spiral arms",
        "classification",
        2,
        "Several classes in one spiral: softmax draws three to five curved borders.",
        shapes.spiral_arm(turns=0.75),
        jitter=0.15,
        settings=_ARMS,
    ),
    DatasetInfo(
        "blobs",
        "Blobs",
        "classification",
        2,
        "Several classes, each in one place: softmax alone, with no hidden layer, splits them.",
        shapes.blobs,
        jitter=0.25,
        spread=0.08,
        settings=_CLASSES,
    ),
    DatasetInfo(
        "sine",
        "One sine wave",
        "regression",
        1,
        "Hidden units add up to a smooth curve; the input sin(x1) makes it a straight line.",
        shapes.sine,
        jitter=0.4,
    ),
    DatasetInfo(
        "step",
        "Step",
        "regression",
        1,
        "A jump is steeper than any smooth unit: see the edge sharpen as weights grow.",
        shapes.step,
        jitter=0.4,
    ),
    DatasetInfo(
        "polynomial",
        "Cubic polynomial",
        "regression",
        1,
        "Two bends: count the ReLU corners a network needs to follow them.",
        shapes.polynomial,
        jitter=0.4,
    ),
    DatasetInfo(
        "sawtooth",
        "Noisy sawtooth",
        "regression",
        1,
        "Ramps and jumps under noise: a large network learns the noise too.",
        shapes.sawtooth,
        jitter=0.4,
        spread=0.05,
    ),
    DatasetInfo(
        "plane",
        "Tilted plane",
        "regression",
        2,
        "Linear: one unit without activation is exact, and a hidden layer only takes longer.",
        shapes.plane,
        jitter=0.4,
    ),
    DatasetInfo(
        "bumps",
        "Hills and hollows",
        "regression",
        2,
        "Local shapes: units must work together to rise in one place and leave the rest alone.",
        shapes.bumps,
        jitter=0.4,
    ),
    DatasetInfo(
        "ripple",
        "Ripple",
        "regression",
        2,
        "Waves around a centre: depth helps to turn two inputs into one distance.",
        shapes.ripple,
        jitter=0.4,
    ),
)


def make_dataset(
    name: str,
    *,
    samples: int = 500,
    noise: float = 0.0,
    seed: int = 0,
    imbalance: float = 0.0,
    label_noise: float = 0.0,
    outliers: float = 0.0,
    **settings: int,
) -> Dataset:
    """Draws a data set; the same arguments give the same numbers, bit for bit.

    Args:
        name: a key of `DATASETS`.
        samples: number of rows, in random order; from two a class to 100,000.
        noise: 0 … 1, see `DatasetInfo.noise_help`. The points underneath stay the same.
        seed: of all random numbers drawn.
        imbalance: 0 … 0.95: the last class is about (1 - imbalance) times as common as the
            first, those between in even steps. Classification only.
        label_noise: 0 … 0.5: the share of rows whose label is changed to another one.
            Classification only.
        outliers: 0 … 0.5: the share of rows put anywhere: on the plane, label kept, in
            classification; target anywhere in [-1.5, 1.5] in regression.
        settings: `arms` = 3 … 5 for "arms", `classes` = 2 … 6 for "blobs".

    Raises:
        ConfigError: an unknown name or setting, or a value out of its range.

    >>> data = make_dataset("arms", samples=300, noise=0.1, seed=7, arms=5)
    >>> data
    Dataset(300 samples, inputs x1, x2, classes 0, 1, 2, 3, 4)
    >>> np.bincount(make_dataset("xor", samples=500, imbalance=0.5).targets)
    array([333, 167])
    """
    info = DATASETS.get(name) if isinstance(name, str) else None
    if info is None:
        raise ConfigError("dataset", f"must be one of {', '.join(DATASETS)}, got {name!r}")
    chosen = _settings(info, settings)
    classes = chosen.get("arms", chosen.get("classes", 2))
    samples = whole_number("samples", samples, 2 * classes, MAX_SAMPLES, floats=False)
    deviation = info.spread + info.jitter * number("noise", noise, 0, 1, "[]")
    imbalance = number("imbalance", imbalance, 0, MAX_IMBALANCE, "[]")
    label_noise = number("label_noise", label_noise, 0, MAX_LABEL_NOISE, "[]")
    outliers = number("outliers", outliers, 0, MAX_OUTLIERS, "[]")
    seed = whole_number("seed", seed, 0, 2**63 - 1, floats=False)
    rngs = np.random.default_rng(seed).spawn(4)
    if info.task == "classification":
        counts = _class_counts(samples, classes, imbalance)
        return _classification(info, counts, deviation, outliers, label_noise, *rngs)
    for field_name, value in (("imbalance", imbalance), ("label_noise", label_noise)):
        if value:
            raise ConfigError(field_name, f"is for classification only; {name} has no classes")
    return _regression(info, samples, deviation, outliers, *rngs[:3])


def _classification(
    info: DatasetInfo,
    counts: list[int],
    deviation: float,
    outliers: float,
    label_noise: float,
    base: np.random.Generator,
    noise: np.random.Generator,
    stray: np.random.Generator,
    flip: np.random.Generator,
) -> Dataset:
    samples, classes = sum(counts), len(counts)
    points = np.concatenate(
        [info.source(base, count, label, classes) for label, count in enumerate(counts)]
    )
    order = base.permutation(samples)
    points, labels = points[order], np.repeat(np.arange(classes), counts)[order]
    points = onto_plane(points + deviation * noise.standard_normal((samples, 2)))
    strays = _chosen(stray, samples, outliers)
    points[strays] = stray.uniform(-PLANE, PLANE, (len(strays), 2))
    flipped = _chosen(flip, samples, label_noise)
    labels[flipped] = (labels[flipped] + flip.integers(1, classes, len(flipped))) % classes
    names = tuple(str(label) for label in range(classes))
    return Dataset(points.astype(np.float32), labels, "classification", class_names=names)


def _regression(
    info: DatasetInfo,
    samples: int,
    deviation: float,
    outliers: float,
    base: np.random.Generator,
    noise: np.random.Generator,
    stray: np.random.Generator,
) -> Dataset:
    inputs = base.uniform(-1.0, 1.0, (samples, info.dimensions))
    targets = info.source(inputs) + deviation * noise.standard_normal(samples)
    strays = _chosen(stray, samples, outliers)
    targets[strays] = stray.uniform(-1.5, 1.5, len(strays))
    return Dataset(inputs.astype(np.float32), targets, "regression")


def twospirals(
    n_points: int = 500, noise: float = 0.0, seed: int = 0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The two spirals as arrays: X (n_points, 2) and T (n_points, 1) of zeros and ones.

    The same points as `make_dataset("spirals", ...)`, with `noise` 0 … 1 and `seed` as there.
    They wind 1.5 turns; the original problem (Lang and Witbrock, 1988) has 3.

    >>> X, T = twospirals(400, noise=0.1)
    >>> X.shape, T.shape, float(T.sum())
    ((400, 2), (400, 1), 200.0)
    """
    data = make_dataset("spirals", samples=n_points, noise=noise, seed=seed)
    return data.inputs.copy(), data.targets.astype(np.float32)[:, np.newaxis]


def _class_counts(samples: int, classes: int, imbalance: float) -> list[int]:
    """One each, and the rest in proportion, by largest remainder."""
    weights = np.linspace(1.0, 1.0 - imbalance, classes)
    exact = weights / weights.sum() * (samples - classes)
    counts = np.floor(exact).astype(int)
    remainder = np.argsort(counts - exact, kind="stable")
    counts[remainder[: samples - classes - counts.sum()]] += 1
    return [int(count) + 1 for count in counts]


def _chosen(rng: np.random.Generator, samples: int, share: float) -> npt.NDArray[np.int64]:
    """That share of the rows: what a smaller share chose comes first in a larger one, so that
    values drawn for the rows in this order stay too."""
    return rng.permutation(samples)[: round(share * samples)]


def onto_plane(points: shapes.FloatArray) -> shapes.FloatArray:
    """Points that noise carried off the plane, reflected at its edge."""
    reflected = np.where(np.abs(points) > PLANE, 2.0 * np.copysign(PLANE, points) - points, points)
    return np.clip(reflected, -PLANE, PLANE)


def _settings(info: DatasetInfo, given: Mapping[str, Any]) -> dict[str, int]:
    for name in given:
        if name not in info.settings:
            known = f"only {', '.join(info.settings)}" if info.settings else "none"
            raise ConfigError(name, f"is no setting of {info.name}, which has {known}")
    return {
        name: whole_number(name, given.get(name, s.default), s.low, s.high, floats=False)
        for name, s in info.settings.items()
    }
