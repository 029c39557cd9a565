"""Starts simulated workers, kills some, has their database go away, and counts from the rows what became of it all."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import psutil
from workers_simulated import EPOCHS, STUDY, Task, study_of, work

from nas.arch.record import COMPLETE, FAILED, StudyRecord
from nas.store.engine import Storage
from nas.store.schema import create_storage
from nas.store.status import counts, status
from nas.store.studies import create_study
from nas.store.trials import history, trial_epochs
from nas.work.worker import release_dead

LOOK_SECONDS = 0.02

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["nas.work.worker", "nas.store.schema", "psycopg", "sqlalchemy.dialects.postgresql"])


class Database(Protocol):
    """Where a run's storage is, and its server if it has one."""

    url: str

    def away(self, seconds: float) -> None:
        """Kill the server, and start it again after so many seconds."""
        ...

    def cpu_seconds(self) -> float:
        """What the server has used of the processor so far."""
        ...


@dataclass(frozen=True)
class Order:
    """A run: so many `workers` and `trials` of so many `seconds`.

    One worker is killed every `kill_every` seconds, and replaced; the server is away for `outage` seconds once a
    quarter of the trials are done.
    """

    workers: int
    trials: int
    seconds: float
    kill_every: float = 0.0
    outage: float = 0.0
    seed: int = 0


@dataclass
class Fleet:
    """The workers of a run, by slot; a killed one is replaced under another slot."""

    task: Task
    order: Order
    alive: dict[int, BaseProcess] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    codes: list[int] = field(default_factory=list)
    begun: int = 0

    def start(self) -> None:
        """One more worker."""
        process = FORKED.Process(target=work, args=(self.task, self.begun), daemon=True)
        process.start()
        self.alive[self.begun] = process
        self.begun += 1

    def start_all(self) -> float:
        """All workers, each waiting for the sign to begin; the seconds until the last one waited."""
        begun = time.monotonic()
        for _ in range(self.order.workers):
            self.start()
        while waiting := [slot for slot in self.alive if not self.task.ready(slot).exists()]:
            if dead := [slot for slot in waiting if not self.alive[slot].is_alive()]:
                raise SystemExit(f"worker {dead[0]} ended with exit code {self.alive[dead[0]].exitcode}")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - begun

    def reap(self) -> None:
        """Take leave of those that ended."""
        for slot in [slot for slot, one in self.alive.items() if not one.is_alive()]:
            self.codes.append(self.alive.pop(slot).exitcode or 0)

    def kill_one(self, generator: random.Random) -> None:
        """SIGKILL one at random and start another in its place."""
        slot = generator.choice(list(self.alive))
        victim = self.alive.pop(slot)
        victim.kill()
        victim.join()
        self.killed.add(slot)
        self.start()

    def end(self) -> None:
        """Kill what is left."""
        for one in self.alive.values():
            one.kill()
            one.join()


def run(database: Database, order: Order, folder: Path) -> dict[str, Any]:
    """Start the workers, wait for the study's end, and count."""
    storage = create_storage(database.url)
    record = create_study(storage, study_of(order.trials))
    fleet = Fleet(Task(database.url, folder, 2 * order.trials, order.seconds), order)
    try:
        started = fleet.start_all()
        megabytes = statistics.median(_pss_megabytes(one) for one in fleet.alive.values())
        busy, server, load = _busy_seconds(), database.cpu_seconds(), os.getloadavg()[0]
        begun = time.monotonic()
        fleet.task.go.touch()
        _attend(fleet, storage, record, database)
        took = time.monotonic() - begun
        busy, server = _busy_seconds() - busy, database.cpu_seconds() - server
    finally:
        fleet.end()
    found = {
        **{"workers": order.workers, "trials": order.trials, "seconds_a_trial": order.seconds},
        **{"killed": len(fleet.killed), "outage_seconds": order.outage, "seconds": round(took, 2)},
        "efficiency": round(order.trials * order.seconds / (order.workers * took), 4),
        **{"trials_a_second": round(order.trials / took, 1), "start_seconds": round(started, 2)},
        **{"worker_megabytes": round(megabytes, 1), "load_before": round(load, 1)},
        **_processor(fleet, order, took, busy, server),
        **exactness(storage, record, fleet),
    }
    storage.close()
    return found


def _attend(fleet: Fleet, storage: Storage, record: StudyRecord, database: Database) -> None:
    """Until all have ended: kill, replace, free what the dead held, and have the database go away."""
    order, generator = fleet.order, random.Random(fleet.order.seed)
    next_kill = time.monotonic() + order.kill_every if order.kill_every else float("inf")
    next_look, away = time.monotonic() + 1.0, order.outage == 0
    while fleet.alive:
        time.sleep(LOOK_SECONDS)
        fleet.reap()
        now = time.monotonic()
        if now >= next_kill and fleet.alive and counts(storage, record.id)[COMPLETE] < order.trials:
            fleet.kill_one(generator)
            release_dead(storage, record)
            next_kill += order.kill_every
        if now >= next_look and (fleet.killed or not away):
            release_dead(storage, record)
            if not away and counts(storage, record.id)[COMPLETE] * 4 >= order.trials:
                database.away(order.outage)
                away = True
            next_look = time.monotonic() + 1.0


def exactness(storage: Storage, record: StudyRecord, fleet: Fleet) -> dict[str, Any]:
    """What became of the trials: lost, trained twice, left, and how often an epoch was slept through again.

    A kill cuts off an epoch at most, which another worker then does again.
    """
    rows, found = history(storage, record.id), status(storage, STUDY)
    slept = list(_slept(fleet))
    again = len(slept) - len({(number, epoch) for _, number, epoch in slept})
    by_living = Counter((number, epoch) for slot, number, epoch in slept if slot not in fleet.killed)
    whole = sum(len(trial_epochs(storage, row.id)) == EPOCHS for row in rows)
    return {
        "counts": dict(found.trials),
        "lost": record.trials - sum(row.state == COMPLETE for row in rows),
        "twice": len(rows) - len({row.fingerprint for row in rows}) + found.trained_twice,
        "left_running": sum(row.state not in (COMPLETE, FAILED) for row in rows),
        "numbers_exact": sorted(row.number for row in rows) == list(range(len(rows))),
        "epochs_exact": whole == len(rows),
        "epochs_again": again,
        "epochs_again_by_living": sum(count - 1 for count in by_living.values()),
        "workers_failed": sum(code != 0 for code in fleet.codes),
    }


def is_exact(found: dict[str, Any]) -> bool:
    """Whether a run was as it should be."""
    none = ("lost", "twice", "left_running", "workers_failed", "epochs_again_by_living")
    exact = found["numbers_exact"] and found["epochs_exact"] and found["epochs_again"] <= found["killed"]
    return bool(exact and not any(found[name] for name in none))


def _slept(fleet: Fleet) -> Iterator[tuple[int, int, int]]:
    """Slot, number and epoch of all that was slept through."""
    for slot in range(fleet.begun):
        file = fleet.task.epochs(slot)
        for line in file.read_text().splitlines() if file.exists() else ():
            number, epoch = line.split()
            yield slot, int(number), int(epoch)


def _processor(fleet: Fleet, order: Order, took: float, busy: float, server: float) -> dict[str, float]:
    """What trials cost of the processor, where no worker took its figures with it, and what others used meanwhile."""
    if fleet.killed:
        return {}
    told = [json.loads(fleet.task.told(slot).read_text()) for slot in range(fleet.begun)]
    ours = sum(one["cpu_seconds"] for one in told)
    return {
        "cpu_ms_a_trial": round(1000 * ours / order.trials, 2),
        "server_cpu_ms_a_trial": round(1000 * server / order.trials, 2),
        "machine_busy": round(busy / (took * (os.cpu_count() or 1)), 3),
        "machine_busy_with_this": round((ours + server) / (took * (os.cpu_count() or 1)), 3),
    }


def _busy_seconds() -> float:
    """The seconds that all processors of the machine together were not idle."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _pss_megabytes(process: BaseProcess) -> float:
    """A process's own memory and its share of what it has in common with others."""
    return float(psutil.Process(process.pid).memory_full_info().pss / 1e6)
