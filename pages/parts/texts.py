"""Text from outside, such as names and messages, to be shown. Nothing here knows Streamlit."""

from __future__ import annotations

import re


def plain(text: object) -> str:
    r"""A text to be shown as it is where Streamlit reads Markdown.

    >>> print(plain("2*x in :red[a]"))
    2\*x in \:red\[a\]
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!$~|:&])", r"\\\1", str(text))


def sentence(error: object) -> str:
    r"""An error's message as a sentence, to be shown in the same way.

    >>> print(sentence(ValueError("line 3: 'x' is not a number")))
    Line 3\: 'x' is not a number\.
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
