"""What the sources of data have in common: a draft that is refused or can be used."""

from __future__ import annotations

import streamlit as st

from nnkit.datasets import Dataset
from pages.parts import controls, state
from pages.parts.texts import shortened


def table_height(rows: int, most: int) -> int:
    """The height in pixels of a table of so many rows; beyond `most` it scrolls."""
    return 31 * (min(rows, most) + 1) + 3


def use_button(
    label: str, draft: Dataset | None, title: str, *, key: str, standardize: bool | None = None
) -> bool:
    """The button that makes a draft the current data; whether it was pressed.

    It waits until there is a draft. No callback: in a fragment, callbacks cannot say what is wrong.
    """
    pressed = st.button(
        label,
        key=key,
        type="primary",
        icon=":material/check:",
        disabled=draft is None,
        help="Makes these the data to learn from, with features, loss and output layer to fit.",
    )
    if pressed and draft is not None:
        controls.attempt(state.use_data, draft, shortened(title, 40), standardize=standardize)
    return pressed
