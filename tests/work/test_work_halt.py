"""Studies paused and cancelled in mid-training: trials are let go at the next epoch and go on from there."""

import threading

import pytest
from databases import slow_on_postgresql
from work_worlds import look, wait_for

from nas.arch.record import CANCELLED, PAUSED
from nas.errors import Interrupted
from nas.store.engine import open_storage
from nas.store.halting import cancel_study, pause_study, resume_study
from nas.store.trials import trial_epochs, trials
from nas.work.jobs import run_study
from nas.work.rounds import run_worker
from nas.work.submit import submit_study


def at(url, act):
    """What `act` gives for the open storage."""
    storage = open_storage(url)
    try:
        return act(storage)
    finally:
        storage.close()


def only_trial(url):
    [row] = at(url, trials)
    return row


def kept_epoch(url):
    """The epoch of the checkpoint that is kept."""

    def ask(storage):
        with storage.read() as connection:
            return connection.exec_driver_sql("SELECT epoch FROM nas_checkpoint").scalar()

    return at(url, ask)


def halts_after(url, epochs, halt):
    """A display that pauses or cancels the study `small` once its trial has come so far."""

    def watch(progress):
        if any(one.epochs_done >= epochs for one in progress.running) and look(url).state == "running":
            at(url, lambda storage: halt(storage, "small"))

    return watch


@slow_on_postgresql
@pytest.mark.parametrize(("halt", "state"), [(pause_study, PAUSED), (cancel_study, CANCELLED)])
def test_halted_run_ends_at_its_next_epoch_and_goes_on_when_resumed(url, study_file, halt, state):
    path = study_file(trials=1, epochs=100)
    with pytest.raises(Interrupted, match=f"study 'small' is {state}; everything is kept: `nas resume small`"):
        run_study(path, storage=url, workers=0, watch=halts_after(url, 2, halt))
    left = only_trial(url)
    assert (left.state, look(url).state) == ("waiting", state)
    assert 2 <= left.epochs_done == kept_epoch(url) < 100
    at(url, lambda storage: resume_study(storage, "small"))
    with pytest.raises(Interrupted):
        run_study(path, storage=url, workers=0, watch=halts_after(url, left.epochs_done + 1, cancel_study))
    again = only_trial(url)
    assert (again.number, again.started) == (left.number, left.started)
    recorded = at(url, lambda storage: trial_epochs(storage, again.id))
    assert [one.epoch for one in recorded] == list(range(1, again.epochs_done + 1))
    assert len(recorded) > left.epochs_done


@pytest.mark.slow
def test_worker_lets_go_of_a_cancelled_study_and_turns_to_the_next(url, study_file):
    submit_study(study_file(trials=2, epochs=2000), storage=url, priority=1)
    submit_study(study_file(name="next", trials=1, epochs=1, seed=1), storage=url)
    worker = threading.Thread(target=run_worker, kwargs={"storage": url, "concurrency": 1})
    worker.start()
    wait_for(lambda: any(one.epochs_done >= 2 for one in at(url, trials)), 280)
    at(url, lambda storage: cancel_study(storage, "small"))
    worker.join(280)
    assert not worker.is_alive()
    found = look(url)
    assert (found.state, found.trials["running"], found.trials["waiting"]) == (CANCELLED, 0, 1)
    assert look(url, "next").state == "complete"
