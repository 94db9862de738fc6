"""The command line: training, predicting, help, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.__main__ import FIELDS, main
from nnkit.config import ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import DATASETS
from nnkit.experiment import Experiment
from nnkit.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["train", "--dataset", "xor", "--samples", "40", "--epochs", "2"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test runs in a folder of its own, with help as wide as on a usual terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that works prints."""
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a command that does not work prints; it leaves nothing behind."""
    before = sorted(os.listdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nnkit: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert sorted(os.listdir()) == before
    return captured.err.removeprefix("nnkit: ").removesuffix("\n")


def written(name: str, text: str | bytes) -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


class TestTrain:
    def test_prints_epoch_losses_and_accuracies(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = run(capsys, "train", "--epochs", "3").splitlines()
        heads = " train loss   test loss  train accuracy  test accuracy"
        assert lines[0].endswith(heads)
        assert len(lines) == 5
        experiment = Experiment(recommended("spirals"))
        for line, epoch in zip(
            lines[1:], [experiment.latest, *experiment.run(epochs=3)], strict=True
        ):
            values = [epoch.train_loss, epoch.test_loss, epoch.train_score, epoch.test_score]
            assert line.split() == [str(epoch.epoch), *(f"{value:.4f}" for value in values)]

    def test_of_regression_prints_r2(self, capsys: pytest.CaptureFixture[str]) -> None:
        out = run(capsys, "train", "--dataset", "plane", "--epochs", "1")
        assert "train R²" in out.splitlines()[0]

    def test_prints_about_twenty_lines_or_as_asked(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        quick = [*QUICK[:-1], "60"]
        assert len(run(capsys, *quick).splitlines()) == 22
        epochs = [line.split()[0] for line in run(capsys, *quick, "--every", "25").splitlines()]
        assert epochs == ["epoch", "0", "25", "50", "60"]

    def test_saves_what_predict_reads(self, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["train", "--dataset", "blobs", "--epochs", "4", "--samples", "60"]
        assert run(capsys, *arguments, "--out", "w.npz").splitlines()[-1] == "Saved w.npz."
        experiment = Experiment(recommended("blobs").replace(samples=60))
        list(experiment.run(epochs=4))
        points = [[0.5, -0.25], [-1.0, 0.2]]
        loaded = Predictor.load("w.npz")
        assert np.array_equal(loaded.predict(points), experiment.predict(points))
        assert loaded.epoch == 4
        lines = run(capsys, "predict", "w.npz", "0.5,-0.25", "-1,0.2").splitlines()
        answers = experiment.predict(points)
        assert lines == [f"0.5,-0.25 {answers[0]}", f"-1,0.2 {answers[1]}"]

    def test_saves_into_another_folder_and_over_a_file(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("sub").mkdir()
        written("sub/w.npz", "old")
        run(capsys, *QUICK, "--out", os.path.join("sub", "w.npz"))
        assert os.listdir("sub") == ["w.npz"]
        Predictor.load("sub/w.npz")

    def test_every_option_reaches_the_configuration(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = {
            "samples": 50, "noise": 0.2, "train_fraction": 0.5, "data_seed": 3, "init_seed": 4,
            "loss": "hinge", "optimizer": "sgd", "learning_rate": 0.1, "batch_size": 7,
            "schedule": "cosine", "l1": 0.01, "l2": 0.02, "clip_norm": 2.0, "patience": 5,
            "target_score": 0.5,
        }  # fmt: skip
        assert given.keys() == {field for _, field, _, _ in FIELDS}
        options = [f"{option}={given[field]}" for option, field, _, _ in FIELDS]
        run(capsys, "train", "--dataset=moons", "--epochs=1", "--out=w.npz", *options)
        assert Predictor.load("w.npz").config == recommended("moons").replace(**given)

    @pytest.mark.parametrize(
        ("options", "layers"),
        [
            (["--layers", "5,3"], (LayerConfig(5, "tanh"), LayerConfig(3, "tanh"))),
            (["--layers", ""], ()),
            (["--activation", "gelu"], (LayerConfig(8, "gelu"), LayerConfig(8, "gelu"))),
            (["--layers", "4", "--activation", "relu"], (LayerConfig(4),)),
        ],
    )
    def test_layers(
        self,
        capsys: pytest.CaptureFixture[str],
        options: list[str],
        layers: tuple[LayerConfig, ...],
    ) -> None:
        run(capsys, *QUICK, *options, "--out", "w.npz")
        assert Predictor.load("w.npz").config.layers == layers

    def test_an_activation_leaves_the_rest_of_the_layers(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = recommended("xor").replace(layers=(LayerConfig(4, "tanh", 0.3, "batch"),) * 2)
        # With the mark that Windows' Notepad puts at the start.
        Path("c.json").write_text("\ufeff" + json.dumps(config.to_dict()), encoding="utf-8")
        options = ("--activation", "relu", "--epochs", "1", "--out", "w.npz")
        run(capsys, "train", "--config", "c.json", *options)
        expected = (LayerConfig(4, "relu", 0.3, "batch"),) * 2
        assert Predictor.load("w.npz").config.layers == expected
        run(capsys, "train", "--config", "c.json", "--layers", "5", "--epochs", "1", *options[-2:])
        assert Predictor.load("w.npz").config.layers == (LayerConfig(5, "tanh", 0.3, "batch"),)

    def test_from_a_configuration(self, capsys: pytest.CaptureFixture[str]) -> None:
        config = ExperimentConfig(
            dataset="circle", samples=40, layers=(LayerConfig(3, "tanh", 0.1, "layer"),)
        )
        written("c.json", json.dumps(config.to_dict()))
        run(capsys, "train", "--config", "c.json", "--epochs", "1", "--l2", "1", "--out", "w.npz")
        assert Predictor.load("w.npz").config == config.replace(l2=1)

    def test_says_why_it_stopped_and_saves_the_last_finite_state(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = run(capsys, "train", "--dataset=plane", "--lr=1000", "--optimizer=sgd", "--out=w.npz")
        assert "Training diverged in epoch 1" in out
        assert np.isfinite(Predictor.load("w.npz").predict([[0.5, 0.5]])).all()
        out = run(capsys, "train", "--dataset", "circle", "--target-score", "0.9")
        assert "Reached the target score 0.9." in out


BAD_OPTIONS = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "another command": (["fly"], "argument COMMAND: invalid choice: 'fly' (choose from"),
    "another option": ([*QUICK, "--speed", "3"], "unrecognized arguments: --speed 3"),
    "no value": (["train", "--epochs"], "argument --epochs: expected one argument"),
    "no number": ([*QUICK, "--lr", "fast"], "argument --lr: invalid float value: 'fast'"),
    "no whole number": ([*QUICK, "--samples", "1.5"], "argument --samples: invalid int value"),
    "data set": (["train", "--dataset", "mars"], "dataset: must be one of spirals, xor, circle"),
    "epochs": (["train", "--epochs", "0"], "epochs: must be at least 1, got 0"),
    "every": ([*QUICK, "--every", "0"], "every: must be at least 1, got 0"),
    "every below": ([*QUICK, "--every", "-5"], "every: must be at least 1, got -5"),
    "samples": ([*QUICK, "--samples", "3"], "samples: must be a whole number from 4 to 10000"),
    "noise": ([*QUICK, "--noise", "nan"], "noise: must be a number from 0 to 1, got nan"),
    "rate": ([*QUICK, "--lr", "inf"], "learning_rate: must be a number from 1e-06 to 10000"),
    "rate below": ([*QUICK, "--lr", "-1"], "learning_rate: must be a number from 1e-06 to 10000"),
    "seed": ([*QUICK, "--seed", "-1"], "init_seed: must be a whole number from 0 to 2147483647"),
    "loss": ([*QUICK, "--loss", "mse"], "loss: mse is for regression; classification takes"),
    "classes": (
        ["train", "--dataset", "arms", "--loss", "hinge"],
        "loss: hinge tells two classes apart and arms has 3; use cross_entropy or one_vs_rest",
    ),
    "optimizer": ([*QUICK, "--optimizer", "x"], "optimizer: must be one of sgd, adam, adamw,"),
    "schedule": ([*QUICK, "--schedule", "x"], "schedule: must be one of constant, step,"),
    "activation": ([*QUICK, "--activation", "x"], "activation: must be one of relu, leaky_relu,"),
    "layers": (
        [*QUICK, "--layers", "8,many"],
        "layers: must be numbers from 1 to 64 joined by commas (at most 10), such as 16,16; "
        "got '8,many'",
    ),
    "units": ([*QUICK, "--layers", "8,65"], "units: must be a whole number from 1 to 64, got 65"),
    "depth": ([*QUICK, "--layers", ",".join("8" * 11)], "layers: must be at most 10, got 11"),
    "out in no folder": ([*QUICK, "--out", "no/w.npz"], "cannot save to 'no/w.npz': its folder"),
    "out is a folder": ([*QUICK, "--out", "."], "cannot save to '.': it is a folder"),
    "no out": ([*QUICK, "--out", ""], "cannot save to '': it is a folder"),
    "config is missing": (["train", "--config", "c.json"], "[Errno 2] No such file or directory"),
    "config is a folder": (["train", "--config", "."], "[Errno 21] Is a directory"),
    "two starts": (
        ["train", "--config", "c.json", "--dataset", "xor"],
        "argument --dataset: not allowed with argument --config",
    ),
    "no file": (["predict"], "the following arguments are required: file"),
    "file is missing": (["predict", "w.npz", "1,2"], "[Errno 2] No such file or directory"),
    "datasets of": (["datasets", "xor"], "unrecognized arguments: xor"),
}

BAD_CONFIGURATIONS = {
    "empty": ("", "c.json is not valid JSON: Expecting value"),
    "text": ("learning rate 3", "c.json is not valid JSON"),
    "not UTF-8": (b"\xff\xfe\x00", "c.json is not valid JSON: 'utf-8' codec can't decode"),
    "too deep": ("[" * 100_000, "c.json is not valid JSON: "),
    "a list": ("[]", "config: must be a mapping of fields, got list"),
    "unknown field": ('{"sampels": 5}', "sampels: is no setting; there are task, dataset,"),
    "a huge number": ('{"samples": 1' + 400 * "0" + "}", "samples: must be a whole number from"),
    "NaN": ('{"noise": NaN}', "noise: must be a number from 0 to 1, got nan"),
    "own data": ('{"dataset": "custom"}', "dataset: is 'custom', so the data have to be given"),
    "last batch": (
        '{"layers": [{"normalization": "batch"}], "batch_size": 399}',
        "batch_size: 399 leaves one of the 400 training examples",
    ),
}


class TestRefused:
    @pytest.mark.parametrize(("arguments", "words"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
    def test_options(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
    ) -> None:
        assert refusal(capsys, *arguments).startswith(words)

    @pytest.mark.parametrize(
        ("content", "words"), BAD_CONFIGURATIONS.values(), ids=BAD_CONFIGURATIONS
    )
    def test_configurations(
        self, capsys: pytest.CaptureFixture[str], content: str | bytes, words: str
    ) -> None:
        name = written("c.json", content)
        line = refusal(capsys, "train", "--config", name, "--out", "w.npz")
        assert line.startswith(words)
        assert len(line) < 500

    @pytest.mark.parametrize(
        ("points", "words"),
        [
            ([], "points: are missing, such as 0.5,0.5 -1,0.2"),
            (["1"], "points: need 2 numbers each (x1, x2)"),
            (["1,2,3"], "points: need 2 numbers each (x1, x2)"),
            (["1,2", "a,b"], "points: must be numbers joined by commas, got ['1,2', 'a,b']"),
            ([""], "points: must be numbers joined by commas"),
            (["1,nan"], "inputs must be finite numbers"),
            (["1e300,1"], "inputs must be finite numbers"),
        ],
    )
    def test_points(
        self, capsys: pytest.CaptureFixture[str], points: list[str], words: str
    ) -> None:
        run(capsys, *QUICK, "--out", "w.npz")
        assert refusal(capsys, "predict", "w.npz", *points).startswith(words)

    def test_files(self, capsys: pytest.CaptureFixture[str]) -> None:
        written("w.npz", "no zip")
        line = refusal(capsys, "predict", "w.npz", "1,2")
        assert line == "the file is not an .npz (zip) file"
        np.savez("other.npz", a=np.ones(3))
        assert "nnkit did not write it" in refusal(capsys, "predict", "other.npz", "1,2")
        run(capsys, *QUICK, "--out", "w.npz")
        Path("w.npz").write_bytes(Path("w.npz").read_bytes()[:-10])
        assert "cut short" in refusal(capsys, "predict", "w.npz", "1,2")

    def test_a_folder_that_cannot_be_written_to(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        line = refusal(capsys, *QUICK, "--out", "w.npz")
        assert line == "cannot save to 'w.npz': its folder cannot be written to"

    def test_an_old_file_is_kept_when_training_is_refused(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        written("w.npz", "old")
        refusal(capsys, *QUICK, "--lr", "0", "--out", "w.npz")
        assert Path("w.npz").read_text() == "old"

    def test_interrupted(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(self: Experiment) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Experiment, "step", interrupt)
        assert main([*QUICK, "--out", "w.npz"]) == 130
        assert os.listdir() == []

    def test_interrupted_later_saves_what_was_trained(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train = Experiment.step

        def interrupt(self: Experiment) -> Any:
            if self.epoch == 3:
                raise KeyboardInterrupt
            return train(self)

        monkeypatch.setattr(Experiment, "step", interrupt)
        assert main([*QUICK, "--epochs", "9", "--every", "2", "--out", "w.npz"]) == 130
        *_, row, saved = capsys.readouterr().out.splitlines()
        assert row.split()[0] == "3"
        assert saved == "Saved w.npz."
        assert Predictor.load("w.npz").epoch == 3


class TestHelp:
    @pytest.mark.parametrize("command", [[], ["train"], ["predict"], ["datasets"]])
    def test_is_readable(self, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            main([*command, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: {' '.join(['python -m nnkit', *command])}")
        assert all(len(line) <= 80 for line in text.splitlines())

    def test_says_how_to_start(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["--help"])
        text = capsys.readouterr().out
        assert "Start with: python -m nnkit train --dataset spirals --epochs 200" in text
        for command in ("train ", "predict ", "datasets "):
            assert f"\n    {command}" in text

    def test_tells_every_option_of_train_and_its_choices(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            main(["train", "--help"])
        text = " ".join(capsys.readouterr().out.split())
        for option, _, _, words in FIELDS:
            assert option in text
            assert words in text
        assert "Example: python -m nnkit train --dataset xor" in text

    @pytest.mark.parametrize("command", ["train", "predict"])
    def test_examples_work(self, capsys: pytest.CaptureFixture[str], command: str) -> None:
        run(capsys, *QUICK, "--out", "xor.npz")
        with pytest.raises(SystemExit):
            main([command, "--help"])
        example = " ".join(capsys.readouterr().out.split("Example: ")[1].split())
        assert run(capsys, *example.removeprefix("python -m nnkit ").split())

    def test_datasets_lists_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = run(capsys, "datasets").splitlines()
        assert [line.split()[0] for line in lines] == list(DATASETS)
        for line, info in zip(lines, DATASETS.values(), strict=True):
            assert info.task in line
            assert line.endswith(info.teaches)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "nnkit", *arguments],
        capture_output=True, text=True, encoding="utf-8", env=environment, timeout=120, check=False,
    )  # fmt: skip


def test_as_a_process() -> None:
    done = process(*QUICK, "--out", "w.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Saved w.npz."
    done = process("predict", "w.npz", "-0.5,0.5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-0.5,0.5 0.")
    done = process("train", "--lr", "-3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == ("nnkit: learning_rate: must be a number from 1e-06 to 10000, got -3.0\n")


def test_a_reader_that_has_had_enough_is_no_error() -> None:
    command = [
        sys.executable,
        "-m",
        "nnkit",
        "train",
        "--dataset",
        "xor",
        "--every",
        "1",
        "--epochs",
        "100000",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().split()[0] == "epoch"
    process.stdout.close()
    assert process.wait() == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
