"""What is happening, in numbers and in words, as one element of the page."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.experiment import Experiment
from nnkit.settings import LIVE_FIELDS

SOLVED, NEARLY, GOOD = 0.98, 0.96, 0.9  # test scores
WINDOW = 100  # epochs without progress that make a plateau
LATELY = 5  # epochs whose mean is spoken of, as single ones waver

_CELL = (
    '<span style="flex:none;width:{width}em"><span style="{small}">{label}</span><br>'
    "<b>{value}</b></span>"
)
_SMALL = "font-size:0.8rem;opacity:0.65"
_ROW = (
    "display:flex;flex-wrap:wrap;column-gap:0.75rem;align-items:center;min-height:3.4rem;line-height:1.35;"
    "font-variant-numeric:tabular-nums"
)


def run_status(
    experiment: Experiment, *, running: bool, pace: float, notice: str = "", refusal: str = ""
) -> str:
    """The status element as HTML: numbers in columns that keep their place, then a sentence.

    Args:
        running: whether Train is on.
        pace: epochs per second; 0 when nothing is trained.
        notice: what was chosen or set aside, and why.
        refusal: why the last choice was refused.
    """
    latest = experiment.latest
    state = "training" if running else experiment.status.replace("training", "paused")
    score = "Test R²" if experiment.config.task == "regression" else "Test accuracy"
    cells = (
        ("Epoch", f"{latest.epoch:,}", 4.5),
        ("Train loss", number(latest.train_loss), 5.0),
        ("Test loss", number(latest.test_loss), 5.0),
        (score, score_text(experiment), 6.0),
        ("Epochs/s", f"{pace:,.0f}" if pace else "–", 4.5),
    )
    numbers = "".join(
        _CELL.format(width=width, small=_SMALL, label=label, value=value)
        for label, value, width in cells
    )
    said = [f"<b>{state.capitalize()}.</b>"]
    if refusal:
        said.append(f'<span style="color:var(--st-red-text-color)">{html.escape(refusal)}</span>')
    if notice:
        said.append(html.escape(notice))
    if not (refusal or notice) or state in ("diverged", "stopped"):
        said.append(html.escape(advice(experiment, running)))
    data = {
        "state": state,
        "epoch": latest.epoch,
        "train-loss": f"{latest.train_loss:.9g}",
        "test-loss": f"{latest.test_loss:.9g}",
        "test-score": f"{latest.test_score:.9g}",
    }
    attributes = " ".join(f'data-{name}="{value}"' for name, value in data.items())
    heard = "off" if running else "polite"  # not every frame is to be read out
    return (
        f'<div data-testid="run-status" role="status" aria-live="{heard}" {attributes} '
        f'style="{_ROW}">{numbers}<span style="flex:1 1 18rem">{" ".join(said)}</span></div>'
    )


def number(value: float) -> str:
    """A loss in a few digits.

    >>> number(0.6931), number(2.1e-6), number(1234.5)
    ('0.6931', '2.1e-06', '1.2e+03')
    """
    return f"{value:.4f}" if 1e-4 <= abs(value) < 1000 or not value else f"{value:.1e}"


def score_text(experiment: Experiment) -> str:
    """Accuracy in per cent, or R²; a dash where there is none, and no more than far below 0."""
    value = experiment.latest.test_score
    if math.isnan(value):
        return "–"
    if experiment.config.task == "classification":
        return f"{value:.1%}"
    return f"{value:.3f}" if value > -100 else "below −100"


def advice(experiment: Experiment, running: bool = False) -> str:
    """What is happening, and what to try."""
    if experiment.message:
        return experiment.message
    latest, past = experiment.latest, experiment.history
    by_hand = [epoch for epoch, what in past.changes if what.keys() - LIVE_FIELDS]
    if by_hand and by_hand[-1] == latest.epoch:
        said = "are no longer the first ones" if not latest.epoch else "were changed by hand"
        return f"These weights {said}. Train goes on from here."
    if not latest.epoch:
        count = sum(parameter.data.size for parameter in experiment.network.parameters())
        return f"{count:,} weights and biases, not trained yet. Press Train."
    # A change by hand is a new start. Once solved, it is so until it clearly is no more.
    since = past.epoch >= (by_hand[-1] if by_hand else 0)
    losses, test_losses = past.train_loss[since], past.test_loss[since]
    first, best = float(losses[0]), float(np.nanmin(test_losses))
    reached = float(np.nanmax(past.test_score[since], initial=-math.inf))
    if latest.test_score >= SOLVED or (reached >= SOLVED and latest.test_score >= NEARLY):
        return "Solved. Try fewer units, more noise or another data set."
    if latest.train_loss > 2 * first:
        return "The loss is far above where it began: steps are too large. Lower the learning rate."
    recent, recent_test = float(losses[-LATELY:].mean()), float(test_losses[-LATELY:].mean())
    if recent_test > 1.5 * best and recent < 0.5 * recent_test:
        return (
            "Test loss has risen while train loss fell: the network learns the training points "
            "by heart. Try more samples, L2, dropout or fewer units."
        )
    fallen = recent < 0.5 * first
    if _stands_still(experiment, recent):
        if fallen and reached >= GOOD:
            return f"The loss has fallen from {number(first)} and stays: noise may allow no more."
        return (
            f"Little progress in {WINDOW} epochs. Try another learning rate, more units or "
            "other features."
        )
    if not _falling(experiment, past.train_loss):
        if fallen:
            return f"The loss is far below the {number(first)} where it began; now it wavers."
        return "No clear progress yet." if running else "No clear progress so far."
    if recent_test > 1.1 * best and not _falling(experiment, past.test_loss):
        lowest = int(past.epoch[since][np.nanargmin(test_losses)])
        return f"Train loss falls, test loss does not: it was lowest at epoch {lowest:,}."
    if running:
        return "The loss is falling: the network is learning."
    return "The loss was falling: Train goes on from here."


def _stands_still(experiment: Experiment, recent: float) -> bool:
    """Whether the `recent` train loss is hardly below the lowest of `WINDOW` epochs ago."""
    before = experiment.history.epoch <= experiment.epoch - WINDOW
    if not before.any():
        return False
    earlier = float(experiment.history.train_loss[before].min())
    return not math.isfinite(earlier) or recent > 0.98 * earlier


def _falling(experiment: Experiment, losses: NDArray[Any]) -> bool:
    """Whether the losses of the last epochs are below those of as many before."""
    epoch = experiment.epoch
    age = epoch - experiment.history.epoch
    length = max(1, min(10, epoch // 2))
    last, before = losses[age < length], losses[(age >= length) & (age < 2 * length)]
    return not len(before) or bool(last.mean() < 0.999 * before.mean())
