"""The command as a whole: help, options on both sides, exit codes, and what it does not import."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import click
import pytest
from cli_worlds import GONE

from nas.cli import main as door
from nas.cli.groups import Place
from nas.cli.options import Count, Duration, Size
from nas.errors import BudgetError, Interrupted, StudyFileError
from nas.store.schema import SCHEMA

NAS = Path(sys.executable).with_name("nas")
HEAVY = ("torch", "optuna", "sqlalchemy", "pydantic", "numpy", "rich")


def loaded_by(*words, cwd=None):
    """The top modules that a call of `nas` leaves in `sys.modules`."""
    code = "import sys; from nas.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, *words]
    return set(subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stderr.split())


def test_help_lists_every_command_and_imports_nothing_heavy(nas):
    assert not set(HEAVY) & loaded_by("--help")
    out = nas("--help").out
    assert [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line] == list(door.COMMANDS)


@pytest.mark.parametrize("words", ["studies", "status alpha", "trials alpha", "best"])
def test_reading_commands_load_neither_torch_nor_optuna_nor_plugins(world, words):
    loaded = loaded_by(*words.split(), cwd=world)
    assert "sqlalchemy" in loaded
    assert not {"torch", "optuna", "pluggy", "nas_plugins", "alembic"} & loaded


@pytest.mark.parametrize("name", list(door.COMMANDS))
def test_every_command_has_help_with_the_shared_options(nas, name):
    words = [name, "upgrade"] if name == "db" else [name]
    told = nas(*words, "--help")
    assert (told.code, told.err) == (0, "")
    for option in ("--storage", "--plugins-dir", "--debug"):
        assert option in told.out


@pytest.mark.parametrize("name", ["report", "serve"])
def test_commands_that_are_not_there_are_not_announced(nas, name):
    assert f"\n  {name} " not in nas("--help").out
    assert nas(name).code == 2


def test_version(nas):
    told = nas("--version")
    assert told.code == 0
    assert told.out.startswith("nas 0.")


def test_unknown_command_is_usage_and_told_with_the_nearest(nas):
    told = nas("bset")
    assert (told.code, told.out) == (2, "")
    assert "did you mean 'best'?" in told.err
    assert nas("best", "--tpo", "3").code == 2
    assert nas().code == 2


def test_storage_before_the_command_after_it_and_from_the_environment(world, nas, monkeypatch):
    (world / "nas.db").rename(world / "other.db")
    assert nas("--storage", "sqlite:///other.db", "status", "alpha").code == 0
    assert nas("status", "alpha", "--storage", "sqlite:///other.db").code == 0
    assert nas("--storage", "sqlite:///none.db", "status", "alpha", "--storage", "sqlite:///other.db").code == 0
    assert nas("status", "alpha").code == 1
    monkeypatch.setenv("NAS_STORAGE", "sqlite:///other.db")
    assert nas("status", "alpha").code == 0
    assert nas("--storage", "sqlite:///none.db", "status", "alpha").code == 1


def test_plugin_folders_from_both_sides_and_from_the_environment(home, nas, nas_json, monkeypatch):
    for name in ("one", "two"):
        (home / name).mkdir()
        (home / name / f"{name}.py").write_text(GONE.replace('"gone"', f'"{name}"'))

    def names(*words):
        return {row["name"] for row in nas_json(*words)} & {"one", "two"}

    assert names("--plugins-dir", "one", "blocks", "--plugins-dir", "two") == {"one", "two"}
    monkeypatch.setenv("NAS_PLUGINS_DIR", "one:two")
    assert names("blocks") == {"one", "two"}
    assert names("blocks", "--plugins-dir", "two") == {"two"}
    assert nas("blocks", "--plugins-dir", "three").err == "Error: --plugins-dir three: no such folder\n"


def test_errors_are_a_line_each_without_a_traceback(nas, monkeypatch):
    raises(monkeypatch, StudyFileError("x.toml", ["seed: first", "name: second"]))
    told = nas("boom")
    assert (told.code, told.out) == (1, "")
    assert told.err == "Error: x.toml: seed: first\nError: x.toml: name: second\n"


LONG = "x" * 50_000


@pytest.mark.parametrize(
    ("words", "last"),
    [
        (["show", LONG], "no such database; `nas run` creates it"),
        (["show", "\x1b[2J" * 9_000], "no such database; `nas run` creates it"),
        (["profile", LONG], "cannot be read: File name too long"),
        (["best", "--top", LONG], "is not a valid integer range."),
        (["best", "--top", "9" * 30], "is not in the range 1<=x<=1000000000."),
        (["best", "--min-receptive-field", "9" * 30], "is not in the range 1<=x<=1000000000."),
        ([LONG], "'"),
    ],
)
def test_line_that_quotes_what_is_long_is_not_long(home, nas, words, last):
    told = nas(*words)
    line = told.err.splitlines()[-1]
    assert told.code in (1, 2)
    assert line.isprintable()
    assert (line.startswith("Error: "), line.endswith(last), len(line) <= 2100) == (True, True, True)


def test_schema_of_any_length_is_told_in_a_line_that_is_not_long(world, nas):
    with closing(sqlite3.connect("nas.db")) as raw, raw:
        raw.execute("UPDATE nas_alembic_version SET version_num = ?", ("z" * 50_000,))
    told = nas("status")
    assert (told.code, len(told.err) < 2100) == (1, True)
    assert told.err.endswith("zzz... where the schema's version belongs\n")


@pytest.mark.parametrize("words", [["--debug", "boom"], ["boom", "--debug"]])
def test_debug_shows_the_traceback(nas, monkeypatch, words):
    raises(monkeypatch, BudgetError("too small"))
    told = nas(*words)
    assert told.code == 3
    assert "Traceback" in told.err
    assert "too small" in told.err


def test_interruptions_are_130_with_one_line(nas, monkeypatch):
    raises(monkeypatch, KeyboardInterrupt())
    told = nas("boom")
    assert (told.code, told.err.strip()) == (130, "Interrupted")
    raises(monkeypatch, Interrupted("stopped; state kept"))
    assert nas("boom") == type(told)(130, "", "Error: stopped; state kept\n")


def test_what_is_no_mistake_of_the_user_is_raised(nas, monkeypatch):
    raises(monkeypatch, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        nas("boom")


def raises(monkeypatch, error):
    """Put a command `boom` into the table that raises the error."""

    @click.command
    @door.common
    def boom():
        raise error

    monkeypatch.setattr(sys.modules[__name__], "BOOM", boom, raising=False)
    monkeypatch.setitem(door.COMMANDS, "boom", Place(__name__, "BOOM", ""))


def test_a_reader_that_goes_away_is_no_error(world):
    process = subprocess.Popen([NAS, "best"], cwd=world, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


WAITING = """
import sys, time, click
from nas.cli import main

@click.command
def wait():
    print("up", flush=True)
    time.sleep(60)

main.cli.get_command = lambda *_: wait
sys.exit(main.main(["data"]))
"""


def test_interrupt_of_a_process_is_130():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # Whoever started the tests in the background may have had them ignore it.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen([sys.executable, "-c", WAITING], preexec_fn=heard, **pipes)
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out, err.strip()) == (130, "", "Interrupted")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Count(), "500k", 500_000),
        (Count(), "20000", 20_000),
        (Count(), "1.5M", 1_500_000),
        (Duration(), "10m", 600.0),
        (Duration(), "1.5h", 5400.0),
        (Duration(), "90s", 90.0),
        (Duration(), "90", 90.0),
        (Size(), "28", (28, 28)),
        (Size(), "28x20", (28, 20)),
    ],
)
def test_values_of_options(kind, text, value):
    assert kind.convert(text, None, None) == value


REFUSED = [(Count(), text) for text in ("1.5", "many", "0")]
REFUSED += [(Duration(), text) for text in ("0s", "-5", "5d", "inf")]
REFUSED += [(Size(), text) for text in ("0", "28x", "28x28x3")]


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_values_that_options_refuse_are_usage_errors(kind, text):
    with pytest.raises(click.UsageError, match="allowed"):
        kind.convert(text, None, None)


def test_data_lists_what_studies_may_name(nas_json, nas):
    rows = {row["name"]: row for row in nas_json("data")}
    assert rows["digits"]["available"] is True
    assert "scikit-learn" in nas("data").out


def test_db_upgrade_brings_an_old_database_up(world, nas):
    told = nas("db", "upgrade")
    assert (told.code, told.err) == (0, f"schema {SCHEMA}: up to date\n")
    (world / "empty.db").touch()
    assert nas("db", "upgrade", "--storage", "sqlite:///empty.db").err == f"schema none -> {SCHEMA}\n"
    assert nas("db", "upgrade", "--storage", "sqlite:///none.db").code == 1
    assert not (world / "none.db").exists()


def test_output_has_no_colour_codes(world, nas):
    assert "\x1b" not in nas("best").out + nas("show", "alpha#0").out
