"""nnkit: neural networks from scratch on NumPy alone.

Everything is importable from here, and lives in the module named for it: tensors in
`nnkit.tensor`, layers in `nnkit.modules`, then `losses`, `optim`, `schedules`, `training`,
`gradcheck`, `graph`, `metrics`, `datasets`, `serialization`, `experiment`; but reports on trained
networks are imported from `nnkit.evaluation`, as `evaluate` here is the loss over a data set.
Examples to run are in `nnkit.examples`: `python -m nnkit.examples.xor`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    ConfigError,
    DataError,
    ExpressionError,
    FileError,
    GraphError,
    NnkitError,
    ShapeError,
)
from .gradcheck import GradientEntry, GradientReport, gradient_check
from .graph import Graph, GraphEdge, GraphNode, read_graph
from .init import INITIALIZERS
from .losses import (
    L1,
    LOSSES,
    MSE,
    BCELoss,
    BCEWithLogitsLoss,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    CrossEntropyLoss,
    Hinge,
    HingeLoss,
    Huber,
    HuberLoss,
    L1Loss,
    Loss,
    MSELoss,
    binary_cross_entropy_loss,
    binary_cross_entropy_with_logits,
    cross_entropy_loss,
    hinge_loss,
    huber_loss,
    l1_loss,
    mse_loss,
)
from .metrics import (
    CalibrationCurve,
    RocCurve,
    accuracy,
    calibration_curve,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision,
    r2_score,
    recall,
    roc_auc,
    roc_curve,
    root_mean_squared_error,
)
from .modules import (
    ELU,
    GELU,
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Sine,
    Softmax,
    Softplus,
    Tanh,
    elu,
    gelu,
    identity,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    sine,
    softmax,
    softplus,
    tanh,
)
from .modules.activations import ACTIVATIONS
from .neural_network import NeuralNetwork
from .operations import (
    absolute,
    clip,
    concatenate,
    cos,
    exp,
    log,
    maximum,
    minimum,
    power,
    sin,
    sqrt,
    stack,
    where,
)
from .optim import (
    OPTIMIZERS,
    SGD,
    AdaDelta,
    Adadelta,
    AdaGrad,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
    clip_grad_norm_,
    clip_grad_value_,
)
from .schedules import (
    SCHEDULES,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    Schedule,
    StepLR,
)
from .step import TrainingStep
from .tensor import Parameter, Tensor, no_grad
from .training import (
    Progress,
    create_network,
    evaluate,
    fit,
    train_epochs,
    train_one_step,
    update_module,
)

if TYPE_CHECKING:
    from .config import ExperimentConfig, LayerConfig, recommended
    from .datasets import (
        DATASETS,
        FEATURES,
        Dataset,
        DatasetInfo,
        Standardizer,
        from_formula,
        from_points,
        from_values,
        k_folds,
        make_dataset,
        make_features,
        random_points,
        read_csv,
        read_table,
        split,
        to_csv,
        twospirals,
    )
    from .experiment import Experiment
    from .predictor import Predictor
    from .serialization import Archive, load_archive, save_archive
    from .validation import cross_validate, summarize
    from .walkthrough import walk_through, walk_through_expression

#: What is imported at its first use: data, files, experiments, walks through a formula.
_NAMES = {
    "config": "ExperimentConfig LayerConfig recommended",
    "datasets": (
        "DATASETS Dataset DatasetInfo FEATURES Standardizer from_formula from_points from_values "
        "k_folds make_dataset make_features random_points read_csv read_table split to_csv "
        "twospirals"
    ),
    "experiment": "Experiment",
    "predictor": "Predictor",
    "serialization": "Archive load_archive save_archive",
    "validation": "cross_validate summarize",
    "walkthrough": "walk_through walk_through_expression",
}
_LATER = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ACTIVATIONS", "DATASETS", "ELU", "FEATURES", "GELU", "INITIALIZERS", "L1", "LOSSES", "MSE",
    "OPTIMIZERS", "SCHEDULES", "SGD", "AdaDelta", "AdaGrad", "Adadelta", "Adagrad", "Adam", "AdamW",
    "Archive", "BCELoss", "BCEWithLogitsLoss", "BatchNorm", "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits", "CalibrationCurve", "ConfigError", "CosineAnnealingLR",
    "CrossEntropy", "CrossEntropyLoss", "DataError", "Dataset", "DatasetInfo", "Dense", "Dropout",
    "Experiment", "ExperimentConfig", "ExponentialLR", "ExpressionError", "FileError", "Flatten",
    "GradientEntry", "GradientReport", "Graph", "GraphEdge", "GraphError", "GraphNode", "Hinge",
    "HingeLoss", "Huber", "HuberLoss", "Identity", "L1Loss", "Layer", "LayerConfig", "LayerNorm",
    "LeakyReLU", "Linear", "LinearLR", "LinearWarmup", "LogSoftmax", "Loss", "MSELoss", "Module",
    "NeuralNetwork", "NnkitError", "OneCycleLR", "Optimizer", "Parameter", "Predictor", "Progress",
    "RMSprop", "ReLU", "ReduceLROnPlateau", "RocCurve", "Schedule", "Sequential", "ShapeError",
    "SiLU", "Sigmoid", "Sine", "Softmax", "Softplus", "Standardizer", "StepLR", "Tanh", "Tensor",
    "TrainingStep", "absolute", "accuracy", "binary_cross_entropy_loss",
    "binary_cross_entropy_with_logits", "calibration_curve", "clip", "clip_grad_norm_",
    "clip_grad_value_", "concatenate", "confusion_matrix", "cos", "create_network",
    "cross_entropy_loss", "cross_validate", "elu", "evaluate", "exp", "f1_score", "fit",
    "from_formula", "from_points", "from_values", "gelu", "gradient_check", "hinge_loss",
    "huber_loss", "identity", "k_folds", "l1_loss", "leaky_relu", "load_archive", "log",
    "log_softmax", "make_dataset", "make_features", "maximum", "mean_absolute_error",
    "mean_squared_error", "minimum", "mse_loss", "no_grad", "power", "precision", "r2_score",
    "random_points", "read_csv", "read_graph", "read_table", "recall", "recommended", "relu",
    "roc_auc", "roc_curve", "root_mean_squared_error", "save_archive", "sigmoid", "silu", "sin",
    "sine", "softmax", "softplus", "split", "sqrt", "stack", "summarize", "tanh", "to_csv",
    "train_epochs", "train_one_step", "twospirals", "update_module", "walk_through",
    "walk_through_expression", "where",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
