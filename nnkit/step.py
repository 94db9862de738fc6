"""Training steps and predictions that capture themselves where they can.

`TrainingStep` is one step of gradient descent for a model, a loss and an optimizer. Called with a
batch, or run over whole epochs, it replays a captured step (`nnkit.capture`), and runs plainly
what cannot be captured. The numbers are the same; `reason` says why a step runs plainly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .capture import Uncapturable
from .errors import DataError, GraphError, ShapeError
from .functions import Array
from .modules.base import Module
from .optim import Optimizer
from .plan import Plan
from .tensor import Tensor
from .watch import Watch, restore_shared_draws, shared_draws

CHANGED = "a forward pass changed something that it may depend on"


class TrainingStep:
    """One training step, captured when possible.

    Args:
        model: the module to train; its last call's output goes to the loss.
        loss: a loss module, or any function of (prediction, target) that gives one number.
        optimizer: over (some of) the model's parameters.
        capture: False to run every step plainly.

    After captured steps, `grad` of the parameters is that of the last step (None if penalties or
    limits have changed it in place), and modules have no last output.

    >>> from nnkit import Linear, MSE, SGD
    >>> model = Linear(1, 1, generator=np.random.default_rng(0))
    >>> step = TrainingStep(model, MSE(), SGD(model.parameters(), lr=0.1))
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> losses = step.epochs(x, 3 * x, batch_size=4, epochs=50)
    >>> losses.shape, bool(losses[-1] < 1e-3)
    ((100,), True)
    """

    def __init__(
        self, model: Module, loss: Any, optimizer: Optimizer, *, capture: bool = True
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.capture = capture
        self.reason = "" if capture else "capture=False"
        self._plans: dict[Any, Plan | None] = {}
        self._watch: Watch | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy is of another model, whose arrays no plan knows.
        return self.__dict__ | {"_plans": {}, "_watch": None}

    def __call__(self, x: Any, y: Any) -> float:
        """One step on the batch (x, y); returns the loss before it."""
        x, y = self._examples(x, y)
        self._refresh()
        return float(self._run(x, y, np.arange(len(x))[None])[0])

    def epochs(
        self,
        x: Any,
        y: Any,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        generator: np.random.Generator | None = None,
    ) -> Array:
        """Train on batches of (x, y), `epochs` times over; returns the loss of every batch.

        With a `generator`, the examples are shuffled for each epoch. The last batch of an epoch
        is shorter where `batch_size` does not divide the number of examples.
        """
        x, y = self._examples(x, y)
        n = len(x)
        size = n if batch_size is None else max(1, min(int(batch_size), n))
        self._refresh()
        tail = n % size
        losses: list[Array] = []
        if tail:
            for _ in range(epochs):
                (order,) = _orders(n, 1, generator)
                losses.append(self._run(x, y, order[: n - tail].reshape(-1, size)))
                losses.append(self._run(x, y, order[n - tail :].reshape(1, tail)))
        else:
            # One batch that holds everything needs no shuffling.
            order = _orders(n, epochs, generator if size < n else None)
            losses.append(self._run(x, y, order.reshape(-1, size)))
        return np.concatenate(losses) if losses else np.empty(0, x.dtype)

    def _examples(self, x: Any, y: Any) -> tuple[Array, Array]:
        dtype = self.optimizer.flat.dtype
        x, y = as_rows("x", x, dtype), as_rows("y", y, dtype)
        if not len(x) or len(y) != len(x):
            raise DataError(
                f"needs as many targets as examples and at least one; got {len(x)}, {len(y)}"
            )
        return x, y

    def _run(self, x: Array, y: Array, batches: Array) -> Array:
        """Steps over `batches`, one row of example numbers each."""
        plan = None
        if self.capture and len(batches):
            plan = self._plan(x, y, batches[0])
        losses = np.empty(len(batches), self.optimizer.flat.dtype)
        if plan is None:
            for i, rows in enumerate(batches):
                losses[i] = self.plain(x.take(rows, axis=0), y.take(rows, axis=0))
            return losses
        for loss, shape in plan.checks:
            loss.check_targets(y, shape)
        for done in range(0, len(batches), plan.chunk):
            part = slice(done, done + plan.chunk)
            losses[part] = self._replay(plan, x, y, batches[part])
        return losses

    def _replay(self, plan: Plan, x: Array, y: Array, batches: Array) -> Array:
        """Steps by the plan; plainly, up to the one that fails, where the loss refuses one."""
        if not plan.looks_at_predictions:
            return plan.run(x, y, batches)
        assert self._watch is not None
        before = _State(self._watch, self.optimizer)
        try:
            return plan.run(x, y, batches)
        except ShapeError:
            before.restore()
            return np.array([self.plain(x[rows], y[rows]) for rows in batches])

    def plain(self, x: Array, y: Array) -> float:
        """One step without capture."""
        value = self.loss(self.model(Tensor(x)), Tensor(y))
        if not isinstance(value, Tensor):
            raise GraphError(
                "the loss must be a tensor computed from the prediction, so that it has a "
                f"gradient; this one is a {type(value).__name__}"
            )
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()
        return float(value._data.item())

    # Capturing ------------------------------------------------------------------------------

    def _plan(self, x: Array, y: Array, batch: Array) -> Plan | None:
        """The captured step for batches like this one, or None where there can be none."""
        key = (len(batch), x.shape[1:], y.shape[1:])
        if key not in self._plans:
            self._plans[key] = self._try_capture(x[batch], y[batch])
        return self._plans[key]

    def _refresh(self) -> None:
        """Forget the captured steps if anything that they take for granted has changed."""
        self.optimizer.pack()
        if not self.capture:
            return
        owners = (self.model, self.loss, self.optimizer)
        if self._watch is None or self._watch.owners != owners or not self._watch.same():
            self._plans.clear()
            self._watch = Watch(*owners)
            self.reason = ""

    def _try_capture(self, x: Array, y: Array) -> Plan | None:
        assert self._watch is not None
        if self._watch.opaque is not None:
            self.reason = f"cannot see what a {type(self._watch.opaque).__name__} holds"
            return None
        if _has_own_step(self.optimizer):
            self.reason = f"{type(self.optimizer).__name__} has a step of its own"
            return None
        if not self._watch.same():  # plain steps of this very run have changed it
            self.reason = CHANGED
            return None
        state = _State(self._watch, self.optimizer)
        try:
            plan = Plan(self.model, self.loss, self.optimizer, self._watch, x, y)
            if not self._watch.same():
                raise Uncapturable(CHANGED)
            if state.shared_draws != shared_draws():
                raise Uncapturable("random numbers were drawn without a generator")
            state.restore()
            with np.errstate(all="ignore"):
                self.plain(x, y)
                expected = state.now()
                state.restore()
                plan.run(x, y, np.arange(len(x))[None])
            if not all(
                np.array_equal(a, b, equal_nan=True)
                for a, b in zip(expected, state.now(), strict=True)
            ):
                raise Uncapturable("the replayed step gave other numbers than the plain one")
        except Exception as error:  # a plain step will fail in the same way, or not at all
            self.reason = str(error) or type(error).__name__
            return None
        finally:
            state.restore()
        for module in self.model.modules():
            module._last_call = None  # it was one of the trial
        return plan


def as_rows(name: str, values: Any, dtype: Any) -> Array:
    """`values` as an array with a row for each example.

    Raises:
        DataError: they are no rows of numbers.
    """
    try:
        array = Tensor(values, dtype=dtype).data
    except ShapeError as error:
        raise DataError(f"{name} must be rows of real numbers: {error}") from error
    if not array.ndim:
        raise DataError(f"{name} must be rows of real numbers, not one number")
    return array


def _orders(n: int, epochs: int, generator: np.random.Generator | None) -> Array:
    """Example numbers, a row an epoch, each in an order of its own if there is a generator."""
    if generator is None:
        order = np.arange(n)
        return np.ndarray((epochs, n), order.dtype, order, strides=(0, order.itemsize))
    return np.array([generator.permutation(n) for _ in range(epochs)]).reshape(epochs, n)


def _has_own_step(optimizer: Optimizer) -> bool:
    """Whether an optimizer does more at a step than its rule."""
    return any(
        getattr(type(optimizer), name) is not getattr(Optimizer, name) or name in vars(optimizer)
        for name in ("step", "zero_grad")
    )


class _State:
    """All that a training step changes, to be put back."""

    def __init__(self, watch: Watch, optimizer: Optimizer) -> None:
        self.watch, self.optimizer = watch, optimizer
        self.arrays = [optimizer.flat, optimizer.memory, *watch.buffers]
        self.arrays += [data for _, data, _ in watch.tensors if data.flags.writeable]
        self.saved = [a.copy() for a in self.arrays]
        self.draws = [g.bit_generator.state for g in watch.generators]
        # Chance that has no generator of its own.
        self.shared_draws = shared_draws()
        self.steps = optimizer.steps
        self.gradients = [p._grad for p in optimizer.parameters]

    def restore(self) -> None:
        for array, saved in zip(self.arrays, self.saved, strict=True):
            array[...] = saved
        for generator, state in zip(self.watch.generators, self.draws, strict=True):
            generator.bit_generator.state = state
        restore_shared_draws(self.shared_draws)
        self.optimizer.steps = self.steps
        for parameter, gradient in zip(self.optimizer.parameters, self.gradients, strict=True):
            parameter._grad = gradient
        self.watch.restore()

    def now(self) -> list[Array]:
        """The present values, to be compared."""
        draws = [repr(g.bit_generator.state).encode() for g in self.watch.generators]
        return [a.copy() for a in self.arrays] + [np.frombuffer(d, np.uint8) for d in draws]
