"""Opening a database, and the two transactions, read and write, in which everything else happens.

All that differs between SQLite and PostgreSQL stands in this file and in `postgresql.py`.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Double,
    Engine,
    Transaction,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nas.errors import ConnectionLost, StorageError
from nas.store import postgresql
from nas.store.outage import OUTAGE_SECONDS, is_lost, lasting, reason_of, state_of, waited_for
from nas.store.tables import SCHEMA, VERSION_TABLE
from nas.store.urls import DRIVERS, parse_url, shown, sqlite_file

BUSY_SECONDS = 30
"""How long SQLite waits for a lock before it says that the database is busy."""

BEGIN_TRIES = 4
"""How often a transaction is begun anew where even that was not long enough."""

NO_PRIVILEGE = "42501"
"""The SQLSTATE of what a role may not do: for whoever runs the server to mend, not for us."""

Result = TypeVar("Result")

_jitter = random.SystemRandom()  # the global generator is seeded alike in all workers, who would then wait alike


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

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection in a transaction that only looks: it waits for no writer and is rolled back.

        All that it sees is of one moment.
        """
        with translated(self.shown), self._begun(writing=False)[0] as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """As `read`, all of it as it was at one moment, whatever others write meanwhile; SQLite reads so anyway."""
        fixed = {} if self.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with translated(self.shown), self.engine.execution_options(**fixed).connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a transaction that no other writer shares, committed at the end or rolled back.

        What is read in it is therefore still true when it is written upon: claims and counts are exact. Raises
        ConnectionLost where the server went away before the changes were kept.
        """
        with translated(self.shown):
            connection, number = self._begun(writing=True)
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

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def _begun(self, writing: bool) -> tuple[Connection, int | None]:
        """A connection in a transaction, and of one that writes to PostgreSQL its number."""
        return waited_for(lambda: _begin(self.engine, writing), self.patience_seconds, self.shown)

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
        found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


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
        engine = create_engine(url, **engine_options(url), **_read_only(url))
    except (ImportError, NoSuchModuleError) as error:
        wanted = DRIVERS[url.get_backend_name()]
        raise StorageError(f"{shown(url)}: its driver is not installed; pip install '{wanted}'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin_sqlite)
    return Storage(url.render_as_string(hide_password=False), shown(url), engine)


def _read_only(url: URL) -> dict[str, Any]:
    """How to open a SQLite file in a folder where nothing can be written: as one that nobody changes."""
    file = sqlite_file(url)
    if file is None or not os.path.exists(file) or os.access(file.absolute().parent, os.W_OK):
        return {}
    uri = f"file:{quote(str(file.absolute()))}?immutable=1"
    return {"creator": lambda: sqlite3.connect(uri, uri=True, check_same_thread=False)}


def engine_options(url: URL, *, pooled: bool = True) -> dict[str, Any]:
    """What `create_engine` is given, ours and Optuna's; not `pooled`: no connection to a server stays open."""
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return postgresql.options(url, pooled=pooled)


def configure_sqlite(engine: Engine) -> None:
    """Make an engine of SQLite fit for many writers: WAL, a patient wait for locks, foreign keys.

    For engines made elsewhere, such as Optuna's; other databases are left alone. Connections that were opened before
    are closed, since they are without it.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        engine.dispose()
        use_wal(engine)


def use_wal(engine: Engine) -> None:
    """Let readers of a SQLite file go on while one writes; the file remembers it."""
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        patiently(lambda: raw.execute("PRAGMA journal_mode=WAL").fetchone(), sqlite3.OperationalError)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    # Python's sqlite3 begins by itself, late and deferred: two that read first and then write would collide.
    connection.isolation_level = None


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("nas_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin(engine: Engine, writing: bool) -> tuple[Connection, int | None]:
    connection = engine.connect()
    try:
        if engine.dialect.name == "sqlite":
            connection = connection.execution_options(nas_write=writing)
            begin_patiently(connection)
            return connection, None
        isolation: dict[str, Any] = postgresql.NEWEST if writing else postgresql.ONE_SNAPSHOT
        connection = connection.execution_options(**isolation)
        connection.begin()
        return connection, postgresql.enter(connection) if writing else None
    except BaseException:
        connection.close()
        raise


def begin_patiently(connection: Connection) -> Transaction:
    """Begin a transaction, again after a short random wait where the database stays locked."""
    return patiently(connection.begin, OperationalError)


def patiently(act: Callable[[], Result], error_type: type[Exception]) -> Result:
    """What `act` returns, tried again where a lock was in its way."""
    for attempt in range(1, BEGIN_TRIES):
        try:
            return act()
        except error_type as error:
            if not _is_lock(error):
                raise
            time.sleep(_jitter.uniform(0.02, 0.2) * attempt)
    return act()


def _is_lock(error: Exception) -> bool:
    raw = getattr(error, "orig", error)
    code = getattr(raw, "sqlite_errorcode", 0) & 0xFF  # the low byte: BUSY_SNAPSHOT and the like are BUSY too
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


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
    except sqlite3.Error as error:
        raise StorageError(f"{place}: {error}") from error


def _advice(error: DBAPIError) -> str:
    missing = re.search(r'database "([^"]+)" does not exist', str(error.orig))
    return f"; `createdb {missing[1]}` makes it" if missing else ""
