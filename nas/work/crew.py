"""Worker processes of this machine that go from study to study: the open one of the highest priority first."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from nas.arch.record import StudyRecord, TrialRecord
from nas.blocks.registry import Blocks
from nas.errors import NasError, NotFound
from nas.store.engine import Storage
from nas.store.leases import release_owners
from nas.store.queue import Queued, queue
from nas.store.status import status
from nas.store.studies import find_study
from nas.store.trials import steps
from nas.work.child import Child
from nas.work.desk import Desk, open_desk
from nas.work.launch import MOST_RESTARTS, end
from nas.work.owner import is_gone, process_here
from nas.work.places import MOST, PER_CORE, pins, usable_cores
from nas.work.process import LEAVE

REST_SECONDS = 5.0
"""A study that had nothing for a worker, though it looked so, is left alone for so long."""

RETRY_SECONDS = 60.0
"""A study that cannot be worked on here is tried again after so long, by a worker that waits for studies."""


@dataclass(frozen=True)
class Told:
    """What a worker tells while it goes on: lines, and the trials that its processes ended."""

    line: Callable[[str], None] = lambda text: None
    trial: Callable[[TrialRecord], None] = lambda trial: None


@dataclass(frozen=True)
class _Refusal:
    """Why a study is left to other workers, and until when by the process's own clock.

    `broken`: it was begun, and its processes cannot go on.
    """

    reason: str
    until: float
    broken: bool = False


@dataclass
class _Deaths:
    """How many processes of a study were killed in a row, no epoch or trial ended in between."""

    count: int = 0
    moved: int = -1


@dataclass(frozen=True)
class _Post:
    """A process and the study that it is at."""

    study_id: int
    child: Child

    @property
    def pid(self) -> int:
        return self.child.process.pid


@dataclass
class Crew:
    """Up to so many worker processes (None: as the machine bears), each at one study, given another when it ends.

    `only`: the one study to work on.
    """

    storage: Storage
    blocks: Blocks
    plugins: tuple[str, ...]
    device: str
    concurrency: int | None
    only: str | None
    told: Told
    posts: dict[int, _Post] = field(default_factory=dict)
    desks: dict[int, Desk] = field(default_factory=dict)
    refusals: dict[int, _Refusal] = field(default_factory=dict)
    resting: dict[int, float] = field(default_factory=dict)
    deaths: dict[int, _Deaths] = field(default_factory=dict)
    leaving: set[int] = field(default_factory=set)
    last_told: str = ""

    def __post_init__(self) -> None:
        cores = usable_cores()
        on_cuda = self.device.startswith("cuda")
        self.places = self.concurrency or (min(MOST, PER_CORE * len(cores)) if on_cuda else len(cores))
        self.cores = pins(self.places, cores, self.device)

    def turn(self) -> bool:
        """Look after the processes and the studies once; whether there is, or may come, something to do here."""
        self._reap()
        open_studies = self._queue()
        for desk in self.desks.values():
            desk.look(self.told.trial)
        self._clear(open_studies)
        self._staff(open_studies)
        return bool(self.posts) or any(one.id not in self.refusals for one in open_studies)

    def tell_once(self, line: str) -> None:
        """Tell a line unless it is the one that was told so before."""
        if line != self.last_told:
            self.told.line(line)
        self.last_told = line

    def check_refusals(self) -> None:
        """Raise NasError where the one study asked for, or one that was begun, cannot be worked on here."""
        for refusal in self.refusals.values():
            if refusal.broken or self.only is not None:
                raise NasError(refusal.reason)

    def stop(self) -> None:
        """Have every process let go of its trial and end."""
        pids = {post.pid for post in self.posts.values()}
        try:
            end([post.child for post in self.posts.values()])
        finally:
            self.posts.clear()
            owners = [owner for one in queue(self.storage) for owner in one.owners]
            self._free(owner for owner in owners if process_here(owner) in pids)
            for desk in self.desks.values():
                desk.close(self.told.trial)
            self.desks.clear()

    def _queue(self) -> list[Queued]:
        """The open studies; trials of this machine's workers that were killed are free at once."""
        found = queue(self.storage, self.only)
        gone = [owner for one in found for owner in one.owners if is_gone(owner)]
        if not gone:
            return found
        self._free(gone)
        return queue(self.storage, self.only)

    def _free(self, owners: Iterator[str] | Collection[str]) -> None:
        if named := list(owners):
            release_owners(self.storage, named)

    def _reap(self) -> None:
        """Take leave of the processes that ended, and of studies for which they cannot work."""
        for slot, post in list(self.posts.items()):
            code = post.child.process.poll()
            if code is None:
                continue
            said = post.child.said()
            post.child.close()
            del self.posts[slot]
            told_to = slot in self.leaving
            self.leaving.discard(slot)
            if code == 0 or (told_to and LEAVE is not None and code == -LEAVE):
                self.resting[post.study_id] = time.monotonic() + (0.0 if told_to else REST_SECONDS)
            else:
                self._broke(post.study_id, post.child.job.study, code, said)

    def _broke(self, study_id: int, name: str, code: int, said: str) -> None:
        """A process that could not go on refuses the study; killed ones do after several in a row."""
        with suppress(NotFound):
            record = find_study(self.storage, name)
            if code > 0:
                self._refuse(record, said or f"its process ended with exit code {code}", broken=True)
                return
            moved, deaths = steps(self.storage, record.id), self.deaths.setdefault(study_id, _Deaths())
            deaths.count = 1 if moved != deaths.moved else deaths.count + 1
            deaths.moved = moved
            if deaths.count > MOST_RESTARTS + self.places:
                told = said or "nothing was said"
                self._refuse(record, f"its processes keep dying (the last by signal {-code}): {told}", broken=True)

    def _refuse(self, record: StudyRecord, reason: str, broken: bool = False) -> None:
        line = f"study {record.name!r}: {' '.join(reason.split())}"
        before = self.refusals.get(record.id)
        self.refusals[record.id] = _Refusal(line, time.monotonic() + RETRY_SECONDS, broken)
        if before is None or before.reason != line:
            self.told.line(f"{line}; left to other workers")

    def _clear(self, open_studies: Sequence[Queued]) -> None:
        """Put away what is over, paused, cancelled or removed."""
        still = {one.id for one in open_studies}
        used = {post.study_id for post in self.posts.values()}
        for study_id in [id for id in self.desks if id not in still and id not in used]:
            desk = self.desks.pop(study_id)
            desk.close(self.told.trial)
            self.told.line(self._ended(desk.record.name))
        for known in (self.refusals, self.resting, self.deaths):
            for study_id in [id for id in known if id not in still]:
                del known[study_id]

    def _ended(self, name: str) -> str:
        try:
            found = status(self.storage, name)
        except NotFound:
            return f"study {name!r}: removed"
        done = found.trials["complete"] + found.trials["pruned"]
        return f"study {name!r}: {found.state}, {done:,} of {found.trials['total']:,} trials"

    def _is_able(self, one: Queued) -> bool:
        """Whether this machine has what the study needs; that is looked into once there is something to do."""
        refusal = self.refusals.get(one.id)
        if refusal is not None and time.monotonic() < refusal.until:
            return False
        if self._desk(one) is None:
            return False
        self.refusals.pop(one.id, None)
        return True

    def _desk(self, one: Queued) -> Desk | None:
        """The study made ready; made anew where it was submitted with changes; None where this machine cannot."""
        desk = self.desks.get(one.id)
        try:
            record = find_study(self.storage, one.name)
        except NotFound:
            return None
        if desk is not None and desk.is_of(record):
            return desk
        try:
            made = open_desk(self.storage, record, self.blocks, self.plugins, self.device, self.concurrency)
        except NasError as error:
            self._refuse(record, "; ".join(error.lines).replace(f"study {record.name!r}: ", ""))
            return None
        if desk is not None:
            desk.close(self.told.trial)
        else:
            self.told.line(f"study {record.name!r}: at work, priority {record.priority}")
        self.desks[one.id] = made
        return made

    def _staff(self, studies: Sequence[Queued]) -> None:
        """Give free places to the first studies that want workers; where none is free, have the last make room."""
        free = [slot for slot in range(self.places) if slot not in self.posts]
        making_room = len(self.leaving)
        for rank, one in enumerate(studies):
            lower = {other.id for other in studies[rank + 1 :]}
            room = len(free) + sum(post.study_id in lower for post in self.posts.values())
            for _ in range(self._lacking(one) if room and self._is_wanting(one) else 0):
                if free:
                    self._start(one, free.pop(0))
                elif making_room:
                    making_room -= 1
                else:
                    self._make_room(studies[rank + 1 :])

    def _is_wanting(self, one: Queued) -> bool:
        """Whether there is something to do in the study, and this machine can."""
        return one.wanted > 0 and self.resting.get(one.id, 0.0) <= time.monotonic() and self._is_able(one)

    def _lacking(self, one: Queued) -> int:
        """How many more processes the study would have here: those here that hold no trial are about to ask for one."""
        here = [post.pid for post in self.posts.values() if post.study_id == one.id]
        holding = {process_here(owner) for owner in one.owners}
        idle = sum(pid not in holding for pid in here)
        most = self.desks[one.id].limit - len(here)
        return max(0, min(one.wanted - idle, most, self.places))

    def _start(self, one: Queued, slot: int) -> None:
        """A process for the study; workers elsewhere count, so that it proposes otherwise than they do."""
        ours = {post.pid for post in self.posts.values()}
        elsewhere = sum(process_here(owner) not in ours for owner in one.owners)
        job = replace(self.desks[one.id].job, slot=elsewhere + slot, core=self.cores[slot], workers=self.places)
        self.posts[slot] = _Post(one.id, Child(job))

    def _make_room(self, lower: Sequence[Queued]) -> None:
        """Have one process of the last of the lower studies end after its trial."""
        if LEAVE is None:
            return
        for one in reversed(lower):
            here = [slot for slot, post in self.posts.items() if post.study_id == one.id]
            staying = [slot for slot in here if slot not in self.leaving]
            if staying:
                self.leaving.add(staying[-1])
                self.posts[staying[-1]].child.process.send_signal(LEAVE)
                return
