"""Remembered steps: networks share what their parts cost, and nothing else."""

import copy
import pickle
from dataclasses import asdict, replace

import pytest
from stranger_blocks import made, plain
from test_blocks_trace import HEAD, POOL, block, conv, network

from nas.arch.cost import Cost, Field
from nas.blocks.parts import MOST_REMEMBERED, BlockSteps
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost
from nas.errors import BlockError

PARTS = [
    conv(),
    block(kernel=3),
    block("stacked", 16, kernel=3, layers=2, stride=2),
    POOL,
    {**block(kernel=3), "name": "last"},
]


def test_layers_are_listed_once_and_late(blocks):
    found = cost(network(PARTS), blocks)
    assert "layers" not in vars(found)
    assert found.layers is found.layers
    names = [
        "conv1",
        "conv2.conv1",
        "stacked1.conv1",
        "stacked1.conv2",
        "max_pool1",
        "last.conv1",
        "global_average_pool1",
        "dense1",
    ]
    assert [layer.name for layer in found.layers] == names


def test_one_part_in_two_places_has_two_names(blocks):
    found = cost(network([block(kernel=3), block(kernel=3), block(kernel=3)]), blocks)
    assert [layer.name for layer in found.layers[:3]] == ["conv1.conv1", "conv2.conv1", "conv3.conv1"]
    assert [layer.receptive_field for layer in found.layers[:3]] == [3, 5, 7]


def test_costs_are_equal_whether_listed_or_not(blocks):
    found, other = cost(network(PARTS), blocks), cost(network(PARTS), blocks)
    assert len(found.layers) == 8
    assert other == found
    assert hash(other) == hash(found)
    assert cost(network(PARTS[:-1]), blocks) != found


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, replace, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_its_layers(blocks, copied):
    found = cost(network(PARTS), blocks)
    again = copied(found)
    assert set(vars(again)) == {*asdict(found)}
    assert again == found
    assert asdict(again)["layers"][0]["name"] == "conv1"


def test_a_cost_has_no_other_attributes(blocks):
    with pytest.raises(AttributeError, match="'NetworkCost' object has no attribute 'layer'"):
        _ = cost(network(PARTS), blocks).layer


def test_true_is_not_taken_for_a_remembered_one(blocks):
    assert cost(network([block(kernel=1)]), blocks).receptive_field == 1
    for value in (True, 1.5):
        with pytest.raises(BlockError, match=r"^parts\[0\]: block 'conv': kernel = .* is not of the type int"):
            cost(network([block(kernel=value)]), blocks)


def test_a_veto_is_told_again_at_its_own_place(blocks):
    grouped = block("grouped", 6, kernel=3, groups=4)
    for parts, place in ((([conv(8)], 1), r"parts\[1\]"), (([conv(8), conv(8)], 2), r"parts\[2\]")):
        with pytest.raises(BlockError, match=rf"^{place}: grouped\(.* does not allow it"):
            cost(network([*parts[0], grouped]), blocks)
    branches = {"join": "add", "branches": [[], [conv(8), grouped]]}
    with pytest.raises(BlockError, match=r"^parts\[1\]\.branches\[1\]\[1\]: grouped"):
        cost(network([conv(8), branches]), blocks)


def test_blocks_of_one_name_in_two_registries_cost_their_own():
    for params in (100, 200):
        registry = Blocks().with_block(made(plain, name="same", cost=Cost(params, params, 1, 1, 3)))
        assert cost(network([block("same")]), registry).params == params + 90


def test_the_width_called_classes_follows_the_classes(blocks):
    head = [{"layer": "global_average_pool"}, block(width="classes", kernel=1)]
    found = [cost(network([conv()], classes=classes, head=head), blocks) for classes in (10, 7)]
    assert [one.output for one in found] == [(10, 1, 1), (7, 1, 1)]
    assert found[0].weights - found[1].weights == 3 * 8
    assert cost(network([conv()], classes=7, head=HEAD), blocks).output == (7, 1, 1)


def test_steps_are_forgotten_before_they_fill_the_memory(blocks):
    steps = BlockSteps(blocks["conv"], (("kernel", 3),))
    for width in range(1, MOST_REMEMBERED + 2):
        assert steps[(3, 8, 8), width, 1].weights == 27 * width
    assert len(steps) == 1


def test_fields_behind_one_another_are_one_field():
    first, second = Field().after(3, 2), Field().after((5, 1), (1, 3), 2)
    assert first.then(second) == first.after((5, 1), (1, 3), 2)
    assert Field().then(first) == first == first.then(Field())
