"""Walkthroughs: the steps say what the engine does, and the formulas say what the steps do."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nnkit import (
    Tensor,
    concatenate,
    cross_entropy_loss,
    exp,
    expressions,
    gelu,
    mse_loss,
    read_graph,
    relu,
)
from nnkit import functions as F
from nnkit.errors import ConfigError, ExpressionError, GraphError, ShapeError
from nnkit.local_rules import FORMULAS, number
from nnkit.tensor import apply
from nnkit.walkthrough import (
    TENSOR_FUNCTIONS,
    Part,
    Step,
    Walkthrough,
    explain,
    parse_expression,
    walk_through,
    walk_through_expression,
)

POINT = {"x": 1.5, "y": -0.5, "w": 0.8, "b": 0.25}


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


SCOPE = {
    "sin": np.sin,
    "cos": np.cos,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softmax": softmax,
}


def formula_value(step: Step, part: Part) -> Any:
    """What Python makes of the part's formula."""
    symbols: dict[str, Any] = dict(step.symbols)
    if step.node.operation == "crossentropy":
        symbols["g"] = symbols["g"][..., None]
    return eval(part.formula, SCOPE, symbols)


def assert_formulas_hold(walk: Walkthrough) -> None:
    for step in walk.steps:
        for part in step.parts:
            expected = np.broadcast_to(formula_value(step, part), part.edge.gradient.shape)
            np.testing.assert_allclose(part.edge.gradient, expected, rtol=1e-12, atol=1e-12)


def matrix(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


FORMULA_CASES = {
    "add": "x + y",
    "subtract": "x - y",
    "multiply": "x * y",
    "divide": "x / y",
    "power": "x^2.5",
    "power of": "x^y",
    "negative": "-x",
    "exp": "exp(x)",
    "log": "log(x)",
    "sqrt": "sqrt(x)",
    "abs": "abs(x) + abs(y) + abs(x - x)",
    "sin": "sin(x)",
    "cos": "cos(x)",
    "maximum": "max(x, y) + max(y, x) + max(x, 1.5)",
    "minimum": "min(x, y) + min(y, x) + min(x, 1.5)",
    "relu": "relu(x) + relu(y) + relu(x - x)",
    "tanh": "tanh(x)",
    "sigmoid": "sigmoid(x)",
    "softplus": "softplus(x)",
    "squarederror": lambda x: (mse_loss(x, Tensor(matrix(2, 3)), "none") * matrix(2, 3)).sum(),
    "crossentropy": lambda x: cross_entropy_loss(x, Tensor(softmax(matrix(2, 3))), "none").mean(),
    "mean": lambda x: x.mean(),
    "sum": lambda x: x.sum(),
    "linear": lambda x, w, b: (apply(F.Linear(), x, w, b) * matrix(2, 4)).sum(),
    "matmul": lambda x, m: ((x @ m) * matrix(2, 2)).sum(),
}


class TestFormulas:
    def test_every_formula_has_a_case(self):
        assert FORMULA_CASES.keys() == FORMULAS.keys()

    @pytest.mark.parametrize("operation", FORMULA_CASES)
    def test_what_a_formula_says_is_what_the_engine_sends(self, operation):
        case = FORMULA_CASES[operation]
        if isinstance(case, str):
            walk = walk_through_expression(f"3 * ({case})", POINT)
        else:
            shapes = {"x": (2, 3), "w": (4, 3), "b": (4,), "m": (3, 2)}
            names = case.__code__.co_varnames[: case.__code__.co_argcount]
            walk = walk_through(case, {name: matrix(*shapes[name]) for name in names})
        name = operation.removesuffix(" of")
        assert name in {step.node.operation for step in walk.steps}
        assert all(part.formula for step in walk.steps for part in step.parts)
        assert_formulas_hold(walk)

    @pytest.mark.parametrize("loss", [mse_loss, cross_entropy_loss])
    @pytest.mark.parametrize("reduction", ["mean", "sum"])
    def test_losses_are_reduced_in_the_same_formula(self, loss, reduction):
        targets = Tensor(softmax(matrix(2, 3)))
        walk = walk_through(lambda x: 3.0 * loss(x, targets, reduction), {"x": matrix(2, 3)})
        reduced = next(step for step in walk.steps if " of " in step.node.operation)
        assert reduced.node.operation.startswith(f"{reduction} of ")
        assert ("(g / n)" in reduced.parts[0].formula) == (reduction == "mean")
        assert_formulas_hold(walk)

    @pytest.mark.parametrize(
        "text, because",
        [
            ("relu(x)", "dL/dx = dL/dL = 1 because x > 0"),
            ("relu(y)", "dL/dy = 0 because y <= 0"),
            ("abs(y)", "dL/dy = -dL/dL = -1 because y < 0"),
            ("abs(x - 1.5)", "dL/dv1 = 0 because v1 = 0"),
            ("max(y, x)", "dL/dy = 0 because y < x"),
            ("max(x, 1.5)", "dL/dx = dL/dL / 2 = 1 / 2 = 0.5 because x = 1.5"),
        ],
    )
    def test_of_several_cases_the_one_that_holds_is_told(self, text, because):
        walk = walk_through_expression(text, POINT)
        assert walk.sentence(walk.steps[0], walk.steps[0].parts[0]) == because

    def test_no_case_holds_for_what_is_not_a_number(self):
        walk = walk_through_expression("relu(log(y))", POINT)
        assert walk.sentence(walk.steps[0], walk.steps[0].parts[0]) == "dL/dv1 = 0"

    def test_stretched_operands_have_no_formula(self):
        """The sum over the stretched axes is not in the formulas."""
        walk = walk_through(lambda x, b: (x + b).sum(), {"x": matrix(2, 3), "b": matrix(3)})
        assert [part.formula for part in walk.steps[1].parts] == ["g", ""]

    def test_an_operation_without_formula_is_told_by_its_result(self):
        walk = walk_through(lambda x: gelu(x), {"x": 0.0})
        assert walk.sentence(walk.steps[0], walk.steps[0].parts[0]) == "dL/dx = 0.5"
        joined = walk_through(lambda x: concatenate([x, x, x, x]).sum(), {"x": [1.0]})
        assert len(joined.steps[1].parts) == 4
        assert joined.check.ok


class TestSteps:
    TEXT = "a = x*y; c = sin(a) + a^2; c / (a + x) + x"

    @pytest.fixture
    def walk(self):
        return walk_through_expression(self.TEXT, POINT)

    def test_every_operation_has_one_turn_after_all_that_used_it(self, walk):
        turns = [step.node.id for step in walk.steps]
        assert sorted(turns) == [node.id for node in walk.graph.nodes if node.operation]
        for edge in walk.graph.edges:
            if edge.source in turns:
                assert turns.index(edge.target) < turns.index(edge.source)

    def test_parts_add_up_to_the_gradients(self, walk):
        known = walk.gradients_after(len(walk.steps))
        for node in walk.graph.nodes:
            gradient, missing = known[node.id]
            assert missing == 0
            np.testing.assert_allclose(gradient, node.gradient)

    def test_a_gradient_is_complete_when_its_turn_comes(self, walk):
        for count, step in enumerate(walk.steps):
            gradient, missing = walk.gradients_after(count)[step.node.id]
            assert missing == 0
            np.testing.assert_allclose(gradient, step.symbols["g"])

    def test_parts_are_counted(self, walk):
        x = walk.names.index("x")
        parts = [p for step in walk.steps for p in step.parts if p.edge.source == x]
        assert [(p.earlier, p.missing) for p in parts] == [(0, 2), (1, 1), (2, 0)]

    def test_gradients_appear_as_they_are_computed(self, walk):
        known = [set(walk.gradients_after(n)) for n in range(len(walk.steps) + 1)]
        assert known[0] == {walk.graph.output.id}
        assert all(before <= after for before, after in pairwise(known))
        assert walk.gradients_after(-1).keys() == known[0]
        assert walk.gradients_after(99).keys() == known[-1]

    def test_the_same_as_backward(self, walk):
        tensors = {name: Tensor(np.float64(POINT[name]), requires_grad=True) for name in "xy"}
        parse_expression(self.TEXT).evaluate(tensors, TENSOR_FUNCTIONS).backward()
        for node in walk.graph.nodes:
            if node.kind == "input":
                np.testing.assert_allclose(node.gradient, tensors[node.name].grad)

    def test_a_lone_variable_is_its_own_result(self):
        walk = walk_through_expression("x", POINT)
        assert (walk.steps, walk.names) == ((), ("x",))
        assert walk.gradients_after(0)[0][0] == 1
        assert str(walk) == ""

    def test_any_graph_can_be_explained(self):
        x = Tensor([1.0, -2.0], requires_grad=True, name="x")
        walk = explain(read_graph(relu(x).sum()))
        assert walk.check is None
        assert str(walk).splitlines() == [
            "1. L = sum(v1)",
            "   dL/dv1 = dL/dL = array (2,)",
            "2. v1 = relu(x)",
            "   dL/dx = dL/dv1 if x > 0 else 0 = array (2,)",
        ]

    def test_without_gradients_there_are_no_steps(self):
        walk = explain(read_graph(Tensor([1.0, 2.0], requires_grad=True) * 2))
        assert (walk.steps, walk.gradients_after(0)) == ((), {})


class TestNames:
    def test_what_the_formula_names_keeps_its_name(self):
        walk = walk_through_expression("h = x + 1; c = 2; k = h; k * h * c * x", POINT)
        assert walk.names == ("x", "1", "h", "v1", "2", "v2", "L")
        assert walk.definitions == ("", "", "x + 1", "h * h", "", "v1 * 2", "v2 * x")

    def test_invented_names_do_not_meet_given_ones(self):
        walk = walk_through_expression("v1 = x * y; v1 + exp(x) * v3", {**POINT, "v3": 1.0})
        assert walk.names == ("x", "y", "v1", "v2", "v3", "v4", "L")

    def test_definitions(self):
        def compute(x: Tensor, m: Tensor) -> Tensor:
            targets = Tensor(matrix(2, 2), name="t")
            return mse_loss(-(x @ m) * -2.0, targets) ** 0.5

        walk = walk_through(compute, {"x": matrix(2, 3), "m": matrix(3, 2)})
        assert [text for text in walk.definitions if text] == [
            "x @ m", "-v1", "v2 * (-2)", "mean((v3 - t)^2)", "v4^0.5",
        ]  # fmt: skip

    def test_numbers(self):
        values = (-0.0, 1e-9, math.nan, [1], [1, 2])
        assert [number(v) for v in values] == ["0", "1e-09", "nan", "1", "array (2,)"]


class TestCheck:
    def test_it_speaks_of_the_gradients_themselves(self):
        walk = walk_through_expression(TestSteps.TEXT, POINT)
        gradients = {n.name: n.gradient for n in walk.graph.nodes if n.kind == "input"}
        assert walk.check.ok
        assert [entry.name for entry in walk.check.entries] == ["x", "y"]
        for entry in walk.check.entries:
            assert entry.analytic == pytest.approx(gradients[entry.name])
            assert entry.numeric == pytest.approx(gradients[entry.name], rel=1e-8)

    def test_a_wrong_rule_is_found(self, monkeypatch):
        monkeypatch.setattr(F.Sin, "backward", lambda self, k, grad, saved, needs: (grad,))
        check = walk_through_expression("sin(x) + y", POINT).check
        assert [entry.error <= check.tolerance for entry in check.entries] == [False, True]

    def test_a_corner_is_told_apart_from_a_mistake(self):
        check = walk_through_expression("relu(x) + relu(y)", {"x": 0.0, "y": 1.0}).check
        assert check.ok
        assert [entry.corners for entry in check.entries] == [1, 0]

    @pytest.mark.filterwarnings("error")
    def test_what_is_not_defined_does_not_pass(self):
        walk = walk_through_expression("log(y) + 1 / (x - x)", POINT)
        assert np.isnan(walk.graph.output.value)
        assert not walk.check.ok

    def test_the_result_must_be_one_number_that_depends_on_the_variables(self):
        with pytest.raises(GraphError, match="does not depend"):
            walk_through(lambda x: Tensor(1.0), {"x": 1.0})
        with pytest.raises(ShapeError, match="take its sum or mean"):
            walk_through(lambda x: exp(x), {"x": [1.0, 2.0]})


class TestExpressions:
    def test_all_functions_are_there(self):
        assert TENSOR_FUNCTIONS.keys() == expressions.FUNCTIONS.keys()

    def test_variables_are_letters_with_numbers(self):
        expression = parse_expression("h = tanh(w1*x + b); (h - t)^2 + e + w12")
        assert expression.variables == ("w1", "x", "b", "t", "w12")

    @pytest.mark.parametrize(
        "text, position, message",
        [
            ("", 0, "found the end"),
            ("x * (y", 4, "never closed"),
            ("x + foo", 4, "unknown name 'foo'"),
            ("xy", 0, r"to multiply write x \* y"),
            ("X + 1", 0, "did you mean 'x'"),
            ("w123", 0, "unknown name 'w123'"),
            ("f(x)", 0, "unknown function 'f'"),
            ("z = x; z > 2", 9, "a comparison jumps"),
            ("x <= 2", 2, "a comparison jumps"),
            ("2 + pi", 0, "depends on no variable"),
            ("c = 2;  c * 3;", 8, "depends on no variable"),
            ("c = x; c = 2", 7, "already has a meaning"),
            ("c = x;\n3", 7, "depends on no variable"),
            ("a" * 100_000, 500, "100000 characters"),
        ],
    )
    def test_mistakes_have_their_place(self, text, position, message):
        with pytest.raises(ExpressionError, match=message) as caught:
            parse_expression(text)
        assert caught.value.position == position

    def test_a_name_that_is_not_used_is_no_matter(self):
        walk = walk_through_expression("c = w; k = 2; d = k * x; d", POINT)
        assert walk.names == ("2", "x", "L")
        assert [(e.name, e.numeric) for e in walk.check.entries] == [
            ("w", 0),
            ("x", pytest.approx(2)),
        ]

    def test_missing_values_are_listed(self):
        with pytest.raises(ConfigError, match="a value is missing for k, u"):
            walk_through_expression("k * x + u", POINT)


ONE_ARGUMENT = sorted(TENSOR_FUNCTIONS.keys() - {"maximum", "minimum"})

texts = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5"]),
    lambda parts: (
        parts.map("(-{})".format)
        | st.tuples(parts, st.sampled_from("+-*/^"), parts).map(lambda t: f"({''.join(t)})")
        | st.tuples(st.sampled_from(ONE_ARGUMENT), parts).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(parts, parts).map(lambda t: f"maximum({t[0]}, {t[1]})")
    ),
    max_leaves=10,
)


# Not so small that a formula's square of it underflows where the engine's order of work does not.
coordinates = st.floats(-3, 3).filter(lambda v: v == 0 or abs(v) > 1e-30)


@settings(deadline=None, max_examples=150)
@given(texts, coordinates, coordinates)
def test_any_formula_can_be_walked_through(text: str, x: float, y: float) -> None:
    try:
        walk = walk_through_expression(text, {"x": x, "y": y})
    except ExpressionError as error:
        assert "depends on no variable" in str(error)
        return
    assert str(walk).count("dL/d") >= len(walk.steps)
    values = [node.value for node in walk.graph.nodes] + [n.gradient for n in walk.graph.nodes]
    assume(all(v is None or (np.isfinite(v) and abs(v) < 1e6) for v in values))
    # Of a base that is not positive, the slope along the exponent is taken as 0.
    powers = [s.symbols for s in walk.steps if s.node.operation == "power" and "b" in s.symbols]
    assume(all(symbols["a"] > 0 for symbols in powers))
    assert_formulas_hold(walk)


def test_only_the_result_is_called_L() -> None:
    with pytest.raises(ExpressionError, match="L is what the result is called") as caught:
        parse_expression("L = x*y; L*2")
    assert caught.value.position == 0
    values = {"x": 2.0, "y": 3.0}
    assert walk_through_expression("L = x*y; L", values).names == ("x", "y", "L")
    with pytest.raises(ConfigError, match="names: have an L"):
        walk_through(lambda L: L * 2, {"L": 3.0})
