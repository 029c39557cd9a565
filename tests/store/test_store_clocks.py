"""Leases when clocks differ and workers race: one clock counts, and a dead worker's trial goes to one other."""

import multiprocessing

import pytest
from databases import only_postgresql
from store_worlds import LEASE, candidate, claim_by_another_clock, epoch_record, race

from nas.store.claims import claim
from nas.store.engine import open_storage
from nas.store.leases import _BEAT, take_up
from nas.store.trials import record_epoch, trials

FRESH = multiprocessing.get_context("forkserver")
RACERS = 6


def dead(storage, study, number=0):
    """A trial with an epoch behind it whose lease is over."""
    begun = claim(storage, study, "dead", candidate(number), LEASE).claim
    assert record_epoch(storage, begun.trial_id, "dead", epoch_record(1), b"after one", -1.0)
    return begun


@pytest.mark.parametrize("hours", [-1, 1])
def test_clock_of_a_worker_s_machine_does_not_matter(storage, study, hours):
    claim(storage, study, "here", candidate(0), LEASE)
    process = FRESH.Process(target=claim_by_another_clock, args=(storage.url, hours))
    process.start()
    process.join(100)
    assert process.exitcode == 0
    assert take_up(storage, study, "here", LEASE) is None
    assert [row.worker for row in trials(storage)] == ["here", "off"]


def test_dead_worker_s_trial_goes_to_one_of_many_from_its_checkpoint(storage, study):
    dead(storage, study)
    barrier, won = FRESH.Barrier(RACERS), FRESH.Queue()
    racers = [FRESH.Process(target=race, args=(storage.url, f"racer {n}", barrier, won)) for n in range(RACERS)]
    for one in racers:
        one.start()
    for one in racers:
        one.join(100)
    assert [one.exitcode for one in racers] == [0] * RACERS
    owner, *found = won.get(timeout=10)
    assert (found, won.empty()) == ([0, 1, b"after one"], True)
    assert [row.worker for row in trials(storage)] == [owner]
    assert not record_epoch(storage, trials(storage)[0].id, "dead", epoch_record(2), b"late", LEASE)


@only_postgresql
def test_holder_that_renews_a_lease_just_now_is_not_waited_for_and_not_robbed(storage, study):
    begun = dead(storage, study)
    another = open_storage(storage.url)
    with storage.write(alone=False) as connection:
        connection.execute(_BEAT, {"trial": begun.trial_id, "owner": "dead", "lease_seconds": LEASE})
        assert take_up(another, study, "another", LEASE) is None
    assert take_up(another, study, "another", LEASE) is None
    assert record_epoch(storage, begun.trial_id, "dead", epoch_record(2), b"after two", LEASE)
    another.close()
