"""Weights files: what is written comes back, and nothing else gets in."""

import io
import os
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit.errors import FileError
from nnkit.serialization import FORMAT_VERSION, MAX_BYTES, load_archive, save_archive

CONFIG = {"layers": [{"units": 4, "activation": "tanh"}], "learning_rate": 0.03, "name": "é"}


def sample_arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "0.weights": rng.normal(size=(2, 4)).astype(np.float32),
        "0.biases": np.zeros(4, np.float32),
        "scale": np.array(1.5),
        "empty": np.zeros((0, 3), np.float32),
    }


def saved(arrays=None, config=None) -> bytes:
    buffer = io.BytesIO()
    save_archive(buffer, sample_arrays() if arrays is None else arrays, config)
    return buffer.getvalue()


def load(data: bytes, *args, **options):
    return load_archive(io.BytesIO(data), *args, **options)


def npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), version=(1, 0), **options)
    return buffer.getvalue()


def npy_claiming(dtype: str, shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def zipped(members, compression=zipfile.ZIP_STORED, version=FORMAT_VERSION) -> bytes:
    """A zip of (name, bytes) pairs, with a format member unless `version` is None."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        if version is not None:
            archive.writestr("__format__.npy", npy(np.array(version, "<i8")))
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def assert_same(loaded: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    assert list(loaded) == list(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].dtype.isnative
        assert loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


class TestRoundTrip:
    def test_arrays_config_and_version_come_back(self):
        archive = load(saved(config=CONFIG))
        assert_same(archive.arrays, sample_arrays())
        assert archive.config == CONFIG
        assert archive.version == FORMAT_VERSION

    def test_no_config_is_none(self):
        assert load(saved()).config is None

    def test_no_arrays_at_all(self):
        assert load(saved({}), {}).arrays == {}

    def test_loaded_arrays_can_be_written_to(self):
        load(saved()).arrays["0.weights"][...] = 0

    def test_plain_numpy_reads_it_without_pickle(self):
        with np.load(io.BytesIO(saved(config=CONFIG)), allow_pickle=False) as plain:
            assert_same({name: plain[name] for name in sample_arrays()}, sample_arrays())
            assert plain["__format__"] == FORMAT_VERSION
            assert "tanh" in str(plain["__config__"])

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_what_numpy_writes_back_is_read(self, save):
        with np.load(io.BytesIO(saved(config=CONFIG)), allow_pickle=False) as plain:
            contents = dict(plain)
        buffer = io.BytesIO()
        save(buffer, **contents)
        archive = load(buffer.getvalue())
        assert_same(archive.arrays, sample_arrays())
        assert archive.config == CONFIG

    @pytest.mark.parametrize(
        "array",
        [
            np.arange(6.0).reshape(2, 3).T,
            np.arange(12.0).reshape(3, 4)[::2, ::-1],
            np.arange(3, dtype=">f4"),
        ],
        ids=["transposed", "strided", "big-endian"],
    )
    def test_memory_order_does_not_matter(self, array):
        native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("=")))
        assert_same(load(saved({"w": array})).arrays, {"w": native})

    def test_fortran_order_of_other_writers_is_understood(self):
        array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
        loaded = load(zipped([("w.npy", npy(array))])).arrays["w"]
        np.testing.assert_array_equal(loaded, array)
        assert loaded.flags.c_contiguous

    def test_same_input_same_bytes(self):
        reordered = dict(reversed(CONFIG.items()))
        assert saved(config=CONFIG) == saved(config=reordered)
        assert b"\x00\x00\x21\x00" in saved()[:14]  # the zip epoch, not today

    @settings(deadline=None, max_examples=60)
    @given(
        st.dictionaries(
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,8}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True),
            hnp.arrays(
                st.sampled_from([np.float32, np.float64]),
                hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
                elements={"allow_nan": False, "allow_infinity": False},
            ),
            max_size=5,
        ).filter(lambda arrays: not any(name.endswith(".npy") for name in arrays))
    )
    def test_any_float_arrays_bit_for_bit(self, arrays):
        expected = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        assert_same(load(saved(arrays), expected).arrays, arrays)

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8"), max_size=5),
        lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text("ab"), values),
        max_leaves=8,
    )

    @settings(deadline=None, max_examples=60)
    @given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values))
    def test_any_json_configuration(self, config):
        assert load(saved({}, config)).config == config


class TestPaths:
    def test_written_as_named_and_read(self, tmp_path: Path):
        path = tmp_path / "weights"
        save_archive(path, sample_arrays(), CONFIG)
        save_archive(str(path), sample_arrays(), CONFIG)
        assert os.listdir(tmp_path) == ["weights"]
        assert_same(load_archive(str(path)).arrays, sample_arrays())

    def test_readable_by_others_like_any_new_file(self, tmp_path: Path):
        save_archive(tmp_path / "w.npz", {})
        (tmp_path / "other").touch()
        assert (tmp_path / "w.npz").stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_refused_weights_leave_the_old_file(self, tmp_path: Path):
        path = tmp_path / "w.npz"
        save_archive(path, {"w": np.ones(2)})
        before = path.read_bytes()
        with pytest.raises(FileError, match="not finite"):
            save_archive(path, {"w": np.array([np.nan, 1])})
        assert path.read_bytes() == before

    def test_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path: Path, monkeypatch):
        path = tmp_path / "w.npz"
        save_archive(path, {"w": np.ones(2)})
        before = path.read_bytes()

        def fail(descriptor):
            raise OSError("disk full")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            save_archive(path, {"w": np.zeros(2)})
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["w.npz"]

    def test_missing_file_is_an_ordinary_os_error(self, tmp_path: Path):
        with pytest.raises(FileNotFoundError):
            load_archive(tmp_path / "none.npz")

    def test_text_mode_is_explained(self, tmp_path: Path):
        save_archive(tmp_path / "w.npz", {})
        with open(tmp_path / "w.npz") as stream, pytest.raises(FileError, match="binary mode"):
            load_archive(stream)

    def test_a_stream_that_cannot_seek_is_explained(self):
        reading, writing = os.pipe()
        os.close(writing)
        with open(reading, "rb") as stream, pytest.raises(FileError, match="cannot be read"):
            load_archive(stream)


class TestSaveRefuses:
    @pytest.mark.parametrize(
        "name",
        ["", "a/b", "../w", "a..b", ".a", "a.", "größe", "w.npy", "a b", "a\n", "x" * 201],
    )
    def test_names(self, name):
        with pytest.raises(FileError, match="array name"):
            saved({name: np.zeros(1)})

    @pytest.mark.parametrize("name", ["__format__", "__config__"])
    def test_names_of_its_own(self, name):
        with pytest.raises(FileError, match="is reserved"):
            saved({name: np.zeros(1)})

    @pytest.mark.parametrize(
        "array",
        [np.zeros(2, int), np.zeros(2, np.float16), np.array([None]), np.array(["a"]), 1j],
        ids=str,
    )
    def test_dtypes(self, array):
        with pytest.raises(FileError, match=r"array 'w' is .*, expected float32 or float64"):
            saved({"w": array})

    def test_values_that_are_not_finite(self):
        with pytest.raises(FileError, match="'w' has 2 values that are not finite"):
            saved({"w": np.array([1, np.nan, -np.inf])})

    def test_too_many_bytes_before_touching_them(self):
        huge = np.broadcast_to(np.float32(0), (65, 2**20))
        with pytest.raises(FileError, match=r"take 260\.0 MiB, at most"):
            saved({"w": huge})

    def test_too_many_arrays(self):
        one = np.zeros(1)
        longest = {f"w{index:04}".ljust(200, "_"): one for index in range(4094)}
        assert len(load(saved(longest, {})).arrays) == 4094
        with pytest.raises(FileError, match="at most 4094 fit"):
            saved({f"w{index}": one for index in range(4095)})

    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), {1, 2}, np.float32(1), "\ud800"], ids=repr
    )
    def test_configurations_that_are_not_json(self, value):
        with pytest.raises(FileError, match="cannot be written as JSON"):
            saved({}, {"value": value})

    def test_a_configuration_that_holds_itself(self):
        config: dict = {}
        config["config"] = config
        with pytest.raises(FileError, match="cannot be written as JSON"):
            saved({}, config)

    def test_a_configuration_without_end(self):
        with pytest.raises(FileError, match="characters"):
            saved({}, {"text": "x" * 2**20})


class TestExpected:
    def test_every_fault_in_one_message(self):
        expected = {
            "0.weights": ((4, 2), np.float32),
            "0.biases": ((4,), np.float64),
            "scale": ((), "f8"),
            "1.weights": ((4, 1), np.float32),
        }
        with pytest.raises(FileError) as caught:
            load(saved(), expected)
        assert str(caught.value).splitlines() == [
            "the file does not fit this network:",
            "  missing: 1.weights (float32 (4, 1))",
            "  unexpected: empty (float32 (0, 3))",
            "  0.weights: expected float32 (4, 2), got float32 (2, 4)",
            "  0.biases: expected float64 (4,), got float32 (4,)",
        ]

    def test_a_fit_in_any_order(self):
        arrays = sample_arrays()
        expected = {name: (array.shape, array.dtype) for name, array in reversed(arrays.items())}
        assert_same(load(saved(), expected).arrays, arrays)

    def test_is_compared_before_the_data_are_read(self):
        data = bytearray(zipped([("w.npy", npy(np.ones(4000)))]))
        data[data.rindex(struct.pack("<d", 1.0))] ^= 1  # only reading all of it shows that
        with pytest.raises(FileError, match="does not fit"):
            load(bytes(data), {"w": ((5000,), "f8")})
        with pytest.raises(FileError, match="Bad CRC-32"):
            load(bytes(data), {"w": ((4000,), "f8")})


GOOD = ("w.npy", npy(np.ones((2, 3))))


def with_directory_entry(offset: int, value: bytes, file: bytes | None = None) -> bytes:
    """A file (else a sound one) whose last directory entry has `value` written at `offset`."""
    data = bytearray(zipped([GOOD]) if file is None else file)
    start = data.rindex(b"PK\1\2") + offset
    data[start : start + len(value)] = value
    return bytes(data)


def unpacking_to_less_than_declared() -> bytes:
    member = npy_claiming("'<f8'", "(100,)", bytes(8 * 99))
    file = zipped([("w.npy", member)], zipfile.ZIP_DEFLATED)
    return with_directory_entry(24, struct.pack("<L", len(member) + 8), file)


def with_zip64_locator() -> bytes:
    """A plain end record, and hidden in the directory another one that zipfile would prefer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("w.npy")
        record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
        info.comment = record + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
        archive.writestr(info, GOOD[1])
    return buffer.getvalue()


def twice(name: str) -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped([(name, GOOD[1])] * 2)


HOSTILE = {
    "empty": (lambda: b"", "not an .npz"),
    "text": (lambda: b"x,y\n1,2\n" * 20, "not an .npz"),
    "npy": (lambda: GOOD[1], "not an .npz"),
    "only the zip's first letters": (lambda: b"PK", "cut short"),
    "cut short": (lambda: zipped([GOOD])[:-30], "cut short"),
    "something appended": (lambda: zipped([GOOD]) + b"#!/bin/sh\n" * 9, "something follows"),
    "something before": (lambda: b"PK" + zipped([GOOD]), "directory is damaged"),
    "zip64 end record": (with_zip64_locator, "directory is damaged or of an unsupported kind"),
    "zip comment": (
        lambda: zipped([GOOD])[:-2] + struct.pack("<H", 3),
        "directory is damaged or of an unsupported kind",
    ),
    "wrong count": (
        lambda: zipped([GOOD])[:-14] + struct.pack("<2H", 1, 1) + zipped([GOOD])[-10:],
        "claims 1 members but lists 2",
    ),
    "many members": (lambda: zipped([(f"w{i}.npy", b"") for i in range(4096)]), "4097 members"),
    "directory over its limit": (
        lambda: zipped([(f"{i}{'x' * 60_000}", b"") for i in range(20)]),
        "lists 21 members in 1.1 MiB",
    ),
    "no format": (lambda: zipped([GOOD], version=None), "no member '__format__'"),
    "later format": (lambda: zipped([("w.npy", b"new")], version=2), "format version 2"),
    "format below": (lambda: zipped([GOOD], version=-1), "format version -1"),
    "format a float": (
        lambda: zipped([("__format__.npy", npy(1.0))], version=None),
        "must be one 64-bit integer, got float64",
    ),
    "format a list": (
        lambda: zipped([("__format__.npy", npy(np.array([1])))], version=None),
        "must be one 64-bit integer",
    ),
    "a stray text": (lambda: zipped([GOOD, ("README.txt", b"hi")]), "unexpected member 'README"),
    "a folder": (lambda: zipped([GOOD, ("folder/", b"")]), "unexpected member 'folder/'"),
    "path up": (lambda: zipped([("../w.npy", GOOD[1])]), "member name '../w.npy' must be"),
    "absolute path": (lambda: zipped([("/etc/w.npy", GOOD[1])]), "member name"),
    "backslash": (lambda: zipped([("a\\w.npy", GOOD[1])]), "member name"),
    "NUL in the name": (lambda: with_directory_entry(46, b"\0.npy"), "member name"),
    "a member's body shared": (lambda: with_directory_entry(42, b"\0\0\0\0"), "differ"),
    "non-ASCII name": (lambda: zipped([("wé.npy", GOOD[1])]), "must be ASCII"),
    "name for two": (lambda: zipped([("w.npy.npy", GOOD[1])]), "without .npy"),
    "long name": (lambda: zipped([("x" * 300 + ".npy", GOOD[1])]), "longer than 200 characters"),
    "twice": (lambda: twice("w.npy"), "'w.npy' is there twice"),
    "encrypted": (lambda: with_directory_entry(8, b"\1\0"), "is encrypted"),
    "patched": (lambda: with_directory_entry(8, b"\x20\0"), "cannot be read"),
    "bzip2": (lambda: zipped([GOOD], zipfile.ZIP_BZIP2), "compression method 12"),
    "newer zip": (lambda: with_directory_entry(6, b"\xff\0"), "cannot be read: zip file version"),
    "two sizes": (lambda: with_directory_entry(20, b"\1\0\0\0"), "two different sizes"),
    "other checksum": (lambda: with_directory_entry(16, b"\0\0\0\0"), "Bad CRC-32"),
    "place outside": (lambda: with_directory_entry(42, b"\xff\xff\0\0"), "cannot be read"),
    "not an array": (lambda: zipped([("w.npy", b"hello world")]), "not a NumPy array"),
    "an empty member": (lambda: zipped([("w.npy", b"")]), "not a NumPy array"),
    "npy format 2": (
        lambda: zipped([("w.npy", GOOD[1].replace(b"NUMPY\1", b"NUMPY\2"))]),
        "not a NumPy array of format 1.0",
    ),
    "header cut short": (lambda: zipped([("w.npy", GOOD[1][:60])]), "malformed header"),
    "header that calls": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", "(__import__('os'),)"))]),
        "malformed header",
    ),
    "a pickle": (
        lambda: zipped([("w.npy", npy(np.array([{}]), allow_pickle=True))]),
        "objects are pickles",
    ),
    "a structure": (lambda: zipped([("w.npy", npy(np.zeros(2, "f4,i8")))]), "malformed header"),
    "integers": (lambda: zipped([("w.npy", npy(np.arange(3)))]), "is <i8, expected float32"),
    "half precision": (lambda: zipped([("w.npy", npy(np.zeros(3, "f2")))]), "dtype '<f2'"),
    "big-endian": (lambda: zipped([("w.npy", npy(np.zeros(3, ">f4")))]), "dtype '>f4'"),
    "text array": (lambda: zipped([("w.npy", npy("hi"))]), "is <U2, expected float32"),
    "huge": (lambda: zipped([("w.npy", npy_claiming("'<f8'", "(999999999,)"))]), "but has"),
    "astronomic": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", f"({'9' * 500},)"))]),
        "impossible shape",
    ),
    "huge and empty": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", "(0, 99999999999, 99999999999)"))]),
        "impossible shape",
    ),
    "negative": (lambda: zipped([("w.npy", npy_claiming("'<f8'", "(-1, 4)"))]), "(-1, 4)"),
    "negative twice": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", "(-1, -1)", bytes(8)))]),
        "impossible shape (-1, -1)",
    ),
    "65 dimensions": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", str((1,) * 65), bytes(8)))]),
        "impossible shape",
    ),
    "data too long": (lambda: zipped([("w.npy", GOOD[1] + b"\0")]), "but has 177"),
    "data too short": (lambda: zipped([("w.npy", GOOD[1][:-1])]), "but has 175"),
    "data fewer than declared": (unpacking_to_less_than_declared, "'w.npy' is cut short"),
    "NaN": (lambda: zipped([("w.npy", npy(np.array([np.nan])))]), "'w' has 1 values"),
    "infinity": (lambda: zipped([("w.npy", npy(np.float32([np.inf])))]), "not finite"),
    "config of numbers": (
        lambda: zipped([("__config__.npy", npy(1.0))]),
        "must be one text, got float64",
    ),
    "config of texts": (lambda: zipped([("__config__.npy", npy(["{}"]))]), "must be one text"),
    "config not JSON": (lambda: zipped([("__config__.npy", npy("{'a': 1}"))]), "not valid JSON"),
    "config NaN": (lambda: zipped([("__config__.npy", npy('{"a": NaN}'))]), "not valid JSON"),
    "config too large a number": (
        lambda: zipped([("__config__.npy", npy('{"a": 1e999}'))]),
        "not valid JSON",
    ),
    "config half a character": (
        lambda: zipped([("__config__.npy", npy('{"a": "\\ud800"}'))]),
        "not valid JSON",
    ),
    "config no character": (
        lambda: zipped([("__config__.npy", npy_claiming("'<U1'", "()", b"\xff" * 4))]),
        "not valid JSON",
    ),
    "config deep": (
        lambda: zipped([("__config__.npy", npy('{"a":' + "[" * 10**5))], zipfile.ZIP_DEFLATED),
        "not valid JSON",
    ),
    "config a list": (lambda: zipped([("__config__.npy", npy("[1]"))]), "must be a JSON object"),
    "config long": (
        lambda: zipped([("__config__.npy", npy("x" * (2**20 + 1)))]),
        "at most 1048576 characters",
    ),
}


@pytest.mark.parametrize("make, reason", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused_with_the_reason(make, reason):
    with pytest.raises(FileError, match=re.escape(reason)):
        load(make())


def test_the_sound_file_of_these_cases_is_read():
    assert_same(load(zipped([GOOD])).arrays, {"w": np.ones((2, 3))})


def test_max_bytes_bounds_the_file_and_what_it_unpacks_to():
    noise = np.random.default_rng(0).integers(0, 4, 10_000).astype(np.float64)
    packed = zipped([("w.npy", npy(noise))], zipfile.ZIP_DEFLATED)
    assert len(packed) < 40_000
    with pytest.raises(FileError, match="the file has"):
        load(packed, max_bytes=1000)
    with pytest.raises(FileError, match="the members unpack to"):
        load(packed, max_bytes=40_000)
    load(packed, max_bytes=100_000)


def zeros_bomb(size: int = 512 * 2**20) -> bytes:
    """A file of half a megabyte that unpacks to half a gigabyte of zeros."""
    header = npy_claiming("'<f4'", f"({size // 4},)")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("__format__.npy", npy(np.array(FORMAT_VERSION)))
        with archive.open("w.npy", "w") as member:
            member.write(header)
            for _ in range(size // 2**20):
                member.write(bytes(2**20))
    return buffer.getvalue()


BOMBS = {
    "zeros": (zeros_bomb, "unpack"),
    "zeros within the size": (lambda: zeros_bomb(200 * 2**20), "times as much"),
    "header": (
        lambda: zipped([("w.npy", npy_claiming("'<f8'", "(30000000,)", bytes(80)))]),
        "but has",
    ),
    "header of the configuration": (
        lambda: zipped([("__config__.npy", npy_claiming("'<U9999999'", "()", bytes(80)))]),
        "but has",
    ),
}


@pytest.mark.parametrize("make, reason", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_cost_no_memory(make, reason):
    stream = io.BytesIO(make())
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=reason):
            load_archive(stream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_large_file_of_nothing_costs_no_memory(tmp_path: Path):
    path = tmp_path / "sparse.npz"
    with open(path, "wb") as stream:
        stream.write(b"PK")
        stream.truncate(MAX_BYTES + 1)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"the file has 256\.0 MiB"):
            load_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


SOUND = {
    "ours": saved(config=CONFIG),
    "deflated": zipped(
        [(f"{name}.npy", npy(array)) for name, array in sample_arrays().items()],
        zipfile.ZIP_DEFLATED,
    ),
}


class TestDamage:
    """Whatever happens to a file, it is refused as such or holds what it held before."""

    def check(self, data: bytes, original: bytes) -> None:
        before = load(original)
        try:
            archive = load(data)
        except FileError:
            return
        assert_same(archive.arrays, before.arrays)
        assert archive.config == before.config

    @pytest.mark.parametrize("original", SOUND.values(), ids=SOUND.keys())
    def test_cut_anywhere(self, original):
        for length in range(len(original)):
            with pytest.raises(FileError):
                load(original[:length])

    @pytest.mark.parametrize("original", SOUND.values(), ids=SOUND.keys())
    def test_any_byte_changed(self, original):
        for position in range(len(original)):
            for change in (0x01, 0x80, 0xFF):
                data = bytearray(original)
                data[position] ^= change
                self.check(bytes(data), original)

    @settings(deadline=None, max_examples=300)
    @given(
        st.sampled_from(list(SOUND.values())),
        st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=6)), max_size=4),
        st.integers(0, 40),
    )
    def test_several_places_overwritten(self, original, changes, lost):
        data = bytearray(original[: len(original) - lost])
        for position, content in changes:
            start = position % len(data)
            data[start : start + len(content)] = content
        self.check(bytes(data), original)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=200))
    def test_noise(self, noise):
        for data in (noise, b"PK" + noise, b"PK\3\4" + noise):
            with pytest.raises(FileError):
                load(data)

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=100), st.text("'<f48U(), -019{}:ndescrshape", max_size=80))
    def test_noise_as_member(self, noise, text):
        start = b"\x93NUMPY\1\0"
        header = start + struct.pack("<H", len(text)) + text.encode()
        for content in (noise, start + noise, header, header + noise):
            with pytest.raises(FileError):
                load(zipped([("w.npy", content)]))


def test_errors_name_the_file_that_was_given(tmp_path):
    file = tmp_path / "none" / "w.npz"
    with pytest.raises(FileNotFoundError, match=re.escape(str(file))) as caught:
        save_archive(file, {"w": np.zeros(2, np.float32)})
    assert caught.value.filename == str(file)
