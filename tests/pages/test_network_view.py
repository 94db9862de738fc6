"""The Python side of the network view: frames packed, events checked, the component mounted."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

import pages.parts.network_view as module
from nnkit.errors import ShapeError
from nnkit.experiment import BY_HAND
from nnkit.settings import MAX_LAYERS, MAX_UNITS
from pages.parts.network_frame import FLOOR, LayerView, NetworkFrame, pack_frame
from pages.parts.network_view import network_view
from pages.parts.network_view.events import ACTIONS, NetworkEvent, parse_event


def make_frame(
    hidden: tuple[int, ...] = (3, 2),
    *,
    active: tuple[bool, ...] = (True, False, True),
    outputs: int = 1,
    output: str = "linear",
    side: tuple[int, ...] = (5, 5),
    seed: int = 0,
    **changes: Any,
) -> NetworkFrame:
    rng = np.random.default_rng(seed)
    units = [len(active), *hidden, outputs]
    inputs = [sum(active), *hidden]
    frame = NetworkFrame(
        epoch=7,
        features=tuple(f"x{index + 1}" for index in range(len(active))),
        active=active,
        layers=(*(LayerView(count, "relu") for count in hidden), LayerView(outputs, output)),
        weights=[rng.normal(size=(o, i)) for o, i in zip(units[1:], inputs, strict=True)],
        biases=[rng.normal(size=o) for o in units[1:]],
        pictures=[rng.normal(size=(count, *side)) for count in units],
    )
    return dataclasses.replace(frame, **changes)


@dataclasses.dataclass
class Unpacked:
    header: dict[str, Any]
    ranges: NDArray[np.float32]
    weights: list[NDArray[np.float32]]
    biases: list[NDArray[np.float32]]
    codes: list[NDArray[np.uint8]]

    def values(self, column: int) -> NDArray[np.float32]:
        first = sum(len(codes) for codes in self.codes[:column])
        centre, scale = self.ranges[first : first + len(self.codes[column])].T[:, :, None]
        return centre + scale * (self.codes[column].astype(np.float32) - 128) / 127


def unpack(data: bytes) -> Unpacked:
    """Read a frame by the table in the docstring of `pack_frame`."""
    end = 4 + int.from_bytes(data[:4], "little")
    assert end % 4 == 0
    header = json.loads(data[4:end].decode("ascii"))
    at = end

    def take(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        nonlocal at
        count = math.prod(shape)
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += array.nbytes
        return array

    outs = [layer["units"] for layer in header["layers"]]
    ins = [sum(header["active"]), *outs[:-1]]
    units = [len(header["features"]), *outs]
    ranges = take((sum(units), 2), "<f4")
    weights = [take(shape, "<f4") for shape in zip(outs, ins, strict=True)]
    biases = [take((count,), "<f4") for count in outs]
    codes = [take(shape, "u1") for shape in zip(units, header["pixels"], strict=True)]
    assert at == len(data)
    return Unpacked(header, ranges, weights, biases, codes)


# ---- frames ------------------------------------------------------------------------------------


def test_the_header_says_what_is_shown() -> None:
    frame = make_frame(silenced=frozenset({(1, 0), (0, 2)}), selected=(0, 1), editable=False)
    header = unpack(pack_frame(frame, height=400, activations=("relu", "tanh"), live=True)).header
    assert header["epoch"] == 7
    assert header["features"] == ["x1", "x2", "x3"]
    assert header["active"] == [True, False, True]
    assert header["layers"][-1] == {"units": 1, "activation": "linear", "normalization": "none"}
    assert (header["resolution"], header["dimensions"]) == (5, 2)
    assert header["silenced"] == [[0, 2], [1, 0]]
    assert header["selected"] == [0, 1]
    assert (header["editable"], header["live"], header["height"]) == (False, True, 400)
    assert header["activations"] == ["relu", "tanh"]


def test_numpy_scalars_are_welcome_in_the_header() -> None:
    frame = make_frame(
        epoch=np.int64(3),
        active=tuple(np.array([True, False, True])),
        silenced=frozenset({(np.int64(0), np.int64(1))}),
        selected=(np.int64(1), np.int64(0)),
    )
    header = unpack(pack_frame(frame)).header
    assert (header["epoch"], header["silenced"], header["selected"]) == (3, [[0, 1]], [1, 0])


@given(
    hidden=some.lists(some.integers(1, 9), max_size=4).map(tuple),
    active=some.lists(some.booleans(), min_size=1, max_size=7).map(tuple),
    outputs=some.integers(1, 3),
    side=some.sampled_from([(1,), (6,), (4, 4)]),
    seed=some.integers(0, 2**32 - 1),
)
def test_numbers_arrive(
    hidden: tuple[int, ...],
    active: tuple[bool, ...],
    outputs: int,
    side: tuple[int, ...],
    seed: int,
) -> None:
    frame = make_frame(hidden, active=active, outputs=outputs, side=side, seed=seed)
    got = unpack(pack_frame(frame))
    for sent, come in zip(
        [*frame.weights, *frame.biases], [*got.weights, *got.biases], strict=True
    ):
        np.testing.assert_array_equal(come, sent.astype(np.float32))
    for column, picture in enumerate(frame.pictures):
        flat = picture.reshape(len(picture), -1)
        half_a_code = np.maximum(abs(flat).max(axis=1, keepdims=True), FLOOR) / 254
        assert np.all(abs(got.values(column) - flat) <= half_a_code * 1.001)


def test_rows_and_columns_keep_their_order() -> None:
    frame = make_frame()
    frame.pictures[0][0] = np.arange(25).reshape(5, 5)
    codes = unpack(pack_frame(frame)).codes[0][0]
    assert np.all(np.diff(codes.astype(int)) > 0)


def test_values_that_are_not_finite_have_their_own_code() -> None:
    frame = make_frame()
    frame.pictures[1][0, 0, :3] = np.nan, np.inf, -np.inf
    frame.pictures[2][:] = np.nan
    frame.weights[0][0, 0] = 1e300
    got = unpack(pack_frame(frame))
    assert got.codes[1][0, :3].tolist() == [0, 0, 0]
    assert got.codes[1][0, 3:].min() > 0
    assert not got.codes[2].any()
    assert np.isfinite(got.ranges).all()
    assert got.weights[0][0, 0] == np.inf


def test_a_unit_that_does_nothing_looks_neutral() -> None:
    frame = make_frame()
    frame.pictures[1][0] = 1e-4
    frame.pictures[1][1] = 0
    codes = unpack(pack_frame(frame)).codes[1]
    assert set(codes[:2].ravel()) == {128}


@pytest.mark.parametrize(
    ("activation", "values", "codes"),
    [
        ("sigmoid", [0, 0.5, 1], [1, 128, 255]),
        ("softmax", [0, 0.5, 1], [128, 192, 255]),
        ("linear", [-4, 0, 2], [1, 128, 192]),
    ],
)
def test_probabilities_have_a_fixed_scale(
    activation: str, values: list[float], codes: list[int]
) -> None:
    frame = make_frame(output=activation, side=(3,))
    frame.pictures[-1][0] = values
    assert unpack(pack_frame(frame)).codes[-1][0].tolist() == codes


def test_hidden_sigmoid_units_are_not_taken_for_probabilities() -> None:
    frame = make_frame((1,))
    frame = dataclasses.replace(frame, layers=(LayerView(1, "sigmoid"), frame.layers[1]))
    frame.pictures[1][:] = 0.5
    assert set(unpack(pack_frame(frame)).codes[1].ravel()) == {255}


def test_wide_layers_send_their_mean() -> None:
    frame = make_frame((33, 32))
    got = unpack(pack_frame(frame))
    assert got.header["pixels"] == [25, 1, 25, 25]
    mean, size = frame.pictures[1].mean(axis=(1, 2)), abs(frame.pictures[1]).max(axis=(1, 2))
    assert np.all(abs(got.values(1)[:, 0] - mean) <= size / 254 * 1.001)
    assert np.all(abs(got.codes[1].astype(int) - 128) < 127)  # no mean fills its scale


def test_packing_changes_nothing() -> None:
    frame, same = make_frame(), make_frame()
    pack_frame(frame)
    for field in ("weights", "biases", "pictures"):
        for a, b in zip(getattr(frame, field), getattr(same, field), strict=True):
            np.testing.assert_array_equal(a, b)


def test_strided_and_transposed_arrays_are_packed_by_value() -> None:
    frame = make_frame((4, 4))
    turned = [np.asfortranarray(w) for w in frame.weights]
    assert pack_frame(dataclasses.replace(frame, weights=turned)) == pack_frame(frame)


def test_a_usual_frame_is_small() -> None:
    frame = make_frame((8, 8), active=(True,) * 2 + (False,) * 5, side=(20, 20))
    assert len(pack_frame(frame, activations=("relu", "tanh", "sigmoid"), live=True)) < 11_000


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("active", lambda f: f.active[:-1]),
        ("weights", lambda f: f.weights[:-1]),
        ("weights", lambda f: [w.T for w in f.weights]),
        ("biases", lambda f: [b[:, None] for b in f.biases]),
        ("pictures", lambda f: f.pictures[1:]),
        ("pictures", lambda f: []),
        ("pictures", lambda f: [*f.pictures[:-1], f.pictures[-1][:, :3, :3]]),
        ("pictures", lambda f: [p[:, :, :3] for p in f.pictures]),
        ("pictures", lambda f: [p[..., None] for p in f.pictures]),
        ("pictures", lambda f: [p[:, 0, 0] for p in f.pictures]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(field: str, change: Any) -> None:
    frame = make_frame()
    with pytest.raises(ShapeError, match=field):
        pack_frame(dataclasses.replace(frame, **{field: change(frame)}))


# ---- events ------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "at": 0,
    "layer": 1,
    "unit": 2,
    "input": 3,
    "value": -0.5,
    "activation": "tanh",
    "feature": "x1*x2",
    "silenced": True,
}

BAD: dict[str, list[Any]] = {
    "at": [None, -1, MAX_LAYERS, 1.0, True, "1", []],
    "layer": [None, -1, MAX_LAYERS + 1, 0.5, False, "0", {}],
    "unit": [-1, MAX_UNITS, 2.0, True, "2", [2]],
    "input": [None, -1, MAX_UNITS, 10**400, "3"],
    "value": [None, math.nan, math.inf, -math.inf, 2 * BY_HAND.high, 10**400, "1", True, [1]],
    "activation": [None, "", "x" * 201, 3, ["relu"]],
    "feature": [None, "", 3, {"x1": 1}],
    "silenced": [None, 1, "true"],
}


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_understood(action: str) -> None:
    raw = {"action": action, **{name: GOOD[name] for name in ACTIONS[action]}}
    event = parse_event({**raw, "number": 4, "nonsense": object()})
    assert event is not None
    assert {k: v for k, v in dataclasses.asdict(event).items() if v is not None} == raw


@pytest.mark.parametrize(
    ("action", "name", "value"),
    [
        (action, name, value)
        for action, names in ACTIONS.items()
        for name in names
        for value in BAD[name]
    ],
)
def test_values_out_of_place_are_refused(action: str, name: str, value: Any) -> None:
    raw = {"action": action, **{key: GOOD[key] for key in ACTIONS[action]}, name: value}
    assert parse_event(raw) is None


@pytest.mark.parametrize("name", ["layer", "unit"])
def test_half_a_selection_is_refused(name: str) -> None:
    assert parse_event({"action": "select", name: 1}) is None


def test_selecting_nothing_and_removing_the_last_unit_need_no_unit() -> None:
    assert parse_event({"action": "select", "layer": None, "unit": None}) == NetworkEvent("select")
    last = NetworkEvent("remove_unit", layer=1)
    assert parse_event({"action": "remove_unit", "layer": 1, "unit": None}) == last
    assert parse_event({"action": "silence", "layer": 1, "unit": None, "silenced": True}) is None


anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    raw=anything
    | some.fixed_dictionaries(
        {"action": some.sampled_from([*ACTIONS, "", "eval"])},
        optional={name: anything | some.just(good) for name, good in GOOD.items()},
    )
)
def test_whatever_comes_is_an_event_or_nothing(raw: Any) -> None:
    event = parse_event(raw)
    if event is not None:
        values = {k: v for k, v in dataclasses.asdict(event).items() if v is not None}
        assert values.pop("action") in ACTIONS
        assert values.keys() <= set(ACTIONS[event.action])
        assert event.value is None or math.isfinite(event.value)


# ---- delivery ----------------------------------------------------------------------------------


class Delivery:
    """The mounts and the session that Streamlit would keep, and the events that came through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session: dict[str, Any] = {}
        self.mounts: list[dict[str, Any]] = []
        self.events: list[NetworkEvent] = []
        monkeypatch.setattr(st, "session_state", self.session)
        monkeypatch.setattr(module, "_mount", lambda **arguments: self.mounts.append(arguments))

    def show(self) -> None:
        network_view(
            make_frame(),
            key="network",
            activations=("relu", "tanh"),
            on_event=self.events.append,
        )

    def send(self, payload: Any) -> list[NetworkEvent]:
        self.session["network"] = {"event": payload}
        self.events.clear()
        self.mounts[-1]["on_event_change"]()
        return list(self.events)


@pytest.fixture
def delivery(monkeypatch: pytest.MonkeyPatch) -> Delivery:
    return Delivery(monkeypatch)


def message(*events: dict[str, Any], mount: str = "a") -> dict[str, Any]:
    return {"mount": mount, "events": list(events)}


ONE = {"number": 1, "action": "add_unit", "layer": 0}
TWO = {"number": 2, "action": "add_unit", "layer": 1}


def test_each_event_is_delivered_once(delivery: Delivery) -> None:
    delivery.show()
    first, second = NetworkEvent("add_unit", layer=0), NetworkEvent("add_unit", layer=1)
    assert delivery.send(message(ONE)) == [first]
    assert delivery.send(message(ONE, TWO)) == [second]
    assert delivery.send(message(ONE, TWO)) == []


def test_an_event_whose_message_was_lost_comes_with_the_next(delivery: Delivery) -> None:
    delivery.show()
    assert [event.layer for event in delivery.send(message(ONE, TWO))] == [0, 1]


def test_a_new_mount_counts_anew(delivery: Delivery) -> None:
    delivery.show()
    delivery.send(message(ONE, TWO))
    assert len(delivery.send(message(ONE, mount="b"))) == 1


@pytest.mark.parametrize(
    "payload",
    [
        None,
        3,
        "add_unit",
        {},
        {"mount": 1, "events": [ONE]},
        {"mount": "a", "events": ONE},
        {"mount": "a", "events": [None, 3, {}, {"number": "1"}, {**ONE, "number": True}]},
        {"mount": "a", "events": [{"number": 1, "action": "format_disk"}]},
    ],
)
def test_nonsense_is_not_delivered(delivery: Delivery, payload: Any) -> None:
    delivery.show()
    assert delivery.send(payload) == []


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"action": "add_layer", "at": 2}, True),
        ({"action": "add_layer", "at": 3}, False),
        ({"action": "remove_layer", "layer": 1}, True),
        ({"action": "remove_layer", "layer": 2}, False),
        ({"action": "add_unit", "layer": 2}, False),
        ({"action": "remove_unit", "layer": 0, "unit": 2}, True),
        ({"action": "remove_unit", "layer": 0, "unit": 3}, False),
        ({"action": "remove_unit", "layer": 0, "unit": None}, True),
        ({"action": "set_activation", "layer": 0, "activation": "tanh"}, True),
        ({"action": "set_activation", "layer": 0, "activation": "exec"}, False),
        ({"action": "set_activation", "layer": 2, "activation": "tanh"}, False),
        ({"action": "toggle_feature", "feature": "x2"}, True),
        ({"action": "toggle_feature", "feature": "x9"}, False),
        ({"action": "set_weight", "layer": 0, "unit": 2, "input": 1, "value": 1}, True),
        ({"action": "set_weight", "layer": 0, "unit": 2, "input": 2, "value": 1}, False),
        ({"action": "set_weight", "layer": 2, "unit": 0, "input": 1, "value": 1}, True),
        ({"action": "set_bias", "layer": 2, "unit": 0, "value": 1}, True),
        ({"action": "set_bias", "layer": 2, "unit": 1, "value": 1}, False),
        ({"action": "select", "layer": 2, "unit": 0}, True),
        ({"action": "select", "layer": 3, "unit": 0}, False),
        ({"action": "select", "layer": None, "unit": None}, True),
        ({"action": "silence", "layer": 1, "unit": 1, "silenced": True}, True),
        ({"action": "silence", "layer": 2, "unit": 0, "silenced": True}, False),
    ],
)
def test_events_must_fit_the_frame_that_was_shown(
    delivery: Delivery, event: dict[str, Any], fits: bool
) -> None:
    delivery.show()
    assert bool(delivery.send(message({"number": 1, **event}))) == fits


# ---- the component -----------------------------------------------------------------------------


def test_all_modules_are_bundled_into_one_without_imports() -> None:
    folder = Path(module.__file__).parent
    assert {path.stem for path in folder.glob("*.js")} == set(module._MODULES)
    code = module._bundle()
    assert not re.search(r"^(import|export (?!default)|//|/\*)", code, re.MULTILINE)
    assert code.count("export default function show(") == 1
    names = re.findall(r"^(?:const|function|class) (\w+)", code, re.MULTILINE)
    for name in re.findall(
        r"^import \{(.*?)\}",
        "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.js")),
        re.MULTILINE | re.DOTALL,
    ):
        assert set(re.findall(r"\w+", name)) <= set(names)


def test_the_view_mounts_in_an_app() -> None:
    def app() -> None:
        import numpy as np

        from pages.parts.network_frame import LayerView, NetworkFrame
        from pages.parts.network_view import network_view

        shapes = [(2, 4, 4), (3, 4, 4), (1, 4, 4)]
        frame = NetworkFrame(
            epoch=0,
            features=("x1", "x2"),
            active=(True, True),
            layers=(LayerView(3, "tanh"), LayerView(1, "sigmoid")),
            weights=[np.ones((3, 2)), np.ones((1, 3))],
            biases=[np.zeros(3), np.zeros(1)],
            pictures=[np.zeros(shape) for shape in shapes],
        )
        network_view(
            frame,
            key="network",
            activations=("tanh",),
            on_event=print,
        )

    test = AppTest.from_function(app).run()
    assert not test.exception
    (mount,) = test.get("bidi_component")
    assert json.loads(mount.proto.json) == {"follow": "network"}
