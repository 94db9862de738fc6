"""The numbers of an optimizer's rule, worked out for many steps at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: Steps on a page.
LENGTH = 128


class Page:
    """Numbers by name, as arrays without axes, for `LENGTH` steps.

    `numbers` holds those of the step whose line is copied into `now`.

    Args:
        first: the step that the page begins with.
        columns: of each number its values in all steps, or the one that it always has.
    """

    def __init__(self, first: int, columns: Mapping[str, Any], dtype: Any) -> None:
        self.first = first
        self.now = np.zeros(len(columns), dtype)
        self.numbers = {name: self.now[i, ...] for i, name in enumerate(columns)}
        table = np.zeros((LENGTH, len(columns)), dtype)
        for i, values in enumerate(columns.values()):
            table[:, i] = values
        self.lines = list(table)
