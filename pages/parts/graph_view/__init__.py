"""The graph of a walkthrough, drawn: one box for each node, from the variables to the result.

`scene` turns a walkthrough and a place in its backward pass into positions, texts and marks;
`graph_view` shows that in the browser, where a click on a box is a wish to go to its step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nnkit.graph import GraphNode
from nnkit.walkthrough import Part, Walkthrough
from pages.parts import palette
from pages.parts.graph_view.layout import Point, apart, lay_out
from pages.parts.typeset import LARGEST_MATRIX, plain_formula, plain_number

LINE = 17  # height of a line of text
TITLE = 24
MARGIN = 12  # around the drawing, for what stands out a little
LABEL = 36  # width of the words "value" and "grad"
MORE = 20  # width of the mark that more is to come
DIGIT = 7.0
GAP = 46.0  # between columns, at least
SENT = 20.0  # height of what is written on a line, with a little room

_FOLDER = Path(__file__).parent
_mount = st.components.v2.component(
    "nnkit_graph_view",
    css=(
        f".graph {{ --negative: {palette.NEGATIVE}; --positive: {palette.POSITIVE}; }}\n"
        + (_FOLDER / "graph_view.css").read_text(encoding="utf-8")
    ),
    js=(_FOLDER / "graph_view.js").read_text(encoding="utf-8"),
)


def graph_view(
    walk: Walkthrough, position: int, *, key: str, on_step: Callable[[int], None]
) -> None:
    """Show the graph after `position` steps of the backward pass.

    Args:
        key: the key of the view; it stays the same view for as long as the key does.
        on_step: called, before the script runs again, with the number of the step to go to.
    """

    def receive() -> None:
        step = st.session_state[key].get("step")
        if type(step) is int and 0 <= step <= len(walk.steps):
            on_step(step)

    _mount(key=key, data=scene(walk, position), on_step_change=receive)


def scene(walk: Walkthrough, position: int) -> dict[str, Any]:
    """Everything to draw, as plain data. Boxes stand in the same place at every position."""
    graph = walk.graph
    texts = [_Texts(walk, node) for node in graph.nodes]
    everything = [_sent(part) or "" for step in walk.steps for part in step.parts]
    layout = lay_out(
        tuple(text.size for text in texts),
        tuple((e.source, e.target) for e in graph.edges),
        gap_x=max([GAP, *(_sent_width(text) + 6 for text in everything)]),
    )
    known = walk.gradients_after(position)
    step = walk.steps[position - 1] if 0 < position <= len(walk.steps) else None
    turns = {step.node.id: count for count, step in enumerate(walk.steps, 1)}
    sent = {(p.edge.target, p.edge.position): p for p in step.parts} if step else {}
    nodes = []
    for node, text, (x, y) in zip(graph.nodes, texts, layout.boxes, strict=True):
        gradient, missing = known.get(node.id, (None, 0))
        nodes.append(
            {
                "x": x + MARGIN,
                "y": y + MARGIN,
                "width": text.size[0],
                "height": text.size[1],
                "kind": node.kind,
                "title": text.title,
                "value": text.value,
                "column": text.column,
                "gradient": _lines(gradient) if gradient is not None else None,
                "rows": text.rows,
                "missing": missing,
                "tint": _tint(gradient),
                "current": step is not None and node is step.node,
                "step": turns.get(node.id),
                "label": _label(walk, node, gradient, missing),
            }
        )
    lines = [[(x + MARGIN, y + MARGIN) for x, y in line] for line in layout.lines]
    flows = [_sent(sent.get((edge.target, edge.position))) for edge in graph.edges]
    edges = [
        {
            "points": line,
            "constant": edge.gradient is None,
            "sent": flow,
            "place": place,
        }
        for edge, line, flow, place in zip(
            graph.edges, lines, flows, _sent_places(lines, flows), strict=True
        )
    ]
    return {
        "width": layout.width + 2 * MARGIN,
        "height": layout.height + 2 * MARGIN,
        "label": f"Graph of {len(nodes)} nodes, after {position} of {len(walk.steps)} steps",
        "nodes": nodes,
        "edges": edges,
    }


class _Texts:
    """What stands in a box, and how large it is: the same whatever is known of its gradient."""

    def __init__(self, walk: Walkthrough, node: GraphNode) -> None:
        name, definition = walk.names[node.id], walk.definitions[node.id]
        self.title = plain_formula(f"{name} = {definition}" if definition else name)
        self.value = [] if _lines(node.value) == [[self.title]] else _lines(node.value)
        gradient = [] if node.gradient is None else _lines(node.gradient)
        self.rows = len(gradient)
        cells = [len(cell) for line in self.value + gradient for cell in line]
        used = sum(edge.gradient is not None for edge in walk.graph.out_of(node))
        self.column = DIGIT * max(cells, default=0) + 8
        columns = max((len(line) for line in self.value), default=0)
        numbers = LABEL + self.column * columns + 18 + (MORE if used > 1 else 0)
        width = max(7.4 * len(self.title) + 22, numbers if self.value else 0)
        height = TITLE + LINE * (len(self.value) + self.rows) + (6 if self.value else 0)
        self.size = (width, float(height))


def _lines(array: NDArray[Any]) -> list[list[str]]:
    """A number, the rows of a small matrix, or the shape of a large one."""
    if array.size == 1:
        return [[plain_number(array.item())]]
    if array.ndim > 2 or max(array.shape) > LARGEST_MATRIX or not array.size:
        return [[f"{array.shape}"]]
    return [[plain_number(value) for value in row] for row in np.atleast_2d(array)]


def _tint(gradient: NDArray[Any] | None) -> str:
    if gradient is None or gradient.size != 1 or not gradient.any() or np.isnan(gradient).any():
        return "none"
    return "positive" if gradient.item() > 0 else "negative"


def _label(walk: Walkthrough, node: GraphNode, gradient: NDArray[Any] | None, missing: int) -> str:
    """The box in words, for screen readers and as the tip under the mouse."""
    name, definition = walk.names[node.id], walk.definitions[node.id]
    words = [f"{name} = {definition}" if definition else f"{node.kind} {name}"]
    words.append(f"value {_exact(node.value)}")
    if gradient is not None:
        words.append(f"gradient {_exact(gradient)}" + (" so far" if missing else ""))
    elif node.gradient is not None:
        words.append("gradient not computed yet")
    return ", ".join(words)


def _exact(array: NDArray[Any]) -> str:
    return f"{array.item():.9g}" if array.size == 1 else f"of shape {array.shape}"


def _sent(part: Part | None) -> str | None:
    """What flows along an edge in this step; "" for arrays, which have no room there."""
    if part is None or part.edge.gradient is None:
        return None
    if part.edge.gradient.size != 1:
        return ""
    text = plain_number(part.edge.gradient.item())
    adds = part.earlier + part.missing and not text.startswith("−")
    return f"+{text}" if adds else text


def _sent_width(text: str) -> float:
    return 6.4 * len(text) + 10


def _sent_places(
    lines: Sequence[Sequence[Point]], flows: Sequence[str | None]
) -> list[tuple[float, float, float] | None]:
    """Where on its line each text is written: the middle, and the width.

    All of them belong to one box, so they stand before it, one above the other.
    """
    middles = [((a + c) / 2, (b + d) / 2) for *_, (a, b), (c, d) in lines]
    written = sorted((i for i, text in enumerate(flows) if text), key=lambda i: middles[i][1])
    heights = apart([middles[i][1] for i in written], [SENT] * len(written), 0)
    places: list[tuple[float, float, float] | None] = [None] * len(lines)
    for i, height in zip(written, heights, strict=True):
        places[i] = middles[i][0], height, _sent_width(flows[i] or "")
    return places
