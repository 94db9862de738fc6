"""Formulas typed by people: parsed into a small tree, never evaluated as Python.

A text can reach only what this grammar names; there are no attributes, indices, strings or calls
of anything but the functions listed, and length, nesting and number of parts are limited::

    formula    = { name "=" sum ";" } sum [ (">" | "<" | ">=" | "<=") sum ] [ ";" ]
    sum        = product { ("+" | "-") product }
    product    = sign { ("*" | "/") sign }
    sign       = "-" sign | power
    power      = atom [ ("^" | "**") sign ]          right to left: 2^3^2 = 2^9, -x^2 = -(x^2)
    atom       = number | name | function "(" sum { "," sum } ")" | "(" sum ")"

Names are the variables the caller allows, ``pi``, ``e``, and what an earlier ``name = ...`` gave.
A comparison makes the formula a threshold, worth 1 where it holds and 0 elsewhere.

Every mistake is an `ExpressionError` with its position; `point_at` shows the place.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import numpy as np

from nnkit.errors import ConfigError, ExpressionError

__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "Binary",
    "Call",
    "Expression",
    "Name",
    "Negate",
    "Node",
    "Number",
    "parse",
    "point_at",
]

T = TypeVar("T")

MAX_LENGTH = 500
MAX_DEPTH = 50
MAX_NODES = 300

CONSTANTS: Final[Mapping[str, float]] = MappingProxyType({"pi": math.pi, "e": math.e})
"""Names that stand for a number."""

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "sin": np.sin,
        "cos": np.cos,
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "tanh": np.tanh,
        "sigmoid": lambda x: np.exp(-np.logaddexp(0.0, -x)),
        "relu": lambda x: np.maximum(x, 0.0),
        "softplus": lambda x: np.logaddexp(0.0, x),
        "maximum": np.maximum,
        "minimum": np.minimum,
    }
)
"""The functions a formula may call, for NumPy arrays: those to supply for any other kind of value.

``log`` is natural, ``sigmoid(x) = 1 / (1 + exp(-x))``, ``relu(x) = maximum(x, 0)``,
``softplus(x) = log(1 + exp(x))``. ``maximum`` and ``minimum`` take two arguments, the others one.
"""

_ALIASES = MappingProxyType({"max": "maximum", "min": "minimum"})
_TWO_ARGUMENTS = ("maximum", "minimum")
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
        "^": operator.pow,
        ">": operator.gt,
        "<": operator.lt,
        ">=": operator.ge,
        "<=": operator.le,
    }
)
_COMPARISONS = (">", "<", ">=", "<=")
# How tightly each binds. A sign stands between product and power: -x^2 is -(x^2), -x*y is (-x)*y.
_BINDING = MappingProxyType({"+": 1, "-": 1, "*": 2, "/": 2, "^": 4, "**": 4})
_SIGN, _POWER = 3, 4


# --------------------------------------------------------------------------------------- tree


@dataclass(frozen=True)
class Number:
    """A literal, always finite and never negative: -2 is the `Negate` of 2."""

    value: float


@dataclass(frozen=True)
class Name:
    """A variable, a constant, or a name given by an earlier assignment."""

    name: str


@dataclass(frozen=True)
class Negate:
    """``-operand``."""

    operand: Node


@dataclass(frozen=True)
class Binary:
    """``left operator right``, the operator being one of ``+ - * / ^ > < >= <=``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """``function(*arguments)``, the function being a key of `FUNCTIONS`."""

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Number | Name | Negate | Binary | Call


@dataclass(frozen=True)
class Expression:
    """A parsed formula: assignments in order, then the result. Its `str` is a canonical form.

    >>> formula = parse("z = 2*x+1; max(z, -(x**2))")
    >>> str(formula), formula.variables, formula.is_threshold
    ('z = 2 * x + 1; maximum(z, -x^2)', ('x',), False)
    >>> formula.evaluate({"x": 3.0})
    7.0
    """

    assignments: tuple[tuple[str, Node], ...]
    result: Node

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables used, in order of first appearance; constants are not among them."""
        given = CONSTANTS.keys() | {name for name, _ in self.assignments}
        nodes = [node for _, node in self.assignments] + [self.result]
        names = (name for node in nodes for name in _names(node))
        return tuple(dict.fromkeys(name for name in names if name not in given))

    @property
    def is_threshold(self) -> bool:
        """Whether the formula is a comparison, with values 0 and 1."""
        return isinstance(self.result, Binary) and self.result.operator in _COMPARISONS

    def evaluate(
        self, env: Mapping[str, T], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> T | float:
        """The value for the variables in `env`: numbers, NumPy arrays, or anything with operators.

        Plain numbers are computed in float64, and stay plain, so that float32 arrays remain
        float32. Where a formula is not defined the result is NaN or infinite, never an error.
        A formula without variables gives a number, and a lone variable its own value, not a copy.

        Args:
            env: a value for each of `variables`.
            functions: what to call for the names of `FUNCTIONS`, which is the default and right for
                numbers and arrays only: tensors need functions of their own.

        Raises:
            ExpressionError: for a variable or function that is not given (position 0), and for a
                threshold of values that are neither numbers nor arrays: it has no gradient.

        >>> parse("x^2 + y^2 < 1").evaluate({"x": np.array([0.5, 2.0]), "y": np.zeros(2)})
        array([1., 0.])
        >>> parse("1/x").evaluate({"x": 0.0})
        inf
        """
        return self.evaluate_all(env, functions)[0]

    def evaluate_all(
        self, env: Mapping[str, T], functions: Mapping[str, Callable[..., Any]] | None = None
    ) -> tuple[T | float, dict[str, T | float]]:
        """The value as of `evaluate`, and that of each assigned name.

        >>> parse("z = x + 1; z * z").evaluate_all({"x": 2.0})
        (9.0, {'z': 3.0})
        """
        functions = FUNCTIONS if functions is None else functions
        values: dict[str, Any] = {**env, **CONSTANTS}
        with np.errstate(all="ignore"):
            for name, node in self.assignments:
                values[name] = _compute(node, values, functions)
            result = _compute(self.result, values, functions)
        return result, {name: values[name] for name, _ in self.assignments}

    def __str__(self) -> str:
        parts = [f"{name} = {_text(node)}" for name, node in self.assignments]
        return "; ".join([*parts, _text(self.result)])


def _names(node: Node) -> Iterator[str]:
    match node:
        case Name(name):
            yield name
        case Negate(operand):
            yield from _names(operand)
        case Binary(_, left, right):
            yield from _names(left)
            yield from _names(right)
        case Call(_, arguments):
            for argument in arguments:
                yield from _names(argument)


def _compute(
    node: Node, values: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> Any:
    match node:
        case Number(value):
            return value
        case Name(name):
            if name not in values:
                raise ExpressionError(f"no value is given for {name!r}", 0)
            return values[name]
        case Negate(operand):
            return -_compute(operand, values, functions)
        case Binary(symbol, left, right):
            arguments = [_compute(left, values, functions), _compute(right, values, functions)]
            if symbol in _COMPARISONS:
                return _compare(symbol, *arguments)
            return _apply(_OPERATORS[symbol], arguments)
        case Call(name, nodes):
            arguments = [_compute(argument, values, functions) for argument in nodes]
            if functions is FUNCTIONS and not _are_arrays(arguments):
                # NumPy would take most things, and their gradient would be lost in silence.
                raise ExpressionError(f"{name!r} of other than arrays: pass `functions`", 0)
            function = FUNCTIONS[name] if _are_plain(arguments) else functions.get(name)
            if function is None:
                raise ExpressionError(f"the function {name!r} is not available here", 0)
            return _apply(function, arguments)


def _apply(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call it; plain numbers go through NumPy, whose 1 / 0 is infinite and sqrt(-1) NaN."""
    if _are_plain(arguments):
        return float(function(*(np.float64(argument) for argument in arguments)))
    return function(*arguments)


def _compare(symbol: str, left: Any, right: Any) -> Any:
    if not _are_arrays((left, right)):
        raise ExpressionError("a threshold has no gradient: compute it with numbers or arrays", 0)
    result = _apply(_OPERATORS[symbol], (left, right))
    if isinstance(result, float):
        return result
    return result.astype(np.result_type(left, right, np.float32))


def _are_plain(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _are_arrays(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float | np.ndarray | np.generic) for value in values)


def _text(node: Node, binding: int = 0) -> str:
    """The node as text, in parentheses when it binds less tightly than `binding`."""
    match node:
        case Number(value):
            return repr(value).removesuffix(".0")
        case Name(name):
            return name
        case Call(name, arguments):
            return f"{name}({', '.join(_text(argument) for argument in arguments)})"
        case Negate(operand):
            own, text = _SIGN, f"-{_text(operand, _SIGN)}"
        case Binary("^", left, right):
            own, text = _POWER, f"{_text(left, _POWER + 1)}^{_text(right, _SIGN)}"
        case Binary(symbol, left, right):
            own = _BINDING.get(symbol, 0)
            text = f"{_text(left, own)} {symbol} {_text(right, own + 1)}"
    return f"({text})" if own < binding else text


# ------------------------------------------------------------------------------------- parser


def parse(text: str, variables: Sequence[str] = ("x", "y")) -> Expression:
    """Parse a formula, or several assignments and a formula, parted by semicolons.

    Args:
        text: at most 500 characters, nested at most 50 deep, at most 300 numbers, names,
            operators and calls.
        variables: the names that will have values. An assignment cannot take one of them.

    Raises:
        ExpressionError: with the position of the first mistake.
        ConfigError: when a variable has the name of a constant or function, or is not a name.

    >>> parse("x^2 > 1 - y").is_threshold
    True
    >>> str(parse("h = relu(w*x + b); h - y", variables=("x", "y", "w", "b")))
    'h = relu(w * x + b); h - y'
    >>> parse("2x")
    Traceback (most recent call last):
    nnkit.errors.ExpressionError: no operator between '2' and 'x'; put * there to multiply
    """
    for name in variables:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
            raise ConfigError("variables", f"{name!r} is not a name of ASCII letters and digits")
        if name in CONSTANTS or name in FUNCTIONS or name in _ALIASES:
            raise ConfigError("variables", f"{name!r} already has a meaning in formulas")
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the formula has {len(text)} characters, at most {MAX_LENGTH} are allowed", MAX_LENGTH
        )
    return _Parser(_tokens(text), variables).formula()


def point_at(text: str, position: int) -> str:
    """The text, and under it a caret at `position`, for a monospaced font.

    >>> try:
    ...     parse("sin(x) + cso(y)")
    ... except ExpressionError as error:
    ...     print(error, point_at("sin(x) + cso(y)", error.position), sep="\\n")
    unknown function 'cso'; did you mean 'cos'?
    sin(x) + cso(y)
             ^
    """
    line = "".join(character if character.isprintable() else " " for character in text)
    return f"{line}\n{' ' * min(max(position, 0), len(line))}^"


class _Token(NamedTuple):
    kind: str  # number, name, symbol, end
    text: str
    position: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<symbol>\*\*|[<>=!]=|[-+*/^()<>,;=])"
)
_LOOKALIKES = MappingProxyType(
    {
        "×": "*",
        "·": "*",
        "÷": "/",
        "−": "-",
        "–": "-",
        "²": "^2",
        "³": "^3",
        "√": "sqrt(...)",
        "π": "pi",
        "≤": "<=",
        "≥": ">=",
        "|": "abs(...)",
        "[": "(",
        "]": ")",
        "{": "(",
        "}": ")",
    }
)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            symbol = text[position]
            hint = f"; write {_LOOKALIKES[symbol]}" if symbol in _LOOKALIKES else ""
            raise ExpressionError(f"{symbol!r} has no meaning in a formula{hint}", position)
        kind = str(match.lastgroup)
        if kind == "number" and math.isinf(float(match[0])):
            raise ExpressionError(f"the number {match[0]} is too large", position)
        if kind != "space":
            tokens.append(_Token(kind, match[0], position))
        position = match.end()
    return [*tokens, _Token("end", "", len(text))]


class _Parser:
    """A Pratt parser: `sum` reads an operand, then operators while they bind tightly enough."""

    def __init__(self, tokens: Sequence[_Token], variables: Sequence[str]) -> None:
        self.tokens = tokens
        self.index = 0
        self.names = [*variables, *CONSTANTS]
        self.depth = 0
        self.nodes = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def formula(self) -> Expression:
        assignments = []
        while (assignment := self.assignment()) is not None:
            assignments.append(assignment)
        result = self.sum()
        if self.token.text in _COMPARISONS:
            symbol = self.next().text
            result = self.node(Binary(symbol, result, self.sum()))
        if self.token.text == ";":
            self.next()
            if self.token.kind != "end":
                raise self.error("a part before the last needs a name, as in 'z = x + y; z * z'")
        if self.token.kind != "end":
            raise self.unexpected()
        return Expression(tuple(assignments), result)

    def assignment(self) -> tuple[str, Node] | None:
        """The next part when it is ``name = sum ;``, else nothing is read."""
        name = self.token
        if name.kind != "name" or self.tokens[self.index + 1].text != "=":
            return None
        if name.text in self.names or name.text in FUNCTIONS or name.text in _ALIASES:
            raise self.error(f"{name.text!r} already has a meaning; assign to another name")
        self.index += 2
        node = self.sum()
        if self.token.kind == "end":
            raise self.error(f"after '{name.text} = ...;' a formula to compute is missing")
        if self.token.text != ";":
            raise self.unexpected()
        self.next()
        self.names.append(name.text)
        return name.text, node

    def sum(self, binding: int = 0) -> Node:
        """Operands joined by operators that bind more tightly than `binding`."""
        left = self.operand()
        while _BINDING.get(self.token.text, 0) > binding:
            symbol = self.next().text
            if symbol in ("^", "**"):
                # One less than its own, so that another power to the right goes first.
                right = self.nested(_POWER - 1)
                left = self.node(Binary("^", left, right))
            else:
                right = self.sum(_BINDING[symbol])
                left = self.node(Binary(symbol, left, right))
        return left

    def operand(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.next()
            return self.node(Number(float(token.text)))
        if token.kind == "name":
            return self.name()
        if token.text == "-":
            self.next()
            return self.node(Negate(self.nested(_SIGN)))
        if token.text == "(":
            self.next()
            inner = self.nested(0)
            self.close(token)
            return inner
        raise self.error(f"expected a number, a name or '(', found {token}")

    def name(self) -> Node:
        token = self.token
        function = _ALIASES.get(token.text, token.text)
        called = self.tokens[self.index + 1].text == "("
        if function in FUNCTIONS:
            if not called:
                raise self.error(f"{token} is a function, write {token.text}(...)")
            self.next()
            return self.call(function)
        if token.text not in self.names:
            raise self.unknown(called)
        self.next()
        return self.node(Name(token.text))

    def call(self, function: str) -> Node:
        name, opening = self.tokens[self.index - 1], self.next()
        arguments = [self.nested(0)]
        while self.token.text == ",":
            self.next()
            arguments.append(self.nested(0))
        self.close(opening)
        wanted = 2 if function in _TWO_ARGUMENTS else 1
        if len(arguments) != wanted:
            count = "two arguments" if wanted == 2 else "one argument"
            raise ExpressionError(f"{name} takes {count}, got {len(arguments)}", name.position)
        return self.node(Call(function, tuple(arguments)))

    # ---- steps and limits

    def next(self) -> _Token:
        token = self.token
        self.index += 1
        return token

    def nested(self, binding: int) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"the formula is nested more than {MAX_DEPTH} deep")
        node = self.sum(binding)
        self.depth -= 1
        return node

    def node(self, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.error(f"the formula has more than {MAX_NODES} parts")
        return node

    def close(self, opening: _Token) -> None:
        if self.token.kind == "end":
            raise ExpressionError("this '(' is never closed", opening.position)
        if self.token.text != ")":
            raise self.unexpected()
        self.next()

    # ---- what to say

    def error(self, message: str) -> ExpressionError:
        return ExpressionError(message, self.token.position)

    def unexpected(self) -> ExpressionError:
        """The error for a token that cannot follow a complete operand."""
        token, before = self.token, self.tokens[self.index - 1]
        if token.kind in ("number", "name") or token.text == "(":
            message = f"no operator between {before} and {token}"
            if (before.kind, token.kind) != ("number", "number"):
                message += "; put * there to multiply"
            return self.error(message)
        hints = {
            ")": "this ')' has no '(' before it",
            ",": "a ',' only parts the two arguments of maximum and minimum; decimals take a point",
            "=": "'=' only names a part, as in 'z = x + y; z * z'",
            "==": "equality is not available, compare with < > <= >=",
            "!=": "inequality is not available, compare with < > <= >=",
            **dict.fromkeys(
                _COMPARISONS, "a comparison stands once, in the last part, outside parentheses"
            ),
        }
        return self.error(hints.get(token.text, f"{token} cannot stand here"))

    def unknown(self, called: bool) -> ExpressionError:
        """The error for a name that is not known, with what may have been meant."""
        name = self.token.text
        known = [*FUNCTIONS, *_ALIASES] if called else [*self.names, *FUNCTIONS, *_ALIASES]
        if not called and all(letter in self.names for letter in name):
            hint = f"to multiply write {' * '.join(name)}"
        elif close := difflib.get_close_matches(name.lower(), known, n=1):
            hint = f"did you mean {close[0]!r}?"
        else:
            hint = f"known are {', '.join(known)}"
        return self.error(f"unknown {'function' if called else 'name'} {name!r}; {hint}")
