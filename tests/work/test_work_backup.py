"""Backups of a study that is being run, by the commands of docs/database.md; and the study that goes on from them."""

import os
import re
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from postgres import PASSWORD, programs
from work_worlds import NAS, look, wait_for, workers_of

from nas.arch.record import COMPLETE, RUNNING
from nas.store.engine import open_storage
from nas.store.trials import history, trial_epochs

SECTION = (Path(__file__).parents[2] / "docs" / "database.md").read_text().partition("\n## Backup\n")[2]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", SECTION.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
LINES = [line for kind, block in BLOCKS if not kind for line in block.splitlines()]

TRIALS, EPOCHS = 3, 16

LONG = 250
"""Seconds for what takes ten on an idle machine."""


class Sqlite:
    """Copies nas.db to backup.db, by the page's statement or by its lines of Python; puts it back as the page says."""

    def __init__(self, way, url, server):
        self.way, self.url = way, url

    def back_up(self):
        if self.way == "statement":
            [statement] = [words[2] for words in map(shlex.split, LINES) if words[:2] == ["sqlite3", "nas.db"]]
            with closing(sqlite3.connect("nas.db")) as database:
                database.execute(statement)
        else:
            [lines] = [block for kind, block in BLOCKS if kind == "python"]
            exec(lines, {})
        with closing(sqlite3.connect("backup.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert copy.execute("PRAGMA foreign_key_check").fetchall() == []

    def restore(self):
        for name in ("nas.db-wal", "nas.db-shm"):
            Path(name).unlink(missing_ok=True)
        Path("backup.db").rename("nas.db")
        return self.url


class Postgresql:
    """Runs the page's commands, with the names of the test's databases for the page's."""

    def __init__(self, way, url, server):
        self.name = url.rpartition("/")[2]
        self.url = server.url(f"{self.name}_restored")
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres", "PGPASSWORD": PASSWORD}
        self.environment = {**os.environ, **place}

    def run(self, *wanted):
        commands = [words for words in map(shlex.split, LINES) if words[:1] in [[name] for name in wanted]]
        assert [words[0] for words in commands] == list(wanted)
        for program, *words in commands:
            given = [
                self.name if word == "nas" else word.replace("restored", f"{self.name}_restored") for word in words
            ]
            subprocess.run([programs() / program, *given], env=self.environment, check=True)

    def back_up(self):
        self.run("pg_dump")

    def restore(self):
        self.run("createdb", "pg_restore")
        return self.url


KINDS = {"sqlite": Sqlite, "postgresql": Postgresql}


@pytest.fixture
def means(request, database, url, tmp_path, monkeypatch):
    """How the page backs up and restores a database of the kind, in the current folder."""
    monkeypatch.chdir(tmp_path)
    server = request.getfixturevalue("postgres_server") if database == "postgresql" else None
    made = KINDS[database](request.param, url, server)
    yield made
    if server is not None:
        server.drop(f"{made.name}_restored")


def told(url):
    """Of each trial its state, network and epochs."""
    storage = open_storage(url)
    try:
        rows = history(storage, 1)
        return {one.number: (one.state, one.fingerprint, trial_epochs(storage, one.id)) for one in rows}
    finally:
        storage.close()


def under_way(trials, most=EPOCHS - 4):
    """The numbers of trials that have epochs behind them, and more before them."""
    return {n for n, (state, _, epochs) in trials.items() if state == RUNNING and 2 <= len(epochs) < most}


def in_the_middle(url):
    """Whether a trial is complete and another not far on its way."""
    trials = told(url) if look(url) is not None else {}
    return under_way(trials, EPOCHS // 3) and any(state == COMPLETE for state, *_ in trials.values())


ways = pytest.mark.parametrize(
    ("database", "means"),
    [("sqlite", "statement"), ("sqlite", "lines"), ("postgresql", "commands")],
    indirect=True,
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@ways
def test_study_goes_on_from_a_backup_taken_while_it_ran(url, means, study_file, start):
    process = start(study_file(trials=TRIALS, epochs=EPOCHS), "--workers", 2)
    wait_for(lambda: in_the_middle(url), LONG)
    means.back_up()
    assert process.poll() is None
    family = workers_of(process)
    process.kill()
    psutil.wait_procs(family, 30)
    restored = means.restore()
    kept = told(restored)
    assert under_way(kept)
    assert look(restored).trials["complete"] == sum(state == COMPLETE for state, *_ in kept.values()) > 0
    for words in (["status", "small"], ["best", "small"], ["worker", "--study", "small"]):
        done = subprocess.run([NAS, *words, "--storage", restored], capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 0, done.stderr
    found, now = look(restored), told(restored)
    assert (found.state, found.trials["complete"], found.trained_twice) == ("complete", TRIALS, 0)
    for number, (_, network, epochs) in now.items():
        assert [one.epoch for one in epochs] == list(range(1, EPOCHS + 1))
        if number in kept:
            assert (network, epochs[: len(kept[number][2])]) == kept[number][1:]
