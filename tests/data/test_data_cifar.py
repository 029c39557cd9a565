"""CIFAR-10 from its published batches: pickled, archived, binary; and pickles that are no plain data."""

import gzip
import os
import pickle
import struct
from contextlib import suppress

import numpy as np
import pytest
from data_worlds import (
    cifar_arrays,
    cifar_batches,
    pickled,
    pickled_array,
    pixels,
    problem,
    tar_of,
    text,
    write_batches,
)
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import cifar
from nas.data.names import load_images
from nas.data.pickled import byte_array, plain_data
from nas.errors import DataError

FOLDER = "cifar-10-batches-py"
LABELS = list(range(10))


def binary(images, labels):
    return np.concatenate([np.array(labels, np.uint8)[:, None], images], axis=1).tobytes()


def test_pickled_batches_become_one_data_set(data_dir):
    arrays = cifar_arrays()
    write_batches(data_dir / FOLDER, cifar_batches())
    images = load_images("cifar10")
    assert images.input == (3, 32, 32)
    assert images.class_names[:3] == ("airplane", "automobile", "bird")
    np.testing.assert_array_equal(images.train_images[10:20].reshape(10, -1), arrays["data_batch_2"][0])
    np.testing.assert_array_equal(images.test_images.reshape(10, -1), arrays["test_batch"][0])
    assert images.train_labels.tolist() == LABELS * 5
    assert images.train_images.flags.writeable


def test_archive_folder_and_binary_version_are_one_data_set(data_dir):
    hashes = []
    for name, write in {
        "cifar-10-batches-bin": lambda path: write_batches(
            path, {f"{name}.bin": binary(*arrays) for name, arrays in cifar_arrays().items()}
        ),
        "cifar-10-python.tar.gz": lambda path: path.write_bytes(tar_of(cifar_batches())),
        FOLDER: lambda path: write_batches(path, cifar_batches()),
    }.items():
        write(data_dir / name)
        hashes.append(load_images("cifar10").content_hash)
    assert len(set(hashes)) == 1


def test_reading_agrees_with_pickle_itself():
    images, labels = cifar_arrays()["test_batch"]
    content = pickled(images, labels)
    there = pickle.loads(content, encoding="latin1")
    ours = plain_data(content)
    np.testing.assert_array_equal(byte_array(ours.pop("data")), there.pop("data"))
    assert ours == there


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_array_by_columns_and_newer_numpy_are_read(module):
    array = pixels(3, 4)
    content = pickled_array(array, module=module)
    turned = content.replace(b"tb\x89", b"tb\x88").replace(b"(K\x03K\x04t", b"(K\x04K\x03t")
    np.testing.assert_array_equal(byte_array(plain_data(content + b".")), array)
    np.testing.assert_array_equal(byte_array(plain_data(turned + b".")), array.T)


def test_pickle_that_would_run_a_command_is_refused(data_dir, tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    for protocol in range(6):
        contents = cifar_batches() | {"data_batch_2": pickle.dumps({"data": Trap(), "labels": LABELS}, protocol)}
        (data_dir / "cifar-10-python.tar.gz").write_bytes(tar_of(contents))
        assert "data_batch_2 holds " in problem("cifar10")
    assert not (tmp_path / "sprung").exists()


IMAGES = pixels(10, 3072)
WHOLE = pickled(IMAGES, LABELS)
WRONG = {
    "empty": (b"", "data_batch_3 is a damaged pickle"),
    "cut": (WHOLE[:-2000], "data_batch_3 is a damaged pickle"),
    "without end": (WHOLE[:-1], "data_batch_3 is a damaged pickle"),
    "text": (b"hello there", "data_batch_3 is a damaged pickle"),
    "no dict": (pickle.dumps(7, 2), "data_batch_3 holds no 'data' and 'labels'"),
    "no labels": (pickled(IMAGES, LABELS, labels=b""), "data_batch_3 holds no 'data' and 'labels'"),
    "label ten": (pickled(IMAGES, [*LABELS[:9], 10]), "data_batch_3 holds the label 10; 0 to 9 are allowed"),
    "label below": (pickled(IMAGES, [*LABELS[:9], -1]), "data_batch_3 holds the label -1"),
    "counts": (pickled(IMAGES, LABELS[:9]), "data_batch_3 has 10 images and 9 labels"),
    "labels of text": (pickled(IMAGES, LABELS, labels=text("abc")), "labels that are no list of whole numbers"),
    "labels of texts": (pickled(IMAGES, LABELS, labels=b"](" + text("a") * 10 + b"e"), "no list of whole numbers"),
    "huge label": (
        pickled(IMAGES, LABELS, labels=b"](" + b"\x8a\x09" + b"\x7f" * 9 + b"e"),
        "no list of whole numbers",
    ),
    "wide": (pickled(pixels(10, 3000), LABELS), "holds pixels of shape (10, 3000); (N, 3072) is allowed"),
    "flat": (pickled(pixels(3072), LABELS), "holds pixels of shape (3072,)"),
    "floats": (pickled(IMAGES, LABELS, data=pickled_array(IMAGES, "f4")), "holds no array of unsigned bytes"),
    "objects": (pickled(IMAGES, LABELS, data=pickled_array(IMAGES, "O8")), "holds no array of unsigned bytes"),
    "no array": (pickled(IMAGES, LABELS, data=text("abc")), "holds no array of unsigned bytes"),
    "too short": (
        pickled(IMAGES, LABELS, data=pickled_array(IMAGES[:5]).replace(b"K\x05", b"K\x0a")),
        "holds no array of unsigned bytes, or not all of it",
    ),
    "huge memo": (b"\x80\x02}r\xff\xff\xff\xff.", "holds no 'data' and 'labels'"),
    "no operand": (b"\x80\x02\x85.", "is a damaged pickle"),
    "endless self": (b"\x80\x02]q\x00h\x00a.", "holds no 'data' and 'labels'"),
    "state on a name": (b"\x80\x02cos\nsystem\n}b.", "is a damaged pickle"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_pickle_is_told_in_one_line_that_names_it(data_dir, case):
    content, expected = WRONG[case]
    write_batches(data_dir / FOLDER, cifar_batches() | {"data_batch_3": content})
    line = problem("cifar10")
    assert expected in line
    assert line.endswith(f"(in {data_dir / FOLDER})")


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_damaged_pickle_gives_data_or_a_named_error(data):
    content = bytearray(pickled(IMAGES[:1], LABELS[:1])[:220])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    with suppress(DataError):
        plain_data(bytes(content))


ARCHIVES = {
    "not gz": (lambda c: gzip.decompress(c), "cannot be read as .tar.gz: "),
    "cut": (lambda c: c[: len(c) // 2], "cannot be read as .tar.gz: "),
    "empty": (lambda c: b"", "cannot be read as .tar.gz: "),
    "no tar": (lambda c: gzip.compress(b"hello" * 500), "cannot be read as .tar.gz: "),
    "broken": (lambda c: c[:5000] + bytes(200) + c[5200:], "cannot be read as .tar.gz: "),
    "a batch missing": (lambda c: tar_of(dict(list(cifar_batches().items())[1:])), "data_batch_1 is missing"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_damaged_archive_is_told_in_one_line(data_dir, case):
    damage, expected = ARCHIVES[case]
    (data_dir / "cifar-10-python.tar.gz").write_bytes(damage(tar_of(cifar_batches())))
    assert expected in problem("cifar10")


def test_members_that_declare_too_much_or_are_too_many_are_refused(data_dir, monkeypatch):
    (data_dir / "cifar-10-python.tar.gz").write_bytes(tar_of(cifar_batches()))
    monkeypatch.setattr(cifar, "MOST_BYTES", 20_000)
    assert "'data_batch_1' declares 31" in problem("cifar10")
    monkeypatch.setattr(cifar, "MOST_MEMBERS", 0)
    assert "holds more than 0 files" in problem("cifar10")


def test_members_outside_the_folder_write_nothing(data_dir, tmp_path):
    contents = {f"../../{name}": content for name, content in cifar_batches().items()}
    (data_dir / "cifar-10-python.tar.gz").write_bytes(tar_of(contents))
    assert load_images("cifar10").classes == 10
    assert [path.name for path in tmp_path.rglob("*batch*")] == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "test_batch has 0 bytes, no multiple of 3073: it is cut short"),
        (bytes(3072), "test_batch has 3072 bytes, no multiple of 3073"),
        (b"\x0b" + bytes(3072), "test_batch holds the label 11; 0 to 9 are allowed"),
    ],
)
def test_damaged_binary_batch_is_told_in_one_line(data_dir, content, expected):
    contents = {f"{name}.bin": binary(*arrays) for name, arrays in cifar_arrays().items()}
    write_batches(data_dir / "cifar-10-batches-bin", contents | {"test_batch.bin": content})
    assert expected in problem("cifar10")


def test_missing_and_too_large_batches_in_a_folder_are_named(data_dir, monkeypatch):
    write_batches(data_dir / FOLDER, {name: c for name, c in cifar_batches().items() if name != "data_batch_4"})
    assert "data_batch_4 is missing (in " in problem("cifar10")
    monkeypatch.setattr(cifar, "MOST_BYTES", 20_000)
    assert "data_batch_1 has 31" in problem("cifar10")


def test_declared_length_beyond_the_end_allocates_nothing(data_dir):
    content = b"\x80\x02T" + struct.pack("<i", 2**31 - 1) + b"abc."
    write_batches(data_dir / FOLDER, cifar_batches() | {"test_batch": content})
    assert "test_batch is a damaged pickle" in problem("cifar10")
