"""Training loops: `train_epochs`, a generator of events, and what is built on it.

A loop that is a generator can be paused (take no more events), stepped (`next`), watched and
stopped (`break`) by whoever runs it, without callbacks, flags or threads. `fit` runs it through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import ConfigError
from .functions import Array
from .losses import Loss
from .modules import Linear, Module, Sequential
from .modules.activations import as_activation
from .optim import Optimizer
from .schedules import Schedule
from .settings import whole_number
from .step import TrainingStep, as_rows
from .tensor import Tensor, no_grad

__all__ = [
    "Progress", "create_network", "evaluate", "fit", "train_epochs", "train_one_step",
    "update_module",
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
    x, y = (as_rows(name, values, optimizer.flat.dtype) for name, values in (("x", x), ("y", y)))

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
    with evaluating(model), no_grad():
        return float(loss(model(Tensor(x)), y))


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Evaluation mode inside the block, and after it each module in the mode it was in."""
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
