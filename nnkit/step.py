"""Training steps and predictions that capture themselves where they can.

`TrainingStep` is one step of gradient descent for a model, a loss and an optimizer. Called with a
batch, or run over whole epochs, it replays a captured step (`nnkit.capture`), and runs plainly
what cannot be captured. The numbers are the same; `reason` says why a step runs plainly.
"""

from __future__ import annotations

import random
from types import FunctionType
from typing import Any

import numpy as np

from .backpropagation import backpropagate, cotangent
from .capture import Place, Recorder, Storage, Uncapturable, recording
from .errors import DataError, GraphError, ShapeError
from .functions import Array, Kernels
from .losses import BY_FUNCTION, Loss
from .modules.base import Module
from .optim import FLUSH_EVERY, Optimizer
from .optim.base import differs_from_zero
from .program import Program, Table
from .tensor import Tensor
from .watch import Watch

#: Steps that are laid out in memory at a time, and elements for their inputs or outputs.
CHUNK, LAID_OUT = 256, 2**22
CHANGED = "a forward pass changed something that it may depend on"
#: Elements worked on at a time where several arrays of that size should stay in the cache.
CACHED = 16_384


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
        self._plans: dict[Any, _Plan | None] = {}
        self._watch: Watch | None = None

    def __call__(self, x: Any, y: Any) -> float:
        """One step on the batch (x, y); returns the loss before it."""
        return float(self.epochs(x, y, batch_size=max(len(x), 1))[0])

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
        x, y = self._as_data(x), self._as_data(y)
        n = len(x)
        if n == 0 or len(y) != n:
            raise DataError(
                f"needs as many targets as examples and at least one; got {n}, {len(y)}"
            )
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

    def _as_data(self, values: Any) -> Array:
        """`values` as an array in the dtype of the parameters."""
        array = values.data if isinstance(values, Tensor) else np.asarray(values)
        return array.astype(self.optimizer.flat.dtype, copy=False)

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

    def _replay(self, plan: _Plan, x: Array, y: Array, batches: Array) -> Array:
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

    def _plan(self, x: Array, y: Array, batch: Array) -> _Plan | None:
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

    def _try_capture(self, x: Array, y: Array) -> _Plan | None:
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
            plan = _Plan(self, self._watch, x, y)
            if not self._watch.same():
                raise Uncapturable(CHANGED)
            if state.shared_draws != _shared_draws():
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


class _Plan:
    """A captured step for one shape of batch, with memory for the inputs of many steps."""

    def __init__(self, step: TrainingStep, watch: Watch, x: Array, y: Array) -> None:
        self.optimizer = step.optimizer
        self.loss = BY_FUNCTION[step.loss] if _is_function(step.loss) else step.loss
        self.capacity = 0
        # Recorded on other data than it is tested with, so that a frozen value would show.
        self.x, self.y = x[::-1] * x.dtype.type(0.75), y[::-1].copy()
        rate = self.optimizer.option("lr")
        dtype = self.optimizer.flat.dtype
        numbers = {
            name: np.zeros(np.shape(value)[-1:] if np.ndim(rate) else (), dtype)
            for name, value in self._numbers(1).items()
        }
        # Penalties and limits change the gradient in place.
        penalties = (self.optimizer.option(name) for name in ("weight_decay", "l1"))
        limits = (self.optimizer.clip_norm, self.optimizer.clip_value)
        self.keeps_gradients = limits == (None, None) and not any(map(differs_from_zero, penalties))
        with recording() as recorder, np.errstate(all="ignore"):
            inputs, targets = recorder.give(self.x), recorder.know("given", self.y)
            changing = [recorder.know("given", value) for value in numbers.values()]
            know_state(recorder, watch, step.optimizer)
            output = self._record(recorder, step, numbers)
        self.output = recorder.place(output)
        self.output.storage.kind = "given"  # each step leaves its output in a place of its own
        batch = [*(place.storage for place in inputs), targets]
        each_step = [*changing, self.output.storage]
        self.program = Program(recorder, [self.output], [batch, each_step])
        self.loop = self.program.compile()
        used = self.program.used(0)
        self.inputs = [place for place in inputs if place.storage in used]
        self.target = recorder.place(self.y)
        self.looks_at_predictions = self.deferred and _looks(self.loss, "check_predictions")
        self.checks = [(self.loss, self.output.shape)] if self.deferred else self._checks(recorder)
        self.numbers = {name: recorder.place(value) for name, value in numbers.items()}
        largest = max(self.x.size + self.y.size, self.output.storage.size, 1)
        self.chunk = max(1, min(CHUNK, LAID_OUT // largest))

    def _record(self, recorder: Recorder, step: TrainingStep, numbers: dict[str, Array]) -> Array:
        """Record the step; returns what its loss is computed from."""
        prediction = step.model(Tensor._of(self.x))
        value = step.loss(prediction, Tensor._of(self.y))
        if not isinstance(value, Tensor) or value._data.size != 1 or not value.requires_grad:
            raise Uncapturable("the loss is not one number with a gradient")
        walk = backpropagate(value, cotangent(value, None), retain_graph=True)
        gradients = {id(leaf): gradient for leaf, gradient in walk}
        present = place_gradients(recorder, step.optimizer, gradients)
        self.present = set(gradients)
        step.optimizer.change(recorder, present, numbers)
        # Our own losses are taken of many steps at once, afterwards, from the predictions.
        ours = isinstance(self.loss, Loss) and type(self.loss).__module__.startswith("nnkit.")
        self.deferred = ours and self.loss.reduction != "none"
        output = (prediction if self.deferred else value)._data
        return output if recorder.place(output).is_whole() else recorder.copy(output)

    def _checks(self, recorder: Recorder) -> list[tuple[Loss, tuple[int, ...]]]:
        """Losses inside of the loss, of which the targets of all steps can be checked ahead."""
        for loss, _, target in recorder.checks:
            if _looks(loss, "check_predictions"):
                raise Uncapturable(f"{type(loss).__name__} looks at the values of predictions")
            if _looks(loss, "check_targets") and target != self.target:
                raise Uncapturable(f"{type(loss).__name__} has targets that are computed")
        return [(loss, prediction.shape) for loss, prediction, _ in recorder.checks]

    def _reserve(self, count: int) -> None:
        """Memory and views for `count` steps at a time."""
        self.capacity = count
        program, places = self.program, [self.target, self.output, *self.numbers.values()]
        storages = [*program.used(0), *program.used(1), *(place.storage for place in places)]
        tables = {storage: Table(storage, count) for storage in storages}
        self.batches, self.steps = (
            [program.views(group, tables, i) for i in range(count)] for group in (0, 1)
        )
        self.prepare_batches, self.prepare_steps = (
            program.preparation(group, tables) for group in (0, 1)
        )
        # What lies at these places, in all steps.
        self.xs = [tables[place.storage].stack(place) for place in self.inputs]
        self.ys = tables[self.target.storage].stack(self.target)
        self.outputs = tables[self.output.storage].stack(self.output)
        self.rates = {n: tables[p.storage].stack(p) for n, p in self.numbers.items()}

    def run(self, x: Array, y: Array, rows: Array) -> Array:
        """Steps over `rows` of example numbers; returns their losses."""
        count, optimizer = len(rows), self.optimizer
        if count > self.capacity:
            self._reserve(count)
        # Where every step takes all examples in order, they are laid out once.
        everything = rows.shape[1] == len(x)
        slots = 1 if everything else count
        examples = x if everything else x.take(rows, axis=0)
        for xs in self.xs:
            xs[:slots] = examples
        self.ys[:slots] = y if everything else y.take(rows, axis=0)
        batches = self.batches[:1] * count if everything else self.batches
        for name, values in self._numbers(count).items():
            self.rates[name][:count] = values
        done = 0
        with np.errstate(all="ignore"):
            self.prepare_batches(slots)
            self.prepare_steps(count)
            while done < count:
                if (optimizer.steps + 1) % FLUSH_EVERY == 0:
                    optimizer.flush()
                stop = min(count, done + FLUSH_EVERY - (optimizer.steps + 1) % FLUSH_EVERY)
                self.loop(batches[done:stop], self.steps[done:stop])
                optimizer.steps += stop - done
                done = stop
            if self.deferred:
                self.loss.check_predictions(self.outputs[:count])
            losses = self._losses(count, slots)
        for parameter, view in zip(optimizer.parameters, optimizer._gradient_views, strict=True):
            parameter._version += 1
            known = self.keeps_gradients and id(parameter) in self.present
            parameter._grad = view.copy() if known else None
        return losses

    def _numbers(self, count: int) -> dict[str, Any]:
        """The optimizer's numbers for its next `count` steps: one for all, or one a step."""
        rate, done = self.optimizer.option("lr"), self.optimizer.steps
        steps = np.arange(done + 1, done + 1 + count, dtype=np.float64)
        # Rates by element make rows of numbers.
        return self.optimizer.numbers(rate, steps if isinstance(rate, float) else steps[:, None])

    def _losses(self, count: int, slots: int) -> Array:
        outputs, targets = self.outputs[:count], self.ys[:slots]
        if not self.deferred:
            return outputs.reshape(count).copy()
        totals = np.empty(count, outputs.dtype)
        together = max(1, CACHED // outputs[0].size)
        for start in range(0, count, together):
            part = slice(start, start + together)
            losses, _ = self.loss.function.forward(
                Kernels(), outputs[part], targets if slots < count else targets[part]
            )
            np.add.reduce(losses, axis=tuple(range(1, losses.ndim)), out=totals[part])
        return totals / losses[0].size if self.loss.reduction == "mean" else totals


def _orders(n: int, epochs: int, generator: np.random.Generator | None) -> Array:
    """Example numbers, a row an epoch, each in an order of its own if there is a generator."""
    if generator is None:
        order = np.arange(n)
        return np.ndarray((epochs, n), order.dtype, order, strides=(0, order.itemsize))
    return np.array([generator.permutation(n) for _ in range(epochs)]).reshape(epochs, n)


def _is_function(loss: Any) -> bool:
    """Whether a loss is one of nnkit's functions, taken without options."""
    return isinstance(loss, FunctionType) and loss in BY_FUNCTION


def _looks(loss: Loss, check: str) -> bool:
    """Whether a loss has a check of values of this name."""
    return getattr(type(loss), check) is not getattr(Loss, check)


def _shared_draws() -> tuple[Any, Any]:
    """Where Python's and NumPy's shared random generators stand."""
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, tuple(keys), *rest)


def _has_own_step(optimizer: Optimizer) -> bool:
    """Whether an optimizer does more at a step than its rule."""
    return any(
        getattr(type(optimizer), name) is not getattr(Optimizer, name) or name in vars(optimizer)
        for name in ("step", "zero_grad")
    )


def know_state(recorder: Recorder, watch: Watch, *optimizers: Optimizer) -> None:
    """Tell the recorder of all arrays that modules and optimizers hold."""
    arrays = [a for o in optimizers for a in (o.flat, o.gradient, o.memory)]
    arrays += [data for _, data, _ in watch.tensors]
    arrays += watch.buffers + [array for array, _ in watch.contents]
    for data in arrays:
        while isinstance(data.base, np.ndarray):
            data = data.base  # all that lies in the same memory belongs together
        if data.size and data.flags.forc:
            recorder.know("fixed", data)


def place_gradients(
    recorder: Recorder, optimizer: Optimizer, gradients: dict[int, Array]
) -> list[bool]:
    """Have the gradients made in the optimizer's vector, or copied there.

    Returns which of the optimizer's parameters have one. A storage moves into the vector as a
    whole if it holds nothing but gradients, laid out as they are there.
    """
    target = recorder.place(optimizer.gradient[0])
    groups: dict[Storage, list[tuple[Place, Place, Array, Array]]] = {}
    for parameter, view in zip(optimizer.parameters, optimizer._gradient_views, strict=True):
        gradient = gradients.get(id(parameter))
        if gradient is None:
            recorder.copy(recorder.constant(np.zeros_like(view)), out=view)
        else:
            made, there = recorder.place(gradient), recorder.place(view)
            groups.setdefault(made.storage, []).append((made, there, gradient, view))
    for storage, members in groups.items():
        shifts = {there.offset - made.offset for made, there, _, _ in members}
        fits = all(same_layout(made, there) for made, there, _, _ in members)
        whole = sum(gradient.size for _, _, gradient, _ in members) == storage.array.size
        if storage.kind == "made" and storage.wide is None and fits and whole and len(shifts) == 1:
            storage.moved_to = (target.storage, shifts.pop())
        for _, _, gradient, view in members:
            if storage.moved_to:
                view[...] = gradient
            else:
                recorder.copy(gradient, out=view)
    return [id(parameter) in gradients for parameter in optimizer.parameters]


def same_layout(a: Place, b: Place) -> bool:
    """Whether two places of one shape have their elements in the same order."""
    return all(n == 1 or i == j for n, i, j in zip(a.shape, a.strides, b.strides, strict=True))


class _State:
    """All that a training step changes, to be put back."""

    def __init__(self, watch: Watch, optimizer: Optimizer) -> None:
        self.watch, self.optimizer = watch, optimizer
        self.arrays = [optimizer.flat, optimizer.memory, *watch.buffers]
        self.arrays += [data for _, data, _ in watch.tensors if data.flags.writeable]
        self.saved = [a.copy() for a in self.arrays]
        self.draws = [g.bit_generator.state for g in watch.generators]
        # Chance that has no generator of its own.
        self.shared_draws = _shared_draws()
        self.steps = optimizer.steps
        self.gradients = [p._grad for p in optimizer.parameters]

    def restore(self) -> None:
        for array, saved in zip(self.arrays, self.saved, strict=True):
            array[...] = saved
        for generator, state in zip(self.watch.generators, self.draws, strict=True):
            generator.bit_generator.state = state
        random.setstate(self.shared_draws[0])
        np.random.set_state(self.shared_draws[1])
        self.optimizer.steps = self.steps
        for parameter, gradient in zip(self.optimizer.parameters, self.gradients, strict=True):
            parameter._grad = gradient
        self.watch.restore()

    def now(self) -> list[Array]:
        """The present values, to be compared."""
        draws = [repr(g.bit_generator.state).encode() for g in self.watch.generators]
        return [a.copy() for a in self.arrays] + [np.frombuffer(d, np.uint8) for d in draws]
