"""Numbers and formulas as people write them: in plain text for boxes and tables, and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

import numpy as np
from numpy.typing import ArrayLike

from nnkit.expressions import Binary, Call, Expression, Name, Negate, Node, Number, parse
from nnkit.walkthrough import Part, Step, Walkthrough

LARGEST_MATRIX = 4
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

_ARRAY_FORMULAS = {
    "g @ b": r"{g}\,{b}",
    "g.T @ a": r"{g}^{{\top}}\,{a}",
    "g.sum(0)": r"\textstyle\sum_{{\text{{rows}}}} {g}",
    "g @ b.T": r"{g}\,{b}^{{\top}}",
    "a.T @ g": r"{a}^{{\top}}\,{g}",
    "g * (softmax(a) - b)": r"{g} \odot \bigl(\operatorname{{softmax}}({a}) - {b}\bigr)",
    "(g / n) * (softmax(a) - b)": (
        r"{g} \cdot \frac{{1}}{{{n}}} \bigl(\operatorname{{softmax}}({a}) - {b}\bigr)"
    ),
}


# ---- plain text ----------------------------------------------------------------------------------


def plain_number(value: float, digits: int = 4) -> str:
    """So many digits, with a true minus sign.

    >>> [plain_number(value) for value in (-0.5, 1 / 3, 2e-7, float("nan"))]
    ['−0.5', '0.3333', '2e−7', 'NaN']
    """
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = re.sub(r"e([+-])0*", r"e\1", f"{value + 0.0:.{digits}g}").replace("e+", "e")
    return text.replace("-", "−")


def plain_formula(text: str) -> str:
    """A definition of the walkthrough with the signs of mathematics.

    >>> plain_formula("w * x^2"), plain_formula("x @ W.T + b")
    ('w · x²', 'x Wᵀ + b')
    """
    text = re.sub(r"\^(-?[0-9]+)(?![.0-9])", lambda m: m[1].translate(_SUPERSCRIPTS), text)
    text = text.replace(" @ ", " ").replace(".T", "ᵀ").replace(" * ", " · ")
    return text.replace("-", "−")


# ---- LaTeX ---------------------------------------------------------------------------------------


def latex_number(value: float) -> str:
    """Four digits.

    >>> latex_number(-1234567.0)
    '-1.235 \\\\times 10^{6}'
    """
    if np.isnan(value):
        return r"\text{NaN}"
    if np.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    mantissa, _, exponent = f"{value + 0.0:.4g}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa


def latex_value(value: ArrayLike) -> str:
    """A number, a small matrix, or the shape of a large one; a vector stands as a row."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return latex_number(array.item())
    if array.ndim > 2 or max(array.shape) > LARGEST_MATRIX or not array.size:
        return rf"\text{{array {array.shape}}}"
    rows = (" & ".join(map(latex_number, row)) for row in np.atleast_2d(array))
    return _block("bmatrix", rows)


def latex_name(name: str) -> str:
    r"""What a walkthrough calls a node: a variable, a word, or the number of a constant.

    >>> [latex_name(name) for name in ("v12", "pi", "my_loss", "-1e-05")]
    ['v_{12}', '\\pi', '\\mathrm{my\\_loss}', '-1 \\times 10^{-5}']
    """
    if match := re.fullmatch(r"([A-Za-z])([0-9]*)", name):
        return f"{match[1]}_{{{match[2]}}}" if match[2] else name
    if name == "pi":
        return r"\pi"
    if re.fullmatch(r"-?[0-9.]+(e[+-]?[0-9]+)?", name):
        return latex_number(float(name))
    escaped = name.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def latex_gradient(output: str, name: str) -> str:
    return rf"\frac{{\partial {latex_name(output)}}}{{\partial {latex_name(name)}}}"


def latex_expression(expression: Expression) -> str:
    r"""A formula in lines: the names that it gives, then the result L.

    >>> latex_expression(parse("z = x / 2; sqrt(z^2)"))
    '\\begin{aligned} z & = \\frac{x}{2} \\\\ L & = \\sqrt{z^{2}} \\\\[-12pt] & \\end{aligned}'
    """
    parts = [*expression.assignments, ("L", expression.result)]
    return latex_lines(f"{latex_name(name)} & = {_latex(node, {})}" for name, node in parts)


def latex_lines(lines: Iterable[str], gap: str = "") -> str:
    """Lines aligned at their first &, and a little room below, or the last would be cut off."""
    body = rf" \\{gap} ".join(lines)
    return rf"\begin{{aligned}} {body} \\[-12pt] & \end{{aligned}}"


def latex_part(walk: Walkthrough, step: Step, part: Part) -> str:
    """What one operand receives: in names, in numbers, and the result, as lines of `aligned`."""
    assert part.edge.gradient is not None
    output = walk.names[-1]
    names = {symbol: latex_name(label) for symbol, label in step.labels.items()}
    names["g"] = latex_gradient(output, walk.names[step.node.id])
    numbers = {symbol: latex_value(value) for symbol, value in step.symbols.items()}
    if step.node.operation == "crossentropy":  # one number for each row of the others
        numbers["g"] = latex_value(step.symbols["g"][..., np.newaxis])
    arrays = {symbol for symbol, value in step.symbols.items() if value.ndim}
    result = latex_value(part.edge.gradient)
    sides = [_latex_formula(part.formula, words, arrays) for words in (names, numbers)]
    sides = [side for side in dict.fromkeys(sides) if side not in ("", "-0", result)]
    text = " = ".join([*sides, result])
    if len(sides) == 2:
        new_line = r" \\ & = "
        text = sides[0] + new_line + (new_line if arrays else " = ").join([sides[1], result])
    if part.because:
        left, sign, right = part.because.replace("<=", r"\le").split(" ")
        text += rf" \quad\text{{since }} {names.get(left, left)} {sign} {names.get(right, right)}"
    sign = r"\mathrel{+}=" if part.earlier else "="
    return f"{latex_gradient(output, walk.names[part.edge.source])} & {sign} {text}"


def _latex_formula(formula: str, words: Mapping[str, str], arrays: Set[str]) -> str:
    """A text of `nnkit.local_rules.FORMULAS` with words for its symbols."""
    if not formula:
        return ""
    if formula in _ARRAY_FORMULAS:
        return _ARRAY_FORMULAS[formula].format(**words)
    cases = [case.partition(" if ") for case in formula.split(" else ")]
    if len(cases) == 1:
        return _latex(parse(formula, "abcgnpqy").result, words, arrays)
    rows = []
    for result, _, condition in cases:
        where = _latex(parse(condition, "abc").result, words) if condition else r"\text{else}"
        rows.append(f"{_latex(parse(result, 'g').result, words)} & {where}")
    return _block("cases", rows)


def _block(kind: str, rows: Iterable[str]) -> str:
    body = r" \\ ".join(rows)
    return rf"\begin{{{kind}}} {body} \end{{{kind}}}"


_FUNCTIONS = {
    "sigmoid": r"\sigma",
    "log": r"\log",
    "sin": r"\sin",
    "cos": r"\cos",
    "tanh": r"\tanh",
}
_FUNCTIONS |= {"maximum": r"\max", "minimum": r"\min"}
_SIGNS = {"*": r"\cdot", ">=": r"\ge", "<=": r"\le"}
_BINDING = {"+": 1, "-": 1, "*": 2}


def _latex(
    node: Node, words: Mapping[str, str], arrays: Set[str] = frozenset(), binding: int = 0
) -> str:
    """The node in LaTeX, in parentheses when it binds less tightly than `binding`.

    Args:
        words: what to write for names; the others are written as names are.
        arrays: the names that are arrays, whose product is taken element by element.
    """
    match node:
        case Number(value):
            text = latex_number(value)
            own = _binding(text)
        case Name(name):
            text = words.get(name) or latex_name(name)
            own = _binding(text)
        case Negate(operand):
            own, text = 1, f"-{_latex(operand, words, arrays, 2)}"
        case Call("sqrt", (operand,)):
            own, text = 9, rf"\sqrt{{{_latex(operand, words, arrays)}}}"
        case Call("abs", (operand,)):
            own, text = 9, rf"\left|{_latex(operand, words, arrays)}\right|"
        case Call("exp", (operand,)):
            own, text = 4, f"e^{{{_latex(operand, words, arrays)}}}"
        case Call(name, arguments):
            function = _FUNCTIONS.get(name, rf"\operatorname{{{name}}}")
            inner = ", ".join(_latex(argument, words, arrays) for argument in arguments)
            own, text = 9, rf"{function}\left({inner}\right)"
        case Binary("/", Name("g"), right) if words:  # the slope stands by itself
            below = _latex(right, words, arrays)
            own, text = 2, rf"{_latex(Name('g'), words, arrays, 1)} \cdot \frac{{1}}{{{below}}}"
        case Binary("/", left, right):
            above, below = (_latex(side, words, arrays) for side in (left, right))
            own, text = 3, rf"\frac{{{above}}}{{{below}}}"
        case Binary("^", left, right):
            base, exponent = _latex(left, words, arrays, 5), _latex(right, words, arrays)
            own, text = (4, f"{base}^{{{exponent}}}") if exponent != "1" else (5, base)
        case Binary(symbol, left, right):
            own = _BINDING.get(symbol, 0)
            both = _touches(left, arrays) and _touches(right, arrays)
            sign = r"\odot" if symbol == "*" and both else _SIGNS.get(symbol, symbol)
            tighter = own if symbol == "+" else own + 1
            leads = symbol == "*" and words and isinstance(left, Name | Negate)
            text = f"{_latex(left, words, arrays, 1 if leads else own)} {sign} "
            text += _latex(right, words, arrays, max(tighter, 2))
    return rf"\left({text}\right)" if own < binding else text


def _binding(word: str) -> int:
    """How tightly the LaTeX of a number or name binds."""
    if word.startswith("-"):
        return 1
    if r"\times" in word:
        return 2
    return 3 if word.startswith(r"\frac") else 9


def _touches(node: Node, names: Set[str]) -> bool:
    return bool(names & set(Expression((), node).variables))
