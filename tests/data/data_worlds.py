"""Small data sets written as their authors wrote them: IDX files, CIFAR-10's batches, folders of images."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data.idx import FILES
from nas.data.names import load_images
from nas.errors import DataError

BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def problem(name: str, folder: Path | None = None) -> str:
    """The one line with which a data set is refused."""
    with pytest.raises(DataError) as caught:
        load_images(name, folder=folder)
    (line,) = caught.value.lines
    assert line.startswith(f"data set {name!r}: ")
    return line


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_arrays(count: int = 20, side: int = 28) -> dict[str, np.ndarray]:
    labels = (np.arange(count) % 10).astype(np.uint8)
    return {
        "x_train": pixels(count, side, side),
        "y_train": labels,
        "x_test": pixels(10, side, side, seed=1),
        "y_test": labels[:10],
    }


def write_idx(folder: Path, arrays: dict[str, np.ndarray], *, suffix: str = ".gz") -> None:
    folder.mkdir(parents=True)
    for key, array in arrays.items():
        content = idx(array)
        (folder / f"{FILES[key]}{suffix}").write_bytes(gzip.compress(content) if suffix else content)


def text(value: str) -> bytes:
    """A text as Python 2 pickled it: short ones by a byte of length, others by four."""
    content = value.encode("latin-1")
    return (b"U" + bytes([len(content)]) if len(content) < 256 else b"T" + struct.pack("<i", len(content))) + content


def number(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def pickled_array(array: np.ndarray, kind: str = "u1", module: str = "numpy.core.multiarray") -> bytes:
    """An array as NumPy of that time pickled it: what to call, then its state."""
    head = (
        f"c{module}\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02".encode() + b"K\x00\x85q\x03U\x01bq\x04\x87q\x05Rq\x06"
    )
    shape = b"(" + b"".join(number(size) for size in array.shape) + b"t"
    dtype = b"cnumpy\ndtype\nq\x07" + text(kind) + b"K\x00K\x01\x87q\x08Rq\x09" + b"(K\x03U\x01|NNN" + number(-1) * 2
    dtype += b"K\x00tb"
    return head + b"(K\x01" + shape + dtype + b"\x89" + text(array.tobytes().decode("latin-1")) + b"tb"


def pickled(images: np.ndarray, classes: list[int], **changed: bytes) -> bytes:
    """A batch of CIFAR-10 as Python 2 pickled it; `changed`: other bytes for a value, b"" to leave it out."""
    values = {
        "batch_label": text("training batch 1 of 5"),
        "labels": b"](" + b"".join(map(number, classes)) + b"e",
        "data": pickled_array(images),
        "filenames": b"](" + b"".join(text(f"picture_{place}.png") for place in range(len(classes))) + b"e",
    } | changed
    return b"\x80\x02}q\x00(" + b"".join(text(key) + value for key, value in values.items() if value) + b"u."


def cifar_arrays(count: int = 10) -> dict[str, tuple[np.ndarray, list[int]]]:
    """Pixels (N, 3072) and labels of each batch."""
    labels = [place % 10 for place in range(count)]
    return {name: (pixels(count, 3072, seed=place), labels) for place, name in enumerate(BATCHES)}


def cifar_batches() -> dict[str, bytes]:
    return {name: pickled(images, labels) for name, (images, labels) in cifar_arrays().items()}


def write_batches(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def tar_of(contents: dict[str, bytes], folder: str = "cifar-10-batches-py") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def picture(seed: int = 0, *, size: tuple[int, int] = (6, 4), mode: str = "RGB", format: str = "PNG") -> bytes:
    """An image file of random pixels, width × height."""
    channels = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,)}
    if mode in channels:
        image = Image.fromarray(pixels(size[1], size[0], *channels[mode], seed=seed), mode=None)
    else:
        image = Image.fromarray(pixels(size[1], size[0], 3, seed=seed)).convert(mode)
    stream = io.BytesIO()
    (image.convert(mode) if image.mode != mode else image).save(stream, format)
    return stream.getvalue()


def tree(classes: int = 2, count: int = 3, *, parts: tuple[str, ...] = ("train/", "test/"), **kind) -> dict[str, bytes]:
    """Image files by their paths: so many classes, each of so many images."""
    return {
        f"{part}{'abcdef'[place]}/{number}.png": picture(place * 100 + number + 10 * len(part), **kind)
        for part in parts
        for place in range(classes)
        for number in range(count)
    }


def write_tree(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
