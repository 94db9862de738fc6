"""The parts of the Gradients page, from top to bottom.

What is shown follows from `example` (None for a formula of the visitor's own), `formula`, a
`value_<name>` for each variable, and `backward_step`: how many steps have been done.
"""

from __future__ import annotations

import math

import streamlit as st

from nnkit.errors import ExpressionError
from nnkit.expressions import point_at
from nnkit.walkthrough import (
    Step,
    Walkthrough,
    parse_expression,
    walk_through,
    walk_through_expression,
)
from pages.parts.graph_examples import DEFAULT_VALUE, EXAMPLES
from pages.parts.graph_view import graph_view
from pages.parts.typeset import (
    latex_expression,
    latex_gradient,
    latex_name,
    latex_part,
    latex_value,
    plain_formula,
    plain_number,
)

MOST_NODES = 150
FIRST = "Neuron"


# ---- what to look at -----------------------------------------------------------------------------


def chosen_walk() -> Walkthrough | None:
    """Ask for a formula and its values; None, with a word about it, where there is none."""
    if "formula" not in st.session_state:
        st.session_state.example = FIRST
        _pick()
    st.pills(
        "Examples",
        list(EXAMPLES),
        key="example",
        label_visibility="collapsed",
        on_change=_pick,
        persist_state="session",
        help="Each shows something else; the formula and its values can be changed afterwards.",
    )
    example = EXAMPLES.get(st.session_state.example or "")
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    if example and example.function:
        left.text_input(
            "Formula",
            example.text,
            disabled=True,
            help="This one works on arrays. Choose another example to write a formula.",
        )
        st.caption(example.lesson)
        return walk_through(example.function, example.values)
    text = left.text_input(
        "Formula",
        key="formula",
        on_change=_edited,
        persist_state="session",
        max_chars=500,
        help="Variables are single letters, with a number if you like: x, y, w, b, x1. "
        "Known are + - * / ^, sin cos exp log sqrt abs tanh sigmoid relu softplus max min, pi, e; "
        "`a = ...;` gives a part a name.",
    )
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        st.error(
            f"{_escaped(str(error))[:1].upper()}{_escaped(str(error))[1:]}", icon=":material/error:"
        )
        st.code(point_at(text, error.position), language=None)
        return None
    size = r"\footnotesize" if len(expression.assignments) > 1 else ""
    right.latex(rf"{size} {latex_expression(expression)}", width="content")
    values = _values(expression.variables)
    if example:
        st.caption(example.lesson)
    walk = walk_through_expression(text, values)
    if len(walk.graph.nodes) > MOST_NODES:
        st.warning(
            f"The graph has {len(walk.graph.nodes)} nodes, more than the {MOST_NODES} that can be "
            "shown. Take a shorter formula.",
            icon=":material/zoom_out:",
        )
        return None
    return walk


def _pick() -> None:
    """Take over the formula and the values of the example that was clicked."""
    st.session_state.backward_step = 0
    example = EXAMPLES.get(st.session_state.example or "")
    if example and not example.function:
        st.session_state.formula = example.text
        for name, value in example.values.items():
            st.session_state[f"value_{name}"] = value
    elif "formula" not in st.session_state:
        st.session_state.formula = EXAMPLES[FIRST].text


def _edited() -> None:
    st.session_state.example = None
    st.session_state.backward_step = 0


def _values(names: tuple[str, ...]) -> dict[str, float]:
    """A field for each variable."""
    with st.container(horizontal=True, gap="xsmall"):
        for name in names:
            st.session_state.setdefault(f"value_{name}", DEFAULT_VALUE)
            st.number_input(
                f"${latex_name(name)}$",
                key=f"value_{name}",
                step=0.1,
                format="%.4g",
                width=96,
                persist_state="session",
            )
    given = {name: st.session_state[f"value_{name}"] for name in names}
    return {name: 0.0 if value is None else float(value) for name, value in given.items()}


# ---- the pass ------------------------------------------------------------------------------------


def stepper(walk: Walkthrough) -> int:
    """The buttons to walk with, and where the pass is: so many steps have been done."""
    last = len(walk.steps)
    position = min(st.session_state.setdefault("backward_step", 0), last)
    buttons = (
        ("First", "first_page", 0, None, "Back to where only the values are known."),
        ("Back", "chevron_left", position - 1, "B", "One operation back."),
        ("Next", "chevron_right", position + 1, "N", "The next operation sends its gradients."),
        ("Last", "last_page", last, None, "To the end of the backward pass."),
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for label, icon, target, shortcut, help in buttons:
            st.button(
                label,
                key=f"step_{label.lower()}",
                icon=f":material/{icon}:",
                type="primary" if label == "Next" else "secondary",
                on_click=_go,
                args=(target,),
                disabled=target == position or not 0 <= target <= last,
                shortcut=shortcut,
                help=help,
            )
        st.markdown(_where(walk, position))
    return position


def _go(position: int) -> None:
    st.session_state.backward_step = position


def _where(walk: Walkthrough, position: int) -> str:
    if position == 0:
        return f"Values are computed. {len(walk.steps)} steps back to the variables."
    return f"**Step {position} of {len(walk.steps)}**"


def graph(walk: Walkthrough, position: int) -> None:
    """The picture, a word where the values are not numbers, and the graph as text."""
    graph_view(walk, position, key="graph", on_step=_go)
    bad = next(
        (n for n in walk.graph.nodes if n.operation and not math.isfinite(n.value.sum())), None
    )
    if bad is not None:
        name, definition = walk.names[bad.id], plain_formula(walk.definitions[bad.id])
        st.warning(
            f"{name} = {definition} is {plain_number(float(bad.value.sum()))} at these values: "
            "what is computed from it has no meaning.",
            icon=":material/warning:",
        )


def details(walk: Walkthrough, position: int) -> None:
    """What the current step does, the check beside it, and the graph as text."""
    left, right = st.columns([3, 2], gap="medium")
    with left:
        if position == 0:
            _start(walk)
        else:
            _step(walk, walk.steps[position - 1])
    with right:
        _check(walk, position)
    with st.expander("The graph as DOT text, for Graphviz", icon=":material/account_tree:"):
        text = walk.graph.to_dot()
        st.download_button(
            "Download",
            text,
            "graph.dot",
            "text/vnd.graphviz",
            icon=":material/download:",
            on_click="ignore",
        )
        st.code(text, language=None)


def _start(walk: Walkthrough) -> None:
    result = latex_name(walk.names[-1])
    st.markdown("**The backward pass**")
    st.markdown(
        f"How much does ${result}$ change when a box changes a little? For ${result}$ itself that "
        f"is ${latex_gradient(walk.names[-1], walk.names[-1])} = 1$. From there each operation, "
        "the last one first, multiplies the gradient it receives by its own slope and sends the "
        "product to its operands; where a box is used more than once, what arrives adds up."
    )


def _step(walk: Walkthrough, step: Step) -> None:
    name, definition = walk.names[step.node.id], walk.definitions[step.node.id]
    assert step.node.gradient is not None
    received = f"{latex_gradient(walk.names[-1], name)} = {latex_value(step.node.gradient)}"
    st.markdown(f"**{plain_formula(f'{name} = {definition}')}** receives ${received}$ and sends")
    lines = r" \\[6pt] ".join(latex_part(walk, step, part) for part in step.parts)
    size = r"\small" if any(part.edge.gradient.ndim for part in step.parts) else ""
    st.latex(rf"{size} \begin{{aligned}} {lines} \end{{aligned}}", width="content")
    st.text(f"Rule: {step.node.rule}")
    for part in step.parts:
        uses = part.earlier + part.missing + 1
        if uses > 1:
            operand = walk.names[part.edge.source]
            so_far = "complete" if not part.missing else f"{part.missing} to come"
            st.caption(
                f"${latex_name(operand)}$ is used {uses} times: part {part.earlier + 1} arrives, "
                f"which makes ${latex_value(part.total)}$ ({so_far})."
            )


def _check(walk: Walkthrough, position: int) -> None:
    """Backward pass and differences side by side; a row is filled in when its gradient is known."""
    assert walk.check is not None
    known = walk.gradients_after(position)
    ids = {name: i for i, name in enumerate(walk.names)}
    entries = walk.check.entries
    largest = max(abs(entry.analytic) for entry in entries)
    rows = []
    for entry in entries:
        done = known.get(ids[entry.name], (None, 1))[1] == 0
        below = max(abs(entry.analytic), abs(entry.numeric), 1e-3 * largest) or 1.0
        error = abs(entry.analytic - entry.numeric) / below
        ok = entry.error <= walk.check.tolerance
        place = f"_{{{','.join(str(i + 1) for i in entry.index)}}}" if entry.index else ""
        gradient = (
            rf"\partial {latex_name(walk.names[-1])}/\partial {latex_name(entry.name)}{place}"
        )
        rows.append(
            (
                (_OK if ok else _WRONG) + (_CORNER if entry.corners else "") if done else "",
                f"${gradient}$",
                f"{entry.analytic:.8g}" if done else "",
                f"{entry.numeric:.8g}",
                f"{error:.1e}" if done else "",
            )
        )
    st.markdown("**Checked by differences**")
    titles = ("", " ", "backward pass", "differences", "relative error")
    st.table(
        dict(zip(titles, zip(*rows, strict=True), strict=True)),
        border="horizontal",
        hide_index=True,
    )
    if any(entry.index for entry in entries):
        st.caption("Of each array the entry with the largest error.")
    if any(entry.corners for entry in entries):
        st.caption(
            f"{_CORNER} stands at a corner: the slopes to the left and to the right differ, and "
            "every gradient between the two is right."
        )


_OK, _WRONG = ":green[:material/check_circle:]", ":red[:material/cancel:]"
_CORNER = ":orange[:material/change_history:]"


def _escaped(text: str) -> str:
    """Text to be shown as it is by Markdown."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|$~<>:" else c for c in text)
