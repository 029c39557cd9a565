"""The stratified split: one image in five is held out, by a seed, the same on every platform."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nas.arch.record import VALIDATION
from nas.data.images import Array, Images
from nas.errors import DataError

ONE_IN = 5
"""One image in so many is held out: 20 %."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images (N, C, H, W) and labels (N,) to train on, and others to score on; in the order of the data set."""

    train_images: Array
    train_labels: Array
    validation_images: Array
    validation_labels: Array


def split_validation(images: Images, seed: int) -> Split:
    """A fifth of the training part for validation, stratified, by the study's seed; no test image is touched.

    Raises:
        DataError: no class has two training images.
    """
    held = held_out(images.train_labels, seed)
    if not held.any():
        count = len(images.train_labels)
        raise DataError(
            f"data set {images.name!r}: {count} training images are too few to leave one for validation: "
            "no class has two"
        )
    return Split(
        images.train_images[~held],
        images.train_labels[~held],
        images.train_images[held],
        images.train_labels[held],
    )


def study_split(images: Images, seed: int, count: int | None = None, scored_on: str = VALIDATION) -> Split:
    """The images that a study trains on, and those it is scored on: held out from the training part, or the test part.

    Scored on test images, a study trains on all others: nothing is chosen by them, so none need be held out. It has
    then no use for `training_split`, which alone searches use, and which touches no test image.

    Raises:
        DataError: there are not `count` images to train on, or no class has two training images.
    """
    if scored_on == VALIDATION:
        return training_split(images, seed, count)
    whole = Split(images.train_images, images.train_labels, images.test_images, images.test_labels)
    return _fewer(whole, count, seed, images.name, "beside the test images")


def training_split(images: Images, seed: int, count: int | None = None) -> Split:
    """The split of a study: validation held out, and of the rest `count` images (None: all), by the study's seed.

    Raises:
        DataError: there are not so many, or no class has two training images.
    """
    return _fewer(split_validation(images, seed), count, seed, images.name, "beside those held out for validation")


def _fewer(split: Split, count: int | None, seed: int, name: str, beside: str) -> Split:
    """The split with `count` of its images to train on; all of them for None."""
    if count is None:
        return split
    there = len(split.train_labels)
    if count > there:
        raise DataError(f"data set {name!r}: {count:,} images to train on are asked for; there are {there:,} {beside}")
    chosen = drawn(split.train_labels, count, seed)
    return replace(split, train_images=split.train_images[chosen], train_labels=split.train_labels[chosen])


def drawn(labels: Array, count: int, seed: int) -> Array:
    """Which `count` of N labels (integers from 0) are drawn, as booleans (N,): of each class its share."""
    random = np.random.Generator(np.random.PCG64(seed))
    counts = np.bincount(labels)
    shares, rest = np.divmod(counts * count, len(labels))
    lots = random.permutation(len(counts))
    shares[lots[np.argsort(-rest[lots], kind="stable")][: count - shares.sum()]] += 1
    return _first_of_each(labels, shares, random)


def held_out(labels: Array, seed: int) -> Array:
    """Which of N labels (integers from 0) are held out, as booleans (N,); none where no class has two."""
    random = np.random.Generator(np.random.PCG64(seed))
    counts = np.bincount(labels)
    return _first_of_each(labels, held_per_class(counts, random), random)


def _first_of_each(labels: Array, shares: Array, random: np.random.Generator) -> Array:
    """So many of each class, in an order drawn at random, as booleans (N,)."""
    counts = np.bincount(labels)
    order = random.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    place = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    held = np.zeros(len(labels), dtype=np.bool_)
    held[by_class[place < np.repeat(shares, counts)]] = True
    return held


def held_per_class(counts: Array, random: np.random.Generator) -> Array:
    """How many of each class's images are held out: a fifth by largest remainder, ties by lot.

    Rounding each class alone would leave nothing of many small classes. A class of one image keeps it in
    training, one of two or more keeps at least one.
    """
    shares = counts // ONE_IN
    wanted = (counts.sum() + ONE_IN // 2) // ONE_IN
    lots = random.permutation(len(counts))
    order = lots[np.argsort(-(counts[lots] % ONE_IN), kind="stable")]
    shares[order[counts[order] >= 2][: wanted - shares.sum()]] += 1
    return shares
