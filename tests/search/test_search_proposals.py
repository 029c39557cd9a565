"""The benchmark of proposals, few of them: none over budget, none unbuildable, the attainable filled."""

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "proposals.py"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    def run(proposals):
        output = tmp_path / "proposals.json"
        monkeypatch.syspath_prepend(str(BENCHMARK.parent))
        monkeypatch.setattr(sys, "argv", [str(BENCHMARK), "--proposals", str(proposals), "--output", str(output)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(BENCHMARK), run_name="__main__")
        return ended.value.code, json.loads(output.read_text()), capsys.readouterr()

    return run


def test_random_proposals_keep_the_promise_of_the_budget(run):
    code, found, printed = run(300)
    total = found["total"]
    assert code == 0, printed.err
    assert (total["proposals"], total["over"], total["unbuildable"]) == (300, 0, 0)
    assert total["attainable"] > 50
    assert total["share"] >= 0.95
    assert printed.err.strip() == ""
    assert {"date", "commit", "machine"} <= set(found)
    assert "50,000,000" in printed.out
