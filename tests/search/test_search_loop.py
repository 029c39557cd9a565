"""The way of a trial over a real database: proposed, claimed, known from elsewhere, waited for, used up."""

from dataclasses import replace

import pytest
from search_worlds import finished, make, proposer, single, study_record, tiny

from nas.arch.record import FAILED, RUNNING
from nas.search.loop import Search
from nas.store.leases import release
from nas.store.status import counts, status
from nas.store.studies import create_study, find_study, update_study
from nas.store.trials import trials
from nas.study.budget import Budget

SPACE = make(("stacked", "separable"))
BUDGET = Budget(params=20_000)


def search(storage, study, space=SPACE, slot=0, **more):
    asked = proposer(space, budget=BUDGET, trials=study.trials, seed=slot, slot=slot, **more)
    return Search(storage, study, f"{study.name} worker {slot}", asked)


def work(worker, state="complete"):
    """Claim and end trials until there is none; how many."""
    ended = 0
    while (claim := worker.next_claim()) is not None:
        finished(worker.storage, claim, worker.owner, state)
        ended += 1
    return ended


@pytest.fixture
def study(storage):
    return create_study(storage, study_record(SPACE))


@pytest.mark.parametrize("sampler", ["auto", "budget", "evolution"])
def test_study_ends_with_exactly_its_trials(storage, study, sampler):
    assert work(search(storage, study, sampler=sampler)) == 12
    told = status(storage, "toy")
    assert (told.trials["complete"], told.state) == (12, "complete")
    assert (told.trained_over_budget, told.trained_twice) == (0, 0)


def test_workers_share_one_study_without_a_trial_too_many(storage, study):
    workers = [search(storage, study, slot=slot) for slot in range(3)]
    claims = [worker.next_claim() for worker in workers * 4]
    assert len({claim.fingerprint for claim in claims}) == 12
    assert [worker.next_claim() for worker in workers] == [None, None, None]
    assert all(worker.unfinished() for worker in workers)
    for worker, claim in zip(workers * 4, claims, strict=True):
        finished(storage, claim, worker.owner)
    assert not workers[0].unfinished()


def test_every_block_type_is_in_the_first_trials_of_several_workers(storage):
    space = make()
    study = create_study(storage, study_record(space, trials=10))
    for worker in [search(storage, study, space, slot=slot) for slot in range(3)] * 3:
        claim = worker.next_claim()
        finished(storage, claim, worker.owner)
    used = {space.blocks[v] for one in trials(storage) for n, v in one.params.items() if n.endswith(".block")}
    assert used == set(space.blocks)


def test_trial_left_undone_comes_first_under_its_number(storage, study):
    worker, other = search(storage, study), search(storage, study, slot=1)
    first = worker.next_claim()
    worker.next_claim()
    release(storage, worker.owner)
    again = other.next_claim()
    assert (again.number, again.fingerprint) == (0, first.fingerprint)


def test_result_of_another_study_is_taken_over(storage, study):
    work(search(storage, study))
    other = create_study(storage, replace(study, name="other", id=0))
    assert work(search(storage, other)) == 0
    told = status(storage, "other")
    assert (told.reused, told.trials["complete"], told.trained_twice) == (12, 12, 0)


def test_network_that_another_study_trains_is_waited_for(storage, study):
    space = single()
    one = create_study(storage, study_record(space, "one"))
    two = create_study(storage, study_record(space, "two"))
    first, second = search(storage, one, space), search(storage, two, space)
    claim = first.next_claim()
    assert second.next_claim() is None
    assert second.unfinished()
    assert not find_study(storage, "two").exhausted
    finished(storage, claim, first.owner)
    assert second.next_claim() is None
    assert counts(storage, two.id)["complete"] == 1
    assert not second.unfinished()


def test_network_that_another_study_trains_is_passed_over_for_others(storage, study):
    space = tiny()
    one = create_study(storage, study_record(space, "one", trials=1))
    two = create_study(storage, study_record(space, "two", trials=3))
    held = search(storage, one, space, sampler="grid").next_claim()
    worker = search(storage, two, space, sampler="grid")
    claims = [claim for claim in (worker.next_claim() for _ in range(5)) if claim is not None]
    assert len(claims) == 3
    assert held.fingerprint not in {claim.fingerprint for claim in claims}


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random", "grid"])
def test_small_space_ends_a_study_early(storage, sampler):
    space = tiny(kernels=[3])
    study = create_study(storage, study_record(space, trials=100))
    worker = search(storage, study, space, sampler=sampler)
    assert work(worker) == space.size()
    assert find_study(storage, "toy").exhausted
    assert not worker.unfinished()
    assert status(storage, "toy").state == "complete"


def test_used_up_study_goes_on_with_more_blocks(storage):
    space = tiny(("conv",), kernels=[3])
    study = create_study(storage, study_record(space, trials=100))
    assert work(search(storage, study, space)) == space.size()
    more = tiny(("conv", "separable"), kernels=[3], order=space.blocks)
    grown = update_study(storage, study.id, blocks=more.blocks)
    assert work(search(storage, grown, more)) == more.size() - space.size()
    assert status(storage, "toy").trained_twice == 0


def test_failed_trials_are_replaced_up_to_as_many(storage, study):
    assert work(search(storage, study), FAILED) == study.trials + 1
    assert not search(storage, study).unfinished()


def test_resumed_study_goes_on_to_a_raised_total(storage, study):
    work(search(storage, study))
    raised = update_study(storage, study.id, trials=15)
    assert work(search(storage, raised)) == 3


def test_total_raised_elsewhere_is_seen(storage, study):
    worker = search(storage, study)
    assert work(worker) == 12
    update_study(storage, study.id, trials=14)
    assert work(worker) == 2


def test_full_study_gives_no_claim(storage, study):
    worker, other = search(storage, study), search(storage, study, slot=1)
    for _ in range(12):
        assert worker.next_claim() is not None
    assert other.next_claim() is None
    assert len(trials(storage, study.id, states=(RUNNING,))) == 12


def test_network_that_came_too_late_is_tried_once_there_is_room_again(storage):
    space = tiny()
    study = create_study(storage, study_record(space, trials=1))
    rival, late = search(storage, study, space), search(storage, study, space, slot=1)
    ask, claims = late.proposer.ask, []

    def ask_while_the_rival_claims():
        candidate = ask()
        if not claims:
            claims.append(rival.next_claim())
        return candidate

    late.proposer.ask = ask_while_the_rival_claims
    assert late.next_claim() is None
    finished(storage, claims[0], rival.owner)
    update_study(storage, study.id, trials=1000)
    work(late)
    networks = {space.architecture(draw).fingerprint for draw in space.draws()}
    assert {trial.fingerprint for trial in trials(storage, study.id)} == networks
