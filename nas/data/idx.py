"""MNIST and its kin as they were published: four IDX files, plain or as `.gz`.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998. An IDX file is two zero
bytes, a byte for the type (8: unsigned bytes), one for the number of axes, each axis as four bytes, high one first,
then the values.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from nas.data.images import LARGEST, Array, Raw, check_labels, check_packed, first_line
from nas.errors import DataError

FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}

CLASSES = 10


def read_idx(folder: Path) -> Raw:
    """The images (N, H, W) and labels (N,) of a folder's four files, all uint8.

    Raises:
        DataError: a file is missing, damaged, no IDX file, or does not go with its fellow.
    """
    arrays = {key: read_file(chosen(folder, name), axes=3 if key[0] == "x" else 1) for key, name in FILES.items()}
    for part in ("train", "test"):
        images, labels = (chosen(folder, FILES[f"{kind}_{part}"]).name for kind in "xy")
        check_labels(labels, arrays[f"y_{part}"], CLASSES)
        if len(arrays[f"x_{part}"]) != len(arrays[f"y_{part}"]):
            counts = f"{len(arrays[f'x_{part}'])} images, {labels} {len(arrays[f'y_{part}'])} labels"
            raise DataError(f"{images} has {counts}")
    return Raw(arrays)


def chosen(folder: Path, name: str) -> Path:
    """A file, plain or compressed."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{name}.gz is missing")


def read_file(path: Path, axes: int) -> Array:
    """The values of one file, uint8, by the shape that it declares."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            head = stream.read(4 + 4 * axes)
            shape = declared(path.name, head, axes)
            size = math.prod(shape)
            check_packed(path.name, size, path.stat().st_size)
            # One more than declared is asked for: to see that there is none, and that a .gz is whole to its end.
            content = bytearray(stream.read(size + 1))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name} cannot be read: {first_line(error)}") from error
    if len(content) != size:
        told = f"cut short: {len(content)} of" if len(content) < size else "longer than"
        raise DataError(f"{path.name} is {told} the {size} bytes that it declares")
    return np.frombuffer(content, np.uint8).reshape(shape)


def declared(name: str, head: bytes, axes: int) -> tuple[int, ...]:
    """The shape that a file's first bytes declare."""
    if len(head) < 4 + 4 * axes:
        raise DataError(f"{name} is cut short: {len(head)} bytes, its head alone takes {4 + 4 * axes}")
    if head[:4] != bytes((0, 0, 8, axes)):
        raise DataError(
            f"{name} begins with {head[:4].hex()}; an IDX file of {axes} axes with {bytes((0, 0, 8, axes)).hex()}"
        )
    shape = tuple(int.from_bytes(head[place : place + 4], "big") for place in range(4, len(head), 4))
    if math.prod(shape) > LARGEST:
        raise DataError(f"{name} declares {math.prod(shape)} bytes; up to {LARGEST} are allowed")
    return shape
