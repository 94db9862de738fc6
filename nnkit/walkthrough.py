"""The backward pass step by step, as data: what each operation receives, and what it hands on.

`walk_through` takes a function of tensors, `walk_through_expression` a formula typed by a person.
Both give the graph, one `Step` for each operation in the order of the backward pass, and the same
gradients checked by differences. `explain` does it for a graph that is already there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from . import expressions, operations
from .errors import ConfigError, ExpressionError
from .functions import Array
from .gradcheck import GradientReport, gradient_check
from .graph import Graph, GraphEdge, GraphNode, read_graph
from .modules.activations import relu, sigmoid, softplus, tanh
from .tensor import Tensor

__all__ = [
    "FORMULAS",
    "TENSOR_FUNCTIONS",
    "Part",
    "Step",
    "Walkthrough",
    "explain",
    "parse_expression",
    "variables_of",
    "walk_through",
    "walk_through_expression",
]

TENSOR_FUNCTIONS: Final[Mapping[str, Callable[..., Tensor]]] = MappingProxyType(
    {
        "sin": operations.sin,
        "cos": operations.cos,
        "exp": operations.exp,
        "log": operations.log,
        "sqrt": operations.sqrt,
        "abs": operations.absolute,
        "tanh": tanh,
        "sigmoid": sigmoid,
        "relu": relu,
        "softplus": softplus,
        "maximum": operations.maximum,
        "minimum": operations.minimum,
    }
)
"""The functions a formula may call, for tensors: those of `expressions.FUNCTIONS`."""

FORMULAS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "add": ("g", "g"),
        "subtract": ("g", "-g"),
        "multiply": ("g * b", "g * a"),
        "divide": ("g / b", "-g * a / b**2"),
        "power": ("g * p * a**q",),
        "power of": ("g * b * a**(b - 1)", "g * y * log(a)"),
        "negative": ("-g",),
        "exp": ("g * y",),
        "log": ("g / a",),
        "sqrt": ("g / (2 * y)",),
        "abs": ("g if a > 0 else -g if a < 0 else 0",),
        "sin": ("g * cos(a)",),
        "cos": ("-g * sin(a)",),
        "maximum": ("g if a > b else 0 if a < b else g / 2", "g if b > a else 0 if b < a else g / 2"),
        "minimum": ("g if a < b else 0 if a > b else g / 2", "g if b < a else 0 if b > a else g / 2"),
        "relu": ("g if a > 0 else 0",),
        "tanh": ("g * (1 - y**2)",),
        "sigmoid": ("g * y * (1 - y)",),
        "softplus": ("g * sigmoid(a)",),
        "squarederror": ("2 * g * (a - b)",),
        "crossentropy": ("g * (softmax(a) - b)",),
        "mean": ("g / n",),
        "sum": ("g",),
        "linear": ("g @ b", "g.T @ a", "g.sum(0)"),
        "matmul": ("g @ b.T", "a.T @ g"),
    }
)  # fmt: skip
"""What an operation sends to each of its operands, for an incoming gradient g.

The operands are a, b, c and the result y; a fixed exponent is p, with q = p - 1; n is the number
of elements of a. The formulas are Python as well as mathematics. Where the gradient of a sum or
mean is g, every summand gets it.
"""

_DEFINITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "add": "{} + {}",
        "subtract": "{} - {}",
        "multiply": "{} * {}",
        "divide": "{} / {}",
        "negative": "-{}",
        "power of": "{}^{}",
        "matmul": "{} @ {}",
        "squarederror": "({} - {})^2",
        "absoluteerror": "abs({} - {})",
        "crossentropy": "cross_entropy({}, {})",
    }
)


# ---- what a walk consists of ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """What one step sends to one operand.

    Args:
        edge: the use of the operand; `edge.gradient` is what is sent.
        formula: the rule for it, a text of `FORMULAS` in the symbols of the step, or "".
        because: the condition under which it holds, where the rule has several cases.
        total: the operand's gradient with this part added.
        earlier: how many parts had been added before.
        missing: how many parts will be added later.
    """

    edge: GraphEdge
    formula: str
    because: str
    total: Array = field(repr=False)
    earlier: int
    missing: int


@dataclass(frozen=True, eq=False)
class Step:
    """One operation's turn in the backward pass.

    Args:
        node: the operation; `node.gradient` is complete by now, `node.rule` is the rule in words.
        parts: what it sends, in the order of its operands.
        symbols: the values of g, a, b, c, y, p, q, n, as far as they exist.
        labels: for the same symbols what they stand for in the graph, such as "dL/dv3" and "x".
    """

    node: GraphNode
    parts: tuple[Part, ...]
    symbols: Mapping[str, Array]
    labels: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Walkthrough:
    """A graph with its backward pass. `str` is that pass in lines of text.

    Args:
        graph: values and gradients.
        names: what each node is called: variables by their own name, constants by their number,
            the result "L", everything between "v1", "v2", … in the order of computation.
        definitions: how each node was computed, such as "w * x"; "" for leaves.
        steps: the operations in the order of the backward pass.
        check: the gradients of all variables compared with differences; None from `explain`.
    """

    graph: Graph
    names: tuple[str, ...]
    definitions: tuple[str, ...]
    steps: tuple[Step, ...]
    check: GradientReport | None = None

    def gradients_after(self, steps: int) -> dict[int, tuple[Array, int]]:
        """The gradients known after so many steps, and how many parts each still waits for.

        >>> walk = walk_through_expression("x * x", {"x": 3.0})
        >>> [walk.gradients_after(n) for n in (0, 1)]
        [{1: (array(1.), 0)}, {1: (array(1.), 0), 0: (array(6.), 0)}]
        """
        output = self.graph.output
        known = {} if output.gradient is None else {output.id: (output.gradient, 0)}
        for step in self.steps[: max(steps, 0)]:
            known |= {part.edge.source: (part.total, part.missing) for part in step.parts}
        return known

    def sentence(self, step: Step, part: Part) -> str:
        """The part in symbols, names and numbers; a list of numbers is left in symbols."""
        assert part.edge.gradient is not None
        result = number(part.edge.gradient)
        written = [_written(part.formula, step.labels)]
        if all(np.size(value) == 1 for value in step.symbols.values()):
            written += [_written(part.formula, {s: number(v) for s, v in step.symbols.items()})]
        written = [text for text in dict.fromkeys(written) if text and text != result]
        head = f"d{self.names[-1]}/d{self.names[part.edge.source]}"
        sign = "+=" if part.earlier else "="
        because = f" because {_written(part.because, step.labels)}" if part.because else ""
        return " = ".join([f"{head} {sign} {[*written, result][0]}", *[*written, result][1:]]) + because

    def __str__(self) -> str:
        lines = []
        for count, step in enumerate(self.steps, 1):
            name, definition = self.names[step.node.id], self.definitions[step.node.id]
            lines.append(f"{count}. {name} = {definition}")
            lines += [f"   {self.sentence(step, part)}" for part in step.parts]
        return "\n".join(lines)


def number(value: ArrayLike) -> str:
    """A value of one element to four digits, an array by its shape.

    >>> number(0.123456), number([[1.0, 2.0]])
    ('0.1235', 'array (1, 2)')
    """
    array = np.asarray(value, dtype=np.float64)
    if array.size != 1:
        return f"array {array.shape}"
    return f"{array.item() + 0.0:.4g}"  # + 0.0 for -0.0


def _written(formula: str, words: Mapping[str, str]) -> str:
    """The formula with words for its symbols; negative numbers in parentheses."""

    def word(match: re.Match[str]) -> str:
        text = words.get(match[0], match[0])
        alone = match[0] == formula
        return f"({text})" if text.startswith("-") and not alone else text

    return re.sub(r"\b[a-z]\b", word, formula)


# ---- walking ---------------------------------------------------------------------------------


def walk_through(
    function: Callable[..., Tensor], values: Mapping[str, ArrayLike], *, tolerance: float = 1e-6
) -> Walkthrough:
    """Call `function` with tensors of these values (float64), and follow the gradient back.

    Args:
        function: takes a tensor for each of `values`, in that order, and gives a tensor of one
            element. What it shall not differentiate it holds itself. It must give the same
            again, for it is called again and again by the check.
        values: the variables by name.
        tolerance: the largest relative error that passes the check.

    Raises:
        GraphError: the result does not depend on the variables.

    >>> walk = walk_through(lambda x, y: x * y + x, {"x": 2.0, "y": 3.0})
    >>> print(walk)
    1. L = v1 + x
       dL/dv1 = dL/dL = 1
       dL/dx = dL/dL = 1
    2. v1 = x * y
       dL/dx += dL/dv1 * y = 1 * 3 = 3
       dL/dy = dL/dv1 * x = 1 * 2 = 2
    >>> walk.check.ok
    True
    """
    tensors = {
        name: Tensor(np.array(value, np.float64), requires_grad=True, name=name)
        for name, value in values.items()
    }
    with np.errstate(all="ignore"):  # what is not defined shows as NaN or inf
        output = function(*tensors.values())
        report = gradient_check(
            function, *(t.numpy() for t in tensors.values()), tolerance=tolerance
        )
        walk = explain(read_graph(output))
    return Walkthrough(walk.graph, walk.names, walk.definitions, walk.steps, report)
