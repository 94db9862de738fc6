"""The shapes of the toy data: one small function each, without noise.

A classification shape draws n points of one class: (rng, n, label, classes) -> (n, 2). A
regression shape gives the target of its inputs: (n, dimensions) -> (n,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Generator = np.random.Generator


def xor(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """Class 1 where the signs of x1 and x2 differ, with a gap along the axes."""
    size = rng.uniform(0.06, 1.0, (n, 2))
    sign = rng.choice([-1.0, 1.0], n)
    return np.asarray(size * np.column_stack((sign, sign if label == 0 else -sign)))


def spiral_arm(turns: float) -> Callable[[Generator, int, int, int], FloatArray]:
    """Arms that run outward at a constant pitch, evenly turned against each other."""

    def draw(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
        # One draw in each of n equal stretches: random, yet no stretch of the arm is empty. The
        # power thins out the middle, where the arms are short and close together.
        along = ((np.arange(n) + rng.random(n)) / n) ** 0.75
        return _polar(0.08 + 0.92 * along, 2.0 * np.pi * (turns * along + label / classes))

    return draw


def circle(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """A disc (class 1) inside a ring (class 0), both evenly filled."""
    low, high = ((0.65, 0.95), (0.0, 0.48))[label]
    return _polar(np.sqrt(rng.uniform(low**2, high**2, n)), rng.uniform(0.0, 2.0 * np.pi, n))


def moons(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """Two half circles, each with one end inside the other."""
    half = _polar(np.full(n, 0.6), rng.uniform(0.0, np.pi, n)) - (0.3, 0.15)
    return -half if label else half


def gaussians(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """Two centres on the diagonal; the noise makes the clouds."""
    return np.full((n, 2), 0.5 if label else -0.5)


def checkerboard(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """Four by four cells, a narrow gap between them."""
    row, column = rng.integers(0, 4, n), rng.integers(0, 2, n)
    cell = np.column_stack((2 * column + (row + label) % 2, row))
    return (cell + rng.uniform(0.06, 0.94, (n, 2))) / 2.0 - 1.0


def blobs(rng: Generator, n: int, label: int, classes: int) -> FloatArray:
    """Centres evenly spaced on a circle; the noise makes the clouds."""
    return _polar(np.full(n, 0.7), np.full(n, 2.0 * np.pi * label / classes))


def _polar(radius: FloatArray, angle: FloatArray) -> FloatArray:
    return np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))


def sine(x: FloatArray) -> FloatArray:
    return np.asarray(np.sin(np.pi * x[:, 0]))


def step(x: FloatArray) -> FloatArray:
    return np.where(x[:, 0] < 0.0, -0.7, 0.7)


def polynomial(x: FloatArray) -> FloatArray:
    return np.asarray(4.0 * x[:, 0] ** 3 - 3.0 * x[:, 0])


def sawtooth(x: FloatArray) -> FloatArray:
    return np.asarray(2.0 * ((x[:, 0] + 1.0) % 1.0) - 1.0)


def plane(x: FloatArray) -> FloatArray:
    return np.asarray((x[:, 0] + x[:, 1]) / 2.0)


def bumps(x: FloatArray) -> FloatArray:
    centres = ((-0.5, 0.5, 1.0), (0.5, 0.5, -1.0), (0.5, -0.5, 1.0), (-0.5, -0.5, -1.0))
    heights = (
        height * np.exp(-((x[:, 0] - left) ** 2 + (x[:, 1] - up) ** 2) / 0.12)
        for left, up, height in centres
    )
    return np.asarray(sum(heights))


def ripple(x: FloatArray) -> FloatArray:
    radius = np.hypot(x[:, 0], x[:, 1])
    return np.asarray(np.cos(2.0 * np.pi * radius) * np.exp(-radius))
