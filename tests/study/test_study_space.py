"""What a space holds: every draw once, names that give it back, networks in normal form."""

import random
from itertools import product

import pytest
from example_counts import examples
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

from nas.blocks.registry import load_blocks
from nas.blocks.trace import normalise
from nas.study.space import Odometer, RandomPicker, make_space
from nas.study.tables import SpaceTable

BLOCKS = load_blocks(load=())


def space(names, *, input=(1, 8, 8), order=(), **changes):
    table = {
        "blocks": names,
        "kernels": [3, 5],
        "widths": [8, 16, 24],
        "stages": [1, 2],
        "depths": [1, 2],
        "stem": {"kernels": [3, 5], "widths": [8]},
    }
    return make_space(SpaceTable(**(table | changes)), BLOCKS, input, 10, order=order)


SPACES = {
    "one block": space(["conv"]),
    "choices": space(["grouped", "inception", "separable"], widths=[8, 16], stages=[1]),
    "mixed": space(["conv", "bottleneck"], widths=[8, 16], kernels=[3], mix=True, stages=[1]),
    "single": space(["conv"], kernels=[3], widths=[8], stages=[1], depths=[1], stem={"kernels": [3], "widths": [8]}),
    "no norm": space(["stacked", "conv"], norm="none", widths=[8, 16], stages=[1]),
}


@pytest.mark.parametrize("name", sorted(SPACES))
def test_draws_are_every_network_once(name):
    held = list(SPACES[name].draws())
    assert len(held) == len(set(held)) == SPACES[name].size()


def test_draws_are_all_combinations():
    held = {
        (draw.skeleton.stem_kernel, draw.widths, tuple(len(stage) for stage in draw.skeleton.stages))
        for draw in SPACES["one block"].draws()
    }
    wanted = {
        (kernel, (8, *widths), depths)
        for kernel in (3, 5)
        for count in (1, 2)
        for widths in product((8, 16, 24), repeat=count)
        for depths in product((1, 2), repeat=count)
    }
    assert held == wanted


def test_every_random_draw_is_among_the_enumerated():
    held = set(SPACES["mixed"].draws())
    picker = RandomPicker(random.Random(0))
    assert {SPACES["mixed"].draw(picker) for _ in range(2_000)} == held


def test_odometer_turns_the_last_wheel_fastest():
    odometer, seen = Odometer(), []
    while odometer.start():
        first = odometer.suggest_categorical("a", "xy")
        second = odometer.suggest_int("b", 2, 6, step=2) if first == "x" else None
        seen.append((first, second))
    assert seen == [("x", 2), ("x", 4), ("x", 6), ("y", None)]


class Named:
    """A picker that picks what it is told, and nothing else."""

    def __init__(self, named):
        self.named = named

    def suggest_int(self, name, low, high, *, step=1):
        assert self.named[name] in range(low, high + 1, step)
        return self.named[name]

    def suggest_categorical(self, name, choices):
        assert self.named[name] in choices
        return self.named[name]


@options(deadline=None, derandomize=True, max_examples=examples(60))
@given(st.sampled_from(sorted(SPACES)), st.integers(0, 10_000))
def test_names_give_the_draw_back(name, seed):
    held = SPACES[name]
    draw = held.draw(RandomPicker(random.Random(seed)))
    assert held.draw(Named(held.names(draw))) == draw


@options(deadline=None, derandomize=True, max_examples=examples(60))
@given(st.sampled_from(sorted(SPACES)), st.integers(0, 10_000))
def test_architecture_is_in_normal_form(name, seed):
    held = SPACES[name]
    architecture = held.architecture(held.draw(RandomPicker(random.Random(seed))))
    stated = normalise(architecture, BLOCKS)
    assert stated == architecture
    assert stated.to_json()["parts"] == architecture.to_json()["parts"]
    assert stated.fingerprint == architecture.fingerprint


def test_architecture_of_a_width_of_classes_is_in_normal_form():
    held = space(["conv"], widths=[10])
    draw = held.draw(RandomPicker(random.Random(0)))
    architecture = held.architecture(draw)
    assert normalise(architecture, BLOCKS) == architecture
    assert architecture.parts[1].width == 10


def test_stages_after_the_first_halve_the_map():
    assert space(["conv"], input=(3, 33, 17)).sizes(4) == [(33, 17), (33, 17), (17, 9), (9, 5)]
    held = space(["conv"], stages=[3])
    strides = [part.stride for part in held.architecture(next(held.draws())).parts[:-2]]
    assert strides == [1, 1, 2, 2]


def test_options_of_the_study_reach_every_block_and_the_stem():
    held = SPACES["no norm"]
    parts = held.architecture(next(held.draws())).parts[:-2]
    assert all(dict(part.settings)["norm"] == "none" for part in parts)


def test_kernels_are_those_that_both_block_and_study_allow():
    held = space(["stacked", "conv"], kernels=[1, 3, 9])
    assert held.choices["stacked"]["kernel"] == (3, 9)
    assert held.choices["conv"]["kernel"] == (1, 3, 9)


def test_list_of_blocks_only_grows():
    older = space(["conv", "separable"])
    newer = space(["separable", "stacked", "conv"], order=older.blocks)
    assert newer.blocks == ("conv", "separable", "stacked")
    draw = older.draw(RandomPicker(random.Random(3)))
    assert newer.draw(Named(newer.names(draw))) == draw


def test_only_one_block_keeps_its_place():
    held = SPACES["choices"]
    draw = held.only("inception").draw(RandomPicker(random.Random(0)))
    assert {pick.block for stage in draw.skeleton.stages for pick in stage} == {"inception"}
    assert held.draw(Named(held.names(draw))) == draw


def test_one_value_is_never_asked_for():
    class Asked:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was asked")

    assert SPACES["single"].draw(Asked()) == next(SPACES["single"].draws())


def test_uneven_numbers_are_categories_and_even_ones_a_range():
    asked = {}

    class Kinds(RandomPicker):
        def suggest_int(self, name, low, high, *, step=1):
            asked[name] = (low, high, step)
            return super().suggest_int(name, low, high, step=step)

        def suggest_categorical(self, name, choices):
            asked[name] = choices
            return super().suggest_categorical(name, choices)

    space(["grouped"], widths=[8, 16, 24], stages=[1]).draw(Kinds(random.Random(0)))
    assert asked["stage1.width"] == (8, 24, 8)
    assert asked["stage1.grouped.groups"] == (2, 4, 8, 32)
    assert asked["stage1.grouped.kernel"] == (3, 5, 2)
