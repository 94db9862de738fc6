"""Where the boxes and lines of a graph go: columns from left to right, few crossings, short lines.

The layered drawing of Sugiyama, Tagawa and Toda (1981): every box gets a column, lines that pass
over columns reserve a place in each, boxes are put in order by the mean place of their
neighbours, and then moved up and down until the lines are as straight as the gaps allow.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

SWEEPS = 12
PASSING = 10.0  # height reserved for a line that passes through a column

Size: TypeAlias = tuple[float, float]
Point: TypeAlias = tuple[float, float]
#: A box (its index), or (source, column) where a line passes.
Spot: TypeAlias = int | tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """A drawing of `width` by `height` whose origin is the upper left corner.

    `boxes` holds the upper left corner of each box. `lines` holds the points of each edge in
    turn, from the right side of its source to the left side of its target; between the 1st and
    the 2nd, the 3rd and the 4th, … it moves from column to column, in between it goes straight.
    """

    width: float
    height: float
    boxes: tuple[Point, ...]
    lines: tuple[tuple[Point, ...], ...]


@lru_cache(maxsize=64)  # while the backward pass is walked through, the boxes stay
def lay_out(
    sizes: tuple[Size, ...],
    edges: tuple[tuple[int, int], ...],
    *,
    gap_x: float = 46,
    gap_y: float = 14,
) -> Layout:
    """Place boxes of the given sizes so that every edge goes from left to right.

    Args:
        sizes: width and height of each box.
        edges: (source, target) as indices of boxes, without cycles; the edges into one target
            in the order of its operands. An edge may be there more than once.
        gap_x: between columns.
        gap_y: between boxes one above the other.

    >>> lay_out(((10, 10), (10, 10)), ((0, 1),), gap_x=20).boxes
    ((0.0, 0.0), (30.0, 0.0))
    """
    if not sizes:
        return Layout(0, 0, (), ())
    columns = _columns(len(sizes), edges)
    routes = [_route(edge, columns) for edge in edges]
    spots = _ordered(columns, edges, routes)
    heights: dict[Spot, float] = defaultdict(lambda: PASSING)
    heights.update((i, height) for i, (_, height) in enumerate(sizes))
    middles = _middles(spots, routes, heights, gap_y)

    widths = [max(sizes[s][0] for s in column if isinstance(s, int)) for column in spots]
    lefts = [sum(widths[:i]) + gap_x * i for i in range(len(widths))]
    boxes = tuple(
        (
            float(lefts[columns[i]] + (widths[columns[i]] - width) / 2),
            float(middles[i] - height / 2),
        )
        for i, (width, height) in enumerate(sizes)
    )
    ports = _ports(routes, middles, heights)
    lines = []
    for (source, target), route, port in zip(edges, routes, ports, strict=True):
        points = [(boxes[source][0] + sizes[source][0], middles[source])]
        for spot in route[1:-1]:
            column = columns[spot] if isinstance(spot, int) else spot[1]
            points += [(lefts[column], middles[spot])]
            points += [(lefts[column] + widths[column], middles[spot])]
        lines.append((*points, (boxes[target][0], port)))
    height = max(y + sizes[i][1] for i, (_, y) in enumerate(boxes))
    height = max([height, *(y for line in lines for _, y in line)])
    return Layout(lefts[-1] + widths[-1], height, boxes, tuple(lines))


def _columns(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each box; boxes without inputs stand right before what they go into."""
    inputs: dict[int, list[int]] = defaultdict(list)
    outputs: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        inputs[target].append(source)
        outputs[source].append(target)
    columns = [0] * count
    waiting = {i: len(inputs[i]) for i in range(count)}
    ready = [i for i in range(count) if not waiting[i]]
    for i in ready:  # grows while it is walked
        columns[i] = max((columns[s] + 1 for s in inputs[i]), default=0)
        for target in outputs[i]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for i in range(count):
        if not inputs[i] and outputs[i]:
            columns[i] = min(columns[t] for t in outputs[i]) - 1
    return columns


def _route(edge: tuple[int, int], columns: Sequence[int]) -> list[Spot]:
    """The spots of an edge; edges from one source share those they have in common."""
    source, target = edge
    passed = range(columns[source] + 1, columns[target])
    return [source, *((source, column) for column in passed), target]


# ---- order within a column -----------------------------------------------------------------------


def _ordered(
    columns: Sequence[int], edges: Sequence[tuple[int, int]], routes: Sequence[Sequence[Spot]]
) -> list[list[Spot]]:
    """The spots of each column from top to bottom, in an order with few crossings."""
    spots: list[list[Spot]] = [[] for _ in range(max(columns) + 1)]
    for i in _by_operands(len(columns), edges):
        spots[columns[i]].append(i)
    links = list(dict.fromkeys(pair for route in routes for pair in pairwise(route)))
    for spot in dict.fromkeys(spot for route in routes for spot in route[1:-1]):
        if isinstance(spot, tuple):
            spots[spot[1]].append(spot)
    before, after = _neighbours(links)
    best, fewest = [list(column) for column in spots], _crossings(spots, links)
    place = {spot: share for column in spots for spot, share in _shares(column)}
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        neighbours = before if forward else after
        for column in spots if forward else reversed(spots):
            means = {s: _mean([place[n] for n in neighbours[s]], place[s]) for s in column}
            column.sort(key=means.__getitem__)
            place.update(_shares(column))
        if (crossings := _crossings(spots, links)) < fewest:
            best, fewest = [list(column) for column in spots], crossings
    return best


def _shares(column: Sequence[Spot]) -> Iterator[tuple[Spot, float]]:
    """How far down each spot of a column stands, from 0 to 1."""
    return ((spot, i / max(len(column) - 1, 1)) for i, spot in enumerate(column))


def _by_operands(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The boxes in the order in which the result's operands name them, first operand first."""
    operands: dict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        operands[target].append(source)
    used = {source for source, _ in edges}
    order: dict[int, None] = {}
    stack = [i for i in range(count) if i not in used]
    while stack:
        box = stack.pop()
        if box not in order:
            order[box] = None
            stack.extend(reversed(operands[box]))
    return list(order)


def _neighbours(
    links: Sequence[tuple[Spot, Spot]],
) -> tuple[Mapping[Spot, list[Spot]], Mapping[Spot, list[Spot]]]:
    before: dict[Spot, list[Spot]] = defaultdict(list)
    after: dict[Spot, list[Spot]] = defaultdict(list)
    for left, right in links:
        before[right].append(left)
        after[left].append(right)
    return before, after


def _crossings(spots: Sequence[Sequence[Spot]], links: Sequence[tuple[Spot, Spot]]) -> int:
    place = {spot: (c, i) for c, column in enumerate(spots) for i, spot in enumerate(column)}
    gaps: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for left, right in links:
        gaps[place[left][0]].append((place[left][1], place[right][1]))
    crossings = 0
    for pairs in gaps.values():
        ends: list[int] = []  # of the links that start higher up
        for _, end in sorted(pairs):
            crossings += len(ends) - bisect_right(ends, end)
            insort(ends, end)
    return crossings


# ---- heights -------------------------------------------------------------------------------------


def _middles(
    spots: Sequence[Sequence[Spot]],
    routes: Sequence[Sequence[Spot]],
    heights: Mapping[Spot, float],
    gap: float,
) -> dict[Spot, float]:
    """The height of the middle of each spot: as near to its neighbours' as the order allows."""
    links = list(dict.fromkeys(pair for route in routes for pair in pairwise(route)))
    before, after = _neighbours(links)
    middles: dict[Spot, float] = {}
    columns = [(column, [heights[s] for s in column]) for column in spots]
    for column, tall in columns:
        middles |= dict(zip(column, apart([0.0] * len(column), tall, gap), strict=True))
    for sweep in range(2 * SWEEPS):
        for column, tall in columns if sweep % 2 else reversed(columns):
            wanted = [_pull(s, (*before[s], *after[s]), middles) for s in column]
            middles |= dict(zip(column, apart(wanted, tall, gap), strict=True))
    top = min(middle - heights[spot] / 2 for spot, middle in middles.items())
    return {spot: middle - top for spot, middle in middles.items()}


def _pull(spot: Spot, neighbours: Sequence[Spot], middles: Mapping[Spot, float]) -> float:
    """The height that neighbours pull to; lines that pass through pull harder, to be straight."""
    passing = [not isinstance(s, int) for s in (spot, *neighbours)]
    weights = [(1, 2, 8)[passing[0] + other] for other in passing[1:]]
    if not weights:
        return middles[spot]
    return sum(w * middles[n] for w, n in zip(weights, neighbours, strict=True)) / sum(weights)


def apart(wanted: Sequence[float], heights: Sequence[float], gap: float) -> list[float]:
    """The middles nearest to `wanted` (least squares) that keep order and gaps.

    With the room that each needs above it taken off, the middles must only not fall: that is
    isotonic regression, solved by pooling neighbours that violate it.

    >>> apart([0, 1, 30], [10, 10, 10], gap=2)
    [-5.5, 6.5, 30.0]
    """
    shifts = [0.0] if heights else []
    for above, below in pairwise(heights):
        shifts.append(shifts[-1] + (above + below) / 2 + gap)
    pools: list[tuple[float, int]] = []  # mean and size
    for want, shift in zip(wanted, shifts, strict=True):
        mean, size = want - shift, 1
        while pools and pools[-1][0] > mean:
            previous, members = pools.pop()
            mean = (mean * size + previous * members) / (size + members)
            size += members
        pools.append((mean, size))
    level = [mean for mean, size in pools for _ in range(size)]
    return [mean + shift for mean, shift in zip(level, shifts, strict=True)]


def _ports(
    routes: Sequence[Sequence[Spot]], middles: Mapping[Spot, float], heights: Mapping[Spot, float]
) -> list[float]:
    """The height at which each edge meets its target: spread out, so that arrows keep apart."""
    incoming: dict[Spot, list[int]] = defaultdict(list)
    for i, route in enumerate(routes):
        incoming[route[-1]].append(i)
    ports = [0.0] * len(routes)
    for target, edges in incoming.items():
        edges.sort(key=lambda i: middles[routes[i][-2]])
        step = min(16.0, heights[target] / (len(edges) + 1))
        for place, i in enumerate(edges):
            ports[i] = middles[target] + (place - (len(edges) - 1) / 2) * step
    return ports


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
