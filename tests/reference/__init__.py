"""Reference values from an independent implementation, kept as data.

``make_reference.py``, beside this file, produced them once with PyTorch; tests need NumPy only::

    from tests.reference import cases

    @pytest.mark.parametrize("case", cases("losses", kind="huber"), ids=str)
    def test_huber(case):
        loss = Huber(delta=case.options["delta"], reduction=case.options["reduction"])
        np.testing.assert_allclose(loss(case["input0"], case["target"]), case["output"])

Every case has a unique ``name``, a ``kind`` (which operation, loss, optimizer …), a ``dtype``,
plain ``options`` under PyTorch's argument names (axes under NumPy's), and named read-only
``arrays``. All random inputs are exact in float32.

==========  =======================================================================================
group       arrays of a case
==========  =======================================================================================
operations  ``input0 …``, ``output``, ``cotangent`` (the gradient that arrives at the output),
            ``grad0 …`` (the gradient at each input). Indices are read with `index`.
layers      the same with ``input weight bias grad_input grad_weight grad_bias``; a linear weight
            is (outputs, inputs). ``batch_norm`` numbers three calls in training 0, 1, 2, with the
            ``running_mean`` and ``running_var`` after each; then one in evaluation, ``eval_…``.
losses      ``input0``, ``target``, ``output``, ``cotangent`` (a scalar unless reduction is
            "none"), ``grad0``.
optimizers  ``A b p0`` of a fixed problem whose gradient is `gradient`, and ``trajectory``: the
            parameters after each of 100 steps. ``clip_norm`` and ``clip_value`` limit the gradient
            before each step; ``groups`` are slices of the parameters with options of their own.
clipping    ``grad0 …`` before and ``clipped0 …`` after; ``norm`` is the total before clipping.
schedules   ``lr``: the learning rate used in each of 100 steps, the first before the schedule's
            own first step; ``metrics`` reported after each step, for ``plateau``; ``momentum``
            where the schedule cycles it.
==========  =======================================================================================

Options that a case leaves out have PyTorch's defaults (``eps`` is 1e-8 in Adam, AdamW and RMSprop,
1e-10 in Adagrad, 1e-6 in Adadelta; RMSprop's ``alpha`` is 0.99, Adadelta's ``rho`` 0.9).

Where a function has a corner, PyTorch's choice is in cases of their own whose option ``edge`` names
it (``kink``, ``ties``, ``bounds``, ``certain``): a library may choose otherwise there, on purpose.

On disk a group is one ``.npz``: ``cases`` is JSON text (as bytes) in which each array is
``[dtype, start, shape]``, a stretch of the one flat vector kept for each dtype. Equal arrays are
stored once.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

GROUPS = ("operations", "layers", "losses", "optimizers", "clipping", "schedules")


@dataclass(frozen=True, eq=False)
class Case:
    """One computation with its answer; ``case["output"]`` is one of its arrays."""

    name: str
    kind: str
    dtype: str
    options: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __str__(self) -> str:
        return self.name

    def series(self, prefix: str) -> list[np.ndarray]:
        """The arrays ``prefix0``, ``prefix1``, … in order."""
        found: list[np.ndarray] = []
        while (name := f"{prefix}{len(found)}") in self.arrays:
            found.append(self.arrays[name])
        return found


def cases(group: str, *, kind: str | None = None, dtype: str | None = None) -> list[Case]:
    """All cases of a group, or those of one kind or dtype; an empty answer is an error."""
    found = [
        case
        for case in _load(group)
        if (kind is None or case.kind == kind) and (dtype is None or case.dtype == dtype)
    ]
    if not found:
        raise LookupError(f"no case in {group!r} with kind={kind!r}, dtype={dtype!r}")
    return found


def index(case: Case) -> tuple[Any, ...]:
    """The index of an ``index`` case, as one would write it between brackets."""

    def read(item: Any) -> Any:
        if isinstance(item, list):
            return np.array(item)
        if isinstance(item, dict):
            return slice(*item["slice"])
        return ... if item == "..." else item

    return tuple(read(item) for item in case.options["index"])


def gradient(case: Case, p: np.ndarray) -> np.ndarray:
    """The optimizers' problem, g(p) = A p - b + sin(p) / 10, in float64, rounded to p's dtype.

    So all rounding that is left in a float32 trajectory is the optimizer's own.
    """
    q = p.astype(np.float64)
    return (case["A"] @ q - case["b"] + 0.1 * np.sin(q)).astype(p.dtype)


@cache
def _load(group: str) -> tuple[Case, ...]:
    with np.load(Path(__file__).with_name(f"{group}.npz"), allow_pickle=False) as file:
        vectors = {name: file[name] for name in file.files}
    listed = json.loads(vectors.pop("cases").tobytes())
    for vector in vectors.values():
        vector.setflags(write=False)

    def array(dtype: str, start: int, shape: list[int]) -> np.ndarray:
        return vectors[dtype][start : start + math.prod(shape)].reshape(shape)

    return tuple(
        Case(**{**case, "arrays": {name: array(*at) for name, at in case["arrays"].items()}})
        for case in listed
    )
