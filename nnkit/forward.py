"""A forward pass over the same inputs again and again, into reused arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .capture import Program, Uncapturable, recording
from .functions import Array, Kernels
from .modules.base import Module
from .step import Watch, know_state
from .tensor import Tensor, no_grad

Outputs = Callable[[Tensor], Sequence[Tensor]]


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
        self.outputs: Outputs = outputs or (lambda tensor: [module(tensor)])
        dtype = next((p.dtype for p in module.parameters()), np.dtype(np.float32))
        wide = np.asarray(x, dtype)
        self._wide = Kernels.with_ones(np.ascontiguousarray(wide)) if wide.ndim == 2 else wide
        self.x = self._wide[:, :-1] if wide.ndim == 2 else self._wide
        self._watch: Watch | None = None
        self._arrays: list[Array] | None = None
        self._run: Callable[..., None] | None = None

    def __call__(self) -> list[Array]:
        if self._watch is None or not self._watch.same():
            self._watch = Watch(self.module)
            self._capture()
        if self._run is None or self._arrays is None:
            with no_grad():
                return [t._data for t in self.outputs(Tensor._of(self.x, False, None))]
        with np.errstate(all="ignore"):
            self._run([()])
        return self._arrays

    def _capture(self) -> None:
        self._run = None
        try:
            with no_grad(), recording() as recorder, np.errstate(all="ignore"):
                storage = recorder.know("fixed", self._wide)
                storage.wide = self._wide if self.x is not self._wide else None
                know_state(recorder, self.module)
                outputs = self.outputs(Tensor._of(self.x, False, None))
                places = [recorder.place(t._data) for t in outputs]
        except Uncapturable:
            return
        program = Program(recorder, places)
        self._run = program.compile([])
        self._arrays = [program.array(place) for place in places]
