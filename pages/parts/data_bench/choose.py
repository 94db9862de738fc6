"""Built-in data sets: a gallery to choose from, and the settings of the one that is current."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from nnkit.config import CUSTOM, LIMITS, recommended
from nnkit.datasets import DATASETS, TASKS, DatasetInfo, make_dataset
from pages.parts import controls, state
from pages.parts.data_bench.shared import bound
from pages.parts.pictures import dataset_thumbnail

SEED_HELP = "Another seed draws other points from the same shape."
HELP = {
    "samples": "More samples show the shape better and slow each epoch.",
    "noise": "Noise blurs the shape. ",
    "imbalance": "Makes the last class rarer: accuracy flatters then.",
    "label_noise": "Gives this share of the points a wrong class.",
    "outliers": "Throws this share of the points anywhere.",
    "data_seed": SEED_HELP,
}


def show() -> None:
    """The gallery, then the settings of the current data set."""
    for task in TASKS:
        st.markdown(f"**{task.capitalize()}**")
        with st.grid("auto", min_column_width=250, gap="xsmall"):
            for info in DATASETS.values():
                if info.task == task:
                    _card(info)
    if state.experiment().config.dataset != CUSTOM:
        _settings(DATASETS[state.experiment().config.dataset])


def _card(info: DatasetInfo) -> None:
    current = state.experiment().config.dataset == info.name
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.image(_thumbnail(info.name), width=64, alt="")
        with st.container(gap=None):
            st.button(
                info.title,
                key=f"choose_{info.name}",
                type="primary" if current else "secondary",
                on_click=controls.attempt,
                args=(state.use_dataset, info.name),
            )
            st.caption(info.teaches)


@cache
def _thumbnail(name: str) -> str:
    config = recommended(name)
    data = make_dataset(name, samples=300, noise=config.noise / 2, **config.dataset_settings)
    return dataset_thumbnail(data.inputs, data.targets)


def _settings(info: DatasetInfo) -> None:
    config = state.experiment().config
    st.markdown(f"**{info.title}**, drawn with")
    with st.grid(4, gap="small"):
        _number("Samples", "samples", 100)
        _number("Seed", "data_seed", 1)
        for setting in info.settings:
            st.number_input(
                setting.title,
                setting.minimum,
                setting.maximum,
                step=1,
                help="Each class gets an output of its own.",
                **bound(
                    f"dataset_{setting.name}",
                    config.dataset_settings[setting.name],
                    lambda value, name=setting.name: state.use_dataset_setting(name, value),
                ),
            )
        _slider("Noise", "noise", HELP["noise"] + info.noise_help)
        if info.task == "classification":
            _slider("Imbalance", "imbalance", HELP["imbalance"])
            _slider("Label noise", "label_noise", HELP["label_noise"])
        _slider("Outliers", "outliers", HELP["outliers"])


def _bound(name: str) -> dict[str, Any]:
    value = getattr(state.experiment().config, name)
    return bound(name, value, lambda chosen: state.change(**{name: chosen}))


def _number(title: str, name: str, step: int) -> None:
    low, high = int(LIMITS[name].low), int(LIMITS[name].high)
    st.number_input(title, low, high, step=step, help=HELP[name], **_bound(name))


def _slider(title: str, name: str, help: str) -> None:
    low, high = float(LIMITS[name].low), float(LIMITS[name].high)
    st.slider(title, low, high, step=0.05, help=help, **_bound(name))
