"""Training on some of the images: of each class its share, by the study's seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.names import load_images
from nas.data.split import drawn, split_validation, training_split
from nas.errors import DataError


@given(st.lists(st.integers(1, 40), min_size=2, max_size=20), st.floats(0.05, 1), st.integers(0, 2**63))
def test_each_class_gives_its_share_within_one(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    count = max(1, int(share * len(labels)))
    chosen = drawn(labels, count, seed)
    assert chosen.sum() == count
    given = np.bincount(labels[chosen], minlength=len(counts))
    assert (np.abs(given - np.array(counts) * count / len(labels)) < 1).all()


def test_subset_is_of_the_part_that_is_not_held_out():
    images = load_images("digits")
    whole, some = split_validation(images, 3), training_split(images, 3, 500)
    assert np.array_equal(whole.validation_images, some.validation_images)
    assert len(some.train_labels) == 500
    rows = {image.tobytes() for image in whole.train_images}
    assert all(image.tobytes() in rows for image in some.train_images)
    assert len({image.tobytes() for image in some.train_images}) == 500


def test_subset_follows_the_seed_and_none_means_all():
    images = load_images("digits")
    first, again, other = (training_split(images, seed, 500).train_images for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(training_split(images, 3).train_labels) == len(split_validation(images, 3).train_labels)


def test_more_than_there_are_is_an_error():
    with pytest.raises(DataError, match="2,000 images to train on are asked for; there are 1,150"):
        training_split(load_images("digits"), 0, 2000)
