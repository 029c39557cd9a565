"""Running a study on this machine: worker processes started, watched, replaced when killed, and stopped cleanly."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import IO, Protocol

from nas.arch.record import CANCELLED, COMPLETE, PAUSED, RUNNING, StudyRecord, TrialRecord
from nas.blocks.registry import Blocks
from nas.errors import Interrupted, NasError
from nas.search.mirror import Mirror
from nas.store.engine import Storage
from nas.store.leases import MAX_DEATHS
from nas.store.ranking import best_trial
from nas.store.status import counts, state_of
from nas.store.trials import history_since, latest_revision, steps, trials
from nas.study.space import Space
from nas.work.child import Child
from nas.work.process import Job, make_worker
from nas.work.worker import release_dead

TICK_SECONDS = 0.25

ENDS = ("complete", "failed", PAUSED, CANCELLED)
"""The states of a study in which its workers end by themselves."""

STOP_SECONDS = 20.0
"""How long workers may take to let go of their trials before they are killed: that loses the epoch under way."""

MOST_RESTARTS = 5
"""So many workers in a row may die without an epoch or a trial ended in between, beside those whose trial is given up
for it; then the run gives up."""

Ended = tuple[TrialRecord, ...]


@dataclass(frozen=True)
class Progress:
    """What a display shows: the study's counts, trials that ended since the last look, those under way.

    `best` of the whole study so far; `seconds` since the run began, and what is left of it by the trials ended so
    far, None before the first.
    """

    total: int
    counts: Mapping[str, int]
    ended: Ended
    running: Ended
    best: TrialRecord | None
    seconds: float
    seconds_left: float | None


Watch = Callable[[Progress], None]


class Stoppable(Protocol):
    """Workers that can be told to end."""

    def stop(self) -> None:
        """Have every worker let go of its trial and end; returns when all have."""
        ...


class Fleet(Stoppable, Protocol):
    """The workers of a run, wherever they are."""

    def start(self) -> None:
        """Begin to work."""
        ...

    def alive(self) -> bool:
        """Whether any is at work; the dead are replaced on the way. Raises NasError where that is of no use."""
        ...


def run(
    storage: Storage,
    record: StudyRecord,
    space: Space | None,
    fleet: Fleet,
    watch: Watch,
    *,
    timeout: float | None = None,
) -> None:
    """Run a study to its total of trials, or until `timeout` seconds have passed.

    What workers of this machine held who are no more is free at once.

    Raises Interrupted on Ctrl-C or SIGTERM; then, as at any end, no worker is left running and all state is kept.
    """
    release_dead(storage, record)
    glass = _Glass(storage, record)
    mirror = Mirror(storage, record, space)
    begun = time.monotonic()
    try:
        with interruptible(), stopped(fleet):
            fleet.start()
            while fleet.alive() and (timeout is None or time.monotonic() - begun < timeout):
                watch(glass.look())
                mirror.update()
                time.sleep(TICK_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; everything is kept: run the same command again and it goes on") from None
    finally:
        watch(glass.look())
        mirror.update()
        mirror.close()


def catch_up(storage: Storage, record: StudyRecord, space: Space | None) -> None:
    """Write into Optuna's tables what a run that was killed at its end did not."""
    mirror = Mirror(storage, record, space)
    try:
        mirror.update()
    finally:
        mirror.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopped(fleet: Stoppable) -> Iterator[None]:
    """Have workers end with what is done in it, however that ends."""
    try:
        yield
    finally:
        fleet.stop()


class _Glass:
    """Looks at a study's rows again and again, telling what ended since the last look."""

    def __init__(self, storage: Storage, record: StudyRecord) -> None:
        self.storage, self.record = storage, record
        self.revision = latest_revision(storage, record.id)
        self.best = best_trial(storage, record.id)
        self.begun = time.monotonic()
        self.first = _done(counts(storage, record.id))

    def look(self) -> Progress:
        self.revision, changed = history_since(self.storage, self.record.id, self.revision)
        numbers = counts(self.storage, self.record.id)
        seconds = time.monotonic() - self.begun
        here = _done(numbers) - self.first
        self.best = _best([*changed, *([self.best] if self.best else [])])
        left = (self.record.trials - _done(numbers)) * seconds / here if here > 0 else None
        return Progress(
            total=self.record.trials,
            counts=numbers,
            ended=tuple(one for one in changed if one.finished is not None),
            running=tuple(trials(self.storage, self.record.id, states=(RUNNING,))),
            best=self.best,
            seconds=seconds,
            seconds_left=left,
        )


def _best(found: Sequence[TrialRecord]) -> TrialRecord | None:
    complete = [one for one in found if one.state == COMPLETE]
    return min(complete, key=lambda one: (-(one.accuracy or 0.0), one.totals.params, one.totals.macs), default=None)


def _done(numbers: Mapping[str, int]) -> int:
    return numbers["complete"] + numbers["pruned"]


@dataclass
class Processes:
    """Worker processes on this machine. One that is killed is replaced, and its trial is free at once.

    `images` is the memory whose descriptor the jobs name; this process lets go of it at the end.
    """

    storage: Storage
    record: StudyRecord
    jobs: list[Job]
    images: IO[bytes] | None = None
    places: dict[int, Child] = field(default_factory=dict)
    deaths: int = 0
    progress: int = -1

    def start(self) -> None:
        """Start every worker."""
        for job in self.jobs:
            self.places[job.slot] = Child(job)

    def alive(self) -> bool:
        """Whether any worker is at work; one that was killed is replaced."""
        for place in list(self.places.values()):
            code = place.process.poll()
            if code is None:
                continue
            del self.places[place.job.slot]
            said = place.said()
            place.close()
            if code != 0 or state_of(self.storage, self.record.name) not in ENDS:
                self._died(place.job, code, said)
        return bool(self.places)

    def _died(self, job: Job, code: int, said: str) -> None:
        """Free the trial of a dead worker and put another in its place."""
        release_dead(self.storage, self.record)
        if code > 0 and code != 1 + 128:
            raise NasError(said or f"worker {job.slot} ended with exit code {code}")
        moved = steps(self.storage, self.record.id)
        self.deaths = 1 if moved != self.progress else self.deaths + 1
        self.progress = moved
        if self.deaths > MOST_RESTARTS + (MAX_DEATHS + 1) * len(self.jobs):
            raise NasError(f"workers keep dying (the last by signal {-code}): {said or 'nothing was said'}")
        self.places[job.slot] = Child(job)

    def stop(self) -> None:
        """Have every worker let go of its trial and end."""
        try:
            end(list(self.places.values()))
        finally:
            if self.images is not None:
                self.images.close()
            release_dead(self.storage, self.record)


def end(children: Sequence[Child]) -> None:
    """Ask worker processes to let go; kill those who do not within the time, or at once on a second Ctrl-C."""
    for child in children:
        child.process.terminate()
    until = time.monotonic() + STOP_SECONDS
    try:
        for child in children:
            child.wait(until - time.monotonic())
    finally:
        for child in children:
            child.close()


@dataclass
class InProcess:
    """One worker in a thread of this process: for debuggers, and where starting processes is not wanted."""

    job: Job
    blocks: Blocks
    stopping: threading.Event = field(default_factory=threading.Event)
    problems: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work, name="worker")

    def start(self) -> None:
        """Begin to work."""
        self.thread.start()

    def _work(self) -> None:
        try:
            with closing(make_worker(self.job, self.stopping, self.blocks)) as worker:
                worker.run()
        except BaseException as error:
            self.problems.append(error)

    def alive(self) -> bool:
        """Whether the worker is at work."""
        if not self.thread.is_alive() and self.problems:
            raise self.problems.pop()
        return self.thread.is_alive()

    def stop(self) -> None:
        """Have the worker let go of its trial."""
        self.stopping.set()
        if self.thread.ident is not None:
            self.thread.join()
