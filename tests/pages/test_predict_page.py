"""The Predict page: the same numbers as on the Train page, from the session or a file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nnkit.config import ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import Dataset
from nnkit.experiment import Experiment
from nnkit.predictor import Predictor
from pages.parts import views
from pages.parts.figures import decision_boundary


def opened(config: ExperimentConfig | None = None) -> AppTest:
    from pages.parts.link import PARAMETER, encode

    app = AppTest.from_file("../../playground.py", default_timeout=30)
    if config is not None:
        app.query_params[PARAMETER] = encode(config)
    app.run()
    app.button(key="step").click().run()
    app.switch_page("pages/predict.py").run()
    assert not app.exception
    return app


def table(app: AppTest) -> dict[str, list]:
    return {name: list(column) for name, column in app.dataframe[-1].value.items()}


def trained(name: str) -> Experiment:
    experiment = Experiment(recommended(name).replace(samples=80))
    for _ in experiment.run(epochs=2):
        pass
    return experiment


def from_file(experiment: Experiment) -> Predictor:
    file = io.BytesIO()
    experiment.save(file)
    file.seek(0)
    return Predictor.load(file)


def upload(app: AppTest, data: bytes) -> AppTest:
    app.file_uploader(key="upload_weights").upload("weights.npz", data).run()
    assert not app.exception
    return app


def test_the_current_network_predicts_typed_points():
    app = opened()
    experiment = app.session_state["session"].experiment
    columns = table(app)
    points = np.column_stack([columns["x1"], columns["x2"]])
    assert (np.float32(columns["P(1)"]) == experiment.predict(points)).all()


def test_an_uploaded_file_predicts_the_same_as_the_network_it_was_saved_from():
    app = opened()
    here = table(app)
    file = io.BytesIO()
    app.session_state["session"].experiment.save(file)
    upload(app, file.getvalue())
    assert table(app) == here
    said = app.caption[0].value.replace("\\", "")
    assert "1 epoch" in said and "weights.npz" in said


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip at all", b"\x93NUMPY" * 50])
def test_a_hostile_file_is_refused_in_words_and_the_network_stays(data):
    app = upload(opened(), data)
    assert app.error[0].value
    assert "The current network" in app.caption[0].value


def test_weights_without_a_configuration_are_refused_in_words():
    file = io.BytesIO()
    Experiment(ExperimentConfig(samples=40)).network.save(file)
    assert "no configuration" in upload(opened(), file.getvalue()).error[0].value


@pytest.mark.parametrize("name", ["spirals", "arms", "sine", "plane"])
def test_the_plane_of_a_file_is_that_of_the_experiment_to_the_last_bit(name):
    experiment = trained(name)
    predictor = from_file(experiment)
    far = views.reach(experiment)
    plane = experiment.plane(views.RESOLUTION, far)
    grid = experiment.grid(views.RESOLUTION, far)
    assert (predictor.predict(plane).reshape(grid.shape) == grid).all()
    where = views.extent(experiment)
    assert views.predictor_extent(predictor) == where == (-far, far, -far, far)
    ours, theirs = (
        views.plane_figure(found, where, plane[:3]) for found in (experiment.predictor, predictor)
    )
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy", "hinge"])
def test_where_two_classes_tie_all_name_the_second(loss):
    config = ExperimentConfig(dataset="xor", samples=40, loss=loss, init="zeros")
    experiment = Experiment(config)
    named = views.answers(experiment.predictor, experiment.test_data.inputs)["class"]
    assert set(named) == {experiment.predictor.class_names[1]}
    share = np.mean(experiment.test_data.targets == 1)
    assert experiment.latest.test_score == pytest.approx(share)
    figure = decision_boundary(np.full((2, 2), 0.5), (-1, 1, -1, 1), discretize=True)
    sure = decision_boundary(np.full((2, 2), 1.0), (-1, 1, -1, 1), discretize=True)
    assert figure["layout"]["images"] == sure["layout"]["images"]


def test_answers_name_class_and_probabilities():
    columns = views.answers(from_file(trained("blobs")), np.zeros((2, 2)))
    assert list(columns) == ["class", "P(0)", "P(1)", "P(2)", "P(3)"]
    assert np.allclose(sum(columns[f"P({k})"] for k in range(4)), 1)
    assert list(views.answers(from_file(trained("sine")), np.zeros((1, 1)))) == ["prediction"]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy", "hinge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_over_one_input_are_steps_as_on_the_train_page(loss, classes):
    x = np.linspace(0, 9, 40)[:, None]
    data = Dataset(x, np.arange(40) * classes // 40, "classification")
    if classes > 2:
        loss = "cross_entropy"
    config = ExperimentConfig(dataset="custom", loss=loss, features=("x1",), standardize=True)
    experiment = Experiment(config, data)
    predictor = experiment.predictor
    figure = views.plane_figure(predictor, (0, 9, 0, 9), x[::20])
    trained = views.output_figure(experiment)
    for name in ("range", "ticktext", "tickvals"):
        assert figure["layout"]["yaxis"][name] == trained["layout"]["yaxis"][name]
    named = views.answers(predictor, x[::20])["class"]
    assert [data.class_names[int(y)] for y in figure["data"][-1]["y"]] == list(named)


def test_what_the_network_says_is_told_before_what_it_was_asked():
    app = opened(recommended("blobs").replace(samples=60))
    columns = [*(f"P({k})" for k in range(4)), "x1", "x2"]
    assert list(table(app)) == ["class", *columns]


def test_the_curve_of_one_input_is_shown_whole():
    predictor = trained("sine").predictor
    where = views.predictor_extent(predictor)
    figure = views.plane_figure(predictor, where, np.zeros((1, 1)))
    values = predictor.predict(np.linspace(*where[:2], 80)[:, None])
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < values.min() and values.max() < high and high - low < 2 * np.ptp(values)


def test_one_input_and_more_than_two_have_a_picture_too():
    one = opened(recommended("sine").replace(samples=60))
    assert list(table(one)) == ["prediction", "x1"]
    rng = np.random.default_rng(0)
    data = Dataset(rng.normal(5, 2, (40, 3)), rng.integers(0, 2, 40), "classification")
    config = ExperimentConfig(
        dataset="custom", features=("x1", "x2", "x3"), standardize=True, layers=(LayerConfig(4),)
    )
    predictor = from_file(Experiment(config, data))
    left, right, bottom, top = views.predictor_extent(predictor)
    assert left < 5 < right and bottom < 5 < top and right - left < 15
    figure = views.plane_figure(predictor, (left, right, bottom, top), np.ones((1, 3)))
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([left, right])
    assert figure["layout"]["yaxis"]["range"] == pytest.approx([bottom, top])
    begin = views.example_points(predictor)
    assert begin.shape == (2, 3) and (np.abs(begin - 5) < 3).all()


def test_the_network_is_described_with_the_title_of_its_data():
    app = opened(recommended("sine").replace(samples=60))
    assert "on One sine wave, trained for 1 epoch" in " ".join(c.value for c in app.caption)
