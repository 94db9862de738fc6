"""Training loops: `train_epochs`, a generator of events, and what is built on it.

A loop that is a generator can be paused (take no more events), stepped (`next`), watched and
stopped (`break`) by whoever runs it, without callbacks, flags or threads. `fit` runs it through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from .errors import ConfigError, DataError, GraphError
from .functions import Array
from .losses import Loss
from .modules import Linear, Module, Sequential
from .modules.activations import as_activation
from .optim import OPTIMIZERS, Optimizer
from .schedules import Schedule, whole_number
from .step import TrainingStep
from .tensor import Parameter, Tensor, no_grad

__all__ = [
    "NeuralNetwork", "Progress", "create_network", "evaluate", "fit", "train_epochs",
    "train_one_step", "update_module",
]  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """What is known after an epoch.

    Args:
        epoch: counted from 1.
        loss: of the training data, each batch before its own step.
        validation_loss: after the epoch; None without validation data.
        learning_rate: with which the epoch was trained (of the first group of parameters).
        best: whether the validation loss is the lowest so far.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    learning_rate: float
    best: bool


def train_epochs(
    model: Module,
    x: Any,
    y: Any,
    loss: Any,
    optimizer: Optimizer,
    *,
    epochs: int,
    batch_size: int | None = None,
    generator: np.random.Generator | None = None,
    validation: tuple[Any, Any] | None = None,
    patience: int | None = None,
    min_delta: float = 0.0,
    schedule: Schedule | None = None,
    step: TrainingStep | None = None,
) -> Iterator[Progress]:
    """Train epoch by epoch; nothing happens until the first event is asked for.

    The model is put into training mode. Steps are captured where possible (`TrainingStep`).
    A loop that is broken off leaves the weights as they are.

    Args:
        x, y: examples as rows, and their targets.
        loss: a loss module, or a function of (prediction, target).
        epochs: how many at most.
        batch_size: examples a step; all of them if left out.
        generator: shuffles the examples anew in each epoch; in their order if left out.
        validation: (x, y) to measure the loss on after each epoch, in evaluation mode.
        patience: stop when the validation loss has not fallen for so many epochs, and put back
            the weights of the best epoch (also when `epochs` are over).
        min_delta: what the validation loss must fall by to count.
        schedule: stepped after each epoch, with the validation loss (else the training loss).
        step: an earlier `TrainingStep` for the same model, loss and optimizer, to go on with.

    Raises:
        ConfigError: a setting out of range, or patience without validation data.
        DataError: no examples, or not as many targets.

    >>> from nnkit import MSE, SGD
    >>> model = Linear(1, 1, generator=np.random.default_rng(0))
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> for progress in train_epochs(
    ...     model, x, 2 * x, MSE(), SGD(model.parameters(), lr=0.5), epochs=1000
    ... ):
    ...     if progress.loss < 1e-6:
    ...         break
    >>> progress.epoch < 100, round(model.weights.item(), 2)
    (True, 2.0)
    """
    epochs = whole_number("epochs", epochs)
    batch_size = None if batch_size is None else whole_number("batch_size", batch_size)
    if patience is not None and validation is None:
        raise ConfigError("patience", "needs validation data: validation=(x, y)")
    if validation is not None and not (isinstance(validation, Sequence) and len(validation) == 2):
        raise ConfigError("validation", "must be a pair of inputs and targets")
    patience = None if patience is None else whole_number("patience", patience)
    generator = None if generator is None else np.random.default_rng(generator)
    trained = TrainingStep(model, loss, optimizer) if step is None else step
    x, y = (_numbers(name, values, optimizer.flat.dtype) for name, values in (("x", x), ("y", y)))

    def run() -> Iterator[Progress]:
        lowest, best_epoch, best_state = math.inf, 0, None
        for epoch in range(1, epochs + 1):
            model.train()  # whatever a callback has done to look at it
            rate = optimizer.lr
            losses = trained.epochs(x, y, batch_size=batch_size, generator=generator)
            latest = train_loss = _mean_loss(losses, len(x), batch_size, loss)
            validation_loss, best = None, False
            if validation is not None:
                latest = validation_loss = evaluate(model, *validation, loss)
                best = validation_loss < lowest - min_delta
            if best:
                lowest, best_epoch = latest, epoch
                best_state = None if patience is None else model.state_dict()
            if schedule is not None:
                schedule.step(latest)
            yield Progress(epoch, train_loss, validation_loss, rate, best)
            if patience is not None and epoch - best_epoch >= patience:
                break
        if best_state is not None:
            model.load_state_dict(best_state)

    return run()


def _numbers(name: str, values: Any, dtype: Any) -> Array:
    """`values` as an array, refused where they are no rows of numbers."""
    try:
        array = np.asarray(values.data if isinstance(values, Tensor) else values)
    except ValueError as error:
        raise DataError(f"{name} needs rows of equal length: {error}") from error
    if not array.ndim or array.dtype.kind not in "fiub":
        raise DataError(f"{name} must be rows of real numbers, got {array.dtype} {array.shape}")
    return array.astype(dtype, copy=False)


def fit(
    model: Module,
    x: Any,
    y: Any,
    loss: Any,
    optimizer: Optimizer,
    *,
    epochs: int,
    callback: Callable[[Progress], object] | None = None,
    **options: Any,
) -> list[Progress]:
    """Train to the end and return what happened, epoch by epoch.

    Takes what `train_epochs` takes, and a `callback` that is shown every event; one that returns
    False stops the training.

    >>> from nnkit import MSE, SGD
    >>> model = Linear(1, 1, generator=np.random.default_rng(0))
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> history = fit(model, x, 2 * x, MSE(), SGD(model.parameters(), lr=0.5), epochs=20)
    >>> len(history), history[-1].loss < history[0].loss
    (20, True)
    """
    history: list[Progress] = []
    for progress in train_epochs(model, x, y, loss, optimizer, epochs=epochs, **options):
        history.append(progress)
        answer = None if callback is None else callback(progress)
        if isinstance(answer, (bool, np.bool_)) and not answer:
            break
    return history


def evaluate(model: Module, x: Any, y: Any, loss: Any) -> float:
    """The loss on (x, y) in evaluation mode; the model is left in the mode it was in.

    >>> from nnkit import MSE, Dropout
    >>> evaluate(Dropout(0.5), [[1.0, 2.0]], [[1.0, 4.0]], MSE())
    2.0
    """
    with _evaluating(model), no_grad():
        return float(loss(model(Tensor(x)), y))


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _mean_loss(losses: Array, examples: int, batch_size: int | None, loss: Any) -> float:
    """The loss of an epoch from those of its batches, the last of which may be shorter."""
    if isinstance(loss, Loss) and loss.reduction == "sum":
        return float(losses.sum())
    size = min(batch_size or examples, examples)
    sizes = np.full(len(losses), size)
    sizes[-1] = examples - size * (len(losses) - 1)
    return float(np.average(losses, weights=sizes))


# One step by hand -------------------------------------------------------------------------------


def train_one_step(network: Module, loss: Module, learning_rate: float, X: Any, T: Any) -> float:
    """Forward, error, backward and update, once; returns the error before the update.

    The manual style in full: `loss.backward()` gives dE/dprediction, `network.backward` takes it
    from there (by hand, if the network's class defines it).

    >>> from nnkit import MSE
    >>> layer = Linear(1, 1, init="zeros")
    >>> train_one_step(layer, MSE(), 0.5, [[1.0]], [[2.0]])
    4.0
    >>> layer(np.ones((1, 1)))
    Tensor([[4.]], from=linear)
    """
    if not isinstance(loss, Module):
        raise ConfigError("loss", f"must be a loss module, such as MSE(), got {loss!r}")
    error = loss(network(X), T)
    gradient = loss.backward()
    network.zero_gradients()
    network.backward(gradient)
    update_module(network, learning_rate)
    return float(error)


def update_module(module: Module, learning_rate: float) -> None:
    """One step of gradient descent on the parameters: p ← p - learning_rate·dE/dp.

    >>> layer = Linear(1, 1, init="zeros")
    >>> layer.grad_weights.fill(2.0)
    >>> update_module(layer, 0.5)
    >>> layer.weights
    Parameter([[-1.]], requires_grad=True)
    """
    module.update_weights(learning_rate)


def create_network(
    sizes: Sequence[int] = (2, 50, 30, 1),
    activation: Any = "tanh",
    output_activation: Any = "sigmoid",
    *,
    generator: np.random.Generator | None = None,
) -> Sequential:
    """Linear layers with an activation after each; by default a network for two spirals.

    Args:
        sizes: numbers of inputs, of units in each hidden layer, and of outputs.
        activation, output_activation: names, modules or functions; None for none.

    >>> create_network((2, 4, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=4)
      (1): Tanh()
      (2): Linear(in_features=4, out_features=1)
      (3): Sigmoid()
    )
    """
    if len(sizes) < 2:
        raise ConfigError("sizes", f"must be at least inputs and outputs, got {tuple(sizes)}")
    network = Sequential()
    for i, (inputs, outputs) in enumerate(pairwise(sizes), start=2):
        network.append(Linear(inputs, outputs, generator=generator))
        module = as_activation(output_activation if i == len(sizes) else activation)
        if module is not None:
            network.append(module)
    return network


# A network with everything it needs -------------------------------------------------------------


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
        for name, value in (
            ("learning_rate", learning_rate), ("regularization_factor", regularization_factor),
        ):  # fmt: skip
            if not 0 <= value < math.inf:
                raise ConfigError(name, f"must be a number from 0, got {value!r}")
        self.loss, self.learning_rate = loss, learning_rate
        self.regularization_factor = regularization_factor
        self.history: tuple[Progress, ...] = ()
        self._make_optimizer = OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
        self._make_schedule = schedule
        self._generator = generator
        self._step: TrainingStep | None = None
        self._schedule: Schedule | None = None
        self._penalised, self._rate = False, learning_rate  # at the last `fit`
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
        working = {"_step": None, "_schedule": None, "_penalised": False}
        return super().__getstate__() | working

    def _fitting(self, examples: Any, labels: Any) -> tuple[Array, Array]:
        """Examples and labels as arrays, with labels in the shape of the output."""
        x, y = np.asarray(examples), np.asarray(labels)
        if not x.ndim or not len(x) or not y.ndim or len(x) != len(y):
            raise DataError(
                f"needs as many labels as examples and at least one, got {y.shape} for {x.shape}"
            )
        with _evaluating(self), no_grad():
            output = self(Tensor(x[:1]))
        return x, _targets(y, (len(x), *output.shape[1:]))

    def _prepared(self, examples: int) -> TrainingStep:
        """The training step for the network as it is now, with a penalty for so many examples."""
        parameters, factor = list(self.parameters()), self.regularization_factor
        step = self._step
        if step is None or list(map(id, step.optimizer.parameters)) != list(map(id, parameters)):
            step = self._new_step(parameters, {})
        elif factor and not self._penalised:  # weights and biases need groups of their own now
            step = self._new_step(parameters, step.optimizer.state_dict())
        step.loss = self.loss
        if factor or self._penalised:
            for group in step.optimizer.param_groups:
                group["weight_decay"] = factor / examples * (group["params"][0].ndim > 1)
        if self._schedule is None:
            step.optimizer.lr = self.learning_rate
        elif self._rate != self.learning_rate:
            self._schedule.rebase(self.learning_rate)
        self._step, self._penalised, self._rate = step, bool(factor), self.learning_rate
        return step

    def _new_step(self, parameters: list[Parameter], state: Mapping[str, Any]) -> TrainingStep:
        """A step with a new optimizer in that `state`; the schedule goes on where it was."""
        groups = [{"params": [p]} for p in parameters]
        optimizer = self._make_optimizer(
            groups if self.regularization_factor else parameters, lr=self.learning_rate
        )
        if state:
            optimizer.load_state_dict(state)
        if self._make_schedule is not None:
            before, self._schedule = self._schedule, self._make_schedule(optimizer)
            if before is not None:
                state = before.state_dict()
                rates = {n: state[n][:1] * len(optimizer.param_groups) for n in ("base_lrs", "lrs")}
                self._schedule.load_state_dict({**state, **rates})
        return TrainingStep(self, self.loss, optimizer)


def _targets(labels: Any, output: tuple[int, ...]) -> Array:
    """Labels of shape (n,) as (n, 1) where the output has that shape."""
    array = np.asarray(labels)
    return array[:, None] if array.ndim == 1 and output == (len(array), 1) else array
