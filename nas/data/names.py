"""The one place where a name or path becomes images, and the list of what may be named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.data.digits import read_digits
from nas.data.folder import read_folder, read_zip
from nas.data.images import Images, Raw
from nas.data.npz import read_npz
from nas.data.places import DIGITS, NAMED, find, not_here, read_named
from nas.data.prepare import prepare
from nas.errors import DataError, nearest

NAMES = (DIGITS, *NAMED)
"""What a study may name; beside these it may give a path."""

PATHS = "the path of an .npz file, an image folder or a .zip of one"

READERS = {".npz": read_npz, ".zip": read_zip}
"""How to read a file, by its ending."""


@dataclass(frozen=True)
class KnownDataset:
    """A data set as `nas data` lists it; `available` says whether it lies here, `place` where, `format` how."""

    name: str
    available: bool
    format: str | None
    place: str | None
    summary: str


def datasets() -> list[KnownDataset]:
    """Every data set known by name, and where it lies now."""
    digits = KnownDataset(DIGITS, True, "scikit-learn", None, "1,797 grey 8×8 images, 10 classes: handwritten digits")
    return [digits, *(known(name) for name in NAMED)]


def known(name: str) -> KnownDataset:
    """One of `NAMED`, as `nas data` lists it."""
    place, summary = find(name), NAMED[name].summary
    if place is None:
        return KnownDataset(name, False, None, None, f"{summary}; get it by `nas data fetch {name}`")
    return KnownDataset(name, True, place.form.format, str(place.path), summary)


def absent(name: str) -> str | None:
    """The line on a data set known by name that lies nowhere; None for every other name, and where it is here."""
    return not_here(name) if name in NAMED and find(name) is None else None


def load_images(name_or_path: str, *, folder: Path | None = None) -> Images:
    """The data set of that name, or in that place; a relative path starts at `folder`, the study file's.

    Raises:
        DataError: it is not known, cannot be read, or is not a data set; one line that names it.
    """
    try:
        return prepare(name_or_path, read_raw(name_or_path, folder or Path()))
    except DataError as error:
        raise DataError(f"data set {name_or_path!r}: {error}") from error.__cause__
    except OSError as error:  # where looking at a place is refused already, as for a name that is too long
        raise DataError(f"data set {name_or_path!r}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"data set {name_or_path!r}: there is not enough memory for it") from error


def read_raw(name: str, folder: Path) -> Raw:
    """The arrays as they stand in the source, and the names of their classes; a known name goes before a path."""
    if name == DIGITS:
        return read_digits()
    if name in NAMED:
        return read_named(name)
    path = folder / name
    if name and path.is_dir():
        return read_folder(path)
    if path.suffix.lower() in READERS:
        return READERS[path.suffix.lower()](path)
    beside = (other.name for other in sorted(folder.glob("*")) if other.suffix.lower() in READERS or other.is_dir())
    allowed = f"{', '.join(map(repr, NAMES))}, or {PATHS}"
    raise DataError(f"is neither known nor there{nearest(name, [*NAMES, *beside])}; allowed: {allowed}")
