"""Which images a study trains on and is scored on."""

from dataclasses import replace

import numpy as np
import pytest

from nas.data.names import load_images
from nas.data.split import study_split, training_split
from nas.errors import DataError


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def test_study_scored_on_test_images_trains_on_all_others(digits):
    split = study_split(digits, 3, scored_on="test")
    assert (len(split.train_labels), len(split.validation_labels)) == (1438, 359)
    assert np.array_equal(split.train_images, digits.train_images)
    assert np.array_equal(split.validation_images, digits.test_images)


def test_study_scored_on_validation_images_touches_no_test_image(digits):
    blind = replace(digits, test_images=digits.test_images[:0], test_labels=digits.test_labels[:0])
    one, other = study_split(blind, 3), training_split(digits, 3)
    assert np.array_equal(one.validation_images, other.validation_images)
    assert np.array_equal(one.train_images, other.train_images)


def test_some_of_the_images_are_drawn_from_all_that_are_trained_on(digits):
    split = study_split(digits, 3, 1400, scored_on="test")
    assert len(split.train_labels) == 1400
    assert np.abs(np.bincount(split.train_labels) / 1400 - np.bincount(digits.train_labels) / 1438).max() < 0.002
    with pytest.raises(DataError, match="1,500 images to train on are asked for; there are 1,438 beside the test"):
        study_split(digits, 3, 1500, scored_on="test")
