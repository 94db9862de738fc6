"""What each operation sends backward, written down: formulas in symbols, names and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from .functions import Array
from .graph import Graph, GraphEdge, GraphNode

__all__ = ["FORMULAS", "definition", "local_formula", "number", "symbols_of", "written"]

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
mean is g, every summand gets it. The mean or sum of losses ("mean of squarederror") has the formula
of the loss with g / n or g for its g, where n is the number of losses.
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


def number(value: ArrayLike) -> str:
    """A value of one element to four digits, an array by its shape.

    >>> number(0.123456), number([[1.0, 2.0]])
    ('0.1235', 'array (1, 2)')
    """
    array = np.asarray(value, dtype=np.float64)
    if array.size != 1:
        return f"array {array.shape}"
    return f"{array.item() + 0.0:.4g}"  # + 0.0 for -0.0


def written(formula: str, words: Mapping[str, str]) -> str:
    """The formula with words for its symbols; negative numbers in parentheses."""

    def word(match: re.Match[str]) -> str:
        text = words.get(match[0], match[0])
        alone = match[0] == formula
        return f"({text})" if text.startswith("-") and not alone else text

    text = re.sub(r"\b[a-z]\b", word, formula).replace("**", "^")
    text = re.sub(r"\^1(?= |$)", "", text)
    return re.sub(r"\((\(-[^()]+\))\)", r"\1", text)


def _rule_name(node: GraphNode, operands: int) -> str:
    return "power of" if node.operation == "power" and operands == 2 else node.operation


def _reduced(node: GraphNode) -> tuple[str, str]:
    """For "mean of squarederror" these two words; for other operations nothing."""
    reduction, _, losses = node.operation.partition(" of ")
    return (reduction, losses) if losses else ("", "")


def _formulas(node: GraphNode, operands: int) -> tuple[str, ...]:
    reduction, losses = _reduced(node)
    formulas = FORMULAS.get(losses or _rule_name(node, operands), ())
    if reduction == "mean":
        return tuple(re.sub(r"\bg\b", "(g / n)", formula) for formula in formulas)
    return formulas


def definition(graph: Graph, node: GraphNode, names: Sequence[str]) -> str:
    """How the node was computed, such as "w * x"; "" for leaves."""
    if not node.operation:
        return ""
    operands = [names[edge.source] for edge in graph.into(node)]
    if node.operation == "power" and len(operands) == 1:
        return f"{operands[0]}^{node.settings['exponent']:g}"
    if node.operation == "linear":
        return " + ".join([f"{operands[0]} @ {operands[1]}.T", *operands[2:]])
    reduction, losses = _reduced(node)
    name = losses or _rule_name(node, len(operands))
    if template := _DEFINITIONS.get(name):
        text = template.format(*(f"({n})" if n.startswith("-") else n for n in operands))
    else:
        text = f"{name}({', '.join(operands)})"
    return f"{reduction}({text})" if reduction else text


def symbols_of(
    graph: Graph, node: GraphNode, names: Sequence[str]
) -> tuple[dict[str, Array], dict[str, str]]:
    """What the symbols of `FORMULAS` stand for at this node: their values, and their names."""
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
    if _reduced(node)[0] == "mean":  # of losses: one an element, or one a row
        rows = values["a"].shape[:-1] if "crossentropy" in node.operation else values["a"].shape
        numbers = {"n": math.prod(rows)}
    for symbol, value in numbers.items():
        values[symbol] = np.asarray(float(value))
        labels[symbol] = number(value)
    return values, labels


def local_formula(
    node: GraphNode, edge: GraphEdge, symbols: Mapping[str, Array]
) -> tuple[str, str]:
    """The formula for one operand, and the condition of its case: none for arrays of cases."""
    operands = [symbol for symbol in "abc" if symbol in symbols]
    formulas = _formulas(node, len(operands))
    source = symbols[operands[edge.position]] if edge.position < len(operands) else None
    if edge.position >= len(formulas) or source is None:
        return "", ""
    of_whole_arrays = node.operation in _OF_WHOLE_ARRAYS or any(_reduced(node))
    if not of_whole_arrays and node.shape != source.shape:
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
        if math.isnan(a + b):
            return "", ""
        if (a > b) if sign == ">" else (a < b):
            return result, condition
    if len(cases) == 1:
        return formula, ""
    return cases[-1], f"{left} {'=' if len(cases) == 3 else '<='} {right}"
