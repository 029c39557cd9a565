"""Workers that prune: simulated trainings over a real database, side by side, stopped and taken up again."""

import hashlib
import os
import threading

import pytest
from databases import slow_on_postgresql

from nas.arch.record import COMPLETE, PRUNED, Candidate, EpochRecord, Outcome, StudyRecord, Totals
from nas.search.fidelity import FEWEST_PEERS, first_epoch, last_epoch
from nas.search.loop import Search
from nas.store.ranking import best
from nas.store.schema import create_storage
from nas.store.studies import create_study
from nas.store.trials import history, trial_epochs
from nas.work.jobs import run_study
from nas.work.process import Job, make_worker
from nas.work.worker import Worker

EPOCHS, NETWORKS, IMAGES = 5, 16, 10_000


def candidate(number):
    """Networks of growing macs; every fourth is the worse by a tenth for no less of them."""
    fingerprint = hashlib.sha256(f"network {number}".encode()).hexdigest()[:16]
    architecture = {"format": 1, "number": number}
    totals = Totals(1_000, 900, 40_000 + 2_000 * number, 500, 9, 0, 3)
    return Candidate(architecture, fingerprint, fingerprint[::-1], ("conv",), totals, {}, {}, False)


def accuracy(number, epoch):
    return 0.3 + 0.01 * number + 0.03 * epoch - (0.1 if number % 4 == 3 else 0)


class Given:
    """Proposes the networks in an order, and learns nothing."""

    def __init__(self, numbers):
        self.left = list(numbers)

    def learn(self, records):
        """Whatever became of them."""

    def taken(self, candidate):
        """Somebody else has it."""

    def ask(self):
        return candidate(self.left.pop(0)) if self.left else None


class Simulated:
    """Trains by the formula from where a trial was left; stops for good after so many epochs."""

    def __init__(self, epochs=10**6):
        self.left = epochs
        self.stop = threading.Event()

    def __call__(self, claim, report, stopped):
        number = claim.architecture["number"]
        reached = 0.0
        for epoch in range(len(claim.epochs) + 1, EPOCHS + 1):
            reached = accuracy(number, epoch)
            going_on = report(EpochRecord(epoch, reached, 1.0, 1.0, 0.1), b"state")
            self.left -= 1
            if not going_on:
                return Outcome(PRUNED, reached, epoch, 0.1, reason="behind its peers at the same epoch")
            if self.left <= 0:
                self.stop.set()
                return None
        return Outcome(COMPLETE, reached, EPOCHS, 0.1)


@pytest.fixture
def storage(url):
    storage = create_storage(url)
    yield storage
    storage.close()


def study_in(storage, name="simulated", recipe_hash="r" * 8):
    config, recipe = {"name": name}, {"epochs": EPOCHS}
    record = StudyRecord(
        name, "digits", "d" * 8, (1, 8, 8), 10, 0, NETWORKS, config, {}, ("conv",), recipe, recipe_hash, EPOCHS
    )
    return create_study(storage, record)


def worker(storage, study, numbers, *, pruner="ranks", owner="one", epochs=10**6):
    simulated = Simulated(epochs)
    search = Search(storage, study, owner, Given(numbers))
    return Worker(search, simulated, pruner, EPOCHS, IMAGES, simulated.stop)


def ends(storage, study):
    """The epochs that each network came to."""
    number = {candidate(one).fingerprint: one for one in range(NETWORKS)}
    return {number[trial.fingerprint]: trial.epochs_done for trial in history(storage, study.id)}


def shuffled():
    """Every network once: an order in which each has larger and smaller ones before it."""
    return [7 * place % NETWORKS for place in range(1, NETWORKS + 1)]


def test_ranks_end_nobody_where_nobody_cheaper_went_before(storage):
    study = study_in(storage)
    worker(storage, study, reversed(range(NETWORKS))).run()
    assert set(ends(storage, study).values()) == {EPOCHS}


def test_median_ends_the_small_ones_which_ranks_do_not(storage):
    study = study_in(storage)
    worker(storage, study, reversed(range(NETWORKS)), pruner="median").run()
    reached = ends(storage, study)
    assert all(reached[number] < EPOCHS for number in range(NETWORKS // 2))
    assert {reached[number] for number in range(NETWORKS - FEWEST_PEERS, NETWORKS)} == {EPOCHS}


def test_ranks_end_those_beaten_at_their_cost_who_stand_in_no_ranking_and_on_no_front(storage):
    study = study_in(storage)
    assert worker(storage, study, shuffled()).run() == NETWORKS
    reached = ends(storage, study)
    pruned = [number for number in reached if reached[number] < EPOCHS]
    assert pruned
    assert all(number % 4 == 3 for number in pruned)
    assert all(first_epoch("ranks", EPOCHS) <= reached[number] <= last_epoch(EPOCHS) for number in pruned)
    winner = max(range(NETWORKS), key=lambda number: accuracy(number, EPOCHS))
    assert best(storage, study="simulated", top=1)[0].architecture == candidate(winner).fingerprint
    left_out = {candidate(number).fingerprint for number in pruned}
    for pareto in (None, "macs"):
        ranked = {row.architecture for row in best(storage, study="simulated", top=None, pareto=pareto)}
        assert not ranked & left_out
    assert len(ranked) > 5


def test_a_study_stopped_and_taken_up_again_ends_as_one_in_one_go(storage):
    whole = study_in(storage)
    worker(storage, whole, shuffled()).run()
    parts = study_in(storage, "in-parts", "s" * 8)
    numbers = shuffled()
    turns = 0
    while (going_on := worker(storage, parts, numbers, owner=f"turn {turns}", epochs=17)).search.unfinished():
        going_on.run()
        turns += 1
    assert turns > 3
    assert ends(storage, parts) == ends(storage, whole)


def test_workers_side_by_side_keep_the_winner_and_the_front(storage):
    study = study_in(storage)
    workers = [worker(storage, study, [], owner=f"worker {slot}") for slot in range(3)]
    workers[0].search.proposer.left = shuffled()
    for one in workers:
        one.search.proposer = workers[0].search.proposer
    threads = [threading.Thread(target=one.run) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reached = ends(storage, study)
    assert len(reached) == NETWORKS
    assert all(reached[number] == EPOCHS for number in reached if number % 4 != 3)


def test_training_pruned_elsewhere_is_asked_by_this_studys_peers(storage):
    first = study_in(storage)
    worker(storage, first, shuffled()).run()
    pruned = [number for number, epochs in ends(storage, first).items() if epochs < EPOCHS]
    second = study_in(storage, "second")
    others = [number for number in range(NETWORKS) if number % 4 != 3]
    worker(storage, second, [*others, *pruned]).run()
    again = {trial.fingerprint: trial for trial in history(storage, second.id)}
    untrained = [again[candidate(number).fingerprint] for number in pruned]
    assert {(trial.state, trial.epochs_done) for trial in untrained} <= {(PRUNED, 0), (COMPLETE, EPOCHS)}
    assert not any(trial_epochs(storage, trial.id) for trial in untrained if trial.state == PRUNED)


@slow_on_postgresql
def test_worker_knows_how_many_images_validate(url, study_file, tmp_path):
    run_study(study_file(trials=1, epochs=1), storage=url, workers=0)
    job = Job(url, "small", 0, str(tmp_path), (), "cpu", os.getppid())
    made = make_worker(job, threading.Event())
    assert made.images == 288
    made.close()
