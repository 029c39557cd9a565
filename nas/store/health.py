"""Whether a storage can be worked with, and how long it takes to keep something for good."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy import text, update

from nas.arch.health import NOTE, OK, PROBLEM, Check
from nas.errors import StorageError
from nas.store.engine import Storage, check_schema, connect, schema_of
from nas.store.tables import SCHEMA, study
from nas.store.urls import parse_url, shown, sqlite_file

WRITES = 5
"""So many durable writes are timed."""

SLOW_SECONDS = 0.1
"""A durable write that takes longer holds up many workers that end their epochs at once."""

LITTLE_BYTES, FEW_BYTES = 2**30, 64 * 2**20
"""Free bytes of a disk below which it is worth knowing, and below which nothing can be kept."""

_FLUSHED = text("SELECT pg_logical_emit_message(true, 'nas', 'doctor')")
"""Changes nothing, and is yet written to the server's disk at the commit."""


def check_storage(url: str) -> list[Check]:
    """What is to be said of a storage, given by its URL; nothing is made or changed."""
    try:
        parsed = parse_url(url)
        file = sqlite_file(parsed)
        if file is None:
            return _server(shown(parsed), connect(parsed))
        return [*_file(shown(parsed), file, lambda: connect(parsed)), *_disk(file.absolute().parent)]
    except StorageError as error:
        return [Check("storage", PROBLEM, error.lines[0])]


def _file(name: str, file: Path, opened: Callable[[], Storage]) -> list[Check]:
    folder = file.absolute().parent
    if not folder.is_dir():
        return [Check("storage", PROBLEM, f"{name}: no such folder {str(folder)!r}", "create it first")]
    if not os.path.exists(file):
        if not os.access(folder, os.W_OK):
            return [Check("storage", PROBLEM, f"{name}: not there, and its folder may not be written")]
        return [Check("storage", OK, f"{name}: not there yet", "`nas run` makes it")]
    storage = opened()
    try:
        found = [_schema(storage), _writable(storage)]
        with storage.read() as connection:
            mode = connection.scalar(text("PRAGMA journal_mode"))
        if mode != "wal":
            told = f"{mode}: who reads waits for who writes"
            found.append(Check("journal", NOTE, told, "`nas run` sets WAL when it makes a storage"))
        else:
            found.append(Check("journal", OK, "wal"))
        return found
    finally:
        storage.close()


def _server(name: str, storage: Storage) -> list[Check]:
    try:
        with storage.read() as connection:
            version = connection.scalar(text("SHOW server_version"))
            synchronous = connection.scalar(text("SHOW synchronous_commit"))
        found = [Check("server", OK, f"PostgreSQL {version}"), _schema(storage)]
        if found[-1].state == OK:
            found.append(_writable(storage))
        found.append(_timed(lambda: _flush(storage)))
        if synchronous == "off":
            found.append(
                Check("journal", NOTE, "synchronous_commit is off: a crash of the server loses the last moments")
            )
        return found
    finally:
        storage.close()


def _schema(storage: Storage) -> Check:
    found = schema_of(storage)
    if found is None:
        return Check("storage", OK, f"{storage.shown}: without studies of nas yet", "`nas run` adds its tables")
    try:
        check_schema(storage, found)
    except StorageError as error:
        told, _, advice = error.lines[0].partition("; ")
        return Check("storage", PROBLEM, told, advice)
    return Check("storage", OK, f"{storage.shown}: schema {SCHEMA}")


def _writable(storage: Storage) -> Check:
    """Whether a change would be taken; none is made."""
    if schema_of(storage) is None:
        return Check("writable", OK, "not tried: there are no tables yet")
    try:
        with storage.write() as connection:
            connection.execute(update(study).where(study.c.id < 0).values(priority=0))
    except StorageError as error:
        return Check("writable", PROBLEM, error.lines[0].removeprefix(f"{storage.shown}: "))
    return Check("writable", OK, "yes")


def _flush(storage: Storage) -> None:
    with storage.write() as connection:
        connection.execute(_FLUSHED)


def _disk(folder: Path) -> list[Check]:
    if not folder.is_dir():
        return []
    free = shutil.disk_usage(folder).free
    told = f"{free / 2**30:.1f} GiB free in {folder}"
    state = PROBLEM if free < FEW_BYTES else NOTE if free < LITTLE_BYTES else OK
    checks = [Check("disk", state, told, "" if state == OK else "weights and checkpoints need room")]
    if not os.access(folder, os.W_OK):
        return [*checks, Check("durable write", NOTE, f"not tried: {folder} may not be written")]
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return [*checks, _timed(lambda: _synced(file.fileno()))]
    except OSError as error:
        return [*checks, Check("durable write", PROBLEM, f"{folder}: {error.strerror or error}")]


def _synced(descriptor: int) -> None:
    os.pwrite(descriptor, bytes(4096), 0)
    os.fsync(descriptor)


def _timed(write: Callable[[], None]) -> Check:
    """The median time of a few durable writes."""
    taken = []
    for _ in range(WRITES):
        begun = time.perf_counter()
        try:
            write()
        except StorageError as error:
            return Check("durable write", NOTE, f"not timed: {error.lines[0]}")
        taken.append(time.perf_counter() - begun)
    middle = median(taken)
    told = f"{1000 * middle:.1f} ms"
    if middle < SLOW_SECONDS:
        return Check("durable write", OK, told)
    return Check("durable write", NOTE, told, "slow: many workers will wait for one another")
