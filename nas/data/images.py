"""A data set in memory, and the checks that arrays must pass to become one.

Arrays as read go by the names of an `.npz` file: x_train, y_train and, both or neither, x_test, y_test. The
checks raise DataError with the problem alone; `load_images` puts the data set's name in front.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.arch.cost import Shape
from nas.errors import DataError

Array = NDArray[Any]

LARGEST = 8 * 2**30
"""Bytes that one array may take; a small file can declare any number."""

FREE_BYTES = 64 * 2**20
MOST_PACKED = 200
"""What takes more than so many bytes may be packed to a 200th of them, and no further: images are not that empty."""

KEYS = ("x_train", "y_train", "x_test", "y_test")
"""The arrays of a data set, in the order in which they are hashed."""

CHANNELS = (1, 3, 4)
"""Grey, colour, colour with transparency."""


@dataclass(frozen=True, eq=False)
class Images:
    """A data set: images (N, C, H, W) in uint8 or float32, labels (N,) in int64 from 0 to classes − 1.

    `content_hash` is the SHA-256 of the arrays as read, before any split or conversion. Values are not
    scaled. Two records are equal only if they are one object: compare `content_hash` instead.
    """

    name: str
    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array
    class_names: tuple[str, ...]
    content_hash: str

    @property
    def input(self) -> Shape:
        """(C, H, W) of one image."""
        channels, height, width = self.train_images.shape[1:]
        return (channels, height, width)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class Raw:
    """What a source holds: its arrays by the names of `KEYS`, and what labels 0, 1, … are called, where it says so."""

    arrays: Mapping[str, Array]
    class_names: tuple[str, ...] = ()


class Described(Protocol):
    """What is known of an array before its content is read."""

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102


def check_described(arrays: Mapping[str, Described]) -> None:
    """Raise DataError unless names, shapes and types are those of a data set; reads no content."""
    check_names(arrays)
    for part in ("train", "test") if "x_test" in arrays else ("train",):
        check_part(part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    if "x_test" in arrays and arrays["x_test"].shape[1:] != arrays["x_train"].shape[1:]:
        raise DataError(
            f"x_test has images of {arrays['x_test'].shape[1:]}, x_train of {arrays['x_train'].shape[1:]}; "
            "they must be alike"
        )


def check_names(arrays: Collection[str]) -> None:
    """Raise DataError unless there is a training part, and a test part or none."""
    wanted = KEYS if "x_test" in arrays or "y_test" in arrays else KEYS[:2]
    missing = [key for key in wanted if key not in arrays]
    if missing:
        present = ", ".join(repr(key) for key in sorted(arrays)[:10]) or "nothing"
        raise DataError(f"{' and '.join(missing)} missing; the file holds {present}")


def check_part(part: str, images: Described, labels: Described) -> None:
    """Raise DataError unless one part's images and labels have usable shapes and types, and go together."""
    channel_axis(f"x_{part}", images.shape)
    if 0 in images.shape:
        raise DataError(f"x_{part} of shape {images.shape} is empty")
    if images.dtype.kind not in "buif":
        raise DataError(f"x_{part} has type {images.dtype}; integers, floats or booleans are allowed")
    if labels.dtype.kind not in "iu":
        raise DataError(f"y_{part} has type {labels.dtype}; labels must be integers")
    if len(labels.shape) != 1 and not (len(labels.shape) == 2 and labels.shape[1] == 1):
        raise DataError(f"y_{part} has shape {labels.shape}; (N,) or (N, 1) is allowed")
    if labels.shape[0] != images.shape[0]:
        raise DataError(f"x_{part} has {images.shape[0]} images, y_{part} {labels.shape[0]} labels")


def channel_axis(key: str, shape: tuple[int, ...]) -> int | None:
    """The axis that holds the channels; None for grey images without one.

    Of N×H×W×C and N×C×H×W the last axis is taken where it is 1, 3 or 4, else axis 1 where that is.

    Raises:
        DataError: neither is, or there are not three or four axes.
    """
    if len(shape) not in (3, 4):
        raise DataError(f"{key} has shape {shape}; N×H×W, N×H×W×C or N×C×H×W is allowed")
    if len(shape) == 3:
        return None
    for axis in (3, 1):
        if shape[axis] in CHANNELS:
            return axis
    raise DataError(f"{key} has shape {shape}; 1, 3 or 4 channels must stand last or second")


def check_labels(where: str, labels: Array, classes: int) -> None:
    """Raise DataError unless labels are places in the list of classes of a data set known by name."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise DataError(f"{where} holds the label {wrong.flat[0]}; 0 to {classes - 1} are allowed")


def check_packed(where: str, size: int, packed: int) -> None:
    """Raise DataError where so few bytes would become so many: a file made to fill the memory."""
    if size > FREE_BYTES and size > MOST_PACKED * packed:
        raise DataError(f"{where} declares {size} bytes, packed into {packed}; up to {MOST_PACKED} times are allowed")


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the error's kind where it says nothing: for a message of one line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def content_hash(arrays: Mapping[str, Array]) -> str:
    """SHA-256 (hexadecimal) over name, type, shape and bytes of each array, whatever its order in memory."""
    digest = hashlib.sha256()
    for key in (key for key in KEYS if key in arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
