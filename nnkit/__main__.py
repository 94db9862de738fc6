"""The command line: `python -m nnkit train --dataset spirals --epochs 200`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from .config import ExperimentConfig, LayerConfig, recommended
from .datasets import DATASETS
from .errors import ConfigError, FileError, NnkitError
from .experiment import Experiment
from .history import Epoch
from .predictor import Predictor
from .settings import (
    HIDDEN_ACTIVATIONS,
    LOSS_RULES,
    MAX_LAYERS,
    MAX_UNITS,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
)

#: Options that are fields of the configuration: (option, field, type, help).
FIELDS: tuple[tuple[str, str, Any, str], ...] = (
    ("--samples", "samples", int, "number of samples"),
    ("--noise", "noise", float, "noise in the data, 0 to 1"),
    ("--train-fraction", "train_fraction", float, "share of the samples to train on"),
    ("--data-seed", "data_seed", int, "seed of the data and their split"),
    ("--seed", "init_seed", int, "seed of weights, batches and dropout"),
    ("--loss", "loss", str, f"one of {', '.join(LOSS_RULES)}"),
    ("--optimizer", "optimizer", str, f"one of {', '.join(OPTIMIZER_SETTINGS)}"),
    ("--lr", "learning_rate", float, "learning rate"),
    ("--batch-size", "batch_size", int, "examples a step"),
    ("--schedule", "schedule", str, f"one of {', '.join(SCHEDULE_SETTINGS)}"),
    ("--l1", "l1", float, "L1 penalty on weights"),
    ("--l2", "l2", float, "L2 penalty on weights"),
    ("--clip-norm", "clip_norm", float, "longest gradient allowed (0: any)"),
    ("--patience", "patience", int, "stop after so many epochs without a better test loss"),
    ("--target-score", "target_score", float, "stop at this test accuracy (or R²)"),
)


class Parser(argparse.ArgumentParser):
    """Options; what is wrong with them is said in one line, like everything else."""

    def error(self, message: str) -> NoReturn:
        raise NnkitError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = Parser(
        prog="python -m nnkit",
        description="Train small neural networks on toy data, from scratch on NumPy.",
        epilog="Start with: python -m nnkit train --dataset spirals --epochs 200",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="train a network and print epoch, loss and accuracy as it goes",
        description="Train a network. What is not given is taken from settings known to solve "
        "the data set.",
        epilog="Example: python -m nnkit train --dataset xor --layers 8,8 --activation tanh "
        "--epochs 100 --out xor.npz",
    )
    start = train.add_mutually_exclusive_group()
    start.add_argument(
        "--dataset", default="spirals", metavar="NAME", help="one of those that 'datasets' lists"
    )
    start.add_argument("--config", metavar="FILE", help="a configuration as JSON, to start from")
    train.add_argument("--epochs", type=int, default=200, metavar="N", help="default 200")
    train.add_argument(
        "--layers", metavar="UNITS", help="units of the hidden layers, such as 16,16; '' for none"
    )
    train.add_argument(
        "--activation", metavar="NAME", help=f"one of {', '.join(HIDDEN_ACTIVATIONS)}"
    )
    for option, field, kind, text in FIELDS:
        train.add_argument(option, dest=field, type=kind, metavar=kind.__name__.upper(), help=text)
    train.add_argument(
        "--every", type=int, metavar="N", help="print every N epochs (default: ~20 lines)"
    )
    train.add_argument("--out", metavar="FILE", help="save weights and configuration as .npz")
    predict = commands.add_parser(
        "predict",
        help="answers of a saved network for points",
        description="Print the answer of a saved network for each point: the probability of the "
        "second class, or of each class, or a number.",
        epilog="Example: python -m nnkit predict xor.npz 0.5,0.5 -1,0.2",
    )
    predict.add_argument("file", help="a file that 'train --out' or the playground wrote")
    # All that is left, since -1,0.2 would be taken for an option.
    predict.add_argument(
        "points", nargs=argparse.REMAINDER, help="points, their coordinates joined by commas"
    )
    commands.add_parser("datasets", help="list the data sets and what each one teaches")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status (2 where something asked for is not possible)."""
    try:
        options = parser().parse_args(arguments)
        if options.command == "datasets":
            for info in DATASETS.values():
                print(f"{info.name:<14}{info.task:<16}{info.teaches}")
        elif options.command == "predict":
            _predict(options.file, options.points)
        else:
            _train(options)
    except BrokenPipeError:  # whoever reads the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (NnkitError, OSError) as error:
        print(f"nnkit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def configuration(options: argparse.Namespace) -> ExperimentConfig:
    """The configuration that the options ask for."""
    if options.config is None:
        config = recommended(options.dataset)
    else:
        config = ExperimentConfig.from_dict(_read_json(options.config))
    changes = {
        field: getattr(options, field)
        for _, field, _, _ in FIELDS
        if getattr(options, field) is not None
    }
    layers = config.layers
    if options.layers is not None:
        like = layers[0] if layers else LayerConfig(1, "relu")
        layers = tuple(replace(like, units=n) for n in _sizes(options.layers))
    if options.activation is not None:
        layers = tuple(replace(layer, activation=options.activation) for layer in layers)
    return config.replace(layers=layers, **changes)


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(
            "layers",
            f"must be numbers from 1 to {MAX_UNITS} joined by commas (at most {MAX_LAYERS}), "
            f"such as 16,16; got {text!r}",
        ) from None


def _read_json(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is not valid JSON: {error}") from error


def _train(options: argparse.Namespace) -> None:
    if options.epochs < 1:
        raise ConfigError("epochs", f"must be at least 1, got {options.epochs}")
    if options.every is not None and options.every < 1:
        raise ConfigError("every", f"must be at least 1, got {options.every}")
    if options.out is not None:
        _check_writable(options.out)
    experiment = Experiment(configuration(options))
    every = options.every or max(1, options.epochs // 20)
    score = "accuracy" if experiment.config.task == "classification" else "R²"
    heads = ("epoch", "train loss", "test loss", f"train {score}", f"test {score}")
    print("{:>6}  {:>10}  {:>10}  {:>14}  {:>13}".format(*heads))
    printed = experiment.latest
    _print_row(printed)
    interrupted = False
    try:
        for epoch in experiment.run(epochs=options.epochs):
            if epoch.epoch % every == 0:
                printed = epoch
                _print_row(epoch)
    except KeyboardInterrupt:  # ends the training, not what was trained
        interrupted = True
    if printed is not experiment.latest:
        _print_row(experiment.latest)
    if experiment.message:
        print(experiment.message)
    if options.out is not None and (experiment.epoch or not interrupted):
        experiment.save(options.out)
        print(f"Saved {options.out}.")
    if interrupted:
        raise KeyboardInterrupt


def _check_writable(out: str) -> None:
    """Refuse a place that cannot be written to before time is spent on training."""
    path = Path(out)
    if path.is_dir():
        raise FileError(f"cannot save to {out!r}: it is a folder")
    if not path.parent.is_dir():
        raise FileError(f"cannot save to {out!r}: its folder does not exist")
    if not os.access(path.parent, os.W_OK):
        raise FileError(f"cannot save to {out!r}: its folder cannot be written to")


def _print_row(epoch: Epoch) -> None:
    print(
        f"{epoch.epoch:>6}  {epoch.train_loss:>10.4f}  {epoch.test_loss:>10.4f}  "
        f"{epoch.train_score:>14.4f}  {epoch.test_score:>13.4f}",
        flush=True,
    )


def _predict(file: str, texts: list[str]) -> None:
    if not texts:
        raise ConfigError("points", "are missing, such as 0.5,0.5 -1,0.2")
    predictor = Predictor.load(file)
    try:
        points = [[float(part) for part in text.split(",")] for text in texts]
    except ValueError:
        raise ConfigError("points", f"must be numbers joined by commas, got {texts}") from None
    width = len(predictor.input_names)
    if any(len(point) != width for point in points):
        raise ConfigError(
            "points", f"need {width} numbers each ({', '.join(predictor.input_names)})"
        )
    for text, answer in zip(texts, predictor.predict(points), strict=True):
        print(text, answer)


if __name__ == "__main__":
    sys.exit(main())
