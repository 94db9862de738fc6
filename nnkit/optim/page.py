"""The numbers of an optimizer's rule, worked out for many steps at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: Steps on a page.
LENGTH = 128


class Page:
    """Numbers by name for `LENGTH` steps, as arrays without axes that change from step to step.

    Args:
        first: the step that the page begins with.
        columns: of each number its values in all steps, or the one that it always has.
    """

    def __init__(self, first: int, columns: Mapping[str, Any], dtype: Any) -> None:
        self.first = first
        self.numbers = {name: np.zeros((), dtype) for name in columns}
        self._columns = [
            (self.numbers[name], np.broadcast_to(values, LENGTH).tolist())
            for name, values in columns.items()
        ]

    def at(self, step: int) -> dict[str, Any]:
        """The numbers of a step, until another is asked for."""
        line = step - self.first
        for value, column in self._columns:
            value[()] = column[line]
        return self.numbers
