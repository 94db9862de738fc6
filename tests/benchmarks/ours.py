"""nnkit's side of the benchmark: captured, and the general plain autograd."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from workloads import Batches, Kind, Weights, Workload

sys.path.insert(0, str(Path(__file__).parents[2]))

import nnkit
from nnkit.forward import ForwardPass
from nnkit.step import TrainingStep

ALL_KINDS: tuple[Kind, ...] = ("train", "predict", "units")


class Captured:
    """`TrainingStep.epochs` and `ForwardPass`: what the app and `fit` run on."""

    kinds = ALL_KINDS

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        self.workload, self.weights = workload, weights
        modules: list[Any] = []
        for n, m in zip(workload.units, workload.units[1:], strict=False):
            modules.append(nnkit.Linear(n, m, generator=np.random.default_rng(0)))
            modules.append(nnkit.Tanh() if workload.activation == "tanh" else nnkit.ReLU())
        self.model = nnkit.Sequential(modules[:-1])
        binary = workload.units[-1] == 1
        self.loss = nnkit.BinaryCrossEntropyWithLogits() if binary else nnkit.CrossEntropy()
        self.x, self.y = batches.inputs, batches.targets.astype(np.float32)
        parameters = list(self.model.parameters())
        self.optimizer = nnkit.Adam(parameters, lr=workload.learning_rate)
        self.step = TrainingStep(self.model, self.loss, self.optimizer)
        # All at once: every step takes the whole data, which the runner gives once.
        self.whole = workload.batch >= 500
        if workload.kind != "train":
            every = workload.kind == "units"
            self.forward = ForwardPass(self.model, self.x[0], self._units if every else None)
        self.restart()

    def restart(self) -> None:
        for layer, (weight, bias) in zip(self.model.layers[::2], self.weights, strict=True):
            layer.weight.data, layer.bias.data = weight.T, bias
        self.optimizer.memory[...] = 0
        self.optimizer.steps = 0

    def run(self, epochs: int) -> Any:
        workload = self.workload
        if workload.kind == "train":
            if self.whole:
                return self.step.epochs(self.x[0], self.y[0], epochs=epochs * workload.steps)
            x = self.x.reshape(-1, self.x.shape[-1])
            y = self.y.reshape(len(x), *self.y.shape[2:])
            return self.step.epochs(x, y, batch_size=workload.batch, epochs=epochs)
        for _ in range(epochs):
            outputs = self.forward()
        return outputs if workload.kind == "units" else outputs[0]

    def _units(self, x: nnkit.Tensor) -> list[nnkit.Tensor]:
        outputs = []
        for layer in self.model.layers:
            x = layer(x)
            outputs.append(x)
        return [*outputs[1:-1:2], outputs[-1]]


class Plain(Captured):
    """The general autograd, in the loop that PyTorch's contender runs."""

    kinds: tuple[Kind, ...] = ("train",)

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        super().setup(workload, weights, batches)
        self.batches = [
            (nnkit.Tensor(x), nnkit.Tensor(y)) for x, y in zip(self.x, self.y, strict=True)
        ]

    def run(self, epochs: int) -> Any:
        losses = []
        for _ in range(epochs):
            for x, y in self.batches:
                self.optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.data)
        return np.array(losses)


OURS = {"nnkit": Captured, "nnkit plain": Plain}
