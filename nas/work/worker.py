"""One worker: claim a trial, hold it while it trains, write down every epoch, end it; then the next.

Knows neither torch nor Optuna: it is given who proposes and what evaluates a trial.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from nas.arch.record import FAILED, PRUNED, RUNNING, Claim, EpochRecord, Outcome, Standing, StudyRecord
from nas.errors import StorageError
from nas.search.fidelity import asks_peers, should_prune
from nas.search.loop import LEASE_SECONDS, Search
from nas.store.engine import Storage
from nas.store.leases import heartbeat, release, release_owners
from nas.store.trials import Noted, finish, peers, record_epoch, trials
from nas.work.owner import is_gone

BEAT_SECONDS = 5.0
"""How often a worker says that it is alive; a sixth of the lease."""

WAIT_SECONDS = 0.3
"""How often a worker without work looks whether another's trial has come free."""

Report = Callable[[EpochRecord, bytes | None], bool]
"""Told of every epoch with the checkpoint to go on from; False: end the training here."""


class Evaluate(Protocol):
    """What trains: a trial in, how it ended out; None where it was stopped on the way."""

    def __call__(self, claim: Claim, report: Report, stopped: Callable[[], bool]) -> Outcome | None:
        """Train the claimed network, telling of every epoch."""
        ...


@dataclass
class Worker:
    """A worker of one study. `stop` is set from outside to end it with its trial kept to be taken up again.

    `leave` is set to end it after its trial. A `patient` one waits for trials of others that may come free, one that
    goes from study to study does not. A trial's accuracies are on so many `images`.
    """

    search: Search
    evaluate: Evaluate
    pruner: str = "none"
    epochs: int = 1
    images: int = 1
    stop: threading.Event = field(default_factory=threading.Event)
    leave: threading.Event = field(default_factory=threading.Event)
    patient: bool = True

    def run(self) -> int:
        """Work until the study needs no more trials or is halted or stopped; how many trials this worker ended."""
        ended = 0
        try:
            while not self.stop.is_set() and not self.leave.is_set():
                claim = self.search.next_claim()
                if claim is not None:
                    ended += self._trial(claim)
                elif not self.patient or not self.search.unfinished():
                    break
                else:
                    # Those that hold what it waits for may wait to be let in.
                    self.search.storage.make_room()
                    self.stop.wait(WAIT_SECONDS)
        finally:
            release(self.search.storage, self.search.owner)
        return ended

    def close(self) -> None:
        """Give back the connections to its storage."""
        self.search.storage.close()

    def _trial(self, claim: Claim) -> bool:
        """Evaluate one claimed trial and write down how it ended; False where it was stopped or lost."""
        if self._pruned_by_known(claim):
            reason = f"pruned on the {len(claim.known)} epochs that another study trained"
            return self._finish(claim, Outcome(PRUNED, claim.known[-1].accuracy, 0, 0.0, reason=reason))
        lost = threading.Event()
        with _Heartbeat(self.search, claim, lost):
            trial = _Trial(self, claim, lost)
            self.search.storage.make_room()
            outcome = self.evaluate(claim, trial.report, trial.stopped)
        if outcome is None and trial.halted:
            release(self.search.storage, self.search.owner)
        return outcome is not None and not lost.is_set() and self._finish(claim, outcome)

    def _finish(self, claim: Claim, outcome: Outcome) -> bool:
        return finish(self.search.storage, claim.trial_id, self.search.owner, outcome)

    def _pruned_by_known(self, claim: Claim) -> bool:
        """Whether the epochs that another study's pruned training reached answer this trial too."""
        return any(self._prunes(claim, claim.known[: epoch.epoch], epoch.epoch) for epoch in claim.known)

    def _prunes(self, claim: Claim, curve: tuple[EpochRecord, ...] | list[EpochRecord], epoch: int) -> bool:
        if not asks_peers(self.pruner, epoch, self.epochs, claim.number):
            return False
        scored = [one.accuracy for one in curve if one.accuracy is not None]
        if not scored:
            return False
        rivals = peers(self.search.storage, self.search.study.id, epoch, claim.trial_id)
        return should_prune(self.pruner, Standing(max(scored), claim.totals.macs), rivals, self.images)


@dataclass
class _Trial:
    """A trial under way: its curve so far, and whether its study was paused or cancelled since."""

    worker: Worker
    claim: Claim
    lost: threading.Event
    halted: bool = False

    def __post_init__(self) -> None:
        self.curve = list(self.claim.epochs)

    def report(self, record: EpochRecord, checkpoint: bytes | None) -> bool:
        """Write the epoch down; False where the trial is pruned, or ours no longer."""
        search = self.worker.search
        self.curve.append(record)
        noted = record_epoch(search.storage, self.claim.trial_id, search.owner, record, checkpoint, LEASE_SECONDS)
        if noted is Noted.LOST:
            self.lost.set()
            return False
        self.halted = noted is Noted.HALTED
        # Up to the epochs known from elsewhere the question was put before training, and answered with no.
        known = record.epoch <= len(self.claim.known)
        goes_on = known or not self.worker._prunes(self.claim, self.curve, record.epoch)
        if goes_on and record.epoch < self.worker.epochs:
            search.storage.make_room()
        return goes_on

    def stopped(self) -> bool:
        """Whether the training is to end where it is, and to be taken up again from its last checkpoint."""
        return self.halted or self.lost.is_set() or self.worker.stop.is_set()


class _Heartbeat:
    """Holds a claim from a thread of its own, so that a long epoch does not lose it."""

    def __init__(self, search: Search, claim: Claim, lost: threading.Event) -> None:
        self.search, self.claim, self.lost = search, claim, lost
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> _Heartbeat:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _beat(self) -> None:
        storage = self.search.storage
        while not self.done.wait(BEAT_SECONDS):
            try:
                held = heartbeat(storage, self.claim.trial_id, self.search.owner, LEASE_SECONDS)
            except StorageError:
                continue  # only the database can say that the trial was lost; to stop before it does saves nothing
            if not held:
                self.lost.set()
                return
            storage.rest()  # a long training holds no connection


def release_dead(storage: Storage, record: StudyRecord) -> int:
    """Free the trials held by workers of this machine whose process is gone; how many there were."""
    owners = {one.worker for one in trials(storage, record.id, states=(RUNNING,))}
    gone = [owner for owner in owners if is_gone(owner)]
    return release_owners(storage, gone) if gone else 0


def failed(reason: str, claim: Claim, seconds: float) -> Outcome:
    """A trial that ended without a result, with the reason in one line."""
    line = " ".join(reason.split())[:500]
    return Outcome(FAILED, None, len(claim.epochs), seconds, reason=line)
