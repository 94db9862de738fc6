"""Training as it is watched: each tick trains for a moment, then sends one frame of it all.

The views have their places on the page once a run; what they show comes with the frames, so all of
them stand at the same epoch and stay the same elements.
"""

from __future__ import annotations

import io
import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nnkit.settings import HIDDEN_ACTIVATIONS
from pages.parts import controls, editing, state, toolbar, views
from pages.parts.live_frame import live_frame
from pages.parts.live_plot import followed_plot, plot_message
from pages.parts.network_frame import pack_frame
from pages.parts.network_view import network_view
from pages.parts.network_view.events import NetworkEvent
from pages.parts.status import run_status

EPOCHS = dict(zip(toolbar.SPEEDS, (1, 10, 1_000_000), strict=True))  # in a frame, at most
BUDGET = 0.025  # seconds of training in a tick, at most (but for one epoch that takes longer)
INTERVAL = 0.036  # seconds between ticks: the browser needs time for a click, too

ACTIVATIONS = tuple(HIDDEN_ACTIVATIONS)
NETWORK_HEIGHT = 640
OUTPUT_HEIGHT = 400
BESIDE_HEIGHT = 222  # of the output and of a selected unit, side by side
WEIGHTS_HEIGHT = OUTPUT_HEIGHT - BESIDE_HEIGHT - 14  # so that the losses stay where they are
LOSS_HEIGHT = 210


# ---- frames ------------------------------------------------------------------------------------


def live(place: DeltaGenerator) -> None:
    """Show the status, send frames to the views, and train while Train is on."""
    ticking = state.session().running
    st.fragment(_tick, run_every=INTERVAL if ticking else None, key="live")(place, ticking)


def _tick(place: DeltaGenerator, ticking: bool) -> None:
    current = state.session()
    if ticking and not (current.running or current.moving):
        st.rerun()  # it stands still and shows so: the page follows, and the ticking ends
    if current.running:
        _advance(current)
    with place:
        live_frame(_status(current), _messages(current), key="frame", live=current.running)
    current.moving = current.running


def _advance(current: state.Session) -> None:
    """Train for as many epochs as the speed asks for and the time allows."""
    epochs = EPOCHS.get(st.session_state.get("speed", ""), 1)
    deadline = time.perf_counter() + BUDGET
    with current.lock:
        experiment = current.experiment
        while current.running and epochs and time.perf_counter() < deadline:
            experiment.step()
            epochs -= 1
            current.running = experiment.status == "training"
        current.pace.append((time.perf_counter(), experiment.epoch))


def _pace(current: state.Session) -> float:
    """Epochs per second over the latest frames."""
    if not current.running or len(current.pace) < 2:
        return 0.0
    (start, first), (end, last) = current.pace[0], current.pace[-1]
    return (last - first) / (end - start)


def _status(current: state.Session) -> str:
    return run_status(
        current.experiment,
        running=current.running,
        pace=_pace(current),
        notice=current.notice,
        refusal=current.refusal,
    )


def _messages(current: state.Session) -> dict[str, bytes]:
    """What every view is to show, by its key."""
    experiment, selected = current.experiment, current.selected
    shown = {name: st.session_state.get(name, False) for name in ("show_test", "discretize")}
    plots = {
        "output": (
            views.output_figure(experiment, **shown),
            BESIDE_HEIGHT if selected else OUTPUT_HEIGHT,
            "The network's output over its inputs, with the data",
        ),
        "losses": (
            views.loss_figure(experiment, log_scale=st.session_state.get("log_scale", False)),
            LOSS_HEIGHT,
            "Train and test loss by epoch",
        ),
    }
    if selected:
        name = views.unit_name(experiment, *selected)
        plots["unit"] = (
            views.unit_figure(experiment, *selected), BESIDE_HEIGHT, f"{name} over the inputs"
        )  # fmt: skip
        plots["weights"] = (
            views.weights_figure(experiment, *selected),
            WEIGHTS_HEIGHT,
            views.weights_in_words(experiment, *selected),
        )
    messages = {
        key: plot_message(figure, key=key, height=height, label=label, epoch=experiment.epoch)
        for key, (figure, height, label) in plots.items()
    }
    frame = views.network_frame(experiment, selected=selected)
    messages["network"] = pack_frame(
        frame, height=NETWORK_HEIGHT, activations=ACTIVATIONS, live=current.running
    )
    return messages


# ---- places ------------------------------------------------------------------------------------


def network() -> None:
    """The place of the network view."""
    current = state.session()
    frame = views.network_frame(current.experiment, selected=current.selected)
    network_view(frame, key="network", activations=ACTIVATIONS, on_event=_on_event)


def charts() -> None:
    """The places of the output, of the selected unit beside it, and of the losses below."""
    experiment, selected = state.experiment(), state.session().selected
    scaled = experiment.config.task == "regression" and len(experiment.data.input_names) > 1
    shares = [5, 4] if scaled else [1, 1]  # a colour bar takes room of its own
    columns = st.columns(shares if selected else 1, gap="small")
    with columns[0]:
        followed_plot(key="output", height=BESIDE_HEIGHT if selected else OUTPUT_HEIGHT)
    if selected:
        with columns[1]:
            followed_plot(key="unit", height=BESIDE_HEIGHT)
    between = st.container()
    if selected:
        with between:
            followed_plot(key="weights", height=WEIGHTS_HEIGHT)
    followed_plot(key="losses", height=LOSS_HEIGHT)


def _on_event(event: NetworkEvent) -> None:
    controls.attempt(editing.apply, event)


def weights_file(current: state.Session) -> bytes:
    """The trained weights with their configuration, as the bytes of an `.npz` file."""
    file = io.BytesIO()
    with current.lock:
        current.experiment.save(file)
    return file.getvalue()
