"""The walk back through a graph: from one result to the leaves that it was made of.

It runs at every step, and around small arrays it costs more than the arithmetic, so it is written
for speed: loops where comprehensions would do, and a heap only where ways part.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .errors import GraphError, ShapeError
from .functions.base import ONE, SCALAR_KERNELS, Array, Gradients, current_kernels

if TYPE_CHECKING:
    from .tensor import Tensor


def backpropagate(
    output: Tensor,
    start: ArrayLike | None = None,
    *,
    stop: Tensor | None = None,
    retain_graph: bool = False,
    visit: Callable[[Tensor, Array, Gradients], None] | None = None,
) -> dict[Tensor, Array]:
    """Walk from `output` to the leaves, or to `stop` if that is given.

    It starts with `start` as the gradient of `output`, or with 1 for an output of one element.
    Returns for each leaf that requires a gradient (and `stop`, and tensors that asked with
    `retain_grad()`) the gradient that this walk found, in an array of its own. `visit` is
    shown every result with its gradient and what it sends to each of its inputs.

    Raises:
        GraphError: the graph was freed, or a tensor was changed since it was used.
        ShapeError: `start` is missing for more than one element, or has another shape.
    """
    k = current_kernels()
    data = output._data
    if start is None and not data.ndim and data.dtype is ONE.dtype:
        grad = ONE  # for the losses of nearly all steps
    else:
        grad = _cotangent(data, start)
    if output._function is None or output is stop:
        return {output: k.copy(grad)}
    # The deepest goes first: all that used it are deeper, so its gradient is complete. As long as
    # there is one way only, it is `following`; others wait in a heap of (-depth, arrival, result).
    waiting: list[tuple[int, int, Tensor]] = []
    arrived = 0
    inner: dict[Tensor, Array] = {}  # the gradients of those that wait
    found: dict[Tensor, Array] = {}  # what is asked for
    following: Tensor | None = output
    while following is not None:
        node = following
        if node._retains:
            found[node] = k.copy(grad)
        record = node._record
        if record is None:
            raise GraphError(
                "the graph was freed by an earlier backward(); "
                "call backward(retain_graph=True) the first time to walk it twice"
            )
        if node._version:
            raise _changed(node)
        function, inputs, saved, depths, versions = record
        if stop is not None:
            depths = [1 if t is stop else depth for t, depth in zip(inputs, depths, strict=True)]
        rules = k if grad.ndim or k.recording else SCALAR_KERNELS
        gradients = function.backward(rules, grad, saved, depths)
        if visit is not None:
            visit(node, grad, gradients)
        following = None
        for t, g, depth, version in zip(inputs, gradients, depths, versions):  # noqa: B905 (time)
            if depth == 1:
                if t._version != version:
                    raise _changed(t)
                if g is not None and (t._depth or t is stop):  # not frozen since
                    if g.dtype is not t._data.dtype:
                        g = k.cast(g, dtype=t._data.dtype)
                    if t in found:
                        g = np.asarray(k.add(found[t], g))
                    elif function.passes_gradient_on:
                        g = k.copy(g)  # it may share its memory with other gradients
                    found[t] = g
                continue
            if t._version != version:
                raise _changed(t)
            if g is None or not depth:
                continue
            if t is following:
                grad = np.asarray(k.add(grad, g))
            elif t in inner:
                inner[t] = np.asarray(k.add(inner[t], g))
            elif following is None:
                following, grad = t, g
            else:
                inner[t] = g
                arrived += 1
                heappush(waiting, (-t._depth, arrived, t))
        if not retain_graph:
            node._record = None
        if waiting:
            if following is not None:
                inner[following] = grad
                arrived += 1
                heappush(waiting, (-following._depth, arrived, following))
            following = heappop(waiting)[2]
            grad = inner.pop(following)
    return found


def _cotangent(output: Array, given: ArrayLike | None) -> Array:
    """The gradient that a walk starts from, checked against the shape of its output."""
    if given is None:
        if output.size != 1:
            raise ShapeError(
                f"backward() of a tensor of shape {output.shape} needs the gradient to start "
                "from; call it on a loss of one element, or pass grad of that shape"
            )
        return current_kernels().constant(np.ones_like(output))
    start = np.asarray(given)
    if start.shape != output.shape:
        raise ShapeError(
            f"backward() expects a gradient of the output's shape {output.shape}, got {start.shape}"
        )
    return start.astype(output.dtype, copy=False)


def _changed(tensor: Tensor) -> GraphError:
    return GraphError(
        f"{tensor.name or 'a tensor'} of shape {tensor.shape} was changed after "
        "the forward pass that used it, so its gradient would be wrong; "
        "run the forward pass again, or update parameters after backward()"
    )
