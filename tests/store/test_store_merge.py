"""Two storages into one: every row arrives once, studies that are one meet, and all is copied or nothing."""

import pytest
from databases import only_sqlite
from sqlalchemy import func, select
from store_worlds import LEASE, asked, candidate, epoch_record, held, outcome, study_record, trained

from nas.arch.record import COMPLETE, FAILED, PRUNED, WAITING, Plan
from nas.errors import StorageError
from nas.store import tables
from nas.store.claims import Answer, claim
from nas.store.leases import release, take_up
from nas.store.merge import merge
from nas.store.plans import get_plan, put_plan
from nas.store.ranking import best
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study, find_study, list_studies
from nas.store.trials import claim_mirrored, history, record_epoch, trial_epochs, unmirrored
from nas.store.weights import get_weights


@pytest.fixture
def other(tmp_path):
    opened = create_storage(f"sqlite:///{tmp_path}/other.db")
    yield opened
    opened.close()


def rows(storage):
    with storage.read() as connection:
        return {table.name: connection.execute(select(table)).all() for table in tables.metadata.sorted_tables}


def told(storage, name="alpha"):
    """What is known of a study's trials, but for ids."""
    return [
        (one.number, one.fingerprint, one.state, one.accuracy, one.seconds, one.reused, trial_epochs(storage, one.id))
        for one in history(storage, find_study(storage, name).id)
    ]


def test_everything_arrives(storage, study, other):
    trained(storage, study, 1, 0.8, end=outcome(0.8, weights=b"w"))
    trained(storage, study, 2, end=outcome(0.3, PRUNED, 1))
    trained(storage, study, 3, end=outcome(None, FAILED, 0))
    beta = create_study(storage, study_record("beta"))
    asked(storage, beta, 1)
    put_plan(storage, "machine", "f" * 8, 64, "auto", Plan())
    create_study(other, study_record("gamma"))
    merged = merge(storage, other)
    assert [(one.study, one.new, one.added, one.known) for one in merged] == [
        ("alpha", True, 3, 0),
        ("beta", True, 1, 0),
    ]
    for name in ("alpha", "beta"):
        assert told(other, name) == told(storage, name)
    found = {one.study: one for one in best(other)}
    assert (found["alpha"].accuracy, found["beta"].reused) == (0.8, True)
    taken = history(other, find_study(other, "beta").id)[0].id
    assert get_weights(other, taken) == b"w"
    assert get_plan(other, "machine", "f" * 8, 64, "auto") == Plan()
    assert [one.name for one in list_studies(other)] == ["gamma", "alpha", "beta"]


def test_merging_again_adds_nothing(storage, study, other):
    trained(storage, study, 1, end=outcome(weights=b"w"))
    merge(storage, other)
    before = rows(other)
    assert [(one.new, one.added, one.known) for one in merge(storage, other)] == [(False, 0, 1)]
    assert rows(other) == before


def test_source_stays_as_it_was(storage, study, other):
    trained(storage, study, 1)
    held(storage, study, 2)
    release(storage, "worker")
    before = rows(storage)
    merge(storage, other)
    assert rows(storage) == before


def test_what_optuna_s_tables_hold_of_the_source_they_do_not_hold_here(storage, study, other):
    assert claim_mirrored(storage, trained(storage, study, 1))
    merge(storage, other)
    assert [trial.number for trial, _ in unmirrored(other, find_study(other, "alpha").id)] == [0]


def test_study_of_one_name_and_content_gets_what_it_lacks(storage, study, other):
    there = create_study(other, study_record(trials=9, blocks=("conv", "stacked", "ghost"), config={"space": {}}))
    trained(storage, study, 1, 0.7)
    trained(storage, study, 2, 0.6)
    trained(other, there, 2, 0.65)
    trained(other, there, 3, 0.5)
    assert [(one.new, one.added, one.known) for one in merge(storage, other)] == [(False, 1, 1)]
    assert [(row[0], row[3]) for row in told(other)] == [(0, 0.65), (1, 0.5), (2, 0.7)]
    assert (find_study(other, "alpha").trials, len(find_study(other, "alpha").blocks)) == (9, 3)


def test_result_takes_the_place_of_what_is_none(storage, study, other):
    there = create_study(other, study_record())
    trained(other, there, 1, end=outcome(0.2, PRUNED, 1))
    held(other, there, 2)
    release(other, "worker")
    for number in (1, 2):
        trained(storage, study, number, 0.9)
    assert merge(storage, other)[0].added == 2
    assert [(row[0], row[2], row[3], len(row[6])) for row in told(other)] == [
        (0, COMPLETE, 0.9, 3),
        (1, COMPLETE, 0.9, 3),
    ]
    assert asked(other, create_study(other, study_record("beta")), 2).kind is Answer.REUSED


def test_result_is_not_taken_from_a_worker_who_is_at_it(storage, study, other):
    there = create_study(other, study_record())
    at_it = held(other, there, 1)
    trained(storage, study, 1)
    assert merge(storage, other)[0].known == 1
    assert record_epoch(other, at_it.trial_id, "worker", epoch_record(1), None, LEASE)


def test_question_answered_in_both_is_held_by_the_one_that_was_there(storage, study, other):
    there = create_study(other, study_record("beta"))
    trained(other, there, 1, 0.5)
    trained(storage, study, 1, 0.6)
    merge(storage, other)
    with other.read() as connection:
        claims = connection.execute(select(tables.trial.c.claim, tables.trial.c.study_id)).all()
    assert [(one.claim is None, one.study_id) for one in claims] == [
        (False, there.id),
        (True, find_study(other, "alpha").id),
    ]


def test_waiting_trial_goes_on_from_its_checkpoint(storage, study, other):
    waiting = held(storage, study, 1)
    record_epoch(storage, waiting.trial_id, "worker", epoch_record(1), b"state", LEASE)
    release(storage, "worker")
    merge(storage, other)
    assert status(other, "alpha").trials["waiting"] == 1
    again = take_up(other, find_study(other, "alpha"), "me", LEASE)
    assert (again.number, again.checkpoint, len(again.epochs)) == (0, b"state", 1)


def test_trial_of_a_dead_worker_is_left_to_be_taken_up(storage, study, other):
    claim(storage, study, "dead", candidate(1), -1.0)
    merge(storage, other)
    assert history(other, 1)[0].state == WAITING


def test_study_being_run_is_not_copied(storage, study, other):
    held(storage, study, 1)
    with pytest.raises(StorageError, match="study 'alpha' is being run; stop its workers first"):
        merge(storage, other)
    assert list_studies(other) == []


def test_weights_beyond_the_best_are_not_kept(storage, other):
    for opened, number, accuracy in ((storage, 1, 0.9), (other, 2, 0.8)):
        trained(opened, create_study(opened, study_record(keep=1)), number, end=outcome(accuracy, weights=b"w"))
    merge(storage, other)
    assert [get_weights(other, one.id) for one in history(other, 1)] == [None, b"w"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"dataset_hash": "e" * 8}, "dataset_hash"),
        ({"budget": {"params": 1}, "recipe_hash": "q"}, "budget, recipe_hash"),
        ({"blocks": ("stacked", "conv")}, "blocks"),
        ({"config": {"space": {"depths": [2]}}}, "space.depths"),
        ({"config": {"architecture": [{"name": "a", "parts": [2]}]}}, "candidate 'a'"),
    ],
)
def test_study_of_one_name_and_another_content_is_told_and_nothing_copied(storage, other, change, named):
    config = {"space": {"depths": [1]}, "architecture": [{"name": "a", "parts": [1]}]}
    study = create_study(storage, study_record(config=config))
    trained(storage, study, 1)
    create_study(storage, study_record("beta"))
    create_study(other, study_record(**{"config": config, **change}))
    before = rows(other)
    with pytest.raises(
        StorageError, match=rf"'alpha' differs .* in {named}; copy it under another: --rename alpha=OTHER"
    ):
        merge(storage, other)
    assert rows(other) == before
    assert [one.study for one in merge(storage, other, {"alpha": "older"})] == ["older", "beta"]
    assert find_study(other, "older").config["name"] == "older"


def test_how_long_a_study_runs_is_no_difference(storage, other):
    for opened, trials in ((storage, 7), (other, 5)):
        config = {"search": {"trials": trials, "keep": trials, "sampler": str(trials), "memory": trials == 7}}
        create_study(opened, study_record(trials=trials, config=config))
    merge(storage, other)
    found = find_study(other, "alpha")
    assert (found.trials, found.config["search"]["trials"], found.config["search"]["sampler"]) == (7, 7, "5")


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"alhpa": "x"}, "no study 'alhpa' in .* \\(did you mean 'alpha'\\?\\)"),
        ({"alpha": "beta"}, "two studies of .* would be called 'beta'"),
    ],
)
def test_renaming_that_cannot_be_is_told(storage, study, other, renamed, message):
    create_study(storage, study_record("beta"))
    with pytest.raises(StorageError, match=message):
        merge(storage, other, renamed)


def test_storage_is_not_merged_with_itself(storage, study):
    with pytest.raises(StorageError, match="are one storage"):
        merge(storage, storage)


@only_sqlite
@pytest.mark.parametrize("column", ["config", "draw_json", "params"])
def test_broken_row_of_a_stranger_leaves_nothing_half_copied(storage, study, other, column):
    trained(storage, study, 1)
    trained(storage, study, 2)
    table = "nas_study" if column == "config" else "nas_trial"
    with storage.write() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = '{{' WHERE id = (SELECT max(id) FROM {table})")
    with pytest.raises(StorageError, match="holds what cannot be copied"):
        merge(storage, other)
    assert all(found == [] for found in rows(other).values())


def test_batches_meet_without_a_gap(storage, study, other, monkeypatch):
    monkeypatch.setattr("nas.store.copying.BATCH", 2)
    for number in range(5):
        trained(storage, study, number)
    merge(storage, other)
    assert told(other) == told(storage)
    with other.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.epoch)) == 15
