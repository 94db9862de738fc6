"""The live plot in a browser: its script alone, with a stand-in for plotly, and a real app."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from pages.parts import live_plot, palette
from pages.parts.live_plot import _pack

pytestmark = pytest.mark.browser

ROOT = Path(live_plot.__file__).parents[3]
SCRIPT = (Path(live_plot.__file__).parent / "live_plot.js").read_text(encoding="utf-8")
HEADER = {"script": "/plotly.js", "height": 200, "label": "a plot", "clickable": False}


def figure_of(traces=(), images=(), shapes=(), **layout):
    return {"data": list(traces), "layout": {"images": images, "shapes": shapes, **layout}}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        browser.close()


# --- What the script does, with a stand-in for plotly that notes its calls

STAND_IN = """
window.calls = []
const note = (name) => (element, ...args) => {
  calls.push({ name, args })
  element.on = (_, handler) => (element.click = handler)
}
window.Plotly = { react: note("react"), relayout: note("relayout"), purge: note("purge") }
"""
PAGE = """<!doctype html><body style="--st-text-color: #123456; margin: 50px">
  <div id="mount"><div class="live-plot" style="width: 300px"></div></div>"""


@pytest.fixture
def stage(browser):
    """A page with the script; `plotly.js` is served by what `stage.serve` holds."""
    page = browser.new_page()
    page.serve = lambda route: route.fulfill(body=STAND_IN, content_type="text/javascript")
    page.route("http://app.test/", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.route("http://app.test/plotly.js", lambda route: page.serve(route))
    page.goto("http://app.test/")
    page.evaluate(
        """async (code) => {
          const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }))
          const { default: render } = await import(url)
          window.calls = []
          window.triggers = []
          window.render = (message) => (window.cleanup = render({
            data: new TextEncoder().encode(message),
            parentElement: document.querySelector("#mount"),
            setTriggerValue: (name, value) => triggers.push([name, value]),
          }))
        }""",
        SCRIPT,
    )
    yield page
    page.close()


def send(page, *messages):
    """Hand over messages at once, as if they had come in between two screen refreshes."""
    page.evaluate("(messages) => messages.forEach(render)", [m.decode() for m in messages])


def drawn(page, epoch):
    page.wait_for_selector(f".live-plot[data-epoch='{epoch}']")


def frame(epoch, traces=(), **settings):
    return _pack(HEADER | {"epoch": epoch}, figure_of(traces, **settings))


def names_of(page):
    return page.evaluate("calls.map(({ name }) => name)")


def test_frames_that_come_too_fast_are_dropped_and_the_newest_is_drawn(stage):
    send(stage, frame(0))
    drawn(stage, 0)
    send(stage, *(frame(epoch, images=[{"x": epoch}]) for epoch in range(1, 20)))
    drawn(stage, 19)
    assert names_of(stage) == ["react", "relayout"]
    assert stage.evaluate("calls[1].args[0].images") == [{"x": 19}]


def test_the_newest_frame_is_drawn_when_plotly_comes_late(stage):
    waiting = []
    stage.serve = waiting.append
    with stage.expect_request("**/plotly.js"):
        send(stage, frame(0))
    send(stage, frame(1))
    assert stage.get_attribute(".live-plot", "data-epoch") is None
    waiting[0].fulfill(body=STAND_IN, content_type="text/javascript")
    drawn(stage, 1)
    assert names_of(stage) == ["react"]


def test_without_plotly_the_plot_says_so_and_the_next_frame_tries_again(stage):
    good, stage.serve = stage.serve, lambda route: route.abort()
    send(stage, frame(0))
    stage.get_by_text("could not be drawn").wait_for()
    stage.serve = good
    send(stage, frame(1))
    drawn(stage, 1)
    assert stage.text_content(".live-plot") == ""


def test_only_what_changed_is_drawn(stage):
    still = {"name": "points", "x": np.arange(3.0)}
    send(stage, frame(0, [still], images=[{"x": 0}]))
    drawn(stage, 0)
    send(stage, frame(1, [still], images=[{"x": 1}]))
    drawn(stage, 1)
    send(stage, frame(2, [still, {"name": "more", "x": np.arange(2.0)}], images=[{"x": 1}]))
    drawn(stage, 2)
    send(stage, frame(3, [still], title="new"))
    drawn(stage, 3)
    assert names_of(stage) == ["react", "relayout", "react", "react"]
    kept = "calls[0].args[0][0].x === calls[2].args[0][0].x"  # plotly knows old arrays by identity
    assert stage.evaluate(kept)
    assert stage.evaluate("calls[0].args[0][0] !== calls[2].args[0][0]")


def test_arrays_are_unpacked_with_their_shape(stage):
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    send(stage, frame(0, [{"z": values, "y": np.array([1, 255], dtype=np.uint8)}]))
    drawn(stage, 0)
    trace = "calls[0].args[0][0]"
    assert (
        stage.evaluate(f"{trace}.z.map((rows) => rows.map((row) => [...row]))") == values.tolist()
    )
    assert stage.evaluate(f"{trace}.y instanceof Uint8Array && {trace}.y.join()") == "1,255"


def test_unseen_traces_are_brought_up_to_date_for_the_mouse_only(stage):
    def unseen(epoch):
        return frame(epoch, [{"opacity": 0, "y": np.array([epoch], dtype=np.uint8)}])

    send(stage, unseen(0))
    drawn(stage, 0)
    send(stage, unseen(1))
    drawn(stage, 1)
    assert names_of(stage) == ["react", "relayout"]
    stage.mouse.move(150, 150)
    stage.wait_for_function("calls.at(-1).name === 'react' && calls.at(-1).args[0][0].y[0] === 1")
    send(stage, unseen(2))
    stage.wait_for_function("calls.at(-1).name === 'react' && calls.at(-1).args[0][0].y[0] === 2")


def test_theme_variables_are_filled_in(stage):
    send(stage, frame(0, font={"color": "var(--st-text-color)"}))
    drawn(stage, 0)
    assert stage.evaluate("calls[0].args[1].font.color") == "#123456"
    stage.evaluate("document.body.style.setProperty('--st-text-color', '\"quoted\"')")
    send(stage, frame(1, font={"color": "var(--st-text-color)"}))
    drawn(stage, 1)
    assert stage.evaluate("calls[1].args[1].font.color") == '"quoted"'


def test_a_new_width_draws_again(stage):
    send(stage, frame(0))
    drawn(stage, 0)
    stage.evaluate("document.querySelector('.live-plot').style.width = '200px'")
    stage.wait_for_function("calls.at(-1).args[1]?.width === 200")
    assert stage.evaluate("calls[0].args[1].width") == 300


def test_a_hidden_plot_is_drawn_when_it_is_shown(stage):
    stage.evaluate("document.querySelector('#mount').style.display = 'none'")
    send(stage, frame(0))
    stage.wait_for_function("window.Plotly")
    assert names_of(stage) == []
    stage.evaluate("document.querySelector('#mount').style.display = 'block'")
    drawn(stage, 0)


def test_only_a_plot_that_is_gone_is_closed(stage):
    send(stage, frame(0))
    drawn(stage, 0)
    stage.evaluate("cleanup()")  # as for an update
    send(stage, frame(1))
    drawn(stage, 1)
    stage.evaluate("document.querySelector('.live-plot').remove(); cleanup()")
    stage.wait_for_function("calls.at(-1).name === 'purge'")
    assert names_of(stage).count("purge") == 1


def test_clicks_are_reported_when_asked_for(stage):
    point = {"x": 1, "y": 2, "curveNumber": 0, "pointIndex": [2, 1], "fullData": "large"}
    press = "(point) => document.querySelector('.live-plot').click({ points: [point] })"
    send(stage, frame(0))
    drawn(stage, 0)
    stage.evaluate(press, point)
    assert stage.evaluate("triggers") == []
    send(stage, _pack(HEADER | {"epoch": 1, "clickable": True}, figure_of()))
    drawn(stage, 1)
    stage.evaluate(press, point)
    assert stage.evaluate("triggers") == [
        ["click", {"x": 1, "y": 2, "trace": 0, "index": [2, 1], "customdata": None}]
    ]


# --- In a real app

APP = """
import numpy as np
import streamlit as st

from pages.parts import evaluation_figures, figures
from pages.parts.live_plot import live_plot

st.session_state.setdefault("epoch", 0)
if st.button("next", key="next"):
    st.session_state.epoch += 1
epoch = st.session_state.epoch
grid = np.full((10, 10), epoch / 10)
points = np.array([[-0.5, 0.0], [0.5, 0.0]]), np.array([0, 1])
losses = np.linspace(1, 0.5, 3 + epoch)


def clicked(point):
    st.session_state.clicked = point["index"]


live_plot(
    figures.decision_boundary(grid, (-1, 1, -1, 1), points),
    key="plane",
    height=300,
    label=f"plane at epoch {epoch}",
    epoch=epoch,
)
live_plot(
    figures.loss_curves(np.arange(len(losses)), losses, losses),
    key="losses",
    height=200,
    label="losses",
    epoch=epoch,
)
live_plot(
    evaluation_figures.confusion_matrix(np.array([[4, 1], [2, 3]]), ("cat", "dog")),
    key="cells",
    height=200,
    label="cells",
    on_click=clicked,
)
st.text(f"clicked {st.session_state.get('clicked')}")
"""


@pytest.fixture(scope="module")
def app_url(tmp_path_factory):
    path = tmp_path_factory.mktemp("app") / "app.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{APP}")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = [f"--server.port={port}", "--server.headless=true", "--server.fileWatcherType=none"]
    command = [sys.executable, "-m", "streamlit", "run", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=path.parent) as server:
        assert any("http://" in line for line in server.stdout), "the app did not start"
        yield f"http://localhost:{port}"
        server.kill()  # asked to terminate, Streamlit may wait for ever


@pytest.fixture
def page(browser, app_url):
    page = browser.new_page(viewport={"width": 700, "height": 1000})
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(error))
    page.goto(app_url)
    page.wait_for_selector(".st-key-plane [data-epoch='0'] .main-svg")
    page.wait_for_selector(".st-key-losses [data-epoch='0'] .main-svg")
    page.wait_for_selector(".st-key-cells .live-plot .main-svg")
    yield page
    assert page.errors == []
    page.close()


def next_epoch(page, epoch):
    page.evaluate("document.querySelector('.st-key-next button').click()")  # the mouse stays
    for key in ("plane", "losses"):
        page.wait_for_selector(f".st-key-{key} [data-epoch='{epoch}']")


def middle_of(page, key):
    box = page.locator(f".st-key-{key} .live-plot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_same_plot_is_updated_and_stays_zoomed(page):
    plot = "document.querySelector('.st-key-plane .live-plot')"
    image = f"{plot}.querySelector('image').getAttribute('href')"
    before = page.evaluate(image)
    page.evaluate(f"{plot}.querySelector('.main-svg').marked = true")
    x, y = middle_of(page, "plane")
    page.mouse.move(x - 40, y - 60)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=3)
    page.mouse.up()
    page.wait_for_function(f"{plot}._fullLayout.xaxis.range[0] > -0.9")
    zoomed = page.evaluate(f"{plot}._fullLayout.xaxis.range")
    next_epoch(page, 1)
    assert page.evaluate(f"{plot}._fullLayout.xaxis.range") == zoomed
    assert page.evaluate(f"{plot}.querySelector('.main-svg').marked")
    assert page.evaluate(image) != before


def test_hover_survives_updates_and_reads_numbers(page):
    page.mouse.move(*middle_of(page, "losses"))
    hover = page.locator(".st-key-losses .hoverlayer")
    hover.get_by_text("epoch").wait_for()
    next_epoch(page, 1)
    assert "epoch" in hover.text_content()
    page.mouse.move(*middle_of(page, "plane"))
    page.locator(".st-key-plane .hoverlayer").get_by_text("1: 10 %").wait_for()


def test_plotly_is_loaded_once_and_frames_are_small(browser, app_url):
    page = browser.new_page()
    scripts, frames = [], []
    page.on("request", lambda request: "/media/" in request.url and scripts.append(request))
    page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(data))
    )
    page.goto(app_url)
    page.wait_for_selector(".st-key-losses [data-epoch='0']")
    for epoch in (1, 2, 3):
        next_epoch(page, epoch)
    loaded = [request for request in scripts if request.resource_type == "script"]
    assert len(loaded) == 1
    assert max(len(data) for data in frames) < 100_000
    page.reload()
    page.wait_for_selector(".st-key-losses [data-epoch='0']")
    page.close()


def test_several_people_at_once(browser, app_url, page):
    context = browser.new_context()
    other = context.new_page()
    other.goto(app_url)
    other.wait_for_selector(".st-key-plane [data-epoch='0'] .main-svg")
    next_epoch(other, 1)
    context.close()
    next_epoch(page, 1)


def test_a_click_on_a_cell_reaches_the_app(page):
    box = page.locator(".st-key-cells .nsewdrag").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    page.get_by_text("clicked [0, 1]").wait_for()


def test_screen_readers_hear_what_is_shown(page):
    page.get_by_role("img", name="plane at epoch 0").wait_for()
    next_epoch(page, 1)
    page.get_by_role("img", name="plane at epoch 1").wait_for()
    assert page.get_attribute(".st-key-plane .live-plot", "aria-busy") is None


@pytest.mark.parametrize(
    ("scheme", "neutral"), [("light", palette.NEUTRAL_LIGHT), ("dark", palette.NEUTRAL_DARK)]
)
def test_colours_follow_the_theme(browser, app_url, scheme, neutral):
    page = browser.new_page(color_scheme=scheme)
    page.goto(app_url)
    page.wait_for_selector(".st-key-plane [data-epoch='0'] .main-svg")
    plot = "document.querySelector('.st-key-plane .live-plot')"
    assert page.evaluate(f"{plot}._fullLayout.plot_bgcolor").lower() == neutral.lower()
    text = page.evaluate(f"getComputedStyle({plot}).getPropertyValue('--st-text-color')")
    assert page.evaluate(f"{plot}._fullLayout.font.color") == text.strip()
    assert "var(--" not in page.evaluate(f"{plot}.innerHTML")
    page.close()
