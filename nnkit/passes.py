"""How a log of calls is made shorter before it is replayed. No number changes by it.

- `needed` keeps the calls that something wanted depends on.
- `hoisted` takes out the calls on the batch alone (targets made one-hot, 1 - t of a loss), to be
  done for many steps at once.
- `merged` makes one call of the same call on several layers' arrays (the 1 - y² of every tanh),
  by giving those arrays memory side by side.

Calls are moved past others only where neither touches what the other writes, and only those move
that give each element its correctly rounded value, wherever in an array it lies (`EXACT`).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .capture import Call, Place, Storage

EXACT = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.reciprocal, np.square, np.sqrt,
    np.absolute, np.sign, np.maximum, np.minimum, np.greater, np.greater_equal, np.less,
    np.less_equal, np.equal,
}  # fmt: skip

#: Calls on more elements than this have nothing to gain from being merged.
SMALL = 2**13
#: Merged arrays begin at multiples of so many elements, at least a cache line.
LINE = 16

Column = tuple[Storage, ...]  # what the calls of a group have in one place of their arguments


class _Entry(NamedTuple):
    """A call, and what it reads and writes."""

    call: Call
    reads: set[Storage]
    writes: set[Storage]


def needed(calls: list[Call], wanted: Iterable[Storage]) -> list[Call]:
    """The calls that `wanted`, fixed storages or random generators depend on, in order."""
    live = {s.home() for s in wanted}
    kept: list[Call] = []
    for call in reversed(calls):
        target = call.out.storage.home()
        drawn = any(isinstance(a, np.random.Generator) for a in call.arguments)
        if target in live or target.kind in ("fixed", "given") or drawn:
            kept.append(call)
            live.add(target)
            live.update(place.storage.home() for place in call.reads())
    return kept[::-1]


def hoisted(calls: list[Call], given: Iterable[Storage]) -> tuple[list[Call], list[Call]]:
    """The calls on `given` storages and constants alone, and the others.

    The results of the first become given storages.
    """
    inputs = set(given) - {call.out.storage for call in calls}
    others: set[Storage] = set()  # written by calls that have to stay
    while True:
        known, early, rest = set(inputs), [], []
        touched: set[Storage] = set()  # by calls that stay: to be left as they are
        for call in calls:
            target, sources = call.out.storage, {place.storage for place in call.reads()}
            if (
                call.function in EXACT
                and target.kind == "made"
                and not (target in others or target in touched)
                and not (target.moved_to or target.tall is not None)
                and sources & known
                and all(s in known or s.kind == "constant" for s in sources)
            ):
                known.add(target)
                early.append(call)
            else:
                touched |= sources | {target}
                rest.append(call)
        late = {call.out.storage for call in rest}
        if not any(call.out.storage in late for call in early):
            break
        others |= late
    for call in early:
        call.out.storage.kind = "given"
    return early, rest


def merged(calls: list[Call]) -> list[Call]:
    """`calls` with like calls on like arrays brought together where that is possible."""
    waiting = [
        _Entry(call, {place.storage.home() for place in call.reads()}, {call.out.storage.home()})
        for call in calls
    ]
    arenas: dict[Column, _Arena] = {}
    result: list[Call] = []
    while waiting:
        first, *others = waiting
        group = [first]
        reads, writes = set(first.reads), set(first.writes)  # of all calls that are passed
        for other in others:
            free = other.writes.isdisjoint(reads | writes) and other.reads.isdisjoint(writes)
            if free and _alike(first.call, other.call):
                group.append(other)
            reads |= other.reads
            writes |= other.writes
        together = _together([e.call for e in group], arenas) if len(group) > 1 else None
        if together is None:
            result.append(first.call)
            waiting = others
        else:
            result.append(together)
            done = {id(entry) for entry in group}
            waiting = [entry for entry in others if id(entry) not in done]
    return result


def _alike(one: Call, other: Call) -> bool:
    """Whether two calls do the same to each element of whole arrays."""
    return (
        one.function is other.function
        and _elementwise(one)
        and _elementwise(other)
        and len(one.arguments) == len(other.arguments)
        and all(_same_kind(a, b) for a, b in zip(one.operands(), other.operands(), strict=True))
    )


def _elementwise(call: Call) -> bool:
    """Whether every operand is a number, or a whole result in the memory order of the output."""
    out = call.out
    return call.function in EXACT and all(
        _is_number(place)
        or (
            (place.shape, place.strides) == (out.shape, out.strides)
            and place.storage.kind == "made"
            and not (place.storage.initial or place.offset)
            and math.prod(place.shape) == place.storage.array.size <= SMALL
        )
        for place in call.operands()
    )


def _is_number(place: Place) -> bool:
    return place.storage.kind == "constant" and place.storage.array.size == 1 and not place.shape


def _same_kind(a: Place, b: Place) -> bool:
    if a.dtype != b.dtype or _is_number(a) != _is_number(b):
        return False
    return not _is_number(a) or bool(a.storage.array == b.storage.array)


def _together(group: list[Call], arenas: dict[Column, _Arena]) -> Call | None:
    """One call for a group of like calls, or None where its arrays cannot lie side by side."""
    operands = list(zip(*(call.operands() for call in group), strict=True))
    columns = [tuple(p.storage for p in places) for places in operands if not _is_number(places[0])]
    known = [arenas[column] for column in columns if column in arenas]
    fresh = {column for column in columns if column not in arenas}
    members = [storage for column in fresh for storage in column]
    if len(set(members)) < len(members) or any(s.moved_to for s in members):
        return None
    sizes = [max(s.size for s in parts) for parts in zip(*columns, strict=True)]
    widths = known[0].widths if known else tuple(-(-size // LINE) * LINE for size in sizes)
    if any(arena.widths != widths for arena in known) or any(map(operator.gt, sizes, widths)):
        return None
    for column in fresh:
        arenas[column] = _Arena(column, widths)
    *arguments, out = [
        places[0] if _is_number(places[0]) else arenas[tuple(p.storage for p in places)].place
        for places in operands
    ]
    return Call(group[0].function, arguments, out)


class _Arena:
    """One piece of memory for several storages, each with so many elements of its own."""

    def __init__(self, members: Column, widths: tuple[int, ...]) -> None:
        self.widths = widths
        values = np.zeros(sum(widths), members[0].array.dtype)
        storage = Storage("made", values, initial=True)
        start = 0
        for member, width in zip(members, widths, strict=True):
            member.moved_to = (storage, start * values.itemsize)
            values[start + member.array.size : start + member.size] = 1  # the ones for a bias
            start += width
        self.place = Place(storage, 0, values.shape, values.strides, values.dtype)
