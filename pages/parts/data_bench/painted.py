"""Points painted by hand, on an empty plane or over a data set."""

from __future__ import annotations

import streamlit as st

from nnkit.config import recommended
from nnkit.datasets import DATASETS, Dataset, make_dataset
from nnkit.errors import DataError
from pages.parts import state
from pages.parts.data_bench.shared import use_button
from pages.parts.paint import Painting, paint
from pages.parts.texts import sentence

STARTS = {
    "The current data": "",
    **{info.title: name for name, info in DATASETS.items() if info.task == "classification"},
}


@st.fragment(key="painted")
def show() -> None:
    """The plane to paint on; a stroke runs this part of the page alone."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        start = st.menu_button(
            "Start from",
            tuple(STARTS),
            key="paint_start",
            icon=":material/content_paste:",
            help="Puts the points of a data set on the plane, to be changed; Undo takes them back.",
        )
        draft, words = _draft(start)
        used = use_button("Use these points", draft, "Painted points", key="use_painted")
        st.caption(words)
    paint(_painting(), key="paint", on_paint=_keep)
    if used:
        st.rerun()


def _painting() -> Painting:
    found: Painting = st.session_state.setdefault("painting", Painting())
    return found


def _keep(painting: Painting) -> None:
    if painting.revision == _painting().revision:  # else the points were replaced meanwhile
        st.session_state["painting"] = painting


def _draft(start: str | None) -> tuple[Dataset | None, str]:
    """The painted points as data, and words about them; with `start`, those of a data set first."""
    try:
        if start is not None:
            st.session_state["painting"] = _painting().started_from(_points_of(STARTS[start]))
        draft = _painting().dataset()
    except DataError as error:
        return None, sentence(error)
    return draft, f"{len(draft):,} points: classes {', '.join(draft.class_names)}."


def _points_of(name: str) -> Dataset:
    if name == "":
        return state.experiment().data
    config = recommended(name)
    return make_dataset(name, samples=300, noise=config.noise, **config.dataset_settings)
