"""Predict: a trained network, from the Train page or a file, answers for points and the plane."""

import io

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from nnkit.config import CUSTOM
from nnkit.datasets import DATASETS
from nnkit.errors import NnkitError
from nnkit.predictor import Predictor
from pages.parts import state, views
from pages.parts.live_plot import live_plot
from pages.parts.texts import plain, probability, sentence

PLOT_HEIGHT = 560


def chosen() -> tuple[Predictor, str]:
    """The predictor of the uploaded file, else that of the current experiment; and its name."""
    st.file_uploader(
        "Weights file",
        type="npz",
        key="upload_weights",
        max_upload_size=20,
        on_change=_received,
        help="A file downloaded from the Train page. Without one, the current network answers.",
    )
    if "weights_file" in st.session_state:  # which stays while its visitor looks elsewhere
        name, content = st.session_state["weights_file"]
        if st.session_state["upload_weights"] is None:
            st.button(
                f"Put {plain(name)} away",
                key="put_away",
                icon=":material/close:",
                on_click=_put_away,
                help="The current network answers again.",
            )
        try:
            return Predictor.load(io.BytesIO(content)), name
        except NnkitError as error:
            st.error(sentence(error), title="This file was not used", icon=":material/block:")
    return state.experiment().predictor, "The current network"


def _received() -> None:
    file = st.session_state["upload_weights"]
    if file is None:
        _put_away()
    else:
        st.session_state["weights_file"] = file.name, file.getvalue()


def _put_away() -> None:
    st.session_state.pop("weights_file", None)


def describe(predictor: Predictor, name: str) -> str:
    config = predictor.config
    current = predictor is state.experiment().predictor
    epoch = state.experiment().epoch if current else predictor.epoch
    sizes = [len(config.features), *(layer.units for layer in config.layers)]
    outputs = predictor.network.output.weights.shape[0]
    shape = "–".join(map(str, [*sizes, outputs]))
    trained = f"{epoch:,} epoch{'' if epoch == 1 else 's'}"
    data = "data of its own" if config.dataset == CUSTOM else DATASETS[config.dataset].title
    return f"{plain(name)}: {shape} on {data}, trained for {trained}."


def typed_points(predictor: Predictor) -> NDArray[np.float64]:
    """The points in the table, (n, d); rows that are not complete are left out."""
    names = predictor.input_names
    key = f"points_{'_'.join(names)}"
    if key not in st.session_state:  # the page was opened anew: begin with what was typed before
        start = st.session_state.get(f"{key}_typed", views.example_points(predictor))
        st.session_state[f"{key}_start"] = start
    table = st.data_editor(
        pd.DataFrame(st.session_state[f"{key}_start"], columns=list(names)),
        key=key,
        num_rows="dynamic",
        hide_index=True,
        height=240,
        column_config={name: st.column_config.NumberColumn(width="small") for name in names},
        alt="Points to predict",
    )
    points: NDArray[np.float64] = table.to_numpy(dtype=float, na_value=np.nan)
    points = points[~np.isnan(points).any(axis=1)]
    st.session_state[f"{key}_typed"] = points
    return points


left, right = st.columns([2, 3], gap="medium")
with left:
    predictor, name = chosen()
    st.caption(describe(predictor, name))
    st.markdown("**Points** – type inputs, add rows below", help="Numbers are taken as float32.")
    points = typed_points(predictor)
    try:
        answers = views.answers(predictor, points) if len(points) else {}
    except NnkitError as error:
        st.error(sentence(error), icon=":material/block:")
        points, answers = points[:0], {}
    inputs = dict(zip(predictor.input_names, points.T, strict=True))
    columns = pd.DataFrame({**answers, **inputs, **answers})  # answers first, whatever inputs are
    chances = [name for name in answers if name not in ("class", "prediction")]
    numbers = [name for name in columns if name not in ("class", *chances)]
    st.dataframe(
        columns.style.format(probability, subset=chances).format("{:.6g}", subset=numbers),
        hide_index=True,
        height=240,
        alt="Predictions for the points",
    )
with right:
    if len(predictor.input_names) > 2:
        shown = plain(" and ".join(predictor.input_names[:2]))
        st.caption(f"Over {shown}; the other inputs stand at their training mean, or 0.")
    live_plot(
        views.plane_figure(predictor, views.predictor_extent(predictor), points),
        key="plane",
        height=PLOT_HEIGHT,
        label="Predictions over the inputs, with the typed points",
    )
