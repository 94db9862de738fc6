"""The Data page: data chosen, painted, computed and uploaded; what is bad is told, nothing lost."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from nnkit.config import ExperimentConfig
from nnkit.datasets import DATASETS, Dataset, from_formula, make_dataset, split, to_csv
from nnkit.errors import NnkitError
from nnkit.experiment import Experiment
from nnkit.plane import EXTENT
from pages.parts.data_bench.csv_file import MAX_BYTES, OPTIONS, Upload
from pages.parts.data_bench.current import reproduce
from pages.parts.data_bench.figure import data_figure
from pages.parts.data_bench.formula import EXAMPLES
from pages.parts.paint import Painting
from tests.pages.browser import chromium

try:
    from playwright.sync_api import sync_playwright
except ImportError:  # pragma: no cover
    sync_playwright = None

ROOT = Path(__file__).parents[2]
SOURCES = {
    "Choose": ":material/grid_view: Choose",
    "Paint": ":material/brush: Paint",
    "Formula": ":material/function: Formula",
    "CSV file": ":material/table: CSV file",
}


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "pages" / "data.py"), default_timeout=30).run()


def turn_to(page: AppTest, source: str) -> AppTest:
    return page.segmented_control(key="data_source").set_value(SOURCES[source]).run()


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


def upload(page: AppTest, content: str | bytes, name: str = "mine.csv") -> AppTest:
    if isinstance(content, str):
        content = content.encode()
    return page.file_uploader(key="csv_upload").set_value([(name, content, "text/csv")]).run()


def experiment(page: AppTest) -> Experiment:
    assert not page.exception
    return page.session_state["session"].experiment


def said(elements) -> str:
    """All texts, without the signs that keep Markdown from reading them."""
    return "\n".join(re.sub(r"\\(.)", r"\1", element.value) for element in elements)


def keyed(page: AppTest, start: str):
    """The widget whose key begins so; the rest of its key stands for the file."""
    found = [widget for kind in ("selectbox", "segmented_control", "toggle", "multiselect")
             for widget in page.get(kind) if (widget.key or "").startswith(start)]  # fmt: skip
    assert len(found) == 1
    return found[0]


def title(page: AppTest) -> str:
    return said(page.subheader)


# --- Choose


def test_it_opens_with_the_current_data_and_all_data_sets(page):
    assert experiment(page).config == ExperimentConfig()
    assert title(page) == "Two spirals"
    assert "500 samples: 400 to train on, 100 to test." in said(page.caption)
    for name, info in DATASETS.items():
        assert page.button(key=f"choose_{name}").label == info.title
        assert info.teaches in said(page.caption)


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_chosen(page, name):
    press(page, f"choose_{name}")
    now = experiment(page)
    assert now.config.dataset == name
    assert title(page) == DATASETS[name].title
    assert not any(button.key == "recommended" for button in page.button)


def test_settings_draw_the_data_anew_and_are_undone(page):
    press(page, "choose_blobs")
    page.number_input(key="dataset_classes").set_value(6).run()
    page.number_input(key="samples").set_value(120).run()
    page.slider(key="noise").set_value(0.25).run()
    page.slider(key="imbalance").set_value(0.5).run()
    page.slider(key="label_noise").set_value(0.1).run()
    page.slider(key="outliers").set_value(0.05).run()
    page.number_input(key="data_seed").set_value(9).run()
    expected = make_dataset("blobs", samples=120, noise=0.25, imbalance=0.5, label_noise=0.1,
                            outliers=0.05, seed=9, classes=6)  # fmt: skip
    np.testing.assert_array_equal(experiment(page).data.inputs, expected.inputs)
    np.testing.assert_array_equal(experiment(page).data.targets, expected.targets)
    for _ in range(8):
        press(page, "undo")
    assert experiment(page).config == ExperimentConfig()
    assert page.button(key="undo").disabled
    press(page, "redo")
    assert experiment(page).config.dataset == "blobs"


def test_values_from_before_a_change_are_no_choice(page):
    """The browser may send what its widgets held before it heard of a change."""
    before, now = 0.3, experiment(page).config.noise
    page.session_state["session"].shown["noise"] = [before, now]
    page.slider(key="noise").set_value(before).run()
    assert experiment(page).config.noise == page.slider(key="noise").value == now


def test_regression_has_no_settings_of_classes(page):
    press(page, "choose_sine")
    assert {widget.key for widget in page.slider} == {"noise", "outliers"}


def test_a_setting_that_cannot_be_is_refused_and_shown_as_it_was(page):
    press(page, "choose_blobs")
    page.number_input(key="dataset_classes").set_value(6).run()
    page.number_input(key="samples").set_value(8).run()
    assert "at least two for each of 6 classes" in said(page.error)
    assert experiment(page).config.samples == 500
    assert page.number_input(key="samples").value == 500


def test_the_recommended_network_comes_back(page):
    changed = page.session_state["session"].experiment
    page.session_state["session"].experiment = Experiment(changed.config.replace(loss="hinge"))
    page.run()
    press(page, "recommended")
    assert experiment(page).config == ExperimentConfig()
    assert "known to solve it" in said(page.caption)


# --- Paint


def painted(*points: tuple[float, float, int]) -> Painting:
    table = np.array(points, np.float32).reshape(-1, 3)
    return Painting(table[:, :2], table[:, 2].astype(np.uint8))


def test_painted_points_are_used(page):
    page.session_state["painting"] = painted((0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 0), (0, -1, 1))
    turn_to(page, "Paint")
    assert "5 points: classes 0, 1, 2." in said(page.caption)
    press(page, "use_painted")
    now = experiment(page)
    assert (now.config.dataset, now.config.loss, now.data.classes) == ("custom", "cross_entropy", 3)
    assert title(page) == "Painted points"


def test_points_of_one_class_wait_with_the_reason(page):
    page.session_state["painting"] = painted((0, 0, 0), (0, 1, 0))
    turn_to(page, "Paint")
    assert page.button(key="use_painted").disabled
    assert "Only class 0 is painted: at least two classes are needed." in said(page.caption)


def test_painting_starts_from_a_data_set(page):
    turn_to(page, "Paint")
    page.get("menu_button")[0].click("Spiral arms").run()
    assert len(page.session_state["painting"]) == 300
    assert not page.button(key="use_painted").disabled
    turn_to(page, "Choose")
    turn_to(page, "Paint")
    assert len(page.session_state["painting"]) == 300


def test_painting_does_not_start_from_other_data_and_loses_nothing(page):
    press(page, "choose_ripple")
    page.session_state["painting"] = painted((0, 0, 0), (0, 1, 1))
    turn_to(page, "Paint")
    page.get("menu_button")[0].click("The current data").run()
    assert "Only data with two inputs and classes can be painted on." in said(page.caption)
    assert len(page.session_state["painting"]) == 2
    assert not page.exception


# --- Formula


def type_formula(page: AppTest, text: str) -> AppTest:
    turn_to(page, "Formula")
    return page.text_input(key="formula").set_value(text).run()


def test_a_formula_is_used(page):
    type_formula(page, "x*y > 0.1")
    page.number_input(key="formula_samples").set_value(150).run()
    page.slider(key="formula_noise").set_value(0.2).run()
    assert title(page) == "Two spirals"  # a preview is no choice yet
    press(page, "use_formula")
    expected = from_formula("x*y > 0.1", samples=150, noise=0.2)
    np.testing.assert_array_equal(experiment(page).data.inputs, expected.inputs)
    assert title(page) == "x*y > 0.1"
    assert "from_formula('x*y > 0.1', samples=150, noise=0.2, seed=0)" in said(page.caption)


def test_numbers_are_learned_as_they_are_or_as_two_classes(page):
    type_formula(page, "x^2 - y")
    press(page, "use_formula")
    assert experiment(page).config.task == "regression"
    page.segmented_control(key="formula_learn").set_value("Two classes").run()
    page.number_input(key="formula_threshold").set_value(0.5).run()
    press(page, "use_formula")
    expected = from_formula("x^2 - y", threshold=0.5)
    np.testing.assert_array_equal(experiment(page).data.targets, expected.targets)


def test_a_mistake_is_shown_at_its_place(page):
    type_formula(page, "sin(x) + cso(y)")
    assert said(page.error) == "Unknown function 'cso'; did you mean 'cos'?"
    assert page.code[0].value == "sin(x) + cso(y)\n         ^"
    assert page.button(key="use_formula").disabled
    assert experiment(page).config == ExperimentConfig()


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "found the end"),
        ("1", "nothing to learn"),
        ("1 > 2", "one class"),
        ("log(-1)", "no finite value"),
        ("x" * 501, "501 characters"),
        ("__import__('os')", "no meaning"),
    ],
)
def test_a_formula_without_data_says_why(page, text, reason):
    type_formula(page, text)
    assert reason in said(page.error)
    assert page.button(key="use_formula").disabled
    assert not page.exception


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_have_data(page, name):
    turn_to(page, "Formula")
    page.get("menu_button")[0].click(name).run()
    assert page.text_input(key="formula").value == EXAMPLES[name]
    assert not page.error
    assert not page.button(key="use_formula").disabled


# --- CSV file

FLOWERS = "length;width;petal;kind\n" + "".join(
    f"{length},5;{width};{width},25;{kind}\n"
    for length, width, kind in [(5, 3, "iris"), (6, 2, "rose"), (7, 4, "iris"), (4, 1, "rose")] * 5
)


def test_a_file_is_read_and_used(page):
    turn_to(page, "CSV file")
    upload(page, FLOWERS)
    assert "semicolon between values, decimal comma, names in the first row" in said(page.caption)
    assert keyed(page, "csv_target").value == "kind"
    assert keyed(page, "csv_task").value == "classification"
    assert "3 inputs are trained as they are" in said(page.caption)
    assert title(page) == "Two spirals"
    press(page, "use_csv")
    now = experiment(page)
    assert title(page) == "mine.csv"
    assert now.data.class_names == ("iris", "rose")
    assert (now.config.features, now.config.standardize) == (("x1", "x2", "x3"), True)
    np.testing.assert_allclose(now.data.inputs[0], [5.5, 3, 3.25])
    now.step()


def test_columns_task_and_scaling_are_chosen(page):
    turn_to(page, "CSV file")
    upload(page, FLOWERS)
    keyed(page, "csv_target").set_value("petal").run()
    assert keyed(page, "csv_task").value == "regression"
    keyed(page, "csv_inputs").set_value(["width"]).run()
    keyed(page, "csv_standardize").set_value(False).run()
    press(page, "use_csv")
    now = experiment(page)
    assert (now.data.input_names, now.data.target_name) == (("width",), "petal")
    assert (now.config.task, now.config.standardize) == ("regression", False)
    assert "not standardized, as you chose" in said(page.caption)


def test_how_the_file_is_read_can_be_said(page):
    turn_to(page, "CSV file")
    upload(page, "1,5|2\n3,5|4\n")
    page.selectbox(key="csv_first_row").set_value("Values").run()
    page.selectbox(key="csv_delimiter").set_value("Bar").run()
    page.selectbox(key="csv_decimal_mark").set_value("Comma").run()
    assert "Rows: 2. Columns: 2; bar between values, decimal comma, no names." in said(page.caption)
    page.selectbox(key="csv_delimiter").set_value("Comma").run()
    assert "must differ from the delimiter" in said(page.error)
    upload(page, "a,b\n1,2\n3,4\n")
    assert page.selectbox(key="csv_delimiter").value == "Guess"
    assert not page.error


def test_a_file_is_still_there_after_a_look_elsewhere(page):
    turn_to(page, "CSV file")
    upload(page, FLOWERS)
    turn_to(page, "Choose")
    turn_to(page, "CSV file")
    assert "mine.csv is still here" in said(page.caption)
    press(page, "use_csv")
    assert title(page) == "mine.csv"


noise = random.Random(0).randbytes(3000)
BAD_FILES = {
    "one class": ("a,b,k\n1,2,x\n3,4,x\n", "Column k holds one class only (x)"),
    "one sample": ("a,b,k\n1,2,x\n", "Complete rows: 1 of 1"),
    "constant columns": ("a,b,k\n1,2,x\n1,2,y\n", "Every input is the same in all rows"),
    "infinity": ("a,b,k\n1,2,x\n2,-inf,y\n3,4,x\n", "Line 3, column 2 (b): '-inf' is not a finite"),
    "text": ("a,b,k\n1,2,x\n2,two,y\n3,4,x\n", "Line 3, column 2 (b): 'two' is not a number"),
    "all missing": ("a,b,k\nNaN,2,x\n1,,y\n", "Complete rows: 0 of 2"),
    "duplicate header": ("a,a,k\n1,2,x\n3,4,y\n", "Line 1, column 2: the name 'a' is taken"),
    "a million rows": ("1,2\n" * 1_000_000, "more than 100,000 rows"),
    "too large": ("1.234,2.345,x\n" * 400_000, "larger than 5,242,880 bytes"),
    "binary": (noise, "not text; this is no CSV file but a binary one"),
    "a spreadsheet": (b"PK\x03\x04" + noise, "a zip archive or a spreadsheet"),
    "empty": ("", "The file is empty"),
    "names only": ("a,b,k\n", "no data under it"),
    "a row too short": ("a,b,k\n1,2,x\n1,2\n", "Line 3, column 3: this row has 2 values"),
    "an open quote": ('a,b,k\n1,"2,x\n3,4,y\n', "Line 2, column 2: a quote is opened here"),
    "one column": ("a\n1\n2\n", "one column only"),
    "too large numbers": ("a,b,k\n1e31,2,x\n-2e31,3,y\n3e31,4,x\n", "'a' goes as far as 3e+31"),
    "Markdown": ("a,b,k\n1,:red[2],x\n2,3,y\n3,4,x\n5,6,x\n", "':red[2]' is not a number"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_told_and_nothing_is_lost(page, kind):
    before = experiment(page)
    turn_to(page, "CSV file")
    content, reason = BAD_FILES[kind]
    upload(page, content)
    assert reason in said(page.error)
    assert said(page.error).endswith("The current data stay.")
    assert experiment(page) is before
    assert all(button.disabled for button in page.button if button.key == "use_csv")
    upload(page, FLOWERS)
    assert not page.error


def test_what_makes_learning_hard_is_said(page):
    turn_to(page, "CSV file")
    rows = "".join(f"{i}e9,7,{i % 3},{'xy'[i % 2]}\n" for i in range(1, 9))
    upload(page, "big,constant,c,k\n" + rows + "nan,7,1,x\n")
    captions = said(page.caption)
    assert "Column big reaches 8.0e+09" in captions
    assert "Column constant is 7 in every row" in captions
    assert "1 of 9 rows has a missing value" in captions
    press(page, "use_csv")
    assert np.isfinite(experiment(page).step().test_loss)


cells = some.sampled_from(["1", "2.5", "-3", "x", "y", "", "nan", "inf", "1e40", '"', "a b", "1,5"])
tables = some.lists(some.lists(cells, min_size=1, max_size=4), max_size=6).map(
    lambda rows: "\n".join(";".join(row) for row in rows).encode()
)


@given(
    some.binary(max_size=60) | some.text(max_size=60).map(str.encode) | tables,
    some.tuples(*(some.sampled_from(list(values.values())) for values, _ in OPTIONS.values())),
)
@settings(deadline=None)
def test_any_file_is_data_or_a_sentence(content, options):
    file = Upload("any.csv", content)
    table = file.read(*options)
    assert (table is None) == bool(file.fault)
    if table is not None:
        try:
            assert isinstance(table.to_dataset(), Dataset)
        except NnkitError as error:
            assert str(error)


def test_a_file_is_read_once():
    file = Upload("a.csv", b"a,b\n1,2\n3,4\n")
    table = file.read(None, None, None)
    assert file.read(None, None, None) is table
    assert file.read(False, None, None) is not table
    assert MAX_BYTES < 10_000_000


# --- The current data


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dataset": "arms", "dataset_settings": {"arms": 5}, "loss": "cross_entropy"},
        {"imbalance": 0.3, "label_noise": 0.1, "outliers": 0.2, "data_seed": 7, "samples": 99},
        {"train_fraction": 0.35, "noise": 0.15},
    ],
)
def test_the_code_makes_the_same_data_and_split(changes):
    now = Experiment(ExperimentConfig(**changes))
    made = run(reproduce(now.config, now.data))
    for name, data in (("data", now.data), ("train", now.train_data), ("test", now.test_data)):
        np.testing.assert_array_equal(made[name].inputs, data.inputs)
        np.testing.assert_array_equal(made[name].targets, data.targets)


custom = ExperimentConfig(dataset="custom", data_seed=3)


@pytest.mark.parametrize(
    "data",
    [
        painted((0.1, 0.2, 0), (0.3, 1 / 3, 3), (0.7, 0.1, 3), (0.2, 0.9, 0)).dataset(),
        from_formula("sin(5*x)", samples=30, noise=0.1, seed=4),
        Dataset([[1.5, 2], [1e9, -4], [3, 5]], [2, 0, 1], "classification",
                input_names=("a, b", 'say "c"'), class_names=("u", "v", "w"), target_name="t"),
    ],
)  # fmt: skip
def test_the_code_reads_the_download(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(to_csv(data), encoding="utf-8")
    config = custom.replace(task=data.task, loss="cross_entropy" if data.classes else "mse")
    made = run(reproduce(config, data))
    np.testing.assert_array_equal(made["data"].inputs, data.inputs)
    np.testing.assert_array_equal(made["data"].targets, data.targets)
    assert made["data"].class_names == data.class_names
    np.testing.assert_array_equal(made["test"].inputs, split(data, 0.8, 3)[1].inputs)


def run(code: str) -> dict:
    names: dict = {}
    exec(code, names)
    return names


def test_the_picture_shows_classes_in_colours_shapes_and_counts():
    figure = data_figure(make_dataset("blobs", samples=100, imbalance=0.5))
    assert [trace["name"] for trace in figure["data"]] == ["0: 33", "1: 28", "2: 22", "3: 17"]
    assert len({trace["marker"]["color"] for trace in figure["data"]}) == 4
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == 4
    assert figure["layout"]["xaxis"]["range"] == [-EXTENT, EXTENT]


def test_the_picture_of_numbers():
    over_one = data_figure(make_dataset("sine", samples=40))
    assert over_one["layout"]["yaxis"]["title"]["text"] == "target"
    data = make_dataset("ripple", samples=40)
    over_two = data_figure(data)
    np.testing.assert_array_equal(over_two["data"][0]["marker"]["color"], data.targets)
    assert not over_two["layout"]["showlegend"]


def test_the_picture_of_two_columns_of_many():
    inputs = np.arange(12.0).reshape(3, 4) * 100
    data = Dataset(inputs, [0, 1, 1], "classification", input_names=("a", "b", "<c>", "d"))
    figure = data_figure(data, (2, 0))
    assert figure["data"][1]["x"].tolist() == [600, 1000]
    assert figure["layout"]["xaxis"]["title"]["text"] == "&lt;c&gt;"
    assert figure["layout"]["xaxis"]["range"][1] > 1000


def test_the_picture_of_many_points_is_thinned_and_counts_all():
    figure = data_figure(make_dataset("xor", samples=4000))
    assert sum(len(trace["x"]) for trace in figure["data"]) == 1500
    assert [trace["name"] for trace in figure["data"]] == ["0: 2,000", "1: 2,000"]


# --- In a browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page served by a Streamlit of its own."""
    script = tmp_path_factory.mktemp("app") / "app.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import streamlit as st\n"
        "st.set_page_config(layout='wide')\n"
        f"st.navigation([st.Page({str(ROOT / 'pages' / 'data.py')!r})]).run()\n",
        encoding="utf-8",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port),
        "--server.headless", "true", "--server.address", "127.0.0.1",
        "--server.fileWatcherType", "none",
    ]  # fmt: skip
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        while server.poll() is None and not _healthy(port):
            pass
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def tab(address):
    if sync_playwright is None or chromium() is None:
        pytest.skip("Playwright or Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(60_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.locator(".st-key-choose_xor").wait_for()
        yield page
        browser.close()
        assert errors == []


@pytest.mark.browser
def test_points_are_painted_and_used(tab):
    tab.get_by_role("radio", name="Paint").click()
    box = tab.locator("canvas[role=application]").bounding_box()

    def drag(height: float) -> None:
        tab.mouse.move(box["x"] + 100, box["y"] + height)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 400, box["y"] + height, steps=5)
        tab.mouse.up()

    drag(100)
    tab.get_by_text("Only class 0 is painted").wait_for()
    tab.locator("canvas[role=application]").press("1")
    drag(400)
    tab.get_by_text("points: classes 0, 1.").wait_for()
    tab.get_by_role("button", name="Use these points").click()
    tab.get_by_role("heading", name="Painted points").wait_for()
    tab.mouse.move(5, 700)  # off the button, whose help covers what is above it
    # a look elsewhere takes nothing away
    count = tab.locator(".words").inner_text()
    tab.get_by_role("radio", name="Choose").click()
    tab.get_by_role("radio", name="Paint").click()
    assert tab.locator(".words").inner_text() == count


@pytest.mark.browser
def test_files_are_uploaded_bad_ones_and_a_good_one(tab, tmp_path):
    tab.get_by_role("radio", name="CSV file").click()
    for kind in ("binary", "duplicate header", "a million rows", "infinity"):
        content, reason = BAD_FILES[kind]
        file = tmp_path / f"{kind}.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        tab.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(file)
        tab.get_by_text(reason).wait_for()
    good = tmp_path / "good.csv"
    good.write_text(FLOWERS, encoding="utf-8")
    tab.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(good)
    tab.get_by_text("20 samples. 2 classes: iris, rose.").wait_for()
    tab.get_by_role("button", name="Use these data").click()
    tab.get_by_role("heading", name="good.csv").wait_for()
