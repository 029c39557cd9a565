"""The names a study may give, where each is looked for, and the digits that stand behind one of them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from data_worlds import (
    cifar_batches,
    mnist_arrays,
    problem,
    tar_of,
    tree,
    write_batches,
    write_idx,
    write_tree,
    write_zip,
)

from nas.data.digits import read_digits
from nas.data.names import NAMES, absent, datasets, load_images
from nas.errors import DataError

# Frozen: results in databases are known by this hash, and comparable only while the split stays the same.
DIGITS_HASH = "c847e43a88d1b60d737c7d0c16a047f12be62d480a8c5f86c90a0268fb128f1a"
DIGITS_TEST_HEAD = [6, 7, 8, 2, 5, 6, 9, 5, 0, 1, 8, 3]

REAL = pytest.mark.skipif(not os.environ.get("NAS_DATA_DIR"), reason="NAS_DATA_DIR names no folder with real data")


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


def test_list_says_what_is_here_and_how(data_dir):
    write_idx(data_dir / "mnist", mnist_arrays())
    rows = {dataset.name: dataset for dataset in datasets()}
    assert tuple(rows) == NAMES == ("digits", "mnist", "fashion-mnist", "cifar10")
    assert rows["digits"].available
    assert (rows["mnist"].available, rows["mnist"].format, rows["mnist"].place) == (
        True,
        "IDX",
        str(data_dir / "mnist"),
    )
    assert (rows["cifar10"].available, rows["cifar10"].place) == (False, None)
    assert "nas data fetch cifar10" in rows["cifar10"].summary


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_absent_set_says_where_it_was_looked_for(data_dir, tmp_path, name):
    line = problem(name, tmp_path)
    assert f"looked for in {data_dir} and {tmp_path / 'cache' / 'nas'}; `nas data fetch {name}` brings it" in line
    assert absent(name) in line


def test_without_the_variable_the_cache_alone_is_looked_into(data_dir, tmp_path, monkeypatch):
    monkeypatch.delenv("NAS_DATA_DIR")
    assert f"looked for in {tmp_path / 'cache' / 'nas'} (NAS_DATA_DIR names no folder); " in problem("mnist")
    write_idx(tmp_path / "cache" / "nas" / "mnist", mnist_arrays())
    assert load_images("mnist").input == (1, 28, 28)
    assert absent("mnist") is None


def test_named_folder_goes_before_the_cache(data_dir, tmp_path):
    write_idx(tmp_path / "cache" / "nas" / "mnist", mnist_arrays(30))
    assert len(load_images("mnist").train_images) == 30
    np.savez(data_dir / "mnist.npz", **mnist_arrays(20))
    assert len(load_images("mnist").train_images) == 20


def test_known_name_goes_before_a_folder_of_that_name(data_dir, tmp_path):
    write_tree(tmp_path / "cifar10", tree())
    assert "is not on this machine" in problem("cifar10", tmp_path)
    assert load_images("./cifar10", folder=tmp_path).classes == 2


def test_original_forms_go_before_re_encoded_ones(data_dir):
    files = {name.replace("/a/", "/x/"): content for name, content in tree(size=(32, 32)).items()}
    formats = []
    for write in (
        lambda: write_zip(data_dir / "cifar10_images.zip", files),
        lambda: write_zip(data_dir / "cifar10.zip", files),
        lambda: write_tree(data_dir / "cifar10", files),
        lambda: (data_dir / "cifar-10-python.tar.gz").write_bytes(tar_of(cifar_batches())),
        lambda: write_batches(data_dir / "cifar-10-batches-py", cifar_batches()),
    ):
        write()
        load_images("cifar10")
        formats.append(next(Path(row.place).name for row in datasets() if row.name == "cifar10"))
    assert formats == [
        *("cifar10_images.zip", "cifar10.zip", "cifar10", "cifar-10-python.tar.gz", "cifar-10-batches-py"),
    ]


def test_images_of_another_size_are_not_the_named_set(data_dir):
    write_idx(data_dir / "mnist", mnist_arrays(side=20))
    assert f"x_train has shape (20, 20, 20); images of (1, 28, 28) are expected (in {data_dir / 'mnist'})" in problem(
        "mnist"
    )


def test_unknown_name_says_what_is_allowed(tmp_path):
    line = problem("folder", tmp_path)
    assert line.endswith(
        "is neither known nor there; allowed: 'digits', 'mnist', 'fashion-mnist', 'cifar10', or the path of an .npz "
        "file, an image folder or a .zip of one"
    )
    assert problem("", tmp_path).endswith("or a .zip of one")


@pytest.mark.parametrize(
    ("name", "near"),
    [("digit", "digits"), ("Mnist", "mnist"), ("cifar-10", "cifar10"), ("shapes", "shapes.npz"), ("pest", "pets")],
)
def test_misspelt_name_gets_the_nearest(tmp_path, name, near):
    (tmp_path / "shapes.npz").touch()
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match=f"did you mean '{near}'"):
        load_images(name, folder=tmp_path)


@REAL
@pytest.mark.parametrize(
    ("name", "shape", "images"),
    [("mnist", (1, 28, 28), 70_000), ("fashion-mnist", (1, 28, 28), None), ("cifar10", (3, 32, 32), 60_000)],
)
@pytest.mark.slow
def test_real_sets_have_their_images_and_classes(name, shape, images):
    if absent(name):
        pytest.skip(f"{name} is not in the folder that NAS_DATA_DIR names")
    loaded = load_images(name)
    assert (loaded.input, loaded.classes) == (shape, 10)
    assert images in (None, len(loaded.train_images) + len(loaded.test_images))
    assert len(set(loaded.class_names)) == 10


def test_digits_are_those_that_scikit_learn_loads():
    wanted = sklearn.datasets.load_digits()
    given = read_digits().arrays
    assert np.array_equal(given["x_train"], wanted.images)
    assert np.array_equal(given["y_train"], wanted.target)
    assert (given["x_train"].dtype, given["y_train"].dtype) == ("<f4", "<i8")


def test_naming_data_sets_loads_no_scikit_learn():
    code = "import sys, nas.data.names as n; n.load_images('digits'); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
