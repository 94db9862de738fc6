"""Gradients checked against differences of values.

Every entry of every input and parameter is moved a little, and the change of the output is
compared with what the backward pass says. All of it is in float64.

*Numerical side.* Central differences of the output contracted with a random cotangent: a backward
rule that is right only for gradients of ones is found out. Four points are taken,
(8(f₊₁ - f₋₁) - (f₊₂ - f₋₂))/12eps, whose error is of the order eps⁴.

*Corners.* The slopes to the left and to the right, (±4f±₁ ∓ f±₂ ∓ 3f₀)/2eps, are the same where the
function is smooth. Where they clearly differ, as for a ReLU at 0, the entry is counted in
`corners`. Every gradient between the two, or between them and the central one, is right.

*Relative error* of an entry: how far the analytic gradient lies outside that range, divided by the
larger of analytic and numeric; where both are small, by a thousandth of the largest gradient
found, or by 1e-4 of the size of the output, below which differences are rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backpropagation import backpropagate
from .errors import ConfigError, GraphError, ShapeError
from .functions import Array
from .modules.base import Module
from .tensor import Tensor

__all__ = ["GradientEntry", "GradientReport", "gradient_check"]


@dataclass(frozen=True)
class GradientEntry:
    """How one input or parameter fared: its worst entry, with both values.

    Args:
        name: "input", "input 1", … or a parameter's dotted name.
        shape: its shape.
        checked: how many of its entries were checked.
        corners: how many of those stand at a corner of the function.
        error: the worst relative error (0 where nothing was checked).
        index: where that is.
        analytic: dL/d(entry) from the backward pass.
        numeric: the same from differences.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    corners: int
    error: float
    index: tuple[int, ...]
    analytic: float
    numeric: float


@dataclass(frozen=True)
class GradientReport:
    """What `gradient_check` found; true where all gradients are right.

    `str(report)` is a table, `report.assert_ok()` raises it as an AssertionError.
    """

    entries: tuple[GradientEntry, ...]
    tolerance: float

    @property
    def worst(self) -> GradientEntry:
        """The entry with the largest relative error; one that is NaN counts as larger still."""
        return max(self.entries, key=lambda e: math.inf if math.isnan(e.error) else e.error)

    @property
    def error(self) -> float:
        """The largest relative error of all."""
        return self.worst.error

    @property
    def ok(self) -> bool:
        """Whether every relative error is within the tolerance."""
        return all(entry.error <= self.tolerance for entry in self.entries)

    def __bool__(self) -> bool:
        return self.ok

    def assert_ok(self) -> None:
        """Raise an AssertionError that shows the table, unless all gradients are right."""
        if not self.ok:
            raise AssertionError(f"the gradients are wrong\n{self}")

    def __str__(self) -> str:
        head = ("", "name", "shape", "checked", "relative error", "worst at", "analytic", "numeric")
        rows = [head]
        for e in self.entries:
            mark = "ok" if e.error <= self.tolerance else "WRONG"
            checked = f"{e.checked} ({e.corners} corners)" if e.corners else f"{e.checked}"
            place = f"[{', '.join(map(str, e.index))}]" if e.checked else ""
            rows.append(
                (
                    mark, e.name, str(e.shape), checked, f"{e.error:.1e}", place,
                    f"{e.analytic:.9g}", f"{e.numeric:.9g}",
                )
            )  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        verdict = "all gradients agree" if self.ok else "some gradients are WRONG"
        return "\n".join([*lines, f"{verdict} (tolerance {self.tolerance:.0e})"])


def gradient_check(
    f: Callable[..., Any],
    *inputs: Any,
    loss: Any = None,
    targets: Any = None,
    eps: float = 1e-5,
    tolerance: float = 1e-6,
    rng: np.random.Generator | None = None,
    max_entries: int | None = None,
) -> GradientReport:
    """Compare the analytic gradients of `f` with differences, entry by entry.

    Call it in one of three ways:

    - `gradient_check(function, x, y)`: any function of tensors, at these inputs;
    - `gradient_check(module, x)`: its parameters too;
    - `gradient_check(network, loss, X, T)`: the whole way from the parameters to the loss; also
      written `gradient_check(network, X, loss=loss, targets=T)`.

    A module is used in float64 and given back as it was, bit for bit: parameters,
    gradients, running statistics, random generators (dropout draws the same mask each time). A
    module whose class defines `backward` by hand is asked for its gradients by that.

    Args:
        f: a function of tensors, or a module.
        inputs: arrays (or one tuple of them), read as float64; integers stand for numbers too.
        loss: a loss, or any function of (prediction, targets).
        targets: what the loss compares with; nothing is differentiated there.
        eps: how far entries are moved, times the size of the entry where that is above 1.
        tolerance: the largest relative error that is right.
        rng: where the cotangent, and the choice of entries, are drawn from; seeded if left out.
        max_entries: check only so many entries of each array, chosen at random.

    Raises:
        GraphError: the output does not depend on anything that can be differentiated, is not
            computed in float64, or is another one when `f` is called again with the same inputs.
        ConfigError: a call of none of the three forms.

    >>> report = gradient_check(lambda x, y: (x * y).exp(), [0.5, -1.0], [2.0])
    >>> report.ok, [entry.name for entry in report.entries]
    (True, ['input 0', 'input 1'])
    >>> from nnkit import MSE, Linear, Tanh
    >>> gradient_check(Linear(2, 1, Tanh()), MSE(), [[0.3, -0.8]], [[1.0]]).assert_ok()
    """
    inputs, loss, targets = _arguments(inputs, loss, targets)
    for name, value in (("eps", eps), ("tolerance", tolerance)):
        if not 0 < value < 1:
            raise ConfigError(name, f"must be above 0 and below 1, got {value!r}")
    rng = np.random.default_rng(0) if rng is None else rng
    points = [Tensor(np.array(x, np.float64), requires_grad=True) for x in inputs]
    modules = [m for m in (f, loss) if isinstance(m, Module)]
    with _lent(modules) as again:
        subject = _Subject(f, points, loss, targets, modules, again)
        subject.prepare()
        subject.differentiate(rng)
        found = [
            subject.compare(name, tensor, _places(tensor.size, max_entries, rng), eps)
            for name, tensor in subject.named()
        ]
    largest = max(float(np.abs(c.numeric).max(initial=0.0)) for c in found)
    size = float(np.abs(subject.values * subject.cotangent).max(initial=0.0))
    floor = max(1e-3 * largest, 1e-4 * size, float(np.finfo(np.float64).tiny))
    return GradientReport(tuple(c.entry(floor) for c in found), tolerance)


def _arguments(
    inputs: tuple[Any, ...], loss: Any, targets: Any
) -> tuple[tuple[Any, ...], Any, Any]:
    """Inputs, loss and targets of any of the three forms of call."""
    if len(inputs) == 1 and isinstance(inputs[0], tuple):
        inputs = inputs[0]
    if inputs and callable(inputs[0]):
        if len(inputs) != 3 or loss is not None or targets is not None:
            raise ConfigError(
                "inputs",
                "after a loss must be data and targets: gradient_check(network, loss, X, T)",
            )
        return inputs[1:2], inputs[0], inputs[2]
    if not inputs:
        raise ConfigError("inputs", "must be given: the point at which to check")
    return inputs, loss, targets


@contextmanager
def _lent(modules: list[Module]) -> Iterator[Callable[[], None]]:
    """Modules to experiment with, which are as before afterwards.

    Gives a function that puts back statistics and random generators before each evaluation.
    """
    parts = [part for module in modules for part in module.modules()]
    attributes = [dict(part.__dict__) for part in parts]
    last_calls = [getattr(part, "_last_call", None) for part in parts]
    values = [value for kept in attributes for value in kept.values()]
    arrays = [(v, v.copy()) for v in values if isinstance(v, np.ndarray)]
    draws = [
        (v.bit_generator, v.bit_generator.state)
        for v in values
        if isinstance(v, np.random.Generator)
    ]
    parameters = [p for module in modules for _, p in module.named_parameters()]
    tensors = [(p, p._data, p._grad, p._version) for p in parameters]

    def again() -> None:
        for array, copy in arrays:
            array[...] = copy
        for generator, state in draws:
            generator.state = state

    try:
        yield again
    finally:
        again()
        for part, kept, last_call in zip(parts, attributes, last_calls, strict=True):
            part.__dict__.clear()
            part.__dict__.update(kept)
            part._last_call = last_call
        for p, data, grad, version in tensors:
            p._data, p._grad, p._version = data, grad, version


class _Subject:
    """What is checked, at one point: its value, and its gradients in two ways."""

    def __init__(
        self,
        f: Callable[..., Any],
        points: list[Tensor],
        loss: Any,
        targets: Any,
        modules: list[Module],
        again: Callable[[], None],
    ) -> None:
        self.f, self.points, self.loss, self.targets = f, points, loss, targets
        self.modules, self.again = modules, again
        #: Whether a class defines its own `backward`.
        self.by_hand = any(type(module).backward is not Module.backward for module in modules)

    def prepare(self) -> None:
        """Give layers without sizes their parameters, and make all parameters float64."""
        self.evaluate()
        for module in self.modules:
            for _, parameter in module.named_parameters():
                parameter._data = parameter._data.astype(np.float64)
                parameter._grad = None

    def named(self) -> list[tuple[str, Tensor]]:
        """All inputs and parameters that are to be checked."""
        several = len(self.points) > 1
        found = [(f"input {i}" if several else "input", x) for i, x in enumerate(self.points)]
        for module in self.modules:
            prefix = "" if module is self.f else "loss."
            found += [(prefix + n, p) for n, p in module.named_parameters() if p.requires_grad]
        return found

    def evaluate(self) -> Tensor:
        self.again()
        output = self.f(*self.points)
        if self.loss is not None:
            output = self.loss(output, self.targets)
        if not isinstance(output, Tensor):
            if not self.by_hand:
                raise GraphError(f"the function must give a Tensor, got {type(output).__name__}")
            output = Tensor(output)
        return output

    def differentiate(self, rng: np.random.Generator) -> None:
        """Find the value, a cotangent, and the analytic gradients (by the id of their tensor)."""
        output = self.evaluate()
        if output.dtype != np.float64:
            raise GraphError(
                f"the output is {output.dtype}, too coarse for differences; give gradient_check "
                "the module itself, and make constants float64"
            )
        self.values = output._data.copy()
        self.cotangent = np.asarray(rng.standard_normal(output.shape))
        if self.by_hand:
            self.gradients = self._manual(output)
        elif output.requires_grad:
            self.gradients = {id(t): g for t, g in backpropagate(output, self.cotangent).items()}
        else:
            raise GraphError("the output does not depend on anything that can be differentiated")
        if not np.array_equal(self.values, self.evaluate()._data, equal_nan=True):
            raise GraphError(
                "called again with the same inputs the function gives other values; give it a "
                "generator seeded anew in each call, or keep chance out of it"
            )

    def _manual(self, output: Tensor) -> dict[int, Array]:
        """Gradients by `loss.backward()` and `module.backward(grad)`, as in a training loop."""
        f, loss = self.f, self.loss
        if not isinstance(f, Module) or len(self.points) != 1:
            raise ConfigError("f", "must be a module with one input where backward is hand-written")
        if loss is None:
            towards_input = f.backward(self.cotangent)
        elif isinstance(loss, Module):
            self.cotangent = np.ones(output.shape)
            towards_input = f.backward(loss.backward())
        else:
            raise ConfigError("loss", "must be a module where backward is hand-written")
        gradients = {id(p): p._grad for p in f.parameters() if p._grad is not None}
        return {**gradients, id(self.points[0]): np.asarray(towards_input)}

    def compare(self, name: str, tensor: Tensor, places: Array, eps: float) -> _Compared:
        """Both gradients of `tensor` at `places`; its values are put back."""
        analytic = self.gradients.get(id(tensor), np.zeros(tensor.shape))
        if analytic.shape != tensor.shape:
            raise ShapeError(f"{name} has shape {tensor.shape}, its gradient {analytic.shape}")
        original, flat = tensor._data, tensor._data.flatten()

        def change(place: int, by: float) -> float:
            moved = flat.copy()
            moved[place] += by
            tensor._data = moved.reshape(original.shape)
            # Differences first: outputs that stay add no rounding.
            return float(np.vdot(self.cotangent, self.evaluate()._data - self.values))

        slopes = np.empty((3, len(places)))
        try:
            for i, place in enumerate(places):
                h = eps * max(1.0, abs(float(flat[place])))
                f1, f2, b1, b2 = (change(place, times * h) for times in (1, 2, -1, -2))
                central = (8 * (f1 - b1) - (f2 - b2)) / (12 * h)
                slopes[:, i] = central, (b2 - 4 * b1) / (2 * h), (4 * f1 - f2) / (2 * h)
        finally:
            tensor._data = original
        return _Compared(name, tensor.shape, places, np.ravel(analytic)[places], *slopes)


@dataclass
class _Compared:
    """Both gradients at some entries of an array, and the slopes to either side."""

    name: str
    shape: tuple[int, ...]
    places: Array
    analytic: Array
    numeric: Array
    left: Array
    right: Array

    def entry(self, floor: float) -> GradientEntry:
        if not len(self.places):
            return GradientEntry(self.name, self.shape, 0, 0, 0.0, (), 0.0, 0.0)
        below = np.maximum(np.maximum(np.abs(self.analytic), np.abs(self.numeric)), floor)
        low = np.minimum(np.minimum(self.left, self.right), self.numeric)
        high = np.maximum(np.maximum(self.left, self.right), self.numeric)
        error = np.maximum(np.maximum(low - self.analytic, self.analytic - high), 0.0) / below
        error[~np.isfinite(self.analytic + low + high)] = np.nan
        worst = int(np.argmax(error))  # NaN counts as largest
        index = tuple(int(i) for i in np.unravel_index(self.places[worst], self.shape))
        corners = int(np.count_nonzero(high - low > 1e-3 * below))
        return GradientEntry(
            self.name, self.shape, len(self.places), corners, float(error[worst]), index,
            float(self.analytic[worst]), float(self.numeric[worst]),
        )  # fmt: skip


def _places(size: int, most: int | None, rng: np.random.Generator) -> Array:
    if most is None or size <= most:
        return np.arange(size)
    return np.sort(rng.permutation(size)[:most])
