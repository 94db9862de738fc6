"""nnkit: neural networks from scratch on NumPy alone."""
from .losses import *
from .modules import *
from .optim import *
from .tensor import Parameter, Tensor, no_grad
from .operations import *
from .training import *
from .schedules import *
