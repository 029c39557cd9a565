"""Training images moved at random."""

import pytest
import torch

from nas.arch.recipe import Recipe
from nas.net.augment import Augmentation, augmentation_of


def moved(augmentation, images, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return augmentation.moved(augmentation.taken(images, torch.arange(len(images)), generator), generator)


@pytest.fixture
def images():
    return torch.randn(32, 3, 9, 6, generator=torch.Generator().manual_seed(1))


def test_nothing_asked_for_moves_nothing(images):
    assert augmentation_of(Recipe()) == Augmentation()
    assert torch.equal(moved(Augmentation(), images), images)
    assert torch.allclose(moved(Augmentation(shift=1e-9), images), images, atol=1e-5)


def test_flip_mirrors_about_half_of_the_images(images):
    given = moved(Augmentation(flip=True), images)
    same = (given == images).flatten(1).all(1)
    mirrored = (given == images.flip(3)).flatten(1).all(1)
    assert bool((same | mirrored).all())
    assert 8 <= int(mirrored.sum()) <= 24


def test_flip_within_a_resampling_mirrors_too(images):
    given = moved(Augmentation(shift=1e-9, flip=True), images)
    mirrored = torch.isclose(given, images.flip(3), atol=1e-4).flatten(1).all(1)
    assert 8 <= int(mirrored.sum()) <= 24


def test_rotation_turns_by_the_angle_and_keeps_lengths():
    # A spot 8 pixels right of the middle of a wide image: turned, it stays 8 pixels from the middle.
    image = torch.zeros(200, 1, 21, 41)
    image[:, 0, 9:12, 27:30] = 1.0
    given = moved(Augmentation(rotation=45), image)
    rows, columns = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(41.0) - 20, indexing="ij")
    mass = given[:, 0].sum((1, 2))
    down, across = ((given[:, 0] * places).sum((1, 2)) / mass for places in (rows, columns))
    assert torch.allclose(torch.hypot(down, across), torch.full((200,), 8.0), atol=0.3)
    angles = torch.rad2deg(torch.atan2(down, across))
    assert angles.abs().max() <= 45.5
    assert angles.min() < -35
    assert angles.max() > 35


def test_shift_moves_by_at_most_its_share_of_each_side():
    image = torch.zeros(300, 1, 20, 40)
    image[:, 0, 10, 20] = 1.0
    given = moved(Augmentation(shift=0.1), image)
    places = given.flatten(1).argmax(1)
    down, across = places // 40 - 10, places % 40 - 20
    assert int(down.abs().max()) == 2
    assert 3 <= int(across.abs().max()) <= 4


def test_what_comes_in_repeats_the_edge():
    given = moved(Augmentation(rotation=45, shift=0.3, flip=True), torch.full((8, 2, 5, 7), 3.5))
    assert torch.allclose(given, torch.full_like(given, 3.5))


def test_same_generator_gives_the_same_moves(images):
    augmentation = augmentation_of(Recipe(rotation=45, shift=0.1, flip=True))
    assert torch.equal(moved(augmentation, images, 3), moved(augmentation, images, 3))
    assert not torch.equal(moved(augmentation, images, 3), moved(augmentation, images, 4))


def test_crop_shows_the_image_off_its_middle_and_mirrors_what_comes_in():
    image = torch.arange(35, dtype=torch.uint8).view(1, 1, 5, 7).expand(200, 1, 5, 7)
    given = moved(Augmentation(crop=2), image)
    padded = torch.nn.functional.pad(image[:1].float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)[0, 0]
    windows = {padded[down : down + 5, right : right + 7].numpy().tobytes() for down in range(5) for right in range(5)}
    seen = {one[0].numpy().tobytes() for one in given}
    assert given.dtype == torch.uint8
    assert seen <= windows
    assert len(seen) == 25


def test_taken_are_the_images_of_the_index(images):
    index = torch.tensor([3, 3, 0])
    generator = torch.Generator().manual_seed(2)
    given = Augmentation(flip=True).taken(images, index, generator)
    for one, place in zip(given, index, strict=True):
        assert torch.equal(one, images[place]) or torch.equal(one, images[place].flip(2))


def test_cutout_blanks_a_square_round_any_pixel(images):
    given = moved(Augmentation(cutout=0.5), images.abs() + 1)
    blanked = given == 0
    assert torch.equal(blanked.any(1), blanked.all(1))
    sizes = blanked[:, 0].sum((1, 2))
    assert int(sizes.max()) == 4 * 3
    assert 1 <= int(sizes.min()) < 4 * 3
    assert bool(blanked.any(0).all(0)[0, 0])
