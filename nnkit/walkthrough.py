"""The backward pass step by step, as data: what each operation receives, and what it hands on.

`walk_through` takes a function of tensors, `walk_through_expression` a formula typed by a person.
Both give the graph, one `Step` for each operation in the order of the backward pass, and the same
gradients checked by differences. `explain` does it for a graph that is already there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        "divide": ("g / b", "-(g * (a / b**2))"),
        "power": ("g * p * a**q",),
        "power of": ("g * b * a**(b - 1)", "g * y * log(a)"),
        "negative": ("-g",),
        "exp": ("g * y",),
        "log": ("g / a",),
        "sqrt": ("g / (2 * y)",),
        "abs": ("g if a > 0 else -g if a < 0 else 0",),
        "sin": ("g * cos(a)",),
        "cos": ("-g * sin(a)",),
        "maximum": (
            "g if a > b else 0 if a < b else g / 2",
            "g if b > a else 0 if b < a else g / 2",
        ),
        "minimum": (
            "g if a < b else 0 if a > b else g / 2",
            "g if b < a else 0 if b > a else g / 2",
        ),
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
)
"""What an operation sends to each of its operands, for an incoming gradient g.

The operands are a, b, c and the result y; a fixed exponent is p, with q = p - 1; n is the number
of elements of a. The formulas are Python as well as mathematics. Where the gradient of a sum or
mean is g, every summand gets it.
"""

_OF_WHOLE_ARRAYS = ("crossentropy", "linear", "matmul", "mean", "sum")

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
        written = [text for text in dict.fromkeys(written) if text not in ("", "-0", result)]
        head = f"d{self.names[-1]}/d{self.names[part.edge.source]}"
        sign = "+=" if part.earlier else "="
        because = f" because {_written(part.because, step.labels)}" if part.because else ""
        return (
            " = ".join([f"{head} {sign} {[*written, result][0]}", *[*written, result][1:]])
            + because
        )

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

    text = re.sub(r"\b[a-z]\b", word, formula).replace("**", "^")
    text = re.sub(r"\^1(?= |$)", "", text)
    return re.sub(r"\((\(-[^()]+\))\)", r"\1", text)


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
    definitions = tuple(_definition(graph, node, names) for node in graph.nodes)
    uses: dict[int, int] = {}
    for edge in graph.edges:
        if edge.gradient is not None:
            uses[edge.source] = uses.get(edge.source, 0) + 1
    totals: dict[int, tuple[Array, int]] = {}
    steps = []
    for node in reversed(graph.nodes):
        if not node.operation or node.gradient is None:
            continue
        symbols, labels = _symbols(graph, node, names)
        parts = []
        for edge in graph.into(node):
            if edge.gradient is None:
                continue
            before, earlier = totals.get(edge.source, (0.0, 0))
            total = np.asarray(before + edge.gradient)
            totals[edge.source] = total, earlier + 1
            formula, because = _formula(node, edge, symbols)
            missing = uses[edge.source] - earlier - 1
            parts.append(Part(edge, formula, because, total, earlier, missing))
        steps.append(Step(node, tuple(parts), symbols, labels))
    return Walkthrough(graph, names, definitions, tuple(steps))


def _names(graph: Graph) -> tuple[str, ...]:
    output = graph.output
    given = [n.name if n.name != n.operation else "" for n in graph.nodes]
    if output.operation:
        given[-1] = "L"
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


def _rule_name(node: GraphNode, operands: int) -> str:
    return "power of" if node.operation == "power" and operands == 2 else node.operation


def _definition(graph: Graph, node: GraphNode, names: Sequence[str]) -> str:
    if not node.operation:
        return ""
    operands = [names[edge.source] for edge in graph.into(node)]
    if node.operation == "power" and len(operands) == 1:
        return f"{operands[0]}^{node.settings['exponent']:g}"
    if node.operation == "linear":
        return " + ".join([f"{operands[0]} @ {operands[1]}.T", *operands[2:]])
    if template := _DEFINITIONS.get(_rule_name(node, len(operands))):
        negative = [f"({name})" if name.startswith("-") else name for name in operands]
        return template.format(*negative)
    return f"{node.operation}({', '.join(operands)})"


def _symbols(
    graph: Graph, node: GraphNode, names: Sequence[str]
) -> tuple[dict[str, Array], dict[str, str]]:
    assert node.gradient is not None
    values = {"g": node.gradient, "y": node.value}
    labels = {"g": f"d{names[-1]}/d{names[node.id]}", "y": names[node.id]}
    operands = graph.into(node)
    for symbol, edge in zip("abc", operands, strict=False):
        values[symbol] = graph.nodes[edge.source].value
        labels[symbol] = names[edge.source]
    numbers = {}
    if node.operation == "power" and len(operands) == 1:
        numbers = {"p": node.settings["exponent"], "q": node.settings["exponent"] - 1}
    if node.operation == "mean":
        numbers = {"n": values["a"].size / max(node.value.size, 1)}
    for symbol, value in numbers.items():
        values[symbol] = np.asarray(float(value))
        labels[symbol] = number(value)
    return values, labels


def _formula(node: GraphNode, edge: GraphEdge, symbols: Mapping[str, Array]) -> tuple[str, str]:
    """The formula for one operand, and the condition of its case: none for arrays of cases."""
    operands = [symbol for symbol in "abc" if symbol in symbols]
    formulas = FORMULAS.get(_rule_name(node, len(operands)), ())
    source = symbols[operands[edge.position]] if edge.position < len(operands) else None
    if edge.position >= len(formulas) or source is None:
        return "", ""
    if node.operation not in _OF_WHOLE_ARRAYS and node.shape != source.shape:
        return "", ""  # the formula does not speak of the sum over the axes that were stretched
    formula = formulas[edge.position]
    return (formula, "") if node.value.size != 1 else _case(formula, symbols)


def _case(formula: str, symbols: Mapping[str, Array]) -> tuple[str, str]:
    """The case of the formula that holds for these numbers, and why: "" if it has one case."""
    cases = formula.split(" else ")
    for case in cases[:-1]:
        result, _, condition = case.partition(" if ")
        left, sign, right = condition.split(" ")
        a, b = (float(symbols[s].item()) if s in symbols else float(s) for s in (left, right))
        if (a > b) if sign == ">" else (a < b):
            return result, condition
    if len(cases) == 1:
        return formula, ""
    return cases[-1], f"{left} {'=' if len(cases) == 3 else '<='} {right}"
