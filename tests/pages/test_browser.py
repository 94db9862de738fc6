"""What people do with the playground, in a real browser."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from nnkit.predictor import Predictor
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


def test_layers_are_added_and_removed(playground):
    playground.open()
    playground.press("add_layer")
    playground.page.locator(".st-key-units_2 input").wait_for()
    playground.press("remove_layer")
    playground.page.locator(".st-key-units_2 input").wait_for(state="detached")
    assert playground.status("state") == "ready"


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
