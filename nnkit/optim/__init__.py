"""Optimizers: rules that turn gradients into changes of the parameters."""

from .base import BLOCK, FLUSH_EVERY, Optimizer
from .clipping import clip_grad_norm_, clip_grad_value_
from .rules import (
    OPTIMIZERS,
    SGD,
    AdaDelta,
    Adadelta,
    AdaGrad,
    Adagrad,
    Adam,
    AdamW,
    RMSprop,
)

__all__ = [
    "BLOCK",
    "FLUSH_EVERY",
    "OPTIMIZERS",
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]
