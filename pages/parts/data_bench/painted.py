"""Points painted by hand, on an empty plane or over a data set."""

from __future__ import annotations

import dataclasses

import streamlit as st

from nnkit.config import recommended
from nnkit.datasets import DATASETS, make_dataset
from nnkit.errors import DataError
from pages.parts import controls, state
from pages.parts.data_bench.shared import plain, use_button
from pages.parts.paint import MAX_CLASSES, MAX_POINTS, Painting, paint

CURRENT = "current"
STARTS = (CURRENT, *(name for name, info in DATASETS.items() if info.task == "classification"))


@st.fragment(key="painted")
def show() -> None:
    """The plane to paint on; strokes run this part of the page alone."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.menu_button(
            "Start from",
            STARTS,
            key="paint_start",
            icon=":material/content_paste:",
            format_func=lambda name: (
                "The current data" if name == CURRENT else DATASETS[name].title
            ),
            help="Puts the points of a data set on the plane, to be changed; Undo takes them back.",
            on_click=controls.attempt,
            args=(_start,),
        )
        place = st.container(horizontal=True, vertical_alignment="center", gap="small")
    paint(_painting(), key="paint", on_paint=_keep)
    draft, words = None, ""
    try:
        draft = _painting().dataset()
    except DataError as error:
        words = str(error)
    with place:
        used = use_button("Use these points", draft, "Painted points", key="use_painted")
        st.caption(plain(words) or _about_classes(draft.class_names))
    if used:
        st.rerun()


def _painting() -> Painting:
    found: Painting = st.session_state.setdefault("painting", Painting())
    return found


def _keep(painting: Painting) -> None:
    if painting.revision == _painting().revision:  # else the points were replaced meanwhile
        st.session_state["painting"] = painting


def _start() -> None:
    name = st.session_state["paint_start"]
    if name == CURRENT:
        data = state.experiment().data
    else:
        config = recommended(name)
        data = make_dataset(name, samples=300, noise=config.noise, **config.dataset_settings)
    st.session_state["painting"] = _painting().started_from(data)


def _about_classes(names: tuple[str, ...]) -> str:
    return f"{len(names)} classes"
