"""What a formula is made of: numbers, names, operators and calls, and what they are worth."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np

from nnkit.errors import ExpressionError

T = TypeVar("T")

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

``log`` (or ``ln``) is natural, ``sigmoid(x) = 1 / (1 + exp(-x))``, ``relu(x) = maximum(x, 0)``,
``softplus(x) = log(1 + exp(x))``. ``maximum`` and ``minimum`` take two arguments, the others one.
"""

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
COMPARISONS = (">", "<", ">=", "<=")
# How tightly each binds. A sign stands between product and power: -x^2 is -(x^2), -x*y is (-x)*y.
BINDING = MappingProxyType({"+": 1, "-": 1, "*": 2, "/": 2, "^": 4, "**": 4})
SIGN, POWER = 3, 4


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

    >>> from nnkit.expressions import parse
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
        return isinstance(self.result, Binary) and self.result.operator in COMPARISONS

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

        >>> from nnkit.expressions import parse
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

        >>> from nnkit.expressions import parse
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
            if symbol in COMPARISONS:
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
            own, text = SIGN, f"-{_text(operand, SIGN)}"
        case Binary("^", left, right):
            own, text = POWER, f"{_text(left, POWER + 1)}^{_text(right, SIGN)}"
        case Binary(symbol, left, right):
            own = BINDING.get(symbol, 0)
            text = f"{_text(left, own)} {symbol} {_text(right, own + 1)}"
    return f"({text})" if own < binding else text
