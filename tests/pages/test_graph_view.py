"""The picture of a graph: where things go, what the boxes say, and what the browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pages.parts.graph_view as module
from nnkit.local_rules import FORMULAS
from nnkit.walkthrough import parse_expression, walk_through, walk_through_expression
from pages.parts.graph_examples import EXAMPLES
from pages.parts.graph_view import scene
from pages.parts.graph_view.layout import lay_out
from pages.parts.typeset import (
    _latex_formula,
    latex_expression,
    latex_part,
    latex_value,
    plain_number,
)

WALKS = {
    title: walk_through(example.function, example.values)
    if example.function
    else walk_through_expression(example.text, example.values)
    for title, example in EXAMPLES.items()
}


@st.composite
def graphs(draw):
    """Sizes and edges as expressions have them: every box but the first uses earlier ones."""
    count = draw(st.integers(1, 25))
    sizes = tuple((draw(st.integers(30, 200)), draw(st.integers(20, 90))) for _ in range(count))
    edges = []
    for target in range(1, count):
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3)):
            edges.append((source, target))
    return sizes, tuple(edges)


class TestLayout:
    @settings(deadline=None, max_examples=150)
    @given(graphs())
    def test_boxes_keep_apart_and_edges_go_right(self, graph):
        sizes, edges = graph
        layout = lay_out(sizes, edges, gap_x=40, gap_y=10)
        boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.boxes, sizes, strict=True)]
        for i, (left, top, right, bottom) in enumerate(boxes):
            assert left >= 0 and top >= -1e-9
            assert right <= layout.width and bottom <= layout.height + 1e-9
            for other in boxes[:i]:
                beside = left >= other[2] + 40 or other[0] >= right + 40
                below = top >= other[3] + 9.99 or other[1] >= bottom + 9.99
                assert beside or below
        for (source, target), line in zip(edges, layout.lines, strict=True):
            assert boxes[source][2] + 40 <= boxes[target][0]
            assert line[0][0] == boxes[source][2]
            assert line[-1][0] == boxes[target][0]
            assert boxes[target][1] < line[-1][1] < boxes[target][3]
            assert all(a[0] < b[0] for a, b in pairwise(line))

    @settings(deadline=None, max_examples=100)
    @given(graphs())
    def test_where_lines_run_straight_they_pass_no_box(self, graph):
        sizes, edges = graph
        layout = lay_out(sizes, edges)
        for line in layout.lines:
            for (left, y), (right, _) in zip(line[1:-1:2], line[2:-1:2], strict=True):
                for (x, top), (width, height) in zip(layout.boxes, sizes, strict=True):
                    assert x >= right or x + width <= left or not top < y < top + height

    def test_the_same_graph_gives_the_same_drawing(self):
        sizes, edges = ((50, 30),) * 5, ((0, 2), (1, 2), (0, 3), (2, 4), (3, 4))
        assert lay_out(sizes, edges) == lay_out.__wrapped__(sizes, edges)

    def test_a_tree_has_no_crossing(self):
        """Two sums of products: drawn without care, the factors would be mixed up."""
        edges = ((0, 4), (1, 5), (2, 4), (3, 5), (4, 6), (5, 6))
        middles = [y for _, y in lay_out(((50, 30),) * 7, edges).boxes]
        assert max(middles[0], middles[2]) < min(middles[1], middles[3])

    def test_nothing_takes_no_room(self):
        assert lay_out((), ()).boxes == ()


class TestScene:
    @pytest.mark.parametrize("title", WALKS)
    def test_boxes_stay_where_they_are_and_gradients_appear(self, title):
        walk = WALKS[title]
        scenes = [scene(walk, position) for position in range(len(walk.steps) + 1)]
        places = [[(n["x"], n["y"], n["width"], n["height"]) for n in s["nodes"]] for s in scenes]
        assert all(place == places[0] for place in places)
        known = [sum(n["gradient"] is not None for n in s["nodes"]) for s in scenes]
        assert known == sorted(known)
        assert known[-1] == sum(n.gradient is not None for n in walk.graph.nodes)
        assert all(not n["missing"] for n in scenes[-1]["nodes"])
        json.dumps(scenes, allow_nan=False)

    def test_the_current_step_is_marked(self):
        walk = WALKS["Neuron"]
        assert not any(n["current"] for n in scene(walk, 0)["nodes"])
        for position in range(1, len(walk.steps) + 1):
            current = [n["step"] for n in scene(walk, position)["nodes"] if n["current"]]
            assert current == [position]

    def test_what_flows_is_written_on_the_lines(self):
        walk = walk_through_expression("x * y + x", {"x": 2.0, "y": -3.0})
        edges = scene(walk, 2)["edges"]
        assert [edge["sent"] for edge in edges] == ["−3", "2", None, None]
        assert [edge["sent"] for edge in scene(walk, 1)["edges"]] == [None, None, "1", "+1"]

    @pytest.mark.parametrize("title", ["x * x * x", "x * x + 3 * x", "max(x, x)", *WALKS])
    def test_what_is_written_on_lines_keeps_apart_and_fits_between_the_boxes(self, title):
        walk = WALKS.get(title) or walk_through_expression(title, {"x": 0.123456})
        for position in range(1, len(walk.steps) + 1):
            drawn = scene(walk, position)
            written = [edge for edge in drawn["edges"] if edge["sent"]]
            heights = sorted(edge["place"][1] for edge in written)
            assert all(below - above >= 18 for above, below in pairwise(heights))
            for edge in written:
                x, _, width = edge["place"]
                assert edge["points"][-2][0] < x - width / 2
                assert x + width / 2 < edge["points"][-1][0]

    def test_boxes_say_in_words_what_they_show(self):
        walk = walk_through_expression("x * 2 + x", {"x": -1.5})
        labels = [node["label"] for node in scene(walk, 1)["nodes"]]
        assert labels == [
            "input x, value -1.5, gradient 1 so far",
            "constant 2, value 2",
            "v1 = x * 2, value -3, gradient 1",
            "L = v1 + x, value -4.5, gradient 1",
        ]
        assert scene(walk, 0)["nodes"][0]["label"].endswith("gradient not computed yet")

    def test_the_sign_of_a_gradient_has_a_colour(self):
        walk = walk_through_expression("x - y + 0 * w", {"x": 1.0, "y": 1.0, "w": 1.0})
        tints = {n["title"]: n["tint"] for n in scene(walk, len(walk.steps))["nodes"]}
        assert (tints["x"], tints["y"], tints["w"]) == ("positive", "negative", "none")

    def test_large_arrays_are_told_by_their_shape(self):
        walk = walk_through(lambda x: x.sum(), {"x": np.zeros((5, 5))})
        assert scene(walk, 1)["nodes"][0]["value"] == [["(5, 5)"]]

    def test_what_is_not_a_number_is_shown(self):
        walk = walk_through_expression("log(x) + 1 / (x + 1)", {"x": -1.0})
        assert {"NaN", "∞"} <= {
            node["value"][0][0] for node in scene(walk, 0)["nodes"] if node["value"]
        }

    def test_what_the_browser_asks_for_is_checked(self, monkeypatch):
        mounted, asked = {}, []
        monkeypatch.setattr(module, "_mount", lambda **options: mounted.update(options))
        state = {"graph": {}}
        monkeypatch.setattr(module.st, "session_state", state)
        walk = WALKS["Neuron"]
        module.graph_view(walk, 0, key="graph", on_step=asked.append)
        for wish in (2, 0, len(walk.steps), len(walk.steps) + 1, -1, True, "1", None, 1.0, [1]):
            state["graph"] = {"step": wish}
            mounted["on_step_change"]()
        assert asked == [2, 0, len(walk.steps)]


class TestTypeset:
    @pytest.mark.parametrize("operation", FORMULAS)
    def test_every_formula_has_a_typeset_form(self, operation):
        words = {symbol: f"<{symbol}>" for symbol in "abcgnpqy"}
        for formula in FORMULAS[operation]:
            text = _latex_formula(formula, words, set())
            assert text.count("{") == text.count("}")
            assert set(re.findall(r"<(\w)>", text)) == set(re.findall(r"\b[abcgnpqy]\b", formula))

    def test_every_part_of_every_example(self):
        for walk in WALKS.values():
            for step in walk.steps:
                for part in step.parts:
                    text = latex_part(walk, step, part)
                    assert text.count("{") == text.count("}")
                    assert text.count("&") >= 1

    def test_names_then_numbers_then_the_result(self):
        walk = walk_through_expression("w * x", {"w": -2.0, "x": 3.0})
        text = latex_part(walk, walk.steps[0], walk.steps[0].parts[1])
        gradient = r"\frac{\partial L}{\partial L}"
        head = r"\frac{\partial L}{\partial x}"
        assert text == rf"{head} & = {gradient} \cdot w \\ & = 1 \cdot \left(-2\right) = -2"

    def test_a_part_that_is_added_says_so_and_a_case_says_why(self):
        walk = walk_through_expression("x + relu(x)", {"x": -1.0})
        text = latex_part(walk, walk.steps[1], walk.steps[1].parts[0])
        assert text.endswith(r"& \mathrel{+}= 0 \quad\text{since } x \le 0")

    @pytest.mark.parametrize(
        "text, latex",
        [
            ("-(x + y) * 2", r"\left(-\left(x + y\right)\right) \cdot 2"),
            ("x - (y - 1)", r"x - \left(y - 1\right)"),
            ("(x / y)^2", r"\left(\frac{x}{y}\right)^{2}"),
            ("-x^2", "-x^{2}"),
            ("exp(x)^2", r"\left(e^{x}\right)^{2}"),
            ("x * 1e-7", r"x \cdot \left(1 \times 10^{-7}\right)"),
            ("abs(x) + max(x, pi)", r"\left|x\right| + \max\left(x, \pi\right)"),
            ("_ = x * x1; _ + 1", r"\mathrm{\_} + 1"),
        ],
    )
    def test_expressions(self, text, latex):
        written = latex_expression(parse_expression(text))
        assert written.endswith(rf" L & = {latex} \\[-12pt] & \end{{aligned}}")

    def test_values(self):
        assert latex_value([[1.0, -0.0], [np.nan, np.inf]]) == (
            r"\begin{bmatrix} 1 & 0 \\ \text{NaN} & \infty \end{bmatrix}"
        )
        assert latex_value(np.zeros((9, 2))) == r"\text{array (9, 2)}"
        assert plain_number(-np.inf) == "−∞"


# ---- in a browser --------------------------------------------------------------------------------

SCRIPT = (Path(module.__file__).parent / "graph_view.js").read_text(encoding="utf-8")
SHOW = """async ([script, scene]) => {
  const url = "data:text/javascript;charset=utf-8," + encodeURIComponent(script)
  const show = (await import(url)).default
  window.wishes ??= []
  const setTriggerValue = (name, value) => wishes.push([name, value])
  show({ data: scene, parentElement: document.querySelector("#mount"), setTriggerValue })
}"""


@pytest.fixture(scope="module")
def stage():
    """A page to show scenes on."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not (path := shutil.which("chromium")):
        pytest.skip("no Chromium was found")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 500, "height": 600})
        yield page
        browser.close()


@pytest.mark.browser
class TestBrowser:
    @pytest.fixture
    def show(self, stage):
        css = (Path(module.__file__).parent / "graph_view.css").read_text(encoding="utf-8")
        stage.set_content(f"<style>{css}</style><div id='mount'></div>")
        stage.evaluate("window.wishes = []")
        return lambda walk, position: stage.evaluate(SHOW, [SCRIPT, scene(walk, position)])

    def test_every_node_is_drawn_with_its_numbers(self, stage, show):
        walk = WALKS["Softmax"]
        show(walk, len(walk.steps))
        drawn = stage.locator("svg .node")
        assert drawn.count() == len(walk.graph.nodes)
        for i, node in enumerate(scene(walk, len(walk.steps))["nodes"]):
            text = drawn.nth(i).text_content()
            assert node["title"] in text
            assert all(cell in text for line in node["value"] for cell in line)

    def test_numbers_stay_within_their_boxes(self, stage, show):
        for walk in WALKS.values():
            show(walk, len(walk.steps))
            outside = stage.evaluate(
                """() => [...document.querySelectorAll(".node")].flatMap((node) => {
                  const box = node.querySelector(".box").getBBox()
                  return [...node.querySelectorAll("text")].filter((text) => {
                    const { x, width } = text.getBBox()
                    return x < box.x || x + width > box.x + box.width
                  }).map((text) => text.textContent)
                })"""
            )
            assert outside == []

    def test_click_and_keys_ask_for_a_step(self, stage, show):
        show(WALKS["Neuron"], 0)
        stage.locator("[data-step='2']").click()
        stage.locator("[data-step='3']").focus()
        stage.keyboard.press("Enter")
        stage.keyboard.press(" ")
        stage.keyboard.press("x")
        stage.locator(".input").first.click()
        assert stage.evaluate("wishes") == [["step", 2], ["step", 3], ["step", 3]]

    def test_a_later_scene_keeps_the_focus_and_marks_the_step(self, stage, show):
        walk = WALKS["Neuron"]
        show(walk, 0)
        stage.locator("[data-step='1']").focus()
        show(walk, 1)
        assert stage.evaluate("document.activeElement.dataset.step") == "1"
        assert stage.locator("svg").count() == 1
        assert stage.locator("[aria-current=step]").get_attribute("data-step") == "1"
        assert stage.locator(".sent").count() == len(walk.steps[0].parts)

    def test_a_wide_graph_scrolls_to_the_step(self, stage, show):
        walk = WALKS["Small network"]
        stage.emulate_media(reduced_motion="reduce")
        for position in (1, len(walk.steps)):
            show(walk, position)
            box = stage.locator(".node.current .box").bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 500
