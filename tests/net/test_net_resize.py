"""Images shown small at first."""

from dataclasses import replace

import pytest
import torch

from nas.arch.recipe import Recipe
from nas.net.batches import make_batches, scaled
from nas.net.build import build
from nas.net.resize import bears, size_of, sizes_of
from nas.net.train import train

GROWING = Recipe(epochs=10, start_size=0.5)


def test_images_grow_to_their_whole_size_and_stay_there():
    sizes = [size_of(GROWING, (32, 28), epoch) for epoch in range(1, 11)]
    assert sizes[0] == (16, 14)
    assert sizes == sorted(sizes)
    assert sizes[6:] == [(32, 28)] * 4
    assert all(height % 2 == width % 2 == 0 for height, width in sizes)
    assert size_of(replace(GROWING, start_size=0.01), (3, 3), 1) == (2, 2)


def test_images_of_odd_sides_are_whole_at_the_end():
    assert size_of(GROWING, (9, 5), 10) == (9, 5)
    assert {size_of(Recipe(epochs=10), (9, 5), epoch) for epoch in range(1, 11)} == {(9, 5)}


def test_scaled_images_are_smoothed_and_stay_bytes():
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    images[..., ::2] = 200
    small = scaled(images, (4, 4))
    assert small.dtype == torch.uint8
    assert small.shape == (1, 1, 4, 4)
    assert 80 <= int(small.min()) <= int(small.max()) <= 120
    assert scaled(images, None) is scaled(images, (8, 8)) is images
    assert torch.allclose(scaled(torch.full((2, 3, 9, 7), 0.5), (4, 4)), torch.tensor(0.5))


def test_network_with_a_dense_layer_on_its_map_sees_whole_images_alone(blocks, make, digits):
    pooled = build(make({"block": "conv", "width": 8, "kernel": 3}), blocks)
    flat = build(make({"block": "conv", "width": 8, "kernel": 3}, {"layer": "dense", "width": 8}), blocks)
    assert bears(pooled, (4, 4))
    assert not bears(flat, (4, 4))
    recipe = replace(GROWING, epochs=2)
    assert sizes_of(pooled, recipe)(1) == (4, 4)
    assert sizes_of(flat, recipe)(1) is None
    assert train(flat, make_batches(digits, 64), recipe, seed=0).accuracy > 0.3


def test_trial_look_leaves_running_statistics_alone(blocks, make):
    network = build(make({"block": "conv", "width": 8, "kernel": 3}), blocks)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert bears(network, (4, 4))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("start_size", [0.5, 1.0])
def test_network_is_shown_the_sizes(blocks, make, digits, start_size: float):
    network = build(make({"block": "stacked", "width": 8, "kernel": 3, "layers": 2}), blocks)
    seen = []
    network.register_forward_pre_hook(
        lambda module, given: seen.append(tuple(given[0].shape[2:])) if module.training else None
    )
    train(network, make_batches(digits, 64), Recipe(epochs=4, start_size=start_size), seed=0)
    wanted = {0.5: [(4, 4), (6, 6), (8, 8)], 1.0: [(8, 8)]}[start_size]
    assert list(dict.fromkeys(seen)) == wanted


def test_network_that_one_of_the_sizes_does_not_suit_sees_whole_images_alone(blocks, make):
    # Of odd maps a strided convolution keeps the rest, and a pool does not: they meet at even ones alone.
    halves = [[{"block": "conv", "width": 4, "kernel": 3, "stride": 2}], [{"layer": "max_pool", "size": 2}]]
    join = {"join": "concat", "branches": halves}
    network = build(make(join, join), blocks)
    assert bears(network, (4, 4))
    assert not bears(network, (6, 6))
    assert sizes_of(network, GROWING)(1) is None
