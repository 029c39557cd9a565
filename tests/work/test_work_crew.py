"""Real `nas worker` processes over one storage: order, death, missing parts, and a gentle end."""

import os
import signal

import pytest
from databases import slow_on_postgresql
from work_worlds import PLUGIN, look, wait_for, with_own_images

from nas.arch.record import COMPLETE
from nas.errors import NasError, StorageError
from nas.store.engine import open_storage
from nas.store.studies import find_study
from nas.store.trials import trial_epochs, trials
from nas.work.crew import Told
from nas.work.rounds import run_worker
from nas.work.submit import submit_study

LONG = 250
"""Seconds for what takes ten on an idle machine."""


def rows(url, name):
    storage = open_storage(url)
    try:
        return trials(storage, find_study(storage, name).id)
    finally:
        storage.close()


def check_whole(url, name, total):
    """The study is complete, and of every trial each epoch was recorded once and in order."""
    found = look(url, name)
    assert (found.state, found.trials["complete"], found.trials["running"]) == ("complete", total, 0)
    assert (found.trained_twice, found.trained_over_budget) == (0, 0)
    storage = open_storage(url)
    for row in trials(storage, find_study(storage, name).id, states=(COMPLETE,)):
        assert [one.epoch for one in trial_epochs(storage, row.id)] == list(range(1, row.epochs + 1))
    storage.close()


@pytest.fixture
def said():
    """The lines of a worker in this process."""
    return []


@pytest.fixture
def told(said):
    return Told(said.append)


@pytest.mark.slow
def test_workers_finish_studies_by_priority_though_one_is_killed(url, study_file, start_words):
    submit_study(study_file(name="later", trials=1, epochs=1), storage=url)
    submit_study(study_file(name="sooner", trials=2, epochs=20, seed=1), storage=url, priority=5)
    victim = start_words("worker", "--concurrency", 1)
    wait_for(lambda: any(one.epochs_done >= 2 for one in rows(url, "sooner")), LONG, every=0.3)
    survivor = start_words("worker", "--concurrency", 1)
    victim.kill()
    [left] = rows(url, "sooner")
    assert (left.state, left.finished) == ("running", None)
    _, err = survivor.communicate(timeout=LONG)
    assert survivor.returncode == 0, err
    check_whole(url, "sooner", 2)
    check_whole(url, "later", 1)
    [taken_over] = [one for one in rows(url, "sooner") if one.number == left.number]
    assert taken_over.worker != left.worker
    [later] = rows(url, "later")
    assert later.started > max(one.finished for one in rows(url, "sooner"))
    assert "study 'sooner': complete, 2 of 2 trials" in err


@pytest.mark.slow
def test_several_studies_are_under_way_at_once(url, study_file, start_words):
    submit_study(study_file(name="first", trials=1, epochs=60), storage=url)
    submit_study(study_file(name="second", trials=1, epochs=60, seed=1), storage=url)
    worker = start_words("worker", "--concurrency", 2)
    wait_for(lambda: [look(url, name).trials["running"] for name in ("first", "second")] == [1, 1], LONG, every=0.3)
    worker.terminate()
    worker.communicate(timeout=60)


@pytest.mark.slow
def test_study_of_higher_priority_gets_the_next_free_process(url, study_file, start_words):
    submit_study(study_file(name="low", trials=2, epochs=60), storage=url)
    worker = start_words("worker", "--concurrency", 1)
    wait_for(lambda: look(url, "low").trials["running"] == 1, LONG, every=0.3)
    submit_study(study_file(name="high", trials=1, epochs=1, seed=1), storage=url, priority=1)
    _, err = worker.communicate(timeout=LONG)
    assert worker.returncode == 0, err
    [urgent] = rows(url, "high")
    first, second = rows(url, "low")
    assert first.finished < urgent.started < second.started
    check_whole(url, "low", 2)


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_worker_lets_go_of_its_trial_with_its_checkpoint(url, study_file, start_words, signal_number):
    submit_study(study_file(trials=1, epochs=200), storage=url)
    worker = start_words("worker", "--concurrency", 1, "--wait")
    wait_for(lambda: any(one.epochs_done >= 2 for one in rows(url, "small")), LONG, every=0.3)
    worker.send_signal(signal_number)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 130
    assert "Traceback" not in err
    assert "its trials wait with their checkpoints" in err
    found = look(url)
    assert (found.state, found.trials["waiting"], found.trials["running"]) == ("waiting", 1, 0)
    storage = open_storage(url)
    with storage.read() as connection:
        kept = connection.exec_driver_sql("SELECT epoch FROM nas_checkpoint").scalars().all()
    assert kept == [rows(url, "small")[0].epochs_done]
    storage.close()


@pytest.mark.slow
def test_waiting_worker_is_there_before_the_storage_and_ends_when_told(url, study_file, start_words):
    worker = start_words("worker", "--concurrency", 1, "--wait")
    wait_for(lambda: "waits for studies" in worker.stderr.readline())
    submit_study(study_file(trials=1, epochs=1), storage=url)
    wait_for(lambda: look(url).state == "complete", LONG, every=0.3)
    worker.terminate()
    assert worker.wait(60) == 130


def test_worker_of_a_storage_that_is_not_there_says_so(url):
    with pytest.raises(StorageError, match=r"no such database|a database without studies of nas"):
        run_worker(storage=url)


@slow_on_postgresql
def test_study_whose_plugin_is_lacking_is_left_to_others(url, study_file, said, told, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "mine.py").write_text(PLUGIN)
    submit_study(study_file(name="theirs", blocks=["conv", "mine"]), storage=url, plugins=[str(folder)])
    submit_study(study_file(name="ours", trials=1, epochs=1), storage=url)
    run_worker(storage=url, concurrency=1, told=told)
    [line] = [line for line in said if "left to other workers" in line]
    assert line.startswith("study 'theirs': space.blocks: ")
    assert "'mine'" in line
    assert (look(url, "ours").state, look(url, "theirs").state) == ("complete", "new")


@pytest.mark.slow
def test_data_set_is_found_by_its_hash_in_the_data_folder_or_is_lacking(url, tmp_path, said, told, monkeypatch):
    path = with_own_images(tmp_path / "at-home")
    submit_study(path, storage=url)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "data"))
    run_worker(storage=url, concurrency=1, told=told)
    assert "study 'small': data set 'own.npz' is not on this machine; looked for in " in said[0]
    assert str(tmp_path / "elsewhere") in said[0]
    with pytest.raises(NasError, match=r"study 'small': data set 'own\.npz' is not on this machine"):
        run_worker(storage=url, study="small", told=told)
    with_own_images(tmp_path / "data", seed=1)
    with pytest.raises(NasError, match="are not those that the study began with"):
        run_worker(storage=url, study="small", told=told)
    os.replace(tmp_path / "at-home" / "own.npz", tmp_path / "data" / "own.npz")
    run_worker(storage=url, study="small", concurrency=1, told=told)
    assert look(url).state == "complete"
