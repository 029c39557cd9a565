"""A PostgreSQL server that is killed in mid-study, and started again some seconds later."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from postgres import CRASH_SAFE, Server
from work_worlds import NAS, look, mirrored, wait_for

from nas.blocks.registry import load_blocks
from nas.errors import StorageError
from nas.store import engine
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.trials import history, trial_epochs
from nas.work.crew import Crew, Told
from nas.work.rounds import _turn

WORKERS_BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "workers.py"


@pytest.fixture
def own_server(postgres_server, tmp_path):
    server = Server(tmp_path / "server", dict(CRASH_SAFE))
    server.folder.mkdir()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def run(own_server):
    started = []
    url = own_server.url(own_server.create())

    def begin(*words):
        command = [NAS, "run", *map(str, words), "--storage", url]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
        return url, started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def epochs_done(url):
    storage = open_storage(url)
    try:
        return sum(one.epochs_done for one in history(storage, 1))
    finally:
        storage.close()


def test_worker_that_waits_tries_again_while_the_database_is_away(own_server, monkeypatch):
    monkeypatch.setattr(engine, "OUTAGE_SECONDS", 0.5)
    said, store = [], create_storage(own_server.url(own_server.create()))
    crew = Crew(store, load_blocks(), (), "cpu", 1, None, Told(said.append))
    assert not _turn(crew, wait=True)
    own_server.kill()
    assert all(_turn(crew, wait=True) for _ in range(2))
    with pytest.raises(StorageError, match="waited for"):
        _turn(crew, wait=False)
    assert said
    assert all(line.endswith("tries again") for line in said)
    own_server.start()
    assert not _turn(crew, wait=True)
    store.close()


@pytest.mark.slow
def test_server_away_for_20_seconds_costs_simulated_workers_no_trial(postgres_server):
    words = ["--database", "postgresql", "--workers", "16", "--trials", "160", "--seconds", "0.5", "--outage", "20"]
    out = subprocess.run([sys.executable, WORKERS_BENCHMARK, "--json", *words], check=True, capture_output=True).stdout
    found = json.loads(out)
    assert (found["lost"], found["twice"], found["left_running"], found["workers_failed"]) == (0, 0, 0, 0)
    assert (found["counts"]["complete"], found["epochs_exact"], found["epochs_again"]) == (160, True, 0)
    assert found["seconds"] > 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_server_killed_in_mid_study_loses_no_trial_and_trains_none_twice(own_server, run, study_file):
    url, process = run(study_file(trials=2, epochs=100), "--workers", 2)
    wait_for(lambda: look(url) and epochs_done(url) >= 3, 400)
    own_server.kill()
    time.sleep(4)
    assert process.poll() is None
    own_server.start()
    _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert "waiting for it" in err
    storage = open_storage(url)
    found, rows = status(storage, "small"), history(storage, 1)
    assert (found.trials["complete"], found.trials["failed"], found.trained_twice, len(rows)) == (2, 0, 0, 2)
    for row in rows:
        assert [epoch.epoch for epoch in trial_epochs(storage, row.id)] == list(range(1, 101))
    assert sorted(one.user_attrs["nas_trial"] for one in mirrored(url)) == [0, 1]
    storage.close()


@pytest.mark.slow
def test_workers_that_wait_on_a_crowded_server_let_in_those_that_hold_the_last_trials(postgres_server):
    words = ["--database", "postgresql", "--connections", "16", "--workers", "24", "--trials", "100"]
    command = [sys.executable, WORKERS_BENCHMARK, "--json", *words, "--seconds", "0.2"]
    out = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    found = json.loads(out)
    assert (found["lost"], found["twice"], found["left_running"], found["workers_failed"]) == (0, 0, 0, 0)
