"""Image files of one size become one array, by Pillow: grey as N×H×W, colour as N×H×W×3, uint8.

An image is grey or colour by its file's mode: all grey stay grey, one of colour makes all colour. Transparency is
left out, of several frames the first is taken, the orientation in a photograph's notes is not followed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from nas.data.images import LARGEST, Array, first_line
from nas.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
"""Endings of the files that are images."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")
"""What a file may be in truth, whatever its ending; Pillow opens no others here."""

MOST_PIXELS = 2**24
"""Pixels of one image: 4096 × 4096. A few bytes can declare any number."""

GREY = ("1", "L", "LA", "La")
COLOUR = ("RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")

Read = Callable[[], bytes]


def decode(names: Sequence[str], reads: Sequence[Read]) -> Array:
    """The images (N, H, W) or (N, H, W, 3) in the order given; `reads` gives each file's bytes when called.

    Raises:
        DataError: the first that cannot be read, or is of another size than the one before all others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow thinks of a file's notes says nothing about its pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        first = opened(names[0], reads[0])
        images = room(names, first)
        for place, (name, read) in enumerate(zip(names, reads, strict=True)):
            image = first if place == 0 else opened(name, read)
            if image.size != first.size:
                raise DataError(
                    f"{name} has {sides(image)} pixels, {names[0]} {sides(first)}; all images must be of one size"
                )
            if images.ndim == 3 and image.mode in COLOUR:
                images = coloured(names, images, first)
            images[place] = pixels_of(name, image, colour=images.ndim == 4)
    return images


def opened(name: str, read: Read) -> Image.Image:
    """An image whose head alone is read: its size and mode are known, its pixels not yet decoded."""
    try:
        image = Image.open(io.BytesIO(read()), formats=FORMATS)
    except Exception as error:  # a damaged file may raise nearly anything, in zipfile as in Pillow
        raise unreadable(name, error) from error
    if image.mode not in GREY + COLOUR:
        raise DataError(f"{name} has pixels of type {image.mode!r}; 8 bits a channel, grey or colour, are allowed")
    if image.width * image.height > MOST_PIXELS:
        raise DataError(f"{name} has {sides(image)} pixels; up to {MOST_PIXELS} are allowed")
    return image


def pixels_of(name: str, image: Image.Image, *, colour: bool) -> Array:
    """The pixels (H, W) or (H, W, 3) of one image, decoded now."""
    try:
        mode = "RGB" if colour else "L"
        return np.asarray(image if image.mode == mode else image.convert(mode))
    except Exception as error:
        raise unreadable(name, error) from error


def room(names: Sequence[str], image: Image.Image) -> Array:
    """An empty array for so many images like this one."""
    shape = (len(names), image.height, image.width) + (() if image.mode in GREY else (3,))
    needed = int(np.prod(shape, dtype=np.float64))
    if needed > LARGEST:
        raise DataError(f"{len(names)} images of {sides(image)} pixels take {needed} bytes; up to {LARGEST} fit")
    return np.empty(shape, np.uint8)


def coloured(names: Sequence[str], images: Array, image: Image.Image) -> Array:
    """The grey images (N, H, W) as (N, H, W, 3)."""
    colour = room(names, Image.new("RGB", image.size))
    colour[:] = images[..., np.newaxis]
    return colour


def sides(image: Image.Image) -> str:
    """Width × height in pixels."""
    return f"{image.width} × {image.height}"


def unreadable(name: str, error: Exception) -> DataError:
    """The line on a file that is damaged or no image."""
    told = "no image" if isinstance(error, UnidentifiedImageError) else first_line(error)
    return DataError(f"{name} cannot be read as an image: {told}")
