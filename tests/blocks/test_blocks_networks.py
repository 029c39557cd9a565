"""Whole networks: the traced cost against an independent count on the built module."""

import random

import pytest
import torch
from stranger_blocks import Ghost
from torch import nn

from nas.arch.read import architecture_from_json
from nas.blocks.registry import load_blocks
from nas.blocks.trace import cost
from nas.net.build import build

BLOCKS = load_blocks(load=()).with_block(Ghost)
GLOBAL = {"layer": "global_average_pool"}
DENSE = {"layer": "dense", "width": "classes"}


class Draw:
    """Random architectures: layers, blocks and nested joins; `even` also draws what shifts pixels by halves."""

    def __init__(self, seed, even=True):
        self.random, self.even = random.Random(seed), even

    def network(self):
        channels, size = self.random.choice([1, 3]), [self.random.randint(33, 64) for _ in range(2)]
        parts = self.parts(self.random.randint(1, 6), 0)
        if self.random.random() < 0.3:
            parts.append({"auxiliary": [{"layer": "conv", "width": 4, "kernel": 1}, GLOBAL, DENSE]})
        stem = {"layer": "conv", "width": 16, "kernel": 3, "bias": self.random.random() < 0.5}
        data = {"format": 1, "input": [channels, *size], "classes": 10, "parts": [stem, *parts, GLOBAL, DENSE]}
        return architecture_from_json(data)

    def parts(self, count, depth):
        return [self.part(depth) for _ in range(count)]

    def part(self, depth):
        kind = self.random.random()
        if kind < 0.2 and depth < 2:
            return self.join(depth)
        return self.layer(depth) if kind < 0.5 else self.block(depth)

    def join(self, depth):
        width = self.random.choice([16, 32])
        kind = self.random.choice(["add", "concat"])
        branches = []
        for _ in range(self.random.randint(2, 3)):
            branch = self.parts(self.random.randint(0, 2), depth + 1)
            branches.append([*branch, {"layer": "conv", "width": width, "kernel": self.random.choice([1, 3])}])
        return {"join": kind, "branches": branches}

    def layer(self, depth):
        plain = ["relu", "batch_norm", "silu", "dropout", "tanh"]
        if depth or self.random.random() < 0.5:
            return {"layer": self.random.choice(plain)}
        if self.even and self.random.random() < 0.5:
            size = self.random.choice([2, 3])
            return {"layer": "avg_pool", "size": size, "stride": 2, "ceil": self.random.random() < 0.5}
        kernel = [self.random.choice([1, 3, 5]) for _ in range(2)]
        return {"layer": "conv", "width": 16, "kernel": kernel, "groups": self.random.choice([1, 2, 8])}

    def block(self, depth):
        name = self.random.choice(sorted(BLOCKS))
        block = BLOCKS[name]
        part = {"block": name, "width": self.random.choice([16, 32])}
        part |= {choice: self.random.choice(list(values)) for choice, values in block.choices.items()}
        if name == "grouped":
            part["groups"] = self.random.choice([2, 4, 8])
        if block.options and self.random.random() < 0.3:
            part["norm"] = "none"
        if not depth:
            part |= {"stride": self.random.choice([1, 1, 2]), "repeat": self.random.choice([1, 1, 2])}
        return part


def counted(network, input):
    """params, weights, macs and activations of convolutions and dense layers, by the modules that ran."""
    totals = dict.fromkeys(("params", "weights", "macs", "activations"), 0)

    def count(module, _, output):
        weight = module.weight
        totals["params"] += weight.numel() + (module.bias.numel() if module.bias is not None else 0)
        totals["weights"] += weight.numel()
        totals["macs"] += weight.numel() * output[0, 0].numel()
        totals["activations"] += output.numel()

    def count_norm(module, *_):
        totals["params"] += 2 * module.num_features

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
        elif isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(count_norm)
    with torch.no_grad():
        network(torch.zeros(1, *input))
    return totals


def seen_pixels(network, input):
    """How far the middle pixel before the global pool sees, by gradient with every kernel positive."""
    kept = {}
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, args: kept.update(map=args[0]))
    image = torch.ones(1, *input, dtype=torch.float64, requires_grad=True)
    network.double()(image)
    kept["map"][0, :, kept["map"].shape[2] // 2, kept["map"].shape[3] // 2].sum().backward()
    rows, columns = image.grad.abs().sum(dim=(0, 1)).nonzero().unbind(1)
    return max(int(axis.max() - axis.min()) + 1 for axis in (rows, columns))


def agree(seed):
    architecture = Draw(seed).network()
    said = cost(architecture, BLOCKS)
    network = build(architecture, BLOCKS).eval()
    assert {name: getattr(said, name) for name in ("params", "weights", "macs", "activations")} == counted(
        network, architecture.input
    )
    heads = sum(one.numel() for one in network.parameters()) - said.params
    assert heads == said.auxiliary_params


@pytest.mark.parametrize("seed", range(60))
def test_a_random_network_costs_what_its_modules_count(seed):
    agree(seed)


@pytest.mark.slow
def test_two_thousand_random_networks_cost_what_their_modules_count():
    for seed in range(1000, 3000):
        agree(seed)


def test_a_random_network_sees_as_far_as_its_gradient():
    checked = 0
    for seed in range(80):
        draw = Draw(seed, even=False)
        architecture = draw.network()
        field = cost(architecture, BLOCKS).receptive_field
        if field is None or field > min(architecture.input[1:]) // 2:
            continue
        assert seen_pixels(build(architecture, BLOCKS).eval(), architecture.input) == field
        checked += 1
    assert checked > 10
