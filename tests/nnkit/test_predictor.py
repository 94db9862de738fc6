"""Predictors: saved and loaded to the last bit, and files from strangers refused in plain words."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import DATASETS, FEATURES, Dataset, feature_names, make_dataset
from nnkit.errors import FileError, ShapeError
from nnkit.experiment import Experiment
from nnkit.predictor import MAX_FILE, MAX_NAMES, Predictor
from nnkit.serialization import load_archive, save_archive
from tests.nnkit.numeric import assert_same_bits

SMALL = ExperimentConfig(dataset="xor", samples=60, layers=(LayerConfig(6, "tanh"), LayerConfig(4)))
POINTS = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 2)).astype(np.float32)


def trained(config: ExperimentConfig = SMALL, data: Dataset | None = None) -> Experiment:
    experiment = Experiment(config, data)
    for _ in experiment.run(epochs=3):
        pass
    return experiment


def saved(experiment: Experiment) -> io.BytesIO:
    file = io.BytesIO()
    experiment.save(file)
    file.seek(0)
    return file


# ---- there and back ------------------------------------------------------------------------------

KINDS = {
    "default": ExperimentConfig(samples=60),
    "standardized": SMALL.replace(standardize=True, features=FEATURES),
    "batch normalization": SMALL.replace(layers=(LayerConfig(6, normalization="batch"),)),
    "layer normalization": SMALL.replace(layers=(LayerConfig(6, normalization="layer"),)),
    "dropout": SMALL.replace(layers=(LayerConfig(6, dropout=0.5),)),
    "no hidden layer": SMALL.replace(layers=(), features=("x1*x2",)),
    "several classes": recommended("blobs").replace(samples=60),
    "one against the rest": recommended("arms").replace(samples=60, loss="one_vs_rest"),
    "hinge": SMALL.replace(loss="hinge"),
    "one input": recommended("sine").replace(samples=60),
    "large": SMALL.replace(layers=(LayerConfig(64),) * 10),
}


class TestRoundTrip:
    @pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
    def test_predictions_are_equal_to_the_last_bit(self, config: ExperimentConfig) -> None:
        experiment = trained(config)
        loaded = Predictor.load(saved(experiment))
        points = POINTS[:, : len(experiment.data.input_names)]
        assert_same_bits(loaded.predict(points), experiment.predict(points))
        plane = experiment.plane(40)  # more rows than are computed at once
        grid = experiment.grid(40)
        assert_same_bits(loaded.predict(plane).reshape(grid.shape), grid)
        assert (loaded.config, loaded.epoch) == (experiment.config, 3)
        assert loaded.input_names == experiment.data.input_names
        assert loaded.class_names == experiment.data.class_names

    @pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
    def test_an_experiment_comes_back_ready_to_train_on(self, config: ExperimentConfig) -> None:
        experiment = trained(config)
        loaded = Experiment.load(saved(experiment))
        assert_same_bits(loaded.grid(9), experiment.grid(9))
        assert loaded.config == experiment.config
        assert loaded.latest.train_loss == experiment.latest.train_loss
        assert (loaded.epoch, loaded.status) == (0, "ready")
        assert loaded.history.changes == [(0, {"loaded": 3})]
        loaded.step()
        assert loaded.epoch == 1

    def test_of_own_data_with_class_names(self) -> None:
        rng = np.random.default_rng(1)
        inputs = rng.normal(size=(80, 5)) * [1, 1e-3, 1e5, 7, 1]
        data = Dataset(
            inputs,
            np.arange(80) % 3,
            "classification",
            ("height", "wéight", "<b>age</b>", "a b", "e"),
            ("cat", "dog", "½ mouse"),
        )
        config = SMALL.replace(
            dataset=CUSTOM, loss="cross_entropy", features=feature_names(5), standardize=True
        )
        experiment = trained(config, data)
        loaded = Predictor.load(saved(experiment))
        assert_same_bits(loaded.predict(inputs), experiment.predict(inputs))
        assert loaded.input_names == data.input_names
        assert loaded.class_names == ("cat", "dog", "½ mouse")
        with pytest.raises(FileError, match="data of its own; give them as `data`"):
            Experiment.load(saved(experiment))
        again = Experiment.load(saved(experiment), data)
        assert_same_bits(again.predict(inputs), experiment.predict(inputs))

    def test_standardization_is_that_of_the_file_whatever_the_data(self) -> None:
        data, other = make_dataset("xor", samples=60), make_dataset("moons", samples=60, seed=3)
        experiment = trained(SMALL.replace(dataset=CUSTOM, standardize=True), data)
        loaded = Experiment.load(saved(experiment), other)
        assert_same_bits(loaded.predict(POINTS), experiment.predict(POINTS))
        logits = loaded.predictor.logits(loaded.test_data.inputs)[:, 0]
        accuracy = np.mean((logits >= 0) == loaded.test_data.targets)
        assert loaded.latest.test_score == accuracy

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (make_dataset("arms", samples=60), "tells two classes apart, not 3"),
            (make_dataset("plane", samples=60), "task: is classification, and the data are for"),
            (Dataset([[0.0], [1], [2], [3]], [0, 1, 0, 1], "classification"), "features: x2 can"),
        ],
        ids=["classes", "task", "inputs"],
    )
    def test_own_data_that_do_not_go_with_the_file(self, data: Dataset, words: str) -> None:
        experiment = trained(SMALL.replace(dataset=CUSTOM), make_dataset("xor", samples=60))
        with pytest.raises(FileError, match="cannot be trained here") as caught:
            Experiment.load(saved(experiment), data)
        assert words in str(caught.value)

    def test_own_data_of_another_number_of_classes(self) -> None:
        config = SMALL.replace(dataset=CUSTOM, loss="cross_entropy")
        experiment = trained(config, make_dataset("arms", samples=60))
        with pytest.raises(FileError, match="cannot be trained here: this state does not fit"):
            Experiment.load(saved(experiment), make_dataset("xor", samples=60))

    def test_a_last_batch_of_one(self) -> None:
        arrays, description = contents(KINDS["batch normalization"])
        description["experiment"]["batch_size"] = 47
        file = written(arrays, description)
        Predictor.load(file)
        with pytest.raises(FileError, match="cannot be trained here: batch_size: 47 leaves one"):
            Experiment.load(file)

    def test_silenced_units_stay_silent(self) -> None:
        experiment = trained()
        experiment.silence(0, 2)
        experiment.silence(1, 3)
        for loaded in (Predictor.load(saved(experiment)), Experiment.load(saved(experiment))):
            assert_same_bits(loaded.predict(POINTS), experiment.predict(POINTS))
            assert loaded.network.silenced == {(0, 2), (1, 3)}
        unsilenced = trained()
        back = Experiment.load(saved(experiment))
        back.silence(0, 2, False)
        back.silence(1, 3, False)
        assert_same_bits(back.predict(POINTS), unsilenced.predict(POINTS))

    def test_settings_changed_while_training_are_saved(self) -> None:
        experiment = trained()
        experiment.change(learning_rate=0.001, l2=0.1)
        config = Predictor.load(saved(experiment)).config
        assert (config.learning_rate, config.l2) == (0.001, 0.1)

    def test_the_epoch_is_that_of_the_weights(self) -> None:
        experiment = trained()
        experiment.show_epoch(1)
        assert Predictor.load(saved(experiment)).epoch == 1

    def test_by_path(self, tmp_path: Path) -> None:
        experiment = trained()
        path = tmp_path / "weights.npz"
        experiment.save(path)
        experiment.save(str(path))  # over the old one
        assert os.listdir(tmp_path) == ["weights.npz"]
        for name in (path, str(path)):
            assert_same_bits(Predictor.load(name).predict(POINTS), experiment.predict(POINTS))
        with pytest.raises(FileNotFoundError):
            Predictor.load(tmp_path / "other.npz")

    def test_the_same_experiment_gives_the_same_file(self) -> None:
        assert saved(trained()).getvalue() == saved(trained()).getvalue()

    def test_plain_numpy_reads_it(self) -> None:
        experiment = trained(SMALL.replace(standardize=True))
        with np.load(saved(experiment), allow_pickle=False) as file:
            w = [file[f"{layer}.weight"] for layer in ("hidden.0.linear", "hidden.1.linear")]
            b = [file[f"{layer}.bias"] for layer in ("hidden.0.linear", "hidden.1.linear")]
            x = (POINTS - file["standardizer.mean"]) / file["standardizer.scale"]
            hidden = np.maximum(np.tanh(x @ w[0].T + b[0]) @ w[1].T + b[1], 0)
            logits = hidden @ file["output.weight"].T + file["output.bias"]
            described = json.loads(str(file["__config__"]))
        np.testing.assert_allclose(
            1 / (1 + np.exp(-logits[:, 0])), experiment.predict(POINTS), rtol=1e-5
        )
        assert ExperimentConfig.from_dict(described["experiment"]) == experiment.config

    def test_a_network_that_is_not_finite_is_not_saved(self) -> None:
        experiment = trained()
        experiment.network.linears[0].weights.data[0, 0] = math.nan
        with pytest.raises(FileError, match="not finite"):
            saved(experiment)


# ---- predicting ----------------------------------------------------------------------------------


class TestPredict:
    @pytest.mark.parametrize("rows", [0, 1, 2, 999, 1000, 1001, 5000])
    @pytest.mark.parametrize("config", [SMALL, KINDS["several classes"]], ids=["two", "several"])
    def test_any_number_of_rows(self, config: ExperimentConfig, rows: int) -> None:
        predictor = trained(config).predictor
        points = np.random.default_rng(rows).uniform(-1, 1, (rows, 2))
        answers = predictor.predict(points)
        assert answers.shape == ((rows,) if config is SMALL else (rows, 4))
        assert answers.dtype == np.float32
        one_by_one = [predictor.predict(points[i : i + 1])[0] for i in range(0, rows, 199)]
        np.testing.assert_allclose(
            answers[::199], np.reshape(one_by_one, answers[::199].shape), rtol=1e-4, atol=1e-6
        )

    def test_lists_and_other_dtypes(self) -> None:
        predictor = trained().predictor
        expected = predictor.predict(np.array([[1, 0], [0, 1]], np.float32))
        for points in ([[1, 0], [0, 1]], ((1.0, 0), (0, 1)), np.array([[1, 0], [0, 1]], np.int8)):
            assert_same_bits(predictor.predict(points), expected)

    def test_one_input_takes_a_vector(self) -> None:
        predictor = trained(KINDS["one input"]).predictor
        assert_same_bits(predictor.predict([0.1, 0.2]), predictor.predict([[0.1], [0.2]]))

    def test_answers_are_arrays_of_their_own(self) -> None:
        predictor = trained().predictor
        for rows in (3, 2000):
            points = np.resize(POINTS, (rows, 2))
            first = predictor.predict(points)
            kept = first.copy()
            predictor.predict(points[::-1])[:] = 7
            assert_same_bits(first, kept)
            logits = predictor.logits(points)
            predictor.logits(points)[:] = 7
            assert_same_bits(logits, predictor.logits(points))

    def test_are_without_dropout(self) -> None:
        experiment = trained(KINDS["dropout"])
        assert_same_bits(experiment.predict(POINTS), experiment.predict(POINTS))

    @pytest.mark.parametrize(
        "inputs",
        [
            [1.0, 2.0],
            [[1.0]],
            [[1.0, 2.0, 3.0]],
            [[[1.0, 2.0]]],
            3.0,
            [[1.0, 2.0], [3.0]],
            "text",
            [["a", "b"]],
            None,
            [[1.0, math.nan]],
            [[math.inf, 1.0]],
            [[1e300, 0.0]],
            [[1j, 2]],
            {},
        ],
        ids=str,
    )
    def test_refuses_what_are_no_points(self, inputs: Any) -> None:
        predictor = trained().predictor
        with pytest.raises(ShapeError):
            predictor.predict(inputs)

    def test_names_the_columns(self) -> None:
        with pytest.raises(ShapeError, match=r"shape \(n, 2\): x1, x2; got \(1, 3\)"):
            trained().predict([[1, 2, 3]])

    def test_huge_points(self) -> None:
        assert np.isfinite(trained().predict([[1e30, -1e30], [3e38, 3e38]])).all()
        squares = trained(SMALL.replace(features=("x1^2", "x2"))).predictor
        with pytest.raises(ShapeError, match="too large: features of them overflow"):
            squares.predict([[1e30, 0]])
        scaled = trained(SMALL.replace(standardize=True)).predictor
        with pytest.raises(ShapeError, match="too large: features of them overflow"):
            scaled.predict([[3.4e38, 0]])

    def test_probabilities_of_two_classes_and_more(self) -> None:
        for name in ("default", "hinge"):
            answers = trained(KINDS[name]).predict(POINTS)
            assert ((answers >= 0) & (answers <= 1)).all()
        np.testing.assert_allclose(
            trained(KINDS["several classes"]).predict(POINTS).sum(axis=1), 1, rtol=1e-5
        )


# ---- files from strangers ------------------------------------------------------------------------


def contents(config: ExperimentConfig = SMALL) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and description of a file that is right, to be made wrong."""
    archive = load_archive(saved(trained(config)))
    assert archive.config is not None
    return archive.arrays, archive.config


def written(arrays: dict[str, np.ndarray], description: Any) -> io.BytesIO:
    file = io.BytesIO()
    save_archive(file, arrays, description)
    return file


def refusal(file: io.BytesIO) -> str:
    """The words in which both ways to load refuse a file."""
    words = []
    for load in (Predictor.load, Experiment.load):
        with pytest.raises(FileError) as caught:
            load(file)
        words.append(str(caught.value))
    assert words[0] == words[1]
    assert len(words[0]) < 3000
    return words[0]


def changed(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda description: description.update(changes)


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda description: description.pop(name)


def configured(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda description: description["experiment"].update(changes)


NO_CONFIGURATION = "this file holds weights but no configuration; download it from the Train page"
DESCRIPTIONS = {
    "no experiment": (without("experiment"), NO_CONFIGURATION),
    "experiment is none": (changed(experiment=None), "is not valid: config: must be a mapping"),
    "experiment is a list": (changed(experiment=[1]), "is not valid: config: must be a mapping"),
    "unknown field": (configured(bogus=1), "is not valid: bogus: is no setting"),
    "out of range": (configured(samples=10**9), "is not valid: samples: must be a whole number"),
    "a billion units": (
        configured(layers=[{"units": 10**9}]),
        "is not valid: units: must be a whole number from 1 to 64, got 1000000000",
    ),
    "a thousand layers": (
        configured(layers=[{"units": 64}] * 1000),
        "is not valid: layers: must be at most 10, got 1000",
    ),
    "a million features": (
        configured(features=[f"x{i}" for i in range(10**5)]),
        "is not valid: features: must be one of x1, x2, x1^2",
    ),
    "features of own data": (
        configured(dataset=CUSTOM, features=["x1", "x9"]),
        "the features in this file cannot be made of its inputs",
    ),
    "no input names": (without("input_names"), "has no list of input_names"),
    "no inputs": (changed(input_names=[]), "features in this file cannot be made of its inputs"),
    "input names are a text": (changed(input_names="x1"), "has no list of input_names"),
    "input names are numbers": (changed(input_names=[1, 2]), "has no list of input_names"),
    "input name twice": (changed(input_names=["a", "a"]), "at most 256, all different"),
    "too many input names": (
        changed(input_names=[str(i) for i in range(MAX_NAMES + 1)]),
        "at most 256, all different",
    ),
    "other inputs": (
        changed(input_names=["a", "b", "c"]),
        "the inputs or classes in this file are not those of xor",
    ),
    "no class names": (without("class_names"), "has no list of class_names"),
    "no classes": (changed(class_names=[]), "class names in this file do not go with its task"),
    "one class": (changed(class_names=["a"]), "class names in this file do not go with its task"),
    "three classes": (
        changed(class_names=["a", "b", "c"]),
        "binary_cross_entropy tells two classes apart, and this file names 3",
    ),
    "no epoch": (without("epoch"), "has no valid epoch"),
    "epoch below 0": (changed(epoch=-1), "has no valid epoch"),
    "epoch is true": (changed(epoch=True), "has no valid epoch"),
    "epoch is a text": (changed(epoch="1"), "has no valid epoch"),
    **{
        f"silenced {places!r}": (changed(silenced=places), "silences a unit that its network does")
        for places in (
            5, None, "0", {}, [0], [[0]], [[0, 6]], [[2, 0]], [[-1, 0]], [[0, -1]], [[0, 0, 0]],
            [[0.0, 1.0]], [[True, 0]], [[[], 0]], [[0, 10**30]],
        )
    },
}  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize(("spoil", "words"), DESCRIPTIONS.values(), ids=DESCRIPTIONS)
    def test_descriptions(self, spoil: Callable[[dict[str, Any]], None], words: str) -> None:
        arrays, description = contents()
        spoil(description)
        assert words in refusal(written(arrays, description))

    def test_no_description(self) -> None:
        arrays, _ = contents()
        assert NO_CONFIGURATION in refusal(written(arrays, None))
        assert NO_CONFIGURATION in refusal(written(arrays, {}))

    def test_another_number_of_outputs_for_a_built_in_data_set(self) -> None:
        """The arrays may fit their own description, and still not be those of the data set."""
        arrays, description = contents(KINDS["several classes"])
        description["class_names"] = ["a", "b", "c", "d", "e"]
        arrays["output.weight"] = np.ones((5, 8), np.float32)
        arrays["output.bias"] = np.ones(5, np.float32)
        assert "are not those of blobs" in refusal(written(arrays, description))

    def test_all_arrays_that_do_not_fit_in_one_message(self) -> None:
        arrays, description = contents()
        del arrays["hidden.1.linear.bias"]
        arrays["hidden.0.linear.weight"] = np.ones((2, 6), np.float32)
        arrays["output.weight"] = arrays["output.weight"].astype(np.float64)
        arrays["extra"] = np.ones(3, np.float32)
        words = refusal(written(arrays, description))
        assert "missing: hidden.1.linear.bias (float32 (4,))" in words
        assert "hidden.0.linear.weight: expected float32 (6, 2), got float32 (2, 6)" in words
        assert "output.weight: expected float32 (1, 4), got float64 (1, 4)" in words
        assert "unexpected: extra (float32 (3,))" in words

    @pytest.mark.parametrize(
        "changes", [{"layers": []}, {"features": ["x1"]}, {"standardize": True}, {"loss": "hinge"}]
    )
    def test_a_description_of_another_network(self, changes: dict[str, Any]) -> None:
        arrays, description = contents()
        description["experiment"].update(changes)
        if changes == {"loss": "hinge"}:  # the same network, read in the same way
            Predictor.load(written(arrays, description))
        else:
            assert "does not fit this network" in refusal(written(arrays, description))

    @pytest.mark.parametrize("scale", [-1.0, 0.0])
    def test_a_standardization_that_turns_things_round(self, scale: float) -> None:
        arrays, description = contents(KINDS["standardized"])
        arrays["standardizer.scale"][2] = scale
        words = refusal(written(arrays, description))
        assert "the standardization in this file: " in words
        assert "scale finite and above 0" in words

    def test_a_variance_below_zero(self) -> None:
        arrays, description = contents(KINDS["batch normalization"])
        arrays["hidden.0.normalization.running_var"][0] = -0.1
        words = refusal(written(arrays, description))
        assert words == "hidden.0.normalization.running_var: variances must not be below 0"

    def test_a_file_far_too_large(self) -> None:
        arrays, description = contents()
        arrays["extra"] = np.zeros(MAX_FILE // 4, np.float32)
        assert "at most 16.0 MiB are read" in refusal(written(arrays, description))

    def test_weights_of_any_size_give_answers(self) -> None:
        arrays, description = contents()
        for array in arrays.values():
            array[...] = 3e38
        answers = Predictor.load(written(arrays, description)).predict(POINTS)
        assert answers.shape == (50,)

    def test_files_that_are_something_else(self, tmp_path: Path) -> None:
        for data in (b"", b"PK", b"not a zip", b"\x89PNG\r\n", saved(trained()).getvalue()[:-30]):
            refusal(io.BytesIO(data))
        with pytest.raises(FileError, match="open it in binary mode"):
            Predictor.load(io.StringIO("text"))  # type: ignore[arg-type]
        with pytest.raises(OSError):
            Predictor.load(tmp_path)

    @settings(max_examples=150)
    @given(st.data())
    def test_any_byte_changed(self, data: st.DataObject) -> None:
        """Gives a network that predicts, or a `FileError`, and nothing else."""
        content = bytearray(FILE)
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        content = content[: data.draw(st.sampled_from([len(content), len(content) // 2]))]
        assert_predicts_or_refuses(io.BytesIO(content))

    @settings(max_examples=150)
    @given(st.data())
    def test_any_value_of_the_description_changed(self, data: st.DataObject) -> None:
        description = copy.deepcopy(CONTENTS[1])
        holder = data.draw(st.sampled_from([description, description["experiment"]]))
        name = data.draw(st.sampled_from(sorted(holder)))
        holder[name] = data.draw(JSON | st.sampled_from(sorted(DATASETS)))
        assert_predicts_or_refuses(written(CONTENTS[0], description))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
FILE = saved(trained(KINDS["standardized"])).getvalue()
CONTENTS = contents(KINDS["standardized"])


def assert_predicts_or_refuses(file: io.BytesIO) -> None:
    try:
        predictor = Predictor.load(file)
    except FileError as error:
        assert str(error)
    else:
        assert len(predictor.predict(np.zeros((3, len(predictor.input_names))))) == 3
    with contextlib.suppress(FileError):
        Experiment.load(file)
