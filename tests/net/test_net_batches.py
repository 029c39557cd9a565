import numpy as np
import torch

from nas.data.shared import mapped, share
from nas.data.split import Split
from nas.net.batches import Normalisation, make_batches, normalisation_of


def a_split(count: int, channels: int = 1, size: tuple[int, int] = (4, 4), kind: type = np.uint8) -> Split:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (count, channels, *size)).astype(kind)
    labels = random.integers(0, 3, count).astype(np.int64)
    return Split(images, labels, images[:5], labels[:5])


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    data = make_batches(a_split(3000, 3, (4, 6), np.float32), 3000)
    images, labels = next(data.epoch(0, 1))
    assert (images.shape, images.dtype, labels.dtype) == ((3000, 3, 4, 6), torch.float32, torch.int64)
    assert torch.allclose(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(images.std((0, 2, 3)), torch.ones(3), atol=1e-3)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_shared_images_are_trained_on_where_they_lie() -> None:
    split = a_split(64, 3)
    with share(vars(split), "hash") as file:
        laid = mapped(file.fileno(), "hash")
    plain = make_batches(split, 64)
    data = make_batches(Split(**laid), 64, normalisation=plain.normalisation)
    assert data.train_images.data_ptr() == laid["train_images"].ctypes.data
    assert data.validation_images.data_ptr() == laid["validation_images"].ctypes.data
    assert data.train_labels.data_ptr() == laid["train_labels"].ctypes.data
    for (images, labels), (others, of_them) in zip(plain.epoch(0, 1), data.epoch(0, 1), strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, of_them)


def test_normalisation_that_is_given_goes_before_the_images_own() -> None:
    given = Normalisation((1.0,), (2.0,))
    data = make_batches(a_split(64), 64, normalisation=given)
    images, _ = next(data.fixed(data.train_images, data.train_labels))
    assert torch.equal(images, (data.train_images.float() - 1) / 2)


def test_constant_channel_is_not_divided_by_zero() -> None:
    assert normalisation_of(np.full((5, 1, 2, 2), 7, np.uint8)).std == (1.0,)
    assert normalisation_of(np.full((5, 1, 2, 2), 0.1, np.float32)).std == (1.0,)


def test_last_single_image_is_dropped_unless_it_is_all() -> None:
    data = make_batches(a_split(65), 64)
    assert [len(labels) for _, labels in data.epoch(0, 1)] == [64]
    few = make_batches(a_split(10), 64)
    assert [len(labels) for _, labels in few.epoch(0, 1)] == [10]
    assert (data.steps, few.steps) == (1, 1)


def test_order_follows_seed_and_epoch() -> None:
    data = make_batches(a_split(64), 32)

    def order(seed: int, epoch: int) -> list[int]:
        return [int(label) for _, labels in data.epoch(seed, epoch) for label in labels]

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(*pair)) for pair in ((1, 1), (1, 2), (2, 1))}) == 3


def test_validation_and_test_batches_keep_their_order() -> None:
    split = a_split(64)
    data = make_batches(split, 2)
    labels = torch.cat([labels for _, labels in data.validation()])
    assert labels.tolist() == split.validation_labels.tolist()
    others = list(data.others(split.train_images, split.train_labels))
    first = next(iter(data.validation()))[0]
    assert torch.equal(others[0][0], first)
    assert sum(len(labels) for _, labels in others) == 64
