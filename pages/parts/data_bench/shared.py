"""What the sources of data have in common: a draft that is refused or can be used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from nnkit.datasets import Dataset
from pages.parts import controls, state


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
    text = str(error)
    end = "" if text.endswith((".", "?", "!")) else "."
    return plain(f"{text[:1].upper()}{text[1:]}{end}")


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text.

    >>> shortened("sepal length", 6)
    'sepal…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"


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


def bound(key: str, value: object, do: Callable[[Any], None]) -> dict[str, Any]:
    """Ties a widget to a value that may also change elsewhere: keyword arguments for it."""
    st.session_state[key] = value

    def changed() -> None:
        chosen = st.session_state[key]
        if chosen is not None:
            controls.attempt(do, chosen)

    return {"key": key, "on_change": changed}
