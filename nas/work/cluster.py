"""Running a study on a Ray cluster: which places its workers have there, and how they are watched and stopped."""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from nas.arch.record import StudyRecord
from nas.blocks.registry import load_blocks
from nas.data.shared import whole
from nas.errors import NasError, StorageError
from nas.store.engine import Storage
from nas.store.status import state_of
from nas.store.trials import steps
from nas.store.urls import is_uri, parse_url, shown, sqlite_file
from nas.work.actor import Actor, Place, environment, free, held
from nas.work.child import KEEP_FREED, ONE_THREAD
from nas.work.jobs import How, run_checked
from nas.work.launch import ENDS, MOST_RESTARTS, STOP_SECONDS, TICK_SECONDS, Watch
from nas.work.prepare import Study, prepare, shared_images
from nas.work.process import Job

try:
    import ray
    import ray.exceptions
except ImportError:
    ray = None

NEEDS = "ray is not installed: pip install 'nas[ray]'"


@dataclass(frozen=True)
class Asked:
    """What is asked of a cluster: its address (None: RAY_ADDRESS, a Ray of this machine, else one made for the run).

    `workers`: how many actors (None: as many as there is room for); `gpus`: of how much of a GPU each (None: of one
    where the cluster has any and `device` allows).
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    device: str = "auto"


def run_on_ray(
    path: Path,
    *,
    storage: str,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    plugins: Sequence[str] = (),
    overrides: Sequence[str] = (),
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = lambda progress: None,
) -> StudyRecord:
    """As `run_study`, with the workers as actors of a Ray cluster, each on one core and `gpus_per_worker` GPUs.

    Every node has the same nas and plugins, and reaches the storage. The images are sent once to each node. Raises
    NasErrors: those of `run_study`, no Ray, no cluster at the address, no room for a worker there.
    """
    if ray is None:
        raise NasError(NEEDS)
    asked = Asked(address, workers, gpus_per_worker, device)
    check(asked)
    how = How(storage, tuple(plugins), timeout, None, "cpu", watch, partial(_fleet, asked))
    study = prepare(path, load_blocks(plugins), overrides=overrides)
    with redirect_stdout(sys.stderr):  # where Ray tells of what died; standard output is for the ranking
        return run_checked(study, how)


def check(asked: Asked) -> None:
    """Raise NasError on what no cluster can give."""
    gpus = asked.gpus
    if asked.workers == 0:
        raise NasError("--workers 0: Ray's workers are never in this process; allowed: at least 1")
    if gpus is not None and (gpus <= 0 or (gpus > 1 and gpus != int(gpus))):
        raise NasError(f"--gpus-per-worker {gpus:g}: allowed: a part of a GPU, as 0.25, or a whole number of them")
    if gpus is not None and asked.device == "cpu":
        raise NasError(f"--gpus-per-worker {gpus:g}: not with --device cpu")


def _fleet(asked: Asked, storage: Storage, record: StudyRecord, study: Study, job: Job) -> Actors:
    """The workers of a study on the cluster asked for, which is left again where there is no room for them."""
    begun = not ray.is_initialized()
    if begun:
        _connect(asked.address)
    try:
        rooms = _rooms(asked)
        url = _reached(job.storage)
        count = min(asked.workers or sum(rooms.places), record.trials)
        job = replace(job, storage=url, device="cuda" if rooms.gpus else "cpu", workers=min(count, rooms.sharing))
        with shared_images(study) as file:
            images = ray.put(whole(file))
        jobs = [replace(job, slot=slot) for slot in range(count)]
    except BaseException:
        if begun:
            ray.shutdown()
        raise
    return Actors(storage, record, jobs, images, rooms.gpus, begun)


def _connect(address: str | None) -> None:
    """Join a cluster. One that is made here for the run tells nobody of it and has no page of its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    page = None if address else False
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=page)
    except Exception as error:
        where = f"--address {address}" if address else "Ray"
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NasError(f"{where}: no cluster answers: {reason}") from error


@dataclass(frozen=True)
class _Rooms:
    """How many workers each node has places for, each with so much of a GPU; how many of them share its memory."""

    places: tuple[int, ...]
    gpus: float
    sharing: int


def _rooms(asked: Asked) -> _Rooms:
    """The places of the cluster as it is now. Raises NasError where there is none."""
    nodes: list[Mapping[str, float]] = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    given = 1.0 if asked.device == "cuda" or (asked.device == "auto" and most) else 0.0
    gpus = given if asked.gpus is None else asked.gpus
    room = tuple(places(node, gpus) for node in nodes)
    if not any(room):
        wanted = f"one CPU and {gpus:g} of a GPU" if gpus else "one CPU"
        cores = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
        have = f"none of its {len(nodes)} nodes has more than {cores:g} CPUs and {most:g} GPUs"
        raise NasError(f"the Ray cluster has no room for a worker, which takes {wanted}: {have}")
    return _Rooms(room, gpus, max(1, math.floor(1 / gpus)) if gpus else max(room))


def places(node: Mapping[str, float], gpus: float) -> int:
    """How many workers a node of these resources has room for, each with so much of a GPU."""
    cores = int(node.get("CPU", 0))
    if not gpus:
        return cores
    # Ray divides single GPUs, and never spreads a part over two.
    whole_ones = int(node.get("GPU", 0))
    return min(cores, whole_ones * math.floor(1 / gpus) if gpus <= 1 else whole_ones // int(gpus))


def _reached(url: str) -> str:
    """The storage's URL as the nodes can use it. Raises StorageError: a file that other machines do not have."""
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is None:
        return url
    others = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]} - {socket.gethostname()}
    if others:
        named = ", ".join(sorted(others)[:3])
        raise StorageError(
            f"{shown(parsed)}: a file of this machine, and Ray's nodes are others ({named}); use PostgreSQL"
        )
    whole = f"file:{quote(str(file.absolute()))}" if is_uri(parsed) else str(file.absolute())
    return parsed.set(database=whole).render_as_string(hide_password=False)


@dataclass
class _Seat:
    """A place, the actor that has it, and what its work comes back as."""

    place: Place
    actor: Any
    work: Any


@dataclass
class Actors:
    """Workers on a Ray cluster, which places them, and again those whose process or node was killed.

    `images` refers to what was laid into the object store, `gpus` is each worker's part. Ray is left at the end where
    this run was what joined it.
    """

    storage: Storage
    record: StudyRecord
    jobs: list[Job]
    images: Any
    gpus: float
    joined: bool
    seats: dict[int, _Seat] = field(default_factory=dict)
    progress: int = -1

    def start(self) -> None:
        """Ask for every worker's place."""
        self.progress = steps(self.storage, self.record.id)
        for job in self.jobs:
            self._seat(job)

    def alive(self) -> bool:
        """Whether the study has use for workers and any is at work, or waits for a place."""
        works = [seat.work for seat in self.seats.values()]
        ready, _ = ray.wait(works, num_returns=len(works), timeout=0)
        for seat in [seat for seat in self.seats.values() if seat.work in ready]:
            self._ended(seat)
        return bool(self.seats) and self._goes_on()

    def stop(self) -> None:
        """Have every worker let go of its trial, and end them: those too that do not within the time."""
        seats = list(self.seats.values())
        places = {seat.place.name for seat in seats}
        try:
            for seat in seats:
                seat.actor.stop.remote()
            until = time.monotonic() + STOP_SECONDS
            while held(self.storage, self.record, places) and time.monotonic() < until:
                time.sleep(TICK_SECONDS)
        finally:
            for seat in seats:
                ray.kill(seat.actor, no_restart=True)
            free(self.storage, self.record, places)
            if self.joined:
                ray.shutdown()

    def _seat(self, job: Job) -> None:
        place = Place(uuid4().hex[:12], job, environment(), version("nas"))
        actor = ray.remote(Actor).options(
            num_cpus=1,
            num_gpus=self.gpus,
            max_concurrency=2,  # `stop` is heard while it works
            max_restarts=MOST_RESTARTS,
            max_task_retries=-1,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": {**KEEP_FREED, **ONE_THREAD}},
        )
        started = actor.remote(place)
        self.seats[job.slot] = _Seat(place, started, started.work.remote(self.images))

    def _ended(self, seat: _Seat) -> None:
        """Take leave of a worker; put another into its place where it was killed too often but not in vain."""
        del self.seats[seat.place.job.slot]
        try:
            lines = ray.get(seat.work)
        except ray.exceptions.RayTaskError as error:
            raise NasError(f"worker {seat.place.job.slot}: {_last_line(error)}") from error
        except ray.exceptions.RayError as error:
            self._died(seat, error)
            return
        ray.kill(seat.actor, no_restart=True)
        if lines:
            raise NasError("\n".join(lines))
        if self._goes_on():
            self._seat(seat.place.job)

    def _died(self, seat: _Seat, error: Exception) -> None:
        free(self.storage, self.record, {seat.place.name})
        moved = steps(self.storage, self.record.id)
        if moved == self.progress:
            told = f"{MOST_RESTARTS + 1} in one place, and nothing was done"
            raise NasError(f"workers keep dying, {told}: {_last_line(error)}") from error
        self.progress = moved
        self._seat(seat.place.job)

    def _goes_on(self) -> bool:
        return state_of(self.storage, self.record.name) not in ENDS


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
