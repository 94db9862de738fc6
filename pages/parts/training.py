"""Training as it is watched: each tick trains for a moment, then draws one frame of it all."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nnkit.config import HIDDEN_ACTIVATIONS
from nnkit.experiment import Experiment
from pages.parts import controls, editing, state, toolbar, views
from pages.parts.live_plot import live_plot
from pages.parts.network_view import NetworkEvent, network_view
from pages.parts.status import number, run_status

EPOCHS = dict(zip(toolbar.SPEEDS, (1, 10, 1_000_000), strict=True))  # in a frame, at most
BUDGET = 0.04  # seconds of training in a tick, at most (but for one epoch that takes longer)
INTERVAL = 0.03  # seconds between ticks

NETWORK_HEIGHT = 640
OUTPUT_HEIGHT = 400
LOSS_HEIGHT = 210


@dataclass(frozen=True)
class Places:
    """Where on the page the parts of a frame go."""

    status: DeltaGenerator
    network: DeltaGenerator
    output: DeltaGenerator
    below: DeltaGenerator


def live(places: Places) -> None:
    """Show the experiment, and train it while Train is on."""
    every = INTERVAL if state.session().running else None
    st.fragment(_tick, run_every=every, key="live")(places)


def _tick(places: Places) -> None:
    current = state.session()
    if current.edited:
        current.edited = False
        st.rerun()  # the controls, outside this fragment, follow the network
    was_running = current.running
    if was_running:
        _advance(current)
    _draw(current, places)
    if was_running and not current.running:
        st.rerun()  # it stopped by itself: Pause becomes Train


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


def _draw(current: state.Session, places: Places) -> None:
    experiment, running = current.experiment, current.running
    with places.status:
        st.html(
            run_status(
                experiment,
                running=running,
                pace=_pace(current),
                notice=current.notice,
                refusal=current.refusal,
            )
        )
    with places.network:
        network_view(
            views.network_frame(experiment, selected=current.selected),
            key="network",
            activations=tuple(HIDDEN_ACTIVATIONS),
            on_event=_on_event,
            height=NETWORK_HEIGHT,
            live=running,
        )
    with places.output:
        live_plot(
            views.output_figure(
                experiment,
                show_test=st.session_state.get("show_test", False),
                discretize=st.session_state.get("discretize", False),
            ),
            key="output",
            height=OUTPUT_HEIGHT,
            label="The network's output over its inputs, with the data",
            epoch=experiment.epoch,
        )
    with places.below:
        if current.selected:
            _unit(experiment, *current.selected)
        else:
            live_plot(
                views.loss_figure(experiment, log_scale=st.session_state.get("log_scale", False)),
                key="losses",
                height=LOSS_HEIGHT,
                label="Train and test loss by epoch",
                epoch=experiment.epoch,
            )


def _unit(experiment: Experiment, layer: int, unit: int) -> None:
    """The selected unit, large, beside what goes into it."""
    picture, weights = st.columns([3, 2], gap="small")
    with picture:
        live_plot(
            views.unit_figure(experiment, layer, unit),
            key="unit",
            height=LOSS_HEIGHT,
            label=f"Unit {unit + 1} of layer {layer + 1} over the inputs",
            epoch=experiment.epoch,
        )
    with weights:
        rows = "".join(
            f"<tr><td>{name}</td><td style='text-align:right'>{number(value)}</td></tr>"
            for name, value in views.incoming(experiment, layer, unit)[:8]
        )
        st.html(
            "<table style='font-size:0.8rem;font-variant-numeric:tabular-nums;width:100%'>"
            f"<caption style='text-align:left'>Layer {layer + 1}, unit {unit + 1}: what goes in"
            f"</caption>{rows}</table>"
        )


def _on_event(event: NetworkEvent) -> None:
    def do() -> None:
        state.session().edited |= editing.apply(event)

    controls.attempt(do)


def weights_file(current: state.Session) -> bytes:
    """The trained weights with their configuration, as the bytes of an `.npz` file."""
    file = io.BytesIO()
    with current.lock:
        current.experiment.save(file)
    return file.getvalue()
