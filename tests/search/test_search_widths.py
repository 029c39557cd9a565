"""The widths that a skeleton may take: vetoes of its stages, steps, and the nearest of a grid."""

from hypothesis import given
from hypothesis import strategies as st
from search_worlds import BLOCKS, Even, draws, make

from nas.search.costs import Costs
from nas.search.widths import closest_of, outward
from nas.study.budget import Budget
from nas.study.space import Pick


def grid_of(space):
    return Costs(space, BLOCKS, Budget(params=20_000)).grid(draws(space, 1, 0)[0].skeleton)


class Halving(Even):
    """Doubles where it halves the map, and keeps the width elsewhere."""

    name = "halving"

    def valid(self, in_channels, width, stride):
        return width == in_channels * stride


class Sixteens(Even):
    """Takes multiples of 16."""

    name = "sixteens"

    def valid(self, in_channels, width, stride):
        return in_channels % 16 == width % 16 == 0


class Doubling(Even):
    """Doubles the width."""

    name = "doubling"

    def valid(self, in_channels, width, stride):
        return width == 2 * in_channels


def test_vetoes_are_told_apart_by_the_blocks_behind_and_by_stride():
    blocks = {block.name: Pick(block.name, ()) for block in (Even, Halving, Sixteens, Doubling)}
    registry = BLOCKS.with_block(Even).with_block(Halving).with_block(Sixteens).with_block(Doubling)
    costs = Costs(make(tuple(blocks), registry=registry, mix=True), registry, Budget())

    def allowed(stride, *names):
        table = costs.table(tuple(blocks[name] for name in names), (8, 8), stride)
        return [(c, width) for c in (8, 16) for width in (8, 16, 32) if table.allows(c, width)]

    assert allowed(1, "halving") == [(8, 8), (16, 16)]
    assert allowed(2, "halving") == [(8, 16), (16, 32)]
    assert allowed(1, "doubling") == [(8, 16), (16, 32)]
    assert allowed(1, "doubling", "doubling") == []
    assert allowed(2, "halving", "halving") == [(8, 16), (16, 32)]
    assert allowed(2, "even", "halving") == [(8, 8), (16, 16)]
    assert allowed(2, "halving", "sixteens") == [(8, 16), (16, 32)]
    assert allowed(1, "halving", "sixteens") == [(16, 16)]
    assert allowed(1, "halving", "even") == [(8, 8), (16, 16)]


def test_step_is_one_place_to_its_next_larger_value():
    grid = grid_of(make(("conv", "bottleneck"), widths=[8, 64], stages=[1, 2, 3]))
    assert [len(values) for values in grid.values][1:] == [2] * (len(grid.values) - 1)
    low, high = grid.narrowest, grid.widest
    raised = grid.raised(low)
    assert all(grid.is_step(low, point) and not grid.is_step(point, low) for _, point in raised)
    assert not grid.is_step(low, low)
    assert not grid.is_step(low, high)
    fine = grid_of(make(("conv", "stacked"), widths={"low": 2, "high": 128, "step": 2}))
    stem, first, *rest = fine.narrowest.widths
    assert fine.is_step(fine.narrowest, fine.point((stem, first + 2, *rest)))
    assert not fine.is_step(fine.narrowest, fine.point((stem, first + 4, *rest)))


@given(st.lists(st.integers(1, 9), min_size=1, unique=True), st.integers(-2, 22).map(lambda twice: twice / 2))
def test_closest_is_the_first_of_outward(values, target):
    assert closest_of(sorted(values), target) == next(outward(sorted(values), target))


def test_outward_gives_every_value_once_nearest_first():
    assert list(outward([2, 4, 8, 16], 5)) == [4, 2, 8, 16]
    assert list(outward([2, 4, 8, 16], 6)) == [4, 8, 2, 16]
    assert list(outward([2, 4], 100)) == [4, 2]
