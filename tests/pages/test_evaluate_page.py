"""The Evaluate page: right numbers, controls that move them, cross-validation to watch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig
from nnkit.datasets import Dataset
from nnkit.evaluation import evaluate
from nnkit.experiment import Experiment
from nnkit.validation import cross_validate, summarize
from pages.parts import cross_validation, evaluation, evaluation_figures, measures, state

PAGE = str(Path(evaluation.__file__).parents[1] / "evaluate.py")
BINARY = {"dataset": "moons", "noise": 0.6}
SEVERAL = {"dataset": "blobs", "noise": 0.6, "loss": "cross_entropy"}
PLANE = {"task": "regression", "dataset": "plane", "loss": "mse"}


def trained(epochs=3, data=None, **settings):
    config = ExperimentConfig(**{"samples": 100, "layers": (LayerConfig(4, "tanh"),)} | settings)
    experiment = Experiment(config, data)
    for _ in experiment.run(epochs=epochs):
        pass
    experiment.pause()
    return experiment


def show(experiment):
    page = AppTest.from_file(PAGE, default_timeout=30)
    page.session_state["session"] = state.Session(experiment)
    page.run()
    assert not page.exception
    return page


def run(page):
    page.run()
    assert not page.exception
    return page


def numbers(page, table=0):
    """Each row of a table by its first word (or two), without what it says."""
    rows = page.table[table].value.to_numpy().tolist()
    return {name.split(" :small")[0]: values for name, *values in rows}


def meaning(page, name):
    """What the row of a measure says of it."""
    (said,) = [row[0] for row in page.table[0].value.to_numpy() if row[0].startswith(f"{name} ")]
    return said


def words(page):
    return " ".join(element.value for element in (*page.markdown, *page.caption))


# --- numbers


def test_numbers_are_those_of_the_report():
    experiment = trained(**BINARY)
    shown = numbers(show(experiment))
    reports = [evaluate(experiment, data) for data in (experiment.train_data, experiment.test_data)]
    assert shown["Points"] == ["80", "20"]
    assert shown["Loss"] == [f"{report.loss:.4f}" for report in reports]
    assert shown["Accuracy"] == [f"{report.at().accuracy:.1%}" for report in reports]
    assert shown["F1"] == [f"{report.at().scores.f1:.1%}" for report in reports]
    assert shown["ROC area"] == [f"{report.area:.3f}" for report in reports]


def test_the_epoch_is_told():
    assert "Epoch 3" in words(show(trained(**BINARY)))


def test_an_untrained_network_has_numbers_and_says_what_they_are():
    page = show(trained(0, **BINARY))
    assert "Not trained yet" in words(page) and "initial weights" in words(page)
    assert numbers(page)["Points"] == ["80", "20"]


def test_regression():
    experiment = trained(**PLANE)
    page = show(experiment)
    report = evaluate(experiment, experiment.test_data)
    assert numbers(page)["R²"][1] == f"{report.r2:.3f}"
    assert "threshold" not in [slider.key for slider in page.slider]


@pytest.mark.parametrize(
    "settings",
    [
        BINARY,
        SEVERAL,
        PLANE,
        {**BINARY, "loss": "hinge"},
        {**BINARY, "loss": "one_vs_rest"},
        {"task": "regression", "dataset": "sine", "loss": "mse", "features": ("x1",)},
    ],
)
@pytest.mark.parametrize("part", ["Test", "Train"])
def test_every_kind_of_network_is_shown(settings, part):
    page = show(trained(1, **settings))
    page.segmented_control(key="evaluated").set_value(part)
    run(page)
    assert len(page.table[0].value) >= 7


def own(inputs, targets, names=(), task="classification"):
    data = Dataset(inputs, targets, task, class_names=names)
    features = tuple(f"x{column + 1}" for column in range(data.inputs.shape[1]))
    loss = "cross_entropy" if data.classes else "mse"
    return trained(2, data, dataset=CUSTOM, task=task, loss=loss, features=features)


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_own_data_of_any_width_with_names_that_look_like_markup(columns):
    inputs = np.random.default_rng(0).uniform(-1, 1, (30, columns))
    page = show(own(inputs, np.arange(30) % 3, names=("*a*", "$b$", "<c>")))
    page.selectbox(key="question").set_value(1)
    run(page)
    assert page.slider(key="threshold").label == r"Threshold for class \$b\$"
    assert ("at their median" in words(page)) == (columns > 2)


def test_test_data_of_one_class_have_no_roc_curve():
    experiment = own(np.eye(12, 2), [0] * 11 + [1], names=("often", "once"))
    page = show(experiment)
    assert experiment.test_data.targets.max() == 0
    assert "all of one class" in words(page) and "No test sample is of class once" in words(page)
    assert numbers(page)["ROC area"][1] == "–"


def test_outputs_that_are_not_finite_are_told():
    experiment = trained(1, layers=(), **BINARY)
    for parameter in experiment.network.parameters():
        parameter.data = np.full_like(parameter.data, 3e38)
    page = show(experiment)
    assert "not finite" in page.error[0].value


def test_early_stopping_is_named_as_what_it_is():
    assert "Early stopping chooses" in words(show(trained(patience=5, **BINARY)))
    assert "Early stopping" not in words(show(trained(**BINARY)))


# --- controls


@pytest.mark.parametrize(("threshold", "recall"), [(0.0, "100.0%"), (1.0, "0.0%")])
def test_the_threshold_at_its_ends(threshold, recall):
    page = show(trained(**BINARY))
    page.slider(key="threshold").set_value(threshold)
    run(page)
    assert numbers(page)["Recall"] == [recall, recall]


def test_the_threshold_moves_the_numbers():
    experiment = trained(**BINARY)
    page = show(experiment)
    page.slider(key="threshold").set_value(0.7)
    run(page)
    decisions = evaluate(experiment, experiment.test_data).at(0.7)
    assert numbers(page)["Accuracy"][1] == f"{decisions.accuracy:.1%}"


def test_accuracy_says_at_which_threshold_it_is_where_that_is_not_the_usual_one():
    page = show(trained(**BINARY))
    assert "at threshold" not in meaning(page, "Accuracy")
    page.slider(key="threshold").set_value(0.95)
    run(page)
    assert "at threshold 0\\.95" in meaning(page, "Accuracy")
    assert "at threshold" not in meaning(page, "Loss")


def test_a_threshold_stays_for_the_data_set_and_not_for_another():
    page = show(trained(**BINARY))
    page.slider(key="threshold").set_value(0.95)
    run(page)
    page.session_state["session"].experiment = trained(5, **BINARY | {"noise": 0.3})
    assert run(page).slider(key="threshold").value == 0.95
    page.session_state["session"].experiment = trained(dataset="circle")
    assert run(page).slider(key="threshold").value == 0.5


def test_a_threshold_is_forgotten_with_data_that_have_none():
    page = show(trained(**BINARY))
    page.slider(key="threshold").set_value(0.95)
    run(page)
    for settings in (PLANE, BINARY):
        page.session_state["session"].experiment = trained(**settings)
        run(page)
    assert page.slider(key="threshold").value == 0.5


def test_each_class_against_the_rest_starts_from_the_usual_threshold():
    page = show(trained(**SEVERAL))
    page.selectbox(key="question").set_value(2)
    run(page)
    page.slider(key="threshold").set_value(0.2)
    assert run(page).slider(key="threshold").value == 0.2
    page.selectbox(key="question").set_value(1)
    assert run(page).slider(key="threshold").value == 0.5


def test_one_class_of_several_against_the_rest():
    experiment = trained(**SEVERAL)
    page = show(experiment)
    assert not page.slider and "Mean recall" in numbers(page)
    page.selectbox(key="question").set_value(2)
    run(page)
    one = evaluate(experiment, experiment.test_data).against_rest(2)
    assert numbers(page)["Recall"][1] == f"{one.at().scores.recall:.1%}"
    assert page.slider(key="threshold").value == 0.5


@pytest.mark.parametrize("marked", ["all mistakes", (0, 1)])
def test_what_is_ringed_stays_when_threshold_or_points_change(marked):
    experiment = trained(**BINARY)
    page = show(experiment)
    options = page.selectbox(key="marked").options
    assert "Ringed: class 0 called class 1" in options
    page.selectbox(key="marked").set_value(marked)
    run(page)
    page.slider(key="threshold").set_value(0.95)
    run(page)
    page.segmented_control(key="evaluated").set_value("Train")
    run(page)
    assert page.selectbox(key="marked").value == marked
    assert page.selectbox(key="marked").options == options
    decisions = evaluate(experiment, experiment.train_data).at(0.95)
    mistakes = int((decisions.predicted != decisions.actual).sum())
    count = mistakes if marked == "all mistakes" else int(decisions.matrix[marked])
    assert f"{count} ringed" in words(page)


def test_marks_for_a_class_that_is_gone_are_taken_away():
    page = show(trained(**SEVERAL))
    page.selectbox(key="marked").set_value((3, 2))
    run(page)
    assert page.selectbox(key="marked").value == (3, 2)
    page.session_state["session"].experiment = trained(**BINARY)
    run(page)
    assert page.selectbox(key="marked").value == "nothing"


def click(what, **point):
    """A page that takes one click on a chart, as the live plot reports it."""

    def script(what, point):
        from pages.parts import evaluation

        getattr(evaluation, what)(point)

    return run(AppTest.from_function(script, args=(what, point)))


def test_a_click_on_a_cell_marks_it_and_another_takes_the_mark_away():
    page = click("_mark", index=[1, 0])
    assert page.session_state["marked"] == (1, 0)
    assert run(page).session_state["marked"] == "nothing"


@pytest.mark.parametrize(
    ("customdata", "threshold"), [(0.4267, 0.43), (None, 1.0), (float("inf"), 1.0), (0, 0.0)]
)
def test_a_click_on_the_curve_takes_its_threshold(customdata, threshold):
    page = click("_take_threshold", trace=0, customdata=customdata)
    assert page.session_state["threshold"] == threshold


def test_a_click_on_the_threshold_itself_changes_nothing():
    assert "threshold" not in click("_take_threshold", trace=1, customdata=None).session_state


# --- charts


def test_marked_points_are_ringed_where_they_lie():
    experiment = trained(**BINARY)
    figure = evaluation_figures.plane(experiment, experiment.test_data, np.array([3, 5]))
    ring = figure["data"][-1]
    inputs = experiment.test_data.inputs[[3, 5]]
    np.testing.assert_array_equal(np.stack((ring["x"], ring["y"]), axis=1), inputs)


def test_the_histogram_counts_each_residual_once():
    residuals = np.random.default_rng(0).normal(0.2, 1, 300)
    bars = evaluation_figures.residual_histogram(residuals)["data"][0]
    assert bars["y"].sum() == 300
    assert evaluation_figures.residual_histogram(np.zeros(3))["data"][0]["y"].sum() == 3


def test_a_class_without_points_has_no_roc_curve():
    experiment = own(np.eye(12, 2), [0, 1] * 6, names=("a", "b", "never"))
    report = evaluate(experiment, experiment.test_data)
    names = [trace["name"] for trace in evaluation_figures.roc_of_classes(report)["data"]]
    assert names == ["a", "b"]


def test_measures_that_are_not_defined_are_dashes():
    assert measures._percent(float("nan")) == measures._plain(float("nan")) == "–"


# --- cross-validation


@pytest.fixture
def one_epoch_a_tick(monkeypatch):
    monkeypatch.setattr(cross_validation, "BUDGET", 0.0)


def start(page, folds=3, epochs=2):
    page.number_input(key="folds").set_value(folds)
    page.number_input(key="fold_epochs").set_value(epochs)
    page.button(key="validate").click()
    return run(page)


def keys(page):
    return {button.key for button in page.button}


def test_cross_validation_to_its_end():
    experiment = trained(**BINARY)
    before = experiment.optimizer.flat.copy()
    page = start(show(experiment))
    while "cancel_validation" in keys(page):
        run(page)
    *_, last = cross_validate(experiment.config, experiment.data, folds=3, epochs=2)
    table = page.table[1].value
    assert table["Fold"].tolist() == ["**Mean ± deviation**", "1", "2", "3"]
    mean, deviation = summarize(last.done).test_score
    scores = [f"{fold.latest.test_score:.1%}" for fold in last.done]
    assert table["Test accuracy"].tolist() == [f"**{mean:.1%} ± {deviation:.1%}**", *scores]
    assert "3 folds of 2 epochs" in words(page)
    np.testing.assert_array_equal(experiment.optimizer.flat, before)


def test_progress_and_cancel(one_epoch_a_tick):
    page = start(show(trained(**BINARY)), epochs=2)
    assert keys(page) == {"cancel_validation"}
    assert page.number_input(key="folds").disabled
    for _ in range(2):
        run(page)
    progress = page.session_state["validation"].progress
    assert (len(progress.done), progress.epoch) == (1, 1)
    page.button(key="cancel_validation").click()
    run(page)
    assert keys(page) == {"validate"}
    assert "Cancelled after 1 of 3 folds" in words(page)
    assert page.table[1].value["Fold"].tolist() == ["**Mean ± deviation**", "1"]
    assert len(run(page).session_state["validation"].progress.done) == 1


def test_another_configuration_meanwhile_stops_it(one_epoch_a_tick):
    page = start(show(trained(**BINARY)))
    page.session_state["session"].experiment = trained(**SEVERAL)
    run(page)
    assert keys(page) == {"validate"}
    assert "of the configuration before the last change. It was stopped there." in words(page)


def test_what_does_not_matter_to_it_may_change(one_epoch_a_tick):
    page = start(show(trained(**BINARY)))
    page.session_state["session"].experiment = trained(9, patience=3, **BINARY)
    run(page)
    assert keys(page) == {"cancel_validation"}


def test_other_data_of_ones_own_are_another_thing(one_epoch_a_tick):
    points = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    page = start(show(own(points, np.arange(40) % 2)))
    page.session_state["session"].experiment = own(points + 1, np.arange(40) % 2)
    run(page)
    assert keys(page) == {"validate"}


def test_more_folds_than_the_data_allow_are_refused():
    points = np.random.default_rng(0).uniform(-1, 1, (6, 2))
    page = start(show(own(points, np.arange(6) % 2)), folds=7)
    assert "from 2 to 6 for 6 samples" in page.toast[0].value
    assert "validation" not in page.session_state
    assert page.number_input(key="folds").min == 2


def test_epochs_follow_the_network_at_hand():
    page = show(trained(0, **BINARY))
    assert page.number_input(key="fold_epochs").value == 100
    page.session_state["session"].experiment = trained(7, **BINARY)
    assert run(page).number_input(key="fold_epochs").value == 7
    page.number_input(key="fold_epochs").set_value(3)
    assert run(page).number_input(key="fold_epochs").value == 3


def test_cross_validation_of_regression():
    page = start(show(trained(**PLANE)))
    while "cancel_validation" in keys(page):
        run(page)
    assert "Test R²" in page.table[1].value.columns
