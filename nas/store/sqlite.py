"""What is asked of SQLite alone: how to open a file for many processes, and how to wait for its lock."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Transaction, event
from sqlalchemy.exc import OperationalError

from nas.store.kinds import from_json
from nas.store.urls import is_uri, sqlite_file

BUSY_SECONDS = 30
"""How long SQLite waits for a lock before it says that the database is busy."""

BEGIN_TRIES = 4
"""How often a transaction is begun anew where even that was not long enough."""

DELAYS_SECONDS = (0.001, 0.02)
"""How long a writer sleeps between two looks at the lock, at first and at most. SQLite itself sleeps up to 0.1 s: the
lock, held for a millisecond at a time, then lies idle while many wait for it."""

CACHE_KIBIBYTES = 65_536
"""How much of a file a connection keeps in memory at most. SQLite's own 2 MB do not hold the indexes' upper pages of a
large storage."""

OPTIONS: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}, "json_deserializer": from_json}
"""What `create_engine` is given."""

_PATIENT = f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}"

Result = TypeVar("Result")

_jitter = random.SystemRandom()  # the global generator is seeded alike in all workers, who would then wait alike


def read_only(url: URL) -> dict[str, Any]:
    """How to open a SQLite file in a folder where nothing can be written: as one that nobody changes."""
    file = sqlite_file(url)
    if file is None or is_uri(url) or not os.path.exists(file) or os.access(file.absolute().parent, os.W_OK):
        return {}
    uri = f"file:{quote(str(file.absolute()))}?immutable=1"
    return {"creator": lambda: sqlite3.connect(uri, uri=True, check_same_thread=False)}


def take_over(engine: Engine) -> None:
    """Have an engine of ours begin its transactions as `Storage` says, and none by itself."""
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)


def configure(engine: Engine) -> None:
    """Make an engine of SQLite fit for many writers: WAL, a patient wait for locks, foreign keys.

    For engines made elsewhere, such as Optuna's; other databases are left alone. Connections that were opened before
    are closed, since they are without it.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare)
        engine.dispose()
        use_wal(engine)


def use_wal(engine: Engine) -> None:
    """Let readers of a SQLite file go on while one writes; the file remembers it."""
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        patiently(lambda: raw.execute("PRAGMA journal_mode=WAL").fetchone(), sqlite3.OperationalError)


def _prepare(connection: Any, _record: object) -> None:
    connection.execute(_PATIENT)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIBIBYTES}")


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    # Python's sqlite3 begins by itself, late and deferred: two that read first and then write would collide.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    if not connection.get_execution_options().get("nas_write", False):
        raw.execute("BEGIN")
        return
    raw.execute("PRAGMA busy_timeout=0")
    try:
        if not _locked_soon(raw):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # tells what is in the way
    finally:
        raw.execute(_PATIENT)


def _locked_soon(raw: sqlite3.Connection) -> bool:
    """Begin to write soon after the lock of the one writer comes free; False where that cannot be."""
    delay, longest = DELAYS_SECONDS
    until = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < until:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not _is_lock(error):
                return False
        else:
            return True
        time.sleep(_jitter.uniform(delay / 2, delay))
        delay = min(1.5 * delay, longest)
    return False


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
