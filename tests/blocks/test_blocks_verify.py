"""Declared cost against built module."""

import pytest
from stranger_blocks import Fourier, Ghost, Liar, Shrinking, made, plain

from nas.arch.cost import Cost
from nas.blocks.base import Block
from nas.blocks.registry import Blocks
from nas.blocks.verify import all_settings, cases, quick_check, verify
from nas.errors import BlockError


def test_every_built_in_tells_the_truth(blocks):
    assert quick_check(blocks) == {}
    assert len(blocks) >= 7


def test_a_lie_is_told_with_both_numbers_and_the_place():
    cost = Cost(params=1154, weights=1152, macs=51840, activations=720, receptive_field=3)
    lines = verify(made(plain, name="toy", cost=cost)(), (8, 9, 5), 16, 1, {})
    where = "in_channels=8, width=16, stride=1 on 9×5 pixels"
    assert lines == [f"block 'toy': cost declares 1154 params for {where}; the built module has 1152"]


def test_a_list_of_layers_is_held_against_the_sum():
    halves = [Cost(576, 576, 25920, 360, 3), Cost(576, 576, 25920, 360, 1)]
    assert verify(made(plain, cost=halves)(), (8, 9, 5), 16, 1, {}) == []


@pytest.mark.parametrize(("declared", "count"), [(3, 0), (None, 0), (1, 1)])
def test_a_wrong_field_is_a_lie_and_an_unknown_one_is_not(declared, count):
    cost = Cost(1152, 1152, 51840, 720, declared)
    assert len(verify(made(plain, cost=cost)(), (8, 9, 5), 16, 1, {})) == count


def test_quick_check_names_each_block_that_cannot_be_trusted():
    broken = type("Broken", (Block,), {"name": "broken", "build": lambda *_: 0, "valid": lambda self, *_: 1 / 0})
    fourier = made(lambda c, w, s: Fourier(c, w, 1, s), name="fourier")
    blocks = Blocks()
    for block in (Ghost, Liar, Shrinking, broken, fourier):
        blocks = blocks.with_block(block)
    found = quick_check(blocks)
    assert list(found) == ["liar", "shrinking", "broken", "fourier"]
    assert "declares 1 params" in found["liar"]
    assert "gives [16, 7, 3], not [16, 9, 5]" in found["shrinking"]
    assert "valid failed: ZeroDivisionError" in found["broken"]
    assert "aten::_fft_r2c" in found["fourier"]


def test_cases_are_those_that_the_block_allows():
    tried = list(cases(Ghost()))
    assert {case.values["kernel"] for case in tried} == {3, 5, 7}
    assert {case.stride for case in tried} == {1, 2, 3}
    assert all(case.width % case.values["ratio"] == 0 for case in tried)


def test_many_choices_are_varied_one_at_a_time():
    choices = {"one": (1, 2, 3, 4), "two": (1, 2, 3, 4)}
    settings = all_settings(type("Many", (Ghost,), {"choices": choices, "options": {"fixed": True}})())
    assert len(settings) == 7
    assert settings[0] == {"fixed": True, "one": 1, "two": 1}


def test_a_block_that_cannot_be_built_is_one_line():
    assert verify(made(lambda *_: 1 / 0)(), (8, 9, 5), 16, 1, {}) == [
        "stranger(in_channels=8, width=16, stride=1): ZeroDivisionError: division by zero"
    ]


def test_a_broken_veto_is_a_block_error():
    with pytest.raises(BlockError, match="valid failed"):
        list(cases(type("Broken", (Block,), {"name": "broken", "valid": lambda self, *_: 1 / 0})()))
