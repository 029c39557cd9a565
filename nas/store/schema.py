"""Making and upgrading a database; the one door to Alembic, so that reading commands need not load it."""

from __future__ import annotations

import os
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from nas.errors import StorageError
from nas.store import migrations, sqlite
from nas.store.engine import (
    Storage,
    check_schema,
    connect,
    lasting_storage,
    schema_of,
    translated,
)
from nas.store.outage import lasting
from nas.store.tables import SCHEMA
from nas.store.urls import parse_url, shown, sqlite_file


def create_storage(url: str) -> Storage:
    """Open a database, made or brought to this version's schema where it is not; any number may do so at once.

    Raises StorageError: no such folder, no SQLite database, a newer schema.
    """
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not file.absolute().parent.is_dir():
        raise StorageError(f"{shown(parsed)}: no such folder {str(file.absolute().parent)!r}; create it first")
    storage = connect(parsed)
    try:
        bring_up(storage)
    except BaseException:
        storage.close()
        raise
    return lasting_storage(storage)


@lasting
def bring_up(storage: Storage) -> None:
    """Upgrade the open database to this version's schema, if it is older or empty."""
    found = schema_of(storage)
    if found is None and storage.engine.dialect.name == "sqlite":
        with translated(storage.shown):
            sqlite.use_wal(storage.engine)
    if found is None or found < SCHEMA:
        with storage.write() as connection:  # who comes second waits here, and finds it done
            migrate(connection)
    check_schema(storage, schema_of(storage))


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring an existing database to this version's schema; the schema before and after."""
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not os.path.exists(file):
        raise StorageError(f"{shown(parsed)}: no such database; `nas run` creates it")
    storage = connect(parsed)
    try:
        before = schema_of(storage)
        bring_up(storage)
    finally:
        storage.close()
    return before, SCHEMA


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the database of a connection to a schema, in the transaction under way."""
    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
