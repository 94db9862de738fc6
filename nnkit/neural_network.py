"""`NeuralNetwork`: layers, loss, learning rate and optimizer in one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from .errors import ConfigError, DataError, GraphError
from .functions import Array
from .losses import Loss
from .modules import Sequential
from .optim import OPTIMIZERS, Optimizer
from .schedules import Schedule
from .settings import number
from .step import TrainingStep, as_rows
from .tensor import Parameter, Tensor, no_grad
from .training import Progress, evaluating, fit


class NeuralNetwork(Sequential):
    """Layers, loss and learning rate in one object, with `fit`.

    Args:
        layers: pairs of a layer and its activation (None for none), or single modules. Layers
            without a number of inputs take it from the first data they see.
        loss: a loss module.
        learning_rate: the step of gradient descent, or whatever `optimizer` makes of it.
        regularization_factor: λ of the penalty λ/(2n)·ΣW² on weights (not biases), for n
            training examples.
        optimizer: a name ("sgd", "adam", …) or a class, called as optimizer(params, lr=...).
        schedule: makes a schedule for the optimizer, such as `lambda o: StepLR(o, 30)`.
        generator: where weights, dropout and the order of batches are drawn from.

    Attributes:
        history: a `Progress` for every epoch of every `fit`.

    >>> from nnkit import Dense, ReLU, Sigmoid, BinaryCrossEntropy
    >>> model = NeuralNetwork(
    ...     layers=((Dense(8), ReLU()), (Dense(1), Sigmoid())),
    ...     loss=BinaryCrossEntropy(),
    ...     learning_rate=1.0,
    ...     generator=np.random.default_rng(1),
    ... )
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> (model.fit(x, [0, 1, 1, 0], epochs=500)(x) > 0.5).ravel()
    array([False,  True,  True, False])
    """

    def __init__(
        self,
        layers: Sequence[Any],
        loss: Loss,
        learning_rate: float = 0.01,
        regularization_factor: float = 0.0,
        *,
        optimizer: str | Callable[..., Optimizer] = "sgd",
        schedule: Callable[[Optimizer], Schedule] | None = None,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(layers, (list, tuple)):
            raise ConfigError("layers", f"must be a list of layers or pairs, got {layers!r}")
        for entry in layers:
            for module in entry if isinstance(entry, (tuple, list)) else (entry,):
                if module is not None:
                    self.append(module)
        if not isinstance(loss, Loss):
            raise ConfigError("loss", f"must be a loss, such as MSE(), got {loss!r}")
        if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
            known = ", ".join(OPTIMIZERS)
            raise ConfigError("optimizer", f"must be one of {known}; got {optimizer!r}")
        number("learning_rate", learning_rate)
        number("regularization_factor", regularization_factor)
        self.loss, self.learning_rate = loss, learning_rate
        self.regularization_factor = regularization_factor
        self.history: tuple[Progress, ...] = ()
        self._make_optimizer = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
        self._make_schedule = schedule
        self._generator = generator
        self._step: TrainingStep | None = None
        self._schedule: Schedule | None = None
        # What the step was made for, and how things were at the last `fit`.
        self._trained: list[Parameter] = []
        self._penalised, self._rate = False, learning_rate
        if generator is not None:
            self.reset_parameters(generator)

    def fit(
        self,
        examples: Any,
        labels: Any,
        epochs: int = 100,
        *,
        batch_size: int | None = None,
        validation: tuple[Any, Any] | None = None,
        patience: int | None = None,
        callback: Callable[[Progress], object] | None = None,
    ) -> Self:
        """Train for some epochs more, on all examples at once unless `batch_size` is given.

        Labels of shape (n,) for outputs of shape (n, 1) are taken as (n, 1). The optimizer goes
        on from the last `fit`, unless layers were changed in between. See `train_epochs` for the
        options and `fit` for the callback.
        """
        x, y = self._fitting(examples, labels)
        if validation is not None:
            validation = self._fitting(*validation)
        step = self._prepared(len(x))
        done: list[Progress] = []

        def note(progress: Progress) -> object:
            done.append(progress)
            return None if callback is None else callback(progress)

        try:
            fit(
                self, x, y, self.loss, step.optimizer, epochs=epochs, step=step, callback=note,
                batch_size=batch_size, generator=self._generator, validation=validation,
                patience=patience, schedule=self._schedule,
            )  # fmt: skip
        finally:  # what was trained was trained, however it ended
            self.history = (*self.history, *done)
        return self

    def backward_step(self, labels: Any) -> None:
        """Gradients of the loss of the last output, and of the penalty, into the layers."""
        last = getattr(self, "_last_call", None)
        if last is None:
            raise GraphError("backward_step() needs a forward pass first: call the model")
        output = last[1]
        gradient = self.loss.gradient(output, _targets(labels, output.shape))
        self.zero_gradients()
        self.backward(gradient)
        if self.regularization_factor:
            share = self.regularization_factor / len(output)
            for parameter in self.parameters():
                if parameter.ndim > 1 and parameter.grad is not None:
                    parameter.grad = parameter.grad + share * parameter.data

    def update(self, learning_rate: float | None = None) -> None:
        """One step of plain gradient descent with the gradients of `backward_step`."""
        self.update_weights(self.learning_rate if learning_rate is None else learning_rate)

    def __getstate__(self) -> dict[str, Any]:
        # A copy makes an optimizer of its own: a captured step works on this network's arrays.
        working: dict[str, Any] = {"_step": None, "_schedule": None, "_trained": []}
        return super().__getstate__() | working

    def _fitting(self, examples: Any, labels: Any) -> tuple[Array, Array]:
        """Examples and labels as arrays, with labels in the shape of the output."""
        x, y = as_rows("examples", examples, None), as_rows("labels", labels, None)
        if not len(x) or len(x) != len(y):
            raise DataError(
                f"needs as many labels as examples and at least one, got {y.shape} for {x.shape}"
            )
        with evaluating(self), no_grad():
            output = self(Tensor(x[:1]))
        return x, _targets(y, (len(x), *output.shape[1:]))

    def _prepared(self, examples: int) -> TrainingStep:
        """The training step for the network as it is now, with a penalty for so many examples."""
        parameters, factor = list(self.parameters()), self.regularization_factor
        step, schedule = self._step, self._schedule
        if step is None or list(map(id, self._trained)) != list(map(id, parameters)):
            step = self._new_step(parameters, {})
        elif bool(factor) != self._penalised:
            step = self._new_step(parameters, step.optimizer.state_dict())
        step.loss = self.loss
        if factor:
            for group in step.optimizer.param_groups:
                group["weight_decay"] = factor / examples * (group["params"][0].ndim > 1)
        if self._schedule is None:
            step.optimizer.lr = self.learning_rate
        elif schedule is not None and self._rate != self.learning_rate:
            self._schedule.rebase(self.learning_rate)
        self._step, self._trained = step, parameters
        self._penalised, self._rate = bool(factor), self.learning_rate
        return step

    def _new_step(self, parameters: list[Parameter], memory: Mapping[str, Any]) -> TrainingStep:
        """A step with a new optimizer that has this memory; the schedule goes on where it was."""
        # With a penalty, weights and biases need groups of their own.
        groups = [{"params": [p]} for p in parameters]
        optimizer = self._make_optimizer(
            groups if self.regularization_factor else parameters, lr=self.learning_rate
        )
        if memory:
            optimizer.load_state_dict(memory)
        if self._make_schedule is not None:
            before, self._schedule = self._schedule, self._make_schedule(optimizer)
            if before is not None:
                self._schedule.load_state_dict(_for_groups(before.state_dict(), optimizer))
        return TrainingStep(self, self.loss, optimizer)


def _for_groups(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The state of a schedule, with the first group's rates for all where their number differs."""
    groups = len(optimizer.param_groups)
    if len(state["lrs"]) == groups:
        return state
    return {**state, **{name: state[name][:1] * groups for name in ("base_lrs", "lrs")}}


def _targets(labels: Any, output: tuple[int, ...]) -> Array:
    """Labels of shape (n,) as (n, 1) where the output has that shape."""
    array = np.asarray(labels)
    return array[:, None] if array.ndim == 1 and output == (len(array), 1) else array
