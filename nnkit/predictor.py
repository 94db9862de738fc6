"""A network with all it takes to go from raw inputs to answers, and back from a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from .config import CUSTOM, ExperimentConfig
from .datasets import DATASETS, Dataset, Standardizer, feature_names, make_features
from .errors import ConfigError, DataError, FileError, ShapeError
from .forward import ForwardPass
from .functions import Array
from .modules import sigmoid, softmax
from .network import Network
from .serialization import PathOrFile, load_archive
from .settings import LOSS_RULES
from .tensor import Tensor, no_grad

#: Beyond this a file cannot be one of ours: ten layers of 64 units take less than 1 MiB.
MAX_FILE = 16 * 2**20
MAX_NAMES = 256
#: From so many rows on, outputs are computed as those of a grid are. Matrix products round in
#: another way when the rows are taken in blocks, and a grid and its points should agree.
MANY = 1000


class Predictor:
    """Features, standardization, network and the reading of its outputs.

    Attributes:
        config: the configuration it was trained by.
        network: the `Network`.
        input_names, class_names: what the columns and the classes are called.
        epoch: how many epochs it was trained for.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        input_names: tuple[str, ...],
        class_names: tuple[str, ...],
        standardizer: Standardizer | None,
        generator: np.random.Generator | None = None,
        epoch: int = 0,
    ) -> None:
        self.config, self.epoch = config, epoch
        self.input_names, self.class_names = input_names, class_names
        self.standardizer = standardizer
        outputs = len(class_names) if LOSS_RULES[config.loss].per_class else 1
        self.network = Network(
            len(config.features), config.layers, outputs, init=config.init, generator=generator
        )

    @classmethod
    def untrained(
        cls,
        config: ExperimentConfig,
        data: Dataset,
        train_data: Dataset,
        generator: np.random.Generator,
    ) -> Self:
        """A predictor for `data` with fresh weights; standardization is fitted on training data."""
        standardizer = None
        if config.standardize:
            standardizer = Standardizer().fit(make_features(train_data.inputs, config.features))
        return cls(config, data.input_names, data.class_names, standardizer, generator)

    @property
    def output(self) -> str:
        """The activation that turns outputs into answers: sigmoid, softmax or identity."""
        return LOSS_RULES[self.config.loss].output

    def prepare(self, inputs: ArrayLike) -> Array:
        """Raw inputs (n, d) as the network takes them.

        Raises:
            ShapeError: another number of columns, or values that are not finite numbers, as
                they are or once features are computed from them.
        """
        try:
            with np.errstate(over="ignore"):
                points = np.asarray(inputs, np.float32)
        except (TypeError, ValueError) as error:
            raise ShapeError(f"inputs must be rows of numbers: {error}") from error
        wanted = len(self.input_names)
        if points.ndim == 1 and wanted == 1:
            points = points[:, None]
        if points.ndim != 2 or points.shape[1] != wanted:
            raise ShapeError(
                f"expected inputs of shape (n, {wanted}): {', '.join(self.input_names)}; "
                f"got {points.shape}"
            )
        if not np.isfinite(points).all():
            raise ShapeError("inputs must be finite numbers")
        with np.errstate(over="ignore"):
            columns = make_features(points, self.config.features)
            if self.standardizer is not None:
                columns = self.standardizer.transform(columns)
        if not np.isfinite(columns).all():
            raise ShapeError("inputs are too large: features of them overflow")
        return np.ascontiguousarray(columns, np.float32)

    def logits(self, inputs: ArrayLike) -> Array:
        """The network's raw outputs (n, outputs) for raw inputs (n, d)."""
        x = self.prepare(inputs)
        self.network.eval()
        if len(x) >= MANY:
            return ForwardPass(self.network, x)()[0]
        with no_grad(), np.errstate(all="ignore"):
            outputs: Array = self.network(Tensor(x)).data
        return outputs

    def predict(self, inputs: ArrayLike) -> Array:
        """Answers for raw inputs (n, d).

        Returns:
            With two classes and one output, the probability of the second class, (n,). With an
            output for each class, probabilities (n, classes). In regression, numbers (n,).
        """
        return self.read(self.logits(inputs))

    def read(self, logits: Array) -> Array:
        """Answers from raw outputs, as a new array."""
        columns = self.read_columns(logits)
        return columns[:, 0].copy() if columns.shape[1] == 1 else columns

    def read_columns(self, logits: Array) -> Array:
        """Answers from raw outputs, one column an output unit."""
        with no_grad(), np.errstate(over="ignore"):
            if self.output == "softmax":
                return np.ascontiguousarray(softmax(Tensor(logits)).data)
            if self.output == "sigmoid":
                return np.ascontiguousarray(sigmoid(Tensor(logits)).data)
        return np.array(logits)

    # On disk --------------------------------------------------------------------------------

    def arrays(self) -> dict[str, Array]:
        """All arrays by name: the network's state, and standardization."""
        arrays = self.network.state_dict()
        if self.standardizer is not None:
            arrays["standardizer.mean"] = self.standardizer.mean
            arrays["standardizer.scale"] = self.standardizer.scale
        return arrays

    def description(self, epoch: int) -> dict[str, Any]:
        """All that is needed beside the arrays, as plain data."""
        return {
            "experiment": self.config.to_dict(),
            "input_names": list(self.input_names),
            "class_names": list(self.class_names),
            "silenced": sorted(map(list, self.network.silenced)),
            "epoch": epoch,
        }

    @classmethod
    def load(cls, file: PathOrFile) -> Self:
        """A predictor from a file that `Experiment.save` wrote.

        Raises:
            FileError: a file that is damaged, hostile, or does not hold what its own
                configuration calls for.
        """
        config = load_archive(file, max_bytes=MAX_FILE).config
        predictor: Self = _described(cls, config)
        expected = {n: (a.shape, a.dtype) for n, a in predictor.arrays().items()}
        arrays = dict(load_archive(file, expected, max_bytes=MAX_FILE).arrays)
        if predictor.standardizer is not None:
            mean, scale = arrays.pop("standardizer.mean"), arrays.pop("standardizer.scale")
            try:
                predictor.standardizer = Standardizer(mean, scale)
            except DataError as error:
                raise FileError(f"the standardization in this file: {error}") from error
        for name, array in arrays.items():
            if name.endswith("running_var") and (array < 0).any():
                raise FileError(f"{name}: variances must not be below 0")
        predictor.network.load_state_dict(arrays)
        return predictor


def _described(cls: type[Predictor], description: Mapping[str, Any] | None) -> Any:
    """An untrained predictor for the configuration in a file."""
    if not isinstance(description, Mapping) or "experiment" not in description:
        raise FileError(
            "this file holds weights but no configuration; download it from the Train page, "
            "or load it into a model with model.load(file)"
        )
    try:
        config = ExperimentConfig.from_dict(description["experiment"])
    except ConfigError as error:
        raise FileError(f"the configuration in this file is not valid: {error}") from error
    input_names = _names(description, "input_names")
    class_names = _names(description, "class_names")
    _check_sizes(config, len(input_names), len(class_names))
    epoch = description.get("epoch")
    if not _is_count(epoch):
        raise FileError("the configuration in this file has no valid epoch")
    standardizer = None
    if config.standardize:
        size = len(config.features)
        standardizer = Standardizer(np.zeros(size), np.ones(size))
    predictor = cls(config, input_names, class_names, standardizer, epoch=epoch)
    _silence(predictor.network, description.get("silenced", []))
    return predictor


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _names(description: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = description.get(key)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise FileError(f"the configuration in this file has no list of {key}")
    if len(value) > MAX_NAMES or len(set(value)) < len(value):
        raise FileError(f"the {key} in this file must be at most {MAX_NAMES}, all different")
    return tuple(value)


def _check_sizes(config: ExperimentConfig, inputs: int, classes: int) -> None:
    """Whether so many inputs and classes go with the configuration."""
    if not inputs or not set(config.features) <= set(feature_names(inputs)):
        raise FileError("the features in this file cannot be made of its inputs")
    if (config.task == "classification") != (classes >= 2):
        raise FileError("the class names in this file do not go with its task")
    if LOSS_RULES[config.loss].binary_only and classes > 2:
        raise FileError(f"{config.loss} tells two classes apart, and this file names {classes}")
    if config.dataset != CUSTOM:
        sizes = DATASETS[config.dataset].dimensions, config.classes
        if sizes != (inputs, classes):
            raise FileError(f"the inputs or classes in this file are not those of {config.dataset}")


def _silence(network: Network, places: Any) -> None:
    """Switch off the units that a file lists as [layer, unit]."""
    sizes = [len(block.silencer.mask) for block in network.hidden]
    for place in places if isinstance(places, list) else [places]:
        match place:
            case [layer, unit] if _is_count(layer) and _is_count(unit):
                if layer < len(sizes) and unit < sizes[layer]:
                    network.hidden[layer].silencer.silence(unit, True)
                    continue
        raise FileError("this file silences a unit that its network does not have")


def check_order(predictor: Predictor, data: Dataset) -> None:
    """Refuse data that have the inputs or classes of a network in another order.

    Raises:
        DataError: they have.
    """
    for what, known, given in (
        ("inputs", predictor.input_names, data.input_names),
        ("classes", predictor.class_names, data.class_names),
    ):
        if known != given and sorted(known) == sorted(given):
            raise DataError(
                f"the network was trained with the {what} {', '.join(known)} in this order; "
                f"the data have {', '.join(given)}"
            )
