from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.arch.cost import Cost, convolution
from nas.arch.layers import LAYERS, filled
from nas.arch.read import architecture_from_json
from nas.blocks.base import Block
from nas.blocks.trace import cost
from nas.errors import BlockError
from nas.net.build import Network, build, trainable, without_heads
from nas.net.checkpoint import load_weights, plain_state, weights_bytes
from nas.net.layers import layer_module

FIELDS = {
    "conv": {"width": 8, "kernel": (3, 5), "stride": 2, "groups": 2, "dilation": (1, 2)},
    "dense": {"width": 7, "bias": False},
    "max_pool": {"size": 3, "stride": 2, "padding": 1},
    "avg_pool": {"size": (2, 3), "ceil": True},
    "adaptive_avg_pool": {"size": (3, 2)},
    "channel_shuffle": {"groups": 2},
}

NESTED = (
    {"layer": "conv", "width": 8, "kernel": 3, "bias": False},
    {"layer": "batch_norm"},
    {"layer": "relu", "name": "a name for display"},
    {
        "join": "concat",
        "branches": [
            [],
            [{"block": "conv", "width": 8, "kernel": 1}, {"join": "add", "branches": [[], [{"layer": "gelu"}]]}],
            [{"block": "spatial", "width": 8, "kernel": 3}],
        ],
    },
    {"auxiliary": [{"block": "conv", "width": 4, "kernel": 3}, {"layer": "global_average_pool"},
                   {"layer": "dense", "width": "classes"}], "loss_weight": 0.5},
    {"block": "bottleneck", "width": 24, "kernel": 3, "reduction": 2},
)  # fmt: skip


@pytest.mark.parametrize("kind", list(LAYERS))
def test_layer_module_gives_the_declared_shape_and_params(kind: str) -> None:
    shape, fields = (4, 9, 7), filled(kind, FIELDS.get(kind, {}))
    images = torch.randn(2, *shape)
    module = layer_module(kind, fields, shape)
    given = module(images.flatten(1) if kind == "dense" else images)
    wanted = LAYERS[kind].output(shape, fields)
    assert given.shape[0] == 2
    assert given.reshape(2, -1).shape[1] == wanted[0] * wanted[1] * wanted[2]
    assert kind in ("dense", "flatten") or tuple(given.shape[1:]) == wanted
    assert trainable(module) == LAYERS[kind].cost(shape, fields).params


def test_nested_joins_have_the_traced_params_and_shapes(blocks, make) -> None:
    architecture = make(*NESTED)
    network = build(architecture, blocks)
    total = cost(architecture, blocks)
    heads = sum(trainable(network.get_submodule(name)) for name in network.auxiliary)
    assert (trainable(network) - heads, heads) == (total.params, total.auxiliary_params)
    given, macs = counted(network.eval(), torch.randn(1, 1, 8, 8))
    assert (given.shape, macs) == ((1, 10), total.macs)


def counted(network: Network, images: torch.Tensor) -> tuple[torch.Tensor, int]:
    macs = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight = module.weight
        macs += weight.numel() * (output.numel() // weight.shape[0])

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    return network(images), macs


def test_names_follow_kinds_and_heads_come_last(blocks, make) -> None:
    network = build(make(*NESTED), blocks)
    names = [name for name, _ in network.named_children()]
    assert names == [
        "conv1", "batch_norm1", "relu1", "conv2", "gelu1", "spatial1", "bottleneck1", "global_average_pool1", "dense1",
        "aux1_conv1", "aux1_global_average_pool1", "aux1_dense1",
    ]  # fmt: skip


def test_names_that_meet_are_counted_on(blocks, make) -> None:
    class Numbered(Toy):
        name = "conv1"

    parts = [{"layer": "relu6"}, {"block": "conv1", "width": 2}, *[{"layer": "conv", "width": 2, "kernel": 1}] * 11]
    network = build(make(*parts), blocks.with_block(Numbered))
    names = [name for name, _ in network.named_children()]
    assert names[1] == "conv11"
    assert len(set(names)) == len(names) == 15


def test_heads_speak_in_training_alone_and_change_no_start(blocks, make) -> None:
    architecture = make(*NESTED)
    network, bare = build(architecture, blocks, seed=3), build(without_heads(architecture), blocks, seed=3)
    scores, heads = network(torch.randn(2, 1, 8, 8))
    assert (scores.shape, [head.shape for head in heads], network.loss_weights) == ((2, 10), [(2, 10)], (0.5,))
    assert network.eval()(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    state = bare.state_dict()
    assert list(state) == list(plain_state(network))
    images = torch.randn(2, 1, 8, 8)
    load_weights(bare, weights_bytes(network))
    assert torch.equal(bare.eval()(images), network(images))


def test_flat_values_become_maps_where_one_is_needed(blocks) -> None:
    parts = [
        {"layer": "dense", "width": 6},
        {"layer": "batch_norm"},
        {"join": "concat", "branches": [[], [{"layer": "conv", "width": 4, "kernel": 1}]]},
        {"block": "conv", "width": "classes", "kernel": 1},
    ]
    architecture = architecture_from_json({"format": 1, "input": [1, 8, 8], "classes": 3, "parts": parts})
    assert build(architecture, blocks)(torch.randn(2, 1, 8, 8)).shape == (2, 3)


def test_same_seed_starts_alike_and_leaves_the_random_state(blocks, small) -> None:
    before = torch.get_rng_state()
    first, again, other = (build(small, blocks, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["dense1.weight"], other["dense1.weight"])


def test_convolution_with_a_bias_keeps_the_signal_alive(blocks, make) -> None:
    deep = make(*[{"block": "conv", "width": 32, "kernel": 3, "norm": "none"}] * 12, input=(32, 8, 8))
    network = build(deep, blocks).eval()
    values = torch.randn(4, 32, 8, 8)
    for step in network.steps[:12]:
        values = network.run(step, [values])
    assert 0.1 < float(values.detach().std()) < 10


class Toy(Block):
    """A 1×1 convolution."""

    name = "toy"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        return nn.Conv2d(in_channels, width, 1, stride, bias=False)

    def cost(self, shape, width, stride):
        return convolution(shape, width, 1, stride)


class Liar(Toy):
    name = "liar"

    def cost(self, shape, width, stride):
        return Cost(params=1)


class Slow(Toy):
    name = "slow"

    def cost(self, shape, width, stride):
        return replace(super().cost(shape, width, stride), macs=1)


class Broken(Toy):
    name = "broken"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        raise ValueError("no such luck")


class Wide(Toy):
    name = "wide"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        return Widening(in_channels, width, 1, stride, bias=False)


class Widening(nn.Conv2d):
    """Gives a larger map while training alone, which no measurement sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)) if self.training else x)


class Lazy(Toy):
    name = "lazy"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        return nn.LazyConv2d(width, 1, stride, bias=False)


def test_lazy_module_is_shown_an_input_first(blocks, make) -> None:
    network = build(make({"block": "lazy", "width": 4}), blocks.with_block(Lazy))
    assert network.lazy1.weight.shape == (4, 1, 1, 1)
    assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)


class Pickled(nn.Conv2d):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


class Stateful(Toy):
    name = "stateful"

    def build(self, in_channels: int, width: int, stride: int) -> nn.Module:
        return Pickled(in_channels, width, 1, stride, bias=False)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Liar, r"liar\(in_channels=1, width=4, stride=1\) lies about its cost: it declares 1 params and has 4"),
        (Slow, r"slow\(.*lies about its cost: it declares 1 macs and has 256"),
        (Broken, r"broken\(.*ValueError: no such luck"),
        (Stateful, r"stateful\(.*state that is no tensor: _extra_state"),
    ],
)
def test_block_that_cannot_be_trusted_is_named(blocks, make, kind: type[Block], reason: str) -> None:
    with pytest.raises(BlockError, match=reason):
        build(make({"block": kind.name, "width": 4}), blocks.with_block(kind))


def test_built_in_block_is_held_to_its_params_too(blocks, make) -> None:
    with pytest.raises(BlockError, match="declares 1 params and has 4"):
        build(make({"block": "liar", "width": 4}), blocks.with_block(Liar, plugin="nas"))


def test_block_that_lies_about_its_shape_is_named(blocks, make) -> None:
    network = build(make({"block": "wide", "width": 4}), blocks.with_block(Wide))
    with pytest.raises(BlockError, match=r"'wide' made of \[1, 8, 8\] \[4, 10, 10\], not \[4, 8, 8\]"):
        network(torch.randn(2, 1, 8, 8))
