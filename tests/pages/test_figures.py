"""The figures: valid for plotly, right in what they show, and cheap to update."""

from __future__ import annotations

import base64
import doctest
import io
import json
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pages.parts import evaluation_figures, figure_parts, figures, palette, pictures
from pages.parts.figure_parts import decades, ringed, round_up, safe_text, thin

SQUARE = (-1.0, 1.0, -1.0, 1.0)
RNG = np.random.default_rng(0)
INPUTS = RNG.uniform(-1, 1, (40, 2)).astype(np.float32)
LABELS = np.repeat([0, 1], 20)
TARGETS = (INPUTS[:, 0] * 2).astype(np.float32)


def pixels(figure):
    """The image behind the points, as RGBA rows from the top."""
    source = figure["layout"]["images"][0]["source"]
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def rgb(colour):
    return list(bytes.fromhex(colour[1:]))


def rising(rows=5, columns=5, low=0.0, high=1.0):
    """A grid that grows with x₂ alone."""
    return np.repeat(np.linspace(low, high, rows)[:, None], columns, axis=1)


FIGURES = {
    "binary": lambda: figures.decision_boundary(rising(), SQUARE, (INPUTS, LABELS)),
    "classes": lambda: figures.decision_boundary(
        RNG.dirichlet([1, 1, 1], (5, 5)),
        SQUARE,
        (INPUTS, LABELS),
        (INPUTS, LABELS),
        class_names=("a", "b", "c"),
        discretize=True,
    ),
    "ringed": lambda: ringed(figures.decision_boundary(rising(), SQUARE), INPUTS[:3]),
    "surface": lambda: figures.regression_surface(
        rising(), SQUARE, (INPUTS, TARGETS), (INPUTS, TARGETS)
    ),
    "unit": lambda: figures.unit_picture(rising(), SQUARE),
    "curve": lambda: figures.regression_curve(
        np.arange(5.0), np.arange(5.0), (INPUTS[:, :1], TARGETS), (INPUTS[:, 0], TARGETS)
    ),
    "losses": lambda: figures.loss_curves([0, 1], [1.0, 0.5], [1.0, 0.7]),
    "losses, log": lambda: figures.loss_curves([0, 1], [1.0, 0.5], [1.0, 0.7], log_scale=True),
    "losses, none": lambda: figures.loss_curves([], [], []),
    "losses, one": lambda: figures.loss_curves([0], [0.7], log_scale=True),
    "confusion": lambda: evaluation_figures.confusion_matrix(
        np.array([[5, 1], [0, 0]]), ("a", "b"), (0, 1)
    ),
    "roc": lambda: evaluation_figures.roc(
        np.array([0, 0.5, 1]), np.array([0, 1, 1]), np.array([np.inf, 0.5, 0]), area=0.75
    ),
    "calibration": lambda: evaluation_figures.calibration(
        np.array([0.1, np.nan]), np.array([0.2, np.nan]), np.array([4, 0])
    ),
    "residuals": lambda: evaluation_figures.residuals(TARGETS, TARGETS + 1),
}


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES)
def test_plotly_knows_every_setting(make):
    go.Figure(make())  # raises where a name or a value is not plotly's


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES)
def test_nothing_is_left_for_plotly_to_measure(make):
    layout = make()["layout"]
    assert all(len(layout[name]["range"]) == 2 for name in ("xaxis", "yaxis"))
    assert all(layout[name]["automargin"] is False for name in ("xaxis", "yaxis"))
    assert set(layout["margin"]) == {"l", "r", "t", "b"}
    assert "uirevision" in layout
    assert layout["paper_bgcolor"] == "rgba(0,0,0,0)"


@pytest.mark.parametrize("module", [figure_parts, pictures])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


# --- The plane


def test_sure_regions_have_class_colours_and_undecided_ones_none():
    image = pixels(figures.decision_boundary(rising(), SQUARE))
    assert image.shape == (5, 5, 4)
    assert image[-1, 0].tolist() == [*rgb(palette.CLASSES[0]), 255]  # probability 0 at the bottom
    assert image[0, 0].tolist() == [*rgb(palette.CLASSES[1]), 255]
    assert image[2, 0, 3] == 0
    assert 100 < image[1, 0, 3] < 150


def test_first_column_is_lowest_x1():
    image = pixels(figures.decision_boundary(rising().T, SQUARE))
    assert image[0, 0, :3].tolist() == rgb(palette.CLASSES[0])
    assert image[0, -1, :3].tolist() == rgb(palette.CLASSES[1])


def test_a_grid_of_one_probability_equals_one_of_both():
    one = figures.decision_boundary(rising(), SQUARE)
    both = figures.decision_boundary(np.stack((1 - rising(), rising()), axis=2), SQUARE)
    np.testing.assert_array_equal(pixels(one), pixels(both))


def test_discretized_regions_are_all_sure():
    image = pixels(figures.decision_boundary(rising(4, 4), SQUARE, discretize=True))
    assert (image[..., 3] == 255).all()
    assert image[1, 0, :3].tolist() == rgb(palette.CLASSES[1])
    assert image[2, 0, :3].tolist() == rgb(palette.CLASSES[0])


@pytest.mark.parametrize("classes", [3, 6, 8])
def test_each_class_has_its_region(classes):
    grid = np.eye(classes)[None].repeat(2, axis=0)  # column k is surely class k
    image = pixels(figures.decision_boundary(grid, SQUARE, class_names=range(classes)))
    expected = [rgb(palette.CLASSES[k % len(palette.CLASSES)]) for k in range(classes)]
    assert image[0, :, :3].tolist() == expected
    assert (image[..., 3] == 255).all()


def test_values_stand_in_the_middle_of_their_pixels():
    picture = figures.unit_picture(rising(3, 5), (0, 8, -1, 1))["layout"]["images"][0]
    assert (picture["x"], picture["sizex"]) == (-1, 10)  # 5 columns of width 2 around 0, 2, …, 8
    assert (picture["y"], picture["sizey"]) == (1.5, 3)


def test_value_image_is_diverging_around_zero_and_clipped():
    grid = rising(5, 5, -4.0, 4.0)
    image = pixels(figures.regression_surface(grid, SQUARE, (INPUTS, TARGETS), limit=2.0))
    assert image[0, 0].tolist() == image[1, 0].tolist() == [*rgb(palette.POSITIVE), 255]
    assert image[-1, 0].tolist() == image[-2, 0].tolist() == [*rgb(palette.NEGATIVE), 255]
    assert image[2, 0, 3] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_do_no_harm(bad):
    grid = rising()
    grid[2, 2] = bad
    for figure in (
        figures.decision_boundary(grid, SQUARE),
        figures.unit_picture(grid, SQUARE),
        figures.regression_surface(grid, SQUARE, (INPUTS, TARGETS)),
    ):
        assert pixels(figure).shape == (5, 5, 4)


def test_points_by_class_differ_in_colour_and_shape_and_test_points_are_hollow():
    figure = figures.decision_boundary(
        rising(), SQUARE, (INPUTS, LABELS), (INPUTS[:10], LABELS[:10]), class_names=("in", "out")
    )
    shown = [trace for trace in figure["data"] if trace["type"] == "scatter"]
    assert [trace["name"] for trace in shown] == [
        "in, train",
        "out, train",
        "in, test",
        "out, test",
    ]
    assert [len(trace["x"]) for trace in shown] == [20, 20, 10, 0]
    np.testing.assert_array_equal(shown[1]["x"], INPUTS[20:, 0])
    train, other, hollow = (trace["marker"] for trace in shown[:3])
    assert train["color"] == palette.CLASSES[0] != other["color"]
    assert train["symbol"] != other["symbol"]
    assert hollow["color"] != train["color"] == hollow["line"]["color"]


def test_points_are_ringed_and_the_figure_stays():
    figure = figures.decision_boundary(rising(), SQUARE)
    ring = ringed(figure, INPUTS[:3])["data"][-1]
    np.testing.assert_array_equal(np.stack((ring["x"], ring["y"]), axis=1), INPUTS[:3])
    assert ring["marker"]["symbol"] == "circle-open"
    assert len(figure["data"]) == 1


def test_many_points_are_thinned():
    inputs = RNG.uniform(-1, 1, (20_000, 2))
    figure = figures.decision_boundary(rising(), SQUARE, (inputs, np.zeros(20_000, dtype=int)))
    assert sum(len(trace["x"]) for trace in figure["data"][1:]) == figures.MAX_POINTS


def test_targets_and_surface_share_one_scale():
    figure = figures.regression_surface(rising(), SQUARE, (INPUTS, TARGETS))
    marker = figure["data"][-1]["marker"]
    assert marker["cmax"] == -marker["cmin"] == np.abs(TARGETS).max()
    assert [stop[1] for stop in marker["colorscale"]][::2] == [palette.NEGATIVE, palette.POSITIVE]


@pytest.mark.parametrize("name", ["binary", "surface", "unit", "curve", "losses"])
def test_what_moves_is_an_image_or_a_shape(name):
    """Traces that are seen are points, and those stay the same from epoch to epoch."""
    figure = FIGURES[name]()
    moving = figure["layout"].get("images", []) + figure["layout"].get("shapes", [])
    assert moving
    seen = [trace for trace in figure["data"] if trace.get("opacity") != 0]
    assert all(trace["mode"] == "markers" for trace in seen)


def test_numbers_under_the_mouse_are_those_of_the_grid():
    grid = rising(5, 5)
    hidden = figures.unit_picture(grid, SQUARE)["data"][0]
    np.testing.assert_allclose(hidden["z"], grid[::2, ::2])
    assert (hidden["x0"], hidden["dx"], hidden["y0"], hidden["dy"]) == (-1, 1, -1, 1)
    percent = figures.decision_boundary(grid, SQUARE)["data"][0]["customdata"]
    assert percent[:, 0].tolist() == [[100, 0], [50, 50], [0, 100]]


# --- Curves


@given(
    series=st.lists(
        hnp.arrays(
            np.float64, st.shared(st.integers(1, 700), key="n"), elements=st.floats(width=32)
        ),
        min_size=1,
        max_size=3,
    ),
    limit=st.integers(10, 60),
)
def test_thinned_series_keep_their_ends_and_extremes(series, limit):
    kept = thin(*series, limit=limit)
    assert len(kept) <= limit
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == len(series[0]) - 1
    for values in series:
        if not np.isnan(values).all():
            assert np.nanmin(values) in values[kept]
            assert np.nanmax(values) in values[kept]


def test_a_growing_curve_keeps_what_is_drawn():
    values = RNG.normal(size=3000)
    before, after = thin(values[:2900], limit=100), thin(values, limit=100)
    assert set(before[before < 2816]) <= set(after)  # 2816: where the last whole stretch ends


def test_losses_are_drawn_where_they_are():
    figure = figures.loss_curves([0, 1, 2], [1.0, 0.5, 0.25], [1.0, 0.75, 0.5])
    train, test = figure["layout"]["shapes"]
    assert train["path"] == "M0,1L1,0.5L2,0.25"
    assert test["path"] == "M0,1L1,0.75L2,0.5"
    assert [trace["y"].tolist() for trace in figure["data"]] == [[1, 0.5, 0.25], [1, 0.75, 0.5]]
    assert figure["layout"]["yaxis"]["range"] == [0, 1]


def test_losses_that_are_not_finite_leave_a_gap():
    figure = figures.loss_curves(range(5), [1.0, 0.5, np.nan, 0.25, 0.125])
    assert figure["layout"]["shapes"][0]["path"] == "M0,1L1,0.5M3,0.25L4,0.125"
    figure = figures.loss_curves(range(3), [0.5, np.inf, np.nan])
    assert figure["layout"]["yaxis"]["range"] == [0, 0.5]
    assert figure["layout"]["shapes"][0]["type"] == "circle"


def test_a_zero_loss_leaves_a_gap_on_the_log_scale():
    figure = figures.loss_curves(range(3), [0.5, 0.0, 0.02], log_scale=True)
    assert figure["layout"]["shapes"][0]["path"] == "M0,0.5M2,0.02"
    assert figure["layout"]["yaxis"]["range"] == [-2, 0]
    assert figure["layout"]["yaxis"]["type"] == "log"


def test_without_losses_there_is_an_empty_chart():
    for log_scale in (False, True):
        layout = figures.loss_curves([], [], [], log_scale=log_scale)["layout"]
        assert [shape["visible"] for shape in layout["shapes"]] == [False, False]
        assert np.isfinite(layout["yaxis"]["range"]).all()


def test_a_change_of_scale_starts_unzoomed():
    revisions = {
        figures.loss_curves([0], [1.0], log_scale=log)["layout"]["uirevision"]
        for log in (False, True)
    }
    assert len(revisions) == 2


def test_long_histories_stay_small():
    epochs = np.arange(50_000)
    figure = figures.loss_curves(epochs, np.exp(-epochs / 9000), np.exp(-epochs / 8000))
    assert all(50 < len(trace["x"]) <= 400 for trace in figure["data"])


@given(st.floats(1e-12, 1e12))
def test_rounded_up_is_a_little_more(value):
    assert value * 0.99999 <= round_up(value) <= 1.34 * value


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_rounded_up_has_an_answer_for_anything(value):
    assert round_up(value) == 1.0


@given(hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e9, 1e9) | st.just(np.nan)))
def test_decades_hold_all_values_above_zero(values):
    low, high = decades(values)
    assert low < high
    positive = values[values > 0]
    assert ((positive >= 10.0**low * 0.999) & (positive <= 10.0**high * 1.001)).all()


# --- Evaluation


def test_confusion_counts_stand_as_rows_of_true_classes():
    figure = evaluation_figures.confusion_matrix(np.array([[8, 2], [0, 0]]), ("cat", "dog"))
    (cells,) = figure["data"]
    assert cells["text"] == [[8, 2], [0, 0]]
    np.testing.assert_allclose(cells["z"], [[0.8, 0.2], [0, 0]])
    assert figure["layout"]["yaxis"]["range"] == [1.5, -0.5]  # the first class on top
    assert figure["layout"]["xaxis"]["ticktext"] == ["cat", "dog"]


@pytest.mark.parametrize(("threshold", "point"), [(0.9, (0, 0.5)), (0.5, (0.5, 1)), (2, (0, 0))])
def test_threshold_lies_on_the_roc_curve(threshold, point):
    figure = evaluation_figures.roc(
        np.array([0, 0, 0.5, 1]),
        np.array([0, 0.5, 1, 1]),
        np.array([np.inf, 0.9, 0.5, 0.1]),
        area=0.875,
        threshold=threshold,
    )
    here = figure["data"][1]
    assert (here["x"][0], here["y"][0]) == point
    assert figure["layout"]["annotations"][0]["text"] == "area 0.875"


def test_empty_bins_are_not_calibrated():
    figure = evaluation_figures.calibration(
        np.array([0.1, np.nan, 0.9]), np.array([0.2, np.nan, 0.8]), np.array([4, 0, 16])
    )
    (bins,) = figure["data"]
    assert bins["customdata"].tolist() == [4, 16]
    assert bins["marker"]["size"][0] < bins["marker"]["size"][1]
    assert (
        evaluation_figures.calibration(np.empty(0), np.empty(0), np.empty(0))["data"][0]["x"].size
        == 0
    )


def test_residuals_are_target_minus_prediction():
    (points,) = evaluation_figures.residuals(np.array([1.0, 2.0]), np.array([1.5, 1.0]))["data"]
    assert points["y"].tolist() == [0.5, -1.0]


# --- Names and thumbnails


@given(st.text())
def test_names_from_outside_are_neither_markup_nor_placeholders(name):
    text = safe_text(name)
    assert "<" not in text and ">" not in text and "%{" not in text


def test_long_names_are_cut():
    assert safe_text("abcdefgh", limit=4) == "abc…"


@pytest.mark.parametrize("targets", [LABELS, TARGETS, np.zeros(40, dtype=np.float32)])
@pytest.mark.parametrize("columns", [1, 2])
def test_thumbnail_is_svg_with_all_points_inside(targets, columns):
    root = ElementTree.fromstring(pictures.dataset_thumbnail(INPUTS[:, :columns], targets))
    marks = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(marks) == len(targets)
    corners = np.array([[float(mark.get("x")), float(mark.get("y"))] for mark in marks])
    assert (corners >= 0).all() and (corners <= 95).all()
    highest = INPUTS[:, 1].argmax() if columns == 2 else targets.argmax()
    assert corners[highest, 1] == corners[:, 1].min()


def test_thumbnail_shows_a_sample_of_many_points():
    svg = pictures.dataset_thumbnail(np.zeros((9000, 2)), np.zeros(9000, dtype=int), points=100)
    assert svg.count("<rect") == 100


def test_figures_are_plain_data():
    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tolist()
        raise TypeError(value)

    for make in FIGURES.values():
        json.dumps(make(), default=plain)


def test_a_key_says_which_colour_and_shape_is_which_class():
    names = ("low", "<b>high</b>", *map(str, range(2, 9)))
    for count in (2, 9):
        figure = figures.decision_boundary(rising(), SQUARE, class_names=names[:count])
        text = figure["layout"]["annotations"][0]["text"]
        assert text.startswith(f'class <span style="color:{palette.CLASSES[0]}">●</span> low')
        assert f'<span style="color:{palette.CLASSES[1]}">■</span> &lt;b&gt;hi' in text
        assert ("and 3 more" in text) == (count == 9)
