"""The data sets known by name: where each is looked for, in which forms, and what its classes are called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pooch

from nas.data.cifar import read_archive, read_binary, read_pickles
from nas.data.folder import read_folder, read_zip
from nas.data.idx import FILES, read_idx
from nas.data.images import Raw, channel_axis, check_described, check_labels
from nas.data.npz import read_npz
from nas.errors import DataError

DIGITS = "digits"
"""The data set that is always here."""

VARIABLE = "NAS_DATA_DIR"
"""The environment's name for the folder that is looked into first."""

IDX_FILES = tuple(f"{name}{suffix}" for name in FILES.values() for suffix in ("", ".gz"))


@dataclass(frozen=True)
class Form:
    """One way in which a data set may lie in a folder: `entry` is there, and of `shown_by`, if given, one in it."""

    entry: str
    format: str
    read: Callable[[Path], Raw]
    shown_by: tuple[str, ...] = ()

    def lies_in(self, folder: Path) -> bool:
        """Whether a data set lies in a folder in this form."""
        # os.path, unlike Path, takes what may not be looked at as absent.
        path = folder / self.entry
        return any(os.path.exists(path / name) for name in self.shown_by) if self.shown_by else os.path.isfile(path)


@dataclass(frozen=True)
class NamedSet:
    """A data set known by name: its image (C, H, W), its classes in order, its forms, the first that is there taken."""

    summary: str
    input: tuple[int, int, int]
    class_names: tuple[str, ...]
    forms: tuple[Form, ...]


@dataclass(frozen=True)
class Place:
    """Where a data set lies, and in which form."""

    path: Path
    form: Form


def _idx(*entries: str) -> tuple[Form, ...]:
    return tuple(Form(entry, "IDX", read_idx, IDX_FILES) for entry in entries)


def _npz(*entries: str) -> tuple[Form, ...]:
    return tuple(Form(entry, "npz", read_npz) for entry in entries)


NAMED = {
    "mnist": NamedSet(
        "70,000 grey 28×28 images, 10 classes: handwritten digits",
        (1, 28, 28),
        tuple("0123456789"),
        (*_idx("mnist", "MNIST/raw"), *_npz("mnist.npz")),
    ),
    "fashion-mnist": NamedSet(
        "70,000 grey 28×28 images, 10 classes: articles of clothing",
        (1, 28, 28),
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        (*_idx("fashion-mnist", "FashionMNIST/raw"), *_npz("fashion-mnist.npz", "fashion_mnist_partial.npz")),
    ),
    "cifar10": NamedSet(
        "60,000 colour 32×32 images, 10 classes: animals and vehicles",
        (3, 32, 32),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (
            Form("cifar-10-batches-py", "pickled batches", read_pickles, ("data_batch_1", "test_batch")),
            Form("cifar-10-python.tar.gz", "pickled batches, tar.gz", read_archive),
            Form("cifar-10-batches-bin", "binary batches", read_binary, ("data_batch_1.bin", "test_batch.bin")),
            *_npz("cifar10.npz"),
            Form("cifar10", "image folder", read_folder, ("train",)),
            Form("cifar10.zip", "image folder, zip", read_zip),
            Form("cifar10_images.zip", "image folder, zip", read_zip),
        ),
    ),
}
"""Every data set known by name but the digits; originals stand before other people's re-encodings."""


def folders() -> list[Path]:
    """Where data sets lie: the folder that NAS_DATA_DIR names, then the user's cache folder."""
    named = os.environ.get(VARIABLE)
    return [*([Path(os.path.expanduser(named))] if named else []), cache_folder()]


def cache_folder() -> Path:
    """The folder `nas` of the user's cache, where `nas data fetch` puts what it brings."""
    return Path(pooch.os_cache("nas"))


def find(name: str) -> Place | None:
    """Where a data set known by name lies: the first folder that has it, there the first of its forms."""
    return next(places(name), None)


def places(name: str) -> Iterator[Place]:
    """Everywhere that a data set known by name lies, the place that is taken first."""
    for folder in folders():
        for form in (*NAMED[name].forms, *_bare(name, folder)):
            if form.lies_in(folder):
                yield Place(folder / form.entry, form)


def _bare(name: str, folder: Path) -> tuple[Form, ...]:
    """IDX files right in the folder. MNIST and Fashion-MNIST name theirs alike: the folder's name tells which."""
    fashion = "fashion" in folder.name.lower()
    return _idx("") if name == ("fashion-mnist" if fashion else "mnist") else ()


def not_here(name: str) -> str:
    """The line on a data set known by name that lies nowhere."""
    looked = " and ".join(str(folder) for folder in folders())
    unset = "" if os.environ.get(VARIABLE) else f" ({VARIABLE} names no folder)"
    return f"is not on this machine; looked for in {looked}{unset}; `nas data fetch {name}` brings it"


def read_named(name: str) -> Raw:
    """A data set known by name, from where it lies.

    Raises:
        DataError: it lies nowhere, cannot be read, or is another one; the line names the place.
    """
    place = find(name)
    if place is None:
        raise DataError(not_here(name))
    try:
        raw = place.form.read(place.path)
        check_like(NAMED[name], raw)
    except DataError as error:
        raise DataError(f"{error} (in {place.path})") from error.__cause__
    return raw if raw.class_names else replace(raw, class_names=NAMED[name].class_names)


def check_like(known: NamedSet, raw: Raw) -> None:
    """Raise DataError unless images have the size, and labels the range, that the name promises."""
    check_described(raw.arrays)
    for part in ("train", "test"):
        if f"x_{part}" not in raw.arrays:
            continue
        shape = raw.arrays[f"x_{part}"].shape
        axis = channel_axis(f"x_{part}", shape)
        sides = tuple(size for place, size in enumerate(shape) if place not in (0, axis))
        if (shape[axis] if axis else 1, *sides) != known.input:
            raise DataError(f"x_{part} has shape {shape}; images of {known.input} are expected")
        check_labels(f"y_{part}", raw.arrays[f"y_{part}"], len(raw.class_names or known.class_names))
