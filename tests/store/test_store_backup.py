"""A SQLite database copied by SQLite's own means while workers write: each copy is of one moment, and goes on."""

import multiprocessing
import sqlite3
import time
from contextlib import closing

import pytest
from databases import only_sqlite
from store_worlds import study_record, work

from nas.arch.record import RUNNING
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study
from nas.store.trials import history, trial_epochs

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["nas.store.schema", "nas.store.status", "nas.store.leases"])

TRIALS, EPOCHS, LEASE_SECONDS = 20, 5, 5.0


def vacuum(source, copy):
    source.execute("VACUUM INTO ?", [str(copy)])


def backup(source, copy):
    with closing(sqlite3.connect(copy)) as opened:
        source.backup(opened)


def at_work(url, count):
    """So many workers, each a process."""
    words = (url, "alpha", 10**6, LEASE_SECONDS, 0.02)
    workers = [FRESH.Process(target=work, args=words, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    return workers


def check_one_moment(url):
    """Every trial has the epochs that it says, and one under way the checkpoint of its last; how many those are."""
    storage = open_storage(url)
    try:
        rows = history(storage, 1)
        with storage.read() as connection:
            checkpoints = dict(connection.exec_driver_sql("SELECT trial_id, epoch FROM nas_checkpoint").all())
        for row in rows:
            assert [one.epoch for one in trial_epochs(storage, row.id)] == list(range(1, row.epochs_done + 1))
        under_way = {row.id: row.epochs_done for row in rows if row.state == RUNNING and row.epochs_done}
        assert checkpoints == under_way
        return len(under_way)
    finally:
        storage.close()


def check_sound(file):
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("PRAGMA foreign_key_check").fetchall() == []


@only_sqlite
@pytest.mark.slow
@pytest.mark.parametrize("way", [vacuum, backup])
def test_copy_of_a_database_that_is_written_to_is_of_one_moment_and_goes_on(url, tmp_path, way):
    storage = create_storage(url)
    create_study(storage, study_record(trials=TRIALS, epochs=EPOCHS, keep=3))
    workers = at_work(url, 3)
    copies = []
    with closing(sqlite3.connect(tmp_path / "nas.db")) as source:
        while not source.execute("SELECT count(*) FROM nas_epoch").fetchone()[0]:
            time.sleep(0.01)
        while any(worker.is_alive() for worker in workers) and len(copies) < 6:
            copies.append(tmp_path / f"copy-{len(copies)}.db")
            way(source, copies[-1])
            time.sleep(0.1)
    for worker in workers:
        worker.join(60)
    storage.close()
    cut = {}
    for file in copies:
        check_sound(file)
        cut[file] = check_one_moment(f"sqlite:///{file}")
    again = f"sqlite:///{max(cut, key=cut.get)}"
    assert max(cut.values()) > 0
    successors = at_work(again, 3)
    for successor in successors:
        successor.join(60)
    assert [successor.exitcode for successor in successors] == [0] * 3
    assert check_one_moment(again) == 0
    opened = open_storage(again)
    found = status(opened, "alpha")
    opened.close()
    assert (found.trials["complete"] + found.trials["pruned"], found.trained_twice) == (TRIALS, 0)
