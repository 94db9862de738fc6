"""What happens around the `forward` of a module when it is called.

Arrays become tensors, and the call is kept for `Module.backward`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import functions as F
from ..tensor import Tensor, apply

if TYPE_CHECKING:
    from .base import Module

_Forward = TypeVar("_Forward", bound=Callable[..., Any])


def remembering(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward`, with arrays made tensors and the last call kept for `Module.backward`."""
    parameters = list(inspect.signature(forward).parameters.values())[1:]
    first = parameters[0].name if parameters else ""
    plain = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    of_one = [p.replace(annotation=plain.empty) for p in parameters] == [plain]
    takes_lists = not forward.__module__.startswith("nnkit.")  # our own take one tensor each

    def of_any(self: Module, *inputs: Any, **options: Any) -> Any:
        by_name = not inputs
        if by_name and first not in options:
            return forward(self, **options)
        x = options.pop(first) if by_name else inputs[0]
        if not isinstance(x, Tensor):
            x = as_input(x, takes_lists)
        if by_name:
            output = forward(self, **{first: x}, **options)
        else:
            output = forward(self, x, *inputs[1:], **options)
        self._last_call = (x, output)
        return output

    def of_x(self: Module, x: Any) -> Any:  # the same for nearly all modules, in half the time
        if not isinstance(x, Tensor):
            x = as_input(x, takes_lists)
        output = forward(self, x)
        self._last_call = (x, output)
        return output

    wrapped = functools.wraps(forward)(of_x if of_one else of_any)
    return remembers(wrapped)


def remembers(forward: _Forward) -> _Forward:
    """Marks a `forward` that does this itself, which saves a call around it."""
    forward.remembers = forward  # type: ignore[attr-defined]  # and not a copy of it
    return forward


def does_remember(forward: Callable[..., Any]) -> bool:
    return getattr(forward, "remembers", None) is forward


def as_input(x: Any, takes_lists: bool = False) -> Any:
    """What a forward pass is given for `x`: a tensor, or a list of tensors as it is."""
    if isinstance(x, (list, tuple)) and any(isinstance(part, Tensor) for part in x):
        return x if takes_lists else apply(F.Stack(0), *x)
    return Tensor(x, requires_grad=True)
