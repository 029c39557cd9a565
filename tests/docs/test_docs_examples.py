"""What README.md and write-a-block.md show is run: study files, blocks, an export."""

import re
import subprocess
import sys
import tomllib

import pytest
from doc_pages import BLOCK, README, fences, readme_block, readme_study

from nas.blocks.registry import load_path
from nas.cli.main import main
from nas.study.file import study_from_data
from nas.testing import CHECKS, check_block

STUB, *PIECES = (content for content in fences(BLOCK, "python") if "BlockContract" not in content)
WHOLE = next(content for content in PIECES if "register(" in content)
PIECES.remove(WHOLE)


def check_passes(tmp_path, source, name):
    (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    findings = check_block(load_path(tmp_path / f"{name}.py")[name])
    assert {finding.name for finding in findings} >= set(CHECKS)
    assert [finding for finding in findings if not finding.passed or finding.notes] == []


def test_study_file_of_the_readme_is_one_and_fits(home, capsys):
    assert study_from_data(tomllib.loads(readme_study())).budget.to_json() == {"params": 10_000}
    (home / "as-shown.toml").write_text(readme_study(), encoding="utf-8")
    assert main(["profile", str(home / "as-shown.toml")]) == 0
    assert re.search(r"feasible +yes", capsys.readouterr().out)


def test_block_of_the_readme_passes_the_kit(tmp_path):
    assert "ghost" in readme_block()
    check_passes(tmp_path, readme_block(), "ghost")


def test_block_of_the_readme_was_searched_over(database):
    query = "SELECT count(*) FROM nas_leaderboard WHERE study = 'small' AND blocks LIKE '%ghost%' AND params <= 10000"
    assert database.execute(query).fetchone()[0] > 0


def test_costs_of_the_readme_are_the_program_s(home, capsys):
    for name, macs in (("ghost", "1,831,424"), ("conv", "28,901,376")):
        asked = ["cost", "block", name, "--in", "64", "--width", "64", "--size", "28"]
        assert main([*asked, "--plugins-dir", str(home / "blocks")]) == 0
        assert macs in capsys.readouterr().out
        assert macs in README.read_text(encoding="utf-8")


def test_use_of_an_export_is_as_the_readme_says(home):
    use = next(content for content in fences(README, "python") if "load_digits" in content)
    url = f"sqlite:///{home}/nas.db"
    assert main(["export", "quickstart#0", "-o", str(home / "winner"), "--storage", url]) == 0
    use += 'assert "nas" not in sys.modules\n'
    told = subprocess.run([sys.executable, "-c", use], cwd=home, capture_output=True, text=True)
    assert told.stderr == ""
    assert told.stdout.endswith("[0 1 2 3 4]\n")


@pytest.mark.parametrize("source", [STUB, WHOLE], ids=["stub", "whole"])
def test_file_that_write_a_block_grows_passes_the_kit(tmp_path, source):
    check_passes(tmp_path, source, "inverted")


def test_pieces_of_write_a_block_are_of_the_whole_file():
    assert len(PIECES) >= 4
    for piece in PIECES:
        assert piece in WHOLE


def test_cost_shown_by_write_a_block_is_the_program_s(tmp_path, capsys):
    (tmp_path / "inverted.py").write_text(WHOLE, encoding="utf-8")
    (shown,) = [content for content in fences(BLOCK) if "depthwise" in content]
    asked, *lines = shown.splitlines()
    assert main([*asked.split()[1:-1], str(tmp_path)]) == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()[:4]] == [line.rstrip() for line in lines]


def test_study_file_of_write_a_block_takes_its_option(tmp_path, capsys):
    (study, _) = fences(BLOCK, "toml")
    (tmp_path / "mobile.toml").write_text(study, encoding="utf-8")
    (tmp_path / "inverted.py").write_text(WHOLE, encoding="utf-8")
    assert main(["profile", str(tmp_path / "mobile.toml"), "--plugins-dir", str(tmp_path)]) == 0
    assert "inverted" in capsys.readouterr().out


def test_checks_are_all_told():
    page = BLOCK.read_text(encoding="utf-8")
    for check in ("declaration", *CHECKS, "export"):
        assert f"| `{check}` |" in page
