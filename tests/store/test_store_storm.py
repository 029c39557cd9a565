"""Sixty-four at once on a server that lets in fewer: each trial claimed, told and ended once."""

import threading
from contextlib import suppress

import pytest
from postgres import CRASH_SAFE, Server
from store_worlds import study_record, work

from nas.arch.record import COMPLETE, PRUNED
from nas.errors import StorageError
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study
from nas.store.trials import trial_epochs, trials

CROWD = 64


@pytest.fixture
def small_server(postgres_server, tmp_path):
    """A server that lets in forty at once."""
    server = Server(tmp_path, CRASH_SAFE | {"max_connections": "40"})
    server.start()
    yield server
    server.stop()


def storm(url, total, problems):
    """One of the crowd: all try to make the study, one does; all work at it until it is whole."""
    try:
        storage = create_storage(url)
        with suppress(StorageError):  # all but one find it made
            create_study(storage, study_record("alpha", trials=total))
        storage.close()
        work(url, "alpha", 10 * total, 60.0, 0.0)
    except BaseException as error:
        problems.append(error)


@pytest.mark.slow
def test_crowd_beyond_the_connections_of_a_server_loses_nothing(small_server):
    url, problems, total = small_server.url(small_server.create()), [], CROWD
    crowd = [threading.Thread(target=storm, args=(url, total, problems)) for _ in range(CROWD)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert problems == []
    storage = open_storage(url)
    found, rows = status(storage, "alpha"), trials(storage)
    assert (len(rows), found.trained_twice) == (total, 0)
    assert {row.state for row in rows} <= {COMPLETE, PRUNED}
    assert sorted(row.number for row in rows) == list(range(total))
    assert len({row.fingerprint for row in rows}) == total
    for row in rows:
        assert [epoch.epoch for epoch in trial_epochs(storage, row.id)] == list(range(1, row.epochs_done + 1))
    storage.close()
