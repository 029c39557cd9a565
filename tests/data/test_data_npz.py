"""Data sets read from real `.npz` files: every layout that is allowed, every mistake that is not."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import npz
from nas.data.names import load_images
from nas.errors import DataError

LABELS = np.arange(20) % 4


def pictures(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 256, shape).astype(dtype)


def saved(folder: Path, **arrays) -> str:
    np.savez(folder / "toy.npz", **arrays)
    return "toy.npz"


def problem(folder: Path, name: str = "toy.npz") -> str:
    with pytest.raises(DataError) as caught:
        load_images(name, folder=folder)
    (line,) = caught.value.lines
    assert line.startswith(f"data set {name!r}: ")
    return line


def test_grey_non_square_images_get_one_channel(tmp_path):
    x = pictures(20, 5, 9)
    images = load_images(saved(tmp_path, x_train=x, y_train=LABELS, x_test=x[:8], y_test=LABELS[:8]), folder=tmp_path)
    assert images.input == (1, 5, 9)
    assert images.name == "toy.npz"
    assert images.train_images.dtype == np.uint8
    np.testing.assert_array_equal(images.train_images[:, 0], x)
    np.testing.assert_array_equal(images.test_images[:, 0], x[:8])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_last_are_moved_to_the_front(tmp_path, channels):
    x = pictures(20, 5, 9, channels)
    images = load_images(saved(tmp_path, x_train=x, y_train=LABELS, x_test=x, y_test=LABELS), folder=tmp_path)
    assert images.input == (channels, 5, 9)
    assert images.train_images.flags.c_contiguous
    np.testing.assert_array_equal(images.train_images[:, 0], x[..., 0])


def test_channels_first_stay_in_front(tmp_path):
    x = pictures(20, 3, 5, 9)
    images = load_images(saved(tmp_path, x_train=x, y_train=LABELS, x_test=x, y_test=LABELS), folder=tmp_path)
    np.testing.assert_array_equal(images.train_images, x)


def test_ambiguous_layout_is_read_as_channels_last(tmp_path):
    x = pictures(20, 3, 5, 4)
    images = load_images(saved(tmp_path, x_train=x, y_train=LABELS), folder=tmp_path)
    assert images.input == (4, 3, 5)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        ("u1", "u1"),
        ("?", "u1"),
        ("i1", "f4"),
        (">i4", "f4"),
        ("u8", "f4"),
        ("f2", "f4"),
        ("f4", "f4"),
        (">f8", "f4"),
    ],
)
def test_pixels_become_uint8_or_native_float32(tmp_path, dtype, kept):
    x = (np.arange(20 * 4).reshape(20, 2, 2) % 100).astype(dtype)
    images = load_images(saved(tmp_path, x_train=x, y_train=LABELS, x_test=x, y_test=LABELS), folder=tmp_path)
    assert images.train_images.dtype == np.dtype(kept)
    assert images.train_images.dtype.isnative
    np.testing.assert_array_equal(images.train_images[:, 0], x)


@pytest.mark.parametrize("shape", [(20,), (20, 1)])
def test_labels_are_numbered_in_ascending_order(tmp_path, shape):
    y = np.array([30, -7, 5, 30] * 5, dtype=np.int16)
    x = pictures(20, 3, 3)
    file = saved(tmp_path, x_train=x, y_train=y.reshape(shape), x_test=x[:3], y_test=np.array([30, 5, -7]))
    images = load_images(file, folder=tmp_path)
    assert images.class_names == ("-7", "5", "30")
    assert images.train_labels.dtype == images.test_labels.dtype == np.int64
    assert images.train_labels[:4].tolist() == [2, 0, 1, 2]
    assert images.test_labels.tolist() == [2, 1, 0]


def test_without_test_part_a_fifth_is_held_out_for_good(tmp_path):
    x = np.arange(100, dtype=np.uint8).repeat(4).reshape(100, 2, 2)
    images = load_images(saved(tmp_path, x_train=x, y_train=np.arange(100) % 4), folder=tmp_path)
    assert np.bincount(images.test_labels).tolist() == [5, 5, 5, 5]
    held, kept = images.test_images[:, 0, 0, 0], images.train_images[:, 0, 0, 0]
    assert sorted([*held, *kept]) == list(range(100))
    assert (held % 4 == images.test_labels).all()
    assert (kept % 4 == images.train_labels).all()
    assert held[:6].tolist() == [2, 10, 13, 17, 18, 20]


def test_unbalanced_classes_and_a_class_of_one_image(tmp_path):
    y = np.array([0] * 50 + [1] * 7 + [2])
    images = load_images(saved(tmp_path, x_train=pictures(58, 3, 3), y_train=y), folder=tmp_path)
    assert images.classes == 3
    assert np.bincount(images.test_labels, minlength=3).tolist() == [10, 2, 0]
    assert np.bincount(images.train_labels).tolist() == [40, 5, 1]


def test_absolute_path_and_compressed_file(tmp_path):
    np.savez_compressed(tmp_path / "toy.NPZ.npz", x_train=pictures(20, 3, 3), y_train=LABELS, more=np.zeros(3))
    assert load_images(str(tmp_path / "toy.NPZ.npz")).classes == 4


def test_hash_follows_content_and_not_layout_in_memory(tmp_path):
    x, hashes = pictures(20, 3, 3), []
    changed = x.copy()
    changed[7, 1, 1] ^= 1
    for arrays in ({"x_train": x}, {"x_train": np.asfortranarray(x), "more": x}, {"x_train": changed}):
        hashes.append(load_images(saved(tmp_path, y_train=LABELS, **arrays), folder=tmp_path).content_hash)
    np.savez(tmp_path / "toy.npz", x_train=x, y_train=LABELS, x_test=x, y_test=LABELS)
    hashes.append(load_images("toy.npz", folder=tmp_path).content_hash)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


WRONG = {
    "no labels": ({"y_train": None}, "y_train missing; the file holds 'x_train'"),
    "other names": ({"x_train": None, "y_train": None, "images": LABELS}, "missing; the file holds 'images'"),
    "a name with a line break": ({"x_train": None, "a\nb": LABELS}, r"the file holds 'a\nb', 'y_train'"),
    "half a test": ({"y_test": LABELS}, "x_test missing; the file holds 'x_train', 'y_test', 'y_train'"),
    "two axes": ({"x_train": pictures(20, 9)}, r"x_train has shape (20, 9); N×H×W"),
    "two channels": ({"x_train": pictures(20, 2, 5, 5)}, "1, 3 or 4 channels must stand last or second"),
    "no pixel": ({"x_train": pictures(20, 0, 5)}, "x_train of shape (20, 0, 5) is empty"),
    "no image": (
        {"x_train": pictures(0, 5, 5), "y_train": LABELS[:0]},
        "x_train of shape (0, 5, 5) is empty",
    ),
    "text": ({"x_train": np.full((20, 2, 2), "a")}, "x_train has type <U1; integers, floats or booleans"),
    "complex": ({"x_train": np.ones((20, 2, 2), complex)}, "x_train has type complex128"),
    "objects": ({"x_train": np.full((20, 2, 2), None)}, "x_train has type object"),
    "NaN": ({"x_train": np.full((20, 2, 2), np.nan)}, "x_train has values that are NaN, infinite"),
    "infinite": ({"x_train": np.full((20, 2, 2), -np.inf, np.float16)}, "NaN, infinite or too large"),
    "too large": ({"x_train": np.full((20, 2, 2), 1e300)}, "too large for float32"),
    "float labels": ({"y_train": LABELS / 2}, "y_train has type float64; labels must be integers"),
    "object labels": ({"y_train": LABELS.astype(object)}, "y_train has type object; labels must be"),
    "one-hot labels": ({"y_train": np.eye(20, dtype=int)}, "y_train has shape (20, 20); (N,) or (N, 1)"),
    "huge label": ({"y_train": LABELS.astype("u8") + np.uint64(2**63)}, "y_train holds 9223372036854775811;"),
    "lengths": ({"y_train": LABELS[:19]}, "x_train has 20 images, y_train 19 labels"),
    "one class": ({"y_train": np.full(20, 6)}, "y_train has one class, 6; at least two are needed"),
    "single images": (
        {"x_train": pictures(3, 2, 2), "y_train": LABELS[:3]},
        "3 images are too few to leave one",
    ),
    "test shape": (
        {"x_test": pictures(4, 3, 4), "y_test": LABELS[:4]},
        "x_test has images of (3, 4), x_train",
    ),
    "test NaN": (
        {"x_test": np.full((4, 2, 2), np.nan), "y_test": LABELS[:4]},
        "x_test has values that are NaN",
    ),
    "unseen class": (
        {"x_test": pictures(3, 2, 2), "y_test": np.array([9, 0, 8])},
        "y_test has classes that y_train has not: 8, 9",
    ),
    "many unseen": (
        {"x_test": pictures(6, 2, 2), "y_test": np.arange(9, 15)},
        "has not: 9, 10, 11, 12, 13, …",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays_are_told_in_one_line(tmp_path, case):
    changed, expected = WRONG[case]
    arrays = {"x_train": pictures(20, 2, 2), "y_train": LABELS} | changed
    saved(tmp_path, **{key: array for key, array in arrays.items() if array is not None})
    assert expected in problem(tmp_path)


def test_pickled_file_is_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "toy.npz", x_train=np.array([Trap()] * 20), y_train=LABELS)
    problem(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_missing_file_names_the_nearest(tmp_path):
    saved(tmp_path, x_train=pictures(20, 2, 2), y_train=LABELS)
    assert problem(tmp_path, "tyo.npz").endswith(f"no such file: '{tmp_path / 'tyo.npz'}' (did you mean 'toy.npz'?)")


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04" + bytes(40)])
def test_file_that_is_no_zip(tmp_path, content):
    (tmp_path / "toy.npz").write_bytes(content)
    assert "cannot be read as .npz: BadZipFile" in problem(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_file(tmp_path, share):
    file = tmp_path / saved(tmp_path, x_train=pictures(20, 9, 9), y_train=LABELS)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "cannot be read as .npz" in problem(tmp_path)


def test_member_cut_short_is_told_before_memory_is_taken(tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (20, 2**24, 2**24)})
    saved(tmp_path, y_train=LABELS)
    with zipfile.ZipFile(tmp_path / "toy.npz", "a") as archive:
        archive.writestr("x_train.npy", buffer.getvalue() + bytes(10))
    assert "x_train is cut short" in problem(tmp_path)


def test_member_that_declares_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "LARGEST", 2000)
    np.savez_compressed(tmp_path / "toy.npz", x_train=np.zeros((20, 10, 10), np.uint8), y_train=LABELS)
    assert "x_train declares 2128 bytes; up to 2000 are allowed" in problem(tmp_path)


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_data_set_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    np.savez_compressed(folder / "toy.npz", x_train=np.zeros((20, 3, 3), np.uint8), y_train=LABELS)
    content = bytearray((folder / "toy.npz").read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (folder / "toy.npz").write_bytes(content)
    try:
        load_images("toy.npz", folder=folder)
    except DataError as error:
        told = error.lines
    else:
        told = ["read"]
    assert len(told) == 1
