"""Real worker processes, killed for real: nothing lost, nothing trained twice, nothing left running."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from databases import slow_on_postgresql
from work_worlds import look, wait_for, workers_of

from nas.arch.record import COMPLETE, RUNNING
from nas.store.engine import open_storage
from nas.store.status import status
from nas.store.trials import history, trial_epochs, trials
from nas.work.jobs import run_study

WORKERS_BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "workers.py"


def gone(processes):
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def epochs_done(url, name="small"):
    storage = open_storage(url)
    try:
        return sum(one.epochs_done for one in trials(storage))
    finally:
        storage.close()


def check_exact(url, total, name="small"):
    """The study is whole: every trial once, with each of its epochs once and in order."""
    storage = open_storage(url)
    found = status(storage, name)
    rows = history(storage, 1)
    assert found.trials["complete"] + found.trials["pruned"] == total
    assert (found.trials["running"], found.trials["waiting"], found.state) == (0, 0, "complete")
    assert (found.trained_over_budget, found.trained_twice) == (0, 0)
    assert [row.number for row in rows] == list(range(len(rows)))
    assert len({row.fingerprint for row in rows}) == len(rows)
    for row in rows:
        assert [epoch.epoch for epoch in trial_epochs(storage, row.id)] == list(range(1, row.epochs_done + 1))
    storage.close()


@pytest.mark.slow
def test_run_prints_plain_lines_and_a_ranking(url, study_file, start):
    process = start(study_file(trials=3, epochs=1), "--workers", 2, "-f", "json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    ranking = json.loads(out)
    assert [row["rank"] for row in ranking] == [1, 2, 3]
    assert err.count("complete") >= 3
    check_exact(url, 3)


@pytest.mark.slow
def test_killed_worker_is_replaced_and_its_trial_goes_on(url, study_file, start):
    process = start(study_file(trials=2, epochs=20), "--workers", 1)
    wait_for(lambda: look(url) and epochs_done(url) >= 3)
    [victim] = workers_of(process)
    victim.kill()
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    check_exact(url, 2)


@pytest.mark.slow
def test_killed_runner_leaves_nothing_running_and_the_study_goes_on(url, study_file, start):
    path = study_file(trials=2, epochs=20)
    process = start(path, "--workers", 2)
    wait_for(lambda: look(url) and epochs_done(url) >= 5)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    wait_for(lambda: gone(workers), 20)
    before = epochs_done(url)
    again = start(path, "--workers", 2)
    _, err = again.communicate(timeout=150)
    assert again.returncode == 0, err
    check_exact(url, 2)
    assert 5 <= before < 40


@pytest.mark.slow
def test_interrupt_ends_cleanly_with_state_kept(url, study_file, start):
    path = study_file(trials=3, epochs=200)
    process = start(path, "--workers", 2)
    wait_for(lambda: look(url) and epochs_done(url) >= 3)
    workers = workers_of(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "goes on" in err
    wait_for(lambda: gone(workers), 5)
    found = look(url)
    assert (found.trials["running"], found.state) == (0, "waiting")
    assert found.trials["waiting"] >= 1


@slow_on_postgresql
def test_timeout_stops_with_state_kept(url, study_file, start):
    path = study_file(trials=50, epochs=200)
    process = start(path, "--workers", 1, "--timeout", "8s")
    _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    found = look(url)
    assert found.trials["running"] == 0
    assert found.trials["complete"] < 50


@slow_on_postgresql
def test_resumed_trial_gives_the_accuracy_of_an_uninterrupted_one(url, new_url, study_file, start):
    path = study_file(trials=1, epochs=45)  # many, so that it is still trained when it is looked at on a busy machine
    process = start(path, "--workers", 1)
    wait_for(lambda: look(url) and epochs_done(url) >= 4)
    [victim] = workers_of(process)
    victim.kill()
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    check_exact(url, 1)
    other = new_url()
    run_study(path, storage=other, workers=0)
    given = []
    for storage in (open_storage(url), open_storage(other)):
        [trial] = trials(storage, states=(COMPLETE,))
        given.append((trial.fingerprint, [(e.epoch, e.accuracy, e.loss) for e in trial_epochs(storage, trial.id)]))
        storage.close()
    assert given[0] == given[1]


@slow_on_postgresql
def test_worker_that_cannot_begin_ends_the_run_with_its_reason(url, study_file, tmp_path, start, monkeypatch):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "odd.py").write_text(
        "import os\nif os.getenv('OMP_NUM_THREADS') == '1' and os.getppid() != int(os.environ['RUNNER_PARENT']):\n"
        "    os._exit(7)\n"
    )
    monkeypatch.setenv("RUNNER_PARENT", str(os.getpid()))
    process = start(study_file(), "--workers", 1, "--plugins-dir", folder)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "exit code 7" in err
    storage = open_storage(url)
    assert trials(storage, states=(RUNNING,)) == []
    storage.close()


@pytest.fixture
def simulated(request, database):
    """Runs simulated workers on a database of their own of the kind, a server of their own included."""
    if database == "postgresql":
        request.getfixturevalue("postgres_server")  # or is skipped, where none can be had

    def run(*words):
        command = [sys.executable, WORKERS_BENCHMARK, "--json", "--database", database, *map(str, words)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return run


@pytest.mark.slow
def test_workers_killed_at_random_leave_exact_totals(simulated):
    found = simulated("--workers", 4, "--trials", 60, "--seconds", 0.1, "--kill-every", 1.0)
    assert found["killed"] > 0
    assert (found["lost"], found["twice"], found["left_running"]) == (0, 0, 0)
    assert found["numbers_exact"]


@pytest.mark.slow
def test_32_workers_on_one_database_lose_nothing(simulated):
    found = simulated("--workers", 32, "--trials", 600)
    assert (found["lost"], found["twice"], found["left_running"]) == (0, 0, 0)
    assert found["counts"]["complete"] == 600
    assert found["numbers_exact"]


@pytest.mark.slow
def test_32_workers_killed_at_random_lose_nothing(simulated):
    found = simulated("--workers", 32, "--trials", 1000, "--seconds", 0.05, "--kill-every", 0.5)
    assert found["killed"] > 5
    assert (found["lost"], found["twice"], found["left_running"]) == (0, 0, 0)
