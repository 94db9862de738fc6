"""Text from outside, such as names and messages, to be shown. Nothing here knows Streamlit."""

from __future__ import annotations

import re

from nnkit.errors import ConfigError
from nnkit.settings import OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS

#: What people read for the fields of a configuration that have other names in code.
_TITLES = {
    name: number.title
    for table in (OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS)
    for numbers in table.values()
    for name, number in numbers.items()
} | {
    "dataset": "Data set",
    "train_fraction": "Train share",
    "standardize": "Standardize inputs",
    "imbalance": "Class imbalance",
    "init": "First weights",
    "init_seed": "Weights seed",
    "clip_norm": "Gradient clipping",
}


def plain(text: object) -> str:
    r"""A text to be shown as it is where Streamlit reads Markdown.

    >>> print(plain("2*x in :red[a]"))
    2\*x in \:red\[a\]
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!$~|:&])", r"\\\1", str(text))


def title(field: str) -> str:
    """What people read for a field of the configuration, on its control and in messages.

    >>> title("learning_rate"), title("clip_norm")
    ('Learning rate', 'Gradient clipping')
    """
    words = field.replace("_", " ")
    return _TITLES.get(field, words[:1].upper() + words[1:])


def in_words(error: object) -> str:
    """An error's message as a sentence, with the title of the setting it is about.

    >>> in_words(ConfigError("train_fraction", "must be a number from 0.05 to 0.95, got 1.0"))
    'Train share: must be a number from 0.05 to 0.95, got 1.0.'
    """
    text = str(error)
    text = text[:1].upper() + text[1:]
    if isinstance(error, ConfigError):
        text = f"{title(error.field)}: {error.message}"
    return text if text.endswith((".", "?", "!")) else f"{text}."


def sentence(error: object) -> str:
    r"""The same, to be shown as it is where Streamlit reads Markdown.

    >>> print(sentence(ValueError("line 3: 'x' is not a number")))
    Line 3\: 'x' is not a number\.
    """
    return plain(in_words(error))


def probability(value: float) -> str:
    """Four digits; what is nearly 0 or 1 is not called that, since it is not.

    >>> [probability(value) for value in (0.45583, 1.3e-6, 0.99999999)]
    ['0.4558', '< 0.0001', '> 0.9999']
    """
    if value < 0.0001:
        return "< 0.0001"
    return "> 0.9999" if value > 0.9999 else f"{value:.4f}"


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters of a text.

    >>> shortened("sepal length", 6)
    'sepal…'
    """
    return text if len(text) <= limit else text[: limit - 1] + "…"
