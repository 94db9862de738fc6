"""What people do with the playground, in a real browser."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import pytest

from nnkit.config import ExperimentConfig, LayerConfig
from nnkit.predictor import Predictor
from pages.parts.link import PARAMETER, encode
from tests.pages.browser import Playground, chromium, serving

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # pragma: no cover
    sync_playwright = None

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(sync_playwright is None, reason="Playwright is not installed"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium was found"),
]


@pytest.fixture(scope="module")
def address():
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture
def playground(browser, address):
    context = browser.new_context(viewport={"width": 1400, "height": 900}, accept_downloads=True)
    found = Playground(context.new_page(), address)
    yield found
    assert not found.errors
    context.close()


def losses_by_step(playground: Playground, steps: int) -> list[str]:
    seen = [playground.status("train-loss")]
    for _ in range(steps):
        epoch = int(playground.status("epoch"))
        playground.press("step")
        playground.wait_for(f"+d.epoch == {epoch + 1}")
        playground.settle()
        seen.append(playground.status("train-loss"))
    return seen


def test_spirals_are_solved_and_pause_holds_the_epoch(playground):
    playground.open()
    assert playground.status("state") == "ready"
    playground.train_to(0.98)
    assert playground.status("state") == "training"
    epoch = playground.pause()
    assert playground.status("state") == "paused"
    playground.page.locator(".st-key-show_test").get_by_text("Test").click()
    playground.settle()
    assert int(playground.status("epoch")) == epoch


def test_training_rests_while_its_visitor_looks_elsewhere(playground):
    playground.open()
    link = playground.page.get_by_role("link")
    for name, heading in (("Data", "Choose"), ("Evaluate", "Confusion matrix"),
                          ("Predict", "Points"), ("Gradients", "Checked")):  # fmt: skip
        playground.press("train")
        playground.wait_for("d.state == 'training'")
        link.filter(has_text=name).click()
        playground.page.get_by_text(heading).first.wait_for()
        link.filter(has_text="Train").click()
        playground.wait_for("d.state == 'paused'")
        playground.settle()


def test_xor_is_solved(playground):
    playground.open()
    playground.choose("dataset", "XOR")
    playground.train_to(0.98)
    playground.pause()


def test_step_adds_exactly_one_and_reset_replays_the_same_losses(playground):
    playground.open()
    first = losses_by_step(playground, 3)
    playground.press("reset")
    playground.wait_for("d.epoch == '0'")
    playground.settle()
    assert losses_by_step(playground, 3) == first
    assert len(set(first)) == 4


def test_step_while_training_pauses_after_one_more(playground):
    playground.open()
    playground.press("train")
    playground.wait_for("+d.epoch >= 2")
    playground.press("step")
    playground.wait_for("d.state == 'paused'")
    playground.settle()
    epoch = playground.status("epoch")
    playground.page.locator(".st-key-discretize").get_by_text("Discretize").click()
    playground.settle()
    assert playground.status("epoch") == epoch


def test_reset_while_training_goes_back_to_the_start(playground):
    playground.open()
    start = playground.status("train-loss")
    playground.press("train")
    playground.wait_for("+d.epoch >= 3")
    playground.press("reset")
    playground.wait_for("d.epoch == '0' && d.state == 'ready'")
    assert playground.status("train-loss") == start


def test_downloaded_weights_predict_the_same_after_loading(playground, tmp_path):
    playground.open()
    playground.train_to(0.9)
    epoch = playground.pause()
    with playground.page.expect_download() as download:
        playground.press("download_weights")
    path = tmp_path / "weights.npz"
    download.value.save_as(path)
    data = path.read_bytes()
    predictor = Predictor.load(io.BytesIO(data))
    assert predictor.epoch == epoch
    with np.load(io.BytesIO(data), allow_pickle=False) as plain:
        assert "output.weight" in plain
    playground.page.get_by_role("link", name="Predict").click()
    playground.page.locator(".st-key-upload_weights input[type=file]").set_input_files(path)
    playground.page.get_by_text("weights.npz").first.wait_for()
    playground.settle()
    expect(
        playground.page.get_by_text(re.compile(rf"epoch {epoch}\b|{epoch} epochs"))
    ).not_to_have_count(0)


def test_a_file_that_is_no_network_is_refused_in_words(playground, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"PK\x03\x04 nothing of the kind")
    playground.open()
    playground.page.get_by_role("link", name="Predict").click()
    playground.page.locator(".st-key-upload_weights input[type=file]").set_input_files(path)
    expect(playground.page.get_by_test_id("stAlert").first).to_be_visible()
    assert "Traceback" not in playground.page.inner_text("body")


def test_the_address_holds_the_configuration(playground):
    playground.open()
    playground.choose("dataset", "moons")
    playground.type("learning_rate", "0.007")
    before = playground.status("train-loss")
    playground.page.reload()
    playground.page.wait_for_selector('[data-testid="run-status"]')
    playground.settle()
    assert playground.status("train-loss") == before
    chosen = playground.page.locator(".st-key-dataset").get_by_role("combobox")
    assert "moons" in (chosen.input_value() or chosen.inner_text())
    field = playground.page.locator(".st-key-learning_rate input").first
    assert float(field.input_value()) == 0.007


@pytest.mark.parametrize("query", ["?config=nonsense", "?config=1.%00", "?c=1.e30", "?net=%7B%7D"])
def test_a_bad_link_opens_the_default_without_a_traceback(playground, query):
    playground.open(query)
    assert playground.status("state") == "ready"
    assert "Traceback" not in playground.page.inner_text("body")


def test_a_learning_rate_of_1000_stops_by_itself_and_says_so(playground):
    playground.open()
    playground.type("learning_rate", "1000")
    playground.press("train")
    playground.wait_for("d.state == 'diverged'")
    playground.settle()
    assert "learning rate" in playground.page.get_by_test_id("run-status").inner_text()
    assert float(playground.status("train-loss")) < 10


@pytest.mark.parametrize("key", ["learning_rate", "samples", "units_0"])
def test_an_emptied_field_changes_nothing(playground, key):
    playground.open()
    before = playground.page.url
    field = playground.page.locator(f".st-key-{key} input")
    field.fill("")
    field.blur()
    playground.press("step")
    playground.wait_for("+d.epoch == 1")
    assert playground.page.url == before


def test_activations_are_lists_again_when_there_is_room(playground):
    playground.open(f"?net={encode(ExperimentConfig(layers=(LayerConfig(8),) * 10))}")
    lists = playground.page.locator(".network select")
    assert lists.count() == 0
    for left in range(9, 1, -1):
        playground.press("remove_layer")
        expect(playground.page.locator(".network .title")).to_have_count(left + 2)
    expect(lists).to_have_count(2)
    assert playground.page.locator(".network span", has_text="leaky_relu").count() == 0


def test_layers_are_added_and_removed(playground):
    playground.open()
    playground.press("add_layer")
    playground.page.locator(".st-key-units_2 input").wait_for()
    playground.press("remove_layer")
    playground.page.locator(".st-key-units_2 input").wait_for(state="detached")
    assert playground.status("state") == "ready"


def test_a_click_while_training_counts_once(playground):
    """Frames overtake the page that a click asks for, and bring the click again."""
    playground.open()
    playground.press("train")
    for layers in (3, 4, 5):
        playground.wait_for("+d.epoch >= 4")
        playground.press("add_layer")
        playground.page.locator(f".st-key-units_{layers - 1} input").wait_for()
        before = int(playground.status("epoch"))
        playground.wait_for(f"+d.epoch >= {before + 8}")
        assert playground.page.locator("[class*=st-key-units_] input").count() == layers


EPOCHS = """
  const network = [...document.querySelectorAll('*')]
    .map(host => host.shadowRoot?.querySelector('.network')).find(Boolean)
  const views = () => [
    document.querySelector('[data-testid=run-status]'), network,
    ...document.querySelectorAll('.live-plot'),
  ]
  const epochs = () => views().map(view => +view.dataset.epoch)
"""


@pytest.mark.parametrize("speed", ["1 epoch a frame", "max"])
def test_all_views_show_the_same_epoch_and_stay_the_same_while_training(playground, speed):
    playground.open()
    playground.page.get_by_role("button", name="Layer 1 unit 2,").click()
    playground.page.locator(".st-key-weights .live-plot[data-epoch]").wait_for()
    playground.page.locator(".st-key-speed").get_by_text(speed, exact=True).click()
    playground.press("train")
    playground.wait_for("+d.epoch >= 3")
    before, seen = playground.page.evaluate(
        f"""async () => {{
          {EPOCHS}
          const before = views(), seen = []
          while (new Set(seen.map(String)).size < 10) {{
            await new Promise(requestAnimationFrame)
            seen.push(epochs())
          }}
          return [before.every((view, i) => view === views()[i]), seen]
        }}"""
    )
    assert before
    assert all(len(set(epochs)) == 1 for epochs in seen)
    assert len(seen[0]) == 6
    playground.pause()


def test_with_reduced_motion_training_is_shown_four_times_a_second(browser, address):
    context = browser.new_context(reduced_motion="reduce")
    playground = Playground(context.new_page(), address).open()
    playground.press("train")
    playground.wait_for("+d.epoch >= 1")
    times = playground.page.evaluate(
        f"""async () => {{
          {EPOCHS}
          const times = []
          for (let last = epochs()[1]; times.length < 4; ) {{
            const now = await new Promise(requestAnimationFrame)
            if (epochs()[1] !== last) times.push(now)
            last = epochs()[1]
          }}
          return times
        }}"""
    )
    assert all(late - early > 200 for early, late in itertools.pairwise(times))
    playground.pause()
    context.close()


def test_zoom_survives_training(playground):
    playground.open()
    box = playground.page.locator(".st-key-output .nsewdrag").bounding_box()
    playground.page.mouse.move(box["x"] + 80, box["y"] + 80)
    playground.page.mouse.down()
    playground.page.mouse.move(box["x"] + 200, box["y"] + 200, steps=4)
    playground.page.mouse.up()
    across = "document.querySelector('.st-key-output .live-plot')._fullLayout.xaxis.range"
    playground.page.wait_for_function(f"{across}[0] > -1")
    zoomed = playground.page.evaluate(across)
    playground.press("train")
    playground.wait_for("+d.epoch >= 5")
    assert playground.page.evaluate(across) == zoomed
    playground.pause()
    assert playground.page.evaluate(across) == zoomed


def test_a_selected_unit_leaves_the_losses_as_they_are(playground):
    playground.open()
    losses = playground.page.locator(".st-key-losses .live-plot[data-epoch]")
    before = losses.bounding_box()
    playground.page.get_by_role("button", name="Layer 2 unit 3,").click()
    playground.page.locator(".st-key-unit .live-plot[data-epoch]").wait_for()
    playground.settle()
    after = losses.bounding_box()
    assert after["width"] == before["width"] and after["height"] == before["height"]
    assert abs(after["y"] - before["y"]) <= 2
    playground.page.keyboard.press("Escape")
    playground.page.locator(".st-key-unit").wait_for(state="detached")


def test_a_typed_bias_that_cannot_be_is_refused_with_the_reason(playground):
    playground.open()
    loss = playground.status("train-loss")
    playground.page.get_by_role("button", name="Layer 1 unit 2,").dblclick()
    field = playground.page.get_by_label("Bias of Layer 1, unit 2")
    why = playground.page.locator(".editor output")
    too_large = "at most ±1,000,000"
    for typed, words in (
        ("abc", "a number"), ("", "a number"), ("nan", "a number"), ("1e400", too_large),
        ("-1000001", too_large),
    ):  # fmt: skip
        field.fill(typed)
        expect(why).to_be_empty()
        field.press("Enter")
        expect(why).to_contain_text(words)
        expect(field).to_have_attribute("aria-invalid", "true")
    assert playground.status("train-loss") == loss
    field.fill("−0,5")
    field.press("Enter")
    playground.page.get_by_role("button", name="Layer 1 unit 2, relu, bias −0.5").wait_for()
    assert playground.status("train-loss") != loss


def test_the_largest_network_is_shown_whole_and_says_what_is_left_out(playground):
    layers = tuple(LayerConfig(64) for _ in range(10))
    playground.open(f"?{PARAMETER}={encode(ExperimentConfig(layers=layers))}")
    scroll = playground.page.locator(".network .scroll")
    assert scroll.evaluate("element => element.scrollWidth <= element.clientWidth")
    words = playground.page.locator(".network .note").inner_text()
    assert "Reduced detail" in words and "strongest" in words and "no buttons" in words


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_screen(browser, address, scheme):
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    playground = Playground(context.new_page(), address).open()
    height, visible = playground.page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]');"
        " return [m.scrollHeight, m.clientHeight] }"
    )
    assert height <= visible
    context.close()
