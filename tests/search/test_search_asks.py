"""The benchmark of what a proposal costs, run small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_asks_are_measured_beside_tpe(tmp_path):
    output = tmp_path / "asks.json"
    command = [sys.executable, str(ROOT / "benchmarks" / "asks.py"), "--trials", "12", "--rival-trials", "3"]
    told = subprocess.run([*command, "--output", str(output)], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    found = json.loads(output.read_text())
    own, mirror, rival = found["ours"]["12"], found["mirror"]["100"], found["tpe"]["3"]
    assert set(own) == {"search", "rows", "together"}
    assert all(spent > 0 for spent in [*own.values(), *mirror.values(), *rival.values()])
    assert own["together"] >= own["search"]
    assert "12 trials" in told.stdout
    assert found["machine"]["cores"]
