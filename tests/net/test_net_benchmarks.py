"""The benchmarks of training, in small: they run, and write what their tables and docs are made from."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.slow
def test_training_benchmark_measures_ours_beside_the_plain_loop(tmp_path):
    output = tmp_path / "train.json"
    ended = run("train.py", "--quick", "--blocks", "conv", "--rounds", 1, "--output", output)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(output.read_text())["steps"]
    assert {"date", "commit", "machine"} <= set(found)
    for row in found["networks"]:
        assert 0.9 * row["budget"] < row["params"] <= row["budget"]
        assert row["images_per_second"]["ours"]["median"] > 0
        assert row["ratio"]["plain"]["median"] > 0
        assert 0 < row["input_share"]["median"] < 1


def test_networks_of_the_training_benchmark_fill_their_budgets(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    importlib.import_module("train_networks").main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 35
    for line in lines:
        budget, params = (int(word.replace(",", "")) for word in line.split()[1:3])
        assert 0.89 * budget < params <= budget, line
