"""Cross-validation of the current configuration, a moment at a time, to watch and to cancel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import streamlit as st

from nnkit.config import CUSTOM, ExperimentConfig
from nnkit.datasets import Dataset
from nnkit.errors import NnkitError
from nnkit.experiment import Experiment
from nnkit.validation import (
    MAX_EPOCHS,
    MAX_FOLDS,
    Spread,
    ValidationProgress,
    cross_validate,
    summarize,
)
from pages.parts import evaluation_figures, state
from pages.parts.live_plot import live_plot
from pages.parts.status import number

BUDGET = 0.15  # seconds of training in a tick
INTERVAL = 0.05  # seconds between ticks
HEIGHT = 230


@dataclass
class Run:
    """A cross-validation, at work or over.

    Attributes:
        events: what is still to come; None when it is over.
        progress: the latest event.
        seconds: how long it has worked.
    """

    config: ExperimentConfig
    data: Dataset
    events: Iterator[ValidationProgress] | None
    progress: ValidationProgress
    seconds: float = 0.0

    def advance(self, seconds: float) -> None:
        """Work for a moment."""
        started = time.perf_counter()
        for progress in self.events or ():
            self.progress = progress
            if progress.share < 1 and time.perf_counter() - started < seconds:
                continue
            break
        self.seconds += time.perf_counter() - started
        if self.progress.share == 1:
            self.events = None

    def fits(self, experiment: Experiment) -> bool:
        """Whether its results hold for the experiment's configuration and data."""
        own_data = experiment.config.dataset == CUSTOM
        same_data = self.data is experiment.data or not own_data
        return same_data and _relevant(self.config) == _relevant(experiment.config)


def _relevant(config: ExperimentConfig) -> ExperimentConfig:
    """The configuration but for what cross-validation leaves out."""
    return config.replace(patience=0, target_score=0.0, train_fraction=0.8)


def panel() -> None:
    """Settings, the button that starts or cancels, and what has come out so far."""
    run: Run | None = st.session_state.get("validation")
    if run and run.events and not run.fits(state.experiment()):
        run.events = None  # the folds left would be of another network than those done
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        _settings(run)
    at_work = bool(run and run.events)
    st.fragment(_tick, run_every=INTERVAL if at_work else None, key="validation_live")()


def _settings(run: Run | None) -> None:
    at_work = bool(run and run.events)
    st.number_input(
        "Folds", 2, MAX_FOLDS, 5, key="folds", width=130, disabled=at_work, persist_state="session",
        help="The data are dealt into so many parts; each is tested once, by a network trained on "
        "all the others. 5 or 10 are usual.",
    )  # fmt: skip
    st.number_input(
        "Epochs each", 1, MAX_EPOCHS, max(state.experiment().epoch, 1) if state.experiment().epoch
        else 100, key="fold_epochs", width=150, disabled=at_work, persist_state="session",
        help="How long each network is trained; early stopping is off, for it would look at the "
        "part that is to be unseen.",
    )  # fmt: skip
    if at_work:
        st.button("Cancel", key="cancel_validation", icon=":material/close:", on_click=_cancel,
                  help="Stops; the folds that are finished stay.")  # fmt: skip
    else:
        st.button("Cross-validate", key="validate", icon=":material/play_arrow:", on_click=_start,
                  type="primary", help="Trains a new network for each fold. The network of the "
                  "Train page is left as it is.")  # fmt: skip


def _start() -> None:
    experiment = state.experiment()
    folds, epochs = int(st.session_state["folds"]), int(st.session_state["fold_epochs"])
    try:
        events = cross_validate(experiment.config, experiment.data, folds=folds, epochs=epochs)
    except NnkitError as error:
        st.toast(str(error), icon=":material/block:")
        return
    start = ValidationProgress((), folds, epochs, 0)
    st.session_state["validation"] = Run(experiment.config, experiment.data, events, start)


def _cancel() -> None:
    st.session_state["validation"].events = None


def _tick() -> None:
    run: Run | None = st.session_state.get("validation")
    if run is None:
        st.caption(
            "Numbers of one split hang on which points it happens to test. Cross-validation trains "
            "anew on several splits and shows how far the numbers spread."
        )
        return
    if run.events:
        run.advance(BUDGET)
        _show(run)
        if not run.events:
            st.rerun()  # Cancel becomes Cross-validate, and the ticks end
    else:
        _show(run)


def _show(run: Run) -> None:
    progress = run.progress
    st.progress(progress.share, _said(run))
    if not progress.done:
        return
    summary = summarize(progress.done)
    regression = run.config.task == "regression"
    score = "R²" if regression else "accuracy"
    numbers, table, chart = st.columns([2, 4, 4], gap="medium")
    with numbers:
        st.metric(f"Test {score}", _spread(summary.test_score, percent=not regression),
                  help="Mean over the folds ± one standard deviation.")  # fmt: skip
        st.metric("Test loss", _spread(summary.test_loss), help="Mean ± one standard deviation.")
        st.metric(f"Train {score}", _spread(summary.train_score, percent=not regression),
                  help="Far above the test score: learned by heart.")  # fmt: skip
    with table:
        st.table(_table(run), border="horizontal", hide_index=True)
    with chart:
        live_plot(
            evaluation_figures.fold_scores(
                progress.done, progress.folds, summary.test_score, name=score
            ),
            key="fold_scores",
            height=HEIGHT,
            label=f"Train and test {score} of each fold",
        )


def _said(run: Run) -> str:
    progress = run.progress
    done, folds = len(progress.done), progress.folds
    diverged = sum(fold.diverged for fold in progress.done)
    said = f" {diverged} diverged: their numbers are of the last epoch before." if diverged else ""
    if not run.fits(state.experiment()):
        stopped = "" if progress.share == 1 else " It was stopped there."
        return (
            f"{done} of {folds} folds, of the configuration before the last change.{stopped}{said}"
        )
    if run.events:
        left = run.seconds * (1 / progress.share - 1) if progress.share else 0.0
        return (
            f"Fold {done + 1} of {folds}, epoch {progress.epoch} of {progress.epochs}; "
            f"about {left:.0f} s left.{said}"
        )
    if progress.share == 1:
        return f"{folds} folds of {progress.epochs} epochs, in {run.seconds:.1f} s.{said}"
    return f"Cancelled after {done} of {folds} folds.{said}"


def _table(run: Run) -> dict[str, list[str]]:
    percent = run.config.task != "regression"
    done = run.progress.done
    score = "accuracy" if percent else "R²"
    return {
        "Fold": [str(fold.number) for fold in done],
        "Points": [f"{fold.train_samples:,} / {fold.test_samples:,}" for fold in done],
        f"Train {score}": [_score(fold.latest.train_score, percent) for fold in done],
        f"Test {score}": [_score(fold.latest.test_score, percent) for fold in done],
        "Train loss": [number(fold.latest.train_loss) for fold in done],
        "Test loss": [number(fold.latest.test_loss) for fold in done],
    }


def _score(value: float, percent: bool) -> str:
    return f"{value:.1%}" if percent else f"{value:.3f}"


def _spread(spread: Spread, *, percent: bool = False) -> str:
    if spread.deviation != spread.deviation:  # a single fold
        return _score(spread.mean, percent)
    if percent:
        return f"{100 * spread.mean:.1f} ± {100 * spread.deviation:.1f}%"
    return f"{spread.mean:.3f} ± {spread.deviation:.3f}"
