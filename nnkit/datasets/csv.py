"""Reading delimited text of any common dialect, and writing data sets as CSV."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import os
import re
from collections.abc import Iterator, Sequence

import numpy as np

from nnkit.datasets.dataset import Dataset, Task
from nnkit.datasets.table import MISSING, CsvColumn, CsvTable, parse_number
from nnkit.errors import ConfigError, DataError

MAX_BYTES = 20_000_000
MAX_ROWS = 100_000
MAX_COLUMNS = 256
MAX_LINE = 100_000

DELIMITERS = "\t;|,"
"""In the order they are tried: a comma may be a decimal mark, the others mean nothing else."""

_SAMPLE = 100
_SAMPLE_CHARACTERS = 200_000
_Record = tuple[int, list[str]]


def read_csv(
    source: str | bytes | os.PathLike[str],
    *,
    inputs: Sequence[str] | None = None,
    target: str | None = None,
    task: Task | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads a data set from delimited text: `read_table(...).to_dataset(inputs, target, task)`.

    >>> data = read_csv("x1,x2,kind\\n0.1,0.2,cat\\n0.3,0.4,dog\\n")
    >>> data
    Dataset(2 samples, inputs x1, x2, classes cat, dog)
    """
    table = read_table(
        source,
        header=header,
        delimiter=delimiter,
        decimal=decimal,
        max_rows=max_rows,
        max_bytes=max_bytes,
    )
    return table.to_dataset(inputs, target, task)


def read_table(
    source: str | bytes | os.PathLike[str],
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
) -> CsvTable:
    """Reads delimited text into columns; what is not given is guessed from the first 100 rows.

    Cells may be quoted ("a, b", with "" for a quote); lines end in LF, CRLF or CR; blank lines
    are skipped. Bytes are UTF-8 or UTF-16 with a byte order mark, UTF-8 without, else
    Windows-1252. Missing is an empty cell, NA, N/A, NaN, null or ?.

    Args:
        source: the text itself, its bytes, or a `pathlib.Path` to read.
        header: whether the first row holds names. Guessed: it does if no cell of it is a number
            or a missing value.
        delimiter: one character. Guessed: tab, semicolon, bar or comma.
        decimal: "." or ",".
        max_rows, max_bytes: more than this is refused; blank lines count as rows.

    Raises:
        DataError: no text, too large, rows of unequal length, a quote never closed, a column
            name twice, no rows; with the line and column of what is wrong.
        ConfigError: a delimiter or decimal mark that cannot be.

    >>> read_table('"a b";c\\r\\n1,5;2\\r\\n').columns[0].values
    array([1.5])
    >>> read_table("a,b\\n1,2\\n3\\n")
    Traceback (most recent call last):
    nnkit.errors.DataError: line 3, column 2: this row has 1 value, where the first has 2
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n. '):
        raise ConfigError("delimiter", f"must be one character, as in , ; |, got {delimiter!r}")
    if decimal not in (None, ".", ","):
        raise ConfigError("decimal", f"must be '.' or ',', got {decimal!r}")
    if decimal is not None and decimal == delimiter:
        raise ConfigError("decimal", f"must differ from the delimiter {delimiter!r}")
    text = _decoded(source, max_bytes)
    delimiter = delimiter or _guess_delimiter(text)
    rows = list(_checked(_records(text, delimiter), max_rows))
    width = _used_width(rows)
    if not width:
        raise DataError("the file is empty: it has no line with a value in it")
    line, first = rows[0][0], rows[0][1][:width]
    decimal = decimal or _guess_decimal(rows[: _SAMPLE + 1], delimiter)
    if header is None:
        # A value that is missing, if it is written at all, is no name.
        values = MISSING - {""}
        header = all(
            np.isnan(parse_number(cell, decimal)) and cell.lower() not in values for cell in first
        )
    names = _names(line, first if header else [""] * width)
    body = rows[1:] if header else rows
    if not body:
        raise DataError(_no_data(source))
    columns = list(zip(*(cells for _, cells in body), strict=True))
    return CsvTable(
        tuple(_column(name, columns[index], decimal) for index, name in enumerate(names)),
        np.array([line for line, _ in body]),
        delimiter,
        decimal,
        header,
    )


def to_csv(dataset: Dataset) -> str:
    """The data as CSV text: a row of names, then inputs and target, nine significant digits.

    Nine digits identify every float32, so
    `read_csv(text, header=True, delimiter=",", decimal=".", task=dataset.task)` gives the same
    numbers, bit for bit. Labels are written as class names, and reading numbers the classes in
    sorted order: those of `make_dataset` come back unchanged, a class without samples or one
    called like a missing value (NA) does not come back.

    >>> data = Dataset([[0.1], [2.0]], [0, 1], "classification", class_names=("no", "yes"))
    >>> print(to_csv(data), end="")
    x1,label
    0.100000001,no
    2,yes
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow((*dataset.input_names, dataset.target_name))
    for row, target in zip(dataset.inputs.tolist(), dataset.targets.tolist(), strict=True):
        last = dataset.class_names[target] if dataset.classes else f"{target:.9g}"
        writer.writerow([*(f"{value:.9g}" for value in row), last])
    return lines.getvalue()


# --- bytes to text ---------------------------------------------------------------------------


def _decoded(source: str | bytes | os.PathLike[str], max_bytes: int) -> str:
    if isinstance(source, os.PathLike):
        try:
            with open(source, "rb") as file:
                source = file.read(max_bytes + 1)
        except OSError as error:
            raise DataError(f"cannot read {error.filename!r}: {error.strerror}") from error
    if len(source) > max_bytes:
        raise DataError(
            f"the file is larger than {max_bytes:,} bytes: keep a part of its rows, or only the"
            " columns you need"
        )
    text = source if isinstance(source, str) else _text(source)
    text = text.removeprefix("\ufeff")
    control = re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text)
    if control:
        line, column = _place(text, control.start())
        raise DataError(
            f"line {line}, character {column}: {control.group()!r} is not text; this is no CSV"
            " file but a binary one"
        )
    for line, content in enumerate(io.StringIO(text, newline=""), 1):
        if len(content) > MAX_LINE:
            raise DataError(f"line {line}: more than {MAX_LINE:,} characters; this is no CSV file")
    return text


def _text(data: bytes) -> str:
    if data.startswith(b"PK\x03\x04"):
        raise DataError(
            "line 1, character 1: this is a zip archive or a spreadsheet (.xlsx, .ods), not CSV;"
            " export it as CSV first"
        )
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            place = error.start
    line, column = _place(data[:place].decode("latin-1") + " ", place)
    raise DataError(
        f"line {line}, character {column}: byte 0x{data[place]:02x} is not text; this is no CSV"
        " file but a binary one"
    )


def _place(text: str, position: int) -> tuple[int, int]:
    """Line and character of a position, both from 1."""
    before = text[:position]
    line_start = max(before.rfind("\n"), before.rfind("\r")) + 1
    return len(re.findall(r"\r\n?|\n", before)) + 1, position - line_start + 1


# --- text to records -------------------------------------------------------------------------


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """(line, cells) of each record; a blank line gives no cells, or one that is empty."""
    # newline="" keeps line ends as they are, and str.splitlines would cut at too many things.
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(_quote_fault(text, delimiter, line, str(error))) from None
        yield line, [" ".join(cell.split()) for cell in cells]


def _quote_fault(text: str, delimiter: str, line: int, reason: str) -> str:
    """Where in the record that begins on this line the quotes go wrong, in words."""
    rest = "".join(itertools.islice(io.StringIO(text, newline=""), line - 1, None))
    mark = re.escape(delimiter)
    whole = re.compile(rf' *(?:"(?:[^"]|"")*"|(?!")[^{mark}\r\n]*){mark}')
    column, position = 1, 0
    while cell := whole.match(rest, position):
        column, position = column + 1, cell.end()
    line += _place(rest, position)[0] - 1
    where = f"line {line}, column {column}"
    if "end of data" in reason:
        return f"{where}: a quote is opened here and never closed"
    if "field larger" in reason:
        return f"{where}: a value this long must be a quote that is opened and never closed"
    return (
        f"{where}: a closing quote must be followed by {delimiter!r} or the"
        ' end of the line; write "" for a quote inside quotes'
    )


def _checked(records: Iterator[_Record], max_rows: int) -> Iterator[_Record]:
    """The records that are not blank, all as long as the first."""
    width = 0
    for count, (line, cells) in enumerate(records):
        if count > max_rows:
            raise DataError(
                f"line {line}: the file has more than {max_rows:,} rows; keep a part of them"
            )
        if not any(cells[:1]) and len(cells) < 2:
            continue
        width = width or len(cells)
        if width > MAX_COLUMNS:
            raise DataError(f"line {line}: {width} columns, where {MAX_COLUMNS} are the most")
        if len(cells) != width:
            column = min(len(cells), width) + 1
            values = "1 value" if len(cells) == 1 else f"{len(cells)} values"
            raise DataError(
                f"line {line}, column {column}: this row has {values}, where the first has {width}"
            )
        yield line, cells


def _used_width(rows: list[_Record]) -> int:
    """Number of columns, without last ones that hold nothing: spreadsheets write such."""
    width = len(rows[0][1]) if rows else 0
    while width and not any(cells[width - 1] for _, cells in rows):
        width -= 1
    return width


def _names(line: int, cells: list[str]) -> list[str]:
    names = [cell or f"column {number}" for number, cell in enumerate(cells, 1)]
    for index, name in enumerate(names):
        earlier = names.index(name)
        if earlier != index:
            raise DataError(
                f"line {line}, column {index + 1}: the name {name[:40]!r} is taken by column"
                f" {earlier + 1} already; give each column its own name"
            )
    return names


def _no_data(source: str | bytes | os.PathLike[str]) -> str:
    if isinstance(source, str) and source.lower().endswith((".csv", ".tsv", ".txt")):
        return f"{source[-60:]!r} is read as text; to read a file, pass pathlib.Path(...)"
    return "the file holds a row of names but no data under it"


def _column(name: str, cells: tuple[str, ...], decimal: str) -> CsvColumn:
    missing = np.array([cell.lower() in MISSING for cell in cells])
    values = np.array([parse_number(cell, decimal) for cell in cells])
    return CsvColumn(name, cells, values, missing)


# --- guesses ---------------------------------------------------------------------------------


#: Digits in groups of three, as American numbers have them.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def _guess_delimiter(text: str) -> str:
    """The first that cuts the first rows into equally many cells; else the most nearly so."""
    best, best_score = ",", 0.0
    text = text[:_SAMPLE_CHARACTERS]
    for delimiter in DELIMITERS:
        widths: list[int] = []
        # A fault in the quotes ends the sample; where it lies is told when the file is read.
        with contextlib.suppress(DataError):
            for _, cells in itertools.islice(_records(text, delimiter), _SAMPLE):
                widths += [len(cells)] if any(cells) else []
        usual = max(widths, key=lambda width: (widths.count(width), width), default=1)
        score = widths.count(usual) / len(widths) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _guess_decimal(rows: list[_Record], delimiter: str) -> str:
    """A comma if there are numbers with a comma and none with a point."""
    cells = [cell for _, cells in rows for cell in cells]
    commas, points = (
        [cell.strip() for cell in cells if mark in cell and np.isfinite(parse_number(cell, mark))]
        for mark in ",."
    )
    if points or not commas:
        return "."
    if delimiter == "," and all(map(_THOUSANDS.fullmatch, commas)):
        raise DataError(
            f'numbers such as "{commas[0]}" may be thousands or decimals: choose the decimal '
            "mark, or write thousands without a comma"
        )
    return ","
