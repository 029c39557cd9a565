"""Arrays laid once into memory that several processes of one machine map, and that no crash leaves behind.

The memory is a file without a name: an anonymous one of Linux (memfd), elsewhere an unlinked temporary file. It lives
as long as a process has it open. It begins with the length of its header (8 bytes, little-endian) and the header: JSON
with the data set's content hash and, for each array by name, `dtype`, `shape` and `offset`, in bytes from the first
page after the header.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO

import numpy as np

from nas.data.images import Array
from nas.errors import DataError

PREFIX = 8
"""Bytes that say how long the header is."""

ALIGNED = 4096
"""Every array begins at a multiple of so many bytes: a page."""

ROWS = 1024
"""So many images are laid at a time: what is copied on the way stays small."""


def share(arrays: Mapping[str, Array], content_hash: str) -> IO[bytes]:
    """Lay arrays into a file without a name; whoever has its descriptor gets them back by `mapped`.

    Those of four axes, images (N, C, H, W), are laid channels last. Raises DataError where there is no room.
    """
    laid = {name: np.moveaxis(array, 1, -1) if array.ndim == 4 else array for name, array in arrays.items()}
    file = _unnamed()
    try:
        _write(file, laid, _header(laid, content_hash))
    except OSError as error:
        file.close()
        size = sum(array.nbytes for array in laid.values())
        raise DataError(f"images of {size:,} bytes cannot be shared among the workers: {error.strerror}") from error
    return file


def whole(file: IO[bytes]) -> Array:
    """All bytes of what `share` laid, as they are sent to another machine: mapped, read-only, not copied."""
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def mapped(shared: int | memoryview, content_hash: str) -> dict[str, Array]:
    """The arrays behind a descriptor of `share`, none of them copied: images as (N, C, H, W), channels last in memory.

    Whoever writes into one changes a copy of that page, seen by nobody else. Of bytes from `whole` they are views that
    nobody writes into. Raises DataError where the images are not those of the content hash.
    """
    memory = mmap.mmap(shared, 0, access=mmap.ACCESS_COPY) if isinstance(shared, int) else shared
    length = int.from_bytes(memory[:PREFIX], "little")
    header = json.loads(bytes(memory[PREFIX : PREFIX + length]))
    if header["content_hash"] != content_hash:
        raise DataError(
            f"shared images have the content hash {header['content_hash'][:12]}…, the study's have {content_hash[:12]}…"
        )
    first = _aligned(PREFIX + length)
    return {name: _array(memory, first, **described) for name, described in header["arrays"].items()}


def _array(memory: mmap.mmap | memoryview, first: int, dtype: str, shape: list[int], offset: int) -> Array:
    array: Array = np.frombuffer(memory, dtype, math.prod(shape), first + offset).reshape(shape)
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def _header(laid: Mapping[str, Array], content_hash: str) -> bytes:
    arrays, offset = {}, 0
    for name, array in laid.items():
        arrays[name] = {"dtype": array.dtype.str, "shape": array.shape, "offset": offset}
        offset = _aligned(offset + array.nbytes)
    return json.dumps({"content_hash": content_hash, "arrays": arrays}).encode()


def _write(file: IO[bytes], laid: Mapping[str, Array], header: bytes) -> None:
    file.write(len(header).to_bytes(PREFIX, "little") + header)
    for array in laid.values():
        file.seek(_aligned(file.tell()))
        for rows in _rows(array):
            file.write(rows.reshape(-1).view(np.uint8).data)
    file.flush()


def _rows(array: Array) -> Iterator[Array]:
    """The array as contiguous pieces, each small."""
    for first in range(0, len(array), ROWS):
        yield np.ascontiguousarray(array[first : first + ROWS])


def _aligned(place: int) -> int:
    return -(-place // ALIGNED) * ALIGNED


def _unnamed() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("nas-images"), "w+b")
    return tempfile.TemporaryFile()
