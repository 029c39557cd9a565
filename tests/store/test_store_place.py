"""The rank of one trial, told from counts that the database keeps: the same that a look at all gives."""

import math
import random
from contextlib import closing

import pytest
from databases import only_postgresql
from sqlalchemy import delete, insert, select, text, update
from store_worlds import asked, held, outcome, study_record, trained

from nas.arch.record import COMPLETE, FAILED, PRUNED, TEST, Place
from nas.errors import StorageError
from nas.store.claims import Answer
from nas.store.engine import connect
from nas.store.merge import merge
from nas.store.place import _end_of, _step_of, place_in_study, place_on_images
from nas.store.ranking import best
from nas.store.schema import create_storage, migrate, upgrade
from nas.store.studies import create_study, remove_study
from nas.store.tables import accuracy_step, study, trial
from nas.store.trials import finish, trials
from nas.store.urls import parse_url

ACCURACIES = (0.2, 0.2, 0.2005, 0.2009, 0.201, 0.29, 0.29, 0.57, 0.999, 1.0, 0.0, 1 / 3)
"""Several of a step and several of one accuracy, on both sides of where steps meet."""


@pytest.fixture
def filled(storage):
    """Three studies on the same images, the last scored on test images, and one on others."""
    draws = random.Random(1)
    told = {
        "beta": {"seed": 1},
        "tested": {"scored_on": TEST, "seed": 2},
        "cars": {"dataset": "cars.npz", "dataset_hash": "c" * 8},
    }
    for name in ("alpha", "beta", "tested", "cars"):
        made = create_study(storage, study_record(name, trials=99, **told.get(name, {})))
        for number, accuracy in enumerate(draws.sample(ACCURACIES, len(ACCURACIES))):
            trained(storage, made, number, accuracy, params=draws.choice((100, 200)), macs=draws.choice((1_000, 2_000)))
        trained(storage, made, 50, 0.7, end=outcome(0.7, PRUNED, 1))
    return storage


def by_looking_at_all(storage, **asked):
    """The id of each trial of rankings, with its place."""
    ids = {(one.study, one.number): one.id for one in trials(storage)}
    rows = best(storage, top=None, **asked)
    return {ids[row.study, row.trial]: Place(row.rank, sum(o.dataset == row.dataset for o in rows)) for row in rows}


def counted_anew(storage):
    """The database's counts, and what a look at all trials gives."""
    with storage.read() as connection:
        found = {(row.dataset_hash, row.step): row.trials for row in connection.execute(select(accuracy_step))}
        complete = connection.execute(select(trial.c.dataset_hash, trial.c.accuracy).where(trial.c.state == COMPLETE))
        anew = {}
        for hash, accuracy in complete:
            key = hash, _step_of(accuracy)
            anew[key] = anew.get(key, 0) + 1
    return found, anew


def test_place_on_images_is_that_found_by_looking_at_all(filled):
    ranked = by_looking_at_all(filled)
    assert len(ranked) == 3 * len(ACCURACIES)
    assert {one: place_on_images(filled, one) for one in ranked} == ranked


@pytest.mark.parametrize("name", ["alpha", "tested"])
def test_place_in_study_is_that_found_by_looking_at_all(filled, name):
    ranked = by_looking_at_all(filled, study=name)
    assert len(ranked) == len(ACCURACIES)
    assert {one: place_in_study(filled, one) for one in ranked} == ranked


def test_only_complete_trials_scored_on_validation_images_have_a_place_on_images(filled):
    pruned = [one.id for one in trials(filled, states=(PRUNED,))]
    assert {place_in_study(filled, one) for one in pruned} == {None}
    assert {place_on_images(filled, one) for one in pruned} == {None}
    with filled.read() as connection:
        tested = select(trial.c.id).join(study, study.c.id == trial.c.study_id).where(study.c.scored_on == TEST)
        ids = list(connection.scalars(tested))
    assert {place_on_images(filled, one) for one in ids} == {None}


def test_counts_follow_whatever_becomes_of_a_trial(filled):
    found, anew = counted_anew(filled)
    assert found == anew
    changes = (
        "UPDATE nas_trial SET accuracy = 0.4567 WHERE accuracy = 0.57",
        "UPDATE nas_trial SET state = 'failed' WHERE accuracy = 0.29",
        "UPDATE nas_trial SET dataset_hash = 'e' WHERE accuracy = 0.999",
        "DELETE FROM nas_trial WHERE accuracy = 1.0",
        "UPDATE nas_trial SET state = 'complete' WHERE state = 'pruned'",
    )
    for change in changes:
        with filled.write() as connection:
            assert connection.execute(text(change)).rowcount >= 4
        before, found = found, counted_anew(filled)[0]
        assert found != before
        assert found == counted_anew(filled)[1]


def test_counts_of_a_study_that_is_removed_go_with_it(filled):
    remove_study(filled, "cars")
    found, anew = counted_anew(filled)
    assert found == anew
    assert {hash for hash, _ in found} == {"d" * 8}


def test_result_taken_over_is_counted_and_one_that_failed_is_not(storage, study):
    trained(storage, study, 1, 0.8)
    other = create_study(storage, study_record("beta"))
    assert asked(storage, other, 1).kind is Answer.REUSED
    claim = held(storage, other, 2)
    assert finish(storage, claim.trial_id, "worker", outcome(None, FAILED, 0))
    assert counted_anew(storage) == ({("d" * 8, 800): 2},) * 2


def test_storage_that_another_is_merged_into_counts_both(filled, new_url):
    with closing(create_storage(new_url())) as target:
        trained(target, create_study(target, study_record("gamma", seed=5)), 1, 0.57)
        merge(filled, target)
        found, anew = counted_anew(target)
    assert found == anew
    assert sum(found.values()) == 1 + 4 * len(ACCURACIES)


def test_trial_that_nobody_has_has_no_place(storage):
    assert place_in_study(storage, 7) is None
    assert place_on_images(storage, 7) is None


@pytest.mark.parametrize("accuracy", [-1.0, -1e-9, 1.5, 1e308])
def test_what_is_no_accuracy_has_a_place_too(filled, accuracy):
    """Only a hand may write it."""
    with filled.write() as connection:
        assert (
            connection.execute(update(trial).where(trial.c.accuracy == 0.999).values(accuracy=accuracy)).rowcount == 4
        )
    ranked = by_looking_at_all(filled)
    assert {one: place_on_images(filled, one) for one in ranked} == ranked
    found, anew = counted_anew(filled)
    assert found == anew


def test_rows_that_come_or_go_together_are_counted(filled):
    with filled.read() as connection:
        rows = [dict(row._mapping) for row in connection.execute(select(trial).order_by(trial.c.id))]
    before, _ = counted_anew(filled)
    with filled.write() as connection:
        connection.execute(delete(trial))
        assert not list(connection.execute(select(accuracy_step)))
        connection.execute(insert(trial), rows)
    assert counted_anew(filled) == (before, before)


@only_postgresql
def test_trials_emptied_are_counted_no_more(filled):
    with filled.write() as connection:
        connection.execute(text("TRUNCATE nas_trial CASCADE"))
    assert counted_anew(filled) == ({}, {})


@only_postgresql
def test_roles_of_before_may_write_trials_and_read_ranks_after_the_upgrade(url, postgres_server):
    """And a table of counts is found whatever the search path says."""
    with closing(connect(parse_url(url))) as old, old.write() as connection:
        migrate(connection, "0005")
    postgres_server.command("DROP ROLE IF EXISTS writer, watcher")
    postgres_server.command("CREATE ROLE writer LOGIN")
    postgres_server.command("CREATE ROLE watcher LOGIN")
    with closing(connect(parse_url(url))) as old, old.write() as connection:
        connection.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer"))
        connection.execute(text("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO writer"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO watcher"))
    upgrade(url)
    as_writer, as_watcher = (parse_url(url).set(username=name) for name in ("writer", "watcher"))
    with closing(connect(as_writer)) as storage:
        made = trained(storage, create_study(storage, study_record()), 1, 0.8)
        with storage.write() as connection:
            connection.execute(text("SET LOCAL search_path = pg_catalog"))
            connection.execute(text("UPDATE public.nas_trial SET accuracy = 0.7"))
            connection.execute(text("SELECT public.nas_recount()"))
        assert counted_anew(storage) == ({("d" * 8, 700): 1},) * 2
    with closing(connect(as_watcher)) as storage:
        with (
            pytest.raises(StorageError, match="permission denied for function nas_recount"),
            storage.write() as connection,
        ):
            connection.execute(text("SELECT nas_recount()"))
        assert (place_on_images(storage, made), place_in_study(storage, made)) == (Place(1, 1), Place(1, 1))


@pytest.mark.parametrize("step", [0, 1, 57, 289, 290, 568, 569, 570, 999, 1000])
def test_end_of_a_step_is_the_first_accuracy_that_the_database_counts_higher(storage, study, step):
    made = trained(storage, study, 1, 0.5)
    last, end = math.nextafter(_end_of(step), 0.0), _end_of(step)
    for accuracy, counted in ((last, step), (end, step + 1)) if step < 1000 else ((1.0, step),):
        with storage.write() as connection:
            connection.execute(update(trial).where(trial.c.id == made).values(accuracy=accuracy))
        with storage.read() as connection:
            assert connection.scalars(select(accuracy_step.c.step)).all() == [counted]
