"""`nas blocks`, `nas plugins` and what makes and checks a plugin."""

import importlib
import subprocess
import sys

import pytest
from cli_worlds import GONE, LIAR

from nas.blocks.registry import load_blocks
from nas.testing import BlockContract


@pytest.fixture
def folder(home):
    """A folder of plugins: one sound, one that lies about its cost, one that cannot be imported."""
    where = home / "more"
    where.mkdir()
    (where / "gone.py").write_text(GONE)
    (where / "liar.py").write_text(LIAR)
    (where / "broken.py").write_text("import no_such_module\n")
    return where


def test_blocks_json_has_the_fields_of_the_contract(nas_json):
    rows = nas_json("blocks")
    assert {row["name"] for row in rows} == set(load_blocks(load=()))
    assert len(rows) >= 7
    assert [list(row) for row in rows] == [["name", "plugin", "version", "choices", "options", "summary"]] * len(rows)
    stacked = next(row for row in rows if row["name"] == "stacked")
    assert stacked["choices"] == {"kernel": [3, 5, 7], "layers": [2, 3]}
    assert stacked["options"] == {"norm": "batch"}
    assert stacked["summary"].startswith("k×k convolutions")


def test_blocks_of_one_name(nas, nas_json):
    assert [row["name"] for row in nas_json("blocks", "conv")] == ["conv"]
    assert "odd numbers from 1" in nas("blocks", "conv").out
    assert nas("blocks", "-f", "csv").rows[0]["choices"] == "kernel=3,5,7 reduction=2,4,8"
    told = nas("blocks", "stakced")
    assert told.code == 1
    assert "did you mean 'stacked'?" in told.err


def test_plugins_names_what_is_wrong_and_goes_on(nas, nas_json, folder):
    rows = {row["name"]: row for row in nas_json("plugins", "--plugins-dir", folder)}
    assert list(rows["nas"]) == ["name", "version", "path", "blocks", "error"]
    assert rows["nas"]["error"] is None
    assert "stacked" in rows["nas"]["blocks"]
    assert rows["gone"]["error"] is None
    assert "no_such_module" in rows["broken"]["error"]
    assert "cost declares" in rows["liar"]["error"]
    assert rows["liar"]["blocks"] == ["liar"]
    assert "no_such_module" in nas("plugins", "--plugins-dir", folder).out


def test_a_new_plugin_passes_its_checks(nas, home):
    told = nas("plugins", "new", "ghost_two", "-o", home)
    assert told.code == 0
    made = home / "nas-ghost_two"
    assert told.out == f"{made}\n"
    assert nas("plugins", "check", made).code == 0
    assert nas("plugins", "check", made / "nas_ghost_two.py").code == 0
    assert 'nas]\nghost_two = "nas_ghost_two"' in (made / "pyproject.toml").read_text()
    leftovers = [
        file for file in made.rglob("*") if file.is_file() and "{" + "name}" in file.read_text(errors="ignore")
    ]
    assert leftovers == []


def test_tests_of_a_new_plugin_are_the_contract_of_its_block(nas, home, monkeypatch):
    assert nas("plugins", "new", "ghost_three").code == 0
    monkeypatch.syspath_prepend(home / "nas-ghost_three")
    monkeypatch.syspath_prepend(home / "nas-ghost_three" / "tests")
    contract = importlib.import_module("test_ghost_three").TestGhostThree
    assert issubclass(contract, BlockContract)
    assert contract.block.name == "ghost_three"
    contract().test_cost_is_that_of_the_built_module()


@pytest.mark.slow
def test_a_new_plugin_passes_its_tests(nas, home):
    assert nas("plugins", "new", "ghost_two").code == 0
    made = home / "nas-ghost_two"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=made, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert "9 passed" in ran.stdout


@pytest.mark.parametrize("name", ["conv", "Ghost", "2ghost", "gh-ost", "class", "width", "géist", "../x", ""])
def test_new_refuses_names_that_cannot_be_a_blocks(nas, home, name):
    told = nas("plugins", "new", name)
    assert told.code == 1
    assert told.err.startswith("Error: ")
    assert list(home.iterdir()) == []


def test_new_refuses_a_folder_that_exists(nas, home):
    (home / "nas-ghost").mkdir()
    told = nas("plugins", "new", "ghost")
    assert (told.code, told.err) == (1, "Error: nas-ghost: exists already; nothing was written\n")
    assert list((home / "nas-ghost").iterdir()) == []
    (home / "file").write_text("")
    assert "cannot be written" in nas("plugins", "new", "ghost", "-o", "file").err


def test_check_of_a_block_has_a_line_a_check(nas, nas_json):
    rows = nas_json("plugins", "check", "conv")
    assert list(rows[0]) == ["block", "check", "passed", "problems", "notes"]
    assert {"declaration", "shape", "cost", "export"} <= {row["check"] for row in rows}
    assert all(row["passed"] for row in rows)
    assert nas("plugins", "check", "conv").out.count(" ok") == len(rows)


def test_check_of_a_plugin_takes_all_its_blocks(nas_json, folder):
    rows = nas_json("plugins", "check", "gone", "--plugins-dir", folder)
    assert {row["block"] for row in rows} == {"gone"}


def test_check_fails_for_a_block_that_lies(nas, folder):
    told = nas("plugins", "check", folder / "liar.py")
    assert told.code == 1
    assert "FAILED" in told.out
    assert "checks failed: liar cost" in told.err


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("stakced", "did you mean 'stacked'?"),
        ("more/none.py", "no file or folder"),
        ("more/broken.py", "no_such_module"),
        ("broken", "plugin 'broken': ModuleNotFoundError"),
        ("empty.py", "registers no block"),
        ("nothing", "a folder without Python files"),
    ],
)
def test_check_of_what_is_not_there_or_broken(nas, folder, home, target, line):
    (home / "empty.py").write_text("")
    (home / "nothing").mkdir()
    told = nas("plugins", "check", target, "--plugins-dir", folder)
    assert told.code == 1
    assert line in told.err
    assert told.err.count("\n") == 1


def test_check_of_a_package_folder(nas, home):
    (home / "wisp").mkdir()
    (home / "wisp" / "__init__.py").write_text(GONE.replace('"gone"', '"wisp"'))
    assert nas("plugins", "check", "wisp").code == 0
