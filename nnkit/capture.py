"""Capture: record one training step, then replay it without a graph and without allocating.

Why. A step of a small network is some thirty array calls of a quarter microsecond each. Around
them, plain autograd spends several times as long on growing a graph, walking it and allocating
results. None of that changes from step to step: the same calls run on the same shapes.

How. Operations, losses and optimizer rules are written in the calls of a namespace `k`
(`nnkit.functions.base`). Plainly, `k` is NumPy. To capture, a step runs once with a `Recorder` in
its place: it computes just the same, and writes down every call with the arrays it read and wrote.

1. *Places.* Python objects come and go (each `x.T` is a new one), so an array is written down as
   where it lies: a `Place` is a storage with offset, shape, strides and dtype. Storages are
   - fixed: parameters, the optimizer's vectors, running statistics. They are used where they are.
   - constant: numbers. Calls on constants alone are done once and not written down.
   - given: what differs from step to step: the batch, the optimizer's numbers for that step.
   - made: results of calls. They get memory of their own, once.
   An array that lies in none of them was made behind the recorder's back, and so might be a frozen
   value: such a step is not captured. Neither is one that looks at values (`loss.item()` inside a
   forward), because what Python does with a value cannot be seen.

2. *Fitting.* The gradient of a parameter that is made in one piece is made right in the
   optimizer's gradient vector. A result that a linear layer reads gets its row of ones for the
   bias right behind it, where nothing else writes. `nnkit.passes` leaves out calls that nothing
   depends on (the value of the loss, for one: losses of many steps are computed together
   afterwards, from the predictions), takes what depends on the batch alone out of the loop, and
   makes one call of the same call on several layers.

3. *Replay.* What is left becomes the body of a generated Python function (`nnkit.program`), one
   line a call: a loop over the steps, with what is given for each step as loop variables.

Before it is used, a replayed step is compared, bit for bit, with a plain one on other data than it
was recorded with. If anything differs, or changes later (a layer, an option, a shape, a dtype),
the step is recorded anew or run plainly; the numbers are the same either way.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .functions.base import ONE, ZERO, Array, Kernels, clip_ufunc, kernels
from .functions.memory import address


class Uncapturable(Exception):
    """This computation cannot be replayed; it has to be run plainly."""


@dataclass(eq=False)
class Storage:
    """A piece of memory: `kind` is "fixed", "constant", "given" or "made"."""

    kind: str
    array: Array  # kept alive, so that no other array can come to lie at its address
    tall: Array | None = None  # the same, transposed, above a row of ones, where there is one
    moved_to: tuple[Storage, int] | None = None  # made in another storage, at this offset
    initial: bool = False  # starts with the values it had when it was recorded

    @property
    def size(self) -> int:
        """Its elements, with the ones."""
        return (self.array if self.tall is None else self.tall).size

    def home(self) -> Storage:
        return self.moved_to[0] if self.moved_to else self


@dataclass(frozen=True)
class Place:
    """Where an array lies."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    def is_whole(self) -> bool:
        """Whether this is all of a result that may as well be made elsewhere."""
        storage = self.storage
        made = storage.kind == "made" and storage.moved_to is None and not self.offset
        return made and math.prod(self.shape) == storage.array.size

    def on(self, memory: Array, shift: int = 0) -> Array:
        """The array at this place, if `memory` is its storage."""
        offset = self.offset + shift
        return np.ndarray(self.shape, self.dtype, memory, offset, self.strides)


@dataclass(eq=False)
class Call:
    """One line of the log."""

    function: Callable[..., Any]
    arguments: list[Any]  # places, or things that are no arrays
    out: Place
    options: dict[str, Any] = field(default_factory=dict)

    def reads(self) -> list[Place]:
        """The places that it takes."""
        return [a for a in self.arguments if isinstance(a, Place)]

    def operands(self) -> list[Place]:
        """The places that it takes and the one that it writes."""
        return [*self.reads(), self.out]


class Recorder(Kernels):
    """The namespace that computes like `Kernels` and writes down what it does."""

    recording = True

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._starts: list[int] = []
        self._ranges: list[tuple[int, Storage]] = []  # (end, storage), parallel to _starts
        #: Losses whose predictions and targets have to be checked at every step.
        self.checks: list[tuple[Any, Place, Place]] = []
        for number in (ZERO, ONE):
            self.constant(number)

    # Places ---------------------------------------------------------------------------------

    def know(self, kind: str, array: Array, storage: Storage | None = None) -> Storage:
        """Make the memory of `array` a storage (or another name of `storage`)."""
        storage = storage or Storage(kind, array)
        start = address(array)
        i = bisect.bisect_left(self._starts, start)
        if i < len(self._starts) and self._starts[i] == start:
            if self._ranges[i][0] >= start + array.nbytes:
                return self._ranges[i][1]
            self._ranges[i] = (start + array.nbytes, storage)
        else:
            self._starts.insert(i, start)
            self._ranges.insert(i, (start + array.nbytes, storage))
        return storage

    def give(self, x: Array) -> list[Place]:
        """Make `x` something that differs from step to step.

        Returns where its values go: a matrix also, transposed, above a row of ones.
        """
        storage = self.know("given", x)
        places = [self.place(x)]
        if x.ndim == 2:
            storage.tall = Kernels.with_ones(x)
            self.know("given", storage.tall)
            places.append(self.place(storage.tall[:-1].T))
        return places

    def place(self, array: Array) -> Place:
        """Where `array` lies."""
        start = address(array)
        i = bisect.bisect_right(self._starts, start) - 1
        if i < 0 or start >= self._ranges[i][0]:
            raise Uncapturable("an array was made outside of nnkit's operations")
        storage = self._ranges[i][1]
        return Place(storage, start - self._starts[i], array.shape, array.strides, array.dtype)

    def storages(self) -> list[Storage]:
        """All pieces of memory known so far."""
        return [storage for _, storage in self._ranges]

    # Recording ------------------------------------------------------------------------------

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name in _RECORDED:
            return functools.partial(self.record, value)
        return value

    def record(
        self, function: Callable[..., Any], *arguments: Any, out: Any = None, **options: Any
    ) -> Array:
        """Run `function` and write the call down."""
        if any(isinstance(v, np.ndarray) for v in _leaves(options.get("index"))):
            raise Uncapturable("an index was computed from values")
        places = [self.place(a) if isinstance(a, np.ndarray) else a for a in arguments]
        into = None if out is None else self.place(out)
        result = np.asarray(function(*arguments, out=out, **options))
        storages = [p.storage for p in places if isinstance(p, Place)]
        drawn = any(isinstance(a, np.random.Generator) for a in arguments)
        if into is None:
            constant = not drawn and all(s.kind == "constant" for s in storages)
            self.know("constant" if constant else "made", result)
            if constant:
                return result
            into = self.place(result)
        elif into.storage.kind == "constant":  # a temporary made from constants alone
            into.storage.kind, into.storage.initial = "made", True
        arrays = [a for a in (*arguments, result) if isinstance(a, np.ndarray)]
        floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
        function, places = _behind(function, places)
        for i, a in enumerate(places):
            if isinstance(a, (int, float)):
                number = np.asarray(a, floats[0] if floats else None)
                self.know("constant", number)
                places[i] = self.place(number)
        self.calls.append(Call(function, places, into, options))
        return result

    def escape(self, tensor: Any) -> None:
        raise Uncapturable("a forward pass looked at values")

    def check_later(self, loss: Any, prediction: Array, target: Array) -> None:
        self.checks.append((loss, self.place(prediction), self.place(target)))

    # Kernels has these as static methods; a recorder needs itself.
    def constant(self, x: Any) -> Any:  # type: ignore[override]
        if isinstance(x, np.ndarray):
            self.know("constant", x)
        return x

    def reshape(  # type: ignore[override]
        self, x: Array, *, shape: tuple[int, ...], out: Any = None
    ) -> Array:
        view = x.reshape(shape)
        if np.may_share_memory(view, x):
            return view
        return self.record(Kernels.reshape, x, shape=shape)

    def ravel(self, x: Array) -> Array:
        return self.reshape(x, shape=(x.size,))

    def with_ones(self, x: Array) -> Array:  # type: ignore[override]
        place = self.place(x)
        storage = place.storage
        whole = place.offset == 0 and x.size == storage.array.size
        if storage.tall is not None and storage.tall[:-1].T.shape == x.shape and not place.offset:
            return storage.tall
        tall = Kernels.with_ones(x)
        by_unit = x.T.flags.c_contiguous  # so that the ones can lie right behind
        if storage.kind == "made" and whole and by_unit and not storage.moved_to:
            storage.tall = tall
            self.know("made", tall, storage)
            return tall
        self.know("made", tall).initial = True
        self.record(Kernels.copy, x, out=tall[:-1].T)
        return tall


_OWN = {"check_later", "constant", "escape", "ravel", "reshape", "with_ones", "recording"}
_RECORDED = {name for name in vars(Kernels) if not name.startswith("_")} - _OWN


def _behind(function: Callable[..., Any], arguments: list[Any]) -> tuple[Any, list[Any]]:
    """The ufunc behind a call of `Kernels`, where there is one, and its arguments."""
    if function is Kernels.indicator:
        return arguments[0], arguments[1:]
    if function is Kernels.positive_part:
        return clip_ufunc, [*arguments, 0.0, np.inf]
    if function is Kernels.saturating_exp:
        return np.exp, arguments  # a replay runs with warnings off
    return function, arguments


def _leaves(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


class recording:
    """`with recording() as recorder:` runs operations under a new recorder."""

    def __enter__(self) -> Recorder:
        self.recorder = Recorder()
        self._token = kernels.set(self.recorder)
        return self.recorder

    def __exit__(self, *exception: Any) -> None:
        kernels.reset(self._token)
