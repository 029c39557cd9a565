"""The replay benchmark: it reads tables that it has never seen, and tells mistakes in a line."""

import csv
import importlib
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
from optuna.trial import TrialState

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def table(tmp_path):
    """Widths of three layers, of which the second matters most; half of the networks are over 300 params."""
    with (tmp_path / "widths.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["w1", "w2", "w3", "params", "macs", "early", "late_a", "late_b"])
        for widths in product((4, 8, 12, 16), repeat=3):
            params = widths[0] * widths[1] + widths[1] * widths[2]
            reached = 60 + widths[1] - abs(widths[0] - 8) - abs(widths[2] - 12)
            writer.writerow([*widths, params, 10 * params, reached - 20, reached - 1, reached + 1])
    told = {
        "name": "widths",
        "file": "widths.csv",
        "choices": {"columns": ["w1", "w2", "w3"], "ordered": True},
        "costs": {"params": "params", "macs": "macs"},
        "signal": "early",
        "score": ["late_a", "late_b"],
    }
    path = tmp_path / "widths.json"
    path.write_text(json.dumps(told))
    return path


def replayed(*words):
    command = [sys.executable, str(BENCHMARKS / "search.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def read_table(load):
    return load("replay_tables").read_table


def test_unknown_table_is_replayed_under_its_limits(table, tmp_path):
    output = tmp_path / "found.json"
    words = ["--seeds", 3, "--evaluations", 30, "--samplers", "ours,random,local,evolution", "--jobs", 1]
    done = replayed("--tables", table, "--limit", "none", "--limit", "params=300", *words, "--output", output)
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert list(results) == ["ours", "random", "local", "evolution"]
    assert {(one["seeds"], one["evaluations"], one["batch"]) for one in results.values()} == {(3, 30, 1)}
    for place in ("widths, no limit", "widths, params <= 300"):
        ours = results["ours"]["tables"][place]
        assert (ours["wasted"], ours["never"], ours["under_best"]["50"]) == (0, 0, 0)
        assert ours["until_top"] < results["random"]["tables"][place]["until_top"]
    assert results["random"]["tables"]["widths, params <= 300"]["wasted"] > 0.2


def test_gaussian_process_is_told_a_value_of_what_is_over_the_limit(table, load):
    search, samplers = load("search"), load("replay_samplers")
    space = samplers.Space(load("replay_tables").read_table(table), {"params": 200})
    for name, untrained in (("gp", TrialState.COMPLETE), ("tpe-constraints", TrialState.PRUNED)):
        replay = search._Replay(space, search.Case(table, space.limits, name, 0, 3, 1), set(), 0.0)
        assert replay.run(3).wasted > 0
        over = [one for one in replay.study.get_trials() if one.user_attrs[samplers.OVER] > 0]
        assert {one.state for one in over} == {untrained}
        reached = []
        for one in replay.study.get_trials() if name == "gp" else ():
            if one in over:
                assert one.value == min(reached, default=space.table.signal.min())
            else:
                reached.append(one.value)


def test_sampler_that_is_not_installed_is_left_out_with_a_line(table, tmp_path):
    output = tmp_path / "found.json"
    words = ["--samplers", "random,cmaes", "--seeds", 1, "--evaluations", 5, "--jobs", 1, "--output", output]
    done = replayed("--tables", table, *words)
    assert done.returncode == 0, done.stderr
    installed = find_spec("cmaes") is not None
    assert ("cmaes is left out: it is not installed here; pip install cmaes" in done.stdout) is not installed
    assert list(json.loads(output.read_text())) == (["random", "cmaes"] if installed else ["random"])


def test_results_of_other_samplers_stay(table, tmp_path):
    output = tmp_path / "found.json"
    for name, seeds in (("random", 2), ("local", 1), ("random", 1)):
        words = ["--seeds", seeds, "--evaluations", 5, "--jobs", 1, "--output", output]
        done = replayed("--tables", table, "--samplers", name, *words)
        assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert {name: one["seeds"] for name, one in results.items()} == {"random": 1, "local": 1}


def test_folder_that_is_not_there_is_told_before_anything_is_replayed(table, tmp_path):
    done = replayed("--tables", table, "--samplers", "random", "--output", tmp_path / "none" / "found.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no folder" in done.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"signal": "soon"}, "'soon' is not there"),
        ({"file": "other.csv"}, "'other.csv' lies neither beside the description"),
        ({"costs": {"weights": "params"}}, "costs: weights; wanted: params or macs"),
        ({"choices": {"columns": ["w1", "w2"]}}, "some networks stand in the table twice"),
    ],
)
def test_mistake_in_a_description_is_one_line(table, read_table, change, told):
    table.write_text(json.dumps(json.loads(table.read_text()) | change))
    with pytest.raises(ValueError, match=re.escape(told)) as caught:
        read_table(table)
    assert str(caught.value).startswith(f"{table}: ")
    assert "\n" not in str(caught.value)


def test_mistake_in_a_limit_is_one_line(table):
    done = replayed("--tables", table, "--limit", "size=3")
    assert done.returncode == 2
    assert "--limit size=3: allowed: none, or params or macs = a number" in done.stderr
