"""The Gradients page: what is asked for is shown, stepped through and checked; nonsense is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.parts.graph_examples import EXAMPLES

PAGE = str(Path(__file__).parents[2] / "pages" / "gradients.py")


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(PAGE, default_timeout=30).run()


def pick(page: AppTest, title: str) -> AppTest:
    page.get("pills")[0].set_value(title)
    return page.run()


def write(page: AppTest, formula: str) -> AppTest:
    return page.text_input(key="gradient_formula").set_value(formula).run()


def press(page: AppTest, name: str) -> AppTest:
    return page.button(key=f"step_{name}").click().run()


def table(page: AppTest) -> dict[str, list[str]]:
    """The check: gradient -> backward, differences, relative error."""
    rows = page.table[0].value.to_numpy().tolist()
    return {re.sub(r"[$\\{}]|partial ", "", row[0]): row[1:] for row in rows}


def where(page: AppTest) -> str:
    return next(m.value for m in page.markdown if re.search(r"^\*\*Step|^The values", m.value))


def test_it_opens_with_a_neuron_before_the_first_step(page):
    assert not page.exception
    assert page.text_input(key="gradient_formula").value == "relu(w*x + b)"
    assert where(page) == "The values are known. 3 steps back to the variables."
    assert table(page) == {
        "L/w": ["", "1.5", ""],
        "L/x": ["", "0.8", ""],
        "L/b": ["", "1", ""],
    }
    assert page.button(key="step_back").disabled
    assert not page.button(key="step_next").disabled


def test_stepping_forward_and_back(page):
    press(page, "next")
    assert where(page) == "**Step 1 of 3**"
    assert r"\text{since } v_{2} > 0" in page.latex[-1].value
    press(page, "next")
    assert table(page)["L/b"][0] == "1"
    assert table(page)["L/w"][0] == ""
    press(page, "back")
    assert where(page) == "**Step 1 of 3**"
    press(page, "last")
    assert where(page) == "**Step 3 of 3**: every variable has its gradient."
    assert [row[0] for row in table(page).values()] == ["1.5", "0.8", "1"]
    assert page.button(key="step_next").disabled
    press(page, "first")
    assert where(page).startswith("The values are known")
    assert not page.exception


@pytest.mark.parametrize("title", EXAMPLES)
def test_every_example_can_be_walked_through_and_is_right(page, title):
    pick(page, title)
    steps = 0
    while not page.button(key="step_next").disabled:
        press(page, "next")
        steps += 1
        assert not page.exception
    assert f"**Step {steps} of {steps}**" in where(page)
    assert all("check_circle" in row[2] for row in table(page).values())
    assert any(EXAMPLES[title].lesson == caption.value for caption in page.caption)


def test_values_can_be_changed_and_the_step_stays(page):
    press(page, "next")
    page.number_input(key="gradient_value_b").set_value(-2.0).run()
    assert where(page) == "**Step 1 of 3**"
    assert r"= 0 \quad\text{since } v_{2} \le 0" in page.latex[-1].value
    assert [row[1] for row in table(page).values()] == ["0", "0", "0"]


def test_a_formula_of_ones_own(page):
    press(page, "last")
    write(page, "k^2 + sin(y1)")
    assert where(page) == "The values are known. 3 steps back to the variables."
    assert [field.key for field in page.number_input] == [
        "gradient_value_k", "gradient_value_y1",
    ]  # fmt: skip
    assert table(page)["L/k"][1] == "1"
    assert page.get("pills")[0].value is None


def test_an_example_brings_its_values_back(page):
    page.number_input(key="gradient_value_w").set_value(9.0).run()
    pick(page, "Diamond")
    pick(page, "Neuron")
    assert page.number_input(key="gradient_value_w").value == 0.8


def test_a_formula_survives_a_look_at_arrays(page):
    write(page, "x * y")
    pick(page, "Layer")
    assert page.text_input[0].disabled
    pick(page, None)
    assert page.text_input(key="gradient_formula").value == "x * y"
    assert not page.exception


@pytest.mark.parametrize(
    "formula, message, caret",
    [
        ("x * sine(y)", "did you mean 'sin'", 4),
        ("w*x + ", "found the end", 6),
        ("2 + 3", "depends on no variable", 0),
        ("x*y > 1", "no gradient", 4),
        ("__import__('os')", "has no meaning", 11),
        ("`x` **bold** :red[x]", "has no meaning", 0),
    ],
)
def test_nonsense_is_told_with_its_place(page, formula, message, caret):
    write(page, formula)
    assert not page.exception
    assert message in page.error[0].value.replace("\\", "")
    shown, pointer = page.code[0].value.split("\n")
    assert shown == formula
    assert pointer == " " * caret + "^"
    assert not page.table


def test_an_empty_formula_is_told(page):
    write(page, "  ")
    assert "found the end" in page.error[0].value
    assert not page.code and not page.exception


def test_after_nonsense_all_is_well_again(page):
    write(page, "x +")
    write(page, "x + 1")
    assert not page.error
    assert list(table(page)) == ["L/x"]


def test_what_is_not_defined_is_told(page):
    write(page, "y * log(x)")
    page.number_input(key="gradient_value_x").set_value(-1.0).run()
    press(page, "last")
    assert "v1 = log(x) is NaN" in page.warning[0].value.replace("\\", "")
    assert table(page)["L/y"][1:] == ["–", ":gray[:material/do_not_disturb_on:] not defined"]


@pytest.mark.parametrize("formula", ["x^x", "sqrt(x)", "1/x"])
def test_where_there_is_nothing_to_one_side_no_difference_is_judged(page, formula):
    write(page, formula)
    page.number_input(key="gradient_value_x").set_value(0.0).run()
    press(page, "last")
    _, differences, result = table(page)["L/x"]
    assert differences == "–" and result.endswith("not defined")
    assert any("to the left and to the right" in caption.value for caption in page.caption)


def test_an_error_that_passes_is_within_the_tolerance(page):
    """Beside a large sum, differences of a small slope are rounding: the check knows."""
    write(page, "1000000 + 0.001*x")
    press(page, "last")
    backward, _, result = table(page)["L/x"]
    assert backward == "0.001"
    assert "check_circle" in result
    assert float(result.split()[-1].replace("−", "-")) <= 1e-6


def test_a_corner_is_told(page):
    write(page, "abs(x)")
    page.number_input(key="gradient_value_x").set_value(0.0).run()
    press(page, "last")
    assert table(page)["L/x"][2].endswith("corner")
    assert any("slopes to the left" in caption.value for caption in page.caption)


def test_a_graph_too_large_to_see_is_not_drawn(page):
    write(page, "+".join(["x*y"] * 60))
    assert "more than" in page.warning[0].value
    assert not page.table and not page.exception


def test_a_variable_alone_has_nothing_to_step_through(page):
    write(page, "x")
    assert where(page) == "The values are known. 0 steps back to the variables."
    assert page.button(key="step_next").disabled
    assert not page.exception


def test_parts_that_add_up_are_told(page):
    pick(page, "Reuse")
    press(page, "next")
    press(page, "next")
    assert "used 3 times" in page.caption[-1].value
    assert "(2 to come)" in page.caption[-1].value
    press(page, "last")
    assert page.caption[-1].value.endswith("(complete).")


def test_the_graph_can_be_taken_along_as_text(page):
    assert page.code[0].value.startswith("digraph {")
