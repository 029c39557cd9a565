"""The smallest and the largest network, against every network of small spaces; costs against the walk."""

import math
from functools import cache
from itertools import product

import pytest
from search_worlds import BLOCKS, FIVE, Dark, Even, draws, make, tiny

from nas.blocks.trace import cost
from nas.errors import BudgetError
from nas.search.band import closest
from nas.search.costs import Costs
from nas.search.extremes import largest, largest_field, smallest
from nas.search.profile import check_feasible, is_feasible, profile, smallest_budgets, typical
from nas.search.project import BAND
from nas.study.budget import Budget

SPACES = {
    "tiny": tiny(),
    "five": tiny(FIVE, widths=[8, 16], kernels=[3, 5], stages=[1, 2], depths=[1]),
    "deep": tiny(("bottleneck", "separable"), depths=[1, 2, 3], kernels=[3, 7]),
    "mixed": tiny(("conv", "grouped"), depths=[1, 2], mix=True, kernels=[3]),
    "far": tiny(("conv", "stacked"), depths=[1, 2], widths=[8], stages=[3], input=(1, 16, 16)),
    "late": tiny(("grouped",), widths=[8, 16, 24, 32, 40, 48, 64], kernels=[3, 5], stem={"widths": [8, 32]}),
    "even": tiny(("even", "conv"), registry=BLOCKS.with_block(Even), stem={"widths": [8, 16]}),
}
REGISTRY = BLOCKS.with_block(Even)


@cache
def counted(name):
    """Every network of a space that can be built, with its costs and the pixels it sees."""
    space = SPACES[name]
    costs = Costs(space, REGISTRY, Budget())
    all_of_them = [(draw, costs.numbers(draw.skeleton, draw.widths)) for draw in space.draws()]
    return [(draw, n, costs.field(draw.skeleton, draw.widths)) for draw, n in all_of_them if n is not None]


def every(name, budget):
    return [(draw, numbers) for draw, numbers, field in counted(name) if budget.sees(field)]


@pytest.mark.parametrize("name", sorted(SPACES))
def test_costs_equal_the_walk_through_the_network(name):
    space = SPACES[name]
    costs = Costs(space, REGISTRY, Budget())
    for draw in draws(space, 40):
        numbers = costs.numbers(draw.skeleton, draw.widths)
        if numbers is not None:
            walked = cost(space.architecture(draw), REGISTRY)
            assert tuple(numbers) == (walked.params, walked.weights, walked.macs, walked.activations)
            assert costs.field(draw.skeleton, draw.widths) == walked.receptive_field


@pytest.mark.parametrize("name", sorted(SPACES))
@pytest.mark.parametrize("pixels", [None, 9])
@pytest.mark.parametrize("metric", ["params", "macs", "activations"])
def test_smallest_is_the_smallest_of_all(name, pixels, metric):
    space, budget = SPACES[name], Budget(min_receptive_field=pixels)
    least = min(getattr(numbers, metric) for _, numbers in every(name, budget))
    costs = Costs(space, REGISTRY, budget)
    found = smallest(costs, metric)
    assert getattr(costs.numbers(found.skeleton, found.widths), metric) == least
    assert budget.sees(costs.field(found.skeleton, found.widths))


@pytest.mark.parametrize("pixels", range(15, 71, 8))
def test_smallest_counts_pixels_behind_every_halving(pixels):
    budget = Budget(min_receptive_field=pixels)
    found = smallest(Costs(SPACES["far"], REGISTRY, budget), "params")
    costs = Costs(SPACES["far"], REGISTRY, budget)
    least = min(numbers.params for _, numbers in every("far", budget))
    assert costs.numbers(found.skeleton, found.widths).params == least


@pytest.mark.parametrize("name", sorted(SPACES))
def test_smallest_under_two_limits_has_the_least_use(name):
    space, budget = SPACES[name], Budget(params=1_000, macs=40_000)
    costs = Costs(space, REGISTRY, budget)
    found = smallest(costs)
    least = min(costs.use(numbers) for _, numbers in every(name, budget))
    assert costs.use(costs.numbers(found.skeleton, found.widths)) == pytest.approx(least)


@pytest.mark.parametrize("name", sorted(SPACES))
def test_largest_is_the_largest_of_all(name):
    space = SPACES[name]
    costs = Costs(space, REGISTRY, Budget())
    found = largest(costs, "params")
    most = max(numbers.params for _, numbers in every(name, Budget()))
    assert costs.numbers(found.skeleton, found.widths).params == most


@pytest.mark.parametrize("name", sorted(SPACES))
def test_largest_field_is_that_of_all(name):
    space = SPACES[name]
    costs = Costs(space, REGISTRY, Budget())
    assert largest_field(costs) == max(costs.field(draw.skeleton, draw.widths) for draw, _ in every(name, Budget()))


def test_largest_field_is_unknown_where_no_block_tells():
    registry = BLOCKS.with_block(Dark)
    space = tiny(("dark",), registry=registry)
    costs = Costs(space, registry, Budget(min_receptive_field=3))
    assert largest_field(costs) is None
    with pytest.raises(BudgetError, match="of no network of the space is it known"):
        check_feasible(costs)


@pytest.mark.parametrize("least", [BAND, 0.0])
def test_closest_finds_widths_in_the_band_wherever_there_are_any(least):
    costs = Costs(SPACES["late"], REGISTRY, Budget(params=3_000, macs=120_000))
    for draw in draws(SPACES["late"], 15):
        grid = costs.grid(draw.skeleton)
        near = grid.nearest(draw.widths)
        points = [grid.point(widths) for widths in product(*SPACES["late"].width_values(len(draw.skeleton.stages)))]
        inside = [point for point in points if least <= point.use <= 1]
        found = closest(grid, near, least)
        assert (found is not None) == bool(inside)
        assert found is None or found in inside
        assert found is None or apart(found, near) == pytest.approx(min(apart(point, near) for point in inside))


def apart(point, near):
    return sum(math.log(width / target) ** 2 for width, target in zip(point.widths, near.widths, strict=True))


def test_closest_takes_the_next_least_share_where_none_reaches_the_first():
    costs = Costs(SPACES["late"], REGISTRY, Budget(params=3_000, macs=120_000))
    for draw in draws(SPACES["late"], 15):
        grid = costs.grid(draw.skeleton)
        near = grid.nearest(draw.widths)
        assert closest(grid, near, 2.0, 0.0) == closest(grid, near, 0.0)
        assert closest(grid, near, BAND, 0.0) == (closest(grid, near, BAND) or closest(grid, near, 0.0))


def test_budget_below_the_smallest_names_it():
    costs = Costs(tiny(), BLOCKS, Budget(params=20))
    least = smallest_budgets(costs)["params"]
    with pytest.raises(BudgetError, match=f"budget.params: no network has at most 20; the smallest has {least}$"):
        check_feasible(costs)
    check_feasible(Costs(tiny(), BLOCKS, Budget(params=least)))
    assert not is_feasible(Costs(tiny(), BLOCKS, Budget(params=least - 1)))


def test_limits_that_exclude_each_other_are_told_together():
    space = tiny(("conv", "bottleneck"), kernels=[3], widths=[16])
    alone = smallest_budgets(Costs(space, BLOCKS, Budget(params=1, activations=1)))
    costs = Costs(space, BLOCKS, Budget(**alone))
    with pytest.raises(BudgetError, match=r"together; the nearest has params [\d,]+ and activations [\d,]+$"):
        check_feasible(costs)


def test_field_beyond_every_network_names_the_largest():
    with pytest.raises(BudgetError, match="no network sees 500 pixels; the one that sees most sees 11"):
        check_feasible(Costs(tiny(), BLOCKS, Budget(params=5_000, min_receptive_field=500)))


def test_least_budget_counts_only_networks_that_see_enough():
    all_of_them = smallest_budgets(Costs(tiny(), BLOCKS, Budget(params=1)))["params"]
    seeing = smallest_budgets(Costs(tiny(), BLOCKS, Budget(params=1, min_receptive_field=9)))["params"]
    assert seeing > all_of_them


def test_space_without_a_network_says_so():
    costs = Costs(tiny(("grouped",), widths=[9], stem={"widths": [9]}), BLOCKS, Budget(params=1_000))
    with pytest.raises(BudgetError, match="space: no network of it can be built"):
        check_feasible(costs)


def test_profile_of_a_small_space_counts_all_of_it():
    space = SPACES["tiny"]
    numbers = [found.params for _, found in every("tiny", Budget())]
    found = profile(space, BLOCKS, Budget(params=1_500))
    assert (found.params["min"], found.params["max"]) == (min(numbers), max(numbers))
    assert found.space_size == space.size() == len(list(space.draws()))
    assert found.feasible
    assert found.smallest_budget == min(numbers)
    share = sum(one <= 1_500 for one in numbers) / len(numbers)
    assert found.share_feasible == pytest.approx(share, abs=0.2)


def test_profile_of_an_impossible_budget_is_not_feasible():
    found = profile(tiny(), BLOCKS, Budget(params=20))
    assert not found.feasible
    assert set(found.blocks.values()) == {0.0}
    assert found.smallest_budget > 20


def test_profile_tells_which_block_types_fit():
    space = make(("stacked", "separable"), widths=[64], depths=[2], stages=[2], stem={"widths": [16]})
    found = profile(space, BLOCKS, Budget(params=30_000))
    assert found.blocks["stacked"] == 0.0
    assert found.blocks["separable"] > 0.5


def test_typical_networks_go_from_cheap_to_dear():
    costs = Costs(make(), BLOCKS, Budget(params=20_000))
    macs = [costs.numbers(draw.skeleton, draw.widths).macs for draw in typical(costs, 3)]
    assert len(macs) == 3
    assert macs == sorted(macs)
    assert macs[0] < macs[-1]
