"""What a study answers to a candidate, and who holds a trial."""

import time

import pytest
from store_worlds import LEASE, asked, candidate, epoch_record, held, outcome, study_record, trained

from nas.arch.record import COMPLETE, FAILED, PRUNED, RUNNING, WAITING
from nas.errors import NotFound
from nas.store.claims import Answer, claim
from nas.store.leases import MAX_DEATHS, heartbeat, release, release_owners, take_up
from nas.store.status import counts, status
from nas.store.studies import create_study, remove_study, update_study
from nas.store.trials import finish, history, history_since, record_epoch, trial_epochs


def test_new_network_is_claimed_with_all_that_training_needs(storage, study):
    answer = asked(storage, study, 3)
    assert (answer.kind, answer.number, answer.state) == (Answer.CLAIMED, 0, RUNNING)
    assert answer.claim.architecture == candidate(3).architecture
    assert answer.claim.totals == candidate(3).totals
    assert (answer.claim.epochs, answer.claim.checkpoint, answer.claim.known) == ((), None, ())


def test_trials_are_numbered_from_zero(storage, study):
    assert [held(storage, study, n).number for n in range(3)] == [0, 1, 2]


def test_network_of_the_study_is_known(storage, study):
    trial_id = trained(storage, study, 1, 0.75)
    answer = asked(storage, study, 1)
    assert (answer.kind, answer.trial_id, answer.state) == (Answer.KNOWN, trial_id, COMPLETE)
    assert (answer.study, answer.number, answer.accuracy) == ("alpha", 0, 0.75)


def test_failed_network_is_known_too(storage, study):
    trained(storage, study, 1, end=outcome(None, FAILED, 0, reason="NaN"))
    assert asked(storage, study, 1).state == FAILED


def test_study_with_all_trials_begun_is_full(storage, study):
    for number in range(5):
        held(storage, study, number)
    assert asked(storage, study, 5).kind is Answer.FULL


def test_total_is_read_anew_and_not_from_the_record(storage, study):
    for number in range(5):
        held(storage, study, number)
    update_study(storage, study.id, trials=6)
    assert asked(storage, study, 5).kind is Answer.CLAIMED
    assert asked(storage, study, 6).kind is Answer.FULL


def test_failed_trials_are_replaced_up_to_the_total(storage, study):
    failed = outcome(None, FAILED, 0, reason="NaN")
    for number in range(6):
        trained(storage, study, number, end=failed)
    assert asked(storage, study, 6).kind is Answer.FULL
    assert status(storage, "alpha").state == "failed"


def test_result_of_another_study_is_taken_over(storage, study):
    source = trained(storage, study, 1, 0.8)
    other = create_study(storage, study_record("beta"))
    answer = asked(storage, other, 1)
    assert (answer.kind, answer.study, answer.state, answer.accuracy) == (Answer.REUSED, "beta", COMPLETE, 0.8)
    [taken] = history(storage, other.id)
    assert (taken.reused, taken.seconds, taken.epochs_done, taken.accuracy) == (True, 0.0, 3, 0.8)
    assert taken.id != source


@pytest.mark.parametrize("change", [{"seed": 1}, {"recipe_hash": "other"}, {"dataset_hash": "other"}])
def test_result_for_another_question_is_not_taken_over(storage, study, change):
    trained(storage, study, 1)
    other = create_study(storage, study_record("beta", **change))
    assert asked(storage, other, 1).kind is Answer.CLAIMED


def test_network_that_another_study_is_at_is_busy(storage, study):
    held(storage, study, 1)
    other = create_study(storage, study_record("beta"))
    answer = asked(storage, other, 1)
    assert (answer.kind, answer.study, answer.state) == (Answer.BUSY, "alpha", RUNNING)
    assert history(storage, other.id) == []


def test_network_that_another_study_left_is_claimed_and_its_result_taken_over_there(storage, study):
    left = held(storage, study, 1)
    release(storage, "worker")
    other = create_study(storage, study_record("beta"))
    here = held(storage, other, 1, "second")
    assert take_up(storage, study, "worker", LEASE) is None
    assert finish(storage, here.trial_id, "second", outcome(0.8))
    assert take_up(storage, study, "worker", LEASE) is None
    [taken] = history(storage, study.id)
    assert (taken.id, taken.state, taken.reused, taken.accuracy) == (left.trial_id, COMPLETE, True, 0.8)


def test_network_that_another_study_left_and_nobody_finished_is_taken_up_there(storage, study):
    left = held(storage, study, 1)
    release(storage, "worker")
    other = create_study(storage, study_record("beta"))
    held(storage, other, 1, "second")
    release(storage, "second")
    assert take_up(storage, study, "worker", LEASE).trial_id == left.trial_id
    assert take_up(storage, other, "second", LEASE) is None


def test_network_left_by_both_studies_is_taken_up_by_who_goes_on(storage, study):
    left = held(storage, study, 1)
    release(storage, "worker")
    other = create_study(storage, study_record("beta"))
    assert claim(storage, other, "killed", candidate(1), -1.0).kind is Answer.CLAIMED
    assert take_up(storage, study, "worker", LEASE).trial_id == left.trial_id
    assert take_up(storage, other, "killed", LEASE) is None
    assert counts(storage, other.id)["waiting"] == 1


def test_worker_whose_trial_was_claimed_elsewhere_after_its_lease_has_lost_it(storage, study):
    late = claim(storage, study, "late", candidate(1), -1.0).claim
    other = create_study(storage, study_record("beta"))
    held(storage, other, 1, "second")
    assert not finish(storage, late.trial_id, "late", outcome(0.8))


def test_network_pruned_elsewhere_is_claimed_with_its_epochs_known(storage, study):
    trained(storage, study, 1, 0.4, end=outcome(0.4, PRUNED, 2))
    other = create_study(storage, study_record("beta"))
    known = held(storage, other, 1).known
    assert known == (epoch_record(1, 0.4), epoch_record(2, 0.4))
    release(storage, "worker")
    assert take_up(storage, other, "next", LEASE).known == known


def test_network_that_failed_elsewhere_is_claimed_afresh(storage, study):
    trained(storage, study, 1, end=outcome(None, FAILED, 1))
    other = create_study(storage, study_record("beta"))
    assert held(storage, other, 1).known == ()


def test_claim_in_a_removed_study_says_so(storage, study):
    remove_study(storage, "alpha")
    with pytest.raises(NotFound, match="'alpha' was removed"):
        asked(storage, study, 1)


def test_nothing_to_take_up_while_all_is_held(storage, study):
    held(storage, study, 1)
    assert take_up(storage, study, "other", LEASE) is None


def test_released_trial_goes_on_from_its_checkpoint(storage, study):
    trial_id = held(storage, study, 1).trial_id
    record_epoch(storage, trial_id, "worker", epoch_record(1), b"one", LEASE)
    record_epoch(storage, trial_id, "worker", epoch_record(2), None, LEASE)
    assert release(storage, "worker") == 1
    again = take_up(storage, study, "other", LEASE)
    assert (again.trial_id, again.number, again.checkpoint) == (trial_id, 0, b"one")
    assert again.epochs == (epoch_record(1),)


def test_expired_lease_is_taken_over_and_the_late_worker_told(storage, study):
    claim(storage, study, "slow", candidate(1), 0.05)
    time.sleep(0.1)
    taken = take_up(storage, study, "quick", LEASE)
    assert not heartbeat(storage, taken.trial_id, "slow", LEASE)
    assert not record_epoch(storage, taken.trial_id, "slow", epoch_record(1), b"late", LEASE)
    assert not finish(storage, taken.trial_id, "slow", outcome())
    assert trial_epochs(storage, taken.trial_id) == ()
    assert heartbeat(storage, taken.trial_id, "quick", LEASE)


def test_heartbeat_holds_a_trial_beyond_its_first_lease(storage, study):
    trial_id = claim(storage, study, "slow", candidate(1), 0.1).claim.trial_id
    assert heartbeat(storage, trial_id, "slow", LEASE)
    time.sleep(0.15)
    assert take_up(storage, study, "quick", LEASE) is None


def test_lowest_number_is_taken_up_first(storage, study):
    for number in range(3):
        held(storage, study, number, owner=f"worker-{number}")
    assert release_owners(storage, ["worker-1", "worker-2"]) == 2
    assert take_up(storage, study, "other", LEASE).number == 1


def test_trial_on_which_workers_die_fails_in_the_end(storage, study):
    trial_id = held(storage, study, 1, owner="0").trial_id
    for death in range(MAX_DEATHS):
        release_owners(storage, [str(death)])
        assert take_up(storage, study, str(death + 1), LEASE).trial_id == trial_id
    release_owners(storage, [str(MAX_DEATHS)])
    assert take_up(storage, study, "last", LEASE) is None
    [trial] = history(storage, study.id)
    assert (trial.state, trial.reason) == (FAILED, "its worker died 4 times")


@pytest.mark.parametrize("stop", ["clean", "after an epoch"])
def test_stops_that_are_no_deaths_on_the_trial_do_not_count(storage, study, stop):
    trial_id = held(storage, study, 1).trial_id
    for number in range(2 * MAX_DEATHS):
        if stop == "clean":
            release(storage, "worker")
        else:
            record_epoch(storage, trial_id, "worker", epoch_record(number + 1), b"state", LEASE)
            release_owners(storage, ["worker"])
        assert take_up(storage, study, "worker", LEASE) is not None


def test_history_since_tells_what_changed_and_nothing_twice(storage, study):
    first, second = held(storage, study, 1), held(storage, study, 2)
    revision, begun = history_since(storage, study.id, 0)
    assert [trial.id for trial in begun] == [first.trial_id, second.trial_id]
    assert history_since(storage, study.id, revision) == (revision, [])
    finish(storage, first.trial_id, "worker", outcome(0.7))
    later, changed = history_since(storage, study.id, revision)
    assert [(trial.id, trial.state) for trial in changed] == [(first.trial_id, COMPLETE)]
    assert later > revision


def test_releasing_several_trials_shows_in_the_history(storage, study):
    held(storage, study, 1), held(storage, study, 2)
    revision, _ = history_since(storage, study.id, 0)
    release(storage, "worker")
    assert [trial.state for trial in history_since(storage, study.id, revision)[1]] == [WAITING, WAITING]


def test_counts_tell_a_held_trial_from_an_abandoned_one(storage, study):
    held(storage, study, 1)
    claim(storage, study, "dead", candidate(2), 0.0)
    time.sleep(0.01)
    now = counts(storage, study.id)
    assert (now[RUNNING], now[WAITING]) == (1, 1)
