"""The names a study may give, and the digits that stand behind one of them."""

import numpy as np
import pytest

from nas.data.names import DATASETS, load_images
from nas.errors import DataError

# Frozen: results in databases are known by this hash, and comparable only while the split stays the same.
DIGITS_HASH = "c847e43a88d1b60d737c7d0c16a047f12be62d480a8c5f86c90a0268fb128f1a"
DIGITS_TEST_HEAD = [6, 7, 8, 2, 5, 6, 9, 5, 0, 1, 8, 3]


def test_every_available_name_loads():
    assert "digits" in [dataset.name for dataset in DATASETS if dataset.available]
    for dataset in DATASETS:
        if dataset.available:
            assert load_images(dataset.name).classes >= 2


def test_digits_are_the_1797_known_images():
    digits = load_images("digits")
    assert digits.content_hash == DIGITS_HASH
    assert (digits.input, digits.classes) == ((1, 8, 8), 10)
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert len(digits.test_images) == 359
    assert digits.train_images.dtype == np.float32
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 16)


def test_digits_test_part_is_the_same_each_time():
    first, second = load_images("digits"), load_images("digits")
    np.testing.assert_array_equal(first.test_images, second.test_images)
    assert first.test_labels[:12].tolist() == DIGITS_TEST_HEAD


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "folder", "images.zip", ""])
def test_unknown_name_says_what_can_be_read(tmp_path, name):
    with pytest.raises(DataError) as caught:
        load_images(name, folder=tmp_path)
    assert str(caught.value) == (f"data set {name!r}: cannot be read; 'digits' or the path of an .npz file is allowed")


@pytest.mark.parametrize(("name", "near"), [("digit", "digits"), ("Digits", "digits"), ("shapes", "shapes.npz")])
def test_misspelt_name_gets_the_nearest(tmp_path, name, near):
    (tmp_path / "shapes.npz").touch()
    with pytest.raises(DataError, match=f"did you mean '{near}'"):
        load_images(name, folder=tmp_path)
