"""Every differentiable operation, on plain arrays: forward and backward side by side."""

from .activations import (
    ELU,
    GELU,
    GELUTanh,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .base import Array, Function, Kernels, kernels, unbroadcast
from .elementwise import (
    Abs,
    Add,
    Cast,
    Clip,
    Cos,
    Divide,
    Exp,
    Log,
    Maximum,
    Minimum,
    Multiply,
    Negative,
    Power,
    PowerOf,
    Sin,
    Sqrt,
    Subtract,
    Where,
)
from .linear import Linear, LinearWithoutBias, MatMul
from .losses import (
    AbsoluteError,
    BinaryCrossEntropyError,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    HingeError,
    HuberError,
    SquaredError,
)
from .normalization import BatchStatistics, Dropout, Normalize
from .shape import Concatenate, Identity, Index, Max, Mean, Reshape, Stack, Sum, Transpose

__all__ = [name for name in dir() if name[0].isupper()] + ["kernels", "unbroadcast"]
