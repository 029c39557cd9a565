"""The queue of open studies, and what pausing and cancelling keep from beginning."""

import pytest
from store_worlds import LEASE, asked, held, outcome, study_record, trained

from nas.arch.record import CANCELLED, FAILED, PAUSED
from nas.errors import NasError, NotFound
from nas.store.claims import Answer
from nas.store.halting import cancel_study, pause_study, resume_study
from nas.store.leases import release, take_up
from nas.store.queue import queue
from nas.store.status import status, studies
from nas.store.studies import create_study, find_study, mark_exhausted, study_halted, update_study


def names(storage):
    return [one.name for one in queue(storage)]


def test_queue_is_by_priority_then_by_age(storage):
    for name, priority in (("a", 0), ("b", 2), ("c", 0), ("d", -1), ("e", 2)):
        create_study(storage, study_record(name, priority=priority))
    assert names(storage) == ["b", "e", "a", "c", "d"]
    assert [one.priority for one in queue(storage)] == [2, 2, 0, 0, -1]
    assert [line.priority for line in studies(storage)] == [0, 2, 0, -1, 2]
    update_study(storage, find_study(storage, "d").id, priority=9)
    assert names(storage)[0] == "d"
    assert [one.name for one in queue(storage, "c")] == ["c"]


def test_study_wants_what_nobody_holds_and_what_is_lacking(storage, study):
    assert [(one.wanted, one.owners) for one in queue(storage)] == [(5, ())]
    trained(storage, study, 0)
    held(storage, study, 1, owner="x")
    held(storage, study, 2, owner="y")
    assert [(one.wanted, sorted(one.owners)) for one in queue(storage)] == [(2, ["x", "y"])]
    release(storage, "x")
    assert [(one.wanted, one.owners) for one in queue(storage)] == [(3, ("y",))]


def test_trial_whose_lease_ran_out_is_wanted_again(storage, study):
    held(storage, study, 0, owner="dead")
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_trial SET lease = 1")
    assert [(one.wanted, one.owners) for one in queue(storage)] == [(5, ())]


def test_study_that_is_over_is_not_in_the_queue(storage):
    done, broken, known = (create_study(storage, study_record(name, trials=1, seed=n)) for n, name in enumerate("abc"))
    assert names(storage) == ["a", "b", "c"]
    trained(storage, done, 1)
    for number in (2, 3):
        trained(storage, broken, number, end=outcome(None, FAILED, 0))
    assert names(storage) == ["c"]
    mark_exhausted(storage, known.id)
    assert names(storage) == []


@pytest.mark.parametrize(("halt", "state"), [(pause_study, PAUSED), (cancel_study, CANCELLED)])
def test_halted_study_begins_nothing_and_goes_on_when_resumed(storage, study, halt, state):
    held(storage, study, 0, owner="x")
    release(storage, "x")
    assert halt(storage, study.name).state == state
    assert names(storage) == []
    assert study_halted(storage, study.id)
    assert take_up(storage, study, "y", LEASE) is None
    assert asked(storage, study, 1).kind is Answer.FULL
    assert resume_study(storage, study.name).state == "waiting"
    assert take_up(storage, study, "y", LEASE).number == 0
    assert asked(storage, study, 1).kind is Answer.CLAIMED


def test_study_is_cancelled_while_its_last_trials_still_run(storage, study):
    held(storage, study, 0)
    found = cancel_study(storage, study.name)
    assert (found.state, found.trials["running"]) == (CANCELLED, 1)
    assert [line.state for line in studies(storage)] == [CANCELLED]


def test_halting_what_is_over_or_is_not_there_says_so(storage, study):
    with pytest.raises(NotFound, match="did you mean 'alpha'"):
        cancel_study(storage, "alhpa")
    with pytest.raises(NasError, match="is new: nothing to resume"):
        resume_study(storage, study.name)
    cancel_study(storage, study.name)
    with pytest.raises(NasError, match="is cancelled, so there is nothing to pause"):
        pause_study(storage, study.name)
    resume_study(storage, study.name)
    for number in range(5):
        trained(storage, study, number)
    with pytest.raises(NasError, match="is complete already"):
        pause_study(storage, study.name)
    assert status(storage, study.name).state == "complete"


def test_network_of_a_cancelled_study_is_free_for_another(storage, study):
    held(storage, study, 0, owner="x")
    release(storage, "x")
    cancel_study(storage, study.name)
    other = create_study(storage, study_record("beta"))
    assert asked(storage, other, 0).kind is Answer.CLAIMED
