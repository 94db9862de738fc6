"""The sidebar's fields, and the words for what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig
from nnkit.datasets import from_points
from nnkit.errors import ConfigError, DataError
from nnkit.experiment import Experiment
from nnkit.settings import LIMITS
from pages.parts import controls, state
from pages.parts.session import about_link
from pages.parts.texts import plain

APP = str(Path(controls.__file__).parents[2] / "playground.py")


def show(experiment: Experiment, **session: Any) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=30)
    app.session_state["session"] = state.Session(experiment, **session)
    app.run()
    assert not app.exception
    return app


def small(**settings: Any) -> Experiment:
    return Experiment(ExperimentConfig(samples=60, layers=(LayerConfig(4, "tanh"),), **settings))


def refused(app: AppTest) -> str:
    """Why the last choice was refused, which the status and a toast both say."""
    assert not app.exception
    said: str = app.session_state["session"].refusal
    assert [toast.value for toast in app.toast] == [plain(said)]
    return said


# ---- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("learning_rate", 0.0, "Learning rate: must be a number from 1e-06 to 10000, got 0.0."),
        ("samples", 20_000, "Samples: must be a whole number from 4 to 10000, got 20000."),
        ("init_seed", -1, "Weights seed: must be a whole number from 0 to 2147483647, got -1."),
        ("clip_norm", -2.0, "Gradient clipping: must be a number from 0 to 1e+06, got -2.0."),
        ("optimizer_settings", {"beta1": 1}, "β₁: must be a number from 0 to 0.999, got 1."),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(field, value, said):
    def script(field, value):
        from pages.parts import controls, state

        controls.attempt(state.change, **{field: value})

    app = AppTest.from_function(script, args=(field, value), default_timeout=30).run()
    assert refused(app) == said
    assert app.session_state["session"].experiment.config == ExperimentConfig()


def test_number_fields_know_their_range_so_that_the_browser_says_it_too():
    app = show(small())
    for name in ("learning_rate", "samples", "init_seed", "clip_norm"):
        field = app.number_input(key=name)
        assert (field.min, field.max) == (LIMITS[name].low, LIMITS[name].high)


def test_no_feature_is_refused_in_words():
    app = show(small())
    app.button_group(key="features").set_value([]).run()
    assert refused(app) == "Features: needs at least one input feature."


def test_a_step_after_divergence_says_what_to_lower():
    experiment = small(optimizer="sgd", learning_rate=1e4)
    for _ in experiment.run(epochs=200):
        pass
    assert experiment.status == "diverged"
    app = show(experiment)
    app.button(key="step").click().run()
    assert refused(app) == "Learning rate: training diverged; lower it, or reset."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("link", "is damaged"), "It is damaged."),
        (ConfigError("config", "must be a mapping"), "It must be a mapping."),
        (ConfigError("train_fraction", "must be above 0"), "Train share: must be above 0."),
        (DataError("the file is empty"), "The file is empty."),
    ],
)
def test_a_link_that_was_not_used_is_explained(error, said):
    assert about_link(error) == f"The link in the address bar was not used. {said}"


# ---- the fields --------------------------------------------------------------------------------


def test_fields_and_their_help_say_when_they_act_in_signs_that_can_be_read_out():
    app = show(small())
    live = {"learning_rate", "batch_size", "l1", "l2", "clip_norm", "patience", "target_score"}
    fields = [
        field
        for kind in ("number_input", "slider", "selectbox", "toggle")
        for field in app.sidebar.get(kind)
    ]
    assert live < {field.key for field in fields}
    fields += [field for field in app.sidebar.get("button_group") if field.key == "features"]
    for field in fields:
        sign, when = (
            ("↯", "Acts at once.") if field.key in live else ("↻", "Starts training again.")
        )
        assert field.label.endswith(f" {sign}") and ":material" not in field.label, field.key
        assert field.help.endswith(f" {sign} {when}"), field.key


def test_data_of_ones_own_have_their_own_number_of_samples_and_no_noise():
    points = [[i / 50, (i * 7 % 10) / 10] for i in range(38)]
    data = from_points(points, [i % 2 for i in range(38)])
    config = ExperimentConfig(dataset=CUSTOM, layers=())
    app = show(Experiment(config, data), custom=(data, "Painted"))
    samples = app.number_input(key="own_samples")
    assert (samples.label, samples.value, samples.disabled) == ("Samples", 38, True)
    keys = {field.key for kind in ("number_input", "slider") for field in app.sidebar.get(kind)}
    assert not keys & {"samples", "noise"}
    assert app.number_input(key="data_seed").help.startswith(controls.SPLIT_SEED_HELP)
    assert "x₁ is x1, x₂ is x2" in app.sidebar.get("pills")[0].help
    app.selectbox(key="dataset").set_value("moons").run()
    assert not app.exception
    assert app.number_input(key="samples").value == 500
    assert app.number_input(key="data_seed").help.startswith(controls.SEED_HELP)
    assert "noise" in {slider.key for slider in app.sidebar.slider}


def test_a_change_does_not_read_the_session_state_on_its_way():
    """Every reading is a place where Streamlit may break off, with the change made by half."""

    def page() -> None:
        import streamlit as st

        from pages.parts import controls, state
        from pages.parts.session import session, undisturbed

        found = session()
        with undisturbed():
            del st.session_state["session"]
            controls.attempt(state.change, learning_rate=0.5)
            assert session() is found and len(found.done) == 1
        assert session() is not found

    assert not AppTest.from_function(page, default_timeout=30).run().exception
