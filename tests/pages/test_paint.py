"""Painting: what Python keeps and believes, and what the brushes do in a browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from nnkit.datasets import Dataset, make_dataset
from nnkit.errors import DataError
from nnkit.plane import EXTENT
from pages.parts import paint as module
from pages.parts.paint import MAX_POINTS, Painting, _message, parse_points
from tests.pages.browser import chromium

try:
    from playwright.sync_api import sync_playwright
except ImportError:  # pragma: no cover
    sync_playwright = None


def painting(points: list[tuple[float, float]], labels: list[int], revision: int = 0) -> Painting:
    return Painting(np.array(points, np.float32), np.array(labels, np.uint8), revision)


# --- What comes from the browser

json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=6), inner),
    max_leaves=8,
)


@given(json_values | some.fixed_dictionaries({"places": json_values, "labels": json_values}))
def test_any_message_is_points_or_nothing(raw):
    parsed = parse_points(raw)
    if parsed is not None:
        points, labels = parsed
        assert points.shape == (len(labels), 2)
        assert np.abs(points).max(initial=0) <= np.float32(EXTENT)


@given(
    some.lists(some.tuples(*[some.floats(-EXTENT, EXTENT)] * 2, some.integers(0, 5)), max_size=30)
)
def test_points_arrive(stroke):
    places = [value for *place, _ in stroke for value in place]
    labels = "".join(str(label) for *_, label in stroke)
    points, found = parse_points({"places": places, "labels": labels})
    np.testing.assert_array_equal(points.ravel(), np.array(places, np.float32))
    assert found.tolist() == [label for *_, label in stroke]


@pytest.mark.parametrize(
    "places, labels",
    [
        ([0.0], "0"),
        ([0.0, 0.0], "6"),
        ([0.0, 0.0], "00"),
        ([0.0, 1.3], "0"),
        ([0.0, float("nan")], "0"),
        ([0.0, "0"], "0"),
        ([0.0, True], "0"),
        ([0.0, 0.0], "٣"),
        ([0.0] * 2 * (MAX_POINTS + 1), "0" * (MAX_POINTS + 1)),
    ],
)
def test_nonsense_is_no_points(places, labels):
    assert parse_points({"places": places, "labels": labels}) is None


# --- Points and data


def test_painted_points_become_data():
    data = painting([(0, 0.5), (1, -1), (0.25, 0)], [0, 1, 1]).dataset()
    assert data.class_names == ("0", "1")
    assert data.targets.tolist() == [0, 1, 1]
    assert data.inputs.tolist() == [[0, 0.5], [1, -1], [0.25, 0]]
    assert data.notes == ()


def test_brushes_that_were_not_used_are_no_classes_and_a_note_says_so():
    data = painting([(0, 0), (0, 1), (1, 0)], [0, 3, 5]).dataset()
    assert (data.class_names, data.targets.tolist()) == (("0", "3", "5"), [0, 1, 2])
    assert "changed colour" in data.notes[0]


@pytest.mark.parametrize(
    "points, labels, reason",
    [([], [], "nothing is painted"), ([(0, 0), (1, 1)], [2, 2], "only class 2 is painted")],
)
def test_what_cannot_be_learned_from_is_refused(points, labels, reason):
    with pytest.raises(DataError, match=reason):
        Painting(np.array(points, np.float32).reshape(-1, 2), np.array(labels, int)).dataset()


def test_points_of_a_data_set_are_a_new_revision():
    data = make_dataset("arms", samples=90, arms=5)
    started = painting([(0, 0)], [0], revision=3).started_from(data)
    assert started.revision == 4
    np.testing.assert_array_equal(started.points, data.inputs)
    np.testing.assert_array_equal(started.labels, data.targets)


def test_of_a_large_data_set_as_many_points_as_can_be_painted_are_taken():
    started = Painting().started_from(make_dataset("xor", samples=5000))
    assert len(started) == MAX_POINTS
    assert 0.4 < started.labels.mean() < 0.6


@pytest.mark.parametrize(
    "data, reason",
    [
        (make_dataset("ripple", samples=9), "two inputs and classes"),
        (Dataset(np.eye(3), [0, 1, 1], "classification"), "two inputs and classes"),
        (Dataset(np.zeros((8, 2)), range(8), "classification"), "8 classes, and 6 brushes"),
        (Dataset([[0, 0], [0, 2]], [0, 1], "classification"), "beyond the plane"),
    ],
)
def test_other_data_cannot_be_painted_on(data, reason):
    with pytest.raises(DataError, match=reason):
        Painting().started_from(data)


# --- The brushes, in a browser, without Streamlit around them

STYLE = (module._FOLDER / "paint.css").read_text(encoding="utf-8")
PAGE = f"""<!doctype html><style>{STYLE}</style>
<body style="margin: 0; --st-text-color: #111; --st-background-color: #fff">
<div id="mount"><div class="paint"></div></div>"""
SIDE = 560  # pixels of the plane in a window wide enough


@pytest.fixture(scope="module")
def browser():
    if sync_playwright is None or chromium() is None:
        pytest.skip("Playwright or Chromium is not installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


class Plane:
    """The component as its visitor uses it; places are in the coordinates of the plane."""

    def __init__(self, page):
        self.page = page
        self.canvas = page.locator("canvas")
        box = self.canvas.bounding_box()
        self.left, self.top = box["x"] + 1, box["y"] + 1  # inside the border
        self.scale = (box["width"] - 2) / (2 * EXTENT)

    def receive(self, painting: Painting) -> None:
        self.page.evaluate("(text) => receive(text)", base64.b64encode(_message(painting)).decode())

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        return self.left + (x + EXTENT) * self.scale, self.top + (EXTENT - y) * self.scale

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.pixel(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.pixel(*place), steps=4)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.page.locator(".mode", has_text=name).click()

    def set(self, name: str, value: float) -> None:
        self.page.locator(f"input[name={name}]").fill(str(value))

    def press(self, *keys: str) -> None:
        self.canvas.focus()
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def sent(self) -> list[tuple[dict, np.ndarray, list[int]]]:
        """Each message: itself, its points, its labels."""
        messages = json.loads(self.page.evaluate("JSON.stringify(sent)"))
        return [(m, *parse_points(m)) for m in messages]

    @property
    def labels(self) -> list[int]:
        return self.sent[-1][2].tolist()

    @property
    def points(self) -> np.ndarray:
        return self.sent[-1][1]


@pytest.fixture
def plane(browser):
    page = browser.new_page(viewport={"width": 900, "height": 700}, has_touch=True)
    page.set_content(PAGE)
    page.evaluate(
        """async (code) => {
          const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }))
          const { default: show } = await import(url)
          window.sent = []
          window.receive = (text) => show({
            data: Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)),
            parentElement: document.querySelector("#mount"),
            setStateValue: (name, value) => name === "painted" && sent.push(value),
          })
        }""",
        module._CODE,
    )
    page.evaluate(
        "(text) => receive(text)", base64.b64encode(_message(Painting(revision=7))).decode()
    )
    yield Plane(page)
    page.close()


in_browser = pytest.mark.browser


@in_browser
def test_a_stroke_of_the_brush_is_one_message_of_points_around_it(plane):
    plane.set("size", 0.1)
    plane.drag((-0.8, 0.5), (0.8, 0.5))
    ((message, points, labels),) = plane.sent
    assert message["revision"] == 7
    assert set(labels.tolist()) == {0}
    assert len(points) >= 4 * 15  # a dab of 4 at each tenth of the way
    assert np.abs(points[:, 1] - 0.5).max() <= 0.101
    assert points[:, 0].min() < -0.75 and points[:, 0].max() > 0.65


@in_browser
def test_density_is_the_number_of_points_and_the_smallest_brush_paints_one_exactly(plane):
    plane.set("density", 9)
    plane.drag((0, 0))
    plane.set("size", 0)
    plane.drag((0.5, -0.5))
    first, second = (labels for _, _, labels in plane.sent)
    assert (len(first), len(second)) == (9, 10)
    np.testing.assert_allclose(plane.points[-1], (0.5, -0.5), atol=0.005)


@in_browser
def test_classes_are_painted_in_order_and_counted(plane):
    brushes = plane.page.locator(".brush")
    assert [brush.locator("input").is_disabled() for brush in brushes.all()] == [False] * 2 + [
        True
    ] * 4
    plane.set("size", 0)
    plane.drag((0, 0))
    brushes.nth(1).click()
    plane.drag((0.5, 0))
    brushes.nth(2).click()
    plane.drag((0, 0.5))
    assert plane.labels == [0, 1, 2]
    assert brushes.locator("b").all_inner_texts() == ["1", "1", "1", "", "", ""]
    assert not brushes.nth(3).locator("input").is_disabled()


@in_browser
def test_the_eraser_takes_away_what_it_touches(plane):
    plane.receive(painting([(-0.5, 0), (0, 0), (0.5, 0), (0, 1)], [0, 1, 0, 1], revision=8))
    plane.tool("Erase")
    plane.drag((-0.6, 0), (0.1, 0))
    np.testing.assert_allclose(plane.points, [(0.5, 0), (0, 1)])
    plane.drag((-0.6, -1), (0.1, -1))
    assert len(plane.sent) == 1  # nothing was touched: nothing is said


@in_browser
def test_a_point_is_moved_and_stays_on_the_plane(plane):
    plane.receive(painting([(-0.5, 0), (0.5, 0)], [0, 1], revision=8))
    plane.tool("Move")
    plane.drag((0.5, 0.01), (0.6, 0.8))
    np.testing.assert_allclose(plane.points, [(-0.5, 0), (0.6, 0.8)], atol=0.005)
    plane.drag((-0.5, 0), (-3, 0))
    np.testing.assert_allclose(plane.points[0], (-EXTENT, 0), atol=0.005)
    plane.drag((0, -1), (0.3, -1))
    assert len(plane.sent) == 2


@in_browser
def test_each_stroke_is_undone_and_done_again_as_one(plane):
    plane.drag((-0.5, 0), (0.5, 0))
    plane.drag((-0.5, 0.5), (0.5, 0.5))
    one, two = (len(labels) for _, _, labels in plane.sent)
    plane.page.get_by_role("button", name="Undo").click()
    assert len(plane.labels) == one
    plane.press("Control+z", "Control+z")  # the second has nothing left to undo
    assert plane.labels == []
    plane.press("Control+Shift+z", "Control+y")
    assert len(plane.labels) == two
    plane.page.get_by_role("button", name="Clear").click()
    assert plane.labels == []
    plane.press("Control+z")
    assert len(plane.labels) == two
    assert plane.page.get_by_role("button", name="Redo").is_enabled()
    plane.drag((0, -1))
    assert plane.page.get_by_role("button", name="Redo").is_disabled()


@in_browser
def test_points_of_another_revision_replace_those_here_and_can_be_undone(plane):
    plane.set("size", 0)
    plane.drag((0.25, 0.25))
    plane.receive(painting([(0, 0)] * 3, [1, 1, 1], revision=8))
    assert plane.page.locator(".words").inner_text() == "3 of 2,000 points"
    plane.press("Control+z")
    message, points, _ = plane.sent[-1]
    assert message["revision"] == 8
    np.testing.assert_allclose(points, [(0.25, 0.25)], atol=0.005)


@in_browser
def test_what_python_sends_back_late_takes_nothing_away(plane):
    plane.set("size", 0)
    plane.drag((0.25, 0.25))
    plane.receive(Painting(revision=7))  # on its way before the stroke ended
    assert plane.page.locator(".words").inner_text() == "1 of 2,000 points"


@in_browser
def test_no_more_points_than_the_most(plane):
    plane.receive(painting([(0, 0)] * (MAX_POINTS - 3), [0] * (MAX_POINTS - 3), revision=8))
    plane.set("density", 20)
    plane.drag((-0.5, 0), (0.5, 0))
    assert len(plane.labels) == MAX_POINTS
    assert "erase some first" in plane.page.locator(".words").inner_text()


@in_browser
def test_points_beside_the_plane_are_not_painted(plane):
    plane.set("size", 0.4)
    plane.set("density", 20)
    plane.drag((1.19, 1.19), (1.19, -1.19))
    assert np.abs(plane.points).max() <= np.float32(EXTENT)
    assert len(plane.labels) < 20 * 6  # a dab of 20 at each 0.4 of the way, half of it outside


@in_browser
def test_keys_alone_paint_erase_and_move(plane):
    plane.set("size", 0)
    plane.press("0", "Space", "1", "Shift+ArrowRight", "Enter")
    np.testing.assert_allclose(plane.points, [(0, 0), (0.2, 0)], atol=1e-6)
    assert plane.labels == [0, 1]
    assert "x₁ 0.20" not in plane.page.locator(".words").inner_text()
    plane.press("m", "Space", "ArrowUp", "ArrowUp", "ArrowLeft", "Space")
    np.testing.assert_allclose(plane.points, [(0, 0), (0.15, 0.1)], atol=1e-6)
    plane.press("e", "Space")
    np.testing.assert_allclose(plane.points, [(0, 0)], atol=1e-6)


@in_browser
def test_a_finger_paints(plane):
    plane.set("size", 0)
    plane.page.touchscreen.tap(*plane.pixel(-0.5, 0.5))
    np.testing.assert_allclose(plane.points, [(-0.5, 0.5)], atol=0.005)


@in_browser
def test_in_a_narrow_column_the_plane_stays_square(plane):
    for width in (900, 600, 390):
        plane.page.set_viewport_size({"width": width, "height": 700})
        box = plane.canvas.bounding_box()
        assert abs(box["width"] - box["height"]) < 1
        assert box["width"] <= min(width, SIDE)
