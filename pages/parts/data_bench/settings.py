"""The settings of a built-in data set."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from nnkit.datasets import DatasetInfo
from nnkit.settings import LIMITS
from pages.parts import controls, state

HELP = {
    "samples": controls.SAMPLES_HELP,
    "imbalance": "Makes the last class rarer: accuracy flatters then.",
    "label_noise": "Gives this share of the points a wrong class.",
    "outliers": "Throws this share of the points anywhere.",
    "data_seed": controls.SEED_HELP,
}


def settings(info: DatasetInfo) -> None:
    """What the current built-in data set is drawn with; each change draws it anew."""
    config = state.experiment().config
    with st.grid("auto", min_column_width=120, gap="small"):
        _number("Samples", "samples", 100)
        _number("Seed", "data_seed", 1)
        for name, setting in info.settings.items():
            st.number_input(
                setting.title,
                int(setting.low),
                int(setting.high),
                config.dataset_settings[name],
                step=1,
                help="Each class gets an output of its own.",
                **controls.bind(
                    f"dataset_{name}",
                    config.dataset_settings[name],
                    partial(state.use_dataset_setting, name),
                ),
            )
        _slider("Noise", "noise", controls.noise_help())
        if info.task == "classification":
            _slider("Imbalance", "imbalance", HELP["imbalance"])
            _slider("Label noise", "label_noise", HELP["label_noise"])
        _slider("Outliers", "outliers", HELP["outliers"])


def _bound(name: str) -> dict[str, Any]:
    value = getattr(state.experiment().config, name)
    return controls.bind(name, value, lambda chosen: state.change(**{name: chosen}))


def _number(title: str, name: str, step: int) -> None:
    low, high = int(LIMITS[name].low), int(LIMITS[name].high)
    value = int(getattr(state.experiment().config, name))
    st.number_input(title, low, high, value, step=step, help=HELP[name], **_bound(name))


def _slider(title: str, name: str, help: str) -> None:
    low, high = float(LIMITS[name].low), float(LIMITS[name].high)
    st.slider(title, low, high, step=0.05, help=help, **_bound(name))
