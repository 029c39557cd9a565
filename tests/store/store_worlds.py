"""Small worlds: studies, candidates and simulated workers, for tests here and in spawned processes."""

import hashlib
import os
import random
import time
from dataclasses import replace

from nas.arch.record import COMPLETE, PRUNED, Candidate, Claim, EpochRecord, Outcome, StudyRecord, Totals
from nas.store.claims import Answer, ClaimResult, claim
from nas.store.engine import Storage, open_storage
from nas.store.leases import take_up
from nas.store.schema import create_storage
from nas.store.status import counts
from nas.store.studies import create_study, find_study
from nas.store.trials import finish, record_epoch

LEASE = 60.0


def study_record(name="alpha", **changes) -> StudyRecord:
    record = StudyRecord(
        name=name,
        dataset="digits",
        dataset_hash="d" * 8,
        input=(1, 8, 8),
        classes=10,
        seed=0,
        trials=5,
        config={"name": name},
        budget={"params": 20_000},
        blocks=("conv", "stacked"),
        recipe={"epochs": 3},
        recipe_hash="r" * 8,
        epochs=3,
    )
    return replace(record, **changes)


def candidate(number=0, *, params=1000, macs=50_000, blocks=("conv",), receptive_field=9) -> Candidate:
    fingerprint = hashlib.sha256(f"network {number}".encode()).hexdigest()[:16]
    return Candidate(
        architecture={"format": 1, "parts": [{"block": "conv", "width": number}]},
        fingerprint=fingerprint,
        body=fingerprint[::-1],
        blocks=blocks,
        totals=Totals(params, params - 10, macs, 5_000, receptive_field, 0, 3),
        draw={"width": number + 0.5},
        params={"width": number},
        projected=number % 2 == 1,
        summary=f"conv {number}",
    )


def epoch_record(number, accuracy=0.5) -> EpochRecord:
    return EpochRecord(number, accuracy, 1.0, 1.1, 0.25)


def outcome(accuracy=0.9, state=COMPLETE, epochs=3, **changes) -> Outcome:
    return Outcome(state, accuracy, epochs, seconds=1.5, versions={"nas": "0.1.0"}, **changes)


def asked(storage: Storage, study: StudyRecord, number=0, owner="worker", **shape) -> ClaimResult:
    return claim(storage, study, owner, candidate(number, **shape), LEASE)


def held(storage: Storage, study: StudyRecord, number=0, owner="worker", **shape) -> Claim:
    result = asked(storage, study, number, owner, **shape)
    assert result.kind is Answer.CLAIMED
    return result.claim


def trained(storage: Storage, study: StudyRecord, number=0, accuracy=0.9, *, end=None, **shape) -> int:
    """Claim a network, record its epochs, end it; its trial's id."""
    trial = held(storage, study, number, **shape)
    ended = end or outcome(accuracy)
    for epoch in range(1, ended.epochs + 1):
        assert record_epoch(storage, trial.trial_id, "worker", epoch_record(epoch, accuracy), b"state", LEASE)
    assert finish(storage, trial.trial_id, "worker", ended)
    return trial.trial_id


def accuracy_of(fingerprint: str) -> float:
    return int(fingerprint[:6], 16) / 0xFFFFFF


def work(url: str, name: str, networks: int, lease_seconds: float, epoch_seconds: float) -> None:
    """A worker until its study has all its trials: networks are drawn at random, trainings are slept."""
    storage = open_storage(url)
    try:
        _work(storage, name, networks, lease_seconds, epoch_seconds)
    finally:
        storage.close()


def _work(storage: Storage, name: str, networks: int, lease_seconds: float, epoch_seconds: float) -> None:
    owner = f"{os.getpid()}-{time.monotonic_ns()}"
    study = find_study(storage, name)
    draws = random.Random(os.getpid())
    while True:
        trial = take_up(storage, study, owner, lease_seconds)
        if trial is None:
            answer = claim(storage, study, owner, candidate(draws.randrange(networks)), lease_seconds)
            trial = answer.claim
        if trial is not None:
            simulate(storage, trial, owner, study.epochs, lease_seconds, epoch_seconds)
            continue
        now = counts(storage, study.id)
        if now["complete"] + now["pruned"] >= study.trials:
            return
        time.sleep(0.01)


def simulate(storage, trial, owner, epochs, lease_seconds, epoch_seconds) -> None:
    accuracy = accuracy_of(trial.fingerprint)
    assert len(trial.epochs) == int(trial.checkpoint or b"0")
    for epoch in range(len(trial.epochs) + 1, epochs + 1):
        time.sleep(epoch_seconds)
        checkpoint = str(epoch).encode()
        if not record_epoch(storage, trial.trial_id, owner, epoch_record(epoch, accuracy), checkpoint, lease_seconds):
            return
        if accuracy < 0.2 and epoch == 2 and not trial.known:
            finish(storage, trial.trial_id, owner, outcome(accuracy, PRUNED, epoch))
            return
    finish(storage, trial.trial_id, owner, outcome(accuracy, epochs=epochs, weights=b"w" * 100))


def create_and_claim(url: str, number: int, barrier) -> None:
    """Make the database and the first trial of a study of one's own, at the same moment as others."""
    barrier.wait()
    storage = create_storage(url)
    study = create_study(storage, study_record(f"study-{number}"))
    held(storage, study, number)


def claim_by_another_clock(url: str, hours: float) -> None:
    """A worker whose machine's clock is off: another's live trial is not taken, and one of its own begun and left."""
    real = time.time
    time.time = lambda: real() + 3600 * hours
    time.time_ns = lambda: int(1e9 * time.time())
    storage = open_storage(url)
    study = find_study(storage, "alpha")
    assert take_up(storage, study, "off", LEASE) is None
    held(storage, study, 1, "off")
    storage.close()


def race(url: str, owner: str, barrier, won) -> None:
    """Take up the trial of a dead worker at the same moment as others do; who gets it says with how many epochs."""
    storage = open_storage(url)
    study = find_study(storage, "alpha")
    barrier.wait()
    trial = take_up(storage, study, owner, LEASE)
    if trial is not None:
        won.put((owner, trial.number, len(trial.epochs), trial.checkpoint))
    storage.close()
