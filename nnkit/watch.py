"""Everything that a captured computation takes for granted, watched and put back.

What a forward pass computes depends on more than its parameters: on numbers, lists and objects
that modules and their classes hold, on what functions close over or look up in their module, on the
options of an optimizer. A captured step is right only as long as all that is as it was when it was
recorded. What the standard library and installed packages hold is taken as fixed.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from .functions import Array
from .modules.base import Module
from .optim import Optimizer
from .tensor import Tensor

#: Values that cannot change in place: compared as they are.
FIXED = (
    type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, np.ufunc,
    BuiltinFunctionType, ModuleType, GetSetDescriptorType,
)  # fmt: skip


class _Names:
    """Some of the names of a module, as a holder of their values."""

    def __init__(self, namespace: dict[str, Any], names: set[str]) -> None:
        self.namespace = namespace
        self.names = sorted(names & namespace.keys())

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        return map(self.namespace.get, self.names)


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
        self._classes: set[int] = set()
        self._optimizers = [(o, o.variant()) for o in owners if isinstance(o, Optimizer)]
        for owner in owners:
            if not isinstance(owner, Optimizer):
                self._walk(owner, ours=False)
        del self._seen, self._classes
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
                self._walk(held, ours=False)
            if not _is_library(value.__globals__.get("__name__", "")):
                self._look_up(value.__globals__, _names_in(value.__code__))
        elif isinstance(value, (MethodType, staticmethod, classmethod)):
            self._walk(value.__func__, ours)
            self._walk(getattr(value, "__self__", None), ours)
        elif isinstance(value, property):
            self._walk(value.fget, ours)
        elif isinstance(value, partial):
            self._walk((value.func, value.args, value.keywords), ours)
        elif isinstance(value, type):
            self._class(value)
        elif _is_ours(value) and not isinstance(value, Module):
            pass  # operations are fixed; optimizers, steps and schedules are no part of a forward
        elif hasattr(value, "__dict__"):
            self._hold(value.__dict__, _is_ours(value))
            self._class(type(value))
        elif not callable(value):
            self.opaque = value

    def _class(self, cls: type) -> None:
        """Take down what a class holds, and those that it derives from."""
        for part in cls.__mro__:
            if _is_library(part.__module__) or id(part) in self._classes:
                continue
            self._classes.add(id(part))
            self._holders.append((part, _members(part)))
            for name, value in vars(part).items():
                # What Python keeps in a class under names of its own says nothing of a forward.
                if isinstance(value, FunctionType) or not name.startswith(("__", "_abc_")):
                    self._walk(value, ours=False)

    def _look_up(self, namespace: dict[str, Any], names: set[str]) -> None:
        """Take down the values of these names, and of what modules among them have of that name."""
        found = _Names(namespace, names)
        self._hold(found, ours=False)
        for value in found:
            if isinstance(value, ModuleType) and not _is_library(value.__name__):
                self._hold(_Names(vars(value), names), ours=False)

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
            elif isinstance(holder, _Names):
                holder.namespace.update(zip(holder.names, then, strict=True))
            elif isinstance(holder, type):
                half = len(then) // 2
                _restore_class(holder, dict(zip(then[:half], then[half:], strict=True)))
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
    if isinstance(holder, type):
        return [vars(holder), vars(holder).values()]
    return [holder, holder.values()] if isinstance(holder, dict) else [holder]


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("nnkit.")


def _is_library(module: str) -> bool:
    """Whether a module is one that nobody changes while a network is trained."""
    root = module.partition(".")[0]
    if root in ("nnkit", "numpy") or root in sys.stdlib_module_names:
        return True
    return "site-packages" in (getattr(sys.modules.get(module), "__file__", None) or "")


def _names_in(code: CodeType) -> set[str]:
    """All names that a function looks up, functions inside it included."""
    inner = [_names_in(part) for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*inner)


def _members(holder: Any) -> list[Any]:
    if isinstance(holder, type):
        return [*vars(holder), *vars(holder).values()]
    if isinstance(holder, dict):
        return [*holder, *holder.values()]
    if isinstance(holder, CellType):
        try:
            return [holder.cell_contents]
        except ValueError:  # an empty cell
            return []
    return list(holder)


def _restore_class(cls: type, then: dict[str, Any]) -> None:
    for name in vars(cls).keys() - then.keys():
        delattr(cls, name)
    for name, value in then.items():
        if vars(cls).get(name) is not value:
            setattr(cls, name, value)


_BY_VALUE = (bool, int, float, complex, str, bytes, type(None))


def _equal(now: list[Any], then: list[Any]) -> bool:
    """Whether both have the same objects, or plain values that are equal."""
    if len(now) != len(then):
        return False
    for a, b in zip(now, then):  # noqa: B905 (time; the lengths are equal)
        if a is not b and not (isinstance(a, _BY_VALUE) and type(a) is type(b) and a == b):
            return False
    return True
