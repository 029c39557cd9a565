"""The learning curves that the benchmark of pruning rules reads from a storage."""

import importlib
from pathlib import Path

import pytest
from store_worlds import LEASE, epoch_record, held, outcome, study_record, trained

from nas.arch.record import PRUNED
from nas.store.studies import create_study
from nas.store.trials import finish, record_epoch


@pytest.fixture
def curves(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("curves")


def whole(storage, study, number, accuracies):
    trial = held(storage, study, number, macs=40_000 + number)
    for epoch, accuracy in enumerate(accuracies, 1):
        assert record_epoch(storage, trial.trial_id, "worker", epoch_record(epoch, accuracy), None, LEASE)
    assert finish(storage, trial.trial_id, "worker", outcome(accuracies[-1], epochs=len(accuracies)))


def test_whole_curves_of_searches_are_read_with_their_macs(storage, curves):
    study = create_study(storage, study_record(trials=20))
    for number in range(curves.FEWEST):
        whole(storage, study, number, (0.25, 0.5, number / 16))
    whole(storage, study, 30, (0.5, 0.5))
    trained(storage, study, 31, 0.5, end=outcome(0.5, PRUNED, 2))
    for name, changes in (("repeated", {"config": {"repeats": 3}}), ("tested", {"scored_on": "test"})):
        other = create_study(storage, study_record(name, recipe_hash=name, trials=20, **changes))
        for number in range(curves.FEWEST):
            whole(storage, other, number, (0.25, 0.5, 0.5))
    [found] = curves.studies_in(storage)
    assert (found.name, found.epochs, found.images, len(found.trainings)) == ("alpha", 3, 16, curves.FEWEST)
    assert (found.trainings[3].macs, found.trainings[3].curve) == (40_003, (0.25, 0.5, 3 / 16))


def test_study_of_few_curves_is_left_out(storage, curves):
    study = create_study(storage, study_record(trials=20))
    for number in range(curves.FEWEST - 1):
        trained(storage, study, number)
    assert curves.studies_in(storage) == []
