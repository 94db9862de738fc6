"""A recorded log as one Python function: a loop over steps, with one line a call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .capture import Call, Place, Recorder, Storage
from .functions.base import Array, Kernels
from .functions.memory import aligned
from .passes import hoisted, merged, needed


class Table:
    """Memory for a given storage in many steps: one row a step."""

    def __init__(self, storage: Storage, count: int) -> None:
        self.rows: Array = np.ones((count, storage.size), storage.array.dtype)

    def stack(self, place: Place, ndim: int = 0) -> Array:
        """The arrays at `place` in all steps, along a first axis; each of at least `ndim` axes."""
        more = ndim - len(place.shape)
        shape = (len(self.rows), *(1,) * more, *place.shape)
        strides = (self.rows.strides[0], *(0,) * more, *place.strides)
        return np.ndarray(shape, place.dtype, self.rows, place.offset, strides)


class Program:
    """The calls of a log that matter for `wanted` and for state.

    Args:
        recorder: with the log.
        wanted: places whose values are of interest afterwards.
        groups: given storages, by how often they change; results of calls on one group alone are
            added to it, and computed by a `preparation`.
    """

    def __init__(
        self, recorder: Recorder, wanted: Iterable[Place], groups: Sequence[Iterable[Storage]]
    ) -> None:
        calls = needed(recorder.calls, [place.storage for place in wanted])
        self.groups = [list(group) for group in groups]
        self.early: list[list[Call]] = []
        for group in self.groups:
            early, calls = hoisted(calls, group)
            self.early.append(early)
            group += dict.fromkeys(call.out.storage for call in early)
        self.calls = merged(calls)
        self._memory: dict[Storage, Array] = {}
        self._names: dict[Any, str] = {}
        self._scope: dict[str, Any] = {}
        #: For each given storage, what the loop takes of it: name, place, as bound `dot` or not.
        self._given: dict[Storage, list[tuple[str, Place, bool]]] = {}
        self._lines = [self._line(call) for call in self.calls]

    def compile(self) -> Callable[..., None]:
        """A function of one list a group, each entry the `views` of that group for one step."""
        names = [[name for s in g for name, _, _ in self._given.get(s, [])] for g in self.groups]
        lists = ", ".join(f"g{i}" for i in range(len(names)))
        targets = ", ".join(f"({', '.join(n)},)" if n else "_" for n in names)
        body = "\n        ".join(self._lines) or "pass"
        bound = ", ".join(f"{name}={name}" for name in self._scope)  # locals are the fastest names
        source = (
            f"def run({lists}, {bound}):\n    for {targets}, in zip({lists}):\n        {body}\n"
        )
        exec(compile(source, "<captured step>", "exec"), self._scope)
        run: Callable[..., None] = self._scope.pop("run")  # no cycle: freed as soon as dropped
        return run

    def used(self, group: int) -> list[Storage]:
        """The storages of a group that are needed in memory."""
        read = {place.storage for call in self.early[group] for place in call.operands()}
        return [s for s in self.groups[group] if s in self._given or s in read]

    def views(self, group: int, tables: Mapping[Storage, Table], row: int) -> tuple[Any, ...]:
        """What the loop takes for a group in the step whose values lie in that row of `tables`."""
        arrays: dict[Place, Array] = {}  # one object for each, as the processor's cache is small
        views = []
        for storage in self.groups[group]:
            for _, place, bound in self._given.get(storage, []):
                if place not in arrays:
                    arrays[place] = place.on(tables[storage].rows[row])
                views.append(arrays[place].dot if bound else arrays[place])
        return tuple(views)

    def preparation(self, group: int, tables: Mapping[Storage, Table]) -> Callable[[int], None]:
        """What computes, for so many rows of the tables, all that depends on a group alone."""
        calls = [
            (call.function, [_rows(place, call, tables) for place in call.operands()])
            for call in self.early[group]
        ]

        def prepare(count: int) -> None:
            for function, operands in calls:
                *arguments, out = [a[:count] if changes else a for a, changes in operands]
                function(*arguments, out=out)

        return prepare

    def array(self, place: Place) -> Array:
        """The array of the program at `place` (not for given storages)."""
        storage, shift = place.storage, 0
        if storage.moved_to:
            storage, shift = storage.moved_to
        return place.on(self._memory_of(storage), shift)

    def _memory_of(self, storage: Storage) -> Array:
        if storage.kind != "made":
            return _flat(storage.array)
        if storage not in self._memory:
            memory = aligned((storage.size,), storage.array.dtype)
            if storage.initial:
                memory[:] = _flat(storage.array)
            memory[storage.array.size :] = 1
            self._memory[storage] = memory
        return self._memory[storage]

    # Writing the function -------------------------------------------------------------------

    def _line(self, call: Call) -> str:
        function, out = call.function, self._name(call.out)
        if function is Kernels.dot:
            a, b = call.arguments
            return f"{self._name(a, bound=True)}({self._name(b)}, {out})"
        if function is Kernels.sum or function is Kernels.max:
            reduce = (np.add if function is Kernels.sum else np.maximum).reduce
            axis, keep = call.options.get("axis"), call.options.get("keepdims", False)
            x = self._name(call.arguments[0])
            return f"{self._name(reduce)}({x}, {axis}, None, {out}, {keep})"
        if function is Kernels.copy:
            return f"{self._name(np.copyto)}({out}, {self._name(call.arguments[0])})"
        elementwise = isinstance(function, np.ufunc) and function.signature is None
        names = [self._name(_single(a) if elementwise else a) for a in call.arguments]
        if isinstance(function, np.ufunc) and not call.options:
            # By place where NumPy (2.4) allows it, which is faster than by name.
            into = f"out={out}" if function in (np.maximum, np.minimum) else out
            return f"{self._name(function)}({', '.join([*names, into])})"
        partial = functools.partial(function, **call.options) if call.options else function
        return f"{self._name(partial)}({', '.join([*names, f'out={out}'])})"

    def _name(self, thing: Any, *, bound: bool = False) -> str:
        """The name in the generated function of a place, a function or another object."""
        key = (thing, bound) if isinstance(thing, Place) else id(thing)
        if key in self._names:
            return self._names[key]
        name = self._names[key] = f"v{len(self._names)}"
        if isinstance(thing, Place) and thing.storage.kind == "given":
            self._given.setdefault(thing.storage, []).append((name, thing, bound))
        elif isinstance(thing, Place):
            array = self.array(thing)
            self._scope[name] = array.dot if bound else array
        else:
            self._scope[name] = thing
        return name


def _rows(place: Place, call: Call, tables: Mapping[Storage, Table]) -> tuple[Array, bool]:
    """An operand of `call` in all steps, and whether it has a row for each."""
    if place.storage in tables:
        return tables[place.storage].stack(place, len(call.out.shape)), True
    return place.on(place.storage.array), False


def _single(argument: Any) -> Any:
    """One number stretched over a shape (strides of 0) as that number, which is faster."""
    if isinstance(argument, Place) and argument.shape and not any(argument.strides):
        return replace(argument, shape=(), strides=())
    return argument


def _flat(array: Array) -> Array:
    """The memory of a contiguous array as a vector."""
    return np.ndarray(array.size, array.dtype, array if array.flags.c_contiguous else array.T)
