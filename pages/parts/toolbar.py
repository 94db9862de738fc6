"""The rows of controls above the views: running, layers, how the output is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from nnkit.config import LayerConfig
from nnkit.settings import HIDDEN_ACTIVATIONS, MAX_LAYERS, MAX_UNITS, NORMALIZATIONS
from pages.parts import controls, editing, state

SPEEDS = ("1 epoch a frame", "10", "max")
_PRIMARY: dict[str, Any] = {"type": "primary", "shortcut": "t", "width": 120}


# ---- layers ------------------------------------------------------------------------------------


def layer_row() -> None:
    """Units and activation of every hidden layer, one after the other."""
    layers = state.experiment().config.layers
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        _button("remove_layer", "Layer", "remove", editing.remove_layer, disabled=not layers)
        full = len(layers) == MAX_LAYERS
        _button("add_layer", "Layer", "add", editing.add_layer, disabled=full)
        if layers:
            with st.popover("", icon=":material/tune:", help="Dropout and normalization"):
                for i, layer in enumerate(layers):
                    _layer_details(i, layer)
        _help(
            "Hidden layers, from left to right, with their units and activations. More layers fold "
            "the plane more often, more units draw finer shapes; the activation is what bends "
            "them. Weights that still have a place are kept."
        )
        for i, layer in enumerate(layers):
            with st.container(horizontal=True, wrap=False, gap="xxsmall", width="content"):
                _layer(i, layer)


def _layer(i: int, layer: LayerConfig) -> None:
    st.number_input(
        f"Units of layer {i + 1}",
        1,
        MAX_UNITS,
        layer.units,
        step=1,
        label_visibility="collapsed",
        width=64,
        **controls.bind(
            f"units_{i}", layer.units, lambda chosen: editing.change_layer(i, units=chosen)
        ),
    )
    st.selectbox(
        f"Activation of layer {i + 1}",
        list(HIDDEN_ACTIVATIONS),
        format_func=lambda name: HIDDEN_ACTIVATIONS[name],
        label_visibility="collapsed",
        width=112,
        **controls.bind(
            f"activation_{i}",
            layer.activation,
            lambda chosen: editing.change_layer(i, activation=chosen),
        ),
    )


def _layer_details(i: int, layer: LayerConfig) -> None:
    st.slider(
        f"Dropout of layer {i + 1}",
        0.0,
        0.9,
        step=0.05,
        help="Drops this share of the units in each step, so that none is relied on too much.",
        **controls.bind(
            f"dropout_{i}",
            layer.dropout,
            lambda chosen: editing.change_layer(i, dropout=chosen),
        ),
    )
    st.segmented_control(
        f"Normalization of layer {i + 1}",
        NORMALIZATIONS,
        format_func=str.capitalize,
        required=True,
        help="Keeps the values before the activation in range: training gets steadier.",
        **controls.bind(
            f"normalization_{i}",
            layer.normalization,
            lambda chosen: editing.change_layer(i, normalization=chosen),
        ),
    )


# ---- running -----------------------------------------------------------------------------------


def run_row(weights: Callable[[], bytes]) -> None:
    """Train, Step, Reset, speed, Undo, Redo, and the download of `weights`."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        with st.container(width=_PRIMARY["width"]):  # a fragment takes all the width there is
            st.fragment(_train_button, key="train_button")(state.session().running)
        _button("step", "Step", "skip_next", state.step)
        _button("reset", "Reset", "restart_alt", state.reset)
        st.segmented_control(
            "Speed",
            SPEEDS,
            default=SPEEDS[0],
            required=True,
            key="speed",
            label_visibility="collapsed",
            persist_state="session",
        )
        quiet = {"type": "tertiary"}
        _button("undo", "Undo", "undo", state.undo, disabled=not state.can_undo(), **quiet)
        _button("redo", "Redo", "redo", state.redo, disabled=not state.can_redo(), **quiet)
        st.download_button(
            "Weights",
            weights,
            "network.npz",
            "application/octet-stream",
            key="download_weights",
            icon=":material/download:",
            on_click="ignore",
        )
        _help(
            "Train goes on until you pause, one epoch, ten, or as many as the machine can for "
            "each picture shown. Step trains exactly one epoch. Reset goes back to the very same "
            "first weights. Undo brings back what was before the latest change, with all that was "
            "learned. Weights is a file of the trained network, for the Predict page."
        )


def _train_button(was_running: bool) -> None:
    """Train or Pause. A fragment, because Pause is not to wait until the whole page is made again.

    The page follows at once where training starts, and else after the next frame (`training`).
    """
    if state.session().running:
        pressed = _button("train", "Pause", "pause", state.pause, **_PRIMARY)
    else:
        pressed = _button("train", "Train", "play_arrow", state.train, **_PRIMARY)
    if pressed and not was_running:
        st.rerun()


def _button(key: str, title: str, icon: str, do: Callable[[], None], **options: Any) -> bool:
    """A button without a tooltip of its own: with one, Streamlit makes two buttons of it."""
    return controls.button(key, title, do, icon=f":material/{icon}:", **options)


def _help(text: str) -> None:
    """What a row of buttons does, behind a question mark at its end."""
    st.markdown("", help=text, width="content")


def output_row() -> None:
    """How the output and the losses are drawn."""
    regression = state.experiment().config.task == "regression"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for title, key, help in (
            ("Test points", "show_test", "Draws the points that only test, hollow."),
            ("Discretize", "discretize", "Shows which class is likelier, not by how much."),
            ("Log scale", "log_scale", "Losses on a logarithmic axis: small ones come apart."),
        ):
            off = regression and key == "discretize"
            st.toggle(title, key=key, help=help, disabled=off, persist_state="session")
        if len(state.experiment().data.input_names) > 2:
            _shown_inputs()


def _shown_inputs() -> None:
    """Which two of more inputs the plane shows."""
    experiment = state.experiment()
    names = experiment.data.input_names
    with st.popover("Axes", help="Which two inputs are drawn; the others stand at their median."):
        for axis, place in zip(("Across", "Up"), experiment.shown_inputs, strict=True):
            key = f"shown_{axis.lower()}"
            st.session_state[key] = names[place]
            st.selectbox(axis, names, key=key, on_change=_show_inputs)


def _show_inputs() -> None:
    experiment = state.experiment()
    names = experiment.data.input_names
    chosen = [names.index(st.session_state[f"shown_{axis}"]) for axis in ("across", "up")]
    if chosen[0] == chosen[1]:  # the axis that was there goes where the other one came from
        before = experiment.shown_inputs
        chosen = [before[1], before[0]]
    experiment.shown_inputs = (chosen[0], chosen[1])
