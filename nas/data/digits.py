"""The digits of scikit-learn: 1,797 grey images of 8×8 pixels in ten classes, always at hand.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nas.data.images import Raw
from nas.errors import DataError

FILE = Path("datasets", "data", "digits.csv.gz")
"""The file that `sklearn.datasets.load_digits` reads. It is read here without it: importing scikit-learn takes more CPU
time than all else that a worker imports but torch, and every worker would."""


def read_digits() -> Raw:
    """x_train (1797, 8, 8) with values 0 to 16 and y_train (1797,); types are fixed, so that the hash is."""
    found = find_spec("sklearn")
    places = [Path(folder) / FILE for folder in (found and found.submodule_search_locations) or ()]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataError(f"scikit-learn's {FILE} is not there; scikit-learn must be installed")
    with gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    return Raw({"x_train": table[:, :-1].reshape(-1, 8, 8).astype("<f4"), "y_train": table[:, -1].astype("<i8")})
