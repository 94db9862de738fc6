"""Optimizers: rules that turn gradients into changes of the parameters.

The parameters of an optimizer lie one after another in one vector, and so do their gradients and
the optimizer's own memory: a rule is a handful of array calls for the whole network, whatever its
depth. Rules are written in the same namespace `k` as the operations (`nnkit.functions.base`), so
that they can be recorded as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from .errors import ConfigError, GraphError, ShapeError
from .functions import Array, Kernels
from .functions.base import address, kernels
from .tensor import Parameter, Tensor

Numbers = dict[str, Any]

#: Elements that a rule works on at a time, so that its vectors stay in the processor's cache.
BLOCK = 16_384
#: Every so many steps, memories that have decayed to almost nothing are made exactly zero:
#: arithmetic on denormal numbers is many times slower.
FLUSH_EVERY, FLUSH = 128, 1e-20


class Optimizer:
    """Base of the optimizers.

    Args:
        params: parameters, or groups of them: dicts with "params" and options of their own.
        lr: the learning rate.
        weight_decay: adds weight_decay · p to the gradient, the gradient of ½·weight_decay·p².
        l1: adds l1 · sign(p) to the gradient, the gradient of l1·|p|.
        clip_norm: gradients longer than this (all parameters together) are scaled down to it.
        clip_value: each entry of the gradient is limited to ± this.
    """

    #: How many vectors the gradient takes (the first is the gradient itself) and the memory.
    gradient_rows: ClassVar[int] = 1
    memory_rows: ClassVar[int] = 0
    memory_start: float = 0.0

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.clip_norm, self.clip_value = clip_norm, clip_value
        defaults = {"lr": lr, "weight_decay": weight_decay, "l1": l1}
        self.param_groups = [_group(g, defaults) for g in _as_groups(params)]
        self.parameters: list[Parameter] = [p for g in self.param_groups for p in g["params"]]
        if not self.parameters:
            raise ConfigError(
                "params",
                "is empty; layers without in_features get their parameters at the first call, "
                "so call the model once before making the optimizer",
            )
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise ConfigError("params", "a parameter stands in two groups")
        dtypes = {p.dtype for p in self.parameters}
        if len(dtypes) > 1:
            names = ", ".join(sorted(str(d) for d in dtypes))
            raise ConfigError("params", f"must share one dtype, got {names}")
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(name, f"must be above 0 (or None), got {value!r}")
            setattr(self, name, None if value is None else float(value))
        self.steps = 0
        size = sum(p.size for p in self.parameters)
        dtype = dtypes.pop()
        self.flat = aligned((size,), dtype)
        self.gradient = aligned((self.gradient_rows, size), dtype)
        self.memory = aligned((self.memory_rows, size), dtype)
        self.memory[...] = self.memory_start
        self._views: list[Array] = []
        self._gradient_views: list[Array] = []
        self.pack()

    # The learning rate and the other options ------------------------------------------------

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets every group's."""
        rate: float = self.param_groups[0]["lr"]
        return rate

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def option(self, name: str) -> Any:
        """A group option: one number where all groups agree, else a vector over the elements."""
        if len(self.param_groups) == 1:
            return float(self.param_groups[0][name])
        values = [float(group[name]) for group in self.param_groups]
        if all(value == values[0] for value in values):
            return values[0]
        sizes = [sum(p.size for p in group["params"]) for group in self.param_groups]
        # Rates stay float64 until all numbers of a step are known, and are rounded once.
        return np.repeat(np.asarray(values, None if name == "lr" else self.flat.dtype), sizes)

    def variant(self) -> tuple[Any, ...]:
        """All that a recorded rule holds fixed; when it changes, the rule is recorded anew."""
        own = {n: v for n, v in vars(self).items() if isinstance(v, (bool, int, float, tuple))}
        own.pop("steps")
        groups = [
            tuple((n, v) for n, v in g.items() if n not in ("params", "lr"))
            for g in self.param_groups
        ]
        one_rate = len({g["lr"] for g in self.param_groups}) == 1
        return (*sorted(own.items()), self.clip_norm, self.clip_value, tuple(groups), one_rate)

    # Stepping -------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter._grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient by the rule."""
        self.pack()
        present = [p._grad is not None for p in self.parameters]
        for parameter, view in zip(self.parameters, self._gradient_views, strict=True):
            if parameter._grad is not None:
                view[...] = parameter._grad
                parameter._version += 1
        self.steps += 1
        if self.steps % FLUSH_EVERY == 0:
            self.flush()
        dtype = self.flat.dtype
        numbers = {
            name: np.array(value, dtype)
            for name, value in self.numbers(self.option("lr"), float(self.steps)).items()
        }
        k = kernels.get()
        spans = [(0, self.flat.size)] if all(present) else self._spans(present)
        for start, stop in spans:
            self.change(k, start, stop, numbers)

    def change(self, k: Kernels, start: int, stop: int, numbers: Numbers) -> None:
        """Clip the gradients of [start, stop), then run the rule on them block by block."""
        g = self.gradient[0, start:stop]
        if self.clip_value is not None:
            k.maximum(g, -self.clip_value, out=g)
            k.minimum(g, self.clip_value, out=g)
        if self.clip_norm is not None:
            norm = k.sqrt(k.sum(k.square(g), keepdims=True))
            scale = k.divide(self.clip_norm, k.add(norm, 1e-6))
            k.multiply(g, k.minimum(scale, 1.0), out=g)
        decay, l1 = self.option("weight_decay"), self.option("l1")
        for low in range(start, stop, BLOCK):
            part = slice(low, min(low + BLOCK, stop))
            p, gradient, memory = self.flat[part], self.gradient[:, part], self.memory[:, part]
            cut = {n: v[part] if v.shape == self.flat.shape else v for n, v in numbers.items()}
            if _any(decay) or _any(l1):
                self.penalise(k, p, gradient[0], _part(decay, part), _part(l1, part), cut)
            self.update(k, p, gradient, memory, cut)

    def penalise(self, k: Kernels, p: Array, g: Array, decay: Any, l1: Any, n: Numbers) -> None:
        """Add the gradients of the penalties to `g`."""
        if _any(decay):
            k.add(g, k.multiply(p, k.constant(decay)), out=g)
        if _any(l1):
            k.add(g, k.multiply(k.sign(p), k.constant(l1)), out=g)

    def numbers(self, lr: Any, step: Any) -> Numbers:
        """What of the rule depends on the learning rate or the number of the step (from 1).

        Takes numbers, or vectors of them for many steps at once.
        """
        return {"lr": lr}

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        """The rule: change `p` in place. `gradient[0]` is the gradient; the rest is scratch."""
        raise NotImplementedError

    def flush(self) -> None:
        """Turn memories below about 1e-27 into zeros (in float32)."""
        self.memory += FLUSH
        self.memory -= FLUSH

    # Where the vectors lie ------------------------------------------------------------------

    def pack(self) -> None:
        """Make the parameters views of one vector, unless they are already."""
        if self._views and all(
            p._data is v for p, v in zip(self.parameters, self._views, strict=True)
        ):
            return
        self._views, self._gradient_views = [], []
        start = 0
        for p in self.parameters:
            if p.dtype != self.flat.dtype:
                raise ShapeError(
                    f"{p.name or 'a parameter'} became {p.dtype}; make a new optimizer for it"
                )
            view = view_like(p._data, self.flat[start : start + p.size])
            view[...] = p._data
            p._data = view
            self._views.append(view)
            self._gradient_views.append(view_like(view, self.gradient[0, start : start + p.size]))
            start += p.size

    def _spans(self, present: list[bool]) -> list[tuple[int, int]]:
        """Runs of neighbouring elements whose parameters have a gradient."""
        spans: list[tuple[int, int]] = []
        start = 0
        for p, has_gradient in zip(self.parameters, present, strict=True):
            stop = start + p.size
            if has_gradient and spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], stop)
            elif has_gradient:
                spans.append((start, stop))
            start = stop
        return spans

    def state_dict(self) -> dict[str, Any]:
        """The memory and the number of steps, to go on from later."""
        return {"steps": self.steps, "memory": self.memory.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave, for the same parameters."""
        memory, steps = np.asarray(state["memory"], self.memory.dtype), int(state["steps"])
        if memory.shape != self.memory.shape:
            raise ShapeError(
                f"this optimizer's memory has shape {self.memory.shape}, got {memory.shape}"
            )
        self.memory[...] = memory
        self.steps = steps

    def __repr__(self) -> str:
        size = f"{self.flat.size:,} parameters"
        return f"{type(self).__name__}(lr={self.lr:g}, {size})"


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros that start at a multiple of 64 bytes, a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    return np.ndarray(shape, dtype, raw, -address(raw) % 64)


def view_like(array: Array, vector: Array) -> Array:
    """`vector` in the shape of `array`, its elements in the order they have in memory there."""
    if array.T.flags.c_contiguous and not array.flags.c_contiguous:
        return vector.reshape(array.shape[::-1]).T
    return vector.reshape(array.shape)


def _part(option: Any, part: slice) -> Any:
    return option[part] if isinstance(option, np.ndarray) else option


def _any(option: Any) -> bool:
    return bool(option.any()) if isinstance(option, np.ndarray) else option != 0


def _as_groups(params: Iterable[Any]) -> list[dict[str, Any]]:
    if isinstance(params, Tensor):
        raise ConfigError("params", "must be a list of parameters, such as model.parameters()")
    given = list(params)
    if not given or not isinstance(given[0], Mapping):
        given = [{"params": given}]
    return [dict(group) for group in given]


def _group(group: dict[str, Any], defaults: dict[str, float]) -> dict[str, Any]:
    if "params" not in group:
        raise ConfigError("params", f"is missing in a group that has {', '.join(group)}")
    params = group.pop("params")
    params = [params] if isinstance(params, Tensor) else list(params)
    unknown = [name for name in group if name not in defaults]
    if unknown:
        raise ConfigError(unknown[0], f"is no group option; there are {', '.join(defaults)}")
    options = defaults | group
    for name, value in options.items():
        if not np.isfinite(value) or value < 0:
            raise ConfigError(name, f"must be a number from 0, got {value!r}")
    for p in params:
        if not isinstance(p, Tensor):
            raise ConfigError("params", f"must be parameters, got {type(p).__name__}")
        if p._node is not None:
            raise GraphError("an optimizer changes leaves; this tensor is the result of operations")
    return {"params": params, **options}


def _powers(base: float, steps: Any) -> Any:
    """base ** steps; Python's own power, because np.power rounds one number unlike many."""
    if isinstance(steps, float):
        return base**steps
    return np.array([base**step for step in steps.ravel().tolist()]).reshape(steps.shape)


def _fraction(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ConfigError(name, f"must be at least 0 and below 1, got {value!r}")
    return float(value)


class SGD(Optimizer):
    """Gradient descent: p ← p - lr·g, with momentum p ← p - lr·v, v ← momentum·v + g.

    With `nesterov`, p ← p - lr·(g + momentum·v) (Sutskever et al., 2013). As in PyTorch, the
    first step takes v = g, so `dampening` counts from the second.

    >>> p = Parameter([1.0])
    >>> (p * p).sum().backward()
    >>> SGD([p], lr=0.25).step()
    >>> p.data
    array([0.5], dtype=float32)
    """

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
        self.momentum, self.dampening = _fraction("momentum", momentum), float(dampening)
        self.nesterov = nesterov
        if nesterov and (not momentum or dampening):
            raise ConfigError("nesterov", "needs a momentum above 0 and no dampening")
        self.memory_rows = 1 if momentum else 0  # type: ignore[misc]
        super().__init__(params, lr, weight_decay=weight_decay, **options)

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
    of the formula is two numbers a step:

        p ← p - a·M/(√V + e),  c = √((1 - β₂ᵗ)/(1 - β₂)),  a = lr·c·(1 - β₁)/(1 - β₁ᵗ),  e = eps·c

    >>> p = Parameter([1.0])
    >>> (p * p).sum().backward()
    >>> Adam([p], lr=0.25).step()
    >>> p.data
    array([0.75], dtype=float32)
    """

    gradient_rows, memory_rows = 2, 2

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
        self.eps = float(eps)
        super().__init__(params, lr, weight_decay=weight_decay, **options)

    @property
    def betas(self) -> tuple[float, float]:
        """The decay of the averages of g and of g²."""
        return self._betas

    @betas.setter
    def betas(self, values: tuple[float, float]) -> None:
        self._betas = (_fraction("betas", values[0]), _fraction("betas", values[1]))
        self._decay: dict[int, Array] = {}

    def numbers(self, lr: Any, step: Any) -> Numbers:
        b1, b2 = self.betas
        scale = np.sqrt((1 - _powers(b2, step)) / (1 - b2))
        return {
            "rate": lr * (scale * ((1 - b1) / (1 - _powers(b1, step)))),
            "eps": self.eps * scale,
        }

    def update(
        self, k: Kernels, p: Array, gradient: Array, memory: Array, numbers: Numbers
    ) -> None:
        k.square(gradient[0], out=gradient[1])
        size = p.size
        if size not in self._decay:  # in full size: twice as fast as broadcasting two numbers
            self._decay[size] = np.repeat(np.array(self.betas, p.dtype), size).reshape(2, size)
        k.multiply(memory, k.constant(self._decay[size]), out=memory)
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
        if _any(decay):
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
        self.alpha, self.eps = _fraction("alpha", alpha), float(eps)
        self.momentum, self.centered = _fraction("momentum", momentum), centered
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
        self.lr_decay, self.eps = float(lr_decay), float(eps)
        self.memory_start = initial_accumulator_value
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
        self.rho, self.eps = _fraction("rho", rho), float(eps)
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

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": AdaGrad,
    "adadelta": AdaDelta,
}


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their common length is at most `max_norm`.

    Returns the length before (Pascanu et al., 2013).
    """
    with_gradient = [(p, p._grad) for p in parameters if p._grad is not None]
    norm = float(np.sqrt(sum(float(np.square(g).sum()) for _, g in with_gradient)))
    scale = max_norm / (norm + 1e-6)
    if scale < 1:
        for p, gradient in with_gradient:
            p._grad = gradient * p.dtype.type(scale)
    return norm


def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Limit every entry of every gradient to ±`clip_value`."""
    for p in parameters:
        if p._grad is not None:
            p._grad = np.clip(p._grad, -clip_value, clip_value)
