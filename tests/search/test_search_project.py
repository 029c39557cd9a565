"""The projection onto the budget: properties that hold for every draw."""

from itertools import product

import pytest
from example_counts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from search_worlds import BLOCKS, Dark, Even, draws, make, tiny

from nas.blocks.trace import cost
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.profile import check_feasible
from nas.search.project import BAND, project
from nas.search.widths import WidthGrid
from nas.study.budget import Budget
from nas.study.space import Draw

ROOMY = {"deadline": None, "derandomize": True, "max_examples": examples(60)}
SPACES = {
    "five": make(),
    "all": make(tuple(sorted(BLOCKS)), mix=True, widths=[8, 16, 32], kernels=[3, 5], stages=[1, 2]),
    "fine": make(("conv", "stacked"), widths={"low": 2, "high": 128, "step": 2}, input=(3, 33, 17)),
    "coarse": make(("conv", "bottleneck"), widths=[8, 64], stages=[1, 2, 3]),
    "even": make(("even", "grouped"), registry=BLOCKS.with_block(Even), widths=[8, 16, 24], stem={"widths": [8, 16]}),
}
VETOED = make(("grouped", "inception", "stacked"), widths=[6, 10, 15, 20], depths=[2, 3], stem={"widths": [8]})
BUDGETS = {
    "little": Budget(params=3_000),
    "params": Budget(params=20_000),
    "macs": Budget(macs=400_000),
    "two": Budget(params=20_000, macs=300_000),
    "activations": Budget(activations=4_000),
    "pixels": Budget(params=20_000, min_receptive_field=23),
    "much": Budget(params=10_000_000),
    "none": Budget(),
}

worlds = st.tuples(st.sampled_from(sorted(SPACES)), st.sampled_from(sorted(BUDGETS)), st.integers(0, 10_000))
_costs = {}


def costs_of(space, budget):
    key = (space, budget)
    if key not in _costs:
        registry = BLOCKS.with_block(Even)
        _costs[key] = Costs(SPACES[space], registry, BUDGETS[budget])
    return _costs[key]


def drawn(world):
    space, budget, seed = world
    return draws(SPACES[space], 1, seed)[0], costs_of(space, budget)


def every_use(skeleton, costs):
    """The use of the tightest limit of each width combination that can be built, counted one by one."""
    found = {}
    for widths in product(*costs.space.width_values(len(skeleton.stages))):
        numbers = costs.numbers(skeleton, widths)
        if numbers is not None:
            found[widths] = costs.use(numbers)
    return found


@settings(**ROOMY)
@given(worlds)
def test_projection_is_never_over_budget(world):
    draw, costs = drawn(world)
    found = project(draw, costs)
    if found is None:
        with pytest.raises(Exception, match="budget"):
            check_feasible(costs)
        return
    totals = cost(costs.space.architecture(found.draw), costs.blocks).totals
    assert costs.budget.fits(totals)
    assert tuple(found.numbers) == (totals.params, totals.weights, totals.macs, totals.activations)


@settings(**ROOMY)
@given(worlds)
def test_projection_is_deterministic_whatever_was_asked_before(world):
    draw, costs = drawn(world)
    fresh = Costs(costs.space, costs.blocks, costs.budget)
    assert project(draw, costs) == project(draw, fresh)


@settings(**ROOMY)
@given(worlds, st.booleans())
def test_projection_of_a_projected_draw_is_itself(world, fill):
    draw, costs = drawn(world)
    once = project(draw, costs, fill=fill)
    if once is not None:
        twice = project(once.draw, costs, fill=fill)
        assert twice is not None
        assert twice.draw == once.draw
        assert not twice.changed


@settings(**ROOMY)
@given(st.tuples(st.sampled_from(["coarse", "all", "even"]), st.sampled_from(sorted(BUDGETS)), st.integers(0, 10_000)))
def test_skeleton_is_kept_where_widths_alone_can_meet_the_budget(world):
    draw, costs = drawn(world)
    found = project(draw, costs)
    uses = every_use(draw.skeleton, costs)
    sees = bool(uses) and costs.budget.sees(costs.field(draw.skeleton, next(iter(uses))))
    if not (sees and min(uses.values()) <= 1):
        assert found is None or found.draw.skeleton != draw.skeleton
        return
    assert found.draw.skeleton == draw.skeleton
    if costs.limits and any(BAND <= use <= 1 for use in uses.values()):
        assert uses[found.draw.widths] >= BAND


@settings(**ROOMY)
@given(worlds)
def test_draw_inside_the_band_stays_as_drawn(world):
    draw, costs = drawn(world)
    numbers = costs.numbers(draw.skeleton, draw.widths)
    sees = numbers is not None and costs.budget.sees(costs.field(draw.skeleton, draw.widths))
    if sees and (not costs.limits or BAND <= costs.use(numbers) <= 1):
        assert project(draw, costs).draw == draw


@settings(**ROOMY)
@given(worlds)
def test_draw_that_is_below_the_band_at_its_widest_stays_as_drawn(world):
    draw, costs = drawn((world[0], "much", world[2]))
    grid = costs.grid(draw.skeleton)
    if grid.possible and grid.widest.use < BAND and costs.numbers(draw.skeleton, draw.widths) is not None:
        assert project(draw, costs).draw == draw


@settings(**ROOMY)
@given(worlds)
def test_fill_off_never_scales_up(world):
    draw, costs = drawn(world)
    found = project(draw, costs, fill=False)
    numbers = costs.numbers(draw.skeleton, draw.widths)
    if found is None or numbers is None or found.draw.skeleton != draw.skeleton:
        return
    if costs.use(numbers) <= 1:
        assert found.draw == draw
    else:
        assert costs.use(found.numbers) <= 1


def test_widths_are_scaled_by_one_factor():
    costs = Costs(SPACES["fine"], BLOCKS, Budget(params=100_000))
    found = [(draw, project(draw, costs).draw) for draw in draws(SPACES["fine"], 60)]
    alike = [_alike(draw, there) for draw, there in found if draw.skeleton == there.skeleton and draw != there]
    assert len(alike) > 30
    assert sum(alike) >= 0.9 * len(alike)


def _alike(draw, there):
    """Whether the stages' widths have one factor, but for the ends of the grid and two steps of rounding."""
    pairs = [(new, old) for new, old in zip(there.widths[1:], draw.widths[1:], strict=True) if 2 < new < 128]
    middle = sum(new / old for new, old in pairs) / len(pairs) if pairs else 1.0
    return all(abs(new - old * middle) <= 4 + 0.1 * new for new, old in pairs)


@settings(**ROOMY)
@given(worlds)
def test_factor_is_looked_for_no_further_than_something_lies_between(world):
    """Bisected on to the end it comes to the same widths."""
    draw, costs = drawn(world)
    found = project(draw, costs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WidthGrid, "is_step", lambda *_: False)
        assert project(draw, costs) == found


def test_receptive_field_minimum_vetoes_skeletons_before_widths():
    costs = Costs(SPACES["five"], BLOCKS, Budget(params=20_000, min_receptive_field=40))
    for draw in draws(SPACES["five"], 60):
        found = project(draw, costs)
        assert costs.field(found.draw.skeleton, found.draw.widths) >= 40
        if costs.field(draw.skeleton, found.draw.widths[: len(draw.widths)]) is None:
            assert found.changed


def test_block_of_unknown_field_is_excluded_by_a_minimum():
    registry = BLOCKS.with_block(Dark)
    space = tiny(("dark", "conv"), registry=registry)
    costs = Costs(space, registry, Budget(min_receptive_field=5))
    for draw in draws(space, 20):
        found = project(draw, costs)
        assert {pick.block for stage in found.draw.skeleton.stages for pick in stage} == {"conv"}


def test_two_limits_are_both_kept_and_the_tighter_filled():
    costs = Costs(SPACES["fine"], BLOCKS, Budget(params=50_000, macs=3_000_000))
    tighter = set()
    for draw in draws(SPACES["fine"], 40):
        numbers = project(draw, costs).numbers
        assert numbers.params <= 50_000
        assert numbers.macs <= 3_000_000
        assert costs.use(numbers) >= BAND
        tighter.add(numbers.params / 50_000 > numbers.macs / 3_000_000)
    assert tighter == {True, False}


def test_skeleton_loses_depth_before_kernels():
    space = tiny(("stacked",), kernels=[3, 5], depths=[1, 2, 3], stages=[1], widths=[16])
    deep = next(draw for draw in draws(space, 60) if len(draw.skeleton.stages[0]) == 3 and _kernel(draw) == 5)
    one = Draw(deep.skeleton, (8, 16))
    cheaper = Costs(space, BLOCKS, Budget()).numbers(deep.skeleton, (8, 16)).params - 1
    found = project(one, Costs(space, BLOCKS, Budget(params=cheaper))).draw
    assert _kernel(found) == 5
    assert len(found.skeleton.stages[0]) == 2


def _kernel(draw):
    return dict(draw.skeleton.stages[0][0].settings)["kernel"]


@pytest.mark.parametrize("space", [*SPACES.values(), VETOED], ids=[*SPACES, "vetoed"])
def test_projected_network_is_one_that_the_space_draws(space):
    costs = Costs(space, BLOCKS.with_block(Even), Budget(params=30_000))
    for draw in draws(space, 40, 5):
        found = project(draw, costs)
        if found is not None:
            assert replayed(space.draw, space.names(found.draw))[0] == found.draw


def test_vetoed_choices_are_mended_within_their_block_type():
    space = tiny(("grouped",), widths=[8, 12])
    costs = Costs(space, BLOCKS, Budget())
    vetoed = [draw for draw in draws(space, 60) if dict(draw.skeleton.stages[0][0].settings)["groups"] == 32]
    assert vetoed
    for draw in vetoed:
        found = project(draw, costs).draw.skeleton.stages[0][0]
        assert (found.block, dict(found.settings)["groups"]) == ("grouped", 8)


def test_block_type_that_no_width_allows_gives_way_to_another():
    space = tiny(("grouped", "conv"), stem={"widths": [9]}, widths=[9, 15])
    found = [project(draw, Costs(space, BLOCKS, Budget())) for draw in draws(space, 20)]
    assert {pick.block for one in found for stage in one.draw.skeleton.stages for pick in stage} == {"conv"}
    assert len({one.draw for one in found}) > 5


def test_impossible_budget_has_no_projection():
    costs = Costs(tiny(), BLOCKS, Budget(params=20))
    assert all(project(draw, costs) is None for draw in draws(tiny(), 10))
