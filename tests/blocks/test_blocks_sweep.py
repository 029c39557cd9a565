"""Block types side by side: rows, settings, sweeps, and ratios to a plain convolution."""

import pytest
import torch
from torch import nn

from nas.arch.cost import Cost
from nas.blocks.base import Block
from nas.blocks.registry import load_blocks
from nas.blocks.sweep import BYTES, BlockVariant, compare_blocks
from nas.errors import BlockError
from nas.show.cost import block_record

BLOCKS = load_blocks(load=())


class Halves(Block):
    """A stranger without a closed form and without a kernel, for even widths alone; it sees two pixels a side."""

    name = "halves"
    choices = {"ratio": (2, 4)}

    def build(self, in_channels, width, stride, *, ratio):
        return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(in_channels, width, 2, stride))

    def valid(self, in_channels, width, stride, *, ratio):
        return width % ratio == 0


class Liar(Halves):
    """A stranger whose closed form is not its module's."""

    name = "liar"

    def cost(self, shape, width, stride, *, ratio):
        return Cost(1, 1, 1, 1, 3)


def by_block(*words, **asked):
    return {row.block: row for row in compare_blocks(BLOCKS, *words, **asked)}


def test_every_block_of_the_registry_is_compared_at_its_first_choices():
    registry = BLOCKS.with_block(Halves)
    rows = compare_blocks(registry, in_channels=64, width=32, size=(12, 10), stride=2)
    assert [row.block for row in rows] == list(registry)
    assert len(rows) >= 8
    for row in rows:
        record = block_record(registry[row.block], (64, 12, 10), 32, 2)
        names = ("params", "weights", "macs", "activations", "receptive_field")
        assert [getattr(row, name) for name in names] == [record[name] for name in names]
        assert (row.input, row.output, row.error) == ((64, 12, 10), (32, 6, 5), "")


def test_what_cannot_be_built_is_a_row_with_its_reason():
    rows = by_block(in_channels=3, width=64, size=32)
    assert rows["grouped"].weights is None
    assert rows["grouped"].error.startswith("grouped(in_channels=3, width=64")
    assert {name for name, row in rows.items() if row.error} == {"grouped"}


def test_a_stranger_that_lies_is_a_row_with_its_reason():
    rows = compare_blocks(BLOCKS.with_block(Liar), ["conv", "liar"], in_channels=8, width=8)
    assert [bool(row.error) for row in rows] == [False, True]
    assert "lies about its cost" in rows[1].error


def test_ratios_are_those_of_the_plain_block_conv():
    plain = {row.swept["kernel"]: row for row in compare_blocks(BLOCKS, ["conv"], sweep={"kernel": [3, 5, 7]})}
    stacked = BlockVariant("stacked", {"layers": 3})
    rows = by_block([stacked, "inception"])
    row = rows[stacked.label]
    assert row.times_lighter == plain[3].weights / row.weights == 1 / 3
    assert row.times_fewer_macs == plain[3].macs / row.macs
    assert row.times_lighter_by_field == plain[7].weights / row.weights == 49 / 27
    assert row.times_fewer_macs_by_field == plain[7].macs / row.macs
    assert rows["inception"].times_lighter == plain[5].weights / rows["inception"].weights


def test_the_plain_convolution_of_a_strided_stack_strides_too():
    rows = by_block(["stacked", BlockVariant("conv", {"kernel": 7})], stride=2)
    assert rows["stacked"].receptive_field == 7
    assert rows["stacked"].times_fewer_macs_by_field == rows["conv:kernel=7"].macs / rows["stacked"].macs


def test_without_a_plain_convolution_there_is_no_ratio():
    (row,) = compare_blocks(BLOCKS.with_block(Halves), ["halves"])
    assert (row.receptive_field, row.weights) == (2, 4 * 256 * 256)
    assert row.times_lighter is row.times_lighter_by_field is row.times_fewer_macs is None


def test_settings_reach_the_blocks_that_take_them_and_a_variant_s_own_stay():
    fixed = BlockVariant("stacked", {"kernel": 3})
    rows = by_block(["conv", fixed, "grouped"], settings={"kernel": 5, "groups": 4})
    assert {name: row.settings["kernel"] for name, row in rows.items()} == {"conv": 5, fixed.label: 3, "grouped": 5}
    assert "groups" not in rows["conv"].settings
    assert rows["grouped"].settings["groups"] == 4


def test_swept_values_stand_in_place_of_settings():
    rows = compare_blocks(BLOCKS, ["conv"], settings={"kernel": 3}, sweep={"kernel": [5, 7]})
    assert [row.settings["kernel"] for row in rows] == [5, 7]


def test_a_sweep_of_two_is_every_combination_value_by_value():
    rows = compare_blocks(BLOCKS, ["conv", "stacked"], sweep={"kernel": [3, 5], "stride": [1, 2]})
    assert [(row.swept["kernel"], row.swept["stride"], row.block) for row in rows] == [
        (kernel, stride, name) for kernel in (3, 5) for stride in (1, 2) for name in ("conv", "stacked")
    ]
    assert all(row.stride == row.swept["stride"] and row.settings["kernel"] == row.swept["kernel"] for row in rows)


@pytest.mark.parametrize(
    ("sweep", "shape", "width"),
    [
        ({"channels": [16]}, (16, 12, 10), 16),
        ({"in": [16]}, (16, 12, 10), 8),
        ({"width": [16]}, (4, 12, 10), 16),
        ({"size": [16]}, (4, 16, 16), 8),
        ({"channels": [16], "in": [2]}, (2, 12, 10), 16),
    ],
)
def test_a_swept_measure_stands_in_place_of_the_fixed_one(sweep, shape, width):
    (row,) = compare_blocks(BLOCKS, ["conv"], in_channels=4, width=8, size=(12, 10), sweep=sweep)
    assert (row.input, row.width, row.output[0]) == (shape, width, width)


@pytest.mark.parametrize("precision", BYTES)
def test_bytes_are_those_of_tensors(precision):
    number = torch.empty(0, dtype={"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision])
    (row,) = compare_blocks(BLOCKS, ["stacked"], precision=precision, batch=16)
    assert row.weight_bytes == row.weights * number.element_size()
    assert row.activation_bytes == 16 * row.activations * number.element_size()


def test_a_variant_named_twice_is_one_row():
    twice = [BlockVariant("conv", {"kernel": 3}), "conv", BlockVariant("conv"), BlockVariant("conv", {"kernel": 3})]
    assert [row.block for row in compare_blocks(BLOCKS, twice)] == ["conv:kernel=3", "conv"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"variants": ["convv"]}, "did you mean 'conv'"),
        ({"variants": []}, "no block to compare"),
        ({"variants": [BlockVariant("conv", {"layers": 2})]}, "block 'conv' has no 'layers'"),
        ({"settings": {"kernl": 3}}, "none of the blocks has 'kernl' .did you mean 'kernel'"),
        ({"sweep": {"strid": [1]}}, "did you mean 'stride'"),
        ({"sweep": {"kernel": []}}, "sweep kernel: no values"),
        ({"sweep": {"kernel": ["x"]}}, "kernel = 'x' is not of the type int"),
        ({"variants": ["conv"], "sweep": {"kernel": [3, 4]}}, "kernel 4 is not among odd numbers from 1"),
        ({"variants": ["conv", "stacked"], "settings": {"kernel": 4}}, "nor can the other 1 be"),
        ({"variants": ["grouped"], "in_channels": 3}, "cannot be built"),
        ({"stride": 0}, "stride = 0: allowed: whole numbers from 1"),
        ({"sweep": {"size": [8, -1]}}, "height = -1"),
        ({"sweep": {"in": [True]}}, "in = True"),
        ({"size": (8, 0)}, "breadth = 0"),
        ({"precision": "fp8"}, "allowed: fp32, bf16, fp16"),
        ({"batch": 0}, "a batch from 1"),
    ],
)
def test_mistakes_are_one_line(asked, message):
    with pytest.raises(BlockError, match=message) as raised:
        compare_blocks(BLOCKS, **asked)
    assert len(raised.value.lines) == 1
