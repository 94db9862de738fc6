"""Optimizers: rules that turn gradients into changes of the parameters.

The parameters of an optimizer lie one after another in one vector, and so do their gradients and
the optimizer's own memory: a rule is a handful of array calls for the whole network, whatever its
depth. Rules are written in the same namespace `k` as the operations (`nnkit.functions.base`), so
that they can be recorded as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar

import numpy as np

from ..errors import ConfigError, GraphError, ShapeError
from ..functions import Array, Kernels
from ..functions.base import current_kernels
from ..functions.memory import aligned, view_like
from ..settings import number
from ..tensor import Parameter, Tensor, native
from .page import LENGTH, Page

Numbers = dict[str, Any]
#: A stretch of elements, and the parameters, gradients and memory there.
Cut = tuple[slice, Array, Array, Array]

#: Elements that a rule works on at a time, so that its vectors stay in the processor's cache.
BLOCK = 16_384
#: Every so many steps, memories that have decayed to almost nothing are made exactly zero:
#: arithmetic on denormal numbers is many times slower.
FLUSH_EVERY, FLUSH = 128, 1e-20


class Optimizer:
    """Base of the optimizers.

    It moves the parameters into one vector: `p.data` has the same values in another place then.

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
    #: Attributes that change as it works, or follow from others.
    working_fields: ClassVar[frozenset[str]] = frozenset((
        "param_groups", "parameters", "steps", "flat", "gradient", "memory",
        "_places", "_present", "_all_present", "_cuts", "_page", "_page_basis",
    ))  # fmt: skip

    #: The attributes that `numbers` reads. They are read by `_basis`, which is None for a class
    #: that has `numbers` of its own and does not say this again: those are worked out at each step.
    number_fields: ClassVar[tuple[str, ...]] = ()
    _basis: ClassVar[attrgetter[Any] | None] = attrgetter("number_fields")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for part in cls.__mro__:
            if "number_fields" in vars(part):
                # With no name to get, attrgetter wants one that says nothing.
                cls._basis = attrgetter(*cls.number_fields or ("number_fields",))
                break
            if "numbers" in vars(part):
                cls._basis = None
                break

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
            if value is not None:
                setattr(self, name, number(name, value, 0, ends="(]", note=" (or None)"))
        self.steps = 0
        size = sum(p.size for p in self.parameters)
        dtype = dtypes.pop()
        self.flat = aligned((size,), dtype)
        self.gradient = aligned((self.gradient_rows, size), dtype)
        self.memory = aligned((self.memory_rows, size), dtype)
        self.memory[...] = self.memory_start
        #: Of each parameter, the views over `flat` and `gradient` that are its own.
        self._places: list[tuple[Parameter, Array, Array]] = []
        self._present: list[bool] = []
        self._all_present = [True] * len(self.parameters)
        self._cuts: list[Cut] = []
        self._page: Page | None = None
        self._page_basis: Any = None  # what it follows from
        self.pack()

    # The learning rate and the other options ------------------------------------------------

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets every group's."""
        rate: float = self.param_groups[0]["lr"]
        return rate

    @lr.setter
    def lr(self, value: float) -> None:
        value = number("lr", value)
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

    def fixed_options(self) -> tuple[Any, ...]:
        """What a recorded rule takes for granted: the groups' options, and whether rates differ."""
        options = [
            [v for n, v in g.items() if n not in ("params", "lr")] for g in self.param_groups
        ]
        return options, len(options) == 1 or len({g["lr"] for g in self.param_groups}) == 1

    # Stepping -------------------------------------------------------------------------------

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter._grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient by the rule."""
        present = self._gather()
        self.steps += 1
        if self.steps % FLUSH_EVERY == 0:
            self.flush()
        self.change(current_kernels(), present, self._numbers_now())

    def _gather(self) -> list[bool]:
        """Copy the gradients into their vector; returns which parameters have one."""
        if not self._places:  # of a copied optimizer
            self.pack()
        complete = True
        for parameter, home, view in self._places:
            if parameter._data is not home:
                self.pack()
                return self._gather()
            gradient = parameter._grad
            if gradient is None:
                view.fill(0)
                complete = False
            else:
                view[...] = gradient
                parameter._version += 1
        if complete:
            return self._all_present
        return [parameter._grad is not None for parameter in self.parameters]

    def _numbers_now(self) -> Numbers:
        """The numbers of this step: worked out for many at once, while the learning rate stays."""
        groups, basis_of = self.param_groups, self._basis
        if basis_of is None or len(groups) > 1:
            return self._numbers_alone()
        rate = float(groups[0]["lr"])
        basis = rate, basis_of(self)
        if basis != self._page_basis:  # perhaps it changes at every step: not worth a page yet
            self._page_basis, self._page = basis, None
            return self._numbers_alone()
        page = self._page
        if page is None or not 0 <= self.steps - page.first < LENGTH:
            steps = np.arange(self.steps, self.steps + LENGTH, dtype=np.float64)
            page = self._page = Page(self.steps, self.numbers(rate, steps), self.flat.dtype)
        page.now[...] = page.lines[self.steps - page.first]
        return page.numbers

    def _numbers_alone(self) -> Numbers:
        numbers = self.numbers(self.option("lr"), float(self.steps))
        return {name: np.array(value, self.flat.dtype) for name, value in numbers.items()}

    def change(self, k: Kernels, present: list[bool], numbers: Numbers) -> None:
        """Clip the gradient, then run the rule on the parameters that have one."""
        if self.clip_value is not None or self.clip_norm is not None:
            self._clip(k)
        cuts = self._cuts if present is self._present else self._blocks(present)
        groups = self.param_groups
        if len(groups) == 1 and not groups[0]["weight_decay"] and not groups[0]["l1"]:
            for _, p, gradient, memory in cuts:
                self.update(k, p, gradient, memory, numbers)
            return
        if sum(len(group["params"]) for group in groups) != len(self.parameters):
            raise ConfigError(
                "param_groups", "has other parameters than at the start; make a new optimizer"
            )
        decay, l1 = self.option("weight_decay"), self.option("l1")
        for part, p, gradient, memory in cuts:
            # Numbers may be vectors where there are several groups.
            cut = {n: v[part] if v.shape == self.flat.shape else v for n, v in numbers.items()}
            self.penalise(k, p, gradient[0], _part(decay, part), _part(l1, part), cut)
            self.update(k, p, gradient, memory, cut)

    def _clip(self, k: Kernels) -> None:
        g = self.gradient[0]
        if self.clip_value is not None:
            k.maximum(g, -self.clip_value, out=g)
            k.minimum(g, self.clip_value, out=g)
        if self.clip_norm is not None:
            norm = k.sqrt(k.sum(k.square(g), keepdims=True))
            scale = k.divide(self.clip_norm, k.add(norm, 1e-6))
            k.multiply(g, k.minimum(scale, 1.0), out=g)

    def penalise(self, k: Kernels, p: Array, g: Array, decay: Any, l1: Any, n: Numbers) -> None:
        """Add the gradients of the penalties to `g`."""
        if differs_from_zero(decay):
            k.add(g, k.multiply(p, k.constant(decay)), out=g)
        if differs_from_zero(l1):
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
        if self._places and all(p._data is home for p, home, _ in self._places):
            return
        places = []
        start = 0
        for p in self.parameters:
            if p.dtype != self.flat.dtype:
                raise ShapeError(
                    f"{p.name or 'a parameter'} became {p.dtype}; make a new optimizer for it"
                )
            home = view_like(p._data, self.flat[start : start + p.size])
            home[...] = p._data
            p._data = home
            gradient = view_like(home, self.gradient[0, start : start + p.size])
            places.append((p, home, gradient))
            start += p.size
        self._places = places

    def _blocks(self, present: list[bool]) -> list[Cut]:
        """Where to work: all parameters that have a gradient, in pieces of up to `BLOCK`."""
        if present != self._present:  # which hardly changes from step to step
            spans = self._spans(present)
            parts = [
                slice(low, min(low + BLOCK, stop))
                for start, stop in spans
                for low in range(start, stop, BLOCK)
            ]
            self._cuts = [(i, self.flat[i], self.gradient[:, i], self.memory[:, i]) for i in parts]
            self._present = present
        return self._cuts

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
        missing = [name for name in ("steps", "memory") if name not in state]
        if missing:
            raise ShapeError(f"this is no state of an optimizer: {', '.join(missing)} is missing")
        memory = np.asarray(state["memory"], self.memory.dtype)
        steps = int(number("steps", state["steps"]))
        if memory.shape != self.memory.shape:
            raise ShapeError(
                f"this optimizer's memory has shape {self.memory.shape}, got {memory.shape}"
            )
        self.memory[...] = memory
        self.steps = steps

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a view is no view: copied optimizers make all their views anew.
        return self.__dict__ | {"_places": [], "_present": [], "_cuts": [], "_page": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self.flat, self.gradient, self.memory = map(native, (self.flat, self.gradient, self.memory))

    def __repr__(self) -> str:
        size = f"{self.flat.size:,} parameters"
        return f"{type(self).__name__}(lr={self.lr:g}, {size})"


def _part(option: Any, part: slice) -> Any:
    return option[part] if isinstance(option, np.ndarray) else option


def differs_from_zero(option: Any) -> bool:
    return bool(option.any()) if isinstance(option, np.ndarray) else option != 0


def _as_groups(params: Iterable[Any]) -> list[dict[str, Any]]:
    if isinstance(params, Tensor):
        raise ConfigError("params", "must be a list of parameters, such as model.parameters()")
    given = list(params)
    if not given or not isinstance(given[0], Mapping):
        given = [{"params": given}]
    return [dict(group) for group in given]


def each(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, for one of them too."""
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _group(group: dict[str, Any], defaults: dict[str, float]) -> dict[str, Any]:
    if "params" not in group:
        raise ConfigError("params", f"is missing in a group that has {', '.join(group)}")
    params = group.pop("params")
    params = each(params)
    unknown = [name for name in group if name not in defaults]
    if unknown:
        raise ConfigError(unknown[0], f"is no group option; there are {', '.join(defaults)}")
    options = defaults | group
    options = {name: number(name, value) for name, value in options.items()}
    for p in params:
        if not isinstance(p, Tensor):
            raise ConfigError("params", f"must be parameters, got {type(p).__name__}")
        if not p.is_leaf:
            raise GraphError("an optimizer changes leaves; this tensor is the result of operations")
    return {"params": params, **options}
