"""A database in trouble, and workers that end when they should not."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
from databases import slow_on_postgresql
from work_worlds import look, wait_for

from nas.arch.record import WAITING
from nas.blocks.registry import load_blocks
from nas.errors import StorageError
from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.trials import trials
from nas.work import worker as worker_module
from nas.work.jobs import run_study
from nas.work.prepare import enter, prepare
from nas.work.process import Job, make_worker

KILLER = """
import os, signal
from torch import nn
from nas import Block, hookimpl

class Kill(nn.Conv2d):
    def forward(self, x):
        if self.training:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

class Killer(Block):
    \"\"\"Kills its worker.\"\"\"
    name = "killer"
    def build(self, in_channels, width, stride):
        return Kill(in_channels, width, 3, stride, 1)

@hookimpl
def nas_register_blocks(register):
    register(Killer)
"""


@slow_on_postgresql
def test_database_in_trouble_does_not_fail_the_trial(url, study_file, tmp_path):
    run_study(study_file(trials=1, epochs=1), storage=url, workers=0)
    run_study(study_file(trials=1, epochs=1), storage=url, workers=0)
    storage = open_storage(url)
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE nas_study SET trials = 2")
    job = Job(url, "small", 0, str(tmp_path), (), "cpu", os.getppid())
    worker = make_worker(job, threading.Event(), load_blocks())
    claim = worker.search.next_claim()

    def report(record, checkpoint):
        raise StorageError("database is locked")

    with pytest.raises(StorageError):
        worker.evaluate(claim, report, lambda: False)
    worker.close()
    storage.close()


@pytest.mark.slow
def test_worker_told_to_end_is_replaced(url, study_file, start):
    process = start(study_file(trials=2, epochs=20), "--workers", 1)
    wait_for(lambda: look(url) and trial_under_way(url))
    os.kill(int(trial_under_way(url).split(":")[1]), signal.SIGTERM)
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err
    assert look(url).trials["complete"] == 2


def trial_under_way(url):
    """The worker of a trial that has an epoch behind it."""
    storage = open_storage(url)
    found = next((one.worker for one in trials(storage, states=("running",)) if one.epochs_done), "")
    storage.close()
    return found


@pytest.mark.slow
def test_networks_that_kill_their_worker_fail_and_are_replaced(url, study_file, tmp_path, start):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "killer.py").write_text(KILLER)
    path = study_file(blocks=["killer", "conv"], trials=3, epochs=1)
    process = start(path, "--workers", 2, "--plugins-dir", folder, "--set", "space.stages=[1]")
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    found = look(url)
    assert (found.trials["complete"], found.trials[WAITING]) == (3, 0)
    assert found.trials["failed"] >= 1
    assert "its worker died" in err


def test_heart_beats_on_though_the_database_is_away_and_the_lease_over(monkeypatch):
    beats = []

    def away(*_):
        beats.append(1)
        if len(beats) < 4:
            raise StorageError("the database is away")
        return False

    monkeypatch.setattr(worker_module, "heartbeat", away)
    monkeypatch.setattr(worker_module, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "LEASE_SECONDS", 0.0)
    flag, search = threading.Event(), SimpleNamespace(storage=None, owner="worker")
    with worker_module._Heartbeat(search, SimpleNamespace(trial_id=1), flag):
        wait_for(flag.is_set, 10)  # once the database says so
    assert len(beats) == 4


def test_no_worker_starts_where_the_mirror_cannot_be_opened(url, study_file, monkeypatch):
    def broken(*_):
        raise StorageError("Optuna's tables cannot be opened")

    monkeypatch.setattr("nas.work.launch.Mirror", broken)
    with pytest.raises(StorageError):
        run_study(study_file(trials=1, epochs=1), storage=url, workers=0)
    assert not [thread for thread in threading.enumerate() if thread.name == "worker"]
    assert look(url).trials["complete"] == 0


def test_run_that_looked_just_before_another_began_the_study_shares_it(url, study_file, monkeypatch):
    study, storage = prepare(study_file(), load_blocks()), create_storage(url)
    first = enter(storage, study)
    looks = iter([None, first])
    monkeypatch.setattr("nas.work.prepare.get_study", lambda *_: next(looks))
    assert enter(storage, study).id == first.id
    storage.close()
