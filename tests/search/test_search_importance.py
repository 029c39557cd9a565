"""Importances find the rule by which accuracies were invented, and nothing where there is none."""

import numpy as np
import pytest
from search_worlds import draws, make

from nas.search.choices import ChoiceTable, chosen
from nas.search.importance import believed, correlations, importances, ranked

SPACE = make(("stacked", "separable", "grouped"))
ROWS = [chosen(SPACE.names(draw), SPACE.blocks) for draw in draws(SPACE, 60)]
CHANCE = np.random.default_rng(7).standard_normal(60)


def values(kind):
    """The values of a kind in each network; [] where it has none."""
    return [[value for choice, value in row.items() if choice.kind == kind] for row in ROWS]


def told(accuracies, count=60):
    return importances(ChoiceTable(ROWS[:count]), ranked(accuracies[:count]))


def test_kernel_is_named_where_accuracy_depends_on_it_alone():
    belief, found = told(np.array([0.99 - 0.01 * np.mean(kernels) for kernels in values("kernel")]) + 0.002 * CHANCE)
    assert belief.holds
    assert belief.rank_correlation > 0.7
    assert found[0].kind == "kernel"
    assert 0.5 < found[0].importance_low < found[0].importance < found[0].importance_high < 1.5
    assert found[0].p_value < 1e-6
    assert max(one.importance for one in found[1:]) < 0.15


def test_choice_of_one_block_type_is_named_beside_the_block():
    """Networks without stacked blocks have no layers to choose; whether they have is the block's matter."""
    accuracies = 0.9 + 0.02 * np.array([sum(value == 3 for value in layers) for layers in values("stacked.layers")])
    _, found = told(accuracies + 0.002 * CHANCE)
    names = [one.kind for one in found if one.p_value < 0.01]
    assert {"stacked.layers", "block"} <= set(names)
    assert not {"kernel", "width", "depth", "grouped.groups"} & set(names)


def test_block_alone_is_not_taken_for_the_choices_that_it_brings():
    accuracies = 0.9 + 0.05 * np.array(
        [np.mean([block == "stacked" for block in blocks]) for blocks in values("block")]
    )
    _, found = told(accuracies + 0.002 * CHANCE)
    importance = {one.kind: one.importance for one in found}
    assert found[0].kind == "block"
    assert importance["stacked.layers"] < 0.05
    assert importance["grouped.groups"] < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_chance_is_not_believed(seed):
    chance = np.random.default_rng(seed).standard_normal(30)
    belief, _ = told(0.95 + 0.01 * chance, 30)
    assert not belief.holds


def test_costs_are_believed_where_they_are_what_matters():
    macs = np.random.default_rng(1).uniform(1, 2, (40, 2))
    found = believed(macs, ranked(0.9 + 0.02 * macs[:, 0]))
    assert found.holds
    assert found.rank_correlation > 0.9
    assert not believed(macs[:, 1:], ranked(0.9 + 0.02 * macs[:, 0])).holds
    told = correlations({"macs": macs[:, 0], "params": macs[:, 1], "depth": [3] * 40}, macs[:, 0])
    assert told["macs"][0] == pytest.approx(1.0)
    assert abs(told["params"][0]) < 0.35
    assert told["depth"] == (0.0, 1.0)


def test_ranks_do_not_tell_how_far_accuracies_lie_apart_and_equal_ones_are_equal():
    found = ranked([0.1, 0.97, 0.98, 0.98, 0.99])
    assert found.tolist() == ranked([0.5, 0.6, 0.7, 0.7, 0.8]).tolist()
    assert found[2] == found[3]
    assert found[0] == -found[4] < found[1] < found[2]
