"""The backward pass step by step, as data: what each operation receives, and what it hands on.

`walk_through` takes a function of tensors, `walk_through_expression` a formula typed by a person.
Both give the graph, one `Step` for each operation in the order of the backward pass, and the same
gradients checked by differences. `explain` does it for a graph that is already there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from . import expressions, operations
from .errors import ConfigError, ExpressionError, GraphError, ShapeError
from .functions import Array
from .gradcheck import GradientReport, gradient_check
from .graph import Graph, GraphEdge, GraphNode, read_graph
from .local_rules import definition, local_formula, number, symbols_of, written
from .modules.activations import relu, sigmoid, softplus, tanh
from .tensor import Tensor

__all__ = [
    "TENSOR_FUNCTIONS",
    "Part",
    "Step",
    "Walkthrough",
    "explain",
    "parse_expression",
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

# ---- what a walk consists of ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """What one step sends to one operand.

    Args:
        edge: the use of the operand; `edge.gradient` is what is sent.
        formula: the rule for it, one of `local_rules.FORMULAS`, in the symbols of the step; or "".
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
        sides = [written(part.formula, step.labels)]
        if all(np.size(value) == 1 for value in step.symbols.values()):
            numbers = {symbol: number(value) for symbol, value in step.symbols.items()}
            sides.append(written(part.formula, numbers))
        sides = [side for side in dict.fromkeys(sides) if side not in ("", "-0", result)]
        sign = "+=" if part.earlier else "="
        because = f" because {written(part.because, step.labels)}" if part.because else ""
        head = f"d{self.names[-1]}/d{self.names[part.edge.source]}"
        return f"{head} {sign} {' = '.join([*sides, result])}{because}"

    def __str__(self) -> str:
        lines = []
        for count, step in enumerate(self.steps, 1):
            name, definition = self.names[step.node.id], self.definitions[step.node.id]
            lines.append(f"{count}. {name} = {definition}")
            lines += [f"   {self.sentence(step, part)}" for part in step.parts]
        return "\n".join(lines)


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
        GraphError: the result does not depend on the variables, or differs from call to call.
        ShapeError: the result has more than one element.

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
        if output.size != 1:
            raise ShapeError(
                f"the result must be one number, got shape {output.shape}; take its sum or mean"
            )
        if not output.requires_grad:
            raise GraphError("the result does not depend on the variables")
        walk = explain(read_graph(output))
        return replace(walk, check=_check(function, tensors, tolerance))


def _check(
    function: Callable[..., Tensor], tensors: Mapping[str, Tensor], tolerance: float
) -> GradientReport:
    """`gradient_check` with the names of the variables, and in terms of dL itself.

    The check weighs L with a random number: it is the slope along a summand, put first.
    """
    values = [tensor.numpy() for tensor in tensors.values()]
    report = gradient_check(
        lambda summand, *variables: function(*variables) + summand,
        0.0,
        *values,
        tolerance=tolerance,
    )
    weight, *entries = report.entries
    named = tuple(
        replace(
            entry,
            name=name,
            analytic=entry.analytic / weight.analytic,
            numeric=entry.numeric / weight.analytic,
        )
        for name, entry in zip(tensors, entries, strict=True)
    )
    return GradientReport(named, tolerance)


def walk_through_expression(
    text: str, values: Mapping[str, float], *, tolerance: float = 1e-6
) -> Walkthrough:
    """`walk_through` for a formula in the grammar of `nnkit.expressions`.

    Parts that the formula names (``z = x * y; z^2``) keep their names in the graph.

    Raises:
        ExpressionError: with the position of the mistake, see `parse_expression`.

    >>> walk = walk_through_expression("h = relu(w*x + b); h^2", {"w": 2.0, "x": 1.0, "b": 0.5})
    >>> walk.names
    ('w', 'x', 'v1', 'b', 'v2', 'h', 'L')
    >>> print(walk.sentence(walk.steps[0], walk.steps[0].parts[0]))
    dL/dh = dL/dL * 2 * h = 1 * 2 * 2.5 = 5
    """
    expression = parse_expression(text)
    missing = [name for name in expression.variables if name not in values]
    if missing:
        raise ConfigError("values", f"a value is missing for {', '.join(missing)}")

    def evaluate(*tensors: Tensor) -> Tensor:
        given = dict(zip(expression.variables, tensors, strict=True))
        output, named = expression.evaluate_all(given, TENSOR_FUNCTIONS)
        for name, tensor in named.items():
            if isinstance(tensor, Tensor) and not tensor.name:
                tensor.name = name
        assert isinstance(output, Tensor)
        return output

    point = {name: values[name] for name in expression.variables}
    return walk_through(evaluate, point, tolerance=tolerance)


def parse_expression(text: str) -> expressions.Expression:
    """Parse a formula whose gradient is asked for.

    Its variables are single letters, with a number of up to two digits if need be (x, w, x1),
    except e; they are there for having been used (`expressions.Expression.variables`).

    Raises:
        ExpressionError: for what `expressions.parse` refuses, for a comparison, which has no
            gradient, and for a formula whose result depends on no variable.

    >>> parse_expression("z = x * w1; z > 1")
    Traceback (most recent call last):
    nnkit.errors.ExpressionError: a comparison jumps from 0 to 1 and has no gradient
    """
    expression = expressions.parse(text, _variables(text[: expressions.MAX_LENGTH]))
    if expression.is_threshold:
        place = re.search("[<>]", text)
        position = place.start() if place else 0
        raise ExpressionError("a comparison jumps from 0 to 1 and has no gradient", position)
    named_l = re.search(r"\bL\s*=(?!=)", text)
    if named_l and text.rstrip("; \t\r\n").rpartition(";")[2].strip() != "L":
        raise ExpressionError(
            "L is what the result is called: give this part another name", named_l.start()
        )
    if not _depends(expression):
        start = text.rstrip("; \t\r\n").rfind(";") + 1
        position = start + len(text[start:]) - len(text[start:].lstrip())
        raise ExpressionError(
            "the result depends on no variable, so there is nothing to differentiate", position
        )
    return expression


def _variables(text: str) -> tuple[str, ...]:
    """x, y, w, b and every letter, or letter with number, in the text that it does not assign."""
    names = re.findall(r"(?<![A-Za-z_0-9.])[a-z][0-9]{0,2}(?![A-Za-z_0-9])(?!\s*\()", text)
    assigned = re.findall(r"([A-Za-z_][A-Za-z_0-9]*)\s*=(?!=)", text)
    known = {*assigned, *expressions.CONSTANTS}
    return tuple(name for name in dict.fromkeys([*names, *"xywb"]) if name not in known)


def _depends(expression: expressions.Expression) -> bool:
    """Whether the result depends on a variable, directly or through a name."""
    reached = set(expression.variables)
    for name, node in expression.assignments:
        if reached & set(expressions.Expression((), node).variables):
            reached.add(name)
    return bool(reached & set(expressions.Expression((), expression.result).variables))


# ---- explaining ----------------------------------------------------------------------------------


def explain(graph: Graph) -> Walkthrough:
    """Names, definitions and the backward pass of a graph that was read with gradients.

    >>> x = Tensor(2.0, requires_grad=True, name="x")
    >>> print(explain(read_graph(x ** 3)))
    1. L = x^3
       dL/dx = dL/dL * 3 * x^2 = 1 * 3 * 2^2 = 12
    """
    names = _names(graph)
    definitions = tuple(definition(graph, node, names) for node in graph.nodes)
    uses: dict[int, int] = {}
    for edge in graph.edges:
        if edge.gradient is not None:
            uses[edge.source] = uses.get(edge.source, 0) + 1
    totals: dict[int, tuple[Array, int]] = {}
    steps = []
    for node in reversed(graph.nodes):
        if not node.operation or node.gradient is None:
            continue
        symbols, labels = symbols_of(graph, node, names)
        parts = []
        for edge in graph.into(node):
            if edge.gradient is None:
                continue
            before, earlier = totals.get(edge.source, (0.0, 0))
            total = np.asarray(before + edge.gradient)
            totals[edge.source] = total, earlier + 1
            formula, because = local_formula(node, edge, symbols)
            missing = uses[edge.source] - earlier - 1
            parts.append(Part(edge, formula, because, total, earlier, missing))
        steps.append(Step(node, tuple(parts), symbols, labels))
    return Walkthrough(graph, names, definitions, tuple(steps))


def _names(graph: Graph) -> tuple[str, ...]:
    output = graph.output
    given = [n.name if n.name != n.operation else "" for n in graph.nodes]
    if output.operation:
        given[-1] = "L"
    if given.count("L") > 1:
        raise ConfigError("names", "have an L, which is what the result is called; rename it")
    names: list[str] = []
    fresh = (name for name in _numbered("v") if name not in given)
    for node, name in zip(graph.nodes, given, strict=True):
        if not name and node.kind == "constant" and node.value.size == 1:
            name = number(node.value)
        names.append(name or next(fresh))
    return tuple(names)


def _numbered(letter: str) -> Iterator[str]:
    count = 0
    while True:
        count += 1
        yield f"{letter}{count}"
