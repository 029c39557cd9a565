"""A worker that sleeps instead of training, as a process of its own: neither torch nor Optuna is loaded in it.

Everything else is the program's: the search asks the storage as it always does, and the worker claims, holds, notes
down and ends its trials. It leaves two files in the run's folder: `epochs-SLOT`, a line for each epoch that it slept
through, and at its end `told-SLOT`, the seconds of processor that its trials took.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.arch.record import COMPLETE, Candidate, Claim, EpochRecord, Outcome, StudyRecord, Totals, TrialRecord
from nas.search.loop import Search
from nas.store.engine import open_storage
from nas.store.studies import find_study
from nas.work.owner import owner_name
from nas.work.worker import Report, Worker

STUDY = "simulated"
EPOCHS = 2
LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Task:
    """What the workers of a run do: trials of so many `seconds`, drawn from so many `networks`."""

    url: str
    folder: Path
    networks: int
    seconds: float

    @property
    def go(self) -> Path:
        """Once this file is there, work begins."""
        return self.folder / "go"

    def ready(self, slot: int) -> Path:
        """A worker's sign that it waits for the beginning."""
        return self.folder / f"ready-{slot}"

    def told(self, slot: int) -> Path:
        """What a worker tells at its end."""
        return self.folder / f"told-{slot}"

    def epochs(self, slot: int) -> Path:
        """Number and epoch of all that a worker slept through."""
        return self.folder / f"epochs-{slot}"


class Numbered:
    """Proposes network 0, 1, 2 … in an order of its own, but for those it has read of in the study's history."""

    def __init__(self, networks: int, seed: int) -> None:
        self.left = random.Random(seed).sample(range(networks), networks)
        self.known: set[str] = set()

    def learn(self, records: Sequence[TrialRecord]) -> None:
        """Networks that are trials by now."""
        self.known.update(one.fingerprint for one in records)

    def ask(self) -> Candidate | None:
        """The next network of this worker's order that nobody has tried."""
        while self.left:
            found = candidate(self.left.pop())
            if found.fingerprint not in self.known:
                return found
        return None

    def taken(self, candidate: Candidate) -> None:
        """Nobody else trains these networks."""


def candidate(number: int) -> Candidate:
    """A network that only has a number."""
    fingerprint = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    totals = Totals(1000 + number, 900, 10_000, 500, 9, 0, 3)
    spec = {"format": 1, "input": [1, 8, 8], "classes": 10, "parts": [{"block": "conv", "width": number + 1}]}
    return Candidate(spec, fingerprint, fingerprint, ("conv",), totals, {"width": number}, {"width": number}, False)


def study_of(trials: int) -> StudyRecord:
    """The study that all simulated workers are at."""
    digest = "0" * 64
    return StudyRecord(
        STUDY, "digits", digest, (1, 8, 8), 10, 0, trials, {}, {}, ("conv",), {}, "recipe", epochs=EPOCHS, keep=0
    )


def simulate(seconds: float, log: int | None = None) -> Callable[[Claim, Report, Callable[[], bool]], Outcome | None]:
    """A trial that sleeps, written into the file `log` epoch by epoch."""

    def evaluate(claim: Claim, report: Report, stopped: Callable[[], bool]) -> Outcome | None:
        accuracy = int(claim.fingerprint[:4], 16) / 65536
        for epoch in range(len(claim.epochs) + 1, EPOCHS + 1):
            time.sleep(seconds / EPOCHS)
            if log is not None:
                os.write(log, f"{claim.number} {epoch}\n".encode())
            if not report(EpochRecord(epoch, accuracy, 1.0, 1.0, seconds / EPOCHS), b"state"):
                return None
        return Outcome(COMPLETE, accuracy, EPOCHS, seconds)

    return evaluate


def work(task: Task, slot: int) -> None:
    """One worker process, from the sign to begin until the study's end."""
    storage = open_storage(task.url, patient=True)
    record = find_study(storage, STUDY)
    assert not {"torch", "optuna"} & set(sys.modules), "a simulated worker loads neither"
    log = os.open(task.epochs(slot), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    search = Search(storage, record, owner_name(slot), Numbered(task.networks, slot))
    worker = Worker(search, simulate(task.seconds, log), epochs=EPOCHS)
    storage.rest()  # a server lets in fewer than wait here
    task.ready(slot).touch()
    while not task.go.exists():
        time.sleep(LOOK_SECONDS)
    before = time.process_time()
    ended = worker.run()
    told = {"ended": ended, "cpu_seconds": time.process_time() - before}
    task.told(slot).write_text(json.dumps(told))
