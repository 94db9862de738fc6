"""Two trainings of the same network, one captured and one plain, kept side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import nnkit as nn
from nnkit.losses import LOSSES
from nnkit.modules.activations import ACTIVATIONS
from nnkit.optim import OPTIMIZERS, Optimizer
from nnkit.step import TrainingStep
from tests.nnkit.numeric import assert_same_bits

#: The losses of many steps are summed together, in another order than one by one: they may differ
#: by some roundings of the largest number that takes part. Nothing else may differ at all.
ROUNDINGS = 32


class Twins:
    """`build()` makes (model, loss, optimizer); every call is made on both and compared."""

    def __init__(self, build: Callable[[], tuple[Any, Any, Optimizer]]) -> None:
        self.steps = [TrainingStep(*build(), capture=capture) for capture in (True, False)]

    @property
    def captured(self) -> TrainingStep:
        return self.steps[0]

    def train(self, x: Any, y: Any, *, seed: int | None = None, **options: Any) -> np.ndarray:
        """Both train alike; returns the losses."""
        losses = []
        for step in self.steps:
            generator = None if seed is None else np.random.default_rng(seed)
            with np.errstate(all="ignore"):
                losses.append(step.epochs(x, y, generator=generator, **options))
        self.compare()
        self.compare_losses(*losses, scale=float(np.abs(np.asarray(y)).max()))
        return losses[0]

    def edit(self, change: Callable[[TrainingStep], Any]) -> None:
        """The same change between steps on both."""
        for step in self.steps:
            change(step)

    def compare(self) -> None:
        """Parameters, buffers, random generators and the optimizer's memory: bit for bit."""
        states = [state_of(step) for step in self.steps]
        assert list(states[0]) == list(states[1])
        for name, value in states[0].items():
            if isinstance(value, str):
                assert value == states[1][name], name
            else:
                assert_same_bits(value, states[1][name], name)

    def compare_losses(self, left: np.ndarray, right: np.ndarray, scale: float) -> None:
        assert left.dtype == right.dtype
        bound = ROUNDINGS * np.finfo(left.dtype).eps
        np.testing.assert_allclose(left, right, rtol=bound, atol=bound * max(scale, 1))

    def assert_captured(self) -> None:
        """Every kind of batch is replayed, so the comparison means something."""
        assert self.captured.reason == "", self.captured.reason
        assert self.captured._plans
        assert all(plan is not None for plan in self.captured._plans.values())


def state_of(step: TrainingStep) -> dict[str, Any]:
    state: dict[str, Any] = dict(step.model.state_dict())
    owners = [step.model, *([step.loss] if isinstance(step.loss, nn.Module) else [])]
    for name, module in ((n, m) for owner in owners for n, m in owner.named_modules()):
        for key, value in vars(module).items():
            if isinstance(value, np.random.Generator):
                state[f"{name}.{key}"] = repr(value.bit_generator.state)
    return state | {"steps": step.optimizer.steps, "memory": step.optimizer.memory.copy()}


# Networks from plain data -------------------------------------------------------------------------

#: Every activation under its name, and those with options.
ACTIVATION_MAKERS: dict[str, Callable[[], Any]] = {
    **ACTIVATIONS,
    "gelu_tanh": lambda: nn.GELU("tanh"),
    "leaky_relu_0.3": lambda: nn.LeakyReLU(0.3),
    "elu_0.5": lambda: nn.ELU(0.5),
    "softmax_0": lambda: nn.Softmax(axis=0),
    "own": lambda: lambda x: x.tanh() * 0.5 + x,
}


@dataclass
class Training:
    """A network, a loss, an optimizer, data and batches, all as plain data."""

    network: dict[str, Any]
    loss: dict[str, Any]
    optimizer: dict[str, Any]
    data: dict[str, Any]
    batches: dict[str, Any]

    def build(self) -> tuple[Any, Any, Optimizer]:
        dtype = self.network["dtype"]
        model = nn.Sequential()
        width = self.data["inputs"]
        if start := self.network["start"]:
            starts = {"batch": nn.BatchNorm, "layer": nn.LayerNorm}
            model.append(starts[start](width, dtype=dtype) if start in starts else nn.tanh)
        for layer in self.network["layers"]:
            activation = ACTIVATION_MAKERS[layer["activation"]]()
            inside = activation if layer["inside"] else None
            model.append(nn.Linear(width, layer["units"], inside, bias=layer["bias"], dtype=dtype))
            width = layer["units"]
            if layer["norm"] != "none":
                norm = nn.BatchNorm if layer["norm"] == "batch" else nn.LayerNorm
                model.append(norm(width, dtype=dtype))
            if inside is None:
                model.append(activation)
            if layer["dropout"]:
                model.append(nn.Dropout(layer["dropout"]))
        model.append(nn.Linear(width, self.network["outputs"], self.network["head"], dtype=dtype))
        model.reset_parameters(np.random.default_rng(5))
        name, options = self.loss["name"], {k: v for k, v in self.loss.items() if k != "name"}
        return model, LOSSES[name](**options), self._optimizer(list(model.parameters()))

    def _optimizer(self, params: list[Any]) -> Optimizer:
        """Over all parameters, or over as many groups of them as there are sets of options."""
        rule, options = OPTIMIZERS[self.optimizer["name"]], self.optimizer["options"]
        groups = self.optimizer["groups"] or [{}]
        parts = [params[i :: len(groups)] for i in range(len(groups))]
        return rule([{"params": p, **g} for p, g in zip(parts, groups, strict=True)], **options)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        n, inputs, outputs = (self.data[name] for name in ("n", "inputs", "outputs"))
        loss, dtype = self.data["loss"], self.network["dtype"]
        rng = np.random.default_rng([n, inputs, outputs])
        x = rng.normal(size=(n, inputs)).astype(dtype)
        if loss == "cross_entropy":
            return x, rng.integers(0, outputs, n)
        if loss in ("bce", "bce_with_logits"):
            return x, rng.integers(0, 2, (n, outputs)).astype(dtype)
        if loss == "hinge":
            return x, rng.choice([-1, 1], (n, outputs)).astype(dtype)
        return x, rng.normal(size=(n, outputs)).astype(dtype)
