"""Opening databases: what is made, what is refused and how it is said."""

import os
import sqlite3
import stat
import subprocess
import sys
import time

import pytest
import sqlalchemy
from databases import only_sqlite
from postgres import PASSWORD
from sqlalchemy import exc, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from store_worlds import study_record, trained

from nas.errors import StorageError
from nas.store import engine, sqlite, tables
from nas.store.engine import database_clock, open_storage
from nas.store.ranking import best
from nas.store.schema import create_storage, upgrade
from nas.store.studies import create_study, list_studies
from nas.store.trials import trials
from nas.store.urls import parse_url, sqlite_file


def set_version(url, version):
    storage = open_storage(url)
    with storage.write() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '{version}'"))
    storage.close()


def test_database_once_made_opens(url):
    create_storage(url).close()
    storage = open_storage(url)
    assert list_studies(storage) == []
    assert storage.url == url
    assert storage.shown == url.replace(PASSWORD, "***")
    storage.close()


@pytest.mark.parametrize("opened", [open_storage, upgrade])
def test_missing_file_is_named_and_not_made(tmp_path, opened):
    with pytest.raises(StorageError, match=r"absent\.db: no such database; `nas run` creates it"):
        opened(f"sqlite:///{tmp_path}/absent.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no database at all, only text " * 40, "file is not a database"), (b"", "a database without studies of nas")],
)
def test_file_that_holds_no_studies_is_refused_untouched(tmp_path, content, message):
    file = tmp_path / "other.db"
    file.write_bytes(content)
    with pytest.raises(StorageError, match=rf"other\.db: {message}") as caught:
        open_storage(f"sqlite:///{file}")
    assert len(caught.value.lines) == 1
    assert file.read_bytes() == content


def test_folder_is_no_database(tmp_path):
    with pytest.raises(StorageError, match="unable to open database file"):
        open_storage(f"sqlite:///{tmp_path}")


def test_text_file_is_not_written_over(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database " * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        create_storage(f"sqlite:///{file}")
    assert file.read_text() == "not a database " * 100


@pytest.mark.parametrize(
    ("version", "message"),
    [("0001", "older than .*; run `nas db upgrade`"), ("9999", "newer than .*; install a newer nas")],
)
def test_other_schema_says_what_to_do(url, version, message):
    create_storage(url).close()
    set_version(url, version)
    with pytest.raises(StorageError, match=f"schema {version} is {message}"):
        open_storage(url)


def test_newer_schema_is_never_upgraded(url):
    create_storage(url).close()
    set_version(url, "9999")
    with pytest.raises(StorageError, match="newer"):
        create_storage(url)


def test_folder_that_is_absent_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"no such folder '.*/absent'; create it first"):
        create_storage(f"sqlite:///{tmp_path}/absent/nas.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nas.db", "cannot be read; allowed: sqlite:///FILE"),
        ("mysql://ada:secret@host/nas", r"mysql://ada:\*\*\*@host/nas: allowed are sqlite:///FILE and postgresql://"),
        ("sqlite://", "cannot share a database in memory; name a file"),
    ],
)
def test_url_of_no_use_is_refused_without_its_password(url, message):
    with pytest.raises(StorageError, match=message) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)


def test_password_is_in_no_representation(storage):
    opened = engine.Storage("postgresql://ada:secret@host/nas", "postgresql://ada:***@host/nas", storage.engine)
    assert "secret" not in repr(opened)


@only_sqlite
def test_connections_are_fit_for_many_writers(storage):
    with storage.read() as connection:
        asked = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "cache_size")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
        assert found == ["wal", 1, 30_000, 1, -65_536]


def test_engine_made_elsewhere_is_made_fit_too(tmp_path):
    other = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/optuna.db")
    other.connect().close()
    sqlite.configure(other)
    with other.connect() as connection:
        asked = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "cache_size")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
        assert found == ["wal", 1, 30_000, 1, -65_536]
    other.dispose()


def test_clock_of_the_database_is_unix_time(storage):
    with storage.read() as connection:
        assert connection.scalar(select(database_clock())) == pytest.approx(time.time(), abs=1)


def write_and_fail(storage):
    with storage.write() as connection:
        connection.execute(sqlalchemy.delete(tables.study))
        raise ZeroDivisionError


def test_failed_writing_leaves_all_as_it_was(storage, study):
    with pytest.raises(ZeroDivisionError):
        write_and_fail(storage)
    assert list_studies(storage) == [study]


def test_own_mistakes_keep_their_error(storage):
    epoch = {"trial_id": 99, "epoch": 1, "accuracy": 0.5, "seconds": 1.0}
    with pytest.raises(exc.IntegrityError), storage.write() as connection:
        connection.execute(sqlalchemy.insert(tables.epoch).values(epoch))


@only_sqlite
def test_lock_is_waited_for_and_named_when_it_stays(url, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
    storage = create_storage(url)
    with sqlite3.connect(storage.engine.url.database, isolation_level=None) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="database is locked"):
            create_study(storage, study_record())
        blocker.execute("ROLLBACK")
    assert create_study(storage, study_record()).id == 1
    blocker.close()
    storage.close()


def test_reader_goes_on_while_one_writes(storage, study):
    with storage.write() as connection:
        connection.execute(sqlalchemy.update(tables.study).values(trials=99))
        assert list_studies(storage)[0].trials == study.trials


@only_sqlite
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_file_that_may_not_be_written_is_named(storage, url, tmp_path):
    (tmp_path / "nas.db").chmod(stat.S_IREAD)
    with pytest.raises(StorageError, match="readonly"):
        create_study(open_storage(url), study_record())


def test_tables_and_clock_are_good_sql_for_postgresql_too():
    dialect = postgresql.dialect()
    for table in tables.metadata.sorted_tables:
        assert ("SERIAL" in str(CreateTable(table).compile(dialect=dialect))) == ("id" in table.c)
    assert "clock_timestamp()" in str(select(database_clock()).compile(dialect=dialect))


@only_sqlite
def test_uri_that_says_itself_how_to_open_is_left_alone(url, tmp_path):
    create_storage(url).close()
    storage = open_storage(f"sqlite:///file:{tmp_path}/nas.db?mode=ro&uri=true")
    assert list_studies(storage) == []
    storage.close()
    assert str(sqlite_file(parse_url("sqlite:///file:/a%20b/x.db?uri=true"))) == "/a b/x.db"


def test_reading_loads_neither_alembic_nor_torch_nor_optuna():
    modules = "engine, studies, claims, leases, trials, ranking, status, weights"
    heavy = {"alembic", "torch", "optuna", "sqlalchemy.orm"}
    program = f"import sys; from nas.store import {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


WRONG = {
    "text for a number": ("nas_trial", "accuracy", "high"),
    "infinite": ("nas_trial", "seconds", float("inf")),
    "number for a text": ("nas_study", "dataset", b"\x00"),
    "text for a count": ("nas_trial", "params", "many"),
    "no JSON": ("nas_architecture", "blocks", "[1,"),
    "deep JSON": ("nas_architecture", "blocks", "[" * 100_000),
    "JSON of another kind": ("nas_architecture", "blocks", '{"a": 1}'),
    "names that are none": ("nas_architecture", "blocks", "[1]"),
    "shape of two sides": ("nas_study", "input", "[1, 8]"),
    "budget of texts": ("nas_study", "budget", '{"params": "20k"}'),
    "configuration that is a list": ("nas_study", "config", "[]"),
    "draw that is a list": ("nas_trial", "draw_json", "[]"),
}


@only_sqlite
@pytest.mark.parametrize("case", WRONG)
def test_value_of_another_type_than_its_column_s_is_one_line(storage, tmp_path, case):
    study = create_study(storage, study_record())
    trained(storage, study)
    table, column, value = WRONG[case]
    with sqlite3.connect(tmp_path / "nas.db") as raw:
        raw.execute(f"UPDATE {table} SET {column} = ?", (value,))
    with pytest.raises(StorageError, match=r"nas\.db: holds .* where .* belongs$") as caught:
        list_studies(storage), best(storage), trials(storage, study.id)
    assert len(caught.value.lines) == 1
