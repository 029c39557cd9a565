"""Studies moved between storages: one storage into another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from nas.errors import StorageError
from nas.store.engine import Storage, check_schema, connect, lasting_storage, open_storage, schema_of
from nas.store.merge import Merged, merge
from nas.store.schema import create_storage, migrate
from nas.store.urls import parse_url, sqlite_file
from nas.study.numbers import study_name

if TYPE_CHECKING:
    from sqlalchemy import Connection


def merge_storages(source: str, target: str, renamed: Mapping[str, str] | None = None) -> list[Merged]:
    """Copy all studies of one storage into another, as `nas.store.merge.merge`; the other is made where it is not.

    Both are URLs. Raises StorageError where either is of another schema than this version's: nothing is upgraded here.
    """
    check_names(renamed or {})
    theirs = open_storage(source)
    try:
        return into(theirs, target, renamed)
    finally:
        theirs.close()


def into(source: Storage, target: str, renamed: Mapping[str, str] | None = None) -> list[Merged]:
    """Copy an open storage into the one of a URL; where that fails, no file or table that was not there is left."""
    file = sqlite_file(parse_url(target))
    absent = file is not None and not os.path.exists(file)
    try:
        ours = _opened(target)
        try:
            return merge(source, ours, renamed)
        finally:
            ours.close()
    except BaseException:
        for suffix in ("", "-wal", "-shm") if absent else ():
            if os.path.exists(f"{file}{suffix}"):
                os.remove(f"{file}{suffix}")
        raise


@dataclass(frozen=True)
class _Unmade(Storage):
    """A server's database without our tables: they are made in the transaction that first writes, or not at all."""

    @contextmanager
    def write(self, *, alone: bool = True) -> Iterator[Connection]:
        """As a storage's, in tables of this version."""
        with super().write(alone=alone) as connection:
            migrate(connection)
            yield connection


def _opened(url: str) -> Storage:
    """The storage, made where nothing is; one of an older schema is refused and not upgraded on the way."""
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None and not os.path.exists(file):
        return create_storage(url)
    storage = connect(parsed)
    try:
        found = schema_of(storage)
        if found is not None:
            check_schema(storage, found)
        elif file is None:
            return lasting_storage(_Unmade(**{one.name: getattr(storage, one.name) for one in fields(storage)}))
    finally:
        storage.close()
    return create_storage(url)


def check_names(renamed: Mapping[str, str]) -> None:
    """Raise StorageError where a study cannot be called so."""
    problems = []
    for name in renamed.values():
        try:
            study_name(name)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise StorageError("\n".join(problems))
