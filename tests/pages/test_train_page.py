"""The Train page as its visitor meets it, without a browser."""

from __future__ import annotations

import itertools
import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nnkit.config import ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import Dataset
from nnkit.experiment import Experiment
from pages.parts import views
from pages.parts.link import PARAMETER, decode, encode
from pages.parts.pictures import class_image, value_image
from pages.parts.status import advice, score_text


class Page:
    """The page, with the words and numbers of its status element."""

    def __init__(self, config: ExperimentConfig | None = None, link: str | None = None) -> None:
        self.app = AppTest.from_file("../../playground.py", default_timeout=30)
        if config is not None:
            link = encode(config)
        if link is not None:
            self.app.query_params[PARAMETER] = link
        self.app.run()

    @property
    def experiment(self) -> Experiment:
        found: Experiment = self.app.session_state["session"].experiment
        return found

    @property
    def config(self) -> ExperimentConfig:
        return self.experiment.config

    @property
    def frame(self) -> dict[str, bytes]:
        """What the latest frame holds: the status, and for each view its message."""
        assert not self.app.exception, self.app.exception
        (packed,) = [
            element.proto.bytes
            for element in self.app.get("bidi_component")
            if element.proto.component_name == "live_frame"
        ]
        header, parts = packed.split(b"\n", 1)
        names, lengths = (json.loads(header)[key] for key in ("names", "lengths"))
        ends = np.cumsum(lengths).tolist()
        return {
            name: parts[end - length : end]
            for name, end, length in zip(["status", *names], ends, lengths, strict=True)
        }

    @property
    def _status(self) -> str:
        found = self.frame["status"].decode()
        assert 'data-testid="run-status"' in found
        return found

    def plot(self, key: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Header and traces of a plot."""
        header, _, _, *traces = self.frame[key].decode().split("\n")
        return json.loads(header), [json.loads(trace) for trace in traces]

    def data(self, name: str) -> str:
        found = re.search(rf'data-{name}="([^"]*)"', self._status)
        assert found
        return found[1]

    @property
    def words(self) -> str:
        return re.sub("<[^>]*>", " ", self._status)

    def press(self, key: str) -> Page:
        self.app.button(key=key).click().run()
        return self

    def choose(self, key: str, value: Any) -> Page:
        kinds = ("selectbox", "number_input", "slider", "toggle", "button_group")
        widgets = (widget for kind in kinds for widget in self.app.get(kind))
        next(widget for widget in widgets if widget.key == key).set_value(value).run()
        return self

    def value(self, key: str) -> Any:
        return self.app.session_state[key]


@pytest.fixture
def page() -> Page:
    return Page()


def small(**settings: Any) -> ExperimentConfig:
    return ExperimentConfig(samples=60, layers=(LayerConfig(4, "tanh"),), **settings)


# ---- running -----------------------------------------------------------------------------------


def test_opens_ready_with_two_spirals(page):
    assert (page.data("state"), page.data("epoch")) == ("ready", "0")
    assert page.config == ExperimentConfig()
    assert page.app.button(key="train").label == "Train"
    assert "Press Train" in page.words


def test_step_is_exactly_one_epoch(page):
    page.press("step")
    assert (page.data("state"), page.data("epoch")) == ("paused", "1")
    page.press("step")
    assert page.data("epoch") == "2"
    alone = Experiment(ExperimentConfig())
    for _ in alone.run(epochs=2):
        pass
    assert page.data("train-loss") == f"{alone.latest.train_loss:.9g}"


def test_train_and_pause_are_one_button(page):
    page.press("train")
    assert page.data("state") == "training"
    assert page.app.button(key="train").label == "Pause"
    page.press("train")
    assert page.data("state") == "paused"
    epoch = page.data("epoch")
    assert int(epoch) >= 1
    page.app.run()
    assert page.data("epoch") == epoch


def test_step_while_training_pauses(page):
    page.press("train")
    epoch = page.experiment.epoch
    page.press("step")
    assert (page.data("state"), page.experiment.epoch) == ("paused", epoch + 1)


def test_reset_starts_from_the_same_weights_and_undo_brings_training_back(page):
    start = page.data("train-loss")
    page.press("step").press("step")
    trained = page.data("train-loss")
    page.press("reset")
    assert (page.data("epoch"), page.data("train-loss")) == ("0", start)
    assert "2 epochs set aside" in page.words
    page.press("undo")
    assert (page.data("epoch"), page.data("train-loss")) == ("2", trained)
    page.press("redo")
    assert page.data("epoch") == "0"


def test_divergence_stops_by_itself_and_keeps_the_last_finite_state(page):
    page.choose("learning_rate", 1000.0).press("train")
    assert page.data("state") == "diverged"
    assert page.app.button(key="train").label == "Train"
    assert "learning rate of 1000" in page.words
    assert float(page.data("train-loss")) < 1
    page.press("step")
    assert page.data("state") == "diverged"
    page.choose("learning_rate", 0.03).press("step")
    assert page.data("state") == "paused"


def test_a_target_score_stops_training():
    page = Page(small(dataset="xor", target_score=0.01))
    page.press("train")
    assert page.data("state") == "stopped"
    assert "target score" in page.words


def test_without_hidden_layers_it_still_trains(page):
    page.press("remove_layer").press("remove_layer")
    assert page.config.layers == ()
    assert page.app.button(key="remove_layer").disabled
    page.press("step")
    assert page.data("epoch") == "1"


# ---- changing things ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0.001), ("batch_size", 8), ("l1", 0.01), ("l2", 0.01), ("clip_norm", 1.0)],
)
def test_live_fields_act_on_the_same_experiment(page, field, value):
    page.press("step")
    before = page.experiment
    page.choose(field, value)
    assert page.experiment is before
    assert getattr(page.config, field) == value
    assert page.data("epoch") == "1"
    page.press("undo")
    assert getattr(page.config, field) == getattr(ExperimentConfig(), field)


@pytest.mark.parametrize(
    ("field", "value"),
    [("samples", 100), ("noise", 0.5), ("train_fraction", 0.5), ("data_seed", 3), ("init_seed", 3),
     ("optimizer", "sgd"), ("loss", "hinge"), ("init", "zeros"), ("schedule", "cosine")],
)  # fmt: skip
def test_other_fields_start_again_and_say_so(page, field, value):
    page.press("step")
    page.choose(field, value)
    assert getattr(page.config, field) == value
    assert page.data("epoch") == "0"
    assert "Started again" in page.words and "Undo" in page.words
    page.press("undo")
    assert page.data("epoch") == "1"
    assert page.value(field) == getattr(ExperimentConfig(), field)


def test_another_activation_keeps_weights_and_epochs(page):
    page.press("step")
    page.choose("activation_0", "tanh")
    assert page.config.layers[0].activation == "tanh"
    assert page.data("epoch") == "1"


def test_units_and_layers_keep_what_still_has_a_place(page):
    page.press("step")
    weights = page.experiment.network.weights()
    page.choose("units_1", 5)
    assert (page.experiment.network.weights()[1] == weights[1][:5]).all()
    assert "Weights were kept" in page.words
    page.press("add_layer")
    assert (page.experiment.network.weights()[0] == weights[0]).all()
    assert len(page.config.layers) == 3
    page.press("undo").press("undo")
    assert page.data("epoch") == "1"


def test_structure_may_change_while_training_goes_on(page):
    page.press("train").press("add_layer")
    assert page.data("state") == "training"
    page.choose("units_0", 3)
    assert page.data("state") == "training"


def test_an_impossible_choice_is_refused_with_the_reason_and_goes_back():
    page = Page(small(dataset="blobs", loss="cross_entropy"))
    page.press("step")
    before = page.experiment
    page.choose("loss", "binary_cross_entropy")
    assert page.experiment is before
    assert page.value("loss") == "cross_entropy"
    assert "two classes" in page.words
    assert [toast for toast in page.app.toast if "two classes" in toast.value]


def test_the_last_feature_stays(page):
    page.choose("features", ["x1"])
    assert page.config.features == ("x1",)
    page.choose("features", [])
    assert page.config.features == ("x1",)
    assert page.value("features") == ["x1"]
    assert "at least one" in page.words


def test_a_data_set_brings_what_is_recommended_for_it(page):
    page.choose("dataset", "xor")
    assert page.config.layers[0].activation == "tanh"
    assert "XOR" in page.words and "known to solve it" in page.words


def test_a_network_of_ones_own_stays_when_the_data_change(page):
    page.choose("units_0", 7)
    page.choose("dataset", "blobs")
    assert page.config.layers[0].units == 7
    assert page.config.loss == "cross_entropy"
    assert "the loss is now cross-entropy" in page.words
    page.press("recommended")
    assert page.config.layers[0].units != 7
    assert page.app.button(key="recommended").disabled


def test_more_classes_bring_a_loss_for_them():
    page = Page(small(dataset="blobs", dataset_settings={"classes": 2}))
    page.choose("dataset_classes", 3)
    assert (page.config.classes, page.config.loss) == (3, "cross_entropy")


def test_the_task_brings_data_loss_and_features(page):
    page.choose("task", "regression")
    assert (page.config.task, page.config.loss) == ("regression", "mse")
    assert page.config.features == ("x1",)
    page.press("step").choose("dataset", "plane")
    assert page.config.features == ("x1", "x2")
    page.choose("task", "classification")
    assert page.config.loss == "binary_cross_entropy"


def test_optimizer_and_layer_settings_reach_the_configuration(page):
    page.choose("optimizer_beta1", 0.5)
    assert page.config.optimizer_settings["beta1"] == 0.5
    page.choose("dropout_0", 0.25).choose("normalization_1", "layer")
    assert page.config.layers[0].dropout == 0.25
    assert page.config.layers[1].normalization == "layer"
    page.choose("optimizer", "sgd").choose("optimizer_momentum", 0.9)
    assert page.config.optimizer_settings["momentum"] == 0.9


# ---- the network view --------------------------------------------------------------------------


def event(action: str, **values: Any) -> Any:
    """A script that does what a visitor does in the network view, and draws the page again."""

    def script(action, values):
        from pages.parts import controls, editing, state
        from pages.parts.network_view.events import NetworkEvent

        state.session()
        for _ in range(2 if not state.experiment().epoch else 0):
            state.step()
        controls.attempt(editing.apply, NetworkEvent(action, **values))

    return AppTest.from_function(script, args=(action, values), default_timeout=30).run()


def current(app: Any) -> Experiment:
    assert not app.exception
    found: Experiment = app.session_state["session"].experiment
    return found


def before() -> Experiment:
    experiment = Experiment(ExperimentConfig())
    for _ in experiment.run(epochs=2):
        pass
    return experiment


def test_a_unit_taken_from_the_middle_leaves_the_others_as_they_are():
    after = current(event("remove_unit", layer=0, unit=3))
    rows = [row for row in range(16) if row != 3]
    old, new = before().network.weights(), after.network.weights()
    assert (new[0] == old[0][rows]).all()
    assert (new[1] == old[1][:, rows]).all()
    assert (new[2] == old[2]).all()


def test_typed_weights_and_biases_are_undoable():
    app = event("set_weight", layer=0, unit=2, input=1, value=2.5)
    assert current(app).network.weights()[0][2, 1] == 2.5
    app = event("set_bias", layer=2, unit=0, value=-1.5)
    assert current(app).network.biases()[2][0] == -1.5
    app.session_state["session"].done[-1].undo()
    assert current(app).network.biases()[2][0] == before().network.biases()[2][0]


def test_undo_of_a_bias_says_that_what_was_trained_since_stays():
    def script():
        from pages.parts import editing, state

        if not state.experiment().epoch:
            editing.set_bias(0, 0, 3.0)
            state.step()
            state.undo()

    app = AppTest.from_function(script, default_timeout=30).run()
    assert current(app).epoch == 1 and current(app).network.biases()[0][0] == 0
    said = app.session_state["session"].notice
    assert said == "Undone: a bias. What was trained since then stays."


def test_silencing_keeps_epoch_and_weights():
    after = current(event("silence", layer=1, unit=0, silenced=True))
    assert after.silenced == {(1, 0)}
    assert after.epoch == 2
    assert after.latest.train_loss != before().latest.train_loss


@pytest.mark.parametrize(
    ("action", "values", "expected"),
    [
        ("add_layer", {"at": 0}, {"layers": 3}),
        ("remove_layer", {"layer": 0}, {"layers": 1}),
        ("add_unit", {"layer": 1}, {"units": [16, 17]}),
        ("set_activation", {"layer": 1, "activation": "sine"}, {"activations": ["relu", "sine"]}),
        ("toggle_feature", {"feature": "x1^2"}, {"features": ("x1", "x2", "x1^2")}),
        ("toggle_feature", {"feature": "x1"}, {"features": ("x2",)}),
    ],
)
def test_edits_in_the_view_reach_the_configuration(action, values, expected):
    config = current(event(action, **values)).config
    found = {
        "layers": len(config.layers),
        "units": [layer.units for layer in config.layers],
        "activations": [layer.activation for layer in config.layers],
        "features": config.features,
    }
    assert {name: found[name] for name in expected} == expected


def test_a_selected_unit_is_shown_with_what_goes_into_it(page):
    losses = page.plot("losses")[0]
    page.app.session_state["session"].selected = (1, 2)
    page.app.run()
    assert page.plot("unit")[0]["label"] == "Layer 2, unit 3 over the inputs"
    header, (bars,) = page.plot("weights")
    assert bars["hovertext"][:2] == ["bias", "unit 1"] and len(bars["hovertext"]) == 17
    assert "What goes into Layer 2, unit 3: unit" in header["label"]
    assert page.plot("losses")[0] == losses  # which stay as large as they are
    page.app.session_state["session"].selected = (2, 0)
    page.app.run()
    assert page.plot("unit")[0]["label"] == "Output over the inputs"


@pytest.mark.parametrize("name", ["xor", "blobs", "plane"])
def test_an_output_shown_large_has_the_colours_of_its_tile(name):
    experiment = Experiment(recommended(name).replace(samples=60))
    experiment.step()
    layer = len(experiment.config.layers)
    large = views.unit_figure(experiment, layer, 0)["layout"]["images"][0]["source"]
    grid = experiment.unit_grids(views.RESOLUTION, views.reach(experiment))[layer][0]
    if name == "plane":
        assert large == value_image(grid, float(np.abs(grid).max()))
    elif name == "xor":
        assert large == value_image(grid - 0.5, 0.5)
    else:
        assert large == class_image(np.zeros(grid.shape, int), grid, 4)


@pytest.mark.parametrize("unit, press", [((1, 1), "remove_layer"), ((2, 0), "remove_layer")])
def test_a_selected_unit_that_goes_with_its_layer_is_let_go(page, unit, press):
    page.app.session_state["session"].selected = unit
    page.app.run()
    page.press(press)
    assert page.app.session_state["session"].selected is None and "unit" not in page.frame


def test_a_selected_unit_that_was_not_there_before_is_let_go_by_undo(page):
    page.press("add_layer")
    page.app.session_state["session"].selected = (2, 3)
    page.app.run()
    page.press("undo")
    assert page.app.session_state["session"].selected is None
    page.choose("dataset", "blobs")
    page.app.session_state["session"].selected = (1, 3)
    page.app.run()
    page.choose("dataset_classes", 3)
    assert page.app.session_state["session"].selected is None


def test_a_frame_is_of_one_epoch(page):
    page.app.session_state["session"].selected = (0, 0)
    page.press("step").press("step")
    assert page.data("epoch") == "2"
    plots = set(page.frame) - {"status", "network"}
    assert plots == {"output", "losses", "unit", "weights"}
    assert {page.plot(key)[0]["epoch"] for key in plots} == {2}
    assert b'"epoch":2,' in page.frame["network"]


# ---- the address bar ---------------------------------------------------------------------------


def test_the_address_holds_the_configuration():
    def script():
        from pages.parts import state

        state.use_dataset("moons")
        state.change(init_seed=5)
        state.write_link()

    app = AppTest.from_function(script, default_timeout=30).run()
    link = app.query_params[PARAMETER]
    assert decode(link) == current(app).config
    again = Page(link=link)
    assert again.config == current(app).config
    assert (again.experiment.network.weights()[0] == current(app).network.weights()[0]).all()


def test_another_link_in_the_same_session_is_followed():
    def script():
        from pages.parts import state

        state.session().linked_at = 0.0  # long ago
        state.follow_link()
        state.write_link()

    app = AppTest.from_function(script, default_timeout=30).run()
    app.query_params[PARAMETER] = encode(recommended("circle"))
    app.run()
    assert current(app).config == recommended("circle")
    app.query_params[PARAMETER] = "1.!!"
    app.run()
    assert current(app).config == recommended("circle")
    assert app.query_params[PARAMETER] == encode(recommended("circle"))
    assert "damaged" in app.session_state["session"].refusal


@pytest.mark.parametrize("link", ["nonsense", "1.!!", "9.e30", "1.e30x", "", "1." + "A" * 5000])
def test_a_bad_link_is_explained_and_the_default_is_here(link):
    page = Page(link=link)
    assert page.config == ExperimentConfig()
    assert "The link in the address bar was not used" in page.words
    assert page.app.query_params[PARAMETER] == "1"


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_link_to_data_of_ones_own_says_that_they_are_not_in_it_and_keeps_the_rest(task):
    loss = "mse" if task == "regression" else "binary_cross_entropy"
    config = ExperimentConfig(
        task=task,
        dataset="custom",
        loss=loss,
        features=("x1", "x2", "x3"),
        layers=(LayerConfig(7, "tanh"),),
        learning_rate=0.01,
    )
    page = Page(link=encode(config))
    assert "a link cannot carry them" in page.words
    assert page.config.layers == (LayerConfig(7, "tanh"),)
    assert (page.config.task, page.config.loss, page.config.learning_rate) == (task, loss, 0.01)


def test_a_link_that_differs_in_what_acts_at_once_keeps_the_training():
    def script():
        from pages.parts import state

        state.session().linked_at = 0.0  # long ago
        state.follow_link()
        state.write_link()

    app = AppTest.from_function(script, default_timeout=30).run()
    experiment = current(app)
    experiment.step()
    app.query_params[PARAMETER] = encode(experiment.config.replace(learning_rate=0.01, l2=0.1))
    app.run()
    assert current(app) is experiment and experiment.epoch == 1
    assert (experiment.config.learning_rate, experiment.config.l2) == (0.01, 0.1)


# What the status says -----------------------------------------------------------------------


def test_a_live_change_before_training_is_no_change_of_weights():
    experiment = Experiment(ExperimentConfig(samples=40))
    experiment.change(learning_rate=0.01)
    assert "not trained yet" in advice(experiment)
    experiment.set_bias(0, 0, 0.5)
    assert "no longer the first ones" in advice(experiment)


def test_a_loss_that_stands_still_is_not_said_to_fall():
    flat = Experiment(ExperimentConfig(samples=40, layers=(), learning_rate=1e-6))
    for _ in range(30):
        flat.step()
    assert "No clear progress" in advice(flat, running=True)
    falling = Experiment(ExperimentConfig(dataset="xor", samples=100, layers=(LayerConfig(2),)))
    falling.step()
    falling.step()
    assert "is falling" in advice(falling, running=True)


def said_over(name: str, epochs: int) -> list[str]:
    """What is said of a data set with its recommended network, each sentence once in a row."""
    experiment = Experiment(recommended(name))
    said = []
    for _ in range(epochs):
        experiment.step()
        said.append(advice(experiment, running=True))
    return [sentence for sentence, _ in itertools.groupby(said)]


def test_a_good_network_is_not_called_a_failure():
    noisy, solved = said_over("sawtooth", 200), said_over("checkerboard", 50)
    assert any("noise may allow no more" in sentence for sentence in noisy)
    for said in (noisy, solved):
        assert not any("Little progress" in s or "No clear progress" in s for s in said[1:])
        assert len(said) < 40  # a sentence can be read
    assert said_over("moons", 60)[-1].startswith("Solved")


def test_a_change_by_hand_is_said_and_is_a_new_start():
    experiment = Experiment(recommended("moons"))
    experiment.step()
    experiment.set_bias(2, 0, 20.0)
    assert advice(experiment) == "These weights were changed by hand. Train goes on from here."
    experiment.step()
    assert experiment.latest.train_loss > 2 * experiment.history.first.train_loss
    assert "steps are too large" not in advice(experiment)


def test_a_train_loss_that_falls_alone_is_no_good_news():
    two = (LayerConfig(16), LayerConfig(16))
    alone = Experiment(ExperimentConfig(dataset="moons", samples=60, noise=0.3, layers=two))
    for _ in range(5):
        alone.step()
    assert alone.history.test_loss[-5:].mean() > 1.2 * alone.history.test_loss[3]
    assert advice(alone) == "Train loss falls, test loss does not: it was lowest at epoch 3."


@pytest.mark.parametrize(
    "task, score, text",
    [
        ("regression", 0.98765, "0.988"),
        ("regression", -276483.9, "below −100"),
        ("regression", float("nan"), "–"),
        ("classification", 0.5, "50.0%"),
        ("classification", float("nan"), "–"),
    ],
)
def test_scores_in_few_letters(task, score, text):
    latest = SimpleNamespace(test_score=score)
    assert score_text(SimpleNamespace(latest=latest, config=SimpleNamespace(task=task))) == text


def test_values_from_before_a_change_are_no_choice(page):
    """The browser may send what its widgets held before it heard of a change."""
    session = page.app.session_state["session"]
    page.choose("dataset", "xor")
    assert page.value("units_0") == 8
    stale = dict(page.app.query_params)
    session.shown["units_0"] = [16, 8]
    page.app.query_params[PARAMETER] = "1"  # not yet the link of XOR
    page.choose("units_0", 16)
    assert page.config.layers[0].units == 8
    assert page.value("units_0") == 8
    assert page.app.query_params == stale
    session.linked_at = 0.0
    page.choose("units_0", 16)
    assert page.config.layers[0].units == 16


# ---- sessions ----------------------------------------------------------------------------------


def test_training_and_controls_survive_a_switch_of_pages(page):
    page.choose("learning_rate", 0.01).press("step")
    page.app.switch_page("pages/predict.py").run()
    assert not page.app.exception
    page.app.switch_page("pages/train.py").run()
    assert page.data("epoch") == "1"
    assert page.value("learning_rate") == 0.01


def test_two_visitors_do_not_share(page):
    other = Page()
    page.press("step")
    other.app.run()
    assert (page.data("epoch"), other.data("epoch")) == ("1", "0")


def own(label: str, **settings: Any) -> Any:
    """A script that uses data of the visitor's own, called A and then B."""

    def script(label, settings):
        from nnkit.datasets import from_points
        from pages.parts import state

        if label not in ("A", "B"):
            getattr(state, label)()
        else:
            points = [[0.0, 0.0], [9.0, 1.0], [1.0, 5.0], [3.0, 4.0]]
            state.use_data(from_points(points, [0, 1, 1, 0]), label, **settings)

    return AppTest.from_function(script, args=(label, settings), default_timeout=30)


def test_undo_brings_data_of_ones_own_back_with_their_title():
    app = own("A").run()
    session = app.session_state["session"]
    for step, title in (("B", "B"), ("undo", "A"), ("redo", "B")):
        again = own(step)
        again.session_state["session"] = session
        again.run()
        assert not again.exception
        assert session.custom[1] == title
        assert session.custom[0] is session.experiment.data


@pytest.mark.parametrize(
    ("settings", "standardized"),
    [({}, True), ({"standardize": True}, True), ({"standardize": False}, False)],
)
def test_using_data_of_ones_own_is_one_step_to_undo(settings, standardized):
    app = own("A", **settings).run()
    assert current(app).config.standardize == standardized
    session = app.session_state["session"]
    assert len(session.done) == 1
    assert ("not standardized, as you chose" in session.notice) == (not standardized)


def test_one_input_with_three_classes_is_shown_on_a_line_for_each(page):
    x = np.linspace(-1, 1, 30)
    data = Dataset(x, np.arange(30) // 10, "classification", class_names=("a", "b", "c"))
    page.app.session_state["session"].custom = (data, "mine")
    page.app.run()
    page.choose("dataset", "custom").press("step").choose("show_test", True)
    names = [trace.get("name") for trace in page.plot("output")[1]]
    assert names[1:] == [f"{k}, {part}" for part in ("train", "test") for k in "abc"]


def test_data_of_ones_own_are_used_and_can_be_come_back_to():
    def script():
        from nnkit.datasets import from_points
        from pages.parts import state

        points = [[0.0, 0.0], [9.0, 1.0], [1.0, 5.0], [3.0, 4.0], [8.0, 8.0], [2.0, 7.0]]
        state.use_data(from_points(points, [0, 1, 2, 0, 1, 2]), "mine")

    app = AppTest.from_function(script, default_timeout=30).run()
    config = current(app).config
    assert (config.dataset, config.loss, config.standardize) == ("custom", "cross_entropy", True)
    notice = app.session_state["session"].notice
    assert "mine: 6 samples" in notice and "3 classes" in notice and "standardized" in notice
    data = app.session_state["session"].custom[0]

    page = Page()
    page.app.session_state["session"].custom = (data, "mine")
    page.app.run()
    page.choose("dataset", "custom")
    assert page.experiment.data is data
    page.choose("dataset", "xor")
    assert page.config.dataset == "xor"


def clicked_twice() -> None:
    import streamlit as st

    from pages.parts import controls

    done: list[str] = []
    for _ in range(3):
        controls._clicked("add", lambda: done.append("add"))
    controls._clicked("undo", lambda: done.append("undo"))
    controls.button("add", "Add", lambda: None)
    controls._clicked("add", lambda: done.append("add"))
    st.write(" ".join(done))


def test_a_click_counts_once_until_the_button_is_drawn_again() -> None:
    app = AppTest.from_function(clicked_twice, default_timeout=60).run()
    assert app.markdown[-1].value == "add undo add"
