"""From a configuration to its parts: data, loss, targets, score, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from . import metrics
from .config import ExperimentConfig
from .datasets import Dataset, make_dataset
from .functions import Array
from .functions.base import NUMPY_KERNELS
from .losses import LOSSES, Loss
from .optim import OPTIMIZERS, Optimizer
from .schedules import SCHEDULES, Schedule
from .settings import LOSS_RULES
from .tensor import Parameter


def draw_data(config: ExperimentConfig) -> Dataset:
    """The built-in data set that the configuration describes."""
    return make_dataset(
        config.dataset,
        samples=config.samples,
        noise=config.noise,
        seed=config.data_seed,
        imbalance=config.imbalance,
        label_noise=config.label_noise,
        outliers=config.outliers,
        **config.dataset_settings,
    )


_LOSS_MODULES = {
    "binary_cross_entropy": "bce_with_logits",
    "one_vs_rest": "bce_with_logits",
}


def make_loss(name: str) -> Loss:
    """The loss module of a name in `LOSS_RULES`."""
    return LOSSES[_LOSS_MODULES.get(name, name)]()


def targets_for(loss: str, data: Dataset) -> Array:
    """The data's targets in the form that the loss takes."""
    rule = LOSS_RULES[loss]
    if loss == "cross_entropy":
        return data.targets.astype(np.float32)
    if rule.per_class:
        one_hot: Array = np.eye(data.classes, dtype=np.float32)[data.targets]
        return one_hot
    column: Array = data.targets.astype(np.float32)[:, None]
    return 2 * column - 1 if loss == "hinge" else column


def mean_loss(loss: Loss, logits: Array, targets: Array) -> float:
    """The mean of the losses, added up in float64."""
    with np.errstate(all="ignore"):
        losses, _ = loss.function.forward(NUMPY_KERNELS, logits, targets)
    return float(losses.mean(dtype=np.float64))


def score(loss: str, logits: Array, data: Dataset) -> float:
    """Accuracy of logits, or R² of predicted numbers."""
    if data.task == "regression":
        return metrics.r2_score(logits, data.targets)
    return float(np.mean(likeliest(logits, 0.0) == data.targets))


def likeliest(scores: Array, even: float = 0.5) -> Array:
    """The number of the likeliest class, over the last axis; of two that tie, the second.

    A single column is the score of the second of two classes, which wins from `even` on.
    """
    if scores.shape[-1] == 1:
        return np.asarray(scores[..., 0] >= even).astype(int)
    if scores.shape[-1] == 2:
        return np.asarray(scores[..., 1] >= scores[..., 0]).astype(int)
    return np.asarray(scores.argmax(axis=-1))


def penalties(config: ExperimentConfig, parameter: Parameter) -> dict[str, float]:
    """The optimizer's options for one parameter: L1 and L2 are for weights, not for biases.

    An optimizer's own weight decay (that of AdamW, which is not L2) is for all.
    """
    own = float(config.optimizer_settings.get("weight_decay", 0.0))
    if parameter.ndim < 2:
        return {"l1": 0.0, "weight_decay": own}
    return {"l1": config.l1, "weight_decay": own + config.l2}


def make_optimizer(config: ExperimentConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """The optimizer with its settings, each parameter in a group with its penalties."""
    options: dict[str, Any] = dict(config.optimizer_settings)
    options.pop("weight_decay", None)
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    if "nesterov" in options:
        options["nesterov"] = bool(options["nesterov"])
    groups = [{"params": [p], **penalties(config, p)} for p in parameters]
    return OPTIMIZERS[config.optimizer](
        groups, lr=config.learning_rate, clip_norm=config.clip_norm or None, **options
    )


def make_schedule(config: ExperimentConfig, optimizer: Optimizer) -> Schedule | None:
    """The schedule of the learning rate, or None where that stays as it is set."""
    if config.schedule == "constant":
        return None
    return SCHEDULES[config.schedule](optimizer, **_schedule_options(config))


def _schedule_options(config: ExperimentConfig) -> dict[str, Any]:
    settings = dict(config.schedule_settings)
    match config.schedule:
        case "cosine":
            return {"T_max": settings["epochs"]}
        case "one_cycle":
            return {"max_lr": config.learning_rate, "total_steps": settings["epochs"]}
        case "warmup":
            return {"total_iters": settings["epochs"]}
        case _:
            return settings
