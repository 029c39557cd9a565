"""The databases of the benchmark: a SQLite file, or a PostgreSQL server as the tests start one, crash-safe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from postgres import Server, why_absent

KINDS = ("sqlite", "postgresql")


@dataclass
class SqliteFile:
    """A file, and no server."""

    url: str

    def away(self, seconds: float) -> None:
        """A file does not go away."""
        raise SystemExit("--outage: a SQLite file has no server that could be killed; allowed: --database postgresql")

    def cpu_seconds(self) -> float:
        """The workers do the work."""
        return 0.0


@dataclass
class PostgresDatabase:
    """A database of a server of the benchmark's own."""

    server: Server
    url: str

    def away(self, seconds: float) -> None:
        """Kill the server with all its processes, as a power cut does."""
        self.server.kill()
        time.sleep(seconds)
        self.server.start()

    def cpu_seconds(self) -> float:
        """Of the server and its processes, those included that have ended."""
        server = psutil.Process(self.server.process.pid)
        ended = server.cpu_times()
        times = [one.cpu_times() for one in server.children() if one.is_running()]
        return float(
            sum(one.user + one.system for one in [ended, *times]) + ended.children_user + ended.children_system
        )


@contextmanager
def fresh(kind: str, folder: Path, connections: int = 0) -> Iterator[SqliteFile | PostgresDatabase]:
    """An empty database; `connections`: a server that lets in no more (0: its default, 100), with fsync as it comes."""
    if kind == "sqlite":
        yield SqliteFile(f"sqlite:///{folder / 'workers.db'}")
        return
    reason = why_absent()
    if reason is not None:
        raise SystemExit(reason)
    place = folder / "server"
    place.mkdir()
    server = Server(place, {"max_connections": str(connections)} if connections else {})
    server.start()
    try:
        yield PostgresDatabase(server, server.url(server.create()))
    finally:
        server.stop()
