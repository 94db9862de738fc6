"""Data: choose, paint, compute or upload what is learned from."""

import streamlit as st

from pages.parts.data_bench import choose, csv_file, current, formula, painted

SOURCES = {
    ":material/grid_view: Choose": choose.show,
    ":material/brush: Paint": painted.show,
    ":material/function: Formula": formula.show,
    ":material/table: CSV file": csv_file.show,
}

left, right = st.columns([5, 3], gap="medium")
with left:
    source = st.segmented_control(
        "Where data come from",
        list(SOURCES),
        default=next(iter(SOURCES)),
        required=True,
        key="data_source",
        label_visibility="collapsed",
        persist_state="session",
    )
    SOURCES[source]()
with right, st.container(border=True):
    current.show()
