"""docs/scale-out.md shows what benchmarks/workers.py measured, and in small the benchmark runs whole."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

import workers_page  # noqa: E402 (a script's neighbour)


def test_figures_are_those_of_the_results():
    text = workers_page.PAGE.read_text(encoding="utf-8")
    results = json.loads((ROOT / "benchmarks" / "results" / "workers.json").read_text())
    assert workers_page.filled(text, results) == text, "run python benchmarks/workers.py --page"


@pytest.mark.slow
def test_benchmark_of_workers_in_small_is_exact_on_sqlite(tmp_path):
    words = ["--quick", "--database", "sqlite", "--output", str(tmp_path / "found.json")]
    done = subprocess.run([sys.executable, ROOT / "benchmarks" / "workers.py", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert [one["workers"] for one in found["ladder sqlite"]["runs"]] == [1, 2]
    assert found["storm sqlite"]["runs"][0]["counts"]["complete"] == 24
