"""How a network is computed: what there is to choose from, and what a probe makes of it."""

import copy
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from nas.arch.recipe import CHANNELS_LAST, CONTIGUOUS, FP32, Recipe
from nas.arch.record import Plan
from nas.blocks.base import Block
from nas.net.build import build
from nas.net.checkpoint import weights_bytes
from nas.net.plan import UNBOUNDED, USUAL, as_laid_out, free_bytes, is_brief, laid_out, machine, options, probe

CPU = torch.device("cpu")


def test_recipe_that_names_both_leaves_nothing_open():
    assert options(Recipe(precision="fp32", memory_format="contiguous"), CPU) == [Plan("fp32", "contiguous")]
    assert options(Recipe(precision="bf16", memory_format="contiguous"), CPU) == [Plan("bf16", "contiguous")]


def test_recipe_that_names_one_leaves_the_other_open():
    assert {plan.memory_format for plan in options(Recipe(precision="fp32"), CPU)} == {"contiguous", "channels_last"}
    assert {plan.precision for plan in options(Recipe(memory_format="channels_last"), CPU)} == {"fp32", "bf16"}


def test_plain_loop_is_among_the_options():
    for device in (CPU, torch.device("cuda")):
        found = options(Recipe(), device)
        assert found[0] == USUAL
        assert Plan("fp32", "contiguous") in found
        assert len(found) == len(set(found))


def test_probe_leaves_the_network_and_random_numbers_as_they_are(blocks, small):
    network = build(small, blocks, seed=3)
    before, state = weights_bytes(network), torch.get_rng_state()
    chosen = probe(network, Recipe(), CPU)
    assert chosen in options(Recipe(), CPU)
    assert weights_bytes(network) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert all(value.grad is None for value in network.parameters())


class Waits(nn.Module):
    """Takes its time in one precision, or breaks in it."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self.slow = slow
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        computed = self.conv(x)
        precision = "bf16" if computed.dtype == torch.bfloat16 else "fp32"
        if self.slow == precision:
            until = time.thread_time() + 0.01
            while time.thread_time() < until:
                pass
        if self.slow == "broken" and precision == "fp32" and x.device.type == "cpu":
            raise RuntimeError("this way it breaks")
        return computed


class Slow(Block):
    """One way of computing it is slower than all others."""

    name = "slow"
    choices = {"slow": ("fp32", "broken")}

    def build(self, in_channels: int, width: int, stride: int, *, slow: str) -> nn.Module:
        return Waits(slow)


def slow_network(blocks, make, slow: str):
    parts = ({"block": "slow", "width": 4, "slow": slow},)
    return build(make(*parts, input=(1, 12, 12)), blocks.with_block(Slow))


def test_probe_takes_the_faster_precision(blocks, make):
    plan = probe(slow_network(blocks, make, "fp32"), Recipe(), CPU)
    assert plan.precision == "bf16"


def test_brief_training_is_computed_in_the_usual_way_that_the_recipe_allows(blocks, make):
    network = slow_network(blocks, make, "fp32")
    assert probe(network, Recipe(), CPU, brief=True) == USUAL
    assert probe(network, Recipe(precision="bf16"), CPU, brief=True) == Plan("bf16", "channels_last")
    assert probe(network, Recipe(memory_format="contiguous"), CPU, brief=True) == Plan("fp32", "contiguous")
    assert is_brief(10**9, CPU)
    assert not is_brief(10**11, CPU)
    assert is_brief(10**11, torch.device("cuda"))


def test_probe_leaves_out_what_breaks(blocks, make):
    network = slow_network(blocks, make, "broken")
    assert probe(network, Recipe(), CPU).precision == "bf16"
    none_left = probe(network, Recipe(precision="fp32"), CPU)
    assert none_left == USUAL


def test_probe_keeps_to_what_the_recipe_names(blocks, make):
    network = slow_network(blocks, make, "fp32")
    asked = replace(Recipe(), precision="fp32", memory_format="channels_last")
    assert probe(network, asked, CPU) == Plan("fp32", "channels_last")


def test_network_and_images_lie_as_the_plan_says(blocks, make):
    network = build(make({"block": "conv", "width": 8, "kernel": 3}, input=(3, 8, 8)), blocks)
    images = torch.randn(2, 3, 8, 8)
    for layout, torchs in (("contiguous", torch.contiguous_format), ("channels_last", torch.channels_last)):
        plan = Plan("fp32", layout)
        kernels = [value for value in laid_out(network, plan, CPU).parameters() if value.dim() == 4]
        assert all(value.is_contiguous(memory_format=torchs) for value in [*kernels, as_laid_out(images, plan)])


def test_machine_and_its_memory_are_told():
    assert machine(CPU).endswith(f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}")
    assert 2**26 < free_bytes(CPU) <= UNBOUNDED


SKIPPING = {
    "format": 1,
    "input": [1, 8, 8],
    "classes": 10,
    "parts": [
        {"block": "conv", "width": 4, "kernel": 3},
        {"block": "inception", "width": 24, "stride": 2, "kernel": 3, "split": "even"},
        {"layer": "global_average_pool"},
        {"layer": "dense", "width": "classes"},
    ],
}

STEPS = """
import json, sys, torch
from nas.arch.read import architecture_from_json
from nas.arch.record import Plan
from nas.blocks.registry import load_blocks
from nas.net.build import build
from nas.net.plan import as_laid_out, laid_out

torch.set_num_threads(1)
plan, cpu = Plan("fp32", sys.argv[1]), torch.device("cpu")
torch.manual_seed(0)
architecture = architecture_from_json(json.loads(sys.argv[2]))
network = laid_out(build(architecture, load_blocks(load=())), plan, cpu)
optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
for count in [32, 29] * 10:
    images, labels = torch.randn(count, 1, 8, 8), torch.randint(0, 10, (count,))
    loss = torch.nn.functional.cross_entropy(network(as_laid_out(images, plan)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(float(loss), sorted(network.state_dict())[:2])
"""


def test_strided_pointwise_convolutions_of_few_channels_train_alike_in_both_layouts():
    """With channels last oneDNN writes beyond its memory here; the checks of the C library end the process for it."""
    told = []
    for layout in (CONTIGUOUS, CHANNELS_LAST):
        command = [sys.executable, "-c", STEPS, layout, json.dumps(SKIPPING)]
        environment = {**os.environ, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "85"}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        told.append(ended.stdout.split(maxsplit=1))
    assert float(told[0][0]) == pytest.approx(float(told[1][0]), rel=1e-3)
    assert told[0][1] == told[1][1]


@pytest.mark.parametrize("stride", [2, 3, (1, 2)])
def test_convolution_that_skips_is_the_same_as_before(stride):
    network = nn.Sequential(nn.Conv2d(4, 6, 1, stride))
    images, plan = torch.randn(5, 4, 9, 8), Plan(FP32, CHANNELS_LAST)
    changed = laid_out(copy.deepcopy(network), plan, CPU)
    assert type(changed[0]) is not nn.Conv2d
    there, here = changed(as_laid_out(images, plan)), network(images)
    torch.testing.assert_close(there, here)
    there.square().sum().backward()
    here.square().sum().backward()
    torch.testing.assert_close(changed[0].weight.grad, network[0].weight.grad)
    assert list(changed.state_dict()) == list(network.state_dict())
    kept = laid_out(nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.Conv2d(6, 6, 1)), Plan(FP32, CHANNELS_LAST), CPU)
    assert [type(one) for one in kept] == [nn.Conv2d, nn.Conv2d]
