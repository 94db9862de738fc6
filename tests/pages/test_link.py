"""Configurations in the address bar: the same after the trip, and nothing else gets through."""

from __future__ import annotations

import base64
import contextlib
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.config import ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import DATASETS
from nnkit.errors import ConfigError
from nnkit.settings import HIDDEN_ACTIVATIONS, NORMALIZATIONS
from pages.parts.link import MAX_LENGTH, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(sorted(ExperimentConfig().to_dict()))
LAYERS = st.builds(
    LayerConfig,
    st.integers(1, 64),
    st.sampled_from(sorted(HIDDEN_ACTIVATIONS)),
    st.floats(0, 0.9),
    st.sampled_from(NORMALIZATIONS),
)


def link_of(text: str) -> str:
    return "1." + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def refused(link: str) -> str:
    with pytest.raises(ConfigError) as caught:
        decode(link)
    return str(caught.value)


@pytest.mark.parametrize("name", DATASETS)
def test_recommended_settings_come_back(name):
    config = recommended(name)
    assert decode(encode(config)) == config


@given(
    layers=st.lists(LAYERS, max_size=10),
    learning_rate=st.floats(1e-6, 1e4),
    seed=st.integers(0, 2**31 - 1),
    features=st.permutations(["x1", "x2^2", "sin(x2)"]),
)
def test_any_configuration_comes_back_exactly(layers, learning_rate, seed, features):
    config = ExperimentConfig(
        layers=tuple(layers), learning_rate=learning_rate, init_seed=seed, features=tuple(features)
    )
    assert decode(encode(config)) == config


def test_settings_of_optimizer_schedule_and_data_set_come_back():
    config = ExperimentConfig(
        dataset="blobs",
        dataset_settings={"classes": 5},
        loss="cross_entropy",
        optimizer="sgd",
        optimizer_settings={"momentum": 0.5},
        schedule="step",
        schedule_settings={"gamma": 0.1},
    )
    assert decode(encode(config)) == config


def test_a_link_holds_only_what_differs_and_is_fit_for_an_address():
    assert encode(ExperimentConfig()) == "1"
    assert len(encode(ExperimentConfig(dataset="xor"))) < 32
    largest = ExperimentConfig(layers=(LayerConfig(64, "leaky_relu", 0.35, "batch"),) * 10)
    assert len(encode(largest)) <= MAX_LENGTH
    assert set(encode(largest)) <= set(string.ascii_letters + string.digits + "-_.")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        decode(text)


@given(JSON)
def test_any_content_is_read_or_refused(content):
    with contextlib.suppress(ConfigError):
        decode(link_of(json.dumps(content)))


@given(FIELDS, JSON)
def test_any_value_of_a_field_is_read_or_refused(field, value):
    link = link_of(json.dumps({field: value}))
    try:
        config = decode(link)
    except ConfigError:
        return
    assert decode(encode(config)) == config


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("2.abc", "version '2'"),
        ("", "version ''"),
        ("1.!!!", "damaged"),
        (encode(ExperimentConfig(dataset="xor"))[:-3], "damaged"),
        (link_of("[" * 2000), "damaged"),
        ("1." + "A" * MAX_LENGTH, "at most"),
        (link_of('{"speed": 3}'), "speed"),
        (link_of('{"learning_rate": 1e999}'), "learning_rate"),
        (link_of('{"learning_rate": NaN}'), "learning_rate"),
        (link_of('{"samples": 1' + "0" * 400 + "}"), "samples"),
        (link_of('{"layers": [[0]]}'), "units"),
        (link_of('{"layers": [[8, "relu", 0, "none", 1]]}'), "layers"),
        (link_of('{"layers": [{"units": 8}]}'), "layers"),
        (link_of('{"dataset": ["xor"]}'), "dataset"),
    ],
)
def test_refusals_say_what_is_wrong(link, words):
    assert words in refused(link)
