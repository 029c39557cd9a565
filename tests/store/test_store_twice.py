"""What counts as trained twice, and what does not."""

import pytest
from store_worlds import LEASE, epoch_record, held, outcome, study_record, trained

from nas.arch.record import PRUNED
from nas.store.leases import release
from nas.store.status import status
from nas.store.studies import create_study, update_study
from nas.store.tables import trial
from nas.store.trials import finish, record_epoch


def test_network_pruned_without_training_is_not_trained_twice(storage, study):
    trained(storage, study, 1, 0.4, end=outcome(0.4, PRUNED, 2))
    other = create_study(storage, study_record("beta"))
    again = held(storage, other, 1)
    assert finish(storage, again.trial_id, "worker", outcome(0.4, PRUNED, 0))
    assert status(storage, "beta").trained_twice == 0


def test_network_left_and_finished_later_does_not_make_the_other_study_train_twice(storage, study):
    left = held(storage, study, 1)
    record_epoch(storage, left.trial_id, "worker", epoch_record(1), b"state", LEASE)
    release(storage, "worker")
    other = create_study(storage, study_record("beta"))
    here = held(storage, other, 1, "second")
    record_epoch(storage, here.trial_id, "second", epoch_record(1), b"state", LEASE)
    assert finish(storage, here.trial_id, "second", outcome(0.4, PRUNED, 1))
    assert status(storage, "beta").trained_twice == 0


def test_network_trained_whole_again_counts(storage, study):
    trained(storage, study, 1, 0.6)
    other = create_study(storage, study_record("beta", recipe_hash="other"))
    trained(storage, other, 1, 0.6)
    assert status(storage, "beta").trained_twice == 0
    with storage.write() as connection:  # what the claim forbids, made by hand
        connection.execute(trial.update().where(trial.c.study_id == other.id).values(recipe_hash=study.recipe_hash))
    assert status(storage, "beta").trained_twice == 1


@pytest.mark.parametrize(("trials", "exhausted"), [(5, True), (9, False)])
def test_more_trials_open_an_exhausted_study(storage, study, trials, exhausted):
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_study SET exhausted = true")
    assert update_study(storage, study.id, trials=trials).exhausted is exhausted
