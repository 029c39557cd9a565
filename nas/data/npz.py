"""Data sets in NumPy's `.npz`: x_train, y_train and perhaps x_test, y_test; nothing is ever unpickled.

Images are N×H×W (grey), N×H×W×C or N×C×H×W with 1, 3 or 4 channels (see `channel_axis`), of integers, floats
or booleans; labels are integers, (N,) or (N, 1). Other arrays in the file are left alone.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from nas.data.images import KEYS, LARGEST, Array, Raw, check_described, check_names, check_packed, first_line
from nas.errors import DataError, nearest


class Header(NamedTuple):
    """Shape and type of an array, as its header declares them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_npz(path: Path) -> Raw:
    """The arrays of a data set as they stand in the file, all headers checked before any content is read.

    Raises:
        DataError: no such file, damaged, too large, or not a data set.
    """
    if not path.is_file():
        near = nearest(path.name, (other.name for other in path.parent.glob("*.npz")))
        raise DataError(f"no such file: {str(path)!r}{near}")
    try:
        with zipfile.ZipFile(path) as archive:
            return Raw(read_archive(archive))
    except DataError:
        raise
    except Exception as error:  # a damaged file may raise nearly anything: zipfile, zlib, numpy, struct, memory
        raise DataError(f"{str(path)!r} cannot be read as .npz: {type(error).__name__}: {first_line(error)}") from error


def read_archive(archive: zipfile.ZipFile) -> dict[str, Array]:
    """The arrays of an open archive, by name."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    check_names(members)
    wanted = {key: members[key] for key in KEYS if key in members}
    check_described({key: read_header(archive, key, info) for key, info in wanted.items()})
    arrays = {}
    for key, info in wanted.items():
        with archive.open(info) as member:
            arrays[key] = npy.read_array(member, allow_pickle=False)
    return arrays


def read_header(archive: zipfile.ZipFile, key: str, info: zipfile.ZipInfo) -> Header:
    """What one array declares; DataError where that is more than allowed, or than its member holds."""
    if info.file_size > LARGEST:
        raise DataError(f"{key} declares {info.file_size} bytes; up to {LARGEST} are allowed")
    check_packed(key, info.file_size, info.compress_size)
    with archive.open(info) as member:
        version = npy.read_magic(member)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(member)
    if math.prod(shape) * dtype.itemsize > info.file_size and not dtype.hasobject:
        raise DataError(f"{key} is cut short: {shape} of {dtype} do not fit into its {info.file_size} bytes")
    return Header(shape, dtype)
