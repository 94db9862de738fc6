"""Formulas: read as Python would read them, and nothing else is read at all."""

import math
import re
import string

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nnkit.errors import ConfigError, ExpressionError
from nnkit.expressions import (
    CONSTANTS,
    FUNCTIONS,
    Binary,
    Call,
    Expression,
    Name,
    Negate,
    Number,
    parse,
    point_at,
)

VARIABLES = ("x", "y", "w1")


def value(text: str, **env: float) -> float:
    result = parse(text, tuple(env)).evaluate(env)
    assert type(result) is float
    return result


class TestGrammar:
    @pytest.mark.parametrize(
        "text, expected",
        [
            ("1", 1.0),
            (".5", 0.5),
            ("2.", 2.0),
            ("1e-3", 0.001),
            ("1.5E+2", 150.0),
            ("pi", math.pi),
            ("e", math.e),
            ("1 - 2 - 3", -4.0),
            ("8 / 4 / 2", 1.0),
            ("2 + 3 * 4", 14.0),
            ("(2 + 3) * 4", 20.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("2 ** 3 ** 2", 512.0),
            ("-2 ^ 2", -4.0),
            ("(-2) ^ 2", 4.0),
            ("2 ^ -1", 0.5),
            ("2 ^ -1 * 4", 2.0),
            ("2 ^ -2 ^ 2", 0.0625),
            ("2 * -3", -6.0),
            ("1 - -1", 2.0),
            ("--1", 1.0),
            ("-2 * 3 + 1", -5.0),
            ("  1\n+\t1 ", 2.0),
            ("1;", 1.0),
            ("a = 2; b = a * a; a + b", 6.0),
            ("1 < 2", 1.0),
            ("1 > 2", 0.0),
            ("2 >= 1 + 1", 1.0),
            ("2 <= 1", 0.0),
        ],
    )
    def test_value(self, text, expected):
        assert value(text) == expected

    @pytest.mark.parametrize(
        "call, expected",
        [
            ("sin(2)", math.sin(2)),
            ("cos(2)", math.cos(2)),
            ("exp(2)", math.exp(2)),
            ("log(2)", math.log(2)),
            ("sqrt(2)", math.sqrt(2)),
            ("abs(-2)", 2.0),
            ("tanh(2)", math.tanh(2)),
            ("sigmoid(2)", 1 / (1 + math.exp(-2))),
            ("sigmoid(-700)", math.exp(-700)),
            ("relu(2)", 2.0),
            ("relu(-2)", 0.0),
            ("softplus(2)", math.log1p(math.exp(2))),
            ("softplus(1e4)", 1e4),
            ("maximum(1, 2)", 2.0),
            ("minimum(1, 2)", 1.0),
            ("max(1, 2)", 2.0),
            ("min(1, 2)", 1.0),
        ],
    )
    def test_functions(self, call, expected):
        assert value(call) == pytest.approx(expected, rel=1e-12)

    def test_every_function_is_in_the_table_above(self):
        (mark,) = TestGrammar.test_functions.pytestmark
        called = {call.partition("(")[0] for call, _ in mark.args[1]}
        assert called == {*FUNCTIONS, "max", "min"}

    def test_tree(self):
        assert parse("z = -x^2; max(z, 1) > y") == Expression(
            (("z", Negate(Binary("^", Name("x"), Number(2.0)))),),
            Binary(">", Call("maximum", (Name("z"), Number(1.0))), Name("y")),
        )

    def test_variables_in_order_of_use_without_given_names(self):
        formula = parse("z = w1 * pi; relu(z - x) + x^-w1", VARIABLES)
        assert formula.variables == ("w1", "x")
        assert parse("2 * e").variables == ()

    def test_is_threshold(self):
        assert parse("x > y").is_threshold
        assert not parse("x - y").is_threshold

    def test_nodes_cannot_be_changed_and_can_be_keys(self):
        formula = parse("x + 1")
        with pytest.raises(AttributeError):
            formula.result.left = Name("y")
        assert {formula: 1}[parse("x+1")] == 1

    @pytest.mark.parametrize(
        "text, canonical",
        [
            ("x-(y-1)", "x - (y - 1)"),
            ("(x-y)-1", "x - y - 1"),
            ("x*(y*1.50)", "x * (y * 1.5)"),
            ("((x))**(-(y))", "x^-y"),
            ("(x^y)^2", "(x^y)^2"),
            ("x^(y^2)", "x^y^2"),
            ("(-x)^2", "(-x)^2"),
            ("-(x+y)*2", "-(x + y) * 2"),
            ("-(x*y)", "-(x * y)"),
            ("min(x,max(y,1))>=.5", "minimum(x, maximum(y, 1)) >= 0.5"),
            ("ln(x)", "log(x)"),
            ("a=x;a;", "a = x; a"),
        ],
    )
    def test_canonical_form(self, text, canonical):
        assert str(parse(text)) == canonical

    @pytest.mark.parametrize("name", ["", "x y", "1x", "größe", "x;y"])
    def test_variables_must_be_names(self, name):
        with pytest.raises(ConfigError, match=r"variables: .* is not a name"):
            parse("1", ("x", name))

    @pytest.mark.parametrize("name", ["pi", "sin", "max"])
    def test_variables_cannot_hide_what_formulas_know(self, name):
        with pytest.raises(ConfigError, match="already has a meaning"):
            parse("1", (name,))


class TestEvaluate:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_arrays_keep_their_dtype(self, dtype):
        x = np.linspace(-1, 1, 5, dtype=dtype)
        for text in ("2 * x ^ 2", "sqrt(2) * x", "exp(-x) / pi", "sigmoid(x) + softplus(x)"):
            assert parse(text).evaluate({"x": x}).dtype == dtype
        result = parse("x > 1/4").evaluate({"x": x})
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, [0, 0, 0, 1, 1])

    def test_arrays_agree_with_numpy(self):
        x, y = np.random.default_rng(0).normal(size=(2, 50))
        result = parse("z = x*y; sin(3*z) - max(x, y)^2 / (1 + abs(z))").evaluate({"x": x, "y": y})
        z = x * y
        np.testing.assert_allclose(result, np.sin(3 * z) - np.maximum(x, y) ** 2 / (1 + abs(z)))

    def test_arguments_are_not_changed(self):
        x = np.linspace(-1, 1, 5)
        before = x.copy()
        parse("z = -x; relu(z) + abs(x) ^ 0.5 * x").evaluate({"x": x})
        np.testing.assert_array_equal(x, before)

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize(
        "text, expected",
        [
            ("1 / 0", math.inf),
            ("x / 0", math.inf),
            ("0 / 0", math.nan),
            ("log(-x)", math.nan),
            ("(-x) ^ 0.5", math.nan),
            ("10 ^ 400", math.inf),
            ("exp(1000 * x)", math.inf),
            ("log(0)", -math.inf),
        ],
    )
    def test_undefined_is_a_value_not_an_error(self, text, expected):
        np.testing.assert_equal(float(parse(text).evaluate({"x": 1.0})), expected)
        array = np.broadcast_to(parse(text).evaluate({"x": np.ones(3)}), 3)
        np.testing.assert_array_equal(array, np.full(3, expected))

    def test_integers_are_numbers_too(self):
        assert value("x ^ -1 / 2", x=4) == 0.125

    def test_numpy_scalars_compare(self):
        assert parse("x > 0").evaluate({"x": np.float32(1)}) == 1.0

    def test_evaluate_all_gives_assigned_names(self):
        result, named = parse("a = 2 * x; b = a + 1; b / a").evaluate_all({"x": 1.0})
        assert (result, named) == (1.5, {"a": 2.0, "b": 3.0})

    def test_constants_cannot_be_overridden(self):
        assert parse("e").evaluate({"e": 1.0}) == math.e

    def test_missing_value_is_named(self):
        with pytest.raises(ExpressionError, match="no value is given for 'y'"):
            parse("x + y").evaluate({"x": 1.0})


class Dual:
    """A number with its derivative: stands for any type that has operators of its own."""

    def __init__(self, value: float, slope: float = 0.0) -> None:
        self.value, self.slope = value, slope

    @staticmethod
    def of(other) -> "Dual":
        return other if isinstance(other, Dual) else Dual(other)

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __add__(self, other):
        other = Dual.of(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = Dual.of(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    def __pow__(self, power: float):
        return Dual(self.value**power, power * self.value ** (power - 1) * self.slope)

    __radd__, __rmul__ = __add__, __mul__

    def __sub__(self, other):
        return self + -Dual.of(other)

    def __rsub__(self, other):
        return Dual.of(other) + -self

    def __truediv__(self, other):
        return self * Dual.of(other) ** -1

    def __rtruediv__(self, other):
        return Dual.of(other) * self**-1


DUAL_FUNCTIONS = {
    "sin": lambda x: Dual(math.sin(x.value), math.cos(x.value) * x.slope),
    "exp": lambda x: Dual(math.exp(x.value), math.exp(x.value) * x.slope),
}


class TestOtherTypes:
    def test_operators_and_functions_of_the_caller(self):
        formula = parse("z = sin(2) * x; 1/z - exp(-z)^2 + sin(z/3) + (2 - x) - 1")
        result = formula.evaluate({"x": Dual(0.7, 1.0)}, DUAL_FUNCTIONS)
        step = 1e-6
        above, below = (formula.evaluate({"x": 0.7 + sign * step}) for sign in (1, -1))
        assert result.value == pytest.approx(formula.evaluate({"x": 0.7}))
        assert result.slope == pytest.approx((above - below) / (2 * step))

    def test_a_function_that_is_missing_is_named(self):
        with pytest.raises(ExpressionError, match="'tanh' is not available here"):
            parse("tanh(x)").evaluate({"x": Dual(1.0)}, DUAL_FUNCTIONS)

    def test_numpy_does_not_step_in(self):
        with pytest.raises(ExpressionError, match="pass `functions`"):
            parse("sin(x)").evaluate({"x": Dual(1.0)})

    def test_a_threshold_is_refused(self):
        with pytest.raises(ExpressionError, match="threshold has no gradient"):
            parse("x > 0").evaluate({"x": Dual(1.0)}, DUAL_FUNCTIONS)


MISTAKES = [
    ("", 0, "found the end"),
    ("x +", 3, "expected a number, a name or '(', found the end"),
    ("* x", 0, "found '*'"),
    ("+x", 0, "found '+'"),
    ("x ^^ 2", 3, "found '^'"),
    ("sin()", 4, "found ')'"),
    ("(x + 1", 0, "this '(' is never closed"),
    ("1 + max(x, y", 7, "this '(' is never closed"),
    ("x + 1)", 5, "no '(' before it"),
    ("(x; y)", 2, "';' cannot stand here"),
    ("2x", 1, "no operator between '2' and 'x'; put * there"),
    ("2 (x)", 2, "put * there"),
    ("(x)(y)", 3, "between ')' and '('; put * there"),
    ("x y", 2, "put * there"),
    ("x(2)", 1, "no operator between 'x' and '('; put * there"),
    ("1.2.3", 3, "no operator between '1.2' and '.3'"),
    ("1,5", 1, "decimals take a point"),
    ("xy + 1", 0, "unknown name 'xy'; to multiply write x * y"),
    ("1 + sine(x)", 4, "unknown function 'sine'; did you mean 'sin'?"),
    ("Exp(x)", 0, "did you mean 'exp'?"),
    ("X", 0, "unknown name 'X'; did you mean 'x'?"),
    ("height = x; heigth", 12, "did you mean 'height'?"),
    ("lb(x)", 0, "unknown function 'lb'; known are sin, cos, exp, log"),
    ("foo", 0, "unknown name 'foo'; known are x, y, pi, e, sin"),
    ("sin x", 0, "'sin' is a function, write sin(...)"),
    ("1 + max", 4, "'max' is a function, write max(...)"),
    ("max(x)", 0, "'max' takes two arguments, got 1"),
    ("1 + sin(x, y)", 4, "'sin' takes one argument, got 2"),
    ("x > 1 > y", 6, "a comparison stands once"),
    ("(x > 1) * 2", 3, "a comparison stands once"),
    ("z = x > 0; z", 6, "a comparison stands once"),
    ("x == y", 2, "equality is not available"),
    ("x != y", 2, "inequality is not available"),
    ("1 + z = 2", 4, "unknown name 'z'"),
    ("(x) = 2", 4, "'=' only names a part"),
    ("x = 2; x", 0, "'x' already has a meaning"),
    ("pi = 3; pi", 0, "'pi' already has a meaning"),
    ("sin = 3; x", 0, "'sin' already has a meaning"),
    ("max = 3; x", 0, "'max' already has a meaning"),
    ("z = 1; z = 2; z", 7, "'z' already has a meaning"),
    ("z = z; z", 4, "unknown name 'z'"),
    ("z = 1", 5, "a formula to compute is missing"),
    ("z = 1;", 6, "found the end"),
    ("z = 1 2; z", 6, "no operator"),
    ("x; y", 3, "a part before the last needs a name"),
    ("1e999", 0, "the number 1e999 is too large"),
    ("x²", 1, "'²' has no meaning in a formula; write ^2"),
    ("2 × x", 2, "write *"),
    ("x[0]", 1, "'[' has no meaning in a formula; write ("),
    ("x.real", 1, "'.' has no meaning"),
    ("__import__('os')", 11, "has no meaning"),
    ("__class__", 0, "unknown name"),
    ("lambda: 0", 6, "':' has no meaning"),
    ("x\0", 1, r"'\x00' has no meaning"),
    ("٣", 0, "has no meaning"),
    ("x" * 501, 500, "501 characters, at most 500"),
    ("(" * 51 + "x" + ")" * 51, 51, "more than 50 deep"),
    ("-" * 51 + "x", 51, "more than 50 deep"),
    ("x" + "^x" * 51, 102, "more than 50 deep"),
    ("abs(" * 51 + "x", 204, "more than 50 deep"),
    ("x" + "+x" * 150, 301, "more than 300 parts"),
]


class TestMistakes:
    @pytest.mark.parametrize("text, position, message", MISTAKES, ids=[m[0][:20] for m in MISTAKES])
    def test_says_what_and_where(self, text, position, message):
        with pytest.raises(ExpressionError, match=re.escape(message)) as caught:
            parse(text)
        assert caught.value.position == position

    @pytest.mark.parametrize(
        "text",
        [
            "x".ljust(500),
            "(" * 50 + "x" + ")" * 50,
            "-" * 50 + "x",
            "x" + "^x" * 50,
            "x" + "+x" * 149 + ";",
            "(x)" + "+(x)" * 100,
        ],
        ids=["length", "parentheses", "signs", "powers", "parts", "side by side"],
    )
    def test_limits_themselves_are_allowed(self, text):
        formula = parse(text)
        assert formula.evaluate({"x": 1.0}) is not None
        assert formula.variables == ("x",)

    def test_point_at(self):
        assert point_at("x + $", 4) == "x + $\n    ^"
        assert point_at("x\n+\t$", 4) == "x + $\n    ^"
        assert point_at("x", 99) == "x\n ^"
        assert point_at("x", -1) == "x\n^"


numbers = st.floats(0, 1e20).map(Number) | st.integers(0, 9).map(lambda n: Number(float(n)))
names = st.sampled_from([*VARIABLES, *CONSTANTS]).map(Name)


def larger(nodes):
    one = st.sampled_from([name for name in FUNCTIONS if not name.endswith("imum")])
    two = st.sampled_from(["maximum", "minimum"])
    return (
        st.builds(Negate, nodes)
        | st.builds(Binary, st.sampled_from("+-*/^"), nodes, nodes)
        | st.builds(lambda function, node: Call(function, (node,)), one, nodes)
        | st.builds(lambda function, *pair: Call(function, pair), two, nodes, nodes)
    )


nodes = st.recursive(numbers | names, larger, max_leaves=15)
comparisons = st.builds(Binary, st.sampled_from([">", "<", ">=", "<="]), nodes, nodes)
expressions = st.builds(
    Expression,
    st.lists(nodes, max_size=2).map(lambda parts: tuple(zip(("p", "q"), parts, strict=False))),
    nodes | comparisons,
)
formulas = expressions.map(str).filter(lambda text: len(text) <= 500)


# Texts with parentheses anywhere or nowhere.
loose_formulas = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5"]),
    lambda texts: (
        texts.map("-{}".format)
        | texts.map("({})".format)
        | st.tuples(texts, st.sampled_from("+-*/^"), texts).map("".join)
    ),
    max_leaves=12,
)


def python_value(text: str, env: dict[str, float]) -> float:
    """What Python makes of the formula, with every number computed as NumPy's float64."""
    scope = {name: np.float64(number) for name, number in {**env, **CONSTANTS}.items()}
    scope |= {**FUNCTIONS, "max": np.maximum, "min": np.minimum, "number": np.float64}
    *assignments, result = text.split(";")
    with np.errstate(all="ignore"):
        for part in [*assignments, f"result = {result}"]:
            name, _, formula = part.partition(" = ")
            python = re.sub(r"(?<![\w.])[0-9.]+(e[+-]?[0-9]+)?", r"number(\g<0>)", formula)
            code = python.replace("^", "**").strip()
            scope[name.strip()] = eval(code, {"__builtins__": {}}, scope)
    return float(scope["result"])


class TestGenerated:
    @settings(deadline=None, max_examples=300)
    @given(expressions)
    def test_text_reads_back_as_the_same_tree(self, expression):
        text = str(expression)
        assume(len(text) <= 500)
        assert parse(text, VARIABLES) == expression

    @settings(deadline=None, max_examples=300)
    @given(formulas, st.tuples(*[st.floats(-10, 10)] * 3))
    def test_value_is_what_python_computes(self, text, point):
        env = dict(zip(VARIABLES, point, strict=True))
        result = parse(text, VARIABLES).evaluate(env)
        np.testing.assert_equal(result, python_value(text, env))

    @settings(deadline=None, max_examples=300)
    @given(loose_formulas)
    def test_precedence_is_that_of_python(self, text):
        env = {"x": 0.75, "y": -1.5}
        np.testing.assert_equal(parse(text).evaluate(env), python_value(text, env))

    @settings(deadline=None, max_examples=500)
    @given(st.text(max_size=60) | st.text(string.printable, max_size=60))
    def test_any_text_is_read_or_explained(self, text):
        self.read_or_explained(text)

    @settings(deadline=None, max_examples=500)
    @given(
        st.lists(
            st.sampled_from(
                ["pi", "sin(", "max(", "os", ".5", "1e3", "**", ">=", "z=", *"xyz1;=, .()()+-*^/><"]
            ),
            max_size=80,
        ).map("".join)
    )
    def test_any_mix_of_parts_is_read_or_explained(self, text):
        self.read_or_explained(text)

    def read_or_explained(self, text):
        try:
            formula = parse(text)
        except ExpressionError as error:
            assert str(error)
            assert 0 <= error.position <= len(text)
            shown, pointer = point_at(text, error.position).split("\n")
            assert len(shown) == len(text)
            assert pointer.index("^") == error.position
        else:
            formula.evaluate({"x": 1.0, "y": -2.0})
            assert parse(str(formula)) == formula
