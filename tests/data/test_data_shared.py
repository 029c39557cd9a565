"""Arrays in memory that processes share: the same ones, none of them copied, and nothing left of it."""

import os
import resource

import numpy as np
import pytest

from nas.data.shared import ROWS, mapped, share
from nas.errors import DataError

HASH = "0123456789abcdef" * 4


def images(count=10, channels=3, kind=np.uint8):
    return np.random.default_rng(count).integers(0, 256, (count, channels, 5, 4)).astype(kind)


def through(arrays):
    """The arrays after one process has laid and another has mapped them, the first having closed the file."""
    with share(arrays, HASH) as file:
        return mapped(file.fileno(), HASH)


@pytest.mark.parametrize("count", [1, 10, 2 * ROWS + 1])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_arrays_come_back_as_they_were_laid_channels_last(count, channels, kind):
    given = {"images": images(count, channels, kind), "labels": np.arange(count), "others": images(3, channels, kind)}
    found = through(given)
    assert list(found) == list(given)
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert np.moveaxis(found["images"], 1, -1).flags.c_contiguous


def test_arrays_laid_once_are_seen_by_all_and_written_by_none():
    with share({"labels": np.arange(6)}, HASH) as file:
        first, second = (mapped(file.fileno(), HASH)["labels"] for _ in range(2))
        first[0] = 7
        os.pwrite(file.fileno(), b"\x09", os.fstat(file.fileno()).st_size - 8)
    assert first.tolist()[0] == 7
    assert second.tolist() == [0, 1, 2, 3, 4, 9]


def test_other_images_than_the_study_s_are_an_error():
    with share({"labels": np.arange(6)}, "f" * 64) as file, pytest.raises(DataError, match=r"hash ffff.*have 0123"):
        mapped(file.fileno(), HASH)


def test_where_memory_has_no_files_a_temporary_one_without_a_name_does(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with share({"images": images()}, HASH) as file:
        assert list(tmp_path.iterdir()) == []
        np.testing.assert_array_equal(mapped(file.fileno(), HASH)["images"], images())


def test_images_for_which_there_is_no_room_are_an_error_of_one_line():
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DataError, match="images of 600,000 bytes cannot be shared among the workers: File too"):
            share({"images": images(10_000)}, HASH)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
