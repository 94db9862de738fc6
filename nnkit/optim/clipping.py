"""Clipping gradients by hand; optimizers take `clip_norm` and `clip_value` as options."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..tensor import Tensor
from .base import each


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their common length is at most `max_norm`.

    Returns the length before (Pascanu et al., 2013).
    """
    with_gradient = [(p, p.grad) for p in each(parameters) if p.grad is not None]
    norm = float(np.sqrt(sum(float(np.square(g).sum()) for _, g in with_gradient)))
    scale = max_norm / (norm + 1e-6)
    if scale < 1:
        for p, gradient in with_gradient:
            p.grad = gradient * p.dtype.type(scale)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every entry of every gradient to ±`clip_value`."""
    for p in each(parameters):
        if p.grad is not None:
            p.grad = np.clip(p.grad, -clip_value, clip_value)
