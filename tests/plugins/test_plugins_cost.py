"""Closed forms against built modules, the contract's table of weights, and the arithmetic of kernel sizes."""

import json
from pathlib import Path

import pytest
import torch
from example_counts import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from nas.arch.spec import settings as pairs
from nas.blocks.costing import block_cost, block_layers, full_settings, is_valid
from nas.blocks.registry import load_blocks
from nas.blocks.verify import verify

BLOCKS = load_blocks(load=())
FROZEN = json.loads((Path(__file__).parents[1] / "golden" / "costs.json").read_text(encoding="utf-8"))["blocks"]


def declared(name, channels, width, size=28, stride=1, **given):
    sizes = (size, size) if isinstance(size, int) else size
    return block_cost(BLOCKS[name], (channels, *sizes), width, stride, pairs(full_settings(BLOCKS[name], given)))


def weights(name, channels, width, **given):
    return declared(name, channels, width, **given).weights


@pytest.mark.parametrize("frozen", FROZEN, ids=lambda one: f"{one['block']}-{one['stride']}")
def test_a_frozen_cost_needs_a_reason_to_change(frozen):
    channels, *size = frozen["input"]
    cost = declared(frozen["block"], channels, frozen["width"], size, frozen["stride"], **frozen["settings"])
    counted = ("params", "weights", "macs", "activations", "receptive_field")
    assert {name: getattr(cost, name) for name in counted} == {name: frozen[name] for name in counted}


def test_every_built_in_has_frozen_costs():
    assert {frozen["block"] for frozen in FROZEN} == set(BLOCKS)


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
@pytest.mark.parametrize(("c", "w"), [(32, 64), (64, 64), (128, 32)])
def test_weights_are_those_of_the_contracts_table(kernel, c, w):
    k = kernel
    assert weights("conv", c, w, kernel=k) == k**2 * c * w
    assert weights("spatial", c, w, kernel=k) == k * c * w + k * w**2
    assert weights("separable", c, w, kernel=k) == c * k**2 + c * w
    for layers in (2, 3):
        assert weights("stacked", c, w, kernel=k, layers=layers) == k**2 * c * w + (layers - 1) * k**2 * w**2
    for r in (2, 4, 8):
        formula = c * w // r + k**2 * (w // r) ** 2 + w**2 // r
        assert weights("bottleneck", c, w, kernel=k, reduction=r) == formula
    for groups in (2, 4, 8, 32):
        assert weights("grouped", c, w, kernel=k, groups=groups) == k**2 * c * w // groups


def test_stacked_layers_against_one_large_kernel():
    assert weights("conv", 64, 64, kernel=5) / weights("stacked", 64, 64, kernel=3, layers=2) == pytest.approx(25 / 18)
    assert weights("conv", 64, 64, kernel=7) / weights("stacked", 64, 64, kernel=3, layers=3) == pytest.approx(49 / 27)
    for layers, kernel in ((2, 5), (3, 7)):
        fields = [declared("stacked", 8, 8, kernel=3, layers=layers), declared("conv", 8, 8, kernel=kernel)]
        assert fields[0].receptive_field == fields[1].receptive_field == kernel


def test_bottleneck_against_a_plain_convolution():
    assert weights("bottleneck", 256, 256, kernel=3, reduction=8) == 25_600
    assert weights("conv", 256, 256, kernel=3) == 589_824
    assert 589_824 / 25_600 == 23.04


@pytest.mark.parametrize("kernel", [3, 5, 7, 11])
def test_two_groups_halve_the_weights_for_every_kernel(kernel):
    assert weights("conv", 512, 512, kernel=kernel) == 2 * weights("grouped", 512, 512, kernel=kernel, groups=2)


@pytest.mark.parametrize(("kernel", "ratio"), [(3, 8.694), (5, 22.776)])
def test_separable_against_a_plain_convolution(kernel, ratio):
    found = weights("conv", 256, 256, kernel=kernel) / weights("separable", 256, 256, kernel=kernel)
    assert round(found, 3) == ratio


@pytest.mark.parametrize(("c", "large", "stack"), [(32, 9.76, 7.02), (128, 11.68, 8.41), (256, 12.08, 8.69)])
def test_two_separable_against_one_large_and_two_plain(c, large, stack):
    separable = 2 * weights("separable", c, c, kernel=3)
    assert round(weights("conv", c, c, kernel=5) / separable, 2) == large
    assert round(weights("stacked", c, c, kernel=3, layers=2) / separable, 2) == stack


def test_spatial_against_a_plain_convolution():
    assert weights("spatial", 96, 96, kernel=3) == 6 * 96**2
    assert weights("conv", 96, 96, kernel=3) == 9 * 96**2


@pytest.mark.parametrize(
    ("c", "w", "branches", "count"),
    [(192, 256, "64,96:128,16:32,32", 163_328), (256, 480, "128,128:192,32:96,64", 388_096)],
)
def test_inception_modules_of_googlenet(c, w, branches, count):
    assert weights("inception", c, w, kernel=5, split="paper", branches=branches) == count


def test_the_papers_split_of_256_channels_is_module_3a():
    assert weights("inception", 192, 256, kernel=5, split="paper") == 163_328


@pytest.mark.parametrize("branches", ["1,2,3,4", "64", "a,1:1,1:1,1", "1,1:1:1,1:1,1"])
def test_branches_of_another_form_are_refused(branches):
    with pytest.raises(Exception, match="valid failed: ValueError"):
        declared("inception", 8, 16, kernel=5, split="paper", branches=branches)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("conv", {"kernel": 4}),
        ("conv", {"kernel": 3, "norm": "layer"}),
        ("grouped", {"kernel": 3, "groups": 3}),
        ("bottleneck", {"kernel": 3, "reduction": 5}),
        ("inception", {"kernel": 5, "split": "odd"}),
        ("inception", {"kernel": 5, "split": "paper", "branches": "1,1:1,1:1,1"}),
        ("inception", {"kernel": 5, "split": "even", "branches": "4,4:4,4:4,4"}),
        ("stacked", {"kernel": 3, "layers": 0}),
    ],
)
def test_what_cannot_be_built_is_vetoed(name, given):
    assert not is_valid(BLOCKS[name], 16, 16, 1, pairs(full_settings(BLOCKS[name], given)))


def test_each_convolution_is_a_layer_of_its_own():
    given = pairs(full_settings(BLOCKS["inception"], {"kernel": 5, "split": "even"}))
    layers = block_layers(BLOCKS["inception"], (16, 9, 9), 32, 2, given)
    assert [layer.name for layer in layers] == ["one", "reduce_three", "three", "reduce_large", "large", "pool"]
    assert [layer.output[1:] for layer in layers] == [(5, 5), (9, 9), (5, 5), (9, 9), (5, 5), (5, 5)]


def test_groups_meet_in_the_shuffle():
    module = BLOCKS["grouped"].build(4, 4, 1, kernel=1, groups=2, norm="none").eval()
    with torch.no_grad():
        module[0].weight.fill_(1)
        module[0].bias.zero_()
        once = module(torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1, 1)).flatten()
    assert once.tolist() == [1, 0, 1, 0]


def test_the_skip_connection_is_there_where_shapes_allow():
    given = {"kernel": 3, "reduction": 2, "norm": "none"}
    images = torch.rand(1, 8, 5, 5)
    with torch.no_grad():
        for width, stride, skips in ((8, 1, True), (8, 2, False), (16, 1, False)):
            module = BLOCKS["bottleneck"].build(8, width, stride, **given)
            for parameter in module.parameters():
                parameter.zero_()
            assert torch.equal(module(images), images) == skips


@st.composite
def drawn(draw):
    """A block with any numbers and settings that it allows."""
    name = draw(st.sampled_from(sorted(BLOCKS)))
    block, unit = BLOCKS[name], draw(st.sampled_from([1, 8, 32]))
    values = {choice: draw(st.sampled_from(list(given))) for choice, given in block.choices.items()}
    values = {**block.options, **values, "norm": draw(st.sampled_from(["batch", "none"]))}
    channels, width = (unit * draw(st.integers(1, 6)) for _ in range(2))
    stride, size = draw(st.integers(1, 4)), (draw(st.integers(1, 33)), draw(st.integers(1, 33)))
    return block, (channels, *size), width, stride, values


def holds(case):
    block, shape, width, stride, values = case
    if is_valid(block, shape[0], width, stride, pairs(values)):
        assert verify(block, shape, width, stride, values) == []


ANY = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=examples(300), **ANY)
@given(drawn())
def test_declared_costs_are_those_of_the_built_modules(case):
    holds(case)


@pytest.mark.slow
@settings(max_examples=4000, **ANY)
@given(drawn())
def test_thousands_of_declared_costs_are_those_of_the_built_modules(case):
    holds(case)


def seen_pixels(module, shape):
    """How far the middle output pixel sees, by gradient: every weight positive, so that no path is cut."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.constant_(part.weight, 0.1)
    image = torch.ones(1, *shape, requires_grad=True)
    output = module.double().eval()(image.double())
    output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum().backward()
    rows, columns = image.grad.abs().sum(dim=(0, 1)).nonzero().unbind(1)
    return max(int(axis.max() - axis.min()) + 1 for axis in (rows, columns))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_the_declared_field_is_what_the_gradient_reaches(name, kernel, stride):
    block = BLOCKS[name]
    values = {choice: given[0] for choice, given in block.choices.items()} | block.options | {"kernel": kernel}
    module = block.build(8, 16, stride, **values)
    field = block_cost(block, (8, 64, 64), 16, stride, pairs(values)).receptive_field
    assert seen_pixels(module, (8, 64, 64)) == field
