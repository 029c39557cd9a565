"""Which databases a test is run on, and a fresh one of either kind."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from postgres import Server

KINDS = ("sqlite", "postgresql")

on_both = pytest.mark.parametrize("database", KINDS, indirect=True)
only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Place(Protocol):
    """Where one test's database lies."""

    url: str

    def migrated(self) -> None:
        """Make it one of the newest schema, without studies."""
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

    def drop(self) -> None:
        if self.name:
            self.server.drop(self.name)
