"""An experiment: from a configuration to data, network, optimizer, history and predictions.

`Experiment` is what the app, the command line and sweeps drive. It is deterministic: the same
configuration gives the same weights at every epoch, bit for bit, because each random choice (the
data, the initial weights, the order of the batches, dropout) has a generator seeded from it.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .assembly import (
    draw_data,
    make_loss,
    make_optimizer,
    make_schedule,
    mean_loss,
    penalties,
    score,
    targets_for,
)
from .config import CUSTOM, ExperimentConfig
from .datasets import Dataset, feature_names, split
from .errors import ConfigError, DataError, FileError, ShapeError
from .forward import ForwardPass
from .functions import Array
from .history import Epoch, History, Snapshots
from .modules import Dropout
from .network import Network
from .plane import EXTENT, Plane
from .predictor import Predictor, check_order
from .serialization import PathOrFile, save_archive
from .settings import LIVE_FIELDS, LOSS_RULES, Number
from .step import TrainingStep

#: A loss this many times the first one (or 1) counts as diverged, though still finite.
DIVERGED = 200

#: What a weight or bias may be set to by hand.
BY_HAND = Number(0, -1e6, 1e6)


class Experiment:
    """A network in training on one data set, as an `ExperimentConfig` describes it.

    Args:
        config: the configuration.
        data: the data set, where `config.dataset` is "custom".
        test_data: what to test on; then all of `data` is trained on, and nothing is split.

    Attributes:
        status: "ready", "training", "paused", "diverged" or "stopped".
        message: what happened, in words for people, where the status needs them.
        history: losses and scores by epoch, and the changes made on the way.

    >>> from nnkit import ExperimentConfig, LayerConfig
    >>> config = ExperimentConfig(dataset="xor", noise=0, layers=(LayerConfig(8, "tanh"),))
    >>> experiment = Experiment(config)
    >>> for epoch in experiment.run(epochs=60):
    ...     pass
    >>> experiment.epoch, experiment.latest.test_score > 0.9
    (60, True)
    """

    def __init__(
        self,
        config: ExperimentConfig,
        data: Dataset | None = None,
        test_data: Dataset | None = None,
    ) -> None:
        if data is None and config.dataset == CUSTOM:
            raise ConfigError("dataset", f"is {CUSTOM!r}, so the data have to be given as well")
        if data is not None and config.dataset != CUSTOM:
            raise ConfigError("dataset", f"must be {CUSTOM!r} where data are given")
        self.data = draw_data(config) if data is None else data
        if self.data.task != config.task:
            raise ConfigError("task", f"is {config.task}, and the data are for {self.data.task}")
        rule = LOSS_RULES[config.loss]
        if rule.binary_only and self.data.classes > 2:
            raise ConfigError(
                "loss", f"{config.loss} tells two classes apart, not {self.data.classes}"
            )
        for name in config.features:
            if name not in feature_names(self.data.inputs.shape[1]):
                raise ConfigError("features", f"{name} cannot be made of this data")
        self._apart = test_data
        if test_data is None:
            parts = split(self.data, config.train_fraction, config.data_seed)
        else:
            parts = self.data, test_data
        self.train_data, self.test_data = parts
        self._check_last_batch(config)
        self.first_config = config
        self._build(config)

    def _build(self, config: ExperimentConfig) -> None:
        """Everything but the data, from the start."""
        self.config = config
        self.status, self.message = "ready", ""
        initial, order = np.random.default_rng(config.init_seed).spawn(2)
        self._order = order
        self.predictor = Predictor.untrained(config, self.data, self.train_data, initial)
        self.network = self.predictor.network
        self.loss = make_loss(config.loss)
        self._make_optimizer()
        self._buffers = [buffer for _, buffer in self.network.named_buffers()]
        dropouts = [module for module in self.network.modules() if isinstance(module, Dropout)]
        self._generators = [order, *(dropout.generator for dropout in dropouts)]
        self._lay_out_data()
        self.history, self.snapshots = History(), Snapshots()
        self._loaded_epoch = 0  # epochs that its weights were trained for elsewhere
        self._best: tuple[Epoch, Array] | None = None
        self._keep(self._measure(0))

    def _lay_out_data(self) -> None:
        """Training and test data as network and loss take them."""
        self._x, self._y = self._arrays(self.train_data)
        self._passes = [
            (ForwardPass(self.network, self._arrays(data)[0]), *self._arrays(data)[1:], data)
            for data in (self.train_data, self.test_data)
        ]
        shown = getattr(self, "shown", None)
        self.shown_inputs = shown.inputs if shown else (0, 1)

    def _check_last_batch(self, config: ExperimentConfig) -> None:
        """Batch normalization cannot learn from one example, which the last batch may be."""
        n = len(self.train_data)
        if all(layer.normalization != "batch" for layer in config.layers):
            return
        if n == 1:
            raise ConfigError("samples", "must leave two to train on with batch normalization")
        if n % config.batch_size == 1:
            fitting = next(size for size in range(config.batch_size, n + 1) if n % size != 1)
            raise ConfigError(
                "batch_size",
                f"{config.batch_size} leaves one of the {n} training examples for the last batch, "
                f"and batch normalization compares at least two; take {fitting}",
            )

    def _make_optimizer(self) -> None:
        self.optimizer = make_optimizer(self.config, self.network.parameters())
        self._step = TrainingStep(self.network, self.loss, self.optimizer)
        self._schedule = make_schedule(self.config, self.optimizer)

    def _arrays(self, data: Dataset) -> tuple[Array, Array]:
        """Inputs as the network takes them, targets as the loss does."""
        return self.predictor.prepare(data.inputs), targets_for(self.config.loss, data)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.optimizer.pack()  # parameters and vector were copied apart

    # Training -------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return self.latest.epoch

    def run(self, epochs: int | None = None, seconds: float | None = None) -> Iterator[Epoch]:
        """Train epoch by epoch, yielding what is known after each.

        Ends after `epochs`, after `seconds`, when training has stopped by itself, or when the
        caller stops asking: a generator needs no other pause.
        """
        deadline = None if seconds is None else time.perf_counter() + seconds
        done = 0
        while self.status not in ("diverged", "stopped"):
            if epochs is not None and done >= epochs:
                return
            if deadline is not None and done and time.perf_counter() >= deadline:
                return
            yield self.step()
            done += 1

    def step(self) -> Epoch:
        """Train for exactly one epoch (again, if training had stopped by its conditions)."""
        if self.status == "diverged":
            raise ConfigError("learning_rate", "training diverged; lower it, or reset")
        if self.history.last.epoch > self.epoch:  # the weights of an earlier epoch are in place
            self.history.changes.append((self.epoch, {"snapshot": self.epoch}))
            self._keep_again(self.latest)
        self.status, self.message = "training", ""
        drawn = [generator.bit_generator.state for generator in self._generators]
        try:
            self.network.train()
            self._step.epochs(
                self._x, self._y, batch_size=self.config.batch_size, generator=self._order
            )
            latest = self._measure(self.epoch + 1)
        except BaseException:  # such as Ctrl-C: half an epoch is none
            self._put_back()
            for generator, state in zip(self._generators, drawn, strict=True):
                generator.bit_generator.state = state
            self.status = "paused"
            raise
        if not self._healthy(latest):
            self._diverge(latest)
            return self.latest
        self._keep(latest)
        if self._schedule is not None:
            self._schedule.step(latest.test_loss)
        self._check_stop(latest)
        return latest

    def pause(self) -> None:
        """Say that training rests."""
        if self.status == "training":
            self.status = "paused"

    def reset(self) -> None:
        """Back to the very start: the first configuration's weights, an empty history."""
        self._build(self.first_config.replace(**{n: getattr(self.config, n) for n in LIVE_FIELDS}))

    def change(self, **settings: Any) -> None:
        """Change settings that act while training goes on; the history remembers when.

        A learning rate with a schedule is where that starts from (or its peak, in one cycle): the
        schedule goes on from the present epoch as if it had been so from the first.

        Raises:
            ConfigError: a setting that needs a new experiment, or a value out of range.
        """
        for name in settings:
            if name not in LIVE_FIELDS:
                raise ConfigError(
                    name, f"needs a new experiment; live are {', '.join(LIVE_FIELDS)}"
                )
        config = self.config.replace(**settings)
        changed = {n: v for n, v in settings.items() if getattr(self.config, n) != v}
        if not changed:
            return
        self._check_last_batch(config)
        self.config = self.predictor.config = config
        self.history.changes.append((self.epoch, changed))
        for group in self.optimizer.param_groups:
            group.update(penalties(config, group["params"][0]))
        self.optimizer.clip_norm = config.clip_norm or None
        if "learning_rate" in changed and self._schedule is not None:
            self._schedule.rebase(config.learning_rate)
        elif "learning_rate" in changed:
            self.optimizer.lr = config.learning_rate
        if self.status in ("diverged", "stopped"):
            self.status, self.message = "paused", ""

    def _measure(self, epoch: int) -> Epoch:
        """Losses and scores of the present weights on all data, without dropout."""
        self.network.eval()
        values: list[float] = []
        for forward, targets, data in self._passes:
            logits = forward()[0]
            values.append(mean_loss(self.loss, logits, targets))
            with np.errstate(all="ignore"):
                values.append(score(self.config.loss, logits, data))
        train_loss, train_score, test_loss, test_score = values
        return Epoch(epoch, train_loss, test_loss, train_score, test_score)

    def _keep(self, latest: Epoch) -> None:
        self.latest = latest
        self.history.add(latest)
        self._finite = self._weights(), self.optimizer.state_dict()
        self.snapshots.add(latest.epoch, self._finite[0])

    def _keep_again(self, latest: Epoch) -> None:
        """Keep `latest` in place of what was known of its epoch and of those after it."""
        self.history.forget_from(latest.epoch)
        self.snapshots.forget_from(latest.epoch)
        self._best = None
        self._keep(latest)

    def _weights(self) -> Array:
        """All that predictions depend on, in one vector: parameters, then running statistics."""
        return np.concatenate([self.optimizer.flat, *self._buffers])

    def _put(self, weights: Array) -> None:
        """Put what `_weights` gave back into the network."""
        start = 0
        for array in (self.optimizer.flat, *self._buffers):
            array[...] = weights[start : start + array.size]
            start += array.size

    def _put_back(self) -> None:
        """Back to the end of the last epoch."""
        weights, memory = self._finite
        self._put(weights)
        self.optimizer.load_state_dict(memory)

    def _healthy(self, latest: Epoch) -> bool:
        limit = DIVERGED * max(1.0, self.history.first.train_loss)
        return bool(
            latest.train_loss < limit and np.isfinite(self._weights()).all()
        )  # NaN compares false

    def _diverge(self, latest: Epoch) -> None:
        """Put the last finite state back and say what happened."""
        self._put_back()
        self.status = "diverged"
        what = (
            f"grew to {latest.train_loss:.3g}" if np.isfinite(latest.train_loss) else "overflowed"
        )
        self.message = (
            f"Training diverged in epoch {latest.epoch}: the loss {what}. "
            f"The weights of epoch {self.epoch} are back. "
            f"A learning rate of {self.config.learning_rate:g} is too high here; "
            f"try {min(self.config.learning_rate / 10, 0.03):g}."
        )

    def _check_stop(self, latest: Epoch) -> None:
        config = self.config
        if config.target_score and latest.test_score >= config.target_score:
            self.status = "stopped"
            self.message = f"Reached the target score {config.target_score:g}."
        if not config.patience:
            self._best = None
            return
        if self._best is None or latest.test_loss < self._best[0].test_loss:
            self._best = latest, self._finite[0]
        elif latest.epoch - self._best[0].epoch >= config.patience:
            self.latest, weights = self._best
            self._put(weights)
            self.status = "stopped"
            self.message = (
                f"Stopped early: no better test loss for {config.patience} epochs. "
                f"The weights of epoch {self.epoch}, the best, are back."
            )
            self._best = None

    # Editing the network --------------------------------------------------------------------

    def set_weight(self, layer: int, unit: int, source: int, value: float) -> None:
        """Set one weight: `source` is the input of `unit` of `layer` (the output comes last).

        Raises:
            ConfigError: there is no such weight, or the value is beyond ±1,000,000.
        """
        linears = self.network.linears
        weights = linears[_index("layer", layer, len(linears))].weights
        place = _index("unit", unit, weights.shape[0]), _index("source", source, weights.shape[1])
        weights._data[place] = BY_HAND.check("weight", value)
        weights._version += 1
        self._edited({"weight": [layer, unit, source, value]})

    def set_bias(self, layer: int, unit: int, value: float) -> None:
        """Set one bias; raises as `set_weight` does."""
        linears = self.network.linears
        biases = linears[_index("layer", layer, len(linears))].biases
        biases._data[_index("unit", unit, biases.shape[0])] = BY_HAND.check("bias", value)
        biases._version += 1
        self._edited({"bias": [layer, unit, value]})

    def silence(self, layer: int, unit: int, silenced: bool = True) -> None:
        """Switch a hidden unit off (its value is zero everywhere), or on again.

        Raises:
            ConfigError: there is no such unit.
        """
        hidden = self.network.hidden
        silencer = hidden[_index("layer", layer, len(hidden))].silencer
        silencer.silence(_index("unit", unit, len(silencer.mask)), silenced)
        self._edited({"silenced": [layer, unit, silenced]})

    @property
    def silenced(self) -> set[tuple[int, int]]:
        """(layer, unit) of every hidden unit that is switched off."""
        return self.network.silenced

    def _edited(self, what: dict[str, Any]) -> None:
        """Measure again after an edit, in place of what was known of this epoch."""
        self.history.changes.append((self.epoch, what))
        self._keep_again(self._measure(self.epoch))
        if self.status in ("diverged", "stopped"):
            self.status, self.message = "paused", ""

    def restructured(
        self, config: ExperimentConfig, kept_units: Mapping[int, Sequence[int]] | None = None
    ) -> Experiment:
        """An experiment for edited layers or features that keeps the weights with a place in it.

        Layers are matched from the front, the output by itself where there are as many as before.
        Units keep their weights by position in their layer, or as `kept_units` says: for a layer,
        which of its old units stay, in their new order. Features keep theirs by name. Where only
        layers differ and all of that has a place (another activation, another dropout), training
        simply goes on; otherwise the epochs are counted from 0 again.
        """
        new = Experiment(config, self.data if config.dataset == CUSTOM else None, self._apart)
        rest, new_rest = ({**c.to_dict(), "layers": None} for c in (self.config, config))
        same_shapes = _shapes(self.network) == _shapes(new.network)
        if rest == new_rest and same_shapes and not kept_units:
            new._continue(self)
        else:
            new._take_weights(self, kept_units or {})
        if new.data is self.data:
            new.shown_inputs = self.shown_inputs
        return new

    def _take_weights(self, old: Experiment, kept_units: Mapping[int, Sequence[int]]) -> None:
        """Take over what `old` has learned where it has a place here."""
        features, old_features = self.config.features, old.config.features
        same_depth = len(self.config.layers) == len(old.config.layers)
        pairs = zip(old.network.linears, self.network.linears, strict=same_depth)
        columns = [i for i, name in enumerate(old_features) if name in features]
        places = [features.index(old_features[i]) for i in columns]
        for i, (theirs, ours) in enumerate(list(pairs)[: None if same_depth else -1]):
            units, inputs = ours.weights.shape
            rows = list(kept_units.get(i, range(theirs.weights.shape[0])))[:units]
            columns, places = columns[:inputs], places[:inputs]
            ours.weights._data[np.ix_(range(len(rows)), places)] = theirs.weights._data[
                np.ix_(rows, columns)
            ]
            ours.biases._data[: len(rows)] = theirs.biases._data[rows]
            if i < len(self.network.hidden):
                self.network.hidden[i].take_units(old.network.hidden[i], rows)
            columns, places = rows, list(range(len(rows)))
        self._keep_again(self._measure(0))
        self.history.changes.append((0, {"weights": "kept"}))

    def _continue(self, old: Experiment) -> None:
        """Take over all that `old`, whose parameters have the same places, has learned."""
        self.network.load_state_dict(old.network.state_dict())
        for layer, unit in old.silenced:
            self.network.hidden[layer].silencer.silence(unit, True)
        self.optimizer.load_state_dict(old.optimizer.state_dict())
        if self._schedule is not None and old._schedule is not None:
            self._schedule.load_state_dict(old._schedule.state_dict())
        self._order.bit_generator.state = old._order.bit_generator.state
        self.history, self.snapshots = copy.deepcopy((old.history, old.snapshots))
        self._loaded_epoch = old._loaded_epoch
        self.status = "ready" if old.status == "ready" else "paused"
        self.latest = old.latest
        self._edited({"layers": [dataclasses.asdict(layer) for layer in self.config.layers]})

    # Looking at it --------------------------------------------------------------------------

    def predict(self, points: ArrayLike) -> Array:
        """Predictions for raw inputs (n, d); see `Predictor.predict`."""
        return self.predictor.predict(points)

    def grid(self, resolution: int = 100, extent: float | None = EXTENT) -> Array:
        """Predictions over the plane shown; see `Plane.grid`."""
        return self.shown.grid(resolution, extent)

    def unit_grids(self, resolution: int = 24, extent: float | None = EXTENT) -> list[Array]:
        """What every unit gives over the plane shown; see `Plane.unit_grids`."""
        return self.shown.unit_grids(resolution, extent)

    def feature_grids(self, resolution: int = 24, extent: float | None = EXTENT) -> Array:
        """Every available feature over the plane shown; see `Plane.feature_grids`."""
        return self.shown.feature_grids(resolution, extent)

    def plane(self, resolution: int, extent: float | None = EXTENT) -> Array:
        """Raw inputs of the points of a grid; see `Plane.points`."""
        return self.shown.points(resolution, extent)

    @property
    def shown_inputs(self) -> tuple[int, int]:
        """The two inputs that the plane shows; the others are held at their median."""
        return self.shown.inputs

    @shown_inputs.setter
    def shown_inputs(self, inputs: tuple[int, int]) -> None:
        self.shown = Plane(self.predictor, self.data, self.train_data, inputs)

    # Going back, and out --------------------------------------------------------------------

    def show_epoch(self, epoch: int) -> int:
        """Put the weights of the kept snapshot nearest to `epoch` into the network.

        Returns the epoch of that snapshot, which becomes the experiment's. To look is free: the
        latest epoch can be shown again, and training then goes on as if nothing had been. To
        train on from an earlier epoch forgets those after it.
        """
        nearest, weights = self.snapshots.nearest(epoch)
        self._put(weights)
        self.latest = self._measure(nearest)
        if self.status in ("diverged", "stopped"):
            self.status, self.message = "paused", ""
        return nearest

    def save(self, file: PathOrFile) -> None:
        """Weights, configuration and epoch in one `.npz`; see `Predictor.load`."""
        done = self._loaded_epoch + self.epoch
        save_archive(file, self.predictor.arrays(), self.predictor.description(done))

    @classmethod
    def load(cls, file: PathOrFile, data: Dataset | None = None) -> Self:
        """The experiment of a saved file, with its weights, ready to train on.

        Args:
            data: what to train on, where the network was trained on data of its own.

        Raises:
            FileError: as `Predictor.load`, or the data do not go with the network.
        """
        predictor = Predictor.load(file)
        if predictor.config.dataset == CUSTOM and data is None:
            raise FileError("this network was trained on data of its own; give them as `data`")
        try:
            experiment = cls(predictor.config, data)
            experiment.network.load_state_dict(predictor.network.state_dict())
            check_order(predictor, experiment.data)
        except (ConfigError, DataError, ShapeError) as error:
            raise FileError(f"the network in this file cannot be trained here: {error}") from error
        for layer, unit in predictor.network.silenced:
            experiment.network.hidden[layer].silencer.silence(unit, True)
        experiment.predictor.standardizer = predictor.standardizer
        experiment._lay_out_data()
        experiment._loaded_epoch = predictor.epoch
        experiment._edited({"loaded": predictor.epoch})
        return experiment


def _index(name: str, index: int, count: int) -> int:
    """`index`, where it is one of `count` places counted from 0."""
    return int(Number(0, 0, count - 1, True).check(name, index))


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in network.state_dict().items()}
