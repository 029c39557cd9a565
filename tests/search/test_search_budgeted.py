"""The budgeted search benchmark: what contestants tell becomes counts, curves and a verdict; in small it runs whole."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from nas.work.places import usable_cores

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHOICES = {
    "stem.width": 8,
    "stages": 2,
    "stage1.depth": 1,
    "stage1.width": 8,
    "stage1.block": 0,
    "stage1.conv.kernel": 3,
    "stage2.depth": 1,
    "stage2.width": 16,
    "stage2.block": 3,
    "stage2.grouped.kernel": 3,
    "stage2.grouped.groups": 4,
}


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def contest(load, tmp_path):
    arrays = tmp_path / "arrays.npz"
    np.savez(arrays, x_train=np.zeros((20, 28, 28), np.uint8), y_train=np.arange(20) % 10)
    given = {"dataset": "mnist", "params": 2_000, "epochs": 1, "images": 20, "seed": 0, "seconds": 60.0, "cores": 1}
    folder = tmp_path / "work"
    made = load("budgeted_contest").Contest(**given, trials=3, arrays=str(arrays), folder=str(folder))
    made.write()
    return made


def told(event, at, name, **more):
    return {"event": event, "at": at, "fingerprint": name, "params": 100, "network": {"parts": [name]}, **more}


def ran(*points):
    found = [{"seconds": at, "accuracy": 0.1 * n, "fingerprint": name} for n, (at, name) in enumerate(points)]
    counts = dict.fromkeys(("asked", "refused", "over_budget", "trainings", "complete", "cut_short", "duplicates"), 0)
    return {"settings": {"seconds": 100.0}, "incumbents": found, **counts}


def test_counts_leave_out_what_came_after_the_end(load):
    lines = [
        told("over", 1001, "big"),
        told("refused", 1001, "odd"),
        told("begun", 1002, "a"),
        told("begun", 1002, "b"),
        told("complete", 1030, "b", accuracy=0.5),
        told("complete", 1020, "a", accuracy=0.6),
        told("begun", 1031, "a"),
        told("begun", 1032, "c"),
        told("complete", 1040, "c", accuracy=0.7),
        told("complete", 1070, "a", accuracy=0.9),
    ]
    found = load("budgeted_curves").counted(lines, 1000, 60)
    kept = [(one["seconds"], one["accuracy"], one["fingerprint"]) for one in found.pop("incumbents")]
    assert kept == [(20, 0.6, "a"), (40, 0.7, "c")]
    asked = {"asked": 6, "refused": 1, "over_budget": 1}
    assert found == {**asked, "trainings": 4, "complete": 3, "cut_short": 1, "duplicates": 1}


@pytest.mark.parametrize(("bar", "first", "kept"), [(0.8, 10, 10), (0.85, 20, 40), (0.9, 40, 40), (0.95, None, None)])
def test_bar_is_reached_once_and_kept_later(load, bar, first, kept):
    curves = load("budgeted_curves")
    points = [(10, 0.8), (20, 0.86), (30, 0.84), (40, 0.9)]
    assert curves.reached(points, bar) == first
    assert curves.reached(points, bar, kept=True) == kept


def test_verdict_is_our_time_as_share_of_the_rivals(load):
    confirmed = {"a": 0.7, "b": 0.8, "c": 0.9, "x": 0.6, "y": 0.8}
    runs = {
        "mnist-1/ours/0": ran((10, "a"), (20, "b"), (60, "c")),
        "mnist-1/optuna/0": ran((15, "x"), (80, "y")),
        "mnist-1/ours/1": ran((30, "a")),
        "mnist-1/optuna/1": ran((50, "y")),
        "other-1/ours/2": ran((1, "c")),
    }
    found = load("budgeted_curves").verdict(runs, "mnist-1", confirmed)
    assert found["contestants"]["ours"]["confirmed"] == [0.9, 0.7]
    share = found["ours_against"]["optuna"]["share"]
    assert share == {"median": None, "least": 0.2, "most": None, "not_reached": 1, "seeds": [0.2, None]}
    assert found["ours_against"]["optuna"]["by_seed"]["0"]["share_of_found"] == 0.25


def test_runs_that_were_given_other_minutes_are_not_compared(load):
    runs = {"mnist-1/ours/0": ran((10, "a")), "mnist-1/optuna/0": ran((10, "a"))}
    runs["mnist-1/ours/0"]["settings"] = {"seconds": 200.0, "set": []}
    assert load("budgeted_curves").verdict(runs, "mnist-1", {"a": 0.5})["ours_against"] == {}


@pytest.mark.parametrize(
    ("changed", "event"),
    [({}, "begun"), ({"stage2.width": 96}, "over"), ({"stage2.grouped.groups": 32}, "refused")],
)
def test_rival_trains_what_the_study_may_and_no_more(load, contest, changed, event):
    picker = load("budgeted_contest").Given({**CHOICES, **changed})
    network = contest.asked(picker, contest.space())
    [line] = contest.told()
    assert line["event"] == event
    assert (network is None) == (event != "begun")
    if network is not None:
        assert line["params"] == sum(parameter.numel() for parameter in network.parameters()) <= 2_000
        assert line["network"]["input"] == [1, 28, 28]


def test_contestant_is_ended_with_processes_that_have_left_its_session(load, tmp_path):
    processes, mark = load("budgeted_processes"), str(tmp_path)
    sleeper = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    script = f"import subprocess, sys; subprocess.Popen({sleeper}, start_new_session=True)"
    child = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, processes.MARK: mark})
    child.wait(30)
    [left] = processes.marked(mark)
    try:
        processes.stop(child, "another one")
        assert left.is_running()
        processes.stop(child, mark)
        left.wait(10)
        assert processes.marked(mark) == []
    finally:
        with suppress(psutil.NoSuchProcess):
            left.kill()


def test_process_that_outlives_a_kill_ends_the_contest(load, monkeypatch):
    processes = load("budgeted_processes")
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    monkeypatch.setattr(psutil.Process, "kill", lambda process: None)  # as one that waits for a broken disk
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, processes.MARK: "x"}
    )
    ended = subprocess.Popen([sys.executable, "-c", ""])
    try:
        with pytest.raises(SystemExit, match=f"cannot be ended: {sleeper.pid}, of x"):
            processes.stop(ended, "x")
    finally:
        sleeper.send_signal(signal.SIGKILL)
        sleeper.wait()


def test_contest_that_is_interrupted_ends_its_contestants_and_keeps_nothing_of_them(load, tmp_path):
    arrays = {f"x_{part}": np.zeros((40, 28, 28), np.uint8) for part in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **arrays, y_train=np.arange(40) % 10, y_test=np.arange(40) % 10)
    output = tmp_path / "found.json"
    words = ["--dataset", "mnist", "--contestants", "optuna", "--seeds", "2", "--cores", "1"]
    words += ["--images", "20", "--epochs", "1", "--output", str(output)]
    environment = {**os.environ, "NAS_DATA_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(BENCHMARKS / "budgeted_search.py"), *words]
    contest = subprocess.Popen(command, env=environment)

    def contestants():
        every = psutil.process_iter(["environ"])
        return [one for one in every if str(tmp_path) in (one.info["environ"] or {}).get("NAS_CONTEST", "")]

    try:
        until = time.monotonic() + 60
        while not (begun := contestants()):
            assert time.monotonic() < until
            time.sleep(0.1)
        contest.send_signal(signal.SIGINT)
        assert contest.wait(60) != 0
        psutil.wait_procs(begun, 5)
        assert (contestants(), output.exists()) == ([], False)
    finally:
        contest.kill()
        for one in contestants():
            one.kill()


def test_more_cores_than_there_are_is_one_line():
    command = [sys.executable, str(BENCHMARKS / "budgeted_search.py"), "--at-once", "999", "--cores", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert re.search(r"error: --at-once 999 of --cores 2: this process may use \d+\n$", done.stderr)


def test_contestants_side_by_side_share_no_core(load):
    usable = usable_cores()
    places = load("budgeted_processes").places(1, len(usable))
    assert sorted(core for cores in places for core in cores) == usable
    assert {len(cores) for cores in places} == {1}


@pytest.mark.slow
def test_small_contest_is_run_confirmed_and_not_run_again(tmp_path):
    random = np.random.default_rng(0)
    labels, tested = np.arange(150) % 10, np.arange(40) % 10
    pixels = {
        f"x_{part}": random.integers(0, 25, (len(of), 28, 28)) + 20 * of[:, None, None]
        for part, of in (("train", labels), ("test", tested))
    }
    np.savez(
        tmp_path / "mnist.npz",
        **{name: some.astype(np.uint8) for name, some in pixels.items()},
        y_train=labels,
        y_test=tested,
    )
    output = tmp_path / "found.json"
    words = ["--dataset", "mnist", "--contestants", "ours,optuna", "--params", 200_000, "--seeds", 1, "--cores", 1]
    words += ["--at-once", min(2, os.cpu_count())]
    words += ["--minutes", 2, "--trials", 8, "--epochs", 1, "--images", 100, "--output", output]
    words += ["--confirm-epochs", 1, "--confirm-seeds", 1, "--confirm-images", 100]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NAS_DATA_DIR": str(tmp_path)}
    command = [sys.executable, str(BENCHMARKS / "budgeted_search.py"), *map(str, words)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(output.read_text())
    runs = found["runs"]
    for name in ("ours", "optuna"):
        run = runs[f"mnist-200000/{name}/0"]
        assert run["asked"] == 8
        assert run["trainings"] == run["complete"] + run["cut_short"] > 0
        for one in run["incumbents"]:
            assert one["params"] <= 200_000
            assert 0 <= runs[f"mnist-200000/confirmed/{one['fingerprint']}"]["test_accuracy"] <= 1
    assert (runs["mnist-200000/ours/0"]["over_budget"], runs["mnist-200000/ours/0"]["duplicates"]) == (0, 0)
    assert "optuna" in found["summary"]["mnist-200000"]["ours_against"]
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert again.returncode == 0, again.stderr
    assert "networks to confirm" not in again.stdout
    assert json.loads(output.read_text())["runs"] == runs
