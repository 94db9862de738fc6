"""Where arrays lie in memory, and arrays that lie where they should."""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class _Owner:
    array = np.empty(0)


def _count_unshared() -> int:
    array = _Owner.array
    return getrefcount(array)


#: What `getrefcount` says of an array that one attribute and the variable it is asked of refer to.
#: A tracer that looks at local variables refers to them as well, but not to what is none.
UNSHARED = min(_count_unshared(), getrefcount(_Owner.array) + 1)


def address(x: Array) -> int:
    """Where the first element of `x` lies in memory."""
    return int(x.__array_interface__["data"][0])


def over_both(top: Array, bottom: Array) -> Array | None:
    """One C-ordered view over `top` and the row right below it, or None where they lie apart."""
    owner = top.base
    if owner is None or owner is not bottom.base or not top.flags.c_contiguous:
        return None
    if bottom.shape != top.shape[1:]:
        return None
    start = address(top)
    if start + top.nbytes != address(bottom) or not bottom.flags.c_contiguous:
        return None
    return np.ndarray((top.shape[0] + 1, top.shape[1]), top.dtype, owner, start - address(owner))


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros that start at a multiple of 64 bytes, a cache line."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 64, np.uint8)
    return np.ndarray(shape, dtype, raw, -address(raw) % 64)


def view_like(array: Array, vector: Array) -> Array:
    """`vector` in the shape of `array`, its elements in the order they have in memory there."""
    if array.T.flags.c_contiguous and not array.flags.c_contiguous:
        return vector.reshape(array.shape[::-1]).T
    return vector.reshape(array.shape)
