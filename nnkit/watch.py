"""Everything that a captured computation takes for granted, watched and put back.

What a forward pass computes depends on more than its parameters: on numbers, lists and objects
that modules hold, on what functions close over, on the options of an optimizer. A captured step is
right only as long as all that is as it was when it was recorded.
"""

from __future__ import annotations

import operator
from itertools import chain
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .functions import Array
from .modules.base import Module
from .optim import Optimizer
from .tensor import Tensor

#: Values that cannot change in place: compared as they are.
FIXED = (
    type(None), bool, int, float, complex, str, bytes, type, np.generic, np.dtype, np.ufunc,
    BuiltinFunctionType, ModuleType,
)  # fmt: skip


class Watch:
    """The members of everything that can be reached from modules, losses and optimizers.

    Attributes:
        opaque: an object whose state cannot be seen, if there is one.
    """

    def __init__(self, *owners: Any) -> None:
        self.owners = owners
        self.opaque: object | None = None
        self.generators: list[np.random.Generator] = []
        self.tensors: list[tuple[Tensor, Array, bool]] = []
        #: Arrays of our own modules, which captured steps work on in place.
        self.buffers: list[Array] = []
        #: Arrays that others hold: Python may have read them, so their contents count.
        self.contents: list[tuple[Array, Array]] = []
        self._holders: list[tuple[Any, list[Any]]] = []
        self._seen: set[int] = set()
        self._optimizers = [(o, o.variant()) for o in owners if isinstance(o, Optimizer)]
        for owner in owners:
            if not isinstance(owner, Optimizer):
                self._walk(owner, ours=False)
        del self._seen
        # The same in another form, for a glance: see `_untouched`.
        self._rows = [row for holder, _ in self._holders for row in _rows(holder)]
        self._sizes = list(map(len, self._rows))
        self._items = list(chain.from_iterable(self._rows))
        self._cells = [entry for entry in self._holders if isinstance(entry[0], CellType)]
        self._tensors = [tensor for tensor, _, _ in self.tensors]
        self._data = [data for _, data, _ in self.tensors]
        self._needs = [needs for _, _, needs in self.tensors]

    def _walk(self, value: Any, ours: bool) -> None:
        """Take down what `value` holds; `ours` if it belongs to one of nnkit's modules."""
        if isinstance(value, FIXED) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            self.tensors.append((value, value._data, value.requires_grad))
        elif isinstance(value, np.ndarray):
            if ours:
                self.buffers.append(value)
            else:
                self.contents.append((value, value.copy()))
        elif isinstance(value, np.random.Generator):
            self.generators.append(value)
        elif isinstance(value, (list, dict, set, CellType)):
            self._hold(value, ours)
        elif isinstance(value, (tuple, frozenset)):
            for item in value:
                self._walk(item, ours)
        elif isinstance(value, FunctionType):
            for held in (*(value.__closure__ or ()), value.__defaults__, value.__kwdefaults__):
                self._walk(held, ours)
        elif isinstance(value, MethodType):
            self._walk(value.__self__, ours)
        elif _is_ours(value) and not isinstance(value, Module):
            pass  # operations are fixed; optimizers, steps and schedules are no part of a forward
        elif hasattr(value, "__dict__"):
            self._hold(value.__dict__, _is_ours(value))
        elif not callable(value):
            self.opaque = value

    def _hold(self, holder: Any, ours: bool) -> None:
        members = _members(holder)
        self._holders.append((holder, members))
        for member in members:
            self._walk(member, ours)

    def same(self) -> bool:
        """Whether everything is as it was."""
        return (
            (self._untouched() or all(_equal(_members(h), then) for h, then in self._holders))
            and all(map(operator.is_, map(_DATA, self._tensors), self._data))
            and list(map(_NEEDS, self._tensors)) == self._needs
            and (not self._optimizers or all(o.variant() == then for o, then in self._optimizers))
            and (not self.contents or all(_same_values(a, b) for a, b in self.contents))
        )

    def _untouched(self) -> bool:
        """Whether all holders have the very objects that they had.

        True nearly always, and found without a line of Python for each of hundreds of members.
        """
        return (
            list(map(len, self._rows)) == self._sizes
            and all(map(operator.is_, chain.from_iterable(self._rows), self._items))
            and (not self._cells or all(_equal(_members(c), then) for c, then in self._cells))
        )

    def restore(self) -> None:
        """Put all members back (not the values of tensors, buffers and generators)."""
        for holder, then in self._holders:
            if _equal(_members(holder), then):
                continue
            if isinstance(holder, dict):
                half = len(then) // 2
                holder.clear()
                holder.update(zip(then[:half], then[half:], strict=True))
            elif isinstance(holder, list):
                holder[:] = then
            elif isinstance(holder, set):
                holder.clear()
                holder.update(then)
            else:
                holder.cell_contents = then[0]
        for array, values in self.contents:
            if not _same_values(array, values):
                array[...] = values


_DATA, _NEEDS = operator.attrgetter("_data"), operator.attrgetter("requires_grad")


def _same_values(a: Array, b: Array) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def _rows(holder: Any) -> list[Any]:
    """The members of a holder as they are now and will be, to be gone through again and again."""
    if isinstance(holder, CellType):
        return []
    return [holder, holder.values()] if isinstance(holder, dict) else [holder]


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("nnkit.")


def _members(holder: Any) -> list[Any]:
    if isinstance(holder, dict):
        return [*holder, *holder.values()]
    if isinstance(holder, CellType):
        try:
            return [holder.cell_contents]
        except ValueError:  # an empty cell
            return []
    return list(holder)


_BY_VALUE = (bool, int, float, complex, str, bytes, type(None))


def _equal(now: list[Any], then: list[Any]) -> bool:
    """Whether both have the same objects, or plain values that are equal."""
    if len(now) != len(then):
        return False
    for a, b in zip(now, then):  # noqa: B905 (time; the lengths are equal)
        if a is not b and not (isinstance(a, _BY_VALUE) and type(a) is type(b) and a == b):
            return False
    return True
