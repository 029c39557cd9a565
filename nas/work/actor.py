"""A worker on whichever node of a cluster it is placed, and placed again; knows nothing of who places it."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.metadata import version
from socket import gethostname

from nas.arch.record import RUNNING, StudyRecord
from nas.data.images import Array
from nas.errors import NasError
from nas.store.engine import Storage, open_storage
from nas.store.leases import release_owners
from nas.store.studies import find_study
from nas.store.trials import trials
from nas.work.owner import owner_name
from nas.work.process import Job, make_worker
from nas.work.worker import Worker

CARRIED = ("PG", "NAS_LOAD_PLUGINS")
"""The runner's variables whose names begin so are the workers' too: how PostgreSQL is reached, which plugins load."""


@dataclass(frozen=True)
class Place:
    """A place for a worker, which keeps its `name` however often another worker must be put into it.

    `environment` and `version`: the runner's, which the worker's node is to have too.
    """

    name: str
    job: Job
    environment: Mapping[str, str]
    version: str


class Actor:
    """A worker of one study in a process of its own, begun anew elsewhere when that is killed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.stopping = threading.Event()

    def work(self, images: Array) -> list[str]:
        """Work until the study needs no more, or until `stop`; the lines of what went wrong, none if nothing did.

        `images`: all bytes that the runner laid, shared by the workers of a node.
        """
        os.environ.update(self.place.environment)
        try:
            self._check_version()
            with closing(self._worker(images)) as worker:
                worker.run()
        except NasError as error:
            return error.lines
        return []

    def stop(self) -> None:
        """Let go of the trial and end."""
        self.stopping.set()

    def _worker(self, images: Array) -> Worker:
        job = replace(self.place.job, images=images.data)
        _free(job, self.place.name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nobody writes
            worker = make_worker(job, self.stopping)
        worker.search.owner = placed(owner_name(job.slot), self.place.name)
        return worker

    def _check_version(self) -> None:
        here, there = version("nas"), self.place.version
        if here != there:
            raise NasError(f"node {gethostname()} has nas {here}, the runner has {there}: install one on all nodes")


def environment() -> dict[str, str]:
    """What a worker elsewhere is told of this process's environment."""
    return {name: value for name, value in os.environ.items() if name.startswith(CARRIED)}


def placed(owner: str, place: str) -> str:
    """The name of a worker that tells its place too, so that what it held is found when it is gone."""
    host, process, moment, *rest = owner.split(":")
    return ":".join([host, process, f"{moment}-{place}", *rest])


def free(storage: Storage, record: StudyRecord, places: set[str]) -> int:
    """Let go of what the workers of places held, who are known to be gone; how many trials that were."""
    owners = held(storage, record, places)
    return release_owners(storage, owners) if owners else 0


def held(storage: Storage, record: StudyRecord, places: set[str]) -> set[str]:
    """The workers of places that hold a trial."""
    owners = {one.worker for one in trials(storage, record.id, states=(RUNNING,))}
    return {owner for owner in owners if _place(owner) in places}


def _place(owner: str) -> str:
    """The place in a worker's name; empty where there is none."""
    return "".join(owner.split(":")[2:3]).partition("-")[2]


def _free(job: Job, place: str) -> None:
    """What whoever had the place before still held: one who is placed again need not wait for a lease."""
    storage = open_storage(job.storage)
    try:
        free(storage, find_study(storage, job.study), {place})
    finally:
        storage.close()
