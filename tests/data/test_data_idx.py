"""MNIST and Fashion-MNIST from the four IDX files: as published, and damaged in every way."""

import gzip

import numpy as np
import pytest
from data_worlds import idx, mnist_arrays, pixels, problem, write_idx

from nas.data.names import load_images

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_four_files_become_grey_images_in_their_order(data_dir, suffix):
    arrays = mnist_arrays()
    write_idx(data_dir / "mnist", arrays, suffix=suffix)
    images = load_images("mnist")
    assert images.input == (1, 28, 28)
    assert images.train_images.flags.writeable  # torch warns of arrays that are not
    np.testing.assert_array_equal(images.train_images[:, 0], arrays["x_train"])
    np.testing.assert_array_equal(images.test_images[:, 0], arrays["x_test"])
    assert images.train_labels.tolist() == arrays["y_train"].tolist()
    assert images.class_names == tuple("0123456789")


def test_npz_of_the_same_images_is_the_same_data_set(data_dir):
    write_idx(data_dir / "mnist", mnist_arrays())
    first = load_images("mnist")
    np.savez(data_dir / "other.npz", **mnist_arrays(), x_test_extra=pixels(3, 2))
    assert load_images("other.npz", folder=data_dir).content_hash == first.content_hash


@pytest.mark.parametrize("name", ["fashion-mnist.npz", "fashion_mnist_partial.npz"])
def test_fashion_has_its_classes_names_in_npz_too(data_dir, name):
    np.savez(data_dir / name, **mnist_arrays(), y_test_extra=pixels(3))
    assert load_images("fashion-mnist").class_names[::9] == ("T-shirt/top", "Ankle boot")


def test_label_over_nine_in_npz_is_told(data_dir):
    np.savez(data_dir / "mnist.npz", **mnist_arrays() | {"y_test": np.arange(3, 13)})
    assert "y_test holds the label 10; 0 to 9 are allowed" in problem("mnist")


def test_files_right_in_a_folder_are_the_set_that_its_name_says(tmp_path, data_dir, monkeypatch):
    for folder, there, other in (("mine", "mnist", "fashion-mnist"), ("Fashion_MNIST", "fashion-mnist", "mnist")):
        write_idx(tmp_path / folder, mnist_arrays())
        monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / folder))
        assert load_images(there).input == (1, 28, 28)
        assert "is not on this machine" in problem(other)


def plain(content):
    return gzip.decompress(content)


DAMAGED = {
    "empty": (TRAIN_IMAGES, lambda c: b"", "is cut short: 0 bytes, its head alone takes 16"),
    "no gz": (TRAIN_IMAGES, plain, "cannot be read: Not a gzipped file"),
    "gz cut": (TRAIN_IMAGES, lambda c: c[: len(c) // 2], "cannot be read: Compressed file ended before the end"),
    "gz end cut": (TRAIN_IMAGES, lambda c: c[:-4], "cannot be read: Compressed file ended before the end"),
    "gz checksum": (TRAIN_IMAGES, lambda c: c[:-8] + b"abcd" + c[-4:], "cannot be read: CRC check failed"),
    "gz broken": (TRAIN_IMAGES, lambda c: c[:60] + bytes(60) + c[120:], "cannot be read: "),
    "head cut": (TRAIN_LABELS, lambda c: gzip.compress(plain(c)[:6]), "6 bytes, its head alone takes 8"),
    "content cut": (TRAIN_IMAGES, lambda c: gzip.compress(plain(c)[:-1]), "is cut short: 15679 of the 15680 bytes"),
    "longer": (TRAIN_IMAGES, lambda c: gzip.compress(plain(c) + b"x"), "is longer than the 15680 bytes"),
    "labels for images": (TRAIN_IMAGES, lambda c: gzip.compress(idx(pixels(16))), "begins with 00000801; an IDX file"),
    "wrong magic": (TRAIN_LABELS, lambda c: gzip.compress(b"\x89PNG" + plain(c)[4:]), "begins with 89504e47; an IDX"),
    "bomb": (TRAIN_IMAGES, lambda c: gzip.compress(idx(pixels(2, 2, 2))[:4] + b"\xff" * 12), "up to 8589934592"),
    "label 12": (TRAIN_LABELS, lambda c: gzip.compress(plain(c)[:-1] + b"\x0c"), "holds the label 12; 0 to 9"),
    "too few labels": (TRAIN_LABELS, lambda c: gzip.compress(idx(pixels(19) % 10)), "-ubyte.gz 19 labels"),
    "no pixels": (TRAIN_IMAGES, lambda c: gzip.compress(idx(pixels(20, 0, 28))), "is empty"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_file_is_told_in_one_line_that_names_it(data_dir, case):
    file, damage, expected = DAMAGED[case]
    write_idx(data_dir / "mnist", mnist_arrays())
    path = data_dir / "mnist" / file
    path.write_bytes(damage(path.read_bytes()))
    line = problem("mnist")
    assert expected in line
    assert file in line or case == "no pixels"
    assert line.endswith(f"(in {data_dir / 'mnist'})")


def test_missing_file_is_named(data_dir):
    write_idx(data_dir / "mnist", mnist_arrays())
    (data_dir / "mnist" / TRAIN_LABELS).unlink()
    assert f"{TRAIN_LABELS} is missing (in " in problem("mnist")
