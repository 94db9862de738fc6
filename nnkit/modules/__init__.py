"""Layers and networks."""

from .activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
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
from .base import Layer, Module
from .containers import Sequential
from .linear import Dense, Linear
from .normalization import BatchNorm, Dropout, Flatten, LayerNorm

__all__ = [
    "ELU", "GELU", "BatchNorm", "Dense", "Dropout", "Flatten", "Identity", "Layer", "LayerNorm",
    "LeakyReLU", "Linear", "LogSoftmax", "Module", "ReLU", "Sequential", "SiLU", "Sigmoid", "Sine",
    "Softmax", "Softplus", "Tanh", "elu", "gelu", "identity", "leaky_relu", "log_softmax", "relu",
    "sigmoid", "silu", "sine", "softmax", "softplus", "tanh",
]  # fmt: skip
