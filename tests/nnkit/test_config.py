"""Configurations: what is allowed, what is refused and in which words, and the way through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.config import (
    CUSTOM,
    ExperimentConfig,
    LayerConfig,
    default_loss,
    recommended,
)
from nnkit.datasets import DATASETS
from nnkit.errors import ConfigError
from nnkit.init import INITIALIZERS
from nnkit.losses import LOSSES
from nnkit.modules.activations import ACTIVATIONS
from nnkit.optim import OPTIMIZERS
from nnkit.schedules import SCHEDULES
from nnkit.settings import (
    HIDDEN_ACTIVATIONS,
    LIMITS,
    LIVE_FIELDS,
    LOSS_RULES,
    MAX_LAYERS,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
    Number,
)
from tests.nnkit.configurations import configurations

FIELDS = {field.name: field for field in dataclasses.fields(ExperimentConfig)}


def refusal(**fields: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig(**fields)
    return caught.value


# ---- what is allowed -----------------------------------------------------------------------------


class TestValid:
    @given(configurations())
    def test_comes_back_through_json(self, config: ExperimentConfig) -> None:
        text = json.dumps(config.to_dict(), allow_nan=False)
        again = ExperimentConfig.from_dict(json.loads(text))
        assert again == config
        assert json.dumps(again.to_dict()) == text

    @given(configurations())
    def test_is_plain_data_and_a_copy(self, config: ExperimentConfig) -> None:
        values = config.to_dict()
        assert values.keys() == FIELDS.keys()
        values["layers"].append({"units": 1})
        values["features"].clear()
        for name in ("dataset_settings", "optimizer_settings", "schedule_settings"):
            values[name]["more"] = 1
        assert ExperimentConfig.from_dict(config.to_dict()) == config

    @given(configurations())
    def test_all_settings_are_there(self, config: ExperimentConfig) -> None:
        assert config.optimizer_settings.keys() == OPTIMIZER_SETTINGS[config.optimizer].keys()
        assert config.schedule_settings.keys() == SCHEDULE_SETTINGS[config.schedule].keys()
        if config.dataset != CUSTOM:
            assert config.dataset_settings.keys() == DATASETS[config.dataset].settings.keys()

    def test_fields_left_out_keep_their_defaults(self) -> None:
        assert ExperimentConfig.from_dict({}) == ExperimentConfig()
        config = ExperimentConfig.from_dict({"dataset": "xor", "layers": [{"units": 3}]})
        assert config == ExperimentConfig(dataset="xor", layers=(LayerConfig(3),))

    def test_lists_become_tuples_and_whole_floats_integers(self) -> None:
        config = ExperimentConfig.from_dict({"features": ["x2"], "samples": 60.0, "l2": 1})
        assert config.features == ("x2",)
        assert isinstance(config.samples, int)
        assert isinstance(config.l2, float)

    def test_numpy_numbers_become_python_ones(self) -> None:
        config = ExperimentConfig(samples=np.int64(80), learning_rate=np.float32(0.5))
        assert type(config.samples) is int
        assert type(config.learning_rate) is float
        json.dumps(config.to_dict())

    def test_the_dicts_given_are_copied(self) -> None:
        given_settings = {"beta1": 0.5}
        config = ExperimentConfig(optimizer_settings=given_settings)
        given_settings["beta1"] = 0.1
        assert config.optimizer_settings["beta1"] == 0.5

    def test_is_frozen(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            ExperimentConfig().samples = 5  # type: ignore[misc]
        with pytest.raises(dataclasses.FrozenInstanceError):
            LayerConfig().units = 5  # type: ignore[misc]

    def test_classes(self) -> None:
        assert ExperimentConfig().classes == 2
        assert recommended("arms").replace(dataset_settings={"arms": 5}).classes == 5
        assert recommended("blobs").classes == 4
        assert recommended("sine").classes == 0
        assert ExperimentConfig(dataset=CUSTOM).classes == 0


class TestReplace:
    def test_changes_and_checks(self) -> None:
        config = ExperimentConfig()
        assert config.replace(samples=60).samples == 60
        assert config.samples == 500
        with pytest.raises(ConfigError, match="samples: must be a whole number from 4 to 10000"):
            config.replace(samples=1)

    def test_of_an_unknown_field_lists_the_fields(self) -> None:
        with pytest.raises(ConfigError, match=r"epochs: is no setting; there are task, dataset,"):
            ExperimentConfig().replace(epochs=5)

    def test_another_optimizer_or_schedule_has_its_own_settings(self) -> None:
        config = ExperimentConfig(optimizer_settings={"beta1": 0.5}, schedule="step")
        other = config.replace(optimizer="sgd", schedule="cosine")
        assert other.optimizer_settings == {"momentum": 0.0, "nesterov": 0}
        assert other.schedule_settings == {"epochs": 200}
        given_too = config.replace(optimizer="sgd", optimizer_settings={"momentum": 0.8})
        assert given_too.optimizer_settings["momentum"] == 0.8

    def test_the_same_optimizer_keeps_them(self) -> None:
        config = ExperimentConfig(optimizer_settings={"beta1": 0.5})
        assert config.replace(optimizer="adam", samples=60).optimizer_settings["beta1"] == 0.5

    def test_another_data_set_has_its_own_settings(self) -> None:
        config = recommended("blobs").replace(dataset="arms")
        assert config.dataset_settings == {"arms": 3}


# ---- what is refused -----------------------------------------------------------------------------


def beyond(number: Number) -> list[Any]:
    """Values just past the limits, and of other types."""
    values = [number.low - 1, number.high + 1, math.nan, math.inf, -math.inf, 10**400, -(10**400)]
    if number.whole:
        values += [number.low + 0.5]
    else:
        values += [math.nextafter(number.low, -math.inf), math.nextafter(number.high, math.inf)]
    return [*values, None, True, "1", [1], {}, 1j, np.array(3.0), np.array([1, 2])]


def assert_names_the_limits(error: ConfigError, name: str, number: Number) -> None:
    assert error.field == name
    kind = "a whole number" if number.whole else "a number"
    low, high = (f"{int(x)}" if number.whole else f"{x:g}" for x in (number.low, number.high))
    assert str(error).startswith(f"{name}: must be {kind} from {low} to {high}, got ")
    assert len(str(error)) < 200


class TestLimits:
    @pytest.mark.parametrize("name", LIMITS)
    def test_numbers(self, name: str) -> None:
        number = LIMITS[name]
        for value in (number.low, number.high):
            assert getattr(ExperimentConfig(**{name: value}), name) == value
        for value in beyond(number):
            assert_names_the_limits(refusal(**{name: value}), name, number)

    @pytest.mark.parametrize("name", LIMITS)
    def test_the_default_is_the_one_in_the_table(self, name: str) -> None:
        assert getattr(ExperimentConfig(), name) == LIMITS[name].default

    @pytest.mark.parametrize(
        ("kind", "table"), [("optimizer", OPTIMIZER_SETTINGS), ("schedule", SCHEDULE_SETTINGS)]
    )
    def test_settings(self, kind: str, table: dict[str, dict[str, Number]]) -> None:
        for owner, numbers in table.items():
            for name, number in numbers.items():
                for value in beyond(number):
                    given_fields = {kind: owner, f"{kind}_settings": {name: value}}
                    assert_names_the_limits(refusal(**given_fields), name, number)

    @pytest.mark.parametrize("kind", ["dataset", "optimizer", "schedule"])
    def test_settings_that_do_not_exist(self, kind: str) -> None:
        error = refusal(**{f"{kind}_settings": {"bogus": 1}})
        assert error.field == "bogus"
        owner = getattr(ExperimentConfig(), kind)
        assert f"is no setting of {owner}, which has " in str(error)
        for wrong in (None, 5, "beta1", [("beta1", 0.5)]):
            error = refusal(**{f"{kind}_settings": wrong})
            assert str(error).startswith(f"{kind}_settings: must be a mapping, got ")

    def test_settings_of_a_data_set(self) -> None:
        error = refusal(dataset="arms", dataset_settings={"arms": 9}, loss="cross_entropy")
        assert str(error) == "arms: must be a whole number from 3 to 5, got 9"
        error = refusal(dataset=CUSTOM, dataset_settings={"classes": 3})
        assert str(error) == "classes: is no setting of custom, which has none"

    @pytest.mark.parametrize(
        ("name", "allowed"),
        [
            ("task", ("classification", "regression")),
            ("dataset", DATASETS),
            ("loss", LOSS_RULES),
            ("optimizer", OPTIMIZER_SETTINGS),
            ("schedule", SCHEDULE_SETTINGS),
            ("init", ("auto", *INITIALIZERS)),
        ],
    )
    def test_choices(self, name: str, allowed: Any) -> None:
        for value in ("bogus", "", "ADAM", None, 3, ["adam"], {}, ("adam",), "x" * 10_000):
            error = refusal(**{name: value})
            assert error.field == name
            assert f"{name}: must be one of {', '.join(allowed)}; got " in str(error)
            assert len(str(error)) < 400

    @pytest.mark.parametrize("value", [0, 1, None, "yes", []])
    def test_standardize(self, value: Any) -> None:
        assert str(refusal(standardize=value)) == (
            f"standardize: must be true or false, got {value!r}"
        )

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ((), "needs at least one"),
            ("x1", "must be a list of names, got 'x1'"),
            (("x1", 2), "must be a list of names"),
            (None, "must be a list of names"),
            (5, "must be a list of names"),
            ({"x1": 1}, "must be a list of names"),
            (("x1", "x1"), "names a feature twice"),
            (("x3",), "must be one of x1, x2, x1^2, x2^2, x1*x2, sin(x1), sin(x2); got 'x3'"),
            (("__class__",), "must be one of"),
        ],
    )
    def test_features(self, value: Any, words: str) -> None:
        error = refusal(features=value)
        assert error.field == "features"
        assert words in str(error)

    def test_features_of_one_input(self) -> None:
        error = refusal(**{**recommended("sine").to_dict(), "features": ["x2"]})
        assert str(error) == "features: must be one of x1, x1^2, sin(x1); got 'x2'"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"units": 0}, "units: must be a whole number from 1 to 64, got 0"),
            ({"units": 65}, "units: must be a whole number from 1 to 64, got 65"),
            ({"units": 2.5}, "units: must be a whole number from 1 to 64, got 2.5"),
            ({"units": "8"}, "units: must be a whole number from 1 to 64, got '8'"),
            ({"dropout": 0.95}, "dropout: must be a number from 0 to 0.9, got 0.95"),
            ({"dropout": -0.1}, "dropout: must be a number from 0 to 0.9, got -0.1"),
            ({"activation": "bogus"}, "activation: must be one of relu, leaky_relu, gelu,"),
            ({"normalization": "group"}, "normalization: must be one of none, batch, layer; got"),
            ({"colour": "red"}, "colour: is no setting; there are units, activation, dropout,"),
        ],
    )
    def test_layers(self, fields: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigError) as caught:
            ExperimentConfig.from_dict({"layers": [fields]})
        assert str(caught.value).startswith(words)
        assert caught.value.field == next(iter(fields))

    @pytest.mark.parametrize("value", [None, 5, "8,8", {"units": 8}, [8], ["relu"], [None], [[8]]])
    def test_layers_that_are_none(self, value: Any) -> None:
        assert refusal(layers=value).field == "layers"
        with pytest.raises(ConfigError, match=r"^layers: "):
            ExperimentConfig.from_dict({"layers": value})

    def test_number_of_layers(self) -> None:
        assert len(ExperimentConfig(layers=(LayerConfig(),) * MAX_LAYERS).layers) == MAX_LAYERS
        error = refusal(layers=(LayerConfig(),) * (MAX_LAYERS + 1))
        assert str(error) == "layers: must be at most 10, got 11"
        assert ExperimentConfig(layers=()).layers == ()


COMBINATIONS = {
    "loss of another task": (
        {"loss": "mse"},
        "loss: mse is for regression; classification takes "
        "binary_cross_entropy, cross_entropy, one_vs_rest, hinge",
    ),
    "classification loss in regression": (
        {"task": "regression", "dataset": "plane"},
        "loss: binary_cross_entropy is for classification; regression takes mse, l1, huber",
    ),
    "two-class loss for many classes": (
        {"dataset": "blobs"},
        "loss: binary_cross_entropy tells two classes apart and blobs has 4; "
        "use cross_entropy or one_vs_rest",
    ),
    "hinge for many classes": (
        {"dataset": "arms", "loss": "hinge"},
        "loss: hinge tells two classes apart and arms has 3; use cross_entropy or one_vs_rest",
    ),
    "data set of another task": (
        {"dataset": "sine"},
        "dataset: sine is for regression; classification takes spirals, xor, circle, moons, "
        "gaussians, checkerboard, arms, blobs",
    ),
    "imbalance in regression": (
        {"task": "regression", "dataset": "plane", "loss": "mse", "imbalance": 0.5},
        "imbalance: is for classification only; regression has no classes",
    ),
    "label noise in regression": (
        {"task": "regression", "dataset": "plane", "loss": "mse", "label_noise": 0.1},
        "label_noise: is for classification only; regression has no classes",
    ),
    "batch normalization of single examples": (
        {"batch_size": 1, "layers": (LayerConfig(normalization="batch"),)},
        "batch_size: must be at least 2 with batch normalization, which compares examples",
    ),
    "Nesterov without momentum": (
        {"optimizer": "sgd", "optimizer_settings": {"nesterov": 1}},
        "nesterov: needs a momentum above 0",
    ),
    "fewer than two samples for each class": (
        {"dataset": "blobs", "loss": "cross_entropy", "samples": 7},
        "samples: must be at least two for each of 4 classes",
    ),
}


@pytest.mark.parametrize(("fields", "words"), COMBINATIONS.values(), ids=COMBINATIONS)
def test_combinations_that_cannot_work(fields: dict[str, Any], words: str) -> None:
    error = refusal(**fields)
    assert str(error) == words
    assert error.field == words.split(":")[0]


# ---- anything at all -----------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(min_size=1, max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
#: Values that some field would take, to get past the first checks.
LIKELY = st.sampled_from(
    [*DATASETS, *LOSS_RULES, *OPTIMIZER_SETTINGS, *SCHEDULE_SETTINGS, CUSTOM, "x1", "regression"]
) | st.sampled_from([0, 1, 2, 0.5, 1e308, 10**400, True, (), [], {}, ["x1"], {"units": 2}])
LAYER_LIKE = st.dictionaries(
    st.sampled_from(["units", "activation", "dropout", "normalization", "x"]), LIKELY | JSON
)
FIELD_LIKE = st.dictionaries(
    st.sampled_from(sorted(FIELDS)) | st.text(min_size=1, max_size=8),
    LIKELY | JSON | st.lists(LAYER_LIKE, max_size=3) | st.dictionaries(st.text(min_size=1), LIKELY),
    max_size=8,
)


class TestGarbage:
    @settings(max_examples=400)
    @given(JSON | FIELD_LIKE)
    def test_gives_a_configuration_or_a_config_error(self, values: Any) -> None:
        try:
            config = ExperimentConfig.from_dict(values)
        except ConfigError as error:
            assert error.field
            assert len(str(error)) < 600
        else:
            assert ExperimentConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config

    @given(st.sampled_from(sorted(FIELDS)), JSON)
    def test_in_one_field_is_blamed_on_it_or_fits(self, name: str, value: Any) -> None:
        try:
            ExperimentConfig.from_dict({name: value})
        except ConfigError as error:
            holds_names = name == "layers" or name.endswith("_settings")
            assert error.field == name or holds_names

    def test_nested_too_deep_to_print(self) -> None:
        deep: Any = []
        for _ in range(50_000):
            deep = [deep]
        for name in FIELDS:
            with pytest.raises(ConfigError):
                ExperimentConfig.from_dict({name: deep})

    @pytest.mark.parametrize("values", [None, 5, "text", [], [("samples", 5)], ExperimentConfig()])
    def test_that_is_no_mapping(self, values: Any) -> None:
        with pytest.raises(ConfigError, match="config: must be a mapping of fields, got"):
            ExperimentConfig.from_dict(values)

    def test_unknown_field_lists_what_there_is(self) -> None:
        with pytest.raises(ConfigError) as caught:
            ExperimentConfig.from_dict({"sampels": 5})
        assert caught.value.field == "sampels"
        assert all(name in str(caught.value) for name in FIELDS)
        with pytest.raises(ConfigError, match="is no setting"):
            ExperimentConfig.from_dict({5: 5})


# ---- tables --------------------------------------------------------------------------------------


class TestTables:
    def test_everything_offered_exists_in_the_library(self) -> None:
        assert HIDDEN_ACTIVATIONS.keys() <= ACTIVATIONS.keys()
        assert OPTIMIZER_SETTINGS.keys() == OPTIMIZERS.keys()
        assert SCHEDULE_SETTINGS.keys() <= SCHEDULES.keys()
        renamed = {"binary_cross_entropy", "one_vs_rest"}  # both work on logits
        assert LOSS_RULES.keys() - renamed <= LOSSES.keys()
        assert set(LIVE_FIELDS) <= LIMITS.keys() <= FIELDS.keys()

    def test_every_default_is_within_its_limits(self) -> None:
        tables = [LIMITS, *OPTIMIZER_SETTINGS.values(), *SCHEDULE_SETTINGS.values()]
        for table in tables:
            for name, number in table.items():
                assert number.check(name, number.default) == number.default

    def test_every_setting_has_words(self) -> None:
        for table in (*OPTIMIZER_SETTINGS.values(), *SCHEDULE_SETTINGS.values()):
            assert all(number.title and number.help for number in table.values())
        assert all(rule.title and rule.help for rule in LOSS_RULES.values())

    @pytest.mark.parametrize("name", DATASETS)
    def test_recommended(self, name: str) -> None:
        config = recommended(name)
        info = DATASETS[name]
        assert (config.dataset, config.task) == (name, info.task)
        assert config.loss == default_loss(info.task, config.classes)
        assert len(config.features) == info.dimensions
        assert config.layers
        assert ExperimentConfig.from_dict(config.to_dict()) == config

    @pytest.mark.parametrize("name", ["bogus", None, 3, CUSTOM])
    def test_recommended_for_nothing(self, name: Any) -> None:
        with pytest.raises(ConfigError, match="dataset: must be one of spirals, xor"):
            recommended(name)

    def test_the_default_is_two_spirals_solved_by_a_small_network(self) -> None:
        config = ExperimentConfig()
        assert config == recommended("spirals")
        assert [(layer.units, layer.activation) for layer in config.layers] == [(16, "relu")] * 2
        assert (config.optimizer, config.learning_rate, config.batch_size) == ("adam", 0.03, 32)
