"""Many real processes on one database: no trial too many, none lost, nothing trained twice."""

import multiprocessing
import random
import time

import pytest
from store_worlds import study_record, work

from nas.store.engine import open_storage
from nas.store.schema import create_storage
from nas.store.status import status
from nas.store.studies import create_study
from nas.store.trials import trial_epochs, trials

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["nas.store.schema", "nas.store.status", "nas.store.leases"])


def prepare(url, trials):
    storage = create_storage(url)
    create_study(storage, study_record("alpha", trials=trials, keep=3))
    create_study(storage, study_record("beta", trials=trials, keep=3))
    storage.close()


def start(url, name, networks, lease=60.0, epoch_seconds=0.0):
    process = FRESH.Process(target=work, args=(url, name, networks, lease, epoch_seconds), daemon=True)
    process.start()
    return process


def check_totals(url, total):
    storage = open_storage(url)
    for name in ("alpha", "beta"):
        found = status(storage, name)
        assert found.trials["complete"] + found.trials["pruned"] == total
        assert (found.state, found.trained_twice, found.trials["running"]) == ("complete", 0, 0)
    everything = trials(storage)
    questions = [trial.fingerprint for trial in everything if trial.state == "complete" and not trial.reused]
    assert len(questions) == len(set(questions))
    for trial in everything:
        epochs = [epoch.epoch for epoch in trial_epochs(storage, trial.id)]
        assert epochs == ([] if trial.reused else list(range(1, trial.epochs_done + 1)))
    storage.close()
    return everything


def join_all(workers, seconds):
    for worker in workers:
        worker.join(seconds)
    return [worker.exitcode for worker in workers]


def test_eight_processes_train_each_network_once(url):
    prepare(url, trials=40)
    workers = [start(url, name, networks=60) for name in ("alpha", "beta") for _ in range(4)]
    assert join_all(workers, 60) == [0] * 8
    assert any(trial.reused for trial in check_totals(url, 40))


def test_killed_workers_leave_exact_totals(url):
    prepare(url, trials=12)
    draws = random.Random(0)
    workers = [start(url, name, 30, lease=0.5, epoch_seconds=0.02) for name in ("alpha", "beta") for _ in range(2)]
    for kill in range(4):
        time.sleep(draws.uniform(0.2, 0.4))
        workers.pop(0).kill()
        workers.append(start(url, ("alpha", "beta")[kill % 2], 30, lease=0.5, epoch_seconds=0.02))
    assert join_all(workers, 60) == [0] * 4
    check_totals(url, 12)


@pytest.mark.slow
def test_thirty_two_processes_train_each_network_once(url):
    prepare(url, trials=300)
    workers = [start(url, name, networks=400) for name in ("alpha", "beta") for _ in range(16)]
    assert join_all(workers, 250) == [0] * 32
    check_totals(url, 300)


@pytest.mark.slow
def test_kill_after_kill_loses_nothing(url):
    prepare(url, trials=100)
    draws = random.Random(1)
    workers = [start(url, name, 200, lease=1.0, epoch_seconds=0.01) for name in ("alpha", "beta") for _ in range(4)]
    for kill in range(30):
        time.sleep(draws.uniform(0.05, 0.3))
        workers.pop(draws.randrange(len(workers))).kill()
        workers.append(start(url, ("alpha", "beta")[kill % 2], 200, lease=1.0, epoch_seconds=0.01))
    workers += [start(url, name, 200, lease=1.0) for name in ("alpha", "beta")]
    assert set(join_all(workers, 120)) == {0}
    check_totals(url, 100)
