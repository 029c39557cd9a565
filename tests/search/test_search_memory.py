"""What other studies tell: figures that any network has, ranked by what went with accuracy elsewhere."""

import math
import random
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import ConstantInputWarning, spearmanr
from search_worlds import BLOCKS, make

from nas.arch.read import architecture_from_json
from nas.arch.record import Trained
from nas.blocks.trace import cost, normalise
from nas.search.costs import Costs
from nas.search.drawing import replayed
from nas.search.memory import FEWEST, Memory, expected, features, past, rank_correlation
from nas.search.named import made, make_sampler
from nas.search.project import project
from nas.study.budget import Budget
from nas.study.space import RandomPicker

SMALL = make()
LARGE = make(widths={"low": 16, "high": 128, "step": 16}, blocks=("grouped", "separable"), stages=[2, 3, 4])


def networks(space, budget, count, study, rule, seed=0):
    """Trained networks of a space within a budget, whose accuracy is what a rule makes of their features."""
    costs, chance = Costs(space, BLOCKS, budget), random.Random(seed)
    found = []
    while len(found) < count:
        drawn = project(space.draw(RandomPicker(chance)), costs)
        stated = normalise(space.architecture(drawn.draw), BLOCKS)
        totals = cost(stated, BLOCKS).totals
        told = features(stated, {name: getattr(totals, name) for name in ("params", "macs", "activations")})
        accuracy = rule(told, chance)
        found.append(
            Trained(study, accuracy, totals.params, totals.macs, totals.activations, stated.to_json()),
        )
    return found


def by_grouped(told, chance):
    """Grouped blocks are better, whatever else."""
    return 0.5 + 0.2 * told.get("share grouped", 0.0) + chance.gauss(0, 0.02)


def by_chance(told, chance):
    return chance.random()


def by_params(told, chance):
    return 0.1 * told["log params"] + 0.05 * told["log last width"]


def test_features_are_those_of_the_network_that_is_trained():
    costs = Costs(SMALL, BLOCKS, Budget(params=20_000))
    picker = RandomPicker(random.Random(3))
    for _ in range(20):
        found = project(SMALL.draw(picker), costs)
        told = {"params": found.numbers.params, "macs": found.numbers.macs, "activations": found.numbers.activations}
        stated = normalise(SMALL.architecture(found.draw), BLOCKS)
        again = architecture_from_json(stated.to_json())
        assert features(SMALL.architecture(found.draw), told) == features(again, told)
        blocks = [part for part in stated.to_json()["parts"] if "block" in part]
        shares = {name: value for name, value in features(again, told).items() if name.startswith("share")}
        assert sum(shares.values()) == pytest.approx(1)
        assert set(shares) == {f"share {part['block']}" for part in blocks[1:]}
        assert features(again, told)["halvings"] == len(found.draw.skeleton.stages) - 1


def test_what_went_with_accuracy_in_other_spaces_ranks_networks_of_this_one():
    others = [
        *networks(LARGE, Budget(params=100_000), 40, 1, by_grouped),
        *networks(LARGE, Budget(macs=2_000_000), 30, 2, lambda *told: 0.3 * by_grouped(*told)),
    ]
    memory = Memory(past(others))
    unseen = networks(SMALL, Budget(params=20_000), 60, 3, by_grouped, seed=9)
    known = past(unseen)
    reached = [one.accuracy for one in known]
    assert rank_correlation([memory.score(one.features) for one in known], reached) > 0.6
    assert rank_correlation([one.expected for one in known], reached) < 0.4
    assert memory.believed
    assert memory.correlations[0] > 0.5


def test_memory_that_ranks_no_better_than_what_is_expected_is_not_believed():
    others = [one for study in (1, 2, 3) for one in networks(SMALL, Budget(params=20_000), 20, study, by_params, study)]
    told = Memory(past(others))
    assert told.correlations[1] == pytest.approx(1)
    assert not told.believed


def test_studies_of_few_networks_and_networks_without_blocks_are_left_out():
    enough = networks(SMALL, Budget(params=20_000), FEWEST, 1, by_chance)
    few = networks(SMALL, Budget(params=20_000), FEWEST - 1, 2, by_chance)
    strange = [replace(enough[0], spec={"parts": "none"}), replace(enough[0], spec={**enough[0].spec, "parts": []})]
    assert {one.study for one in past([*enough, *few, *strange])} == {1}
    assert len(past([*enough, *few, *strange])) == FEWEST
    assert len(past(few, fewest=1)) == FEWEST - 1
    assert past([]) == []


def test_expected_is_params_times_the_root_of_the_last_width():
    assert expected(20_000, 64) - expected(10_000, 16) == pytest.approx(expected(40_000, 1) - expected(10_000, 1))


@pytest.mark.parametrize(("rule", "first"), [(by_grouped, "memory"), (by_params, "expected")])
def test_networks_are_ordered_by_memory_only_while_it_ranks_better(rule, first):
    costs = Costs(SMALL, BLOCKS, Budget(params=20_000))
    others = [one for study in (1, 2) for one in networks(LARGE, Budget(params=99_000), 30, study, rule, study)]
    memory = Memory(past(others))
    named = SMALL.names(SMALL.draw(RandomPicker(random.Random(1))))
    alone, told = made(costs, True, None, named), made(costs, True, memory, named)
    assert told.named == alone.named
    assert len(told.orders) == 2
    assert told.orders[1 if first == "memory" else 0] == alone.orders[0]


def test_search_with_a_memory_begins_with_what_it_tells():
    costs = Costs(SMALL, BLOCKS, Budget(params=20_000))
    memory = Memory(past(networks(LARGE, Budget(params=100_000), 60, 1, by_grouped)))
    assert memory.believed
    shares = {}
    for told in (None, memory):
        sampler = make_sampler("budget", 30, 0, costs, memory=told)
        sampler.points.refresh()
        ahead = [replayed(SMALL.draw, one.point.named)[0] for one in sampler.points.pool[:20]]
        picks = [pick.block for draw in ahead for stage in draw.skeleton.stages for pick in stage]
        shares[told is not None] = picks.count("grouped") / len(picks)
    assert shares[True] > 0.9 > shares[False]


@given(some.lists(some.tuples(some.integers(0, 5), some.floats(-1, 1, width=16)), min_size=2, max_size=30))
def test_rank_correlation_is_that_of_scipy(pairs):
    ones, others = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        expected = spearmanr(ones, others).statistic
    assert rank_correlation(ones, others) == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-12)


def test_worker_does_not_load_what_takes_a_second():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, nas.work.process; print('scipy.stats' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
