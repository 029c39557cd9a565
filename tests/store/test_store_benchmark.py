"""The benchmark of the store on few trials: every question is asked on both databases, with its plan."""

import json
import runpy
import sys
from pathlib import Path

import pytest
from databases import only_sqlite

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "store.py"


@only_sqlite
@pytest.mark.slow
def test_quick_benchmark_of_the_store_asks_everything(monkeypatch, tmp_path, database):
    output = tmp_path / "store.json"
    monkeypatch.syspath_prepend(str(BENCHMARK.parent))
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), "--quick", "--output", str(output)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    found = json.loads(output.read_text())
    assert ended.value.code == 0
    assert found["sqlite"]["trials"] == 600
    assert "USING INDEX nas_trial_ranking" in " ".join(found["sqlite"]["questions"]["top of a study"]["plan"])
    assert {"runner", "worker", "proposals"} <= set(found["long"])
    assert found["rivals"]["optuna"]["best_trial"]["median_ms"] > 0
