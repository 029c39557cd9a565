"""Which databases a test is run on, and a fresh one of either kind."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import pytest
from postgres import Server

KINDS = ("sqlite", "postgresql")

on_both = pytest.mark.parametrize("database", KINDS, indirect=True)
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
slow_on_postgresql = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
"""On both, for what takes seconds: in `make test` on SQLite alone."""


class Place(Protocol):
    """Where one test's database lies."""

    url: str

    def migrated(self) -> None:
        """Make it one of the newest schema, without studies."""
        ...

    def copied(self, other: Self) -> None:
        """Make it a copy of another one, which nobody is connected to."""
        ...

    def untouched(self) -> bool:
        """Whether nothing was made in it yet."""
        ...

    def drop(self) -> None:
        """Take it from its server."""
        ...


@dataclass
class SqlitePlace:
    """A file that is not there yet."""

    file: Path
    empty: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.file}"

    def migrated(self) -> None:
        shutil.copy(self.empty, self.file)

    def copied(self, other: Self) -> None:
        # Not as a file: what was written last may still stand beside it, in the write-ahead log.
        with closing(sqlite3.connect(other.file)) as whole, closing(sqlite3.connect(self.file)) as own:
            whole.backup(own)

    def untouched(self) -> bool:
        return not list(self.file.parent.glob(f"{self.file.name}*"))

    def drop(self) -> None:
        """Its folder is the test's own."""


@dataclass
class PostgresPlace:
    """A database without tables; `template` is one with them."""

    server: Server
    template: str
    name: str = ""

    @property
    def url(self) -> str:
        self.name = self.name or self.server.create()
        return self.server.url(self.name)

    def migrated(self) -> None:
        self.drop()
        self.name = self.server.create(self.template)

    def copied(self, other: Self) -> None:
        self.drop()
        self.name = self.server.create(other.name)

    def untouched(self) -> bool:
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        return not self.name or self.server.command(tables, self.name) == [(0,)]

    def drop(self) -> None:
        if self.name:
            self.server.drop(self.name)
