"""Every block type that fits the budget gets its turn among the first trials, whoever proposes them."""

from statistics import fmean

import pytest
from optuna.trial import TrialState
from search_worlds import BLOCKS, FIVE, make, proposer, record, run_toy, stage_blocks, tiny

from nas.arch.record import RUNNING
from nas.blocks.trace import cost
from nas.search.drawing import replayed
from nas.search.memory import expected
from nas.study.budget import Budget
from nas.study.tables import SAMPLERS

BUDGET = Budget(params=20_000)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_block_type_is_in_the_first_trials(sampler):
    space = make((*FIVE, "conv", "spatial"))
    found = run_toy(proposer(space, budget=BUDGET, sampler=sampler, trials=14), 7)
    assert set().union(*(stage_blocks(one, space) for one in found)) == set(space.blocks)


def test_block_types_are_not_forced_on_a_study_too_short_for_them():
    asked = proposer(make(), budget=BUDGET, trials=9)
    assert asked.missing == []


def test_block_type_that_cannot_fit_is_not_waited_for():
    space = make(("stacked", "separable"), widths=[64], depths=[2], stages=[2], stem={"widths": [16]})
    asked = proposer(space, budget=Budget(params=30_000))
    assert asked.missing == ["separable"]
    assert all(stage_blocks(one, space) == {"separable"} for one in run_toy(asked, 6))


def test_block_type_that_fits_only_behind_another_gets_its_turn():
    space = tiny(("grouped", "conv"), stem={"widths": [9]}, kernels=[3], stages=[2])
    found = run_toy(proposer(space, trials=8), 4)
    assert "grouped" in set().union(*(stage_blocks(one, space) for one in found))


def test_several_workers_share_the_block_types_among_them():
    space = make()
    workers = [proposer(space, budget=BUDGET, trials=10, seed=slot, slot=slot) for slot in range(5)]
    first = [worker.ask() for worker in workers]
    assert set().union(*(stage_blocks(one, space) for one in first)) == set(FIVE)


def test_workers_of_our_own_sampler_that_begin_together_soon_have_all_block_types():
    space, records = make(), []
    workers = [proposer(space, budget=BUDGET, sampler="budget", trials=10, slot=slot) for slot in range(3)]
    asked = [worker.ask() for worker in workers]
    for worker, one in zip(workers, asked, strict=True):
        while any(one.fingerprint == other.fingerprint for other in records):
            worker.learn(records)
            one = worker.ask()
        records.append(record(len(records), one, RUNNING))
    for worker in workers:
        worker.learn(records)
    assert len({tuple(worker.missing) for worker in workers}) == 1
    if workers[0].missing:
        records.append(record(3, workers[0].ask(), RUNNING))
    seen = set().union(*(stage_blocks(one, space) for one in records))
    assert seen == set(FIVE)


def expectation(one, space):
    """What our own sampler expects of a network before anything is known."""
    return expected(one.totals.params, replayed(space.draw, one.params)[0].widths[-1])


def leading(asked, space, blocks):
    """The eight networks with one of these types of which our own sampler expects most, the cheapest first."""
    every = asked.study.sampler.in_order(asked.study)
    having = [one for one in every if {space.blocks[one[name]] for name in one if ".block" in name} & blocks]
    return sorted(having[:8], key=lambda one: macs(space, one))


def macs(space, named):
    return cost(space.architecture(replayed(space.draw, named)[0]), BLOCKS).macs


def test_our_own_sampler_begins_with_the_cheapest_of_what_it_expects_most_of_and_then_with_what_brings_a_new_type():
    space = make()
    asked = proposer(space, budget=BUDGET, sampler="budget", trials=40)
    others = run_toy(proposer(space, budget=BUDGET, trials=200), 200)
    found, lacking = [], set(FIVE)
    while lacking:
        wanted = leading(asked, space, lacking)[0]
        found.append(asked.ask())
        assert found[-1].params == wanted
        lacking -= stage_blocks(found[-1], space)
        asked.learn([record(len(found), found[-1], RUNNING)])
        assert set(asked.missing) == lacking
    assert len(found) < len(FIVE)
    told = sorted((expectation(one, space) for one in others), reverse=True)
    assert expectation(found[0], space) > told[8]
    assert found[0].totals.macs < fmean(one.totals.macs for one in others)


@pytest.mark.parametrize("slot", [1, 2, 4])
def test_worker_beside_the_first_begins_with_the_cheapest_of_the_highest_of_a_type_of_its_own(slot):
    space = make()
    asked = proposer(space, budget=BUDGET, sampler="budget", trials=40, slot=slot)
    own = leading(asked, space, {asked.missing[slot]})[0]
    assert asked.ask().params == own
    assert own != leading(asked, space, set(FIVE))[0]


def test_worker_that_joins_goes_on_with_the_cheapest_of_the_highest_of_any_missing_type():
    space = make()
    first = run_toy(proposer(space, budget=BUDGET, sampler="budget", trials=40), 1)
    asked = proposer(space, budget=BUDGET, sampler="budget", trials=40, slot=3)
    asked.learn([record(0, first[0], RUNNING)])
    wanted = leading(asked, space, set(asked.missing))[0]
    assert asked.missing[3 % len(asked.missing)] not in {
        space.blocks[wanted[name]] for name in wanted if ".block" in name
    }
    assert asked.ask().params == wanted


def test_network_of_a_missing_type_counts_as_running_for_the_sampler():
    asked = proposer(make(), budget=BUDGET)
    one = asked.ask()
    running = asked.study.trials[0]
    assert running.state == TrialState.RUNNING
    assert running.params.items() <= dict(one.draw).items()
    asked.learn([record(0, one)])
    assert [trial.state.name for trial in asked.study.trials] == ["FAIL", "COMPLETE"]
