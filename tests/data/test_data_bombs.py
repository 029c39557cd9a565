"""Files made to fill the memory, to take forever or to lead elsewhere: each refused in one line, early."""

import gzip
import io
import os
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from data_worlds import cifar_batches, mnist_arrays, problem, tar_of, tree, write_idx, write_tree, write_zip
from numpy.lib import format as npy

from nas.data import cifar, folder, images, pickled
from nas.data.names import load_images
from nas.data.pickled import Call, byte_array, plain_data
from nas.errors import DataError


@pytest.fixture
def little_is_free(monkeypatch):
    monkeypatch.setattr(images, "FREE_BYTES", 100_000)


def empty_npz(path, shape):
    """An array of zeros, which packs to a thousandth."""
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": shape})
    labels = io.BytesIO()
    npy.write_array(labels, np.arange(shape[0]) % 2)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", head.getvalue() + bytes(int(np.prod(shape))))
        archive.writestr("y_train.npy", labels.getvalue())


def test_npz_of_emptiness_is_refused_by_what_it_declares(tmp_path, little_is_free):
    empty_npz(tmp_path / "small.npz", (50, 28, 28))
    assert load_images("small.npz", folder=tmp_path).classes == 2
    empty_npz(tmp_path / "bomb.npz", (500, 28, 28))
    assert "x_train declares 392128 bytes, packed into " in problem("bomb.npz", tmp_path)


def test_idx_of_emptiness_and_one_that_declares_more_than_there_is_are_refused(data_dir, little_is_free):
    write_idx(data_dir / "mnist", mnist_arrays())
    file = data_dir / "mnist" / "train-images-idx3-ubyte.gz"
    head = bytes((0, 0, 8, 3)) + struct.pack(">3I", 1000, 28, 28)
    file.write_bytes(gzip.compress(head + bytes(784_000)))
    assert "declares 784000 bytes, packed into " in problem("mnist")
    file.write_bytes(gzip.compress(bytes((0, 0, 8, 3)) + struct.pack(">3I", 10**7, 28, 28)))
    assert "declares 7840000000 bytes, packed into 3" in problem("mnist")


def test_archive_that_unpacks_without_end_is_refused(data_dir, monkeypatch):
    whole = tar_of(cifar_batches())
    size = len(gzip.decompress(whole))
    (data_dir / "cifar-10-python.tar.gz").write_bytes(whole)
    monkeypatch.setattr(cifar, "MOST_UNPACKED", size)
    assert load_images("cifar10").classes == 10
    (data_dir / "cifar-10-python.tar.gz").write_bytes(gzip.compress(gzip.decompress(whole) + bytes(10_000)))
    assert f"has more than {size} bytes when unpacked" in problem("cifar10")


def test_header_of_an_archive_that_declares_gigabytes_is_refused(data_dir, monkeypatch):
    monkeypatch.setattr(cifar, "MOST_UNPACKED", 10**6)
    head = tarfile.TarInfo("pax")
    head.type, head.size = tarfile.XHDTYPE, 2**31
    content = gzip.compress(head.tobuf(tarfile.GNU_FORMAT) + b"9" * 2 * 10**6)
    (data_dir / "cifar-10-python.tar.gz").write_bytes(content)
    assert "has more than 1000000 bytes when unpacked" in problem("cifar10")


@pytest.mark.parametrize("keys", [b"\x85" * 20_000, b"q\x00h\x00\x86" * 80], ids=["deep", "wide"])
def test_pickle_whose_keys_cannot_be_hashed_in_any_time_is_refused(keys):
    with pytest.raises(DataError, match="keys are no texts"):
        plain_data(b"\x80\x02}K\x01" + keys + b"K\x01s.")


def test_pickle_of_endless_operations_is_refused(monkeypatch):
    monkeypatch.setattr(pickled, "MOST_OPERATIONS", 1000)
    with pytest.raises(DataError, match="more than 1,000 operations"):
        plain_data(b"\x80\x02" + b"]" * 2000 + b".")


@pytest.mark.parametrize("shape", [[10, 3072], ([0] * 1000, 10**9), ("a" * 1000, 10**9), (10**9,) * 10, (True, 1)])
def test_shape_that_is_no_shape_is_not_multiplied(shape):
    kind = Call("numpy dtype", ("u1", 0, 1))
    array = Call("numpy.core.multiarray _reconstruct", (), (1, shape, kind, False, "x"))
    with pytest.raises(DataError, match="no array of unsigned bytes"):
        byte_array(array)


def test_image_of_a_folder_is_refused_by_its_size_unread(tmp_path):
    write_tree(tmp_path, tree())
    os.truncate(tmp_path / "train" / "a" / "0.png", 2**40)
    assert "'train/a/0.png' cannot be read as an image: it has 1099511627776 bytes" in problem(str(tmp_path))


def test_links_from_folder_to_folder_come_to_an_end(tmp_path, monkeypatch):
    write_tree(tmp_path, tree())
    monkeypatch.setattr(folder, "MOST_ENTRIES", 200)
    assert load_images(str(tmp_path)).classes == 2
    for depth in range(3):
        place = tmp_path / "train" / "/".join("x" * depth)
        for number in range(10):
            (place / "x").mkdir(exist_ok=True)
            os.symlink("x", place / f"y{number}")
    assert "holds more than 200 files and folders" in problem(str(tmp_path))


@pytest.mark.parametrize("device", ["/dev/zero", "pipe"])
def test_device_or_pipe_in_a_folder_is_passed_over(tmp_path, device):
    write_tree(tmp_path, tree())
    place = tmp_path / "train" / "a" / "9.png"
    os.mkfifo(place) if device == "pipe" else os.symlink(device, place)
    assert len(load_images(str(tmp_path)).train_labels) == 6


@pytest.mark.parametrize("name", ["a" * 1000, "a" * 1000 + ".npz", "a" * 1000 + ".zip"])
def test_name_too_long_for_the_system_is_a_line(name):
    assert "File name too long" in problem(name)


def test_member_without_a_name_is_passed_over(tmp_path):
    write_zip(tmp_path / "x.zip", {**tree(parts=("train/",)), "?": b"x"})
    content = (tmp_path / "x.zip").read_bytes()
    central = content.rindex(b"PK\x01\x02")
    nameless = content[: central + 28] + b"\x00\x00\x01\x00" + content[central + 32 :]
    (tmp_path / "x.zip").write_bytes(nameless)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.infolist()[-1].filename == ""
    assert load_images("x.zip", folder=tmp_path).classes == 2


def test_archive_of_links_out_of_the_folder_reads_no_other_file(tmp_path):
    """A link in a .zip is a member like others, whose content is the path: no image."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(next(iter(tree().values())))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, content in tree(parts=("train/",)).items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("train/a/9.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(secret))
    assert "'train/a/9.png' cannot be read as an image" in problem("x.zip", tmp_path)
