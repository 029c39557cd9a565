"""From arrays as read to a data set: layout, types, labels 0 to K − 1, a test part if none came."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nas.data.images import Array, Images, Raw, channel_axis, check_described, content_hash
from nas.data.split import held_out
from nas.errors import DataError

TEST_SEED = 2012
"""The seed of the test split, the same for every study, so that no study trains on another's test images."""


def prepare(name: str, raw: Raw) -> Images:
    """The data set of arrays x_train, y_train and perhaps x_test, y_test; else a fifth becomes the test part.

    Raises:
        DataError: arrays that are not a data set; the message does not name it.
    """
    arrays = raw.arrays
    check_described(arrays)
    classes, labels = numbered(whole("y_train", arrays["y_train"]))
    if "x_test" in arrays:
        test_labels = numbered_as(classes, whole("y_test", arrays["y_test"]))
        parts = (pixels("x_train", arrays), labels, pixels("x_test", arrays), test_labels)
    else:
        parts = with_test(pixels("x_train", arrays), labels)
    class_names = tuple(raw.class_names[value] if raw.class_names else str(value) for value in classes)
    return Images(name, *parts, class_names, content_hash(arrays))


def whole(key: str, labels: Array) -> Array:
    """Labels of shape (N,) in int64, from (N,) or (N, 1) of any integers."""
    if labels.max() > np.iinfo(np.int64).max:
        raise DataError(f"{key} holds {labels.max()}; labels up to 2^63 − 1 are allowed")
    return labels.reshape(-1).astype(np.int64)


def numbered(labels: Array) -> tuple[Array, Array]:
    """The classes in ascending order, and the labels (N,) as indices into them."""
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"y_train has one class, {classes[0]}; at least two are needed")
    return classes, numbers.astype(np.int64)


def numbered_as(classes: Array, labels: Array) -> Array:
    """Test labels (N,) as indices into the classes of the training part."""
    unseen = np.setdiff1d(labels, classes)
    if len(unseen):
        shown = ", ".join(str(value) for value in unseen[:5]) + (", …" if len(unseen) > 5 else "")
        raise DataError(f"y_test has classes that y_train has not: {shown}")
    return np.searchsorted(classes, labels).astype(np.int64)


def pixels(key: str, arrays: Mapping[str, Array]) -> Array:
    """Images (N, C, H, W), contiguous: uint8 stays, booleans become uint8, all else float32."""
    images = arrays[key]
    axis = channel_axis(key, images.shape)
    images = images[:, np.newaxis] if axis is None else np.moveaxis(images, axis, 1)
    kept = np.uint8 if images.dtype.kind == "b" or images.dtype == np.uint8 else np.float32
    with np.errstate(over="ignore"):
        images = np.ascontiguousarray(images, dtype=kept)
    if kept is np.float32 and not np.isfinite(images).all():
        raise DataError(f"{key} has values that are NaN, infinite or too large for float32")
    return images


def with_test(images: Array, labels: Array) -> tuple[Array, Array, Array, Array]:
    """Training images and labels, test images and labels: a fifth, drawn once for all studies."""
    test = held_out(labels, TEST_SEED)
    if not test.any():
        raise DataError(f"{len(labels)} images are too few to leave one for testing: no class has two")
    return images[~test], labels[~test], images[test], labels[test]
