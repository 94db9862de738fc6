"""The parts of the Gradients page, from top to bottom.

What is shown follows from `gradient_example` (None for a formula of the visitor's own),
`gradient_formula`, a `gradient_value_<name>` for each variable, and `backward_step`: how many
steps of the backward pass have been done.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from nnkit.errors import ExpressionError
from nnkit.expressions import point_at
from nnkit.gradcheck import GradientEntry
from nnkit.walkthrough import (
    Step,
    Walkthrough,
    parse_expression,
    walk_through,
    walk_through_expression,
)
from pages.parts.graph_examples import DEFAULT_VALUE, EXAMPLES, Example
from pages.parts.graph_view import graph_view
from pages.parts.texts import plain, sentence
from pages.parts.typeset import (
    latex_expression,
    latex_gradient,
    latex_lines,
    latex_name,
    latex_part,
    latex_value,
    plain_formula,
    plain_number,
)

FIRST = "Neuron"
MOST_NODES = 100
_OK, _WRONG = ":green[:material/check_circle:]", ":red[:material/cancel:]"
_CORNER = ":orange[:material/change_history:]"
_UNDEFINED = ":gray[:material/do_not_disturb_on:]"


# ---- what to look at -----------------------------------------------------------------------------


def chosen_walk() -> Walkthrough | None:
    """Ask for a formula and its values; None, with a word about it, where they do not do."""
    if "gradient_formula" not in st.session_state:
        st.session_state.gradient_example = FIRST
        _pick()
    st.pills(
        "Examples",
        list(EXAMPLES),
        key="gradient_example",
        on_change=_pick,
        persist_state="session",
        label_visibility="collapsed",
    )
    example = _example()
    left, right = st.columns([3, 2], gap="medium", vertical_alignment="center")
    if example and example.function:
        left.text_input(
            "Formula",
            example.text,
            disabled=True,
            help="This one works on arrays. Choose another example to write a formula.",
        )
        right.latex(example.latex, width="content")
        return walk_through(example.function, _arrays(example))
    text = left.text_input(
        "Formula",
        key="gradient_formula",
        on_change=_edited,
        persist_state="session",
        max_chars=500,
        help="Variables are single letters, with a number if you like: x, y, w, b, x1. Known are "
        "+ - \\* / ^, sin cos exp log sqrt abs tanh sigmoid relu softplus max min, pi and e; log "
        "is the natural logarithm. `a = x*y; a^2` gives a part a name.",
    )
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        st.error(sentence(error), icon=":material/error:")
        if text.strip():
            st.code(point_at(text, error.position), language=None)
        return None
    size = r"\footnotesize" if len(expression.assignments) > 1 else ""
    right.latex(f"{size} {latex_expression(expression)}", width="content")
    walk = walk_through_expression(text, _values(expression.variables))
    if len(walk.graph.nodes) > MOST_NODES:
        st.warning(
            f"The graph has {len(walk.graph.nodes)} nodes, more than the {MOST_NODES} that can be "
            "shown. Take a shorter formula.",
            icon=":material/zoom_out:",
        )
        return None
    return walk


def _example() -> Example | None:
    return EXAMPLES.get(st.session_state.gradient_example or "")


def _pick() -> None:
    """Take over formula and values of the example that was clicked."""
    st.session_state.backward_step = 0
    example = _example()
    if example and not example.function:
        st.session_state.gradient_formula = example.text
        for name, value in example.values.items():
            st.session_state[f"gradient_value_{name}"] = value


def _edited() -> None:
    """Take the formula as typed, unless an example was chosen in the same moment: that is later."""
    example = _example()
    if example and (example.function or example.text == st.session_state.gradient_formula):
        return
    st.session_state.gradient_example = None
    st.session_state.backward_step = 0


def _values(names: tuple[str, ...]) -> dict[str, float]:
    """A field for each variable; one that was emptied counts as 0."""
    with st.container(horizontal=True, gap="xsmall"):
        for name in names:
            st.session_state.setdefault(f"gradient_value_{name}", DEFAULT_VALUE)
            st.number_input(
                f"${latex_name(name)}$",
                key=f"gradient_value_{name}",
                step=0.1,
                format="%.4g",
                width=96,
                persist_state="session",
            )
    return {name: float(st.session_state[f"gradient_value_{name}"] or 0.0) for name in names}


def _arrays(example: Example) -> dict[str, NDArray[np.float64]]:
    """The arrays of an example, to be edited in a popover; an emptied cell counts as 0."""
    arrays = {}
    with st.popover("Values", icon=":material/edit:"):
        for name, start in example.values.items():
            st.markdown(f"${name}$, of shape {start.shape}")
            edited = st.data_editor(
                np.atleast_2d(start), key=f"gradient_array_{example.text}_{name}", hide_index=True
            )
            arrays[name] = np.nan_to_num(np.asarray(edited, dtype=np.float64)).reshape(start.shape)
    return arrays


# ---- the pass ------------------------------------------------------------------------------------


def position(walk: Walkthrough) -> int:
    """How many steps of the backward pass have been done."""
    done: int = st.session_state.setdefault("backward_step", 0)
    return min(done, len(walk.steps))


def stepper(walk: Walkthrough, position: int) -> None:
    """The buttons to walk with, and where the pass is."""
    last = len(walk.steps)
    buttons = (
        ("First", "first_page", 0, None, "Back to where only the values are known."),
        ("Back", "chevron_left", position - 1, "B", "Takes the last step back."),
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
        if position == 0:
            st.markdown(f"The values are known. {_count(last, 'step')} back to the variables.")
        elif position < last:
            st.markdown(f"**Step {position} of {last}**")
        else:
            st.markdown(f"**Step {position} of {last}**: every variable has its gradient.")


def _go(position: int) -> None:
    st.session_state.backward_step = position


def graph(walk: Walkthrough, position: int) -> None:
    """The picture, with what to look at, and a word where values are not numbers any more."""
    if example := _example():
        st.caption(example.lesson)
    graph_view(walk, position, key="gradient_graph", on_step=_go)
    for node in walk.graph.nodes:
        if node.operation and not np.isfinite(node.value).all():
            name, definition = walk.names[node.id], walk.definitions[node.id]
            value = plain_number(float(node.value.sum()))
            st.warning(
                f"{plain(plain_formula(f'{name} = {definition}'))} is {value} here: what is "
                "computed from it has no meaning.",
                icon=":material/warning:",
            )
            return


def details(walk: Walkthrough, position: int) -> None:
    """What the current step does, the check beside it, and the graph as text."""
    left, right = st.columns([4, 3], gap="medium")
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
            key="download_dot",
            icon=":material/download:",
            on_click="ignore",
        )
        st.code(text, language=None)


def _start(walk: Walkthrough) -> None:
    result = latex_name(walk.names[-1])
    st.markdown("**The backward pass**")
    st.markdown(
        f"How much does the result ${result}$ change when a box changes a little? For ${result}$ "
        f"itself that is ${latex_gradient(walk.names[-1], walk.names[-1])} = 1$. From there each "
        "operation, the last one first, multiplies the gradient it receives by its own slope and "
        "sends the product to its operands. A box that is used more than once adds up what "
        "arrives."
    )


def _step(walk: Walkthrough, step: Step) -> None:
    name, definition = walk.names[step.node.id], walk.definitions[step.node.id]
    gradient = latex_value(step.symbols["g"])
    st.markdown(
        f"**{plain(plain_formula(f'{name} = {definition}'))}** receives "
        f"${latex_gradient(walk.names[-1], name)} = {gradient}$ and sends"
    )
    size = r"\small" if any(part.total.ndim for part in step.parts) else ""
    lines = latex_lines((latex_part(walk, step, part) for part in step.parts), "[6pt]")
    st.latex(f"{size} {lines}", width="content")
    st.text(f"Rule: {step.node.rule}")
    for part in step.parts:
        uses = part.earlier + part.missing + 1
        if uses > 1:
            operand = latex_name(walk.names[part.edge.source])
            rest = f"{part.missing} to come" if part.missing else "complete"
            st.caption(
                f"${operand}$ is used {uses} times: part {part.earlier + 1} arrives, which makes "
                f"${latex_value(part.total)}$ ({rest})."
            )


def _check(walk: Walkthrough, position: int) -> None:
    """Backward pass and differences side by side; a row is filled in when its gradient is known."""
    assert walk.check is not None
    known = walk.gradients_after(position)
    ids = {name: i for i, name in enumerate(walk.names)}
    entries = walk.check.entries
    rows = []
    for entry in entries:
        place = f"_{{{','.join(str(i + 1) for i in entry.index)}}}" if entry.index else ""
        variable = (
            rf"\partial {latex_name(walk.names[-1])}/\partial {latex_name(entry.name)}{place}"
        )
        analytic = result = ""
        if known.get(ids[entry.name], (None, 1))[1] == 0:
            analytic = plain_number(entry.analytic, 6)
            result = _compared(entry, walk.check.tolerance)
        numeric = plain_number(entry.numeric, 6) if math.isfinite(entry.numeric) else "–"
        rows.append((f"${variable}$", analytic, numeric, result))
    st.markdown("**Checked by finite differences**")
    titles = ("", "backward", "differences", "relative error")
    columns = dict(zip(titles, zip(*rows, strict=True), strict=True))
    st.table(columns, border="horizontal", hide_index=True)
    if any(entry.index for entry in entries):
        st.caption("Of each array the entry with the largest error.")
    if any(entry.corners for entry in entries):
        st.caption(
            f"{_CORNER} A corner: the slopes to the left and to the right differ, and every "
            "gradient between the two is right."
        )
    if not all(math.isfinite(entry.numeric) for entry in entries):
        st.caption(
            f"{_UNDEFINED} Differences take values a little to the left and to the right. Here the "
            "formula has none on one of these sides, so there is no slope to compare with."
        )


def _compared(entry: GradientEntry, tolerance: float) -> str:
    """How the gradient of the backward pass agrees with the differences."""
    if not math.isfinite(entry.numeric):
        return f"{_UNDEFINED} not defined"
    mark = _OK if entry.error <= tolerance else _WRONG
    if entry.corners:
        return f"{mark}{_CORNER} corner"
    return f"{mark} {plain_number(entry.error, 2)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
