"""A PostgreSQL server that goes away: waited for, and everything kept once."""

import multiprocessing
import threading
import time

import pytest
from databases import on_both, only_postgresql
from postgres import CRASH_SAFE, Relay, Server
from sqlalchemy import func, insert, select, text
from store_worlds import LEASE, epoch_record, held, study_record, work

from nas.errors import ConnectionLost, StorageError
from nas.store import engine, outage, postgresql, tables
from nas.store.engine import open_storage
from nas.store.leases import heartbeat
from nas.store.outage import lasting
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study, find_study, list_studies
from nas.store.trials import record_epoch, trial_epochs, trials


@pytest.fixture(scope="module")
def killed_server(postgres_server, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("killed"), dict(CRASH_SAFE))
    yield server
    server.stop()


@pytest.fixture
def own_server(killed_server):
    """A server that may be killed."""
    killed_server.stop()
    killed_server.options = dict(CRASH_SAFE)
    killed_server.start()
    return killed_server


@pytest.fixture
def relay(a_database, postgres_server):
    made = Relay(postgres_server.port)
    yield made
    made.close()


def cut_off(connection):
    connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


def write_and_lose(storage):
    with storage.write() as connection:
        connection.execute(text("UPDATE nas_alembic_version SET version_num = '9'"))
        cut_off(connection)


@only_postgresql
def test_transaction_cut_off_in_the_middle_keeps_nothing_and_says_so(storage):
    with pytest.raises(ConnectionLost):
        write_and_lose(storage)
    with storage.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM nas_alembic_version")) == tables.SCHEMA


@only_postgresql
def test_what_was_cut_off_is_done_again_from_its_start(storage):
    plan = {"machine": "m", "fingerprint": "f", "batch_size": 1, "asked": "", "precision": "fp32"}
    tries = []

    @lasting
    def note(storage):
        with storage.write() as connection:
            connection.execute(insert(tables.plan).values(memory_format="", micro_batch=0, **plan))
            tries.append(1)
            if len(tries) < 3:
                cut_off(connection)
        return len(tries)

    assert note(storage) == 3
    with storage.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.plan)) == 1


@only_postgresql
@pytest.mark.parametrize("when", ["before", "after"])
def test_commit_whose_answer_is_lost_counts_once(storage, relay, when):
    through = open_storage(storage.url.replace(str(storage.engine.url.port), str(relay.port)))
    relay.armed = when
    made = create_study(through, study_record())
    assert (relay.cut, list_studies(storage)) == (1, [made])
    through.close()


def test_server_that_is_killed_is_waited_for(own_server):
    storage = create_storage(own_server.url(own_server.create()))
    trial = held(storage, create_study(storage, study_record()))
    own_server.kill()
    again = threading.Timer(1.5, own_server.start)
    again.start()
    assert record_epoch(storage, trial.trial_id, "worker", epoch_record(1), b"state", LEASE)
    again.join()
    assert trial_epochs(storage, trial.trial_id) == (epoch_record(1),)
    storage.close()


def test_server_that_stays_away_is_an_error_in_the_end(own_server, monkeypatch, caplog):
    monkeypatch.setattr(engine, "OUTAGE_SECONDS", 1.5)
    storage = create_storage(own_server.url(own_server.create()))
    own_server.kill()
    with pytest.raises(StorageError, match=r"\*\*\*@.* refused .*; waited for \d s"):
        list_studies(storage)
    [told] = caplog.messages
    assert "waiting for it, 2 s at most" in told
    storage.close()


@only_postgresql
def test_storage_at_rest_holds_no_connection(storage, study, postgres_server):
    trial = held(storage, study)
    assert heartbeat(storage, trial.trial_id, "worker", LEASE)
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{storage.engine.url.database}'"
    assert postgres_server.command(asked) == [(1,)]
    storage.rest()
    until = time.monotonic() + 10
    while postgres_server.command(asked) != [(0,)]:
        assert time.monotonic() < until
    assert heartbeat(storage, trial.trial_id, "worker", LEASE)


def stand_still(storage):
    """A writer that does nothing while another one waits to be let in."""
    with storage.write() as connection:
        create_study(storage, study_record())
        connection.execute(text("SELECT 1"))


@only_postgresql
def test_writer_that_stands_still_does_not_keep_others_out(storage, monkeypatch):
    monkeypatch.setattr(postgresql, "FROZEN_SECONDS", 0.5)
    with pytest.raises(ConnectionLost):
        stand_still(storage)
    assert [study.name for study in list_studies(storage)] == ["alpha"]


@on_both
def test_reader_sees_one_moment(storage, study):
    count = select(func.count()).select_from(tables.study)
    with storage.read() as connection:
        before = connection.scalar(count)
        create_study(storage, study_record("beta"))
        assert connection.scalar(count) == before == 1
    assert find_study(storage, "beta").id == 2


@only_postgresql
@pytest.mark.parametrize("default", ["serializable", "repeatable read"])
def test_writers_see_what_was_kept_before_whatever_the_server_s_default(storage, study, postgres_server, default):
    name = storage.engine.url.database
    postgres_server.command(f"ALTER DATABASE {name} SET default_transaction_isolation = '{default}'")
    opened = [open_storage(storage.url) for _ in range(4)]
    workers = [threading.Thread(target=held, args=(one, study, number)) for number, one in enumerate(opened)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with storage.read() as connection:
        assert sorted(connection.scalars(select(tables.trial.c.number))) == [0, 1, 2, 3]
    for one in opened:
        one.close()


def test_full_server_is_waited_for(own_server, monkeypatch):
    own_server.stop()
    own_server.options |= {"max_connections": "6", "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    own_server.start()
    name = own_server.create()
    create_storage(own_server.url(name)).close()
    taken = [create_storage(own_server.url(name)) for _ in range(6)]
    with monkeypatch.context() as patch:
        patch.setattr(outage, "FULL_SECONDS", 0.2)
        with pytest.raises(StorageError, match="too many clients"):
            open_storage(own_server.url(name))
    threading.Timer(0.5, taken[0].close).start()
    storage = open_storage(own_server.url(name))
    assert list_studies(storage) == []
    for one in [storage, *taken]:
        one.close()


def test_worker_on_a_crowded_server_makes_room_for_another(own_server):
    own_server.stop()
    own_server.options |= {"max_connections": "6", "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    own_server.start()
    name = own_server.create()
    create_storage(own_server.url(name)).close()
    opened = [open_storage(own_server.url(name)) for _ in range(2)]
    opened[0].make_room()
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    assert own_server.command(asked) == [(2,)]
    opened += [open_storage(own_server.url(name)) for _ in range(3)]
    opened[1].make_room()
    until = time.monotonic() + 10
    while own_server.command(asked) != [(4,)]:
        assert time.monotonic() < until
    for one in opened:
        one.close()


@pytest.mark.slow
def test_server_killed_under_worker_processes_loses_no_trial_and_trains_none_twice(own_server):
    url = own_server.url(own_server.create())
    storage = create_storage(url)
    create_study(storage, study_record(trials=40))
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=work, args=(url, "alpha", 200, 30.0, 0.2), daemon=True) for _ in range(4)]
    for worker in workers:
        worker.start()
    while status(storage, "alpha").trials["complete"] < 2:
        time.sleep(0.05)
    own_server.kill()
    time.sleep(3)
    assert all(worker.is_alive() for worker in workers)
    own_server.start()
    for worker in workers:
        worker.join(100)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found, rows = status(storage, "alpha"), trials(storage)
    assert (found.trained_twice, len(rows), len({row.fingerprint for row in rows})) == (0, 40, 40)
    assert found.trials["complete"] + found.trials["pruned"] == 40
    for row in rows:
        assert [epoch.epoch for epoch in trial_epochs(storage, row.id)] == list(range(1, row.epochs_done + 1))
    storage.close()
