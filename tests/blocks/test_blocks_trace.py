"""The walk that carries shapes: costs of networks, layer by layer."""

import pytest
from stranger_blocks import Ghost, Liar, made, plain

from nas.arch.cost import Cost
from nas.arch.read import architecture_from_json
from nas.arch.spec import settings
from nas.blocks.costing import block_cost, block_layers, full_settings
from nas.blocks.registry import Blocks
from nas.blocks.trace import cost, normalise
from nas.errors import ArchitectureError, BlockError

HEAD = [{"layer": "global_average_pool"}, {"layer": "dense", "width": "classes"}]


def network(parts, input=(3, 32, 32), classes=10, head=HEAD):
    return architecture_from_json({"format": 1, "input": list(input), "classes": classes, "parts": [*parts, *head]})


def conv(width=8, kernel=3, **fields):
    return {"layer": "conv", "width": width, "kernel": kernel, **fields}


def block(name="conv", width=8, **fields):
    return {"block": name, "width": width, **fields}


POOL = {"layer": "max_pool", "size": 2}


def test_receptive_field_layer_by_layer(blocks):
    traced = cost(network([conv(), conv(), POOL, conv()]), blocks)
    assert [layer.receptive_field for layer in traced.layers[:4]] == [3, 5, 6, 10]
    assert traced.receptive_field == 10


def test_receptive_field_of_vgg16(blocks):
    parts = []
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        parts += [*[conv(width), {"layer": "relu"}] * depth, POOL]
    head = [{"layer": "dense", "width": width} for width in (4096, 4096, 1000)]
    traced = cost(network(parts, (3, 224, 224), 1000, head), blocks)
    assert traced.receptive_field == 212
    assert (traced.params, traced.macs) == (138_357_544, 15_470_264_320)


def test_ten_filters_on_a_small_image(blocks):
    layer = cost(network([conv(10, 5)]), blocks).layers[0]
    assert (layer.params, layer.weights, layer.activations) == (760, 750, 10_240)
    assert layer.output == (10, 32, 32)


@pytest.mark.parametrize(
    ("kernel", "stride", "numbers"),
    [(3, 1, (4_194_304, 1_728, 113_246_208)), (7, 2, (1_048_576, 9_408, 154_140_672))],
)
def test_stride_against_kernel_in_a_first_layer(blocks, kernel, stride, numbers):
    layer = cost(network([conv(64, kernel, stride=stride)], (3, 256, 256)), blocks).layers[0]
    assert (layer.activations, layer.weights, layer.macs) == numbers


def test_totals_are_the_sum_of_the_layers(blocks):
    traced = cost(network([conv(), block("stacked", 16, kernel=3, layers=2, stride=2)]), blocks)
    for name in ("params", "weights", "macs", "activations"):
        assert getattr(traced.totals, name) == sum(getattr(layer, name) for layer in traced.layers)
    assert [layer.name for layer in traced.layers] == [
        "conv1",
        "stacked1.conv1",
        "stacked1.conv2",
        "global_average_pool1",
        "dense1",
    ]


def test_a_block_of_stride_two_doubles_the_jump(blocks):
    parts = [block(kernel=3, stride=2), block(kernel=3, stride=2), block(kernel=3)]
    assert cost(network(parts), blocks).receptive_field == 3 + 2 * 2 + 2 * 4


def test_depth_counts_convolutions_blocks_and_dense_layers_on_the_longest_path(blocks):
    branches = [[conv(4), {"layer": "relu"}, block(kernel=3)], [conv(8, 1)]]
    assert cost(network([conv(), {"join": "concat", "branches": branches}]), blocks).depth == 1 + 2 + 1


def test_a_join_takes_the_widest_branch(blocks):
    branches = [[], [conv(8, 7)], [conv(8, 3), conv(8, 3)]]
    traced = cost(network([conv(8), {"join": "add", "branches": branches}]), blocks)
    assert traced.receptive_field == 3 + 6


def test_a_gate_by_global_pool_adds_nothing(blocks):
    gated = [conv(4, 9), {"layer": "global_average_pool"}]
    live = [{"layer": "conv", "width": 4, "kernel": 6, "padding": 0}]
    parts = [conv(4), {"join": "add", "branches": [live, gated]}]
    traced = cost(network(parts, input=(3, 6, 6)), blocks)
    assert traced.receptive_field == 3 + 5


def test_an_auxiliary_head_stands_beside(blocks):
    plain_network = cost(network([conv(), conv()]), blocks)
    traced = cost(network([conv(), {"auxiliary": [conv(4), *HEAD]}, conv()]), blocks)
    assert traced.auxiliary_params == (9 * 8 * 4 + 4) + (4 * 10 + 10)
    assert plain_network.totals.params == traced.params
    assert traced.macs == plain_network.macs


def test_a_measured_block_is_measured_once():
    calls = []
    counted = made(lambda *numbers: calls.append(1) or plain(*numbers), name="counted")
    blocks = Blocks().with_block(counted)
    for _ in range(3):
        traced = cost(network([block("counted"), block("counted"), block("counted")]), blocks)
    assert traced.params == (9 * 3 * 8) + 2 * (9 * 8 * 8) + 90
    assert len(calls) == 2


def test_a_block_without_a_known_field_leaves_the_network_without(blocks):
    unknown = made(plain, name="unknown", cost=Cost(1, 1, 1, 1, None))
    assert cost(network([block("unknown")]), blocks.with_block(unknown)).receptive_field is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([conv(8, 9, padding=0)] * 4, r"parts\[3\]: conv shrinks a map of \[8, 8, 8\] below one pixel: \[8, 0, 0\]"),
        ([conv(10, groups=2)], r"parts\[0\]: groups 2 do not divide"),
        ([{"layer": "dropout", "rate": 1}], r"parts\[0\].rate: 1 is not a share below 1"),
        ([{**POOL, "padding": 2}], r"parts\[0\].padding: 2 is more than half of size 2"),
        ([{"join": "add", "branches": [[conv(4)], [conv(5)]]}], r"\[4, 32, 32\] and \[5, 32, 32\] cannot be joined"),
        ([{"join": "concat", "branches": [[conv(4)], [POOL]]}], r"parts\[0\]: branches of shapes"),
        ([{"auxiliary": [conv(4)]}], r"parts\[0\]: the auxiliary head ends in \[4, 32, 32\]"),
        ([block("grouped", kernel=3, groups=2)], r"parts\[0\]: grouped\(in_channels=3.* does not allow it"),
        ([block(kernel=4)], r"parts\[0\]: conv\(in_channels=3, width=8, stride=1, kernel=4"),
        ([block(kernal=3)], r"block 'conv' has no 'kernal' \(did you mean 'kernel'\?\); allowed: kernel, norm"),
        ([block("stacked", kernel=3)], r"block 'stacked' needs layers"),
        ([block("inception", 32, kernel=5, split="paper", branches="8")], r"valid failed: ValueError"),
        ([block("conw")], r"did you mean 'conv'"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(blocks, parts, message):
    with pytest.raises((ArchitectureError, BlockError), match=message):
        cost(network(parts), blocks)


def test_a_network_must_end_in_class_scores(blocks):
    with pytest.raises(ArchitectureError, match=r"ends in \[8, 32, 32\], not in 10 class scores"):
        cost(network([conv()], head=[]), blocks)


@pytest.mark.parametrize(
    ("declared", "message"),
    [([], "cost gave \\[\\]"), ([3], "cost gave \\[3\\]"), ("", "cost gave ''")],
)
def test_a_cost_of_another_type_is_a_block_error(declared, message):
    with pytest.raises(BlockError, match=message):
        block_layers(made(plain, cost=declared)(), (3, 8, 8), 8, 1, ())


def test_a_cost_that_breaks_is_a_block_error():
    broken = type("Broken", (Ghost,), {"cost": lambda self, *_, **__: 1 / 0})
    with pytest.raises(BlockError, match=r"ghost\(in_channels=3, .*: ZeroDivisionError"):
        block_layers(broken(), (3, 8, 8), 8, 1, settings({"kernel": 3, "ratio": 2}))


def test_options_are_filled_in_and_choices_are_not(blocks):
    assert full_settings(blocks["conv"], {"kernel": 5}) == {"norm": "batch", "kernel": 5}
    assert full_settings(Ghost(), {"kernel": 5, "ratio": 2}) == {"kernel": 5, "ratio": 2}


def test_the_sum_of_a_blocks_layers_has_its_own_field(blocks):
    given = settings({"kernel": 3, "layers": 3, "norm": "none"})
    total = block_cost(blocks["stacked"], (8, 9, 9), 16, 1, given)
    assert (total.params, total.receptive_field) == (9 * 8 * 16 + 2 * 9 * 256 + 48, 7)


def test_normalising_drops_defaults_and_keeps_the_plugins_beside(blocks):
    spelled = network([block("stacked", kernel=3, layers=2, norm="batch")])
    normal = normalise(spelled, blocks)
    assert normal.parts[0].settings == (("kernel", 3), ("layers", 2))
    assert dict(normal.plugins) == {"stacked": blocks.version("stacked")}
    assert normalise(normal, blocks).to_json() == normal.to_json()


def test_normalising_leaves_a_block_that_is_gone(blocks):
    given = network([block("gone", act="relu", stride=2)])
    assert normalise(given, blocks).parts == given.parts


def test_a_lie_is_believed_until_it_is_verified():
    assert cost(network([block("liar")]), Blocks().with_block(Liar)).params == 1 + 90


@pytest.mark.parametrize(("name", "value"), [("kernel", 3.5), ("kernel", True), ("kernel", "3"), ("norm", 1)])
def test_value_of_another_type_is_named(blocks, name, value):
    with pytest.raises(BlockError, match=f"block 'conv': {name} = {value!r} is not of the type (int|str)"):
        full_settings(blocks["conv"], {"kernel": 3, name: value})
