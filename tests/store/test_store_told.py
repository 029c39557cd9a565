"""What samplers are told of trials: the same as the history, with their JSON read by who looks into it."""

import sqlite3
from contextlib import closing

import pytest
from databases import only_sqlite
from store_worlds import held, outcome, trained

from nas.arch.record import FAILED
from nas.errors import StorageError
from nas.store.ranking import find
from nas.store.trials import finish, history_since, told_since

FIELDS = ("number", "fingerprint", "state", "accuracy", "epochs_done", "draw", "params", "choices")


def fields(records):
    return [tuple(getattr(one, name) for name in FIELDS) for one in records]


def test_samplers_are_told_what_the_history_says(storage, study):
    trained(storage, study, 1, 0.9)
    failed = held(storage, study, 2)
    finish(storage, failed.trial_id, "worker", outcome(None, state=FAILED))
    held(storage, study, 3)
    revision, told = told_since(storage, study.id, 0)
    known, records = history_since(storage, study.id, 0)
    assert (revision, fields(told)) == (known, fields(records))
    assert told[0].choices == '{"width": 1}'


def test_samplers_are_told_nothing_twice(storage, study):
    first, _ = held(storage, study, 1), held(storage, study, 2)
    revision, _ = told_since(storage, study.id, 0)
    assert told_since(storage, study.id, revision) == (revision, [])
    finish(storage, first.trial_id, "worker", outcome(0.7))
    later, changed = told_since(storage, study.id, revision)
    assert later > revision
    assert [one.number for one in changed] == [first.number]


@only_sqlite
@pytest.mark.parametrize("damage", ["[1]", "{", '"text"'])
def test_damage_is_told_of_where_it_is_looked_into(storage, study, damage):
    trained(storage, study, 1, 0.9), trained(storage, study, 2, 0.8)
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_trial SET draw_json = ? WHERE number = 1", (damage,))
    whole, damaged = told_since(storage, study.id, 0)[1]
    assert (whole.draw, damaged.params) == ({"width": 1.5}, {"width": 2})
    with pytest.raises(StorageError, match=r"nas\.db: holds .* where .* belongs$"):
        _ = damaged.draw


@only_sqlite
def test_a_column_of_another_kind_is_told_of_at_once(storage, study):
    trained(storage, study, 1, 0.9)
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_trial SET epochs_done = 'many'")
    with pytest.raises(StorageError, match="where a whole number belongs"):
        told_since(storage, study.id, 0)


@only_sqlite
def test_network_whose_row_is_gone_is_told_of(storage, study):
    trained(storage, study, 1, 0.9)
    with closing(sqlite3.connect(storage.engine.url.database)) as raw, raw:
        raw.execute("UPDATE nas_trial SET fingerprint = 'ffffffffffff'")
    with pytest.raises(StorageError, match=r"lacks a row that another one names$"):
        find(storage, "alpha#0")
