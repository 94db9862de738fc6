"""The optimizers: each is its rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ConfigError, ShapeError
from ..functions import Array, Kernels
from ..settings import number
from .base import Numbers, Optimizer, differs_from_zero


def _powers(base: float, steps: Any) -> Any:
    """base ** steps for steps from 1: np.exp gives one number and many the same bits."""
    return np.exp(steps * math.log(base)) if base else 0.0 * steps


class SGD(Optimizer):
    """Gradient descent: p ← p - lr·g, with momentum p ← p - lr·v, v ← momentum·v + g.

    With `nesterov`, p ← p - lr·(g + momentum·v) (Sutskever et al., 2013). As in PyTorch, the
    first step takes v = g, so `dampening` counts from the second. Steps are the optimizer's: a
    parameter that has its first gradient later takes part from there on.

    >>> from nnkit import Parameter
    >>> p = Parameter([1.0])
    >>> (p * p).sum().backward()
    >>> SGD([p], lr=0.25).step()
    >>> p.data
    array([0.5], dtype=float32)
    """

    number_fields = ("dampening",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
        **options: Any,
    ) -> None:
        self.memory_rows = 1 if number("momentum", momentum, 0, 1) else 0  # type: ignore[misc]
        self.momentum = momentum
        self.dampening = number("dampening", dampening)
        self.nesterov = nesterov
        if nesterov and (not momentum or dampening):
            raise ConfigError("nesterov", "needs a momentum above 0 and no dampening")
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    @property
    def momentum(self) -> float:
        """What is kept of v at each step."""
        return self._momentum

    @momentum.setter
    def momentum(self, value: float) -> None:
        value = number("momentum", value, 0, 1)
        if value and not self.memory_rows:
            raise ConfigError("momentum", "was 0 when this optimizer was made; make a new one")
        self._momentum = value

    def numbers(self, lr: Any, step: Any) -> Numbers:
        if not self.dampening:
            return {"lr": lr}
        return {"lr": lr, "fresh": np.where(np.asarray(step) == 1, 1.0, 1 - self.dampening)}

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        g = gradient[0]
        if self.momentum:
            v = memory[0]
            k.multiply(v, self.momentum, out=v)
            k.add(v, k.multiply(g, numbers["fresh"]) if self.dampening else g, out=v)
            g = k.add(g, k.multiply(v, self.momentum)) if self.nesterov else v
        k.subtract(p, k.multiply(g, numbers["lr"]), out=p)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015): p ← p - lr·m̂/(√v̂ + eps).

    m̂ and v̂ are running averages of g and g², divided by 1 - βᵗ. Kept here are M = m/(1 - β₁)
    and V = v/(1 - β₂), because M ← β₁M + g and V ← β₂V + g² take both in two calls; what is left
    of the formula is two numbers a step, with t the number of the optimizer's steps (also for a
    parameter that has its first gradient later):

        p ← p - a·M/(√V + e),  c = √((1 - β₂ᵗ)/(1 - β₂)),  a = lr·c·(1 - β₁)/(1 - β₁ᵗ),  e = eps·c

    >>> from nnkit import Parameter
    >>> p = Parameter([1.0])
    >>> (p * p).sum().backward()
    >>> Adam([p], lr=0.25).step()
    >>> p.data
    array([0.75], dtype=float32)
    """

    gradient_rows, memory_rows = 2, 2
    working_fields = Optimizer.working_fields | {"_decay"}
    number_fields = ("_betas", "eps")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        self.betas = betas
        self.eps = number("eps", eps)
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    @property
    def betas(self) -> tuple[float, float]:
        """The decay of the averages of g and of g²."""
        return self._betas

    @betas.setter
    def betas(self, values: tuple[float, float]) -> None:
        if not isinstance(values, (tuple, list)) or len(values) != 2:
            raise ConfigError("betas", f"must be two numbers, got {values!r}")
        before = getattr(self, "_betas", None)
        self._betas = (number("betas", values[0], 0, 1), number("betas", values[1], 0, 1))
        self._decay: dict[int, Array] = {}
        if before is not None:
            self._rescale(before)

    def _rescale(self, before: tuple[float, float]) -> None:
        """Keep m and v as they are where the memory holds them by other betas."""
        for row, old, new in zip(self.memory, before, self._betas, strict=True):
            if old != new:
                row *= (1 - old) / (1 - new)

    def state_dict(self) -> dict[str, Any]:
        """The memory, the betas that it was made with and the number of steps."""
        return super().state_dict() | {"betas": self._betas}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, for the same parameters; the betas stay."""
        before = tuple(state.get("betas", self._betas))
        if len(before) != 2:
            raise ShapeError(f"the betas of a state are two numbers, got {before}")
        super().load_state_dict(state)
        self._rescale(before)

    def numbers(self, lr: Any, step: Any) -> Numbers:
        b1, b2 = self._betas
        c = np.sqrt((1 - _powers(b2, step)) / (1 - b2))
        return {"rate": lr * (c * (1 - b1) / (1 - _powers(b1, step))), "eps": self.eps * c}

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        k.square(gradient[0], out=gradient[1])
        decay = self._decay.get(p.size)
        if decay is None:  # in full size: twice as fast as broadcasting two numbers
            decay = np.repeat(np.array(self.betas, p.dtype), p.size).reshape(2, p.size)
            self._decay[p.size] = decay
        k.multiply(memory, k.constant(decay), out=memory)
        k.add(memory, gradient, out=memory)
        change = k.sqrt(memory[1])
        change = k.add(change, numbers["eps"], out=change)
        change = k.divide(memory[0], change, out=change)
        change = k.multiply(change, numbers["rate"], out=change)
        k.subtract(p, change, out=p)


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p - lr·weight_decay·p first, then Adam's step.

    Loshchilov and Hutter, 2019. The decay does not pass through Adam's averages.
    """

    number_fields = Adam.number_fields

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, **options)

    def numbers(self, lr: Any, step: Any) -> Numbers:
        return super().numbers(lr, step) | {"lr": lr}

    def penalise(self, k: Kernels, p: Array, g: Array, decay: Any, l1: Any, n: Numbers) -> None:
        super().penalise(k, p, g, 0.0, l1, n)
        if differs_from_zero(decay):
            lost = k.multiply(n["lr"], k.constant(decay))
            k.multiply(p, k.subtract(1.0, lost), out=p)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012): p ← p - lr·g/(√v + eps), v ← alpha·v + (1 - alpha)·g².

    `centered` takes the running mean of g, squared, off v; `momentum` keeps a velocity of the
    scaled gradients.
    """

    memory_rows = 3

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Any,
    ) -> None:
        self.alpha, self.eps = number("alpha", alpha, 0, 1), number("eps", eps)
        self.momentum, self.centered = number("momentum", momentum, 0, 1), centered
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        g, (squares, velocity, mean) = gradient[0], memory
        fresh = k.square(g)
        fresh = k.multiply(fresh, 1 - self.alpha, out=fresh)
        k.multiply(squares, self.alpha, out=squares)
        k.add(squares, fresh, out=squares)
        if self.centered:
            k.multiply(mean, self.alpha, out=mean)
            k.add(mean, k.multiply(g, 1 - self.alpha), out=mean)
            below = k.subtract(squares, k.square(mean))
            below = k.sqrt(k.maximum(below, 0.0, out=below), out=below)
        else:
            below = k.sqrt(squares)
        change = k.divide(g, k.add(below, self.eps, out=below), out=below)
        if self.momentum:
            k.multiply(velocity, self.momentum, out=velocity)
            change = k.add(velocity, change, out=velocity)
        k.subtract(p, k.multiply(change, numbers["lr"]), out=p)


class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al., 2011): p ← p - lr·g/(√s + eps), s ← s + g².

    With `lr_decay`, the rate falls as lr/(1 + (t - 1)·lr_decay).
    """

    memory_rows = 1
    number_fields = ("lr_decay",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        **options: Any,
    ) -> None:
        self.lr_decay, self.eps = number("lr_decay", lr_decay), number("eps", eps)
        self.memory_start = number("initial_accumulator_value", initial_accumulator_value)
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    def numbers(self, lr: Any, step: Any) -> Numbers:
        return {"lr": lr / (1 + (step - 1) * self.lr_decay)}

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        g, (total,) = gradient[0], memory
        k.add(total, k.square(g), out=total)
        change = k.sqrt(total)
        change = k.divide(g, k.add(change, self.eps, out=change), out=change)
        k.subtract(p, k.multiply(change, numbers["lr"], out=change), out=p)


class AdaDelta(Optimizer):
    """AdaDelta (Zeiler, 2012): p ← p - lr·√(d + eps)/√(v + eps)·g.

    v and d are running averages of g² and of the squared changes, with decay rho.
    """

    memory_rows = 2

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **options: Any,
    ) -> None:
        self.rho, self.eps = number("rho", rho, 0, 1), number("eps", eps)
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        g, (squares, changes) = gradient[0], memory
        k.multiply(squares, self.rho, out=squares)
        k.add(squares, k.multiply(k.square(g), 1 - self.rho), out=squares)
        change = k.sqrt(k.add(changes, self.eps))
        change = k.divide(change, k.sqrt(k.add(squares, self.eps)), out=change)
        change = k.multiply(change, g, out=change)
        k.multiply(changes, self.rho, out=changes)
        k.add(changes, k.multiply(k.square(change), 1 - self.rho), out=changes)
        k.subtract(p, k.multiply(change, numbers["lr"]), out=p)


Adagrad, Adadelta = AdaGrad, AdaDelta

OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType({
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
})  # fmt: skip
