"""`nas doctor`: what it finds of an installation, told as it is; nothing made, no password shown."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from nas.store.tables import SCHEMA
from nas.work.doctor import _library


def by_check(told):
    return {row["check"]: row for row in json.loads(told.out)}


def test_installation_that_is_well_is_told_so_and_nothing_is_made(nas, home):
    told = nas("doctor", "-f", "json")
    assert (told.code, told.err) == (0, "")
    found = by_check(told)
    wanted = {"python", "libraries", "torch", "optuna", "sqlalchemy", "cores", "threads", "processor", "CUDA"}
    assert wanted | {"data", "plugin", "storage", "disk", "durable write", "psycopg"} <= set(found)
    assert set(found["storage"]) == {"check", "state", "found", "advice"}
    assert found["storage"]["found"] == "sqlite:///nas.db: not there yet"
    assert list(home.iterdir()) == []


def test_storage_in_use_is_looked_at_and_left_as_it_is(nas, world):
    before = sqlite3.connect("nas.db").execute("SELECT count(*), max(id) FROM nas_trial").fetchall()
    found = by_check(nas("doctor", "-f", "json"))
    assert found["storage"]["found"] == f"sqlite:///nas.db: schema {SCHEMA}"
    assert (found["writable"]["found"], found["journal"]["found"]) == ("yes", "wal")
    assert found["durable write"]["found"].endswith(" ms")
    assert sqlite3.connect("nas.db").execute("SELECT count(*), max(id) FROM nas_trial").fetchall() == before
    assert {path.name for path in world.iterdir()} <= {"nas.db", "nas.db-wal", "nas.db-shm"}


def test_older_schema_stops_work_and_says_what_to_run(nas, world):
    with sqlite3.connect("nas.db") as raw:
        raw.execute("UPDATE nas_alembic_version SET version_num = '0002'")
    told = nas("doctor", "-f", "json")
    assert told.code == 1
    assert told.err == "Error: work is stopped by storage; the lines above say why\n"
    assert by_check(told)["storage"]["advice"] == "run `nas db upgrade`"


def test_storage_that_may_not_be_written_and_one_in_no_folder_stop_work(nas, world):
    told = nas("doctor", "--storage", "sqlite:///file:nas.db?mode=ro&uri=true", "-f", "json")
    assert told.code == 1
    assert "readonly" in by_check(told)["writable"]["found"]
    told = nas("doctor", "--storage", "sqlite:///nowhere/nas.db")
    assert told.code == 1
    assert "no such folder" in told.out


def test_journal_that_holds_readers_up_is_a_note(nas, world):
    with sqlite3.connect("nas.db") as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
    told = nas("doctor", "-f", "json")
    assert (told.code, by_check(told)["journal"]["state"]) == (0, "note")


def test_password_of_a_server_that_is_away_is_not_shown(nas):
    url = "postgresql://ada:open-sesame@127.0.0.1:1/nas?sslpassword=open-sesame"
    for form in ("table", "json", "csv"):
        told = nas("doctor", "--storage", url, "-f", form)
        assert told.code == 1
        assert "ada:***@127.0.0.1" in told.out
        assert "sesame" not in told.out + told.err


def test_plugin_that_breaks_is_named_with_its_reason_and_stops_nothing(nas, home):
    (home / "plugins").mkdir()
    (home / "plugins" / "bent.py").write_text("import nothing_of_that_name\n")
    told = nas("doctor", "--plugins-dir", "plugins")
    assert told.code == 0
    (line,) = [line for line in told.out.splitlines() if "bent" in line]
    assert line.startswith("note")
    assert "No module named 'nothing_of_that_name'" in line


def test_data_sets_that_are_absent_are_notes_that_say_how_to_get_them(nas, home, monkeypatch):
    monkeypatch.setenv("NAS_DATA_DIR", str(home / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    told = nas("doctor")
    assert told.code == 0
    assert "`nas data fetch mnist`" in told.out
    assert "NAS_DATA_DIR: no such folder" in told.out


def test_library_that_does_not_load_is_the_problem_and_the_rest_is_looked_at(home):
    (home / "torch.py").write_text("raise ImportError('libgomp is broken')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(home), *sys.path])}
    words = [sys.executable, "-m", "nas.cli.main", "doctor", "-f", "json"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=home)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    rows = json.loads(done.stdout)
    assert ("torch", "cannot be loaded: ImportError: libgomp is broken") in [
        (one["check"], one["found"]) for one in rows
    ]
    found = {row["check"]: row for row in rows}
    assert found["sqlalchemy"]["state"] == found["storage"]["state"] == "ok"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (">=2.0,<2", " is not "),
        (">=99", " is not >=99"),
        ("<1", " is not <1"),
        (">=1,<99", None),
        ("", None),
    ],
)
def test_library_of_another_version_than_asked_for_is_told(wanted, told):
    found = _library(f"torch{wanted}")
    assert (found is None) == (told is None)
    assert found is None or (told in found.found and found.advice == f"pip install 'torch{wanted}'")


def test_library_that_is_not_there_is_told():
    found = _library("no-such-library>=1")
    assert (found.check, found.state, found.found) == ("no-such-library", "problem", "not installed")
