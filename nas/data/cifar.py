"""CIFAR-10 as it was published: six batches, as pickles (in a folder or a `.tar.gz`) or in the binary version.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009. An image is 3,072 bytes: 1,024 of
red, then green, then blue, row by row. In the binary version each follows its label, a byte.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from nas.data.images import Array, Raw, check_labels, first_line
from nas.data.pickled import byte_array, plain_data
from nas.errors import DataError

TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"

IMAGE = (3, 32, 32)
BYTES = 3 * 32 * 32
CLASSES = 10

MOST_BYTES = 64 * 2**20
"""Bytes of one batch; the real ones have 31 million. A member of an archive can declare any number."""

MOST_MEMBERS = 1000
"""Files in the archive; the real one has nine."""

MOST_UNPACKED = 256 * 2**20
"""Bytes of the whole archive, unpacked; the real one has 186 million. What is skipped has to be unpacked too."""

Batch = tuple[Array, Array]


def read_pickles(folder: Path) -> Raw:
    """Images (N, 3, 32, 32) and labels (N,), uint8, from the pickled batches in a folder."""
    return joined(lambda name: from_pickle(content_of(folder / name)))


def read_binary(folder: Path) -> Raw:
    """Images (N, 3, 32, 32) and labels (N,), uint8, from the binary batches in a folder."""
    return joined(lambda name: from_binary(content_of(folder / f"{name}.bin")))


def read_archive(path: Path) -> Raw:
    """Images (N, 3, 32, 32) and labels (N,), uint8, from the `.tar.gz` of pickled batches; nothing is extracted."""
    try:
        # Not tarfile's own "r|gz": it never compares the checksum at the end.
        with gzip.open(path) as unpacked:
            stream = Limited(cast(IO[bytes], unpacked))
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
                contents = members(archive)
            while stream.read(2**20):  # to its end, where the checksum is
                pass
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError(f"cannot be read as .tar.gz: {first_line(error)}") from error
    return joined(lambda name: from_pickle(member(contents, name)))


class Limited:
    """A stream of which no more than `MOST_UNPACKED` bytes are read; DataError where there is more."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.left = stream, MOST_UNPACKED

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        content = self.stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise DataError(f"has more than {MOST_UNPACKED} bytes when unpacked")
        return content


def members(archive: tarfile.TarFile) -> dict[str, bytes]:
    """The content of each batch, by its name without folders; the archive is read once, from front to end."""
    contents: dict[str, bytes] = {}
    for count, info in enumerate(archive):
        name = info.name.rpartition("/")[2]
        if count >= MOST_MEMBERS:
            raise DataError(f"holds more than {MOST_MEMBERS} files")
        if info.size > MOST_BYTES:
            raise DataError(f"{name!r} declares {info.size} bytes; up to {MOST_BYTES} are allowed")
        stream = archive.extractfile(info) if info.isreg() and name in (*TRAIN, TEST) else None
        if stream is not None:
            contents[name] = stream.read()
    return contents


def member(contents: Mapping[str, bytes], name: str) -> bytes:
    """The content of one batch of the archive."""
    if name not in contents:
        raise DataError("is missing")
    return contents[name]


def content_of(path: Path) -> bytes:
    """The content of one batch in a folder."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"has {path.stat().st_size} bytes; up to {MOST_BYTES} are allowed")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError("is missing") from error
    except OSError as error:
        raise DataError(f"cannot be read: {first_line(error)}") from error


def joined(read: Callable[[str], Batch]) -> Raw:
    """The five training batches as one, and the test batch."""
    train = [named(name, read) for name in TRAIN]
    test = named(TEST, read)
    return Raw(
        {
            "x_train": np.concatenate([images for images, _ in train]),
            "y_train": np.concatenate([labels for _, labels in train]),
            "x_test": test[0],
            "y_test": test[1],
        }
    )


def named(name: str, read: Callable[[str], Batch]) -> Batch:
    """One batch, its labels checked; what is wrong with it is told with its name."""
    try:
        images, labels = read(name)
    except DataError as error:
        raise DataError(f"{name} {error}") from error.__cause__
    check_labels(name, labels, CLASSES)
    return images, labels.astype(np.uint8)


def from_pickle(content: bytes) -> Batch:
    """Images (N, 3, 32, 32) and labels (N,) of one pickled batch."""
    batch = plain_data(content)
    if not isinstance(batch, dict) or "data" not in batch or "labels" not in batch:
        raise DataError("holds no 'data' and 'labels'")
    pixels, labels = byte_array(batch["data"]), whole_numbers(batch["labels"])
    if pixels.ndim != 2 or pixels.shape[1] != BYTES:
        raise DataError(f"holds pixels of shape {pixels.shape}; (N, {BYTES}) is allowed")
    if len(pixels) != len(labels):
        raise DataError(f"has {len(pixels)} images and {len(labels)} labels")
    return pixels.reshape(-1, *IMAGE), labels


def whole_numbers(values: Any) -> Array:
    """A list of small whole numbers as an array (N,)."""
    if not isinstance(values, list) or any(type(value) is not int or abs(value) > 2**31 for value in values):
        raise DataError("holds labels that are no list of whole numbers")
    return np.array(values, np.int64)


def from_binary(content: bytes) -> Batch:
    """Images (N, 3, 32, 32) and labels (N,) of one binary batch."""
    count, rest = divmod(len(content), BYTES + 1)
    if rest or not count:
        raise DataError(f"has {len(content)} bytes, no multiple of {BYTES + 1}: it is cut short")
    records = np.frombuffer(content, np.uint8).reshape(count, BYTES + 1)
    return records[:, 1:].reshape(count, *IMAGE), records[:, 0]
