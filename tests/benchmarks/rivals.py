"""The contenders that nnkit is measured against, each at its best known form.

=============  =====================================================================================
torch          PyTorch as its tutorials write it: modules, ``loss.backward()``, ``Adam.step()``.
torch-fused    The same with ``Adam(fused=True)``.
torch-compile  Gradient and a hand-written Adam on one flat vector, compiled as a whole by
               ``torch.compile`` (needs a C++ compiler), through its C++ wrapper in small networks,
               where calls outweigh arithmetic. With torch-fused, the fastest forms found.
jax            A whole epoch is one call: ``jit`` of ``lax.scan``, state donated; parameters as one
               flat vector in small networks, layer by layer in large ones: whichever is faster.
sklearn        ``MLPClassifier.partial_fit``, one call an epoch, no shuffling, no penalty.
=============  =====================================================================================

Each class imports its library when it is made, so that a missing one costs only its column.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import Batches, Kind, Runner, Weights, Workload

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
ALL_KINDS: tuple[Kind, ...] = ("train", "predict", "units")


def is_small(weights: Weights) -> bool:
    return sum(w.size + b.size for w, b in weights) < 1000


class Torch:
    """PyTorch, eager."""

    kinds = ALL_KINDS
    fused = False

    def __init__(self) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch = torch

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        torch = self.torch
        self.workload, self.weights = workload, weights
        self.inputs = torch.tensor(batches.inputs)
        self.targets = torch.tensor(batches.targets)
        self.points = self.inputs[0]
        activation = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[workload.activation]
        modules: list[Any] = []
        for n, m in zip(workload.units, workload.units[1:], strict=False):
            modules += [torch.nn.Linear(n, m), activation()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.forward, self.layers = self.model, self._layers
        binary = workload.units[-1] == 1
        self.loss = torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()
        self.restart()

    def restart(self) -> None:
        torch = self.torch
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.model[::2], self.weights, strict=True):
                layer.weight.copy_(torch.tensor(weight.T))
                layer.bias.copy_(torch.tensor(bias))
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=self.workload.learning_rate, fused=self.fused
        )

    def run(self, epochs: int) -> Any:
        return getattr(self, self.workload.kind)(epochs)

    def train(self, epochs: int) -> np.ndarray:
        losses = []
        for _ in range(epochs):
            for x, y in zip(self.inputs, self.targets, strict=True):
                self.optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                losses.append(loss.detach())
        return self.torch.stack(losses).numpy()

    def predict(self, epochs: int) -> np.ndarray:
        with self.torch.inference_mode():
            for _ in range(epochs):
                result = self.forward(self.points).numpy()
        return result

    def units(self, epochs: int) -> list[np.ndarray]:
        with self.torch.inference_mode():
            for _ in range(epochs):
                pictures = [layer.numpy() for layer in self.layers(self.points)]
        return pictures

    def _layers(self, x: Any) -> list[Any]:
        found = []
        for module in self.model:
            x = module(x)
            found.append(x)
        return [*found[1::2], found[-1]]


class TorchFused(Torch):
    """PyTorch, eager but for an optimizer in one kernel."""

    kinds = ("train",)
    fused = True


class TorchCompile(Torch):
    """PyTorch, each step or evaluation compiled as a whole."""

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        torch = self.torch
        super().setup(workload, weights, batches)
        torch.compiler.reset()
        options = {"cpp_wrapper": is_small(weights)}
        self.step = torch.compile(self._step(), fullgraph=True, options=options)
        self.forward = torch.compile(self.model, fullgraph=True)
        self.layers = torch.compile(self._layers, fullgraph=True)
        self.run(1)
        self.restart()

    def restart(self) -> None:
        torch = self.torch
        super().restart()
        self.flat = torch.cat([p.detach().reshape(-1) for p in self.model.parameters()])
        self.moments = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.count = torch.zeros(())

    def _step(self) -> Callable[..., Any]:
        torch, rate = self.torch, self.workload.learning_rate
        named = dict(self.model.named_parameters())
        sizes = [p.numel() for p in named.values()]

        def loss(flat: Any, x: Any, y: Any) -> Any:
            parts = zip(named, flat.split(sizes), named.values(), strict=True)
            parameters = {name: part.view(like.shape) for name, part, like in parts}
            return self.loss(torch.func.functional_call(self.model, parameters, x), y)

        gradient = torch.func.grad_and_value(loss)

        def step(flat: Any, m: Any, v: Any, count: Any, x: Any, y: Any) -> Any:
            g, value = gradient(flat, x, y)
            count += 1
            m.lerp_(g, 1 - BETA1)
            v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
            # 1 - beta^t, without the rounding of a float32 power near one.
            m_scale, v_scale = (-torch.expm1(count * math.log(b)) for b in (BETA1, BETA2))
            flat.sub_(rate * (m / m_scale) / ((v / v_scale).sqrt() + EPS))
            return value

        return step

    def train(self, epochs: int) -> np.ndarray:
        losses = []
        with self.torch.no_grad():
            for _ in range(epochs):
                for x, y in zip(self.inputs, self.targets, strict=True):
                    losses.append(self.step(self.flat, *self.moments, self.count, x, y))
        return self.torch.stack(losses).numpy()


class Jax:
    """JAX, an epoch or an evaluation compiled as a whole."""

    kinds = ALL_KINDS

    def __init__(self) -> None:
        import jax
        import jax.flatten_util

        # Without a second thread to hand the work to, handing it over only costs.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        self.jax = jax

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        jax = self.jax
        self.workload, self.weights = workload, weights
        self.inputs, self.targets = jax.device_put((batches.inputs, batches.targets))
        self.points = self.inputs[0]
        flat, unravel = jax.flatten_util.ravel_pytree(weights)
        self.unravel = unravel if is_small(weights) else lambda parameters: parameters
        self.initial = flat if is_small(weights) else weights
        self.epoch = jax.jit(self._epoch, donate_argnums=0)
        self.forward = jax.jit(lambda parameters, x: self._layers(parameters, x)[-1])
        self.layers = jax.jit(self._layers)
        self.restart()
        self.run(1)
        self.restart()

    def restart(self) -> None:
        copy = self.jax.numpy.array
        zeros = self.jax.numpy.zeros_like
        tree = self.jax.tree.map
        start = self.initial
        self.state = (tree(copy, start), tree(zeros, start), tree(zeros, start), copy(0.0))

    def run(self, epochs: int) -> Any:
        return getattr(self, self.workload.kind)(epochs)

    def train(self, epochs: int) -> np.ndarray:
        losses = []
        for _ in range(epochs):
            self.state, curve = self.epoch(self.state, self.inputs, self.targets)
            losses.append(curve)
        return np.concatenate(losses)

    def predict(self, epochs: int) -> np.ndarray:
        for _ in range(epochs):
            result = np.asarray(self.forward(self.state[0], self.points))
        return result

    def units(self, epochs: int) -> list[np.ndarray]:
        for _ in range(epochs):
            pictures = [np.asarray(x) for x in self.layers(self.state[0], self.points)]
        return pictures

    def _layers(self, parameters: Any, x: Any) -> list[Any]:
        np = self.jax.numpy
        activation = {"tanh": np.tanh, "relu": self.jax.nn.relu}[self.workload.activation]
        *hidden, (weight, bias) = self.unravel(parameters)
        found = []
        for w, b in hidden:
            x = activation(x @ w + b)
            found.append(x)
        return [*found, x @ weight + bias]

    def _loss(self, parameters: Any, x: Any, y: Any) -> Any:
        np, nn = self.jax.numpy, self.jax.nn
        logits = self._layers(parameters, x)[-1]
        if self.workload.units[-1] == 1:
            return np.mean(nn.softplus(logits) - y * logits)
        picked = np.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return np.mean(nn.logsumexp(logits, axis=1) - picked)

    def _epoch(self, state: Any, inputs: Any, targets: Any) -> Any:
        np, tree, rate = self.jax.numpy, self.jax.tree.map, self.workload.learning_rate

        def step(state: Any, batch: Any) -> Any:
            parameters, m, v, count = state
            loss, g = self.jax.value_and_grad(self._loss)(parameters, *batch)
            count += 1
            m = tree(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            v = tree(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
            m_scale, v_scale = (-np.expm1(count * math.log(b)) for b in (BETA1, BETA2))

            def updated(p: Any, m: Any, v: Any) -> Any:
                return p - rate * (m / m_scale) / (np.sqrt(v / v_scale) + EPS)

            return (tree(updated, parameters, m, v), m, v, count), loss

        return self.jax.lax.scan(step, state, (inputs, targets))


class Sklearn:
    """scikit-learn's own training loop."""

    kinds: tuple[Kind, ...] = ("train",)

    def __init__(self) -> None:
        from sklearn.neural_network import MLPClassifier

        self.make = MLPClassifier

    def setup(self, workload: Workload, weights: Weights, batches: Batches) -> None:
        self.weights = weights
        self.inputs = batches.inputs.reshape(-1, batches.inputs.shape[-1])
        self.targets = batches.targets.reshape(-1).astype(np.int64)
        self.classes = np.arange(max(2, workload.units[-1]))
        self.settings = {
            "hidden_layer_sizes": workload.units[1:-1],
            "activation": workload.activation,
            "batch_size": workload.batch,
            "learning_rate_init": workload.learning_rate,
            "alpha": 0.0,
            "shuffle": False,
            "n_iter_no_change": 10**9,
        }
        self.restart()

    def restart(self) -> None:
        self.model = self.make(**self.settings)
        self.model.partial_fit(self.inputs, self.targets, classes=self.classes)
        pairs = zip(self.model.coefs_, self.model.intercepts_, self.weights, strict=True)
        for coefficients, intercepts, (weight, bias) in pairs:
            coefficients[:], intercepts[:] = weight, bias
        del self.model._optimizer  # made anew, with fresh moments, at the next call

    def run(self, epochs: int) -> np.ndarray:
        for _ in range(epochs):
            self.model.partial_fit(self.inputs, self.targets)
        return np.array(self.model.loss_curve_[-epochs:])


RIVALS: dict[str, Callable[[], Runner]] = {
    "torch": Torch,
    "torch-fused": TorchFused,
    "torch-compile": TorchCompile,
    "jax": Jax,
    "sklearn": Sklearn,
}
