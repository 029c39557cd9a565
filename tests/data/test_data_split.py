"""The stratified split: what it promises for all labels, and the exact split of one seed."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data.images import Images
from nas.data.names import load_images
from nas.data.split import held_out, split_validation
from nas.errors import DataError

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=30)
SEEDS = st.integers(0, 2**63)


def labels_of(counts, seed):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def world(labels) -> Images:
    x = np.arange(len(labels)).reshape(-1, 1, 1, 1).astype(np.float32)
    names = tuple(str(label) for label in range(labels.max() + 1))
    return Images("toy", x, labels, x[:1], labels[:1], names, "")


@given(COUNTS, SEEDS)
def test_each_class_gives_a_fifth_within_one_and_keeps_at_least_one(counts, seed):
    labels = labels_of(counts, seed)
    held = np.bincount(labels[held_out(labels, seed)], minlength=len(counts))
    assert (np.abs(held - np.array(counts) / 5) <= 1).all()
    assert (held < np.array(counts)).all()
    if max(counts) > 1:
        assert held.sum() >= 1
    if min(counts) > 1:
        assert held.sum() == round(sum(counts) / 5)


@given(COUNTS.filter(lambda counts: max(counts) > 1), SEEDS)
def test_parts_are_disjoint_and_cover_all_with_their_labels(counts, seed):
    labels = labels_of(counts, seed)
    split = split_validation(world(labels), seed)
    train, validation = split.train_images.ravel().astype(int), split.validation_images.ravel().astype(int)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    np.testing.assert_array_equal(split.train_labels, labels[train])
    np.testing.assert_array_equal(split.validation_labels, labels[validation])


def test_same_seed_same_split_and_another_seed_another():
    labels = np.arange(200) % 10
    np.testing.assert_array_equal(held_out(labels, 1), held_out(labels, 1))
    assert (held_out(labels, 1) != held_out(labels, 2)).any()


def test_split_of_the_digits_is_frozen():
    split = split_validation(load_images("digits"), 0)
    assert (len(split.train_images), len(split.validation_images)) == (1150, 288)
    digest = hashlib.sha256(split.validation_images.astype("<f4").tobytes()).hexdigest()
    assert digest == "8aa79494823e154965a080dd4d5baef04ac2a2140e8917ea8217b47c1d5fa614"


def test_many_small_classes_still_give_a_fifth():
    labels = np.repeat(np.arange(100), 2)
    assert held_out(labels, 0).sum() == 40


def test_classes_of_one_image_leave_nothing_to_validate():
    with pytest.raises(DataError, match=r"^data set 'toy': 3 training images are too few .* no class has two$"):
        split_validation(world(np.arange(3)), 0)
