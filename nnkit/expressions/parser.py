"""From the text of a formula to its tree."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from nnkit.errors import ConfigError, ExpressionError

from .tree import (
    BINDING,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    POWER,
    SIGN,
    Binary,
    Call,
    Expression,
    Name,
    Negate,
    Node,
    Number,
)

MAX_LENGTH = 500
MAX_DEPTH = 50
MAX_NODES = 300

_ALIASES = MappingProxyType({"max": "maximum", "min": "minimum", "ln": "log"})
_TWO_ARGUMENTS = ("maximum", "minimum")


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
        if self.token.text in COMPARISONS:
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
        while BINDING.get(self.token.text, 0) > binding:
            symbol = self.next().text
            if symbol in ("^", "**"):
                # One less than its own, so that another power to the right goes first.
                right = self.nested(POWER - 1)
                left = self.node(Binary("^", left, right))
            else:
                right = self.sum(BINDING[symbol])
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
            return self.node(Negate(self.nested(SIGN)))
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
                COMPARISONS, "a comparison stands once, in the last part, outside parentheses"
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
