"""Image folders and zips of them: layouts, kinds of pixels, and everything that is an error."""

import io
import os
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from data_worlds import picture, pixels, problem, tree, write_tree, write_zip
from PIL import Image

from nas.data import decode, folder
from nas.data.names import load_images
from nas.errors import DataError


def write(path, files, kind):
    (write_zip if kind == "zip" else write_tree)(path / f"pets{'.zip' if kind == 'zip' else ''}", files)
    return "pets.zip" if kind == "zip" else "pets"


def loaded(path, files):
    write_tree(path / "pets", files)
    return load_images("pets", folder=path)


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_train_and_test_folders_keep_their_parts(tmp_path, kind):
    files = tree(classes=3, count=2)
    images = load_images(write(tmp_path, files, kind), folder=tmp_path)
    assert (images.input, images.class_names) == ((3, 4, 6), ("a", "b", "c"))
    assert images.train_labels.tolist() == images.test_labels.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(images.train_images[3].transpose(1, 2, 0), decoded(files["train/b/1.png"]))
    np.testing.assert_array_equal(images.test_images[4].transpose(1, 2, 0), decoded(files["test/c/0.png"]))


@pytest.mark.parametrize("parts", [("",), ("train/",), ("pets/",), ("pets/train/",)])
def test_without_test_folder_a_fifth_is_held_out(tmp_path, parts):
    images = loaded(tmp_path, tree(count=10, parts=parts))
    assert (images.class_names, len(images.train_images), len(images.test_images)) == (("a", "b"), 16, 4)


def test_folders_around_the_classes_are_passed_through(tmp_path):
    plain = loaded(tmp_path, tree())
    wrapped = tree(parts=("data/pets/train/", "data/pets/test/"))
    files = dict(zip(wrapped, tree().values(), strict=True))
    write_zip(tmp_path / "wrapped.zip", {"README.md": b"hello", "data/labels.csv": b"", **files})
    assert load_images("wrapped.zip", folder=tmp_path).content_hash == plain.content_hash


def test_folder_and_zip_in_any_order_are_one_data_set(tmp_path):
    files = tree(count=12)
    write_zip(tmp_path / "there.zip", files)
    write_zip(tmp_path / "back.zip", dict(reversed(files.items())))
    hashes = {load_images(name, folder=tmp_path).content_hash for name in ("there.zip", "back.zip")}
    assert hashes == {loaded(tmp_path, files).content_hash}


def test_order_is_that_of_the_names_code_points(tmp_path):
    names = ["10.png", "2.png", "B.png", "a.png", "é.png"]
    images = loaded(
        tmp_path, {f"{part}/{name}": picture(5) for part in ("train/x", "train/y", "test/x") for name in names}
    )
    assert images.train_labels.tolist() == [0] * 5 + [1] * 5
    files = folder.parted(sorted((part, name) for part in "ba" for name in reversed(names)))[0]
    assert [name for _, name in files] == names * 2


@pytest.mark.parametrize("name", ["1.PNG", "1.jpg", "1.JPEG", "1.bmp", "1.gif", "1.webp", "1.ppm", "1.pgm"])
def test_every_ending_is_read_by_content(tmp_path, name):
    files = {f"{label}/{number}{name}": picture(number) for label in "ab" for number in range(3)}
    assert loaded(tmp_path, files).input == (3, 4, 6)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM"])
def test_every_format_is_decoded(tmp_path, format):
    files = {f"{label}/{number}.png": picture(number, format=format) for label in "ab" for number in range(3)}
    images = loaded(tmp_path, files)
    kept = np.concatenate([images.train_images, images.test_images])
    expected = np.asarray(Image.open(io.BytesIO(files["a/0.png"])).convert("RGB")).transpose(2, 0, 1)
    assert any((image == expected).all() for image in kept)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("CMYK", 3)]
)
def test_kind_of_pixels_gives_grey_or_colour(tmp_path, mode, channels):
    format = "JPEG" if mode == "CMYK" else "PNG"
    files = {f"{label}/{number}.png": picture(3, mode=mode, format=format) for label in "ab" for number in range(3)}
    images = loaded(tmp_path, files)
    assert (images.input, images.train_images.dtype) == ((channels, 4, 6), np.uint8)


def test_transparency_is_left_out_and_its_pixels_kept(tmp_path):
    seen = pixels(4, 6, 4)
    stream = io.BytesIO()
    Image.fromarray(seen).save(stream, "PNG")
    images = loaded(tmp_path, {f"{label}/{number}.png": stream.getvalue() for label in "ab" for number in range(2)})
    np.testing.assert_array_equal(images.train_images[0], seen[..., :3].transpose(2, 0, 1))


def test_palette_with_transparency_keeps_its_colours(tmp_path):
    stream = io.BytesIO()
    image = Image.fromarray(pixels(4, 6, 3)).convert("P")
    image.save(stream, "PNG", transparency=bytes(range(256)))
    images = loaded(tmp_path, {f"{label}/{number}.png": stream.getvalue() for label in "ab" for number in range(2)})
    np.testing.assert_array_equal(images.train_images[0], np.asarray(image.convert("RGB")).transpose(2, 0, 1))


@pytest.mark.parametrize("place", [0, 5, 11])
def test_one_image_of_colour_makes_all_colour(tmp_path, place):
    files = tree(mode="L")
    name = sorted(files, key=lambda name: (name.startswith("test"), name))[place]
    images = loaded(tmp_path, files | {name: picture(7)})
    every = np.concatenate([images.train_images, images.test_images])
    assert images.input == (3, 4, 6)
    assert [bool((image != image[:1]).any()) for image in every] == [number == place for number in range(12)]
    np.testing.assert_array_equal(every[1][0], decoded(files["train/a/1.png"]))


def test_what_file_managers_leave_behind_is_passed_over(tmp_path):
    left = {
        **{"train/a/.DS_Store": b"", "train/a/Thumbs.db": b"", "__MACOSX/train/a/._0.png": b"x"},
        **{"train/.cache/0.png": b"x", "train/b/desktop.ini": b"", "README.txt": b"", "train/labels.csv": b""},
    }
    write_zip(tmp_path / "pets.zip", left | tree())
    assert load_images("pets.zip", folder=tmp_path).content_hash == loaded(tmp_path, left | tree()).content_hash


def test_members_that_would_climb_out_write_nothing(tmp_path):
    evil = {"../../evil/0.png": picture(), "/train/a/9.png": picture(9)}
    inside = tmp_path / "one" / "two"
    inside.mkdir(parents=True)
    write_zip(inside / "pets.zip", tree() | evil)
    assert len(load_images("pets.zip", folder=inside).train_images) == 7
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["pets.zip"]


def test_links_in_an_archive_are_no_images(tmp_path):
    write_zip(tmp_path / "pets.zip", tree())
    with zipfile.ZipFile(tmp_path / "pets.zip", "a") as archive:
        link = zipfile.ZipInfo("train/a/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "'train/a/link.png' cannot be read as an image: no image" in problem("pets.zip", tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_link_that_leads_back_up_is_told(tmp_path):
    write_tree(tmp_path / "pets", tree())
    (tmp_path / "pets" / "train" / "a" / "up").symlink_to(tmp_path / "pets")
    assert "lies too deep" in problem("pets", tmp_path)


def cut(content, share=0.6):
    return content[: int(len(content) * share)]


def bomb(width, height):
    """A PNG whose head declares so many pixels, and whose content holds none."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def deep():
    stream = io.BytesIO()
    Image.fromarray(pixels(4, 6).astype(np.uint16) * 200).save(stream, "PNG")
    return stream.getvalue()


ONE = "train/b/1.png"
WRONG = {
    "other size": ({ONE: picture(size=(5, 4))}, f"'{ONE}' has 5 × 4 pixels, 'train/a/0.png' 6 × 4; all images must"),
    "other size in test": ({"test/a/0.png": picture(size=(6, 5))}, "'test/a/0.png' has 6 × 5 pixels, "),
    "text": ({ONE: b"hello"}, f"'{ONE}' cannot be read as an image: no image"),
    "empty file": ({ONE: b""}, f"'{ONE}' cannot be read as an image: no image"),
    "png cut": ({ONE: cut(picture(size=(6, 4)))}, f"'{ONE}' cannot be read as an image: "),
    "jpeg cut": (
        {ONE: cut(picture(format="JPEG"), 0.95)},
        f"'{ONE}' cannot be read as an image: image file is truncated",
    ),
    "gif cut": ({ONE: cut(picture(format="GIF"), 0.5)}, f"'{ONE}' cannot be read as an image: "),
    "16 bits": ({ONE: deep()}, f"'{ONE}' has pixels of type 'I;16'; 8 bits a channel, grey or colour, are allowed"),
    "first is a bomb": ({"train/a/0.png": bomb(5000, 5000)}, "'train/a/0.png' has 5000 × 5000 pixels; up to 16777216"),
    "a larger bomb": ({ONE: bomb(12_000, 12_000)}, f"'{ONE}' cannot be read as an image: Image size (144000000"),
    "the largest bomb": ({ONE: bomb(2**31 - 1, 2**31 - 1)}, f"'{ONE}' cannot be read as an image: "),
    "other file": ({"train/b/notes.txt": b""}, "'train/b/notes.txt' is no image by its ending; allowed: .png, "),
    "tiff": ({"train/b/9.tif": picture()}, "'train/b/9.tif' is no image by its ending"),
    "too deep": (
        {"train/b/more/9.png": picture()},
        "'train/b/more/9.png' does not lie where an image may; allowed: tr",
    ),
    "no class": ({"train/9.png": picture()}, "'train/9.png' does not lie where an image may"),
    "val": ({"val/a/1.png": picture()}, "'val/a/1.png' does not lie where an image may; allowed: train/<class>/<im"),
    "class of test alone": ({"test/z/1.png": picture()}, "'test/z/1.png' is of a class that no training image has"),
    "line break": ({"train/a/x\ny.png": b""}, r"'train/a/x\ny.png' cannot be read"),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_file_is_told_in_one_line_that_names_it(tmp_path, case, kind):
    changed, expected = WRONG[case]
    assert expected in problem(write(tmp_path, tree() | changed, kind), tmp_path)


LAYOUTS = {
    "nothing": ({}, "holds no images (.png, "),
    "no image": ({"train/a/1.txt": b""}, "holds no images (.png, "),
    "all hidden": ({".train/a/1.png": b""}, "holds no images (.png, "),
    "one class": ({"cats/1.png": picture()}, "has one class, 'cats'; at least two are needed"),
    "test alone": (tree(parts=("test/",)), "holds test images and no others; allowed: train/<class>/<image>"),
    "images alone": ({"1.png": picture(), "2.png": picture()}, "'1.png' does not lie where an image may"),
    "one each": ({"a/1.png": picture(), "b/1.png": picture()}, "2 images are too few to leave one for testing"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layout_that_is_no_data_set_is_told_in_one_line(tmp_path, case):
    files, expected = LAYOUTS[case]
    write_zip(tmp_path / "pets.zip", files)
    assert expected in problem("pets.zip", tmp_path)
    (tmp_path / "pets").mkdir()
    write_tree(tmp_path / "pets", files)
    assert expected in problem("pets", tmp_path)


ZIPS = {
    "cut": (lambda content: content[: len(content) // 2], "cannot be read as .zip: File is not a zip file"),
    "empty": (lambda content: b"", "cannot be read as .zip: File is not a zip file"),
    "no zip": (lambda content: picture(), "cannot be read as .zip: File is not a zip file"),
    "broken member": (
        lambda content: content.replace(picture(100 + 1 + 60), bytes(len(picture(100 + 1 + 60)))),
        "'train/b/1.png' cannot be read as an image: Bad CRC-32",
    ),
    "head missing": (lambda content: content.replace(b"PK\x03\x04", b"PK\x07\x07", 1), "Bad magic number"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_damaged_archive_is_told_in_one_line(tmp_path, case):
    damage, expected = ZIPS[case]
    write_zip(tmp_path / "pets.zip", tree())
    path = tmp_path / "pets.zip"
    path.write_bytes(damage(path.read_bytes()))
    assert expected in problem("pets.zip", tmp_path)


def test_missing_zip_names_the_nearest(tmp_path):
    write_zip(tmp_path / "pets.zip", tree())
    assert "no such file: " in problem("pest.zip", tmp_path)
    assert "(did you mean 'pets.zip'?)" in problem("pest.zip", tmp_path)


def test_member_that_stands_twice_is_refused(tmp_path):
    write_zip(tmp_path / "pets.zip", tree())
    with zipfile.ZipFile(tmp_path / "pets.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(ONE, picture())
    assert f"'{ONE}' stands twice in the archive" in problem("pets.zip", tmp_path)


def test_member_that_declares_too_much_is_never_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MOST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (tree() | {ONE: picture() + bytes(100_000)}).items():
            archive.writestr(name, content)
    assert f"'{ONE}' cannot be read as an image: it declares 100" in problem("pets.zip", tmp_path)


@pytest.mark.parametrize(
    ("limit", "module", "expected"),
    [
        ("MOST_IMAGES", folder, "12 images; up to 5 are"),
        ("LARGEST", decode, "12 images of 6 × 4 pixels take 864 bytes; up to 5 fit"),
    ],
)
def test_more_than_fits_is_told_before_it_is_read(tmp_path, monkeypatch, limit, module, expected):
    monkeypatch.setattr(module, limit, 5)
    write_tree(tmp_path / "pets", tree())
    assert expected in problem("pets", tmp_path)


def test_class_folder_whose_name_is_no_text_is_an_error(tmp_path):
    for name in (b"cat", b"\xff\xfe"):
        folder = os.path.join(os.fsencode(tmp_path), b"set", name)
        os.makedirs(folder)
        for number in range(5):
            Image.new("L", (4, 4), number).save(os.fsdecode(os.path.join(folder, b"%d.png" % number)))
    with pytest.raises(DataError, match="has a name that cannot be printed; rename it"):
        load_images(str(tmp_path / "set"))
