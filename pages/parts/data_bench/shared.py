"""What the sources of data have in common: a draft that is refused or can be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from nnkit.datasets import Dataset
from pages.parts import controls, state

USE = ":material/check:"


def plain(text: object) -> str:
    r"""Text from outside, to be shown as it is where Streamlit reads Markdown.

    >>> print(plain("2*x in :red[a]"))
    2\*x in \:red\[a\]
    """
    return re.sub(r"([\\`*_\[\]<>$:~|#])", r"\\\1", str(text))


def sentence(error: object) -> str:
    r"""An error's message as a sentence to be shown.

    >>> print(sentence(ValueError("line 3: 'x' is not a number")))
    Line 3\: 'x' is not a number.
    """
    text = str(error).rstrip(".")
    return plain(f"{text[:1].upper()}{text[1:]}.")


def use_button(
    label: str, draft: Dataset | None, title: str, *, key: str, standardize: bool | None = None
) -> bool:
    """The button that makes a draft the current data; it waits until there is one."""

    def use(data: Dataset) -> None:
        state.use_data(data, title)
        if standardize is not None and standardize != state.experiment().config.standardize:
            said = state.session().notice
            state.change(standardize=standardize)
            state.session().notice = said

    return st.button(
        label,
        key=key,
        type="primary",
        icon=USE,
        disabled=draft is None,
        help="Makes these the data to learn from, with features, loss and output layer to fit.",
        on_click=controls.attempt,
        args=(use, draft),
    )


def bound(key: str, value: object, do: Callable[[Any], None]) -> dict[str, Any]:
    """Ties a widget to a value that may also change elsewhere: keyword arguments for it."""
    st.session_state[key] = value

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen is not None:
            controls.attempt(do, chosen)

    return {"key": key, "on_change": changed}
