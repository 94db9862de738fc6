"""A file's columns, and the choice of some of them as a data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnkit.datasets.dataset import MAX_CLASSES, TASKS, Dataset, Task, require_learnable
from nnkit.errors import ConfigError, DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})
"""What stands for a missing value, in any case."""

_INFINITE = frozenset({"inf", "infinity", "∞"})
_LARGE = 1000.0
_FEW = 10


@dataclass(frozen=True, eq=False)
class CsvColumn:
    """One column: what is written in it, and what that means as numbers.

    Args:
        name: from the header, or "column 1", "column 2", …
        cells: the text of each row, with runs of blanks made one.
        values: (rows,) float64; NaN where the cell is missing or not a number.
        missing: (rows,) bool; True where the cell is one of `MISSING`.
    """

    name: str
    cells: tuple[str, ...]
    values: npt.NDArray[np.float64]
    missing: npt.NDArray[np.bool_]

    @property
    def kind(self) -> Literal["number", "text", "empty"]:
        """ "number" if most of what is there is: the rest is then taken for mistakes."""
        present = int((~self.missing).sum())
        numbers = int((~np.isnan(self.values)).sum())
        if not present:
            return "empty"
        return "number" if 2 * numbers > present else "text"


@dataclass(frozen=True, eq=False)
class CsvTable:
    """What `read_table` found: columns by name, and how the file was understood.

    Args:
        columns: in the order of the file.
        lines: (rows,) line of the file on which each row begins, from 1.
        delimiter: what parts the columns.
        decimal: "." or ",".
        has_header: whether the first row gave the names.

    >>> from nnkit.datasets import read_table
    >>> table = read_table("size;weight;kind\\n1,5;20;cat\\n;45;dog\\n4;50;dog\\n")
    >>> table
    CsvTable(3 rows, columns size, weight, kind)
    >>> table.decimal, table["size"].kind, table["kind"].kind
    (',', 'number', 'text')
    >>> table["size"].values
    array([1.5, nan, 4. ])
    >>> data = table.to_dataset()
    >>> data
    Dataset(2 samples, inputs size, weight, classes cat, dog)
    >>> data.notes[0]
    '1 of 3 rows has a missing value and was left out (line 3).'
    """

    columns: tuple[CsvColumn, ...]
    lines: npt.NDArray[np.int64]
    delimiter: str
    decimal: str
    has_header: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return f"CsvTable({len(self)} rows, columns {', '.join(self.names)})"

    def __getitem__(self, name: str) -> CsvColumn:
        for column in self.columns:
            if column.name == name:
                return column
        raise ConfigError("column", f"must be one of {', '.join(self.names)}, got {name!r}")

    def guess_task(self, target: str) -> Task:
        """Classification for text and for few different whole numbers, else regression.

        Few are two, or up to ten that occur twice or more on average.

        >>> from nnkit.datasets import read_table
        >>> table = read_table("a,b\\n0,0.5\\n1,1.5\\n1,2.5\\n")
        >>> table.guess_task("a"), table.guess_task("b")
        ('classification', 'regression')
        """
        column = self[target]
        if column.kind == "text":
            return "classification"
        finite = column.values[np.isfinite(column.values)]
        values = np.unique(finite)
        few = len(values) <= max(2, min(_FEW, len(finite) // 2))
        return "classification" if few and (values == np.floor(values)).all() else "regression"

    def to_dataset(
        self,
        inputs: Sequence[str] | None = None,
        target: str | None = None,
        task: Task | None = None,
    ) -> Dataset:
        """Chooses columns to learn from. Rows with a missing value in one of them are left out.

        Args:
            inputs: names of columns of numbers; all but the target when left out.
            target: the last column when left out.
            task: `guess_task(target)` when left out. Classes may be text or numbers; they are
                numbered in sorted order.

        Returns:
            A data set whose `notes` say, a sentence each, what was left out and what in the
            data makes learning hard: constant columns, large numbers.

        Raises:
            DataError: a value that is not a finite number, with its line and column; fewer
                than two complete rows; one class only; more than 50 classes; the same target,
                or the same inputs, in every row; no column of numbers to be an input.
            ConfigError: a column that is not there, a target among the inputs, an unknown task.

        >>> from nnkit.datasets import read_table
        >>> read_table("a,b,y\\n1,2,3.5\\n4,5,6.5\\n7,x,9\\n").to_dataset()
        Traceback (most recent call last):
        nnkit.errors.DataError: line 4, column 2 (b): 'x' is not a number
        """
        notes: list[str] = []
        target, names = self._chosen(inputs, target, notes)
        task = task or self.guess_task(target)
        if task not in TASKS:
            raise ConfigError("task", f"must be one of {', '.join(TASKS)}, got {task!r}")
        for name in names if task == "classification" else [*names, target]:
            self._require_numbers(name)
        rows = self._complete_rows([*names, target], notes)
        columns = [self[name].values[rows] for name in names]
        for name, values in zip(names, columns, strict=True):
            notes += _remarks(name, values, "turn on standardization")
        if all((values == values[0]).all() for values in columns):
            raise DataError("every input is the same in all rows: there is nothing to learn from")
        class_names: tuple[str, ...] = ()
        targets: npt.NDArray[Any] = self[target].values[rows]
        if task == "classification":
            targets, class_names = _classes(self[target], rows)
        else:
            notes += _remarks(target, targets, "scale it to about 1, or the loss will be huge")
        dataset = Dataset(
            np.column_stack(columns).astype(np.float32),
            targets,
            task,
            input_names=tuple(names),
            class_names=class_names,
            target_name=target,
            notes=tuple(notes),
        )
        return require_learnable(dataset)

    def _chosen(
        self, inputs: Sequence[str] | None, target: str | None, notes: list[str]
    ) -> tuple[str, list[str]]:
        """Target and inputs, checked; notes say which columns were passed over."""
        if len(self.columns) < 2:
            raise DataError(
                "the file has one column only: at least one input and a target are needed"
                " (is the delimiter right?)"
            )
        if isinstance(inputs, str):
            raise ConfigError("inputs", f"must be a list of column names, got {inputs!r}")
        for field, names in (("target", [target] if target else []), ("inputs", inputs or [])):
            for name in names:
                if name not in self.names:
                    known = ", ".join(self.names)
                    raise ConfigError(field, f"must be from the columns {known}, got {name!r}")
        target = target or self.names[-1]
        numbers = [c.name for c in self.columns if c.name != target and c.kind == "number"]
        if not inputs and not numbers:
            raise DataError("no other column holds numbers; inputs must be numbers")
        if inputs is not None:
            if not inputs or len(set(inputs)) != len(inputs) or target in inputs:
                raise ConfigError(
                    "inputs", f"must name at least one column, each once, and not {target!r}"
                )
            return target, list(inputs)
        for column in self.columns:
            if column.name != target and column.kind != "number":
                what = "holds text" if column.kind == "text" else "is empty"
                notes.append(f"Column {_shown(column.name)} {what} and was not used.")
        return target, numbers

    def _require_numbers(self, name: str) -> None:
        column = self[name]
        wrong = np.flatnonzero(~column.missing & ~np.isfinite(column.values))
        if len(wrong):
            row = int(wrong[0])
            index = self.names.index(name)
            cell, value = column.cells[row], column.values[row]
            reason = "is not a number" if np.isnan(value) else "is not a finite number"
            raise DataError(
                f"line {self.lines[row]}, column {index + 1} ({_shown(name)}):"
                f" {_shown(cell)!r} {reason}"
            )

    def _complete_rows(self, names: list[str], notes: list[str]) -> npt.NDArray[np.int64]:
        """The rows without a missing value; a note says how many were left out."""
        missing = np.logical_or.reduce([self[name].missing for name in names])
        count, total = int(missing.sum()), len(self)
        first = self.lines[int(np.argmax(missing))]
        if total - count < 2:
            raise DataError(
                f"complete rows: {total - count} of {total}; at least two are needed, one to"
                " train on and one to test"
            )
        if count == 1:
            notes.append(f"1 of {total} rows has a missing value and was left out (line {first}).")
        elif count:
            notes.append(
                f"{count} of {total} rows have missing values and were left out"
                f" (the first on line {first})."
            )
        return np.flatnonzero(~missing)


def parse_number(cell: str, decimal: str) -> float:
    """The number written in a cell, ±inf included; NaN if it is none.

    >>> parse_number("-1,5e3", ","), parse_number("1_000", "."), parse_number("inf", ".")
    (-1500.0, nan, inf)
    """
    if _NUMBER[decimal].fullmatch(cell):
        return float(cell.replace(decimal, "."))
    if cell.lower().lstrip("+-") in _INFINITE:
        return -np.inf if cell.startswith("-") else np.inf
    return np.nan


# float() itself would take 1_000, other scripts' digits and "infinity".
_NUMBER = {
    mark: re.compile(
        rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)(e[+-]?\d+)?",
        re.ASCII | re.IGNORECASE,
    )
    for mark in ".,"
}


def _classes(
    column: CsvColumn, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Labels and class names; numbers are sorted by value and named as first written."""
    values = column.values[rows]
    cells = [column.cells[row] for row in rows]
    if np.isnan(values).any():
        names, labels = np.unique(np.array(cells, dtype=object), return_inverse=True)
    else:
        _, first, labels = np.unique(values, return_index=True, return_inverse=True)
        names = np.array([cells[row] for row in first], dtype=object)
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"column {_shown(column.name)} has {len(names)} different values: too many for"
            f" classes (at most {MAX_CLASSES}); choose regression or another target"
        )
    if len(names) == 1:
        raise DataError(
            f"column {_shown(column.name)} holds one class only ({_shown(names[0])}):"
            " at least two are needed"
        )
    return labels.astype(np.int64), tuple(names)


def _remarks(name: str, values: npt.NDArray[np.float64], advice: str) -> list[str]:
    """What its reader should know about a column of numbers; advice is for large ones."""
    shown, largest = _shown(name), float(np.abs(values).max())
    with np.errstate(over="ignore"):
        kept = values.astype(np.float32)
    if not np.isfinite(kept).all():
        raise DataError(f"column {shown} reaches {largest:.1e}: beyond the 3.4e38 of float32")
    if (values == values[0]).all():
        return [f"Column {shown} is {values[0]:g} in every row: it tells nothing."]
    if np.abs(values - kept).max() > 0.01 * values.std():
        return [
            f"Column {shown} loses detail in float32: its values are near {largest:.1e} and"
            " differ by little; subtract a constant in the file first."
        ]
    return [f"Column {shown} reaches {largest:.1e}: {advice}."] if largest > _LARGE else []


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
