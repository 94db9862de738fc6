"""A gallery of the built-in data sets to choose from."""

from __future__ import annotations

from functools import cache, partial

import streamlit as st

from nnkit.config import recommended
from nnkit.datasets import DATASETS, TASKS, DatasetInfo, make_dataset
from pages.parts import controls, state
from pages.parts.pictures import dataset_thumbnail


def show() -> None:
    """All built-in data sets; the current one is marked."""
    for task in TASKS:
        st.markdown(f"**{task.capitalize()}**")
        with st.grid("auto", min_column_width=250, gap="xxsmall"):
            for info in DATASETS.values():
                if info.task == task:
                    _card(info)


def _card(info: DatasetInfo) -> None:
    current = state.experiment().config.dataset == info.name
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.image(_thumbnail(info.name), width=64, alt="")
        with st.container(gap=None):
            controls.button(
                f"choose_{info.name}",
                info.title,
                partial(state.use_dataset, info.name),
                type="primary" if current else "secondary",
            )
            st.caption(info.teaches)


@cache
def _thumbnail(name: str) -> str:
    config = recommended(name)
    data = make_dataset(name, samples=300, noise=config.noise / 2, **config.dataset_settings)
    return dataset_thumbnail(data.inputs, data.targets)
