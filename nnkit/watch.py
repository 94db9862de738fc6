"""Everything that a captured computation takes for granted, watched and put back.

What a forward pass computes depends on more than its parameters: on numbers, lists and objects
that modules and their classes hold, on what functions close over or look up in their module, on the
options of an optimizer. A captured step is right only as long as all that is as it was when it was
recorded. What the standard library and installed packages hold is taken as fixed.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
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

from .functions import Array, Function
from .modules.base import Module
from .optim import Optimizer
from .tensor import Tensor

#: Values that cannot change in place: compared as they are.
FIXED = (
    type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, np.ufunc,
    BuiltinFunctionType, ModuleType, GetSetDescriptorType,
)  # fmt: skip


class _Names:
    """Some names of a namespace, as a holder of their values; None where there is no such name."""

    def __init__(self, namespace: dict[str, Any], names: Iterable[str]) -> None:
        self.namespace = namespace
        self.names = sorted(names)
        self._missing = set(names) - namespace.keys()

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        return map(self.namespace.get, self.names)

    def restore(self, values: list[Any]) -> None:
        for name, value in zip(self.names, values, strict=True):
            if name not in self._missing:
                self.namespace[name] = value
            else:
                self.namespace.pop(name, None)


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
        self._classes: set[type] = set()
        self._asked: set[tuple[str, frozenset[str]]] = set()
        #: What is still to be looked at, and whether one of nnkit's modules holds it.
        self._waiting: list[tuple[Any, bool]] = []
        self._optimizers = [(o, o.fixed_options()) for o in owners if isinstance(o, Optimizer)]
        for owner in owners:
            if isinstance(owner, Optimizer):
                self._rule(owner)
            else:
                self._waiting.append((owner, False))
        while self._waiting:
            self._take_down(*self._waiting.pop())
        del self._seen, self._classes, self._asked, self._waiting
        # The same in another form, for a glance: see `_untouched`.
        self._rows = [row for holder, _ in self._holders for row in _rows(holder)]
        self._sizes = list(map(len, self._rows))
        self._items = list(chain.from_iterable(self._rows))
        self._cells = [entry for entry in self._holders if isinstance(entry[0], CellType)]
        self._tensors = [tensor for tensor, _, _ in self.tensors]
        self._data = [data for _, data, _ in self.tensors]
        self._needs = [needs for _, _, needs in self.tensors]

    def _take_down(self, value: Any, ours: bool) -> None:
        """Take down what `value` holds; `ours` if it belongs to one of nnkit's modules."""
        if isinstance(value, FIXED) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            self.tensors.append((value, value._data, value.requires_grad))
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, np.random.Generator):
            self.generators.append(value)
        elif isinstance(value, (list, dict, set, CellType)):
            self._hold(value, ours)
        elif isinstance(value, (tuple, frozenset)):
            self._wait(*value, ours=ours)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, (MethodType, staticmethod, classmethod)):
            self._wait(value.__func__, getattr(value, "__self__", None), ours=ours)
        elif isinstance(value, property):
            self._wait(value.fget, ours=ours)
        elif isinstance(value, partial):
            self._wait(value.func, value.args, value.keywords, ours=ours)
        elif isinstance(value, type):
            self._class(value)
        elif callable(value) and hasattr(value, "__name__") and _is_library(value.__module__ or ""):
            pass  # a function that is not written in Python
        elif isinstance(value, Module) and _is_ours(value):
            buffers = [getattr(value, name) for name in value.buffer_names]
            self.buffers += buffers
            self._seen.update(map(id, buffers))
            self._hold(value.__dict__, ours=True)
        elif _is_ours(value) and not is_dataclass(value):
            if not ours and not isinstance(value, Function):
                self.opaque = value  # optimizers, schedules: they change by themselves
        elif hasattr(value, "__dict__") and (
            isinstance(value, Module) or not _has_hidden_state(value)
        ):
            self._hold(value.__dict__)
            self._class(type(value))
        elif not callable(value) or not _is_library(type(value).__module__):
            self.opaque = value
        if isinstance(value, (list, dict, set, np.ndarray)) and hasattr(value, "__dict__"):
            self._hold(value.__dict__)  # of a class derived from these
            self._class(type(value))

    def _wait(self, *values: Any, ours: bool = False) -> None:
        self._waiting.extend((value, ours) for value in values)

    def _hold(self, holder: Any, ours: bool = False) -> None:
        members = _members(holder)
        self._holders.append((holder, members))
        self._wait(*members, ours=ours)

    def _array(self, value: Array) -> None:
        if value.dtype.hasobject:
            self.opaque = value
        else:
            self.contents.append((value, value.copy()))

    def _function(self, function: FunctionType) -> None:
        """What a function closes over, has for defaults and attributes, and looks up."""
        self._wait(*(function.__closure__ or ()), function.__defaults__, function.__kwdefaults__)
        if function.__dict__:
            self._hold(function.__dict__)
        if not _is_library(function.__globals__.get("__name__", "")):
            names = _names_in(function.__code__)
            if not names.isdisjoint(("eval", "exec")):
                self.opaque = function
            self._look_up(function.__globals__, names)
            for name in names:  # of modules that it imports itself
                self._look_into(sys.modules.get(name), names)

    def _look_up(self, namespace: dict[str, Any], names: set[str]) -> None:
        """Take down the values of these names, and of what modules among them have of that name."""
        found = _Names(namespace, names)
        self._hold(found)
        for value in found:
            self._look_into(value, names)

    def _look_into(self, value: Any, names: set[str]) -> None:
        if isinstance(value, ModuleType) and not _is_library(value.__name__):
            question = (value.__name__, frozenset(names))
            if question not in self._asked:
                self._asked.add(question)
                self._look_up(vars(value), names)

    def _class(self, cls: type) -> None:
        """Take down what a class holds, and those that it derives from."""
        for part in cls.__mro__:
            if _is_library(part.__module__) or part in self._classes:
                continue
            self._classes.add(part)
            self._holders.append((part, _members(part)))
            for name, value in vars(part).items():
                # What Python keeps in a class under names of its own says nothing of a forward.
                if isinstance(value, FunctionType) or not name.startswith(("__", "_abc_")):
                    self._wait(value)

    def _rule(self, optimizer: Optimizer) -> None:
        """Take down an optimizer's options; all that it has, if the user has made its class."""
        has = {n: v for n, v in vars(optimizer).items() if n not in optimizer.working_fields}
        if _is_ours(optimizer):
            has = {name: value for name, value in has.items() if isinstance(value, (*FIXED, tuple))}
        else:
            self._class(type(optimizer))
        self._hold(_Names(vars(optimizer), has))

    def same(self) -> bool:
        """Whether everything is as it was."""
        return (
            (self._untouched() or all(_equal(_members(h), then) for h, then in self._holders))
            and all(map(operator.is_, map(_DATA, self._tensors), self._data))
            and list(map(_NEEDS, self._tensors)) == self._needs
            and all(o.fixed_options() == then for o, then in self._optimizers)
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
                holder.restore(then)
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


def shared_draws() -> tuple[Any, Any]:
    """Where Python's and NumPy's shared random generators stand."""
    import random  # which takes its time

    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, tuple(keys), *rest)


def restore_shared_draws(draws: tuple[Any, Any]) -> None:
    """Put them back to where they stood."""
    import random

    random.setstate(draws[0])
    np.random.set_state(draws[1])


def _same_values(a: Array, b: Array) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _has_hidden_state(value: Any) -> bool:
    """Whether an object holds more than its attributes, as random.Random does.

    Objects of classes written in Python have room for a dict and weak references beside their head.
    """
    return type(value).__basicsize__ > object.__basicsize__ + 2 * tuple.__itemsize__


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
    """All names that a function looks up, as names or as text; functions inside it included."""
    inner = [_names_in(part) for part in code.co_consts if isinstance(part, CodeType)]
    return {name for name in _texts(code.co_consts) if name.isidentifier()}.union(
        code.co_names, *inner
    )


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    """All texts among the constants of a function, those in tuples and sets included."""
    for part in constants:
        if isinstance(part, str):
            yield part
        elif isinstance(part, (tuple, frozenset)):
            yield from _texts(part)


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
