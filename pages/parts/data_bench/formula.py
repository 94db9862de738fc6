"""Data computed by a formula of x and y that the visitor types."""

from __future__ import annotations

from typing import Any

import streamlit as st

from nnkit.datasets import Dataset, from_formula
from nnkit.errors import ExpressionError, NnkitError
from nnkit.expressions import FUNCTIONS, parse, point_at
from nnkit.settings import LIMITS
from pages.parts.data_bench.figure import data_figure
from pages.parts.data_bench.shared import in_range, use_button
from pages.parts.live_plot import live_plot
from pages.parts.texts import plain, sentence

EXAMPLES = {
    "Ring": "abs(x^2 + y^2 - 0.4) < 0.2",
    "Wave as a border": "y > 0.5 * sin(4 * x)",
    "Diagonal stripes": "sin(6 * (x + y)) > 0",
    "Saddle": "x^2 - y^2",
    "Ripple": "r = sqrt(x^2 + y^2); cos(8 * r) * exp(-r)",
    "Chirp, of x alone": "sin(6 * x^2)",
}
VALUE, CLASSES = "Numbers", "Two classes"


def show() -> None:
    """Formula and settings, then a preview or what is wrong, with its place."""
    st.session_state.setdefault("formula", EXAMPLES["Wave as a border"])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        text = st.text_input(
            "Target, as a formula of x and y",
            key="formula",
            persist_state="session",
            live=True,
            help="A comparison (>, <) makes two classes, class 1 where it holds; anything else "
            "makes numbers. Operators + - * / ^, constants pi and e, functions "
            + ", ".join(FUNCTIONS) + ". A name = … ; before it keeps a part.",
        )  # fmt: skip
        st.menu_button(
            "Examples",
            tuple(EXAMPLES),
            key="formula_example",
            on_click=_take_example,
        )
        button = st.container(width="content")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        settings = _settings(_is_comparison(text))
    draft = _draft(text, settings)
    with button:
        use_button("Use these data", draft, text, key="use_formula")
    if draft is not None:
        for note in draft.notes[1:]:
            st.caption(plain(note))
        live_plot(data_figure(draft), key="formula_preview", height=500,
                  label=f"Preview of the data of {text}")  # fmt: skip


def _take_example() -> None:
    st.session_state["formula"] = EXAMPLES[st.session_state["formula_example"]]


def _is_comparison(text: str) -> bool | None:
    try:
        return parse(text).is_threshold
    except ExpressionError:
        return None


def _settings(comparison: bool | None) -> dict[str, Any]:
    """Controls; what they say is given to `from_formula`."""
    kept: dict[str, Any] = {"persist_state": "session"}
    limits = LIMITS["samples"]
    settings: dict[str, Any] = {
        "samples": st.number_input("Samples", 4, int(limits.high), 500, 100, key="formula_samples",
                                   width=120, help="Points drawn at random.", **kept),
        "seed": st.number_input("Seed", 0, 2**31 - 1, 0, key="formula_seed", width=120,
                                help="Another seed draws other points and other noise.", **kept),
        "noise": st.slider("Noise", 0.0, 1.0, 0.0, 0.05, key="formula_noise", width=150,
                           help="Shifts the points of classes, or errs in the numbers.", **kept),
    }  # fmt: skip
    if comparison is False:
        wanted = st.segmented_control(
            "Learn", [VALUE, CLASSES], default=VALUE, required=True, key="formula_learn",
            help="The values themselves, or on which side of a threshold they lie.", **kept,
        )  # fmt: skip
        if wanted == CLASSES:
            settings["threshold"] = st.number_input(
                "Threshold", value=0.0, step=0.1, key="formula_threshold", width=110,
                help="Class 1 where the value is above it.", **kept,
            )  # fmt: skip
    return settings


def _draft(text: str, settings: dict[str, Any]) -> Dataset | None:
    """The data of the formula; where it has none, the reason is shown."""
    try:
        return in_range(from_formula(text, **settings))
    except ExpressionError as error:
        st.error(sentence(error), icon=":material/error:")
        st.code(point_at(text, error.position), language=None)
    except NnkitError as error:
        st.error(sentence(error), icon=":material/error:")
    return None
