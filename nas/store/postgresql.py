"""What is asked of PostgreSQL alone: how to connect, how one writer at a time is let in, what became of a commit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, text
from sqlalchemy.exc import DataError, DisconnectionError
from sqlalchemy.pool import NullPool

WRITERS_LOCK = 0x6E6173
"""The advisory lock (the letters `nas`) that lets one writer at a time into PostgreSQL, as SQLite does by itself."""

FROZEN_SECONDS = 60.0
"""A writer that stands still for so long in the middle, as a stopped process does, is cut off: others wait for it."""

MOST_CONNECTIONS = 10
"""Of one process at once. One is kept open between two transactions, until `Storage.rest`."""

CROWDED = 0.7
"""A server is crowded where so much of its connections are taken."""

IDLE_SECONDS = 2.0
"""A connection that lay idle for so long is tried before it is used."""

WAIT_SECONDS = 600.0
"""How long a thread waits for another of its process to give back a connection."""

DRIVERS = ("postgresql", "postgresql+psycopg")

ONE_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Readers see the database as it was at their first statement, as SQLite's do."""

NO_TRANSACTION = {"isolation_level": "AUTOCOMMIT"}
"""For a single statement."""

NEWEST = {"isolation_level": "READ COMMITTED"}
"""Writers see, once they are let in, what the one before them kept; whatever the server's default."""

_CONNECT = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "nas",
}
"""libpq's settings where the URL does not say otherwise: a server that vanished is noticed in a minute."""

GUARD = "set_config('idle_in_transaction_session_timeout', :frozen, true)"

_ENTER = text(f"SELECT {GUARD}, pg_advisory_xact_lock(:lock), txid_current()")


def frozen_milliseconds() -> str:
    """`FROZEN_SECONDS` as the server is told it."""
    return str(int(FROZEN_SECONDS * 1000))


_KEEP_PLANS = text("SET LOCAL plan_cache_mode = force_generic_plan")
"""Otherwise the server plans a statement anew for its first ten values, to see whether they make a difference."""

_TAKEN = text(
    "SELECT count(*), current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int "
    "FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL"
)


def options(url: URL, *, pooled: bool = True) -> dict[str, Any]:
    """What `create_engine` is given; not `pooled`: a connection of its own for each session."""
    given = {name: value for name, value in _CONNECT.items() if name not in url.query}
    if not pooled:
        return {"connect_args": given, "poolclass": NullPool}
    return {
        "connect_args": given,
        "pool_size": 1,
        "max_overflow": MOST_CONNECTIONS - 1,
        "pool_timeout": WAIT_SECONDS,
    }


def take_over(engine: Engine) -> None:
    """Have an engine ask of a connection that lay idle whether the server is still there, before it is used again.

    One used a moment ago is not asked: who finds it cut off does the same again from its start, as `lasting` says.
    """
    errors = engine.dialect.loaded_dbapi.Error

    def check(connection: Any, record: Any, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used", float("inf")) < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except errors as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", _note_moment)
    event.listen(engine, "checkout", check)


def _note_moment(_connection: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def enter(connection: Connection) -> int:
    """Wait to be the one writer, in the transaction begun; its number."""
    told = {"frozen": frozen_milliseconds(), "lock": WRITERS_LOCK}
    number: int = connection.execute(_ENTER, told).one()[2]
    return number


@contextmanager
def planned_once(connection: Connection) -> Iterator[None]:
    """Have the server keep its plan of each statement that is sent meanwhile, from its second time on."""
    driver: Any = connection.connection.driver_connection
    usual = driver.prepare_threshold
    connection.execute(_KEEP_PLANS)
    driver.prepare_threshold = 1
    try:
        yield
    finally:
        driver.prepare_threshold = usual


@contextmanager
def counted_at_end(connection: Connection) -> Iterator[None]:
    """Have accuracies counted once at the end, of very many trials that come one by one in the transaction under way.

    On SQLite they are counted as ever: there a count that is changed again leaves nothing behind.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.execute(text("SET LOCAL nas.counts_later = 'on'"))
    yield
    connection.execute(text("SET LOCAL nas.counts_later = 'off'"))
    connection.execute(text("SELECT nas_recount()"))


def is_crowded(connection: Connection) -> bool:
    """Whether most of the connections are taken that the server has for ordinary users."""
    taken, most = connection.execute(_TAKEN).one()
    return bool(taken >= CROWDED * most)


def kept(engine: Engine, number: int) -> bool:
    """Whether the transaction of that number was committed, asked after its connection was lost while it was."""
    asked = text("SELECT txid_status(:number)")
    with engine.connect() as connection:
        while True:
            try:
                found = connection.scalar(asked, {"number": number})
            except DataError:  # a number that is yet to come: this is another server, or one from an older backup
                return False
            connection.rollback()
            if found != "in progress":
                return bool(found == "committed")
            time.sleep(0.05)
