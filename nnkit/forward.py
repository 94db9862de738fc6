"""A forward pass over the same inputs again and again, into reused arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .capture import Place, Recorder, Uncapturable, recording
from .functions.base import SILENT, Array
from .modules.base import Module
from .plan import know_state
from .program import Program, Table
from .tensor import Tensor, no_grad
from .watch import Watch, restore_shared_draws, shared_draws

Outputs = Callable[[Tensor], Sequence[Tensor]]

#: A layer's outputs of more elements than this are computed in blocks of about `BLOCK` elements,
#: which the processor's cache holds.
LARGE, BLOCK = 2**18, 2**16


class ForwardPass:
    """What a module makes of fixed inputs, computed anew at each call from its present weights.

    Captured where possible (`nnkit.capture`). The arrays it returns are reused by the next call.

    Args:
        module: the module, whose mode (training or evaluation) is taken as it is at each call.
        x: inputs (n, d), copied.
        outputs: the tensors wanted, by default the module's output alone.

    >>> from nnkit import Linear
    >>> layer = Linear(2, 1)
    >>> run = ForwardPass(layer, np.zeros((3, 2)))
    >>> layer.bias.data = [5.0]
    >>> run()[0]
    array([[5.],
           [5.],
           [5.]], dtype=float32)
    """

    def __init__(self, module: Module, x: Any, outputs: Outputs | None = None) -> None:
        self.module = module
        self.outputs = outputs
        dtype = next((p.dtype for _, p in module.named_parameters()), np.dtype(np.float32))
        self._x = np.array(x, dtype, order="C")
        self._watch: Watch | None = None
        self._run: Callable[[], list[Array]] | None = None

    def _wanted(self, x: Array) -> Sequence[Tensor]:
        tensor = Tensor._of(x)
        return [self.module(tensor)] if self.outputs is None else self.outputs(tensor)

    def __getstate__(self) -> dict[str, Any]:
        # A copy is of another module, whose arrays no program knows.
        return self.__dict__ | {"_watch": None, "_run": None}

    def __call__(self) -> list[Array]:
        if self._watch is None or not self._watch.same():
            self._watch = Watch(self.module)
            self._run = self._captured(self._watch)
        if self._run is None:
            with no_grad():
                return [t._data for t in self._wanted(self._x)]
        return SILENT.copy().run(self._run)

    def _captured(self, watch: Watch) -> Callable[[], list[Array]] | None:
        """A function that fills the output arrays, or None where nothing can be captured."""
        if watch.opaque is not None:
            return None
        draws = shared_draws()
        try:
            recorder, given, places = self._record(watch, self._x)
            if not watch.same() or draws != shared_draws():
                watch.restore()
                restore_shared_draws(draws)
                return None
            blocks = _blocks(len(self._x), max(s.array.size for s in recorder.storages()))
            if blocks > 1:
                first = self._x[: len(self._x) // blocks].copy()
                recorder, given, places = self._record(watch, first)
        except Uncapturable:
            return None
        groups = [[place.storage for place in group] for group in (given, places)]
        program = Program(recorder, places, groups)
        loop = program.compile()
        tables = {storage: Table(storage, blocks) for group in program.groups for storage in group}
        for place in given:
            stack = tables[place.storage].stack(place)
            stack[...] = self._x.reshape(stack.shape)
        program.preparation(0, tables)(blocks)
        inputs, targets = (
            [program.views(group, tables, i) for i in range(blocks)] for group in (0, 1)
        )
        parts = [list(tables[place.storage].stack(place)) for place in places]
        joined = [_joined(arrays) for arrays in parts]

        def run() -> list[Array]:
            loop(inputs, targets)
            for whole, arrays in zip(joined, parts, strict=True):
                if blocks > 1:
                    np.concatenate(arrays, out=whole)
            return joined

        return run

    def _record(self, watch: Watch, x: Array) -> tuple[Recorder, list[Place], list[Place]]:
        """Record the pass over `x`; each output lies in a storage of its own, given later."""
        with no_grad(), recording() as recorder, np.errstate(all="ignore"):
            given = recorder.give(x)
            know_state(recorder, watch)
            tensors = self._wanted(x)
            places: list[Place] = []
            for tensor in tensors:
                place = recorder.place(tensor._data)
                if not place.is_whole():
                    place = recorder.place(recorder.copy(tensor._data))
                place.storage.kind = "given"
                places.append(place)
        return recorder, given, places


def _blocks(n: int, largest: int) -> int:
    """In how many equal blocks to work through `n` rows whose largest output has that size."""
    if largest <= LARGE:
        return 1
    wanted = largest // BLOCK
    return next((b for b in range(wanted, 2 * wanted) if n % b == 0), 1)


def _joined(arrays: list[Array]) -> Array:
    """One array for all blocks, with memory in the order of theirs."""
    if len(arrays) == 1:
        return arrays[0]
    shape = (sum(len(a) for a in arrays), *arrays[0].shape[1:])
    backwards = arrays[0].T.flags.c_contiguous
    empty: Array = np.empty(shape[::-1] if backwards else shape, arrays[0].dtype)
    return empty.T if backwards else empty
