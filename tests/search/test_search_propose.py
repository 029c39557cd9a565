"""Proposing: every sampler finds new networks within the budget, learns what became of others, and spaces end."""

import pytest
from optuna.trial import TrialState
from search_worlds import (
    BLOCKS,
    FIVE,
    accuracy,
    draws,
    make,
    proposer,
    record,
    run_toy,
    single,
    tiny,
)

from nas.arch.record import FAILED, PRUNED, RUNNING, WAITING
from nas.blocks.trace import cost
from nas.net.build import build
from nas.search.drawing import replayed
from nas.search.phrases import summary
from nas.search.project import BAND
from nas.search.propose import MOST_ASKS
from nas.study.budget import Budget
from nas.study.tables import SAMPLERS

BUDGET = Budget(params=20_000)
QUICK = [pytest.param(name, marks=pytest.mark.slow if name in ("gp", "budget") else ()) for name in SAMPLERS]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_finds_new_networks_within_the_budget(sampler):
    found = run_toy(proposer(make(), budget=BUDGET, sampler=sampler), 20)
    assert len({one.fingerprint for one in found}) == 20
    assert all(one.totals.params <= 20_000 for one in found)


@pytest.mark.parametrize("sampler", QUICK)
def test_every_sampler_goes_through_a_small_space_to_its_end(sampler):
    space = tiny(kernels=[3])
    found = run_toy(proposer(space, sampler=sampler, trials=500), 500)
    assert len({one.fingerprint for one in found}) == len(found) == space.size()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_space_of_one_network_is_that_network(sampler):
    assert len(run_toy(proposer(single(), sampler=sampler), 5)) == 1


@pytest.mark.parametrize("sampler", QUICK)
def test_same_seed_proposes_the_same(sampler):
    first, second = (run_toy(proposer(make(), budget=BUDGET, sampler=sampler, seed=3), 14) for _ in range(2))
    assert [one.fingerprint for one in first] == [one.fingerprint for one in second]


@pytest.mark.parametrize("fill", [True, False])
def test_small_space_under_a_budget_ends_with_every_network_it_leaves(fill):
    space, budget = tiny(widths=[8, 16, 24]), Budget(params=1_200)
    found = run_toy(proposer(space, budget=budget, trials=500, fill=fill), 500)
    fit = {
        space.architecture(draw).fingerprint
        for draw in space.draws()
        if budget.fits(cost(space.architecture(draw), BLOCKS).totals)
    }
    proposed = {one.fingerprint for one in found}
    assert proposed <= fit
    assert fill or proposed == fit


def test_candidate_tells_the_draw_and_the_network_that_came_of_it():
    space = make()
    for one in run_toy(proposer(space, budget=BUDGET, trials=9), 20):
        drawn, _ = replayed(space.draw, one.draw)
        there, _ = replayed(space.draw, one.params)
        assert space.architecture(there).fingerprint == one.fingerprint
        assert one.projected == (drawn != there)
        assert one.totals == cost(space.architecture(there), BLOCKS).totals
        assert len(one.summary.split(" | ")) == 1 + sum(len(stage) for stage in there.skeleton.stages)


def test_proposals_can_be_built():
    for one in run_toy(proposer(make(), budget=BUDGET), 12):
        there, _ = replayed(make().draw, one.params)
        built = build(make().architecture(there), BLOCKS)
        assert sum(parameter.numel() for parameter in built.parameters()) == one.totals.params


def test_first_random_proposals_fill_the_budget():
    space = make(widths={"low": 8, "high": 128, "step": 4})
    found = run_toy(proposer(space, budget=BUDGET), 20)
    assert sum(one.totals.params >= BAND * 20_000 for one in found) >= 18


def test_several_workers_on_one_study_never_propose_what_is_taken():
    workers = [proposer(make(), budget=BUDGET, sampler="tpe", seed=slot, slot=slot) for slot in range(3)]
    records, read = [], [0, 0, 0]
    for number in range(30):
        slot = number % 3
        workers[slot].learn(records[read[slot] :])
        read[slot] = len(records)
        candidate = workers[slot].ask()
        assert candidate.fingerprint not in {one.fingerprint for one in records}
        records += [record(number, candidate, RUNNING), record(number, candidate)]


def test_worker_learns_running_trials_and_how_they_end():
    teacher = proposer(make(), budget=BUDGET)
    candidates = run_toy(teacher, 4)
    worker = proposer(make(), budget=BUDGET, seed=1)
    worker.learn([record(n, one, RUNNING) for n, one in enumerate(candidates)])
    states = [trial.state for trial in worker.study.trials]
    assert states == [TrialState.RUNNING] * 4
    ends = [record(0, candidates[0]), record(1, candidates[1], PRUNED), record(2, candidates[2], FAILED)]
    worker.learn([*ends, record(3, candidates[3], WAITING)])
    ended = [trial for trial in worker.study.trials if trial.state.is_finished()]
    assert sorted(trial.state.name for trial in ended) == ["COMPLETE", "FAIL", "FAIL", "FAIL", "FAIL", "PRUNED"]
    assert worker.study.best_value == accuracy(candidates[0])
    assert [trial.state for trial in worker.study.trials].count(TrialState.RUNNING) == 1


def test_pruned_trial_is_told_with_its_last_accuracy():
    asked = proposer(tiny(), sampler="random", trials=3)
    one = asked.ask()
    asked.learn([record(0, one, PRUNED)])
    told = asked.study.trials[0]
    assert (told.state, told.intermediate_values) == (TrialState.PRUNED, {4: accuracy(one)})


def test_what_our_own_sampler_chose_is_not_suggested_anew_choice_by_choice():
    asked = proposer(make(), budget=BUDGET, sampler="budget")
    candidates = run_toy(asked, 20)
    asked.learn([record(n, one) for n, one in enumerate(candidates)])
    asked.ask()
    own = [trial for trial in asked.study.trials if not trial.params and trial.state == TrialState.COMPLETE]
    assert len(own) >= 10
    told = {tuple(seen.named.items()): value for seen, value in asked.study.sampler.latest}
    assert told == {tuple(one.params.items()): accuracy(one) for one in candidates}


def test_same_record_twice_is_learnt_once():
    asked = proposer(tiny(), trials=3)
    one = asked.ask()
    asked.learn([record(0, one)])
    asked.learn([record(0, one)])
    assert len(asked.study.trials) == 1


def test_record_of_a_block_that_is_gone_is_known_but_not_learnt():
    one = next(c for c in run_toy(proposer(make(), budget=BUDGET), 10) if "inception" in c.blocks)
    less = make(("stacked", "bottleneck"))
    worker = proposer(less, budget=BUDGET)
    worker.learn([record(0, one)])
    assert worker.study.trials == []
    assert one.fingerprint in worker.known
    assert worker.ask() is not None


def test_blocks_that_came_later_leave_earlier_trials_as_they_were():
    older = make(("stacked", "separable"))
    records = [record(n, one) for n, one in enumerate(run_toy(proposer(older, budget=BUDGET), 8))]
    newer = make(FIVE, order=older.blocks)
    worker = proposer(newer, budget=BUDGET)
    worker.learn(records)
    assert len(worker.study.trials) == 8
    assert {one.fingerprint for one in records} == worker.known
    assert set(worker.missing) == set(FIVE) - {"stacked", "separable"}
    assert worker.ask().fingerprint not in {one.fingerprint for one in records}


def test_resumed_study_draws_other_numbers():
    first = run_toy(proposer(make(), budget=BUDGET, trials=9), 9)
    resumed = proposer(make(), budget=BUDGET, trials=9)
    resumed.learn([record(n, one) for n, one in enumerate(first)])
    asks = []
    resumed_asked = resumed._asked
    resumed._asked = lambda: asks.append(1) or resumed_asked()
    assert resumed.ask() is not None
    assert len(asks) <= 3


def test_duplicates_are_told_to_the_sampler():
    space = tiny(widths=[8])
    asked = proposer(space, sampler="random", trials=100)
    found = run_toy(asked, 100)
    assert len(found) == space.size()
    complete = [trial for trial in asked.study.trials if trial.state == TrialState.COMPLETE]
    assert len(complete) > len(found)


def test_network_taken_elsewhere_comes_last_and_again():
    asked = proposer(tiny(), trials=500)
    first = asked.ask()
    asked.taken(first)
    rest = run_toy(asked, tiny().size())
    assert rest[-1].fingerprint == first.fingerprint
    assert len(rest) == tiny().size()
    assert asked.ask() is None


def test_grid_goes_through_the_space_in_order():
    space = tiny()
    found = run_toy(proposer(space, sampler="grid", trials=1), 10)
    wanted = [space.names(draw) for draw in space.draws()][:10]
    assert [dict(one.draw) for one in found] == wanted


def test_grid_goes_on_from_where_it_was_resumed():
    space = tiny()
    first = run_toy(proposer(space, sampler="grid", trials=1), 10)
    resumed = proposer(space, sampler="grid", trials=1)
    resumed.learn([record(n, one) for n, one in enumerate(first)])
    wanted = [space.names(draw) for draw in space.draws()][10]
    assert dict(resumed.ask().draw) == wanted


def test_grid_of_a_vast_space_begins():
    assert len(run_toy(proposer(make(mix=True), budget=BUDGET, sampler="grid"), 25)) == 25


def test_budget_that_nothing_meets_has_no_proposal():
    assert proposer(tiny(), budget=Budget(params=20)).ask() is None


def test_sampler_that_finds_nothing_new_is_asked_less():
    space = tiny(kernels=[3])
    asked = proposer(space, sampler="tpe", trials=5)
    run_toy(asked, space.size())
    assert asked.asks < MOST_ASKS
    assert len(asked.study.trials) < 6 * space.size()


def test_names_beyond_the_space_are_refused_without_a_warning():
    space = make()
    named = space.names(draws(space, 1)[0])
    with pytest.raises(ValueError, match=r"stage1\.width"):
        replayed(space.draw, {**named, "stage1.width": 9})
    with pytest.raises(ValueError, match=r"stage1\.block"):
        replayed(space.draw, {**named, "stage1.block": 5})


def test_summary_is_one_line_of_blocks():
    space = tiny(("conv",), widths=[16], stages=[2], kernels=[5])
    assert summary(space.architecture(next(space.draws()))) == "conv3 8 | conv5 16 | conv5 16 /2"
