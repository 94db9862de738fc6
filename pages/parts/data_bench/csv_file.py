"""A table from a file: which columns are inputs, which one is the target."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from nnkit.datasets import TASKS, CsvTable, Dataset, read_table
from nnkit.datasets.csv import MAX_COLUMNS, MAX_ROWS
from nnkit.errors import NnkitError
from pages.parts.data_bench.shared import in_range, table_height, use_button
from pages.parts.texts import plain, sentence, shortened

MEGABYTES = 5
MAX_BYTES = MEGABYTES * 1024 * 1024
ROWS_SHOWN = 50
COLUMNS_SHOWN = 40
GUESS = "Guess"
OPTIONS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "First row": (
        {GUESS: None, "Names": True, "Values": False},
        "Whether the first row holds the columns' names.",
    ),
    "Delimiter": (
        {GUESS: None, "Comma": ",", "Semicolon": ";", "Tab": "\t", "Bar": "|"},
        "What stands between two values.",
    ),
    "Decimal mark": (
        {GUESS: None, "Point": ".", "Comma": ","},
        "What stands before the decimals of a number.",
    ),
}


@dataclass
class Upload:
    """A file, kept while its visitor looks elsewhere, and what it was last read as."""

    name: str
    content: bytes
    options: tuple[Any, ...] = ()
    table: CsvTable | None = None
    fault: str = ""

    def read(self, *options: Any) -> CsvTable | None:
        """The table, read once for each choice of header, delimiter and decimal mark."""
        if options != self.options:
            self.options, self.table, self.fault = options, None, ""
            header, delimiter, decimal = options
            try:
                self.table = read_table(
                    self.content,
                    header=header,
                    delimiter=delimiter,
                    decimal=decimal,
                    max_bytes=MAX_BYTES,
                )
            except NnkitError as error:
                self.fault = str(error)
        return self.table


def show() -> None:
    """The file, how it is read, its first rows, and the choice of columns."""
    st.file_uploader(
        f"A CSV file of at most {MAX_ROWS:,} rows and {MAX_COLUMNS} columns",
        type=["csv", "tsv", "txt"],
        key="csv_upload",
        max_upload_size=MEGABYTES,
        on_change=_received,
    )
    upload: Upload | None = st.session_state.get("csv")
    if upload is None:
        st.caption(
            "One row for each sample, one column for each input and one for the target. Quoted "
            "values, semicolons, decimal commas, text classes and missing values are all right; "
            "rows with missing values are left out. The file stays in this session."
        )
        return
    if st.session_state["csv_upload"] is None:
        st.caption(f"{plain(upload.name)} is still here. Another file takes its place.")
    with st.container(horizontal=True, gap="small"):
        options = [_option(title) for title in OPTIONS]
    with st.spinner("Reading the file", show_time=False):
        table = upload.read(*options)
    if table is None:
        _refuse(upload.fault)
        return
    _preview(table)
    _choose_columns(upload.name, table)


def _received() -> None:
    file = st.session_state["csv_upload"]
    st.session_state["csv"] = file and Upload(file.name, file.getvalue())
    for title in OPTIONS:
        st.session_state[_key(title)] = GUESS


def _option(title: str) -> Any:
    choices, help = OPTIONS[title]
    chosen = st.selectbox(
        title, list(choices), key=_key(title), width=130, help=help, persist_state="page"
    )
    return choices[chosen]


def _key(title: str) -> str:
    return f"csv_{title.lower().replace(' ', '_')}"


def _refuse(fault: str) -> None:
    st.error(f"{sentence(fault)} The current data stay.", icon=":material/error:")


def _preview(table: CsvTable) -> None:
    columns = table.columns[:COLUMNS_SHOWN]
    between = next(
        name for name, mark in OPTIONS["Delimiter"][0].items() if mark == table.delimiter
    )
    said = f"Rows: {len(table):,}. Columns: {len(table.columns)}; {between.lower()} between values"
    said += f", decimal {'comma' if table.decimal == ',' else 'point'}"
    said += ", names in the first row." if table.has_header else ", no names."
    if len(columns) < len(table.columns):
        said += f" The first {len(columns)} columns are shown."
    st.dataframe(
        {column.name: column.cells[:ROWS_SHOWN] for column in columns},
        height=table_height(min(len(table), ROWS_SHOWN), 6),
        alt=f"The first {ROWS_SHOWN} rows of the file",
    )
    st.caption(said)


def _choose_columns(name: str, table: CsvTable) -> None:
    names, sign = list(table.names), zlib.crc32(repr((name, table.names)).encode())
    kept: dict[str, Any] = {"persist_state": "page"}
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        target = st.selectbox(
            "Target", names, len(names) - 1, key=f"csv_target_{sign}", width=170,
            help="The column to predict.", **kept,
        )  # fmt: skip
        about = f"{sign}_{names.index(target)}"
        task = st.segmented_control(
            "Task", TASKS, default=table.guess_task(target), required=True,
            format_func=str.capitalize, key=f"csv_task_{about}",
            help="Each value a class, or numbers to come close to.", **kept,
        )  # fmt: skip
        standardize = st.toggle(
            "Standardize", value=True, key=f"csv_standardize_{sign}",
            help="Brings each input to mean 0 and deviation 1, as fitted on the training data.",
            **kept,
        )  # fmt: skip
    numbers = [c.name for c in table.columns if c.name != target and c.kind == "number"]
    inputs = st.multiselect(
        "Inputs", [other for other in names if other != target], numbers,
        key=f"csv_inputs_{about}",
        help="Columns of numbers. One or two can be combined to features; more are trained as "
        "they are.", **kept,
    )  # fmt: skip
    draft = None
    try:
        draft = in_range(table.to_dataset(inputs, target, task))
    except NnkitError as error:
        _refuse(str(error))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        use_button("Use these data", draft, name, key="use_csv", standardize=standardize)
        if draft is not None:
            st.caption(_summary(draft))


def _summary(draft: Dataset) -> str:
    said = [f"{len(draft):,} samples."]
    if draft.classes:
        names = ", ".join(shortened(name, 20) for name in draft.class_names[:6])
        names += " …" if draft.classes > 6 else ""
        said.append(f"{draft.classes} classes: {names}.")
    if draft.inputs.shape[1] > 2:
        said.append(
            f"{draft.inputs.shape[1]} inputs are trained as they are; the plane shows two of "
            "them, with the others at their median."
        )
    return plain(" ".join([*said, *draft.notes]))
