"""Weights and configuration to and from one ``.npz`` file.

The file is an ordinary ``.npz``: ``numpy.load(file, allow_pickle=False)`` reads it. Beside one
member per array it holds ``__format__`` (the format version) and, when given, ``__config__``
(the configuration as JSON text). Members are stored uncompressed with a fixed date, so the same
input gives the same bytes.

A weights file may come from a stranger. ``allow_pickle=False`` stops code from running, but NumPy
still allocates what a header claims before it reads. So `load_archive` goes from cheap to dear and
stops at the first thing wrong:

1. file size and the zip's end record, which bound the directory that is then read;
2. the directory: names, encryption, compression, declared sizes and their ratio to the file;
3. the header of each array: a strict pattern, never evaluated, whose size must fit the member;
4. all names, shapes and dtypes against what the caller expects;
5. only then the data, with their checksums, and that every value is finite.

Every refusal is a `FileError` that says why.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import secrets
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nnkit.errors import FileError

__all__ = ["FORMAT_VERSION", "MAX_BYTES", "Archive", "load_archive", "save_archive"]

FORMAT_VERSION = 1
MAX_BYTES = 256 * 2**20
"""The most that a weights file, and all arrays in it together, may take: 256 MiB."""

PathOrFile: TypeAlias = str | os.PathLike[str] | IO[bytes]
Expected: TypeAlias = Mapping[str, tuple[tuple[int, ...], npt.DTypeLike]]

_FORMAT, _CONFIG = "__format__", "__config__"
_MAX_MEMBERS = 4096
_MAX_NAME = 200
_MAX_DIRECTORY_BYTES = 256 * _MAX_MEMBERS  # an entry takes 50 bytes and its name
_MAX_CONFIG = 2**20  # characters
_OVERHEAD = 16 * 2**20  # bytes, more than all headers, the directory and the configuration take
_MAX_RATIO = 100  # of declared size to file size; deflate reaches 1,000 on zeros
_RATIO_FREE = 2**20  # bytes that need no ratio: small arrays of zeros compress well
_MAX_DIMENSIONS = 64
_MAX_VOLUME = 2**48  # entries, with zero-size dimensions counted as 1

_NAME = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[^'\\]{1,12})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>[-0-9, ]{0,600})\), \} *\n"
)
_WEIGHT_DTYPES = ("<f4", "<f8")

# What zipfile, zlib and NumPy raise on damaged input; a KeyError or TypeError would be our bug.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class Archive:
    """What a weights file holds: arrays by name, configuration (if any), format version."""

    arrays: dict[str, npt.NDArray[Any]]
    config: dict[str, Any] | None
    version: int


class _Header(NamedTuple):
    """The part of a member that describes its data."""

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    length: int  # bytes before the data

    def __str__(self) -> str:
        return f"{np.dtype(self.dtype)} {self.shape}"


# ------------------------------------------------------------------------------------ writing


def save_archive(
    file: PathOrFile,
    arrays: Mapping[str, npt.NDArray[Any]],
    config: Mapping[str, Any] | None = None,
) -> None:
    """Write `arrays`, and `config` as JSON, to one ``.npz`` file.

    A path is written as given (no ``.npz`` is added) and atomically: whoever looks sees the old
    file or the whole new one. Tuples in `config` come back as lists, keys as strings.

    Raises:
        FileError: before anything is written, when `load_archive` would refuse the result: names
            other than letters, digits and underscores joined by dots, dtypes other than float32
            and float64, values that are not finite, a configuration JSON cannot express, or too
            much of anything.
        OSError: when the path cannot be written.

    >>> buffer = io.BytesIO()
    >>> save_archive(buffer, {"0.weights": np.eye(2, dtype="f4")}, {"layers": [2]})
    >>> _ = buffer.seek(0)
    >>> with np.load(buffer, allow_pickle=False) as plain:
    ...     print(plain["__config__"], plain["0.weights"].dtype, sorted(plain))
    {"layers": [2]} float32 ['0.weights', '__config__', '__format__']
    """
    data = _encode(arrays, config)
    if isinstance(file, (str, os.PathLike)):
        _write_atomically(Path(file), data)
    else:
        file.write(data)


def _encode(arrays: Mapping[str, npt.NDArray[Any]], config: Mapping[str, Any] | None) -> bytes:
    members: dict[str, npt.NDArray[Any]] = {_FORMAT: np.array(FORMAT_VERSION, "i8")}
    if config is not None:
        members[_CONFIG] = np.array(_encode_config(config))
    members |= _checked_arrays(arrays)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # otherwise Windows and Unix write different bytes
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
            np.lib.format.write_array(content, little, version=(1, 0), allow_pickle=False)
            archive.writestr(info, content.getbuffer())
    return buffer.getvalue()


def _checked_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays, when `load_archive` would take them back."""
    checked = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in checked.items():
        if reason := _name_fault(name):
            raise FileError(f"array name {name!r} {reason}")
        if name in (_FORMAT, _CONFIG):
            raise FileError(f"array name {name!r} is reserved")
        if array.dtype.newbyteorder("=") not in (np.float32, np.float64):
            raise FileError(f"array {name!r} is {array.dtype}, expected float32 or float64")
    if len(checked) > _MAX_MEMBERS - 2:
        raise FileError(f"there are {len(checked)} arrays, at most {_MAX_MEMBERS - 2} fit")
    total = sum(array.nbytes for array in checked.values())
    if total > MAX_BYTES - _OVERHEAD:
        raise FileError(
            f"the arrays take {_size(total)}, at most {_size(MAX_BYTES - _OVERHEAD)} fit"
        )
    for name, array in checked.items():
        _check_finite(name, array)
    return checked


def _encode_config(config: Mapping[str, Any]) -> str:
    try:
        text = _json_text(dict(config))
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(f"the configuration cannot be written as JSON: {error}") from error
    if len(text) > _MAX_CONFIG:
        raise FileError(f"the configuration has {len(text)} characters, at most {_MAX_CONFIG} fit")
    return text


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.parent / f".nnkit-{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            # Of the path that was given, not of the temporary file.
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


# ------------------------------------------------------------------------------------ reading


def load_archive(
    file: PathOrFile,
    expected: Expected | None = None,
    *,
    max_bytes: int = MAX_BYTES,
) -> Archive:
    """Read a file of `save_archive`, refusing what is damaged, hostile or for another network.

    Args:
        file: a path, or a seekable file opened in binary mode, read from its beginning.
        expected: shape and dtype of every array by name. Without it any float arrays are taken.
        max_bytes: the most that the file, and its arrays together, may take in bytes.

    Raises:
        FileError: with the reason. Entries that are missing, unexpected or of another shape or
            dtype are all listed in one message.
        OSError: when the path cannot be opened.

    >>> buffer = io.BytesIO()
    >>> save_archive(buffer, {"weights": np.zeros((2, 3))})
    >>> load_archive(buffer).arrays["weights"].shape
    (2, 3)
    >>> load_archive(buffer, {"weights": ((3, 2), float), "bias": ((2,), float)})
    Traceback (most recent call last):
    nnkit.errors.FileError: the file does not fit this network:
      missing: bias (float64 (2,))
      weights: expected float64 (3, 2), got float64 (2, 3)
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as stream:
            return load_archive(stream, expected, max_bytes=max_bytes)
    if isinstance(file, io.TextIOBase):
        raise FileError("the file is open as text, open it in binary mode: open(path, 'rb')")
    try:
        return _load(file, expected, max_bytes)
    except FileError:
        raise
    except _DAMAGE as error:
        raise FileError(f"the file cannot be read: {error}") from error


def _load(stream: IO[bytes], expected: Expected | None, max_bytes: int) -> Archive:
    size = stream.seek(0, io.SEEK_END)
    if size > max_bytes:
        raise FileError(f"the file has {_size(size)}, at most {_size(max_bytes)} are read")
    members = _check_end_record(stream, size)
    with zipfile.ZipFile(stream) as archive:
        infos = _check_directory(archive.infolist(), members, size, max_bytes)
        version = _read_version(archive, infos)
        headers = {name: _read_header(archive, info) for name, info in infos.items()}
        config_header = headers.pop(_CONFIG, None)
        if config_header is not None:
            _check_config_header(config_header)
        for name, header in headers.items():
            if header.dtype not in _WEIGHT_DTYPES:
                raise FileError(f"array {name!r} is {header.dtype}, expected float32 or float64")
        if expected is not None:
            _check_expected(headers, expected)
        config = None
        if config_header is not None:
            config = _decode_config(_read_data(archive, infos[_CONFIG], config_header))
        arrays = {
            name: _decode_array(name, header, _read_data(archive, infos[name], header))
            for name, header in headers.items()
        }
    return Archive(arrays, config, version)


def _check_end_record(stream: IO[bytes], size: int) -> int:
    """The number of members according to the end record, which must be the last 22 bytes.

    `zipfile` reads the whole directory at once, however large; here is where that is bounded.
    """
    stream.seek(0)
    if stream.read(2) != b"PK":
        raise FileError("the file is not an .npz (zip) file")
    stream.seek(max(0, size - 42))
    tail = stream.read(42)
    if tail[-22:-18] != b"PK\5\6":
        raise FileError("the file is cut short, or something follows its end")
    _, _, _, count, length, offset, comment = struct.unpack("<4H2LH", tail[-18:])
    # A zip64 locator would make zipfile take the directory's size from another record.
    if tail.startswith(b"PK\6\7") or comment or offset + length != size - 22:
        raise FileError("the file's directory is damaged or of an unsupported kind")
    if count > _MAX_MEMBERS or length > _MAX_DIRECTORY_BYTES:
        raise FileError(
            f"the file lists {count} members in {_size(length)}, "
            f"at most {_MAX_MEMBERS} in {_size(_MAX_DIRECTORY_BYTES)} are read"
        )
    return int(count)


def _check_directory(
    listed: list[zipfile.ZipInfo], members: int, size: int, max_bytes: int
) -> dict[str, zipfile.ZipInfo]:
    """The members by array name, in the order of the directory."""
    if len(listed) != members:
        raise FileError(f"the file claims {members} members but lists {len(listed)}")
    infos: dict[str, zipfile.ZipInfo] = {}
    for info in listed:
        full = info.orig_filename  # `filename` has been cut at a NUL
        name = full.removesuffix(".npy")
        if name == full:
            raise FileError(f"unexpected member {full[:_MAX_NAME]!r}: all must be .npy arrays")
        if reason := _name_fault(name):
            raise FileError(f"member name {full[:_MAX_NAME]!r} {reason}")
        if name in infos:
            raise FileError(f"member {full!r} is there twice")
        if info.flag_bits & 0x41:
            raise FileError(f"member {full!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError(f"member {full!r} has the compression method {info.compress_type}")
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise FileError(f"member {full!r} is stored as it is, but with two different sizes")
        infos[name] = info
    total = sum(info.file_size for info in listed)
    if total > max_bytes:
        raise FileError(
            f"the members unpack to {_size(total)}, at most {_size(max_bytes)} are read"
        )
    if total > max(_RATIO_FREE, _MAX_RATIO * size):
        raise FileError(
            f"the file has {_size(size)} but unpacks to {_size(total)}, "
            f"more than {_MAX_RATIO} times as much"
        )
    return infos


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    """The header of a member, whose dtype and shape must account for all of the member's bytes."""
    label = f"member {info.filename!r}"
    with archive.open(info) as member:
        start = member.read(10)
        if len(start) < 10 or start[:8] != b"\x93NUMPY\1\0":
            raise FileError(f"{label} is not a NumPy array of format 1.0")
        text = member.read(int.from_bytes(start[8:], "little"))
    match = _HEADER.fullmatch(text)
    if match is None:
        raise FileError(f"{label} has a malformed header: {text[:60]!r}")
    dtype = match["dtype"].decode("latin-1")
    itemsize = _itemsize(dtype)
    if itemsize is None:
        hint = " (objects are pickles, which can run code)" if "O" in dtype else ""
        raise FileError(f"{label} has dtype {dtype!r}{hint}, expected float32 or float64")
    shape = tuple(int(number) for number in re.findall(rb"-?[0-9]+", match["shape"]))
    # NumPy multiplies the other dimensions of a zero-size array all the same.
    volume = math.prod(max(dimension, 1) for dimension in shape)
    if len(shape) > _MAX_DIMENSIONS or min(shape, default=0) < 0 or volume > _MAX_VOLUME:
        written = match["shape"].decode()
        raise FileError(f"{label} has the impossible shape ({written[:60]})")
    header = _Header(dtype, shape, match["fortran"] == b"True", len(start) + len(text))
    declared = header.length + itemsize * math.prod(shape)
    if declared != info.file_size:
        raise FileError(
            f"{label} claims {header}, {declared} bytes with its header, but has {info.file_size}"
        )
    return header


def _read_version(archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> int:
    """The format version, first of all: a later format may differ in anything else."""
    info = infos.pop(_FORMAT, None)
    if info is None:
        raise FileError(f"the file has no member {_FORMAT!r}: nnkit did not write it")
    header = _read_header(archive, info)
    if (header.dtype, header.shape) != ("<i8", ()):
        raise FileError(f"member {_FORMAT!r} must be one 64-bit integer, got {header}")
    version = int.from_bytes(_read_data(archive, info, header), "little", signed=True)
    if version != FORMAT_VERSION:
        raise FileError(
            f"the file has format version {version}, this nnkit reads version {FORMAT_VERSION}"
        )
    return version


def _check_expected(headers: Mapping[str, _Header], expected: Expected) -> None:
    wanted = {
        name: _Header(np.dtype(dtype).newbyteorder("<").str, tuple(shape), False, 0)
        for name, (shape, dtype) in expected.items()
    }
    faults = [f"missing: {name} ({wanted[name]})" for name in wanted if name not in headers]
    faults += [f"unexpected: {name} ({headers[name]})" for name in headers if name not in wanted]
    faults += [
        f"{name}: expected {wanted[name]}, got {header}"
        for name, header in headers.items()
        if name in wanted and header[:2] != wanted[name][:2]
    ]
    if faults:
        raise FileError("\n  ".join(["the file does not fit this network:", *faults]))


def _read_data(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: _Header) -> bytes:
    """What follows the header; at the end of the member zipfile compares the checksum."""
    with archive.open(info) as member:
        content = member.read()
    if len(content) != info.file_size:
        raise FileError(f"member {info.filename!r} is cut short")
    return content[header.length :]


def _decode_array(name: str, header: _Header, data: bytes) -> npt.NDArray[Any]:
    flat = np.frombuffer(data, header.dtype)
    native = np.dtype(header.dtype).newbyteorder("=")
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    _check_finite(name, array)
    return array.astype(native, order="C")  # a copy, for `data` is read-only


def _check_config_header(header: _Header) -> None:
    if not header.dtype.startswith("<U") or header.shape:
        raise FileError(f"member {_CONFIG!r} must be one text, got {header}")
    if int(header.dtype[2:]) > _MAX_CONFIG:
        raise FileError(
            f"member {_CONFIG!r} is {header}, at most {_MAX_CONFIG} characters are read"
        )


def _decode_config(data: bytes) -> dict[str, Any]:
    try:
        config = json.loads(data.decode("utf-32-le"))
        _json_text(config)
    except (ValueError, RecursionError) as error:
        raise FileError(f"member {_CONFIG!r} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise FileError(f"member {_CONFIG!r} must be a JSON object, got {type(config).__name__}")
    return config


# ------------------------------------------------------------------------------------- both


def _name_fault(name: str) -> str | None:
    """Why `name` cannot be the name of an array, or None."""
    if len(name) > _MAX_NAME:
        return f"is longer than {_MAX_NAME} characters"
    if not _NAME.fullmatch(name) or name.endswith(".npy"):
        return "must be ASCII letters, digits and underscores, joined by dots, without .npy"
    return None


def _itemsize(dtype: str) -> int | None:
    """Bytes per item of the dtypes that a weights file may hold, None for any other."""
    if re.fullmatch("<U[0-9]{1,7}", dtype):
        return 4 * int(dtype[2:])
    return {"<f4": 4, "<f8": 8, "<i8": 8}.get(dtype)


def _json_text(config: Any) -> str:
    """JSON as the standard has it: no NaN, no infinity, no half of a character."""
    text = json.dumps(config, sort_keys=True, allow_nan=False, ensure_ascii=False)
    text.encode()
    return text


def _check_finite(name: str, array: npt.NDArray[Any]) -> None:
    bad = array.size - np.count_nonzero(np.isfinite(array))
    if bad:
        raise FileError(f"array {name!r} has {bad} values that are not finite (NaN or infinity)")


def _size(size: int) -> str:
    """
    >>> _size(3 * 2**19), _size(900)
    ('1.5 MiB', '900 bytes')
    """
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size:,} bytes"
