"""The schema: made from nothing, told by migrations and tables alike, upgraded from what was released."""

import json
import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, MetaData, insert, inspect, select, text
from store_worlds import asked, create_and_claim

from nas.errors import StorageError
from nas.store import migrations
from nas.store.claims import Answer
from nas.store.engine import connect, open_storage, schema_of
from nas.store.ranking import best
from nas.store.schema import create_storage, migrate, upgrade
from nas.store.status import status
from nas.store.studies import find_study, list_studies
from nas.store.tables import SCHEMA, VERSION_TABLE, accuracy_step, metadata
from nas.store.trials import history, trial_epochs
from nas.store.urls import parse_url
from nas.store.weights import get_weights

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("schema_*.sqlite.sql"))


def restore(file, dump):
    connection = sqlite3.connect(file)
    connection.executescript(dump.read_text())
    connection.close()


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_migrations_make_the_tables_that_are_read(storage):
    options = {"version_table": VERSION_TABLE, "target_metadata": metadata}
    with storage.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def indexes_of(storage):
    """Every index of our tables in the database's own words."""
    asked = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'nas!_%' ESCAPE '!'",
    }
    with storage.read() as connection:
        rows = connection.execute(text(asked[storage.engine.dialect.name]))
        return {tuple(row) for row in rows if not row[0].startswith(VERSION_TABLE)}


def test_migrations_make_the_indexes_that_are_read(storage):
    made = indexes_of(storage)
    assert len(made) > 8
    with storage.write() as connection:
        connection.execute(text("DROP VIEW nas_leaderboard"))
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert indexes_of(storage) == made


def test_version_of_the_tables_is_the_last_migration():
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == SCHEMA


def test_tables_come_beside_those_of_others(tmp_path):
    file = tmp_path / "shared.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE alembic_version AS SELECT 'v3' AS version_num")
    connection.commit()
    connection.close()
    storage = create_storage(f"sqlite:///{file}")
    with storage.read() as opened:
        assert opened.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "v3"
    assert inspect(storage.engine).has_table("nas_trial")
    assert schema_of(storage) == SCHEMA
    storage.close()


def test_upgrading_says_from_where_to_where(tmp_path, url, database):
    if database == "sqlite":
        (tmp_path / "nas.db").touch()
    assert upgrade(url) == (None, SCHEMA)
    assert upgrade(url) == (SCHEMA, SCHEMA)


@pytest.mark.parametrize("version", ["", "\x1b[2J", "0000", "005", "0005\n", "head"])
def test_version_that_no_schema_has_is_refused(url, version):
    with closing(create_storage(url)) as storage, storage.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :version"), {"version": version})
    for door in (open_storage, create_storage, upgrade):
        with pytest.raises(StorageError, match=r"where the schema's version belongs$"):
            door(url)


def test_many_that_start_at_once_make_one_database(url):
    fresh = multiprocessing.get_context("spawn")
    barrier = fresh.Barrier(4)
    workers = [fresh.Process(target=create_and_claim, args=(url, n, barrier)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    storage = open_storage(url)
    assert len(list_studies(storage)) == 4
    storage.close()


def test_golden_databases_are_there():
    assert [dump.name for dump in GOLDEN][:1] == ["schema_0001.sqlite.sql"]
    assert len(GOLDEN) == int(SCHEMA)


def test_studies_from_before_priorities_are_equal_and_open(tmp_path):
    restore(tmp_path / "old.db", GOLDEN[2])
    upgrade(f"sqlite:///{tmp_path}/old.db")
    storage = open_storage(f"sqlite:///{tmp_path}/old.db")
    assert {(one.priority, one.halt) for one in list_studies(storage)} == {(0, "")}
    storage.close()


def carry(file, url, revision):
    """A database of an older schema on PostgreSQL, with Optuna's version table and all that a SQLite file holds."""
    storage = connect(parse_url(url))
    with storage.write() as connection, closing(sqlite3.connect(file)) as old:
        connection.execute(text("CREATE TABLE alembic_version AS SELECT 'v3' AS version_num"))
        migrate(connection, revision)
        then = MetaData()
        then.reflect(connection, only=lambda name, _: name.startswith("nas_") and name != VERSION_TABLE)
        for table in then.sorted_tables:
            if table.name == "nas_accuracy_step":
                continue  # the database counts anew as trials come
            rows = old.execute(f"SELECT {', '.join(table.c.keys())} FROM {table.name}").fetchall()
            if rows:
                connection.execute(insert(table), [as_told(table, row) for row in rows])
            if "id" in table.c:
                connection.execute(text(f"SELECT setval('{table.name}_id_seq', max(id)) FROM {table.name}"))
    storage.close()


def as_told(table, row):
    """A row of SQLite in the types of a table of PostgreSQL."""
    read = {JSON: json.loads, Boolean: bool}
    kinds = [next((read[kind] for kind in read if isinstance(column.type, kind)), None) for column in table.c]
    return {
        name: kind(value) if kind and value is not None else value
        for name, kind, value in zip(table.c.keys(), kinds, row, strict=True)
    }


@pytest.mark.parametrize("dump", GOLDEN, ids=lambda dump: dump.name[7:11])
def test_released_schema_is_upgraded_with_all_it_holds(tmp_path, url, database, dump):
    file, revision = tmp_path / "nas.db", dump.name[7:11]
    if database == "postgresql":
        file = tmp_path / "old.db"
    restore(file, dump)
    if database == "postgresql":
        carry(file, url, revision)
    assert upgrade(url) == (revision, SCHEMA)
    storage = open_storage(url)
    ranked = [(row.rank, row.study, row.trial, row.accuracy, row.reused) for row in best(storage)]
    assert ranked == [(1, "alpha", 1, 0.9, False), (2, "alpha", 0, 0.8, False), (3, "beta", 0, 0.8, True)]
    counted = {"total": 5, "complete": 2, "pruned": 1, "failed": 1, "running": 0, "waiting": 1}
    assert status(storage, "alpha").trials == counted
    with storage.read() as connection:
        steps = connection.execute(select(accuracy_step.c.step, accuracy_step.c.trials).order_by(accuracy_step.c.step))
        assert [tuple(row) for row in steps] == [(750, 1)] * (revision > "0002") + [(800, 2), (900, 1)]
    first = history(storage, find_study(storage, "alpha").id)[0]
    assert (len(trial_epochs(storage, first.id)), get_weights(storage, first.id)) == (3, b"weights")
    assert asked(storage, find_study(storage, "beta"), 2).kind is Answer.REUSED
    storage.close()
