"""What the sources of data have in common: a draft that is refused or can be used."""

from __future__ import annotations

import numpy as np
import streamlit as st

from nnkit.datasets import Dataset
from nnkit.errors import DataError
from pages.parts import controls, state
from pages.parts.texts import shortened

#: Sums of squares of numbers this large are still far from the end of float32, 3e38.
LARGEST = 1e15


def in_range(draft: Dataset) -> Dataset:
    """The draft, if its numbers are small enough to be learned from.

    Raises:
        DataError: a column holds larger ones.
    """
    columns = dict(zip(draft.input_names, draft.inputs.T, strict=True))
    if not draft.classes:
        columns[draft.target_name] = draft.targets
    for name, values in columns.items():
        found = float(np.abs(values).max())
        if found > LARGEST:
            raise DataError(
                f"{name!r} goes as far as {found:.2g}, more than the {LARGEST:g} that can be "
                "learned from: give it in a larger unit"
            )
    return draft


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
