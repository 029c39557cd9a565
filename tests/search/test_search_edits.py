"""The networks one edit away: all of them, each once, within the budget; and where a network's costs lie."""

import random

import pytest
from search_worlds import BLOCKS, draws, make, tiny

from nas.blocks.trace import cost
from nas.search.anatomy import parts
from nas.search.costs import Costs
from nas.search.drawing import completions, edits, replayed
from nas.search.edits import around
from nas.search.phrases import summary
from nas.search.project import project
from nas.study.budget import Budget

SPACE = make(("stacked", "separable", "grouped"))
COSTS = Costs(SPACE, BLOCKS, Budget(params=20_000))
NAMED = SPACE.names(project(draws(SPACE, 1)[0], COSTS).draw)


@pytest.fixture(scope="module")
def edited():
    return around(COSTS, NAMED)


def test_every_edit_of_a_small_space_is_every_other_value_with_all_that_it_brings():
    costs = Costs(tiny(), BLOCKS, Budget())
    named = costs.space.names(draws(costs.space, 1)[0])
    found = around(costs, named)
    all_of = [costs.space.names(draw) for draw in costs.space.draws()]
    expected = [other for other in all_of if is_one_edit(named, other)]
    assert len(found) == len(expected) > 5
    assert {tuple(one.params.items()) for one in found} == {tuple(other.items()) for other in expected}


def is_one_edit(one, other):
    """Whether one choice differs that both have, or several of which the first brings the others."""
    differing = [name for name in one if name in other and one[name] != other[name]]
    return len(differing) == 1


def test_networks_are_within_the_budget_and_each_is_another(edited):
    prints = [one.architecture for one in edited]
    own = SPACE.architecture(replayed(SPACE.draw, NAMED)[0]).fingerprint
    assert len(set(prints)) == len(prints) > 20
    assert own not in prints
    assert all(one.numbers.params <= 20_000 for one in edited)


def test_every_choice_is_edited(edited):
    _, point = replayed(SPACE.draw, NAMED)
    assert {one.edit for one in edited} > {name for name in point.named if "width" not in name and name != "stages"}
    assert {name for name, _ in edits(point)} == set(point.distributions)


def test_network_that_the_space_does_not_draw_is_refused():
    with pytest.raises(ValueError, match="none of"):
        around(COSTS, {**NAMED, "stem.width": 9})


def test_completions_are_all_or_as_many_as_asked_for():
    named = {name: value for name, value in NAMED.items() if not name.startswith("stage1")}
    few = completions(tiny().draw, {"stages": 1, "stage1.width": 8}, 100, random.Random(0))
    assert len({tuple(one.named.items()) for one in few}) == len(few) == 4
    assert all(one.named["stage1.width"] == 8 for one in few)
    assert completions(tiny().draw, {"stages": 1, "stage1.width": 8}, 4, random.Random(0)) == few
    many = completions(SPACE.draw, named, 10, random.Random(0))
    assert len(many) == 10
    assert all(one.named["stem.width"] == named["stem.width"] for one in many)


def test_parts_add_up_to_the_network():
    for draw in draws(SPACE, 5):
        made = project(draw, COSTS).draw
        architecture, depths = SPACE.architecture(made), [len(stage) for stage in made.skeleton.stages]
        found, totals = parts(architecture, depths, BLOCKS), cost(architecture, BLOCKS).totals
        assert [one.part for one in found] == ["stem", *(f"stage{n}" for n, _ in enumerate(depths, start=1)), "head"]
        for name in ("params", "weights", "macs", "activations"):
            assert sum(getattr(one, name) for one in found) == getattr(totals, name)
        assert " | ".join(one.blocks for one in found[:-1]) == summary(architecture)
        assert found[-1].params == (made.widths[-1] + 1) * 10
