"""Opening a database, and the two transactions, read and write, in which everything else happens.

All that differs between SQLite and PostgreSQL stands in this file, in `sqlite.py` and in `postgresql.py`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Double,
    Engine,
    Text,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoResultFound,
    NoSuchModuleError,
    ProgrammingError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nas.errors import ConnectionLost, StorageError
from nas.store import postgresql, sqlite
from nas.store.kinds import Unreadable, refused
from nas.store.outage import OUTAGE_SECONDS, Crowd, is_lost, lasting, reason_of, state_of, waited_for
from nas.store.tables import SCHEMA, VERSION_TABLE
from nas.store.urls import DRIVERS, parse_url, shown, sqlite_file

_VERSION = re.compile(r"(?!0000)[0-9]{4}")
"""The versions that a schema of ours ever has."""

NO_PRIVILEGE = "42501"
"""The SQLSTATE of what a role may not do: for whoever runs the server to mend, not for us."""


class cut_off_if_frozen(FunctionElement[str]):
    """Has the server end the transaction if it stands still; for one that does not wait to be the only writer."""

    type = Text()
    inherit_cache = True


@compiles(cut_off_if_frozen, "sqlite")
def _never(element: Any, compiler: Any, **options: Any) -> str:
    return "NULL"


@compiles(cut_off_if_frozen)
def _guard(element: Any, compiler: Any, **options: Any) -> str:
    return postgresql.GUARD.replace(":frozen", f"'{postgresql.frozen_milliseconds()}'")


class database_clock(FunctionElement[float]):
    """The database's clock in seconds since 1970: leases are judged by one clock, whatever a machine's says."""

    type = Double()
    inherit_cache = True


@compiles(database_clock, "sqlite")
def _sqlite_clock(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_clock)
def _clock(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch from clock_timestamp()) AS DOUBLE PRECISION)"


@dataclass(frozen=True)
class Storage:
    """An open database. `shown` is its URL without the password, for messages; one process, one storage.

    A server that goes away is waited for so long as `patience_seconds` says before StorageError tells of it.
    """

    url: str = field(repr=False)
    shown: str
    engine: Engine = field(repr=False)
    patience_seconds: float = 0.0
    crowd: Crowd = field(default_factory=Crowd, repr=False, compare=False)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a transaction that only looks, and waits for no writer.

        All that it sees is of one moment.
        """
        with translated(self.shown), self._begun(writing=False)[0] as connection:
            yield connection
            if self.engine.dialect.name == "postgresql":
                connection.commit()  # after a rollback psycopg forgets the statements that the server has prepared

    @contextmanager
    def read_planned(self) -> Iterator[Connection]:
        """`read` for statements that a server takes as long to plan as to answer: it plans each once a connection."""
        with self.read() as connection, ExitStack() as plans:
            if self.engine.dialect.name == "postgresql":
                plans.enter_context(postgresql.planned_once(connection))
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection without a transaction, for a statement that only looks: that is a third of the round trips."""
        if self.engine.dialect.name == "sqlite":
            with self.read() as connection:
                yield connection
            return
        with translated(self.shown), waited_for(self._glancing, self.patience_seconds, self.shown) as connection:
            yield connection

    def _glancing(self) -> Connection:
        return self.engine.connect().execution_options(**postgresql.NO_TRANSACTION)

    @contextmanager
    def write(self, *, alone: bool = True) -> Iterator[Connection]:
        """A connection in a transaction that no other writer shares, committed at the end or rolled back.

        What is read in it is therefore still true when it is written upon: claims and counts are exact. Not `alone`,
        it waits for no other writer where the database lets in several: for a trial's holder, who writes of this trial
        alone, and of nothing that others count. Raises ConnectionLost where the server went away before the changes
        were kept; done again, what is written not `alone` has to come to the same.
        """
        with translated(self.shown):
            connection, number = self._begun(writing=True, alone=alone)
            with connection:
                yield connection
                self._commit(connection, number)

    def rest(self) -> None:
        """Close the connection that is kept open for the next transaction: for when that may be long in coming."""
        if self.engine.dialect.name == "postgresql":
            with suppress(DBAPIError):
                connection = self.engine.raw_connection()
                connection.detach()
                connection.close()

    def make_room(self) -> None:
        """`rest` where the server lets in hardly any more: others may be waiting to be let in at all."""
        if self.engine.dialect.name == "postgresql" and self.crowd.is_there(self._crowded):
            self.rest()

    def _crowded(self) -> bool:
        with self.glance() as connection:
            return postgresql.is_crowded(connection)

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def _begun(self, writing: bool, alone: bool = False) -> tuple[Connection, int | None]:
        """A connection in a transaction, and of one that writes alone to PostgreSQL its number."""
        return waited_for(lambda: _begin(self.engine, writing, alone), self.patience_seconds, self.shown)

    def _commit(self, connection: Connection, number: int | None) -> None:
        try:
            connection.commit()
        except DBAPIError as error:
            if number is None or not error.connection_invalidated or not self._kept(number):
                raise

    def _kept(self, number: int) -> bool:
        return waited_for(lambda: postgresql.kept(self.engine, number), self.patience_seconds, self.shown)


def open_storage(url: str, *, patient: bool = False) -> Storage:
    """Open a database that exists and has the schema of this version; nothing is ever created here.

    A server that is away now is waited for only where `patient`; one that goes away later always is.

    Raises StorageError, one line: no such file, no SQLite database, no tables of ours, an older or newer schema.
    """
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not os.path.exists(file):
        raise StorageError(f"{shown(parsed)}: no such database; `nas run` creates it")
    storage = connect(parsed)
    try:
        check_schema(storage, schema_of(lasting_storage(storage) if patient else storage))
    except BaseException:
        storage.close()
        raise
    return lasting_storage(storage)


def lasting_storage(storage: Storage) -> Storage:
    """The storage, from now on with patience for a server that goes away."""
    return storage if storage.engine.dialect.name == "sqlite" else replace(storage, patience_seconds=OUTAGE_SECONDS)


@lasting
def schema_of(storage: Storage) -> str | None:
    """The schema that the database has, or None where it has no tables of ours."""
    with storage.read() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
        if found is None or (isinstance(found, str) and _VERSION.fullmatch(found)):
            return found
        raise refused(found, "the schema's version")


def check_schema(storage: Storage, found: str | None) -> None:
    """Raise StorageError where the schema found is not the one of this version."""
    if found is None:
        raise StorageError(f"{storage.shown}: a database without studies of nas; `nas run` adds its tables")
    if found < SCHEMA:
        raise StorageError(f"{storage.shown}: schema {found} is older than {SCHEMA}; run `nas db upgrade`")
    if found > SCHEMA:
        raise StorageError(f"{storage.shown}: schema {found} is newer than {SCHEMA}; install a newer nas")


def connect(url: URL) -> Storage:
    """A storage whose engine is fit for many processes; whatever the database holds, or does not."""
    try:
        engine = create_engine(url, **engine_options(url), **sqlite.read_only(url))
    except (ImportError, NoSuchModuleError) as error:
        wanted = DRIVERS[url.get_backend_name()]
        raise StorageError(f"{shown(url)}: its driver is not installed; pip install '{wanted}'") from error
    except (ArgumentError, ValueError, TypeError):  # what they say may hold any part of the URL
        raise _no_such_values(url) from None
    if engine.dialect.name == "sqlite":
        sqlite.take_over(engine)
    else:
        postgresql.take_over(engine)
    return Storage(url.render_as_string(hide_password=False), shown(url), engine)


def _no_such_values(url: URL) -> StorageError:
    names = ", ".join(url.query) or "of its host"
    return StorageError(f"{shown(url)}: its driver takes no such values of parameters ({names})")


def engine_options(url: URL, *, pooled: bool = True) -> dict[str, Any]:
    """What `create_engine` is given, ours and Optuna's; not `pooled`: no connection to a server stays open."""
    if url.get_backend_name() == "sqlite":
        return sqlite.OPTIONS
    return postgresql.options(url, pooled=pooled)


def _begin(engine: Engine, writing: bool, alone: bool) -> tuple[Connection, int | None]:
    try:
        connection = engine.connect()
    except UnicodeError as error:  # of a host's name that is none
        raise StorageError(f"{shown(engine.url)}: its host's name cannot be looked up") from error
    except OverflowError:  # of a number that the driver cannot hold
        raise _no_such_values(engine.url) from None
    try:
        if engine.dialect.name == "sqlite":
            connection = connection.execution_options(nas_write=writing)
            sqlite.begin_patiently(connection)
            return connection, None
        isolation: dict[str, Any] = postgresql.NEWEST if writing else postgresql.ONE_SNAPSHOT
        connection = connection.execution_options(**isolation)
        connection.begin()
        return connection, postgresql.enter(connection) if writing and alone else None
    except BaseException:
        connection.close()
        raise


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn what the database refuses into StorageError; what we ask wrongly of it keeps its own error."""
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError) as error:
        if error.statement is not None and state_of(error) != NO_PRIVILEGE:
            raise
        raise StorageError(f"{place}: {reason_of(error)}") from error
    except DBAPIError as error:
        kind = ConnectionLost if is_lost(error) else StorageError
        raise kind(f"{place}: {reason_of(error)}{_advice(error)}") from error
    except (sqlite3.Error, Unreadable) as error:
        raise StorageError(f"{place}: {error}") from error
    except NoResultFound as error:
        raise StorageError(f"{place}: lacks a row that another one names") from error


def _advice(error: DBAPIError) -> str:
    missing = re.search(r'database "([^"]+)" does not exist', str(error.orig))
    return f"; `createdb {missing[1]}` makes it" if missing else ""
