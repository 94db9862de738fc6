"""The live plot: what it sends to the browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from streamlit.testing.v1 import AppTest

from pages.parts.live_plot import _pack


def figure_of(traces=(), images=(), shapes=(), **layout):
    return {"data": list(traces), "layout": {"images": images, "shapes": shapes, **layout}}


def test_a_message_is_header_layout_marks_and_traces_in_lines():
    traces = [{"type": "heatmap", "opacity": 0}, {"name": "line\nbreak"}]
    message = _pack({"epoch": 3}, figure_of(traces, images=[{"x": 1}], title="t"))
    lines = [json.loads(line) for line in message.decode().split("\n")]
    assert lines == [
        {"epoch": 3, "unseen": [0]},
        {"title": "t"},
        {"images": [{"x": 1}], "shapes": []},
        *traces,
    ]


def test_making_a_message_leaves_the_figure_as_it_is():
    figure = figure_of(images=[{"x": 1}])
    _pack({}, figure)
    assert figure == figure_of(images=[{"x": 1}])


@given(
    hnp.arrays(
        st.sampled_from(["u1", "i4", "i8", "f4", "f8", ">f4", "?"]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0),
    )
)
def test_arrays_come_out_as_they_went_in(array):
    message = _pack({}, figure_of([{"z": array}]))
    packed = json.loads(message.decode().split("\n")[3])["z"]
    assert packed["dtype"] in ("u1", "f4", "f8")
    unpacked = np.frombuffer(base64.b64decode(packed["bdata"]), f"<{packed['dtype']}")
    np.testing.assert_array_equal(unpacked.reshape(packed["shape"]), array.astype(packed["dtype"]))


def test_an_array_of_texts_stays_a_list():
    message = _pack({}, figure_of([{"text": np.array(["a", "b"])}, {"size": np.float32(2)}]))
    assert [json.loads(line) for line in message.decode().split("\n")[3:]] == [
        {"text": ["a", "b"]},
        {"size": 2.0},
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_what_a_browser_cannot_read_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        _pack({}, figure_of(width=value))


def test_it_runs_in_an_app_test():
    def app():
        from pages.parts import figures
        from pages.parts.live_plot import live_plot

        live_plot(figures.loss_curves([0], [1.0]), key="losses", height=200, label="losses")

    assert not AppTest.from_function(app).run().exception
