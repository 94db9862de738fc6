"""What an experiment is: plain data, checked when it is made, the same after a trip through JSON.

A configuration may come from a stranger (a link, a file, a command line), so every field has a
type and limits here, and combinations that cannot work are refused with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .datasets import DATASETS, DatasetInfo, feature_names
from .errors import ConfigError
from .init import INITIALIZERS
from .settings import (
    HIDDEN_ACTIVATIONS,
    LIMITS,
    LOSS_RULES,
    MAX_LAYERS,
    MAX_UNITS,
    NORMALIZATIONS,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
    Number,
    short,
)

CUSTOM = "custom"  #: the data set's name where the data are given apart from the configuration


@dataclass(frozen=True)
class LayerConfig:
    """A hidden layer.

    Args:
        units: 1 to 64.
        activation: one of `HIDDEN_ACTIVATIONS`.
        dropout: the share of its values dropped in training, 0 to 0.9.
        normalization: "none", "batch" or "layer", between the linear part and the activation.

    >>> LayerConfig(4, "tanh").units
    4
    """

    units: int = 8
    activation: str = "relu"
    dropout: float = 0.0
    normalization: str = "none"

    def __post_init__(self) -> None:
        checked = Number(8, 1, MAX_UNITS, True).check("units", self.units)
        object.__setattr__(self, "units", checked)
        _choice("activation", self.activation, HIDDEN_ACTIVATIONS)
        object.__setattr__(self, "dropout", Number(0, 0, 0.9).check("dropout", self.dropout))
        _choice("normalization", self.normalization, NORMALIZATIONS)


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides how training goes, bit for bit.

    Args:
        task: "classification" or "regression".
        dataset: a name from `DATASETS`, or "custom" where the data are given apart.
        dataset_settings: settings of that data set, such as {"classes": 4}.
        samples, noise, imbalance, label_noise, outliers: as in `make_dataset`.
        train_fraction: the share of the samples to train on.
        features: columns computed from the inputs (`make_features`).
        standardize: bring the features to mean 0 and deviation 1, as fitted on training data.
        data_seed, init_seed: for the data and their split; for weights, batches and dropout.
        layers: the hidden layers.
        loss: one of `LOSS_RULES`; it decides the output layer too.
        optimizer, optimizer_settings: a name and settings of `OPTIMIZER_SETTINGS`.
        learning_rate, batch_size: of each step.
        schedule, schedule_settings: how the learning rate changes, epoch by epoch.
        l1, l2: penalties on weights (not biases).
        clip_norm: the longest gradient allowed; 0 for any.
        init: a name from `nnkit.init`, or "auto" for the rule that suits each activation.
        patience: stop after so many epochs without a better test loss; 0 for never.
        target_score: stop at this test accuracy (or R²); 0 for never.

    Raises:
        ConfigError: names the field and the allowed values.

    >>> config = ExperimentConfig(dataset="xor", layers=(LayerConfig(4, "tanh"),))
    >>> ExperimentConfig.from_dict(config.to_dict()) == config
    True
    >>> ExperimentConfig(dataset="blobs", loss="binary_cross_entropy")
    Traceback (most recent call last):
    nnkit.errors.ConfigError: loss: binary_cross_entropy tells two classes apart and blobs has 4; \
use cross_entropy or one_vs_rest
    """

    task: str = "classification"
    dataset: str = "spirals"
    dataset_settings: Mapping[str, int] = field(default_factory=dict)
    samples: int = 500
    noise: float = 0.1
    imbalance: float = 0.0
    label_noise: float = 0.0
    outliers: float = 0.0
    train_fraction: float = 0.8
    features: tuple[str, ...] = ("x1", "x2")
    standardize: bool = False
    data_seed: int = 0
    init_seed: int = 0
    layers: tuple[LayerConfig, ...] = field(
        default_factory=lambda: (LayerConfig(16), LayerConfig(16))
    )
    loss: str = "binary_cross_entropy"
    optimizer: str = "adam"
    optimizer_settings: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float = 0.03
    batch_size: int = 32
    schedule: str = "constant"
    schedule_settings: Mapping[str, float] = field(default_factory=dict)
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = 0.0
    init: str = "auto"
    patience: int = 0
    target_score: float = 0.0

    def __post_init__(self) -> None:
        _choice("task", self.task, ("classification", "regression"))
        for name, number in LIMITS.items():
            object.__setattr__(self, name, number.check(name, getattr(self, name)))
        if not isinstance(self.standardize, bool):
            got = short(self.standardize)
            raise ConfigError("standardize", f"must be true or false, got {got}")
        self._check_dataset()
        object.__setattr__(self, "layers", _layers(self.layers))
        _choice("loss", self.loss, LOSS_RULES)
        _choice("optimizer", self.optimizer, OPTIMIZER_SETTINGS)
        _choice("schedule", self.schedule, SCHEDULE_SETTINGS)
        _choice("init", self.init, ("auto", *INITIALIZERS))
        for kind, table in (("optimizer", OPTIMIZER_SETTINGS), ("schedule", SCHEDULE_SETTINGS)):
            name, given = getattr(self, kind), getattr(self, f"{kind}_settings")
            object.__setattr__(self, f"{kind}_settings", _settings(kind, name, given, table[name]))
        self._check_combinations()

    def _check_dataset(self) -> None:
        table: Mapping[str, Number] = {}
        if self.dataset != CUSTOM:
            _choice("dataset", self.dataset, DATASETS)
            info = DATASETS[self.dataset]
            if info.task != self.task:
                fitting = ", ".join(name for name, i in DATASETS.items() if i.task == self.task)
                raise ConfigError(
                    "dataset", f"{self.dataset} is for {info.task}; {self.task} takes {fitting}"
                )
            table = info.settings
        settings = _settings("dataset", self.dataset, self.dataset_settings, table)
        object.__setattr__(self, "dataset_settings", settings)
        features = self.features
        if not isinstance(features, (list, tuple)) or not all(isinstance(n, str) for n in features):
            raise ConfigError("features", f"must be a list of names, got {short(features)}")
        object.__setattr__(self, "features", tuple(features))
        if not features:
            raise ConfigError("features", "needs at least one input feature")
        if len(set(features)) < len(features):
            raise ConfigError("features", "names a feature twice")
        if self.dataset != CUSTOM:
            for name in features:
                _choice("features", name, feature_names(DATASETS[self.dataset].dimensions))

    def _check_combinations(self) -> None:
        rule = LOSS_RULES[self.loss]
        if rule.task != self.task:
            fitting = ", ".join(n for n, r in LOSS_RULES.items() if r.task == self.task)
            raise ConfigError(
                "loss", f"{self.loss} is for {rule.task}; {self.task} takes {fitting}"
            )
        classes = self.classes
        if rule.binary_only and classes > 2:
            raise ConfigError(
                "loss",
                f"{self.loss} tells two classes apart and {self.dataset} has {classes}; "
                "use cross_entropy or one_vs_rest",
            )
        if self.task == "regression" and (self.imbalance or self.label_noise):
            name = "imbalance" if self.imbalance else "label_noise"
            raise ConfigError(name, "is for classification only; regression has no classes")
        if self.batch_size < 2 and any(layer.normalization == "batch" for layer in self.layers):
            raise ConfigError(
                "batch_size", "must be at least 2 with batch normalization, which compares examples"
            )
        if self.optimizer_settings.get("nesterov") and not self.optimizer_settings["momentum"]:
            raise ConfigError("nesterov", "needs a momentum above 0")
        if self.samples < 2 * max(classes, 2):
            raise ConfigError("samples", f"must be at least two for each of {classes} classes")

    @property
    def classes(self) -> int:
        """Number of classes of a built-in data set; 0 in regression and where it is custom."""
        if self.task == "regression" or self.dataset == CUSTOM:
            return 0
        settings = self.dataset_settings
        return int(settings.get("classes", settings.get("arms", 2)))

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, checked anew.

        Another data set, optimizer or schedule starts from its own default settings.
        """
        _known(changes, type(self))
        for kind in ("dataset", "optimizer", "schedule"):
            if changes.get(kind, getattr(self, kind)) != getattr(self, kind):
                changes.setdefault(f"{kind}_settings", {})
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["layers"] = [dataclasses.asdict(layer) for layer in self.layers]
        values["features"] = list(self.features)
        for name in ("dataset_settings", "optimizer_settings", "schedule_settings"):
            values[name] = dict(values[name])
        return values

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """The configuration of `to_dict`; fields left out keep their defaults.

        Raises:
            ConfigError: an unknown field, or a value that is not allowed.
        """
        if not isinstance(values, Mapping):
            raise ConfigError("config", f"must be a mapping of fields, got {type(values).__name__}")
        _known(values, cls)
        fields = dict(values)
        if "layers" in fields:
            if not isinstance(fields["layers"], (list, tuple)):
                raise ConfigError("layers", f"must be a list, got {short(fields['layers'])}")
            fields["layers"] = tuple(_layer(item) for item in fields["layers"])
        if isinstance(fields.get("features"), list):
            fields["features"] = tuple(fields["features"])
        return cls(**fields)


def _choice(name: str, value: Any, allowed: Any) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(name, f"must be one of {', '.join(allowed)}; got {short(value)}")


def _known(values: Mapping[Any, Any], cls: type) -> None:
    names = [f.name for f in dataclasses.fields(cls)]
    for name in values:
        if name not in names:
            raise ConfigError(str(name)[:40], f"is no setting; there are {', '.join(names)}")


def _layer(value: Any) -> LayerConfig:
    if isinstance(value, LayerConfig):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError("layers", f"must have units and an activation each, got {short(value)}")
    _known(value, LayerConfig)
    return LayerConfig(**value)


def _layers(layers: Any) -> tuple[LayerConfig, ...]:
    if not isinstance(layers, (list, tuple)):
        raise ConfigError("layers", f"must be a list of layers, got {short(layers)}")
    if len(layers) > MAX_LAYERS:
        raise ConfigError("layers", f"must be at most {MAX_LAYERS}, got {len(layers)}")
    return tuple(_layer(layer) for layer in layers)


def _settings(
    kind: str, owner: str, given: Any, allowed: Mapping[str, Number]
) -> Mapping[str, Any]:
    """All settings of `owner`, a data set, optimizer or schedule, checked; defaults filled in."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{kind}_settings", f"must be a mapping, got {short(given)}")
    for name in given:
        if name not in allowed:
            known = ", ".join(allowed) if allowed else "none"
            raise ConfigError(str(name)[:40], f"is no setting of {owner}, which has {known}")
    return {
        name: number.check(
            name, given.get(name, number.default if not number.whole else int(number.default))
        )
        for name, number in allowed.items()
    }


def default_loss(task: str, classes: int) -> str:
    """The loss that suits a task.

    >>> default_loss("classification", 3), default_loss("regression", 0)
    ('cross_entropy', 'mse')
    """
    if task == "regression":
        return "mse"
    return "binary_cross_entropy" if classes <= 2 else "cross_entropy"


def _recipe(info: DatasetInfo) -> ExperimentConfig:
    units, activation, depth = {
        "spirals": (16, "relu", 2),
        "moons": (8, "relu", 2),
        "gaussians": (4, "tanh", 1),
        "checkerboard": (32, "gelu", 2),
        "arms": (16, "relu", 2),
        "blobs": (8, "relu", 1),
        "sine": (16, "tanh", 2),
        "step": (16, "tanh", 2),
        "polynomial": (16, "relu", 2),
        "sawtooth": (32, "relu", 2),
        "plane": (4, "tanh", 1),
        "bumps": (16, "tanh", 2),
        "ripple": (32, "gelu", 2),
    }.get(info.name, (8, "tanh", 2))
    settings = {name: int(number.default) for name, number in info.settings.items()}
    classes = settings.get("classes", settings.get("arms", 2))
    regression = info.task == "regression"
    return ExperimentConfig(
        task=info.task,
        dataset=info.name,
        dataset_settings=settings,
        noise=0.0 if info.name in ("checkerboard",) else 0.1,
        features=tuple(f"x{i + 1}" for i in range(info.dimensions)),
        layers=(LayerConfig(units, activation),) * depth,
        loss=default_loss(info.task, classes),
        learning_rate=0.01 if regression else 0.03,
    )


def recommended(dataset: str) -> ExperimentConfig:
    """Settings known to solve a built-in data set.

    >>> recommended("xor").layers[0]
    LayerConfig(units=8, activation='tanh', dropout=0.0, normalization='none')
    """
    _choice("dataset", dataset, DATASETS)
    return _recipe(DATASETS[dataset])
