"""What the Evaluate page shows of the current network: numbers, matrix, plane, curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from nnkit.datasets import Dataset
from nnkit.errors import NnkitError
from nnkit.evaluation import (
    ClassificationReport,
    Decisions,
    RegressionReport,
    Report,
    evaluate,
)
from nnkit.experiment import Experiment
from nnkit.remarks import remarks
from pages.parts import evaluation_figures, state
from pages.parts.figure_parts import Figure, ringed
from pages.parts.live_plot import live_plot
from pages.parts.measures import Row, rows
from pages.parts.texts import plain

HEIGHT = 255
WORST = 5
NOTHING, MISTAKES = "nothing", "all mistakes"
ICONS = {
    "few samples": ":material/straighten:",
    "gap": ":material/call_split:",
    "balance": ":material/balance:",
}

Cell = tuple[int, int]  # of the confusion matrix: class, class given
Rows = NDArray[np.int64]


@st.fragment
def measures() -> None:
    """Everything about the network as it stands, on training and on test data."""
    experiment = state.experiment()
    try:
        train = evaluate(experiment, experiment.train_data)
        test = evaluate(experiment, experiment.test_data)
    except NnkitError as error:
        st.error(f"There are no numbers to show: {plain(error)}.", icon=":material/block:")
        return
    on_test = _head(experiment)
    if isinstance(train, ClassificationReport) and isinstance(test, ClassificationReport):
        _classification(experiment, train, test, on_test)
    elif isinstance(train, RegressionReport) and isinstance(test, RegressionReport):
        _regression(experiment, train, test, on_test)


def _head(experiment: Experiment) -> bool:
    """What the numbers are of; returns whether the charts are to show the test data."""
    title = state.data_title()
    when = f"**Epoch {experiment.epoch:,}**" if experiment.epoch else "**Not trained yet**"
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.markdown(f"{when}, {plain(title)}", width="stretch")
        part = st.segmented_control(
            "Points in the charts",
            ("Test", "Train"),
            default="Test",
            required=True,
            key="evaluated",
            format_func=lambda part: f"{part} points",
            label_visibility="collapsed",
            persist_state="session",
        )
    return part != "Train"


def _table(table: Sequence[Row]) -> None:
    names, meanings, train, test = zip(*table, strict=True)
    said = [f"{n} :small[:gray[{plain(m)}]]" for n, m in zip(names, meanings, strict=True)]
    st.table(
        {"Measure": said, "Train": train, "Test": test},
        border="horizontal",
        hide_index=True,
        alt="Measures on training and on test data",
    )


def _say(experiment: Experiment, train: Report, test: Report, threshold: float = 0.5) -> None:
    """What to be careful with, in reading the numbers."""
    if not experiment.epoch:
        st.caption(
            ":material/info: These are the numbers of the initial weights: what chance gives. "
            "Train the network on the Train page, then come back."
        )
        return
    if experiment.message:
        st.caption(f":material/info: {plain(experiment.message)}")
    for remark in remarks(train, test, threshold):
        st.caption(f"{ICONS[remark.about]} {plain(remark.text)}")
    if experiment.config.loss == "hinge":
        st.caption(
            ":material/percent: Hinge loss learns the side of a margin: what is read as "
            "probabilities here is not calibrated."
        )
    if experiment.config.patience:
        st.caption(
            ":material/visibility: Early stopping chooses the epoch by the test loss, so the test "
            "numbers are a little too good. Cross-validation, below, does without it."
        )


# ---- classification ----------------------------------------------------------------------------


def _classification(
    experiment: Experiment, train: ClassificationReport, test: ClassificationReport, on_test: bool
) -> None:
    seen = (test if on_test else train).data  # with all its classes, for the plane
    numbers, charts = st.columns([4, 7], gap="medium")
    with numbers:
        label = _question(test.data) if test.data.classes > 2 else None
        if label is not None:
            train, test = train.against_rest(label), test.against_rest(label)
        _forget_threshold(test)
        threshold = _threshold(test.data.class_names[1]) if test.data.classes == 2 else 0.5
        table = rows(train, test, loss=experiment.config.loss, threshold=threshold)
        _table([_at(threshold, *row) for row in table])
        _say(experiment, train, test, threshold)
    shown = test if on_test else train
    with charts:
        _matrix_and_plane(experiment, shown.at(threshold), shown.data.class_names, seen)
        _curves(experiment, shown, threshold)


def _at(threshold: float, name: str, meaning: str, *values: str) -> Row:
    """The row; where its accuracy is not that of the Train page, the threshold tells why."""
    if name == "Accuracy" and threshold != 0.5:
        meaning = f"{meaning}, at threshold {threshold:g}"
    return (name, meaning, *values)


def _matrix_and_plane(
    experiment: Experiment, decisions: Decisions, names: Sequence[str], seen: Dataset
) -> None:
    left, right = st.columns(2, gap="small", vertical_alignment="center")
    with right:
        marked = _marked(names)
    ringed_rows = _rows(decisions, marked)
    with left:
        note = f"{len(ringed_rows):,} ringed" if marked != NOTHING else ""
        _title("Confusion matrix", "Rows are the true classes, columns those given. Click a cell: "
               "its points are ringed on the plane.", note)  # fmt: skip
    left, right = _pair()
    cell = marked if isinstance(marked, tuple) else None
    with left:
        figure = evaluation_figures.confusion_matrix(decisions.matrix, names, cell)
        _plot(figure, "matrix", "Confusion matrix", on_click=_mark)
    with right:
        _plane(experiment, seen, ringed_rows)


def _curves(experiment: Experiment, shown: ClassificationReport, threshold: float) -> None:
    left, right = _pair()
    with left:
        _roc(shown, threshold)
    with right:
        _calibration(experiment, shown)


def _question(data: Dataset) -> int | None:
    """Which class is asked for, against the rest; None for all of them at once."""
    options: list[int | None] = [None, *range(data.classes)]
    return st.selectbox(
        "Question",
        options,
        key="question",
        format_func=lambda label: (
            "Which class is it?" if label is None else f"Is it class {data.class_names[label]}?"
        ),
        help="All classes at once, or one against the rest, with a threshold of its own.",
        persist_state="session",
    )


def _forget_threshold(report: Report) -> None:
    """A threshold is for one question: with another data set, or other classes, it is 0.5 again."""
    about = (state.data_title(), report.data.class_names)
    if st.session_state.get("_threshold_of", about) != about:
        st.session_state["threshold"] = 0.5
    st.session_state["_threshold_of"] = about


def _threshold(name: str) -> float:
    st.session_state.setdefault("threshold", 0.5)
    return st.slider(
        f"Threshold for class {plain(name)}",
        0.0,
        1.0,
        step=0.01,
        key="threshold",
        help="A point is given this class where its probability is at least so much. Lower finds "
        "more of them (recall), higher is right more often (precision). Click the ROC curve to "
        "take the threshold there.",
        persist_state="session",
    )


def _marked(names: Sequence[str]) -> Cell | str:
    """Which points are ringed on the plane."""
    cells = [(i, j) for i in range(len(names)) for j in range(len(names))]
    options: list[Cell | str] = [NOTHING, MISTAKES, *cells]
    return st.selectbox(
        "Ringed on the plane",
        options,
        key="marked",
        # Without counts: with another label an option is another one, and the choice forgotten.
        format_func=lambda choice: f"Ringed: {_choice(choice, names)}",
        label_visibility="collapsed",
        persist_state="session",
    )


def _choice(choice: Cell | str, names: Sequence[str]) -> str:
    if isinstance(choice, str):
        return choice
    actual, given = choice
    said = "called" if actual != given else "rightly called"
    return f"class {names[actual]} {said} class {names[given]}"


def _rows(decisions: Decisions, marked: Cell | str) -> Rows:
    if isinstance(marked, tuple):
        return decisions.samples(*marked)
    if marked == MISTAKES:
        return np.flatnonzero(decisions.predicted != decisions.actual)
    return np.empty(0, np.int64)


def _mark(click: dict[str, Any]) -> None:
    """A click on a cell marks its points; another one takes the marks away."""
    row, column = click["index"]
    cell = (int(row), int(column))
    st.session_state["marked"] = NOTHING if st.session_state.get("marked") == cell else cell


def _roc(report: ClassificationReport, threshold: float) -> None:
    _title(
        "ROC curve",
        "How many true positives are found at the price of how many false ones, for every "
        "threshold. Area 1 is perfect, 0.5 is chance.",
    )
    if math.isnan(report.area):
        st.caption("There is none: these points are all of one class.")
    elif report.data.classes > 2:
        _plot(evaluation_figures.roc_of_classes(report), "roc", "ROC curve of each class")
    else:
        figure = evaluation_figures.roc(*report.roc, area=report.area, threshold=threshold)
        _plot(figure, "roc", "ROC curve", on_click=_take_threshold)


def _take_threshold(click: dict[str, Any]) -> None:
    """A click on the curve takes the threshold of that point; above every score there is 1."""
    threshold = click["customdata"]
    if isinstance(threshold, int | float) or click["trace"] == 0:
        value = 1.0 if threshold is None else float(threshold)
        st.session_state["threshold"] = round(min(max(value, 0.0), 1.0), 2)


def _calibration(experiment: Experiment, report: ClassificationReport) -> None:
    _title(
        "Calibration",
        "Of the points given 70%, do 70% turn out so? Above the diagonal the network is too "
        "modest, below too sure. Larger dots hold more points.",
    )
    curve = report.calibration
    _plot(
        evaluation_figures.calibration(curve.prob_pred, curve.prob_true, curve.counts),
        "calibration",
        "Observed share over predicted probability",
    )


# ---- regression --------------------------------------------------------------------------------


def _regression(
    experiment: Experiment, train: RegressionReport, test: RegressionReport, on_test: bool
) -> None:
    _forget_threshold(test)
    shown = test if on_test else train
    worst = np.argsort(-np.abs(shown.residuals))[:WORST]
    numbers, charts = st.columns([4, 7], gap="medium")
    with numbers:
        _table(rows(train, test, loss=experiment.config.loss))
        _say(experiment, train, test)
    with charts:
        left, right = _pair()
        with left:
            _title("Residuals", "Target minus prediction. After a good fit they lie in a level "
                   "band; a bend is something not learned. The largest are ringed.")  # fmt: skip
            points = np.column_stack((shown.predictions, shown.residuals))[worst]
            figure = evaluation_figures.residuals(shown.predictions, shown.data.targets)
            _plot(ringed(figure, points), "residuals", "Residuals")
        with right:
            _title("Fit", "The network's output; points with the largest residuals are ringed.")
            _plane(experiment, shown.data, worst)
        left, right = _pair()
        with left:
            _title("Sizes of residuals", "A narrow heap around zero is good; a heap beside zero is "
                   "bias, a long tail outliers.")  # fmt: skip
            figure = evaluation_figures.residual_histogram(shown.residuals)
            _plot(figure, "residual_histogram", "Histogram of the residuals")
        with right:
            _title("Predicted and target", "After a perfect fit, all points lie on the diagonal.")
            figure = evaluation_figures.predicted_and_target(shown.predictions, shown.data.targets)
            _plot(figure, "predicted", "Predictions over targets")


# ---- pieces ------------------------------------------------------------------------------------


def _plane(experiment: Experiment, data: Dataset, marked: Rows) -> None:
    label = f"The network's output over its inputs; {len(marked)} points are ringed"
    _plot(evaluation_figures.plane(experiment, data, marked), "evaluated_plane", label)
    if data.inputs.shape[1] > 2:
        st.caption("The regions are those with the other inputs at their median.")


def _pair() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Two places side by side."""
    left, right = st.columns(2, gap="small")
    return left.container(gap="xsmall"), right.container(gap="xsmall")


def _title(title: str, help: str, note: str = "") -> None:
    st.markdown(f"**{title}** :small[:gray[{note}]]" if note else f"**{title}**", help=help)


def _plot(figure: Figure, key: str, label: str, **options: Any) -> None:
    live_plot(figure, key=key, height=HEIGHT, label=label, **options)
