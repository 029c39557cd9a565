"""Data sets that are folders of image files, or a `.zip` of such a folder; nothing is ever extracted.

`train/<class>/<image>` and perhaps `test/<class>/<image>`, or `<class>/<image>` alone; folders around these are
passed through. Classes are numbered in the order of their names, images stand in the order of theirs. Hidden
files and what file managers leave behind are passed over.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from nas.data.decode import SUFFIXES, Read, decode
from nas.data.images import Array, Raw, first_line
from nas.errors import DataError, nearest

Parts = tuple[str, ...]

MOST_IMAGES = 5_000_000
"""Files in one data set."""

MOST_ENTRIES = 6_000_000
"""Files and folders that are looked at; links may lead to the same ones again and again."""

MOST_BYTES = 256 * 2**20
"""Bytes of one image file; a member of an archive can declare any number."""

DEEPEST = 8
"""Folders within folders that are looked through; a link may lead back up."""

LEFT_BEHIND = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What file managers add to folders and archives."""

ALLOWED = "allowed: train/<class>/<image> and test/<class>/<image>, or <class>/<image>"


def read_folder(path: Path) -> Raw:
    """The images under a folder, with their classes.

    Raises:
        DataError: no images, of several sizes, damaged, or laid out otherwise.
    """
    try:
        return arranged({parts: beside(path.joinpath(*parts)) for parts in found(path)})
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {first_line(error)}") from error


def beside(path: Path) -> Read:
    """How to read one file of a folder, refused where it has too much."""

    def read() -> bytes:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"it has {size} bytes; up to {MOST_BYTES} are allowed")
        return path.read_bytes()

    return read


def found(path: Path) -> Iterator[Parts]:
    """Every file below a folder, as the names that lead to it; DataError where they seem to have no end."""
    for count, parts in enumerate(below(path)):
        if count >= MOST_ENTRIES:
            raise DataError(f"holds more than {MOST_ENTRIES} files and folders; do links lead from one to another?")
        if parts:
            yield parts


def below(path: Path, above: Parts = ()) -> Iterator[Parts]:
    """Every file below a folder, as the names that lead to it; none of them for a folder."""
    with os.scandir(path) as entries:
        for entry in entries:
            parts = (*above, entry.name)
            if entry.is_dir() and not passed_over((entry.name,)):
                if len(parts) > DEEPEST:
                    raise DataError(f"{'/'.join(parts)} lies too deep; {ALLOWED}")
                yield ()
                yield from below(Path(entry.path), parts)
            elif entry.is_file():
                yield parts


def read_zip(path: Path) -> Raw:
    """The images in an archive, with their classes; members are read by name, wherever their names would lead.

    Raises:
        DataError: a damaged archive; no images, of several sizes, damaged, or laid out otherwise.
    """
    if not path.is_file():
        near = nearest(path.name, (other.name for other in path.parent.glob("*.zip")))
        raise DataError(f"no such file: {str(path)!r}{near}")
    try:
        with zipfile.ZipFile(path) as archive:
            return arranged(members(archive))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{str(path)!r} cannot be read as .zip: {first_line(error)}") from error


def members(archive: zipfile.ZipFile) -> dict[Parts, Read]:
    """How to read each file of an archive, by the names that lead to it."""
    files: dict[Parts, Read] = {}
    for info in archive.infolist():
        parts = tuple(part for part in info.filename.split("/") if part)
        if not parts or info.is_dir():  # a name may be empty
            continue
        if parts in files:
            raise DataError(f"{info.filename!r} stands twice in the archive")
        files[parts] = member(archive, info)
    return files


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Read:
    """How to read one member, refused where it declares too much."""

    def read() -> bytes:
        if info.file_size > MOST_BYTES:
            raise DataError(f"it declares {info.file_size} bytes; up to {MOST_BYTES} are allowed")
        return archive.read(info)

    return read


def arranged(files: Mapping[Parts, Read]) -> Raw:
    """The data set of files, given by the names that lead to each."""
    kept = sorted(parts for parts in files if not passed_over(parts))
    images = [parts for parts in kept if parts[-1].lower().endswith(SUFFIXES)]
    check_images(kept, images)
    train, test = parted(images)
    classes = sorted({parts[-2] for parts in train})
    strange = [name for name in classes if not name.isprintable()]
    if strange:
        raise DataError(f"class folder {strange[0]!r} has a name that cannot be printed; rename it")
    check_classes(classes, test)
    pixels = decode([shown(parts) for parts in train + test], [files[parts] for parts in train + test])
    arrays = {"x_train": pixels[: len(train)], "y_train": numbers(train, classes)}
    if test:
        arrays |= {"x_test": pixels[len(train) :], "y_test": numbers(test, classes)}
    return Raw(arrays, tuple(classes))


def passed_over(parts: Parts) -> bool:
    """Whether a file is hidden or left behind by a file manager; so is what climbs out by `..`."""
    return any(part.startswith(".") or part in LEFT_BEHIND for part in parts)


def check_images(files: list[Parts], images: list[Parts]) -> None:
    """Raise DataError where there is no image, there are too many, or another file stands among them."""
    if not images:
        raise DataError(f"holds no images ({', '.join(SUFFIXES)}); {ALLOWED}")
    if len(images) > MOST_IMAGES:
        raise DataError(f"holds {len(images)} images; up to {MOST_IMAGES} are allowed")
    depth, known = len(images[0]), set(images)
    stranger = next((parts for parts in files if len(parts) == depth and parts not in known), None)
    if stranger:
        raise DataError(f"{shown(stranger)} is no image by its ending; allowed: {', '.join(SUFFIXES)}")


def parted(images: list[Parts]) -> tuple[list[Parts], list[Parts]]:
    """The images for training and those for testing, none where there is no such folder."""
    start = wrapping(images)
    plain = not any(parts[start] in ("train", "test") for parts in images)
    for parts in images:
        inner = parts[start:]
        if len(inner) != (2 if plain else 3) or not (plain or inner[0] in ("train", "test")):
            raise DataError(f"{shown(parts)} does not lie where an image may; {ALLOWED}")
    test = [] if plain else [parts for parts in images if parts[start] == "test"]
    if len(test) == len(images):
        raise DataError(f"holds test images and no others; {ALLOWED}")
    return (images if not test else [parts for parts in images if parts[start] == "train"]), test


def wrapping(images: list[Parts]) -> int:
    """How many folders stand around all classes; `test` is none of them."""
    start = 0
    while all(len(parts) > start + 2 and parts[start] == images[0][start] != "test" for parts in images):
        start += 1
    return start


def check_classes(classes: list[str], test: list[Parts]) -> None:
    """Raise DataError unless there are two classes, and the test images have no others."""
    if len(classes) < 2:
        raise DataError(f"has one class, {classes[0]!r}; at least two are needed")
    stranger = next((parts for parts in test if parts[-2] not in classes), None)
    if stranger:
        raise DataError(f"{shown(stranger)} is of a class that no training image has")


def numbers(images: Iterable[Parts], classes: list[str]) -> Array:
    """Labels (N,) as places in the list of classes."""
    places = {name: place for place, name in enumerate(classes)}
    return np.array([places[parts[-2]] for parts in images], dtype="<i8")


def shown(parts: Parts) -> str:
    """A file's name for a message of one line."""
    return repr("/".join(parts))
