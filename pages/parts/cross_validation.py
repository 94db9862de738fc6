"""Cross-validation of the current configuration, a moment at a time, to watch and to cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import streamlit as st

from nnkit.config import CUSTOM, ExperimentConfig
from nnkit.datasets import Dataset
from nnkit.errors import NnkitError
from nnkit.experiment import Experiment
from nnkit.validation import (
    MAX_EPOCHS,
    MAX_FOLDS,
    Summary,
    ValidationProgress,
    cross_validate,
    summarize,
)
from pages.parts import evaluation_figures, state
from pages.parts.live_plot import live_plot
from pages.parts.status import number
from pages.parts.texts import sentence

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

    @property
    def at_work(self) -> bool:
        """Whether there is more to come."""
        return self.events is not None

    def advance(self, seconds: float) -> None:
        """Work for a moment."""
        started = time.perf_counter()
        for progress in self.events or ():
            self.progress = progress
            if time.perf_counter() - started >= seconds:
                break
        self.seconds += time.perf_counter() - started
        if len(self.progress.done) == self.progress.folds:
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
    if run and not run.fits(state.experiment()):
        run.events = None  # the folds left would be of another network than those done
    at_work = bool(run and run.at_work)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        _settings(at_work)
    st.fragment(_tick, run_every=INTERVAL if at_work else None, key="validation_live")()


def _settings(at_work: bool) -> None:
    st.number_input(
        "Folds", 2, MAX_FOLDS, 5, key="folds", width=130, disabled=at_work, persist_state="session",
        help="The data are dealt into so many parts; each is tested once, by a network trained on "
        "all the others. 5 or 10 are usual.",
    )  # fmt: skip
    epoch = state.experiment().epoch
    if not at_work and st.session_state.get("_epochs_of") != epoch:  # as long as that network
        st.session_state["_epochs_of"] = epoch
        st.session_state["fold_epochs"] = min(epoch, MAX_EPOCHS) or 100
    st.number_input(
        "Epochs each", 1, MAX_EPOCHS, 100, key="fold_epochs", width=150, disabled=at_work,
        persist_state="session",
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
        st.toast(sentence(error), icon=":material/block:")
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
    at_work = run.at_work
    if at_work:
        run.advance(BUDGET)
    _show(run)
    if at_work and not run.at_work:
        st.rerun()  # Cancel becomes Cross-validate, and the ticks end


def _show(run: Run) -> None:
    progress = run.progress
    if run.at_work:
        st.progress(progress.share, _said(run))
    else:
        st.caption(_said(run))
    if not progress.done:
        return
    summary = summarize(progress.done)
    score, _ = _score(run)
    table, chart = st.columns(2, gap="medium")
    with table:
        st.table(
            _table(run, summary),
            border="horizontal",
            hide_index=True,
            alt="Numbers of each fold, and their means with one standard deviation",
        )
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
        stopped = "" if done == folds else " It was stopped there."
        return (
            f"{done} of {folds} folds, of the configuration before the last change.{stopped}{said}"
        )
    if run.at_work:
        left = run.seconds * (1 / progress.share - 1) if progress.share else 0.0
        return (
            f"Fold {done + 1} of {folds}, epoch {progress.epoch} of {progress.epochs}; "
            f"about {left:.0f} s left.{said}"
        )
    if done == folds:
        mean, deviation = summarize(progress.done).test_score
        name, write = _score(run)
        return (
            f"Test {name} {write(mean)} ± {write(deviation)}: "
            f"{folds} folds of {progress.epochs} epochs, in {run.seconds:.1f} s.{said}"
        )
    return f"Cancelled after {done} of {folds} folds.{said}"


def _score(run: Run) -> tuple[str, Callable[[float], str]]:
    """What the score is called, and how it is written."""
    if run.config.task == "regression":
        return "R²", "{:.3f}".format
    return "accuracy", "{:.1%}".format


def _table(run: Run, summary: Summary) -> dict[str, list[str]]:
    """Means first: what stands there does not move when a fold comes to it."""
    done = run.progress.done
    score, written = _score(run)

    def column(name: str, write: Callable[[float], str]) -> list[str]:
        mean, deviation = getattr(summary, name)
        spread = f" ± {write(deviation)}" if len(done) > 1 else ""
        return [f"**{write(mean)}{spread}**", *(write(getattr(f.latest, name)) for f in done)]

    return {
        "Fold": ["**Mean ± deviation**", *(str(fold.number) for fold in done)],
        "Train / test": ["", *(f"{f.train_samples:,} / {f.test_samples:,}" for f in done)],
        f"Train {score}": column("train_score", written),
        f"Test {score}": column("test_score", written),
        "Train loss": column("train_loss", number),
        "Test loss": column("test_loss", number),
    }
