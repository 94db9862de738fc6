"""The current data: a picture, counts, columns, notes, and how to get exactly these again."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from nnkit.config import CUSTOM, ExperimentConfig
from nnkit.datasets import DATASETS, Dataset, to_csv
from nnkit.experiment import Experiment
from pages.parts import controls, state
from pages.parts.data_bench.figure import data_figure
from pages.parts.data_bench.settings import settings
from pages.parts.data_bench.shared import table_height
from pages.parts.figures import MAX_POINTS
from pages.parts.live_plot import live_plot
from pages.parts.texts import plain, sentence

HEIGHT = 350
CUSTOM_FILE = "data.csv"


def show() -> None:
    """Everything about the data of the current experiment."""
    now = state.experiment()
    data = now.data
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.subheader(plain(state.data_title()), anchor=False)
        controls.button("undo", "Undo", state.undo, icon=":material/undo:", type="tertiary",
                        disabled=not state.can_undo())  # fmt: skip
        controls.button("redo", "Redo", state.redo, icon=":material/redo:", type="tertiary",
                        disabled=not state.can_redo())  # fmt: skip
    current = state.session()
    if current.refusal:
        st.error(sentence(current.refusal), icon=":material/error:")
    elif current.notice:
        st.caption(plain(current.notice))
    live_plot(
        data_figure(data, _shown_columns(data)),
        key="data_picture",
        height=HEIGHT,
        label="The current data",
    )
    st.caption(_counts(now))
    for note in data.notes:
        st.caption(f":material/info: {plain(note)}")
    if now.config.dataset == CUSTOM:
        columns = _columns(data)
        short = st.column_config.NumberColumn(format="%.6g")  # however small the numbers are
        st.dataframe(columns, height=table_height(len(columns["Column"]), 4), hide_index=True,
                     column_config=dict.fromkeys(("Lowest", "Mean", "Highest"), short),
                     alt="The columns of the data")  # fmt: skip
    else:
        settings(DATASETS[now.config.dataset])
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download as CSV",
            lambda: to_csv(data).encode(),
            _file_name(now),
            "text/csv",
            key="download_data",
            icon=":material/download:",
            on_click="ignore",
            help="Nine digits identify every number exactly.",
        )
        with st.popover("Code", icon=":material/code:", help="Python that makes the same data"):
            st.code(reproduce(now.config, data), language="python")
        _recipe_button()


def _recipe_button() -> None:
    """A way back to what solves the data set, for a visitor who has changed the network."""
    if state.can_recommend():
        controls.button(
            "recommended",
            "Recommended network",
            state.use_recommended,
            icon=":material/recommend:",
            help="Layers, features and training known to solve this data set, in place of yours.",
        )


def _shown_columns(data: Dataset) -> tuple[int, int]:
    """The two inputs drawn: where there are more, the visitor's choice."""
    names = data.input_names
    if len(names) <= 2:
        return (0, 1)
    with st.container(horizontal=True, gap="small"):
        x, y = (
            st.selectbox(
                title,
                names,
                index,
                format_func=partial("{}: {}".format, title),
                key=f"{title}_{id(data)}",
                label_visibility="collapsed",
            )
            for index, title in enumerate(("Across", "Up"))
        )
    return names.index(x), names.index(y)


def _counts(now: Experiment) -> str:
    data = now.data
    said = f"{len(data):,} samples: {len(now.train_data):,} to train on, "
    said += f"{len(now.test_data):,} to test."
    if len(data) > MAX_POINTS:
        said += f" {MAX_POINTS:,} of them are drawn."
    return said


def _columns(data: Dataset) -> dict[str, list[Any]]:
    """Name, lowest, mean and highest value of each column."""
    values = [data.inputs] if data.classes else [data.inputs, data.targets[:, None]]
    table = np.hstack(values).astype(np.float64)
    names = [*data.input_names, *([] if data.classes else [data.target_name])]
    return {
        "Column": names,
        "Lowest": table.min(axis=0).tolist(),
        "Mean": table.mean(axis=0).tolist(),
        "Highest": table.max(axis=0).tolist(),
    }


def reproduce(config: ExperimentConfig, data: Dataset) -> str:
    """Python that makes the same data, split the same way, bit for bit.

    Data that no formula or generator gave are read from the downloaded file.

    >>> from nnkit.datasets import make_dataset
    >>> print(reproduce(ExperimentConfig(), make_dataset("spirals")))
    from nnkit.datasets import make_dataset, split
    <BLANKLINE>
    data = make_dataset("spirals", samples=500, noise=0.1, seed=0)
    train, test = split(data, 0.8, seed=0)
    """
    formula = next((note for note in data.notes if note.startswith("from_formula(")), None)
    if formula is not None:
        lines = ["from nnkit.datasets import from_formula, split", "", f"data = {formula}"]
    elif config.dataset == CUSTOM:
        lines = [
            "from pathlib import Path",
            "from nnkit.datasets import read_csv, split",
            "",
            f"data = read_csv(Path({CUSTOM_FILE!r}), task={data.task!r}, header=True,",
            '                delimiter=",", decimal=".")',
        ]
    else:
        settings = {"samples": config.samples, "noise": config.noise, "seed": config.data_seed}
        optional = ("imbalance", "label_noise", "outliers")
        settings |= {name: getattr(config, name) for name in optional if getattr(config, name)}
        settings |= config.dataset_settings
        values = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        lines = ["from nnkit.datasets import make_dataset, split", ""]
        lines.append(f'data = make_dataset("{config.dataset}", {values})')
    lines.append(f"train, test = split(data, {config.train_fraction!r}, seed={config.data_seed})")
    return "\n".join(lines)


def _file_name(now: Experiment) -> str:
    if now.config.dataset == CUSTOM:
        return CUSTOM_FILE
    return re.sub(r"\W+", "-", DATASETS[now.config.dataset].title.lower()) + ".csv"
