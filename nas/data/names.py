"""The data sets known by name, and the one place where a name or path becomes images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.data.digits import read_digits
from nas.data.images import Array, Images
from nas.data.npz import read_npz
from nas.data.prepare import prepare
from nas.errors import DataError, nearest


@dataclass(frozen=True)
class KnownDataset:
    """A data set as `nas data` lists it; `available` says whether it can be read here and now."""

    name: str
    available: bool
    summary: str


DATASETS = (KnownDataset("digits", True, "1,797 grey 8×8 images, 10 classes, part of scikit-learn"),)
"""What a study may name; beside these it may give the path of an `.npz` file."""


def load_images(name_or_path: str, *, folder: Path | None = None) -> Images:
    """The data set of that name, or in that file; a relative path starts at `folder`, the study file's.

    Raises:
        DataError: it is not known, cannot be read, or is not a data set; one line that names it.
    """
    try:
        return prepare(name_or_path, read_arrays(name_or_path, folder or Path()))
    except DataError as error:
        raise DataError(f"data set {name_or_path!r}: {error}") from error.__cause__


def read_arrays(name: str, folder: Path) -> dict[str, Array]:
    """The arrays as they stand in the source; each further format gets its line here."""
    if name == "digits":
        return read_digits()
    path = folder / name
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    known = [dataset.name for dataset in DATASETS if dataset.available]
    near = nearest(name, [*known, *(str(other.relative_to(folder)) for other in folder.glob("*.npz"))])
    raise DataError(f"cannot be read; {', '.join(map(repr, known))} or the path of an .npz file is allowed{near}")
