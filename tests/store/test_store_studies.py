"""Studies: made, changed, counted, removed."""

import pytest
from sqlalchemy import func, select
from store_worlds import asked, candidate, held, outcome, study_record, trained

from nas.arch.record import FAILED, PRUNED
from nas.errors import NotFound, StorageError
from nas.store import tables
from nas.store.claims import Answer, claim
from nas.store.leases import release
from nas.store.ranking import best
from nas.store.status import status, studies, training_seconds
from nas.store.studies import (
    create_study,
    find_study,
    get_study,
    list_studies,
    mark_exhausted,
    remove_study,
    update_study,
)
from nas.store.trials import history, trained_epochs, trial_epochs
from nas.store.weights import get_weights


def test_study_comes_back_as_it_was_given(storage):
    made = create_study(storage, study_record())
    assert made == study_record(id=made.id)
    assert get_study(storage, "alpha") == find_study(storage, "alpha") == made
    assert get_study(storage, "beta") is None


def test_name_is_given_once(storage, study):
    with pytest.raises(StorageError, match="there is a study 'alpha' already"):
        create_study(storage, study_record())


def test_studies_are_listed_oldest_first(storage):
    for name in ("zeta", "beta"):
        create_study(storage, study_record(name))
    assert [study.name for study in list_studies(storage)] == ["zeta", "beta"]


def test_changes_are_kept_and_the_rest_stays(storage, study):
    changed = update_study(storage, study.id, config={"a": 1}, trials=9, keep=3)
    assert (changed.config, changed.trials, changed.keep, changed.blocks) == ({"a": 1}, 9, 3, study.blocks)
    assert update_study(storage, study.id) == changed


def test_blocks_are_only_appended(storage, study):
    assert update_study(storage, study.id, blocks=("conv", "stacked", "ghost")).blocks[-1] == "ghost"
    with pytest.raises(StorageError, match="blocks may only be appended to conv, stacked, ghost; given: ghost"):
        update_study(storage, study.id, blocks=("ghost",))


def test_new_block_opens_an_exhausted_study(storage, study):
    mark_exhausted(storage, study.id)
    assert update_study(storage, study.id, blocks=study.blocks).exhausted
    assert not update_study(storage, study.id, blocks=(*study.blocks, "ghost")).exhausted


def test_change_of_a_removed_study_says_so(storage):
    with pytest.raises(NotFound, match="study 7 is no longer"):
        update_study(storage, 7, trials=1)


def test_removed_study_leaves_nothing(storage, study):
    trained(storage, study, 1, end=outcome(weights=b"w"))
    remove_study(storage, "alpha")
    with storage.read() as connection:
        for table in tables.metadata.sorted_tables:
            assert connection.scalar(select(func.count()).select_from(table)) == 0


def test_removing_leaves_what_others_use(storage, study):
    trained(storage, study, 1, 0.8, end=outcome(0.8, weights=b"w"))
    others = [create_study(storage, study_record(name)) for name in ("beta", "gamma")]
    taken = [asked(storage, other, 1).trial_id for other in others]
    remove_study(storage, "alpha")
    assert [(row.study, row.accuracy, row.blocks) for row in best(storage)] == [
        ("beta", 0.8, ["conv"]),
        ("gamma", 0.8, ["conv"]),
    ]
    assert [get_weights(storage, trial_id) for trial_id in taken] == [b"w", b"w"]


def test_result_outlives_the_study_that_trained_it(storage, study):
    trained(storage, study, 1)
    asked(storage, create_study(storage, study_record("beta")), 1)
    remove_study(storage, "alpha")
    assert asked(storage, create_study(storage, study_record("gamma")), 1).kind is Answer.REUSED


def test_epochs_behind_a_reused_trial_are_its_source_s_also_once_that_is_removed(storage, study):
    source = trained(storage, study, 1)
    taken = asked(storage, create_study(storage, study_record("beta")), 1).trial_id
    told = trial_epochs(storage, source)
    assert len(told) == 3
    assert trained_epochs(storage, taken) == told
    remove_study(storage, "alpha")
    assert trained_epochs(storage, taken) == told


def test_study_at_work_is_removed_only_by_force(storage, study):
    held(storage, study, 1, owner="ada-1")
    with pytest.raises(StorageError, match="'alpha' is being run by ada-1"):
        remove_study(storage, "alpha")
    remove_study(storage, "alpha", force=True)
    assert list_studies(storage) == []


def test_removing_an_unknown_study_names_the_nearest(storage, study):
    with pytest.raises(NotFound, match="did you mean 'alpha'"):
        remove_study(storage, "alph")


def test_status_counts_everything(storage, study):
    trained(storage, study, 1, 0.9)
    trained(storage, study, 2, 0.3, end=outcome(0.3, PRUNED, 1))
    trained(storage, study, 3, end=outcome(None, FAILED, 0))
    held(storage, study, 4)
    claim(storage, study, "dead", candidate(5), -1.0)
    found = status(storage, "alpha")
    expected = {"total": 5, "complete": 1, "pruned": 1, "failed": 1, "running": 1, "waiting": 1}
    assert (found.trials, found.state, found.seconds) == (expected, "running", 4.5)
    assert (found.projected, found.reused, found.best.trial, found.budget) == (3, 0, 0, {"params": 20_000})
    assert (found.trained_over_budget, found.trained_twice) == (0, 0)


def test_state_goes_from_new_to_complete(storage):
    study = create_study(storage, study_record(trials=1))
    seen = [status(storage, "alpha").state]
    held(storage, study, 1)
    seen.append(status(storage, "alpha").state)
    release(storage, "worker")
    seen.append(status(storage, "alpha").state)
    trained(storage, create_study(storage, study_record("beta", trials=1)), 2)
    seen.append(status(storage, "beta").state)
    assert seen == ["new", "running", "waiting", "complete"]


def test_exhausted_study_is_complete_once_nothing_is_open(storage, study):
    held(storage, study, 1)
    mark_exhausted(storage, study.id)
    assert status(storage, "alpha").state == "running"
    trained(storage, study, 2)
    remove_study(storage, "alpha", force=True)
    empty = create_study(storage, study_record(exhausted=True))
    assert status(storage, empty.name).state == "complete"


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        ({}, 0),
        ({"params": 999}, 1),
        ({"params": 1_000, "macs": 49_999}, 1),
        ({"receptive_field": 9}, 0),
        ({"receptive_field": 10}, 1),
    ],
)
def test_trainings_over_budget_are_counted(storage, budget, over):
    trained(storage, create_study(storage, study_record(budget=budget)), 1)
    assert status(storage, "alpha").trained_over_budget == over


def test_unknown_receptive_field_meets_no_minimum(storage):
    trained(storage, create_study(storage, study_record(budget={"receptive_field": 1})), 1, receptive_field=None)
    assert status(storage, "alpha").trained_over_budget == 1


@pytest.mark.parametrize(("end", "twice"), [(outcome(0.4, PRUNED, 2), 1), (outcome(0.4, PRUNED, 3), 0), (outcome(), 0)])
def test_training_no_longer_than_one_before_counts_as_twice(storage, study, end, twice):
    trained(storage, study, 1, 0.4, end=outcome(0.4, PRUNED, 2))
    other = create_study(storage, study_record("beta"))
    held_twice = held(storage, other, 1)
    assert status(storage, "beta").trained_twice == 0
    from_release = release(storage, "worker")
    assert (held_twice.number, from_release) == (0, 1)
    remove_study(storage, "beta")
    trained(storage, create_study(storage, study_record("gamma")), 1, end=end)
    assert status(storage, "gamma").trained_twice == twice


def test_reused_result_is_not_trained(storage, study):
    trained(storage, study, 1)
    asked(storage, create_study(storage, study_record("beta", budget={"params": 1})), 1)
    found = status(storage, "beta")
    assert (found.reused, found.trained_over_budget, found.trained_twice, found.seconds) == (1, 0, 0, 0.0)


def test_seconds_of_reused_results_count_as_behind_a_study_too(storage, study):
    trained(storage, study, 1)
    beta = create_study(storage, study_record("beta"))
    asked(storage, beta, 1)
    trained(storage, beta, 2)
    assert training_seconds(storage, beta.id) == 2 * 1.5
    assert training_seconds(storage, create_study(storage, study_record("new")).id) == 0.0


def test_list_of_studies_says_where_each_stands(storage, study):
    trained(storage, study, 1, 0.75)
    create_study(storage, study_record("beta"))
    first, second = studies(storage)
    assert (first.study, first.state, first.done, first.total) == ("alpha", "waiting", 1, 5)
    assert (first.best_accuracy, first.seconds, first.failed, first.running) == (0.75, 1.5, 0, 0)
    assert (second.study, second.state, second.done, second.best_accuracy) == ("beta", "new", 0, None)


def test_new_study_has_no_history(storage, study):
    assert history(storage, study.id) == []
    assert status(storage, "alpha").best is None
