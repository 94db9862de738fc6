"""The example programs: they run, print what they promise, and learn what they are about."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from nnkit.examples import autograd, classify_and_regress, create_and_train, spirals, xor

ROOT = Path(__file__).parents[2]


def test_xor_prints_its_progress_and_learns(capsys: pytest.CaptureFixture[str]) -> None:
    assert xor.main([]) == 1.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 + 4
    assert re.fullmatch(r"Epoch 0, Loss: \d\.\d{4}, Accuracy: 0\.\d{4}", lines[0])
    assert lines[9].startswith("Epoch 900, ") and lines[9].endswith("Accuracy: 1.0000")
    assert re.fullmatch(r"Input: \[0\. 0\. 1\.\], Predicted: 0\.0\d{3}, True: 0\.0", lines[10])


def test_xor_is_the_same_again_and_another_with_another_seed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    printed = []
    for seed in ("0", "0", "1"):
        xor.main(["--epochs", "3", "--seed", seed])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


def test_spirals_checks_learns_and_draws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "spirals.svg"
    assert spirals.main(["--points", "150", "--picture", str(file)]) == 1.0
    printed = capsys.readouterr().out
    assert "all gradients agree" in printed
    assert "Epoch 2000, Error: 0.0" in printed and f"Saved {file}" in printed
    svg = file.read_text(encoding="utf-8")
    assert re.findall(r"epoch (\d+):", svg) == ["0", "200", "500", "800", "1200", "2000"]
    assert svg.count("<circle") == 6 * 150
    images = re.findall(r"base64,([^\"]+)", svg)
    assert len(images) == 6 and len(set(images)) == 6


def test_a_picture_holds_the_pixels_it_was_given() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = base64.b64decode(spirals.png(pixels))
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    length = int.from_bytes(image[33:37])
    assert image[12:16] == b"IHDR" and image[37:41] == b"IDAT"
    assert int.from_bytes(image[41 + length : 45 + length]) == zlib.crc32(image[37 : 41 + length])
    lines = np.frombuffer(zlib.decompress(image[41 : 41 + length]), np.uint8).reshape(5, 22)
    np.testing.assert_array_equal(lines[:, 1:].reshape(5, 7, 3), pixels)


def test_classify_and_regress_learns_both_and_keeps_the_weights(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    score, fit = classify_and_regress.main(["--folder", str(tmp_path)])
    assert (score, fit > 0.95) == (1.0, True)
    assert "answer as the saved ones did: True" in capsys.readouterr().out
    with np.load(tmp_path / "xor.npz", allow_pickle=False) as file:
        assert file["0.weight"].shape == (8, 2)


def test_classify_and_regress_cleans_up_without_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    classify_and_regress.main(["--epochs", "2"])
    assert not list(tmp_path.iterdir())


def test_autograd_learns_all_three(capsys: pytest.CaptureFixture[str]) -> None:
    fit, binary, several = autograd.main([])
    assert fit > 0.99 and binary > 0.97 and several > 0.97
    printed = capsys.readouterr().out
    assert "x.grad = [3. 4. 5.]\ny.grad = [1. 2. 3.]" in printed
    assert len(re.findall(r"^Epoch 500, Loss: ", printed, re.M)) == 3


def test_create_and_train_shows_the_network_and_generalizes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert create_and_train.main(["--epochs", "100"]) > 0.95
    printed = capsys.readouterr().out
    assert "(n, 64)  weight (64, 64), bias (64,)  4,160" in printed
    assert "Epoch 100, Loss: 0.0" in printed


@pytest.mark.parametrize(
    "name", ["autograd", "classify_and_regress", "create_and_train", "spirals", "xor"]
)
def test_each_runs_as_a_program(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"nnkit.examples.{name}", "--epochs", "4"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout and not done.stderr
