"""A captured step: recorded once, run again over batches that are laid out in memory.

`TrainingStep` (`nnkit.step`) decides when a plan is made and when it holds.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from .backpropagation import backpropagate
from .capture import Place, Recorder, Storage, Uncapturable, recording
from .functions import Array
from .functions.base import NUMPY_KERNELS
from .losses import BY_FUNCTION, Loss
from .modules.base import Module
from .optim import FLUSH_EVERY, Optimizer
from .optim.base import differs_from_zero
from .program import Program, Table
from .tensor import Tensor
from .watch import Watch

#: Steps that are laid out in memory at a time, and elements for their inputs or outputs.
CHUNK, LAID_OUT = 256, 2**22
#: Elements worked on at a time where several arrays of that size should stay in the cache.
CACHED = 16_384


class Plan:
    """A captured step for one shape of batch, with memory for the inputs of many steps."""

    def __init__(
        self, model: Module, loss: Any, optimizer: Optimizer, watch: Watch, x: Array, y: Array
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.loss: Any = BY_FUNCTION.get(loss, loss) if isinstance(loss, FunctionType) else loss
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
        keeps_gradients = limits == (None, None) and not any(map(differs_from_zero, penalties))
        with recording() as recorder, np.errstate(all="ignore"):
            inputs, targets = recorder.give(self.x), recorder.know("given", self.y)
            changing = [recorder.know("given", value) for value in numbers.values()]
            know_state(recorder, watch, optimizer)
            output, present = self._record(recorder, numbers)
        #: Of each parameter, whether its gradient lies in the optimizer's vector after a step.
        self.keeps_gradient = [keeps_gradients and has_gradient for has_gradient in present]
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

    def _record(self, recorder: Recorder, numbers: dict[str, Array]) -> tuple[Array, list[bool]]:
        """Record the step; returns what its loss is computed from, and who has a gradient."""
        prediction = self.model(Tensor._of(self.x))
        value = self.loss(prediction, Tensor._of(self.y))
        if not isinstance(value, Tensor) or value._data.size != 1 or not value.requires_grad:
            raise Uncapturable("the loss is not one number with a gradient")
        found = backpropagate(value, retain_graph=True)
        gradients = {id(leaf): gradient for leaf, gradient in found.items()}
        present = place_gradients(recorder, self.optimizer, gradients)
        self.optimizer.change(recorder, present, numbers)
        # Our own losses are taken of many steps at once, afterwards, from the predictions.
        ours = isinstance(self.loss, Loss) and type(self.loss).__module__.startswith("nnkit.")
        self.deferred = ours and self.loss.reduction != "none"
        output = (prediction if self.deferred else value)._data
        whole = recorder.place(output).is_whole()
        return output if whole else recorder.copy(output), present

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
        for (parameter, _, view), kept in zip(optimizer._places, self.keeps_gradient, strict=True):
            parameter._version += 1
            parameter._grad = view.copy() if kept else None
        return losses

    def _numbers(self, count: int) -> dict[str, Any]:
        """The optimizer's numbers for its next `count` steps: one for all, or one a step."""
        rate, done = self.optimizer.option("lr"), self.optimizer.steps
        if count == 1 and isinstance(rate, float):
            return self.optimizer.numbers(rate, float(done + 1))
        steps = np.arange(done + 1, done + 1 + count, dtype=np.float64)
        # Rates by element make rows of numbers.
        return self.optimizer.numbers(rate, steps if isinstance(rate, float) else steps[:, None])

    def _losses(self, count: int, slots: int) -> Array:
        outputs, targets = self.outputs[:count], self.ys[:slots]
        if not self.deferred:
            return outputs.reshape(count).copy()
        totals = np.empty(count, outputs.dtype)
        reduced = self.loss.reduced(self.loss.function)
        together = max(1, CACHED // outputs[0].size)
        for start in range(0, count, together):
            part = slice(start, start + together)
            losses, _ = reduced.losses.forward(
                NUMPY_KERNELS, outputs[part], targets if slots < count else targets[part]
            )
            totals[part] = reduced.of_each(losses)
        return totals


def _looks(loss: Loss, check: str) -> bool:
    """Whether a loss has a check of values of this name."""
    return getattr(type(loss), check) is not getattr(Loss, check)


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
    for parameter, _, view in optimizer._places:
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
        if storage.kind == "made" and storage.tall is None and fits and whole and len(shifts) == 1:
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
