"""A worker as a process of its own: `python -m nas.work.process`, its job as JSON on standard input."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nas.arch.record import VALIDATION, StudyRecord
from nas.blocks.registry import Blocks, load_blocks
from nas.data.names import load_images
from nas.data.shared import mapped
from nas.data.split import Split, study_split
from nas.errors import DataError, NasError
from nas.net.augment import augmentation_of
from nas.net.batches import Normalisation, make_batches
from nas.net.train import EVERY, LAST, use_one_thread
from nas.search.fidelity import pruner_for
from nas.search.listed import Listing
from nas.search.loop import Proposes, Search
from nas.search.propose import Proposer
from nas.store.engine import Storage, open_storage
from nas.store.studies import find_study
from nas.study.candidates import listed
from nas.study.file import StudyFile, study_from_data
from nas.study.space import make_space
from nas.work.evaluate import Trainer
from nas.work.owner import owner_name
from nas.work.remembered import remembered
from nas.work.worker import Worker

PARENT_LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1

LEAVE: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""Tells a worker process to end after its trial, for another study; None where the system has no such signal."""


@dataclass(frozen=True)
class Job:
    """What a worker process is started with; given on standard input, since a storage URL may hold a password.

    `images`: the memory that holds the study's images, by a descriptor shared with the runner; None: it loads them for
    itself. `core` is the processor's core to compute on; None: any. `workers`: how many share the device's memory.
    A `roving` worker ends as soon as its study has nothing to do for it now, and after its trial on LEAVE.
    """

    storage: str = field(repr=False)
    study: str
    slot: int
    folder: str
    plugins: tuple[str, ...] = ()
    device: str = "cpu"
    parent: int = 0
    images: int | memoryview | None = None
    core: int | None = None
    workers: int = 1
    roving: bool = False

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self))


def main() -> int:
    """Run one worker until its study needs no more; what went wrong as one line on standard error."""
    job = Job(**json.loads(sys.stdin.read()))
    stop, leave = threading.Event(), threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if LEAVE is not None:
        signal.signal(LEAVE, lambda *_: leave.set())
    _die_with(job.parent)
    _compute_on(job.core)
    try:
        with closing(make_worker(job, stop)) as worker:
            worker.leave = leave
            gc.freeze()  # what was imported stays: to look through it again takes a fifth of a second each time
            worker.run()
    except NasError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        return error.exit_code
    return 0


def make_worker(job: Job, stop: threading.Event, blocks: Blocks | None = None) -> Worker:
    """The worker of a job: its own view of the storage, its own proposer, the study's images on the device."""
    use_one_thread()
    storage = open_storage(job.storage, patient=True)
    try:
        return _worker(job, stop, storage, blocks)
    except BaseException:
        storage.close()
        raise


def _worker(job: Job, stop: threading.Event, storage: Storage, blocks: Blocks | None) -> Worker:
    record = find_study(storage, job.study)
    study = study_from_data(record.config)
    blocks = load_blocks(job.plugins) if blocks is None else blocks
    search = Search(storage, record, owner_name(job.slot), _proposer(storage, study, record, blocks, job.slot))
    pruner = pruner_for(study.search.pruner, study.recipe.epochs)
    trainer = _trainer(job, storage, study, record, blocks)
    images = len(trainer.batches.validation_labels)
    return Worker(search, trainer, pruner, study.recipe.epochs, images, stop, patient=not job.roving)


def _proposer(storage: Storage, study: StudyFile, record: StudyRecord, blocks: Blocks, slot: int) -> Proposes:
    if study.space is None:
        return Listing(listed(study.candidates, blocks, record.input, record.classes)[0])
    space = make_space(study.space, blocks, record.input, record.classes, order=record.blocks)
    return Proposer(
        space,
        blocks,
        study.budget,
        sampler=study.search.sampler,
        trials=record.trials,
        seed=(record.seed * 1009 + slot) % 2**31,
        fill=study.search.fill,
        slot=slot,
        memory=remembered(storage, record.id) if study.search.memory else None,
    )


def _trainer(job: Job, storage: Storage, study: StudyFile, record: StudyRecord, blocks: Blocks) -> Trainer:
    recipe = study.recipe
    split = _loaded(job, study, record) if job.images is None else Split(**mapped(job.images, record.dataset_hash))
    batches = make_batches(split, recipe.batch_size, job.device, augmentation_of(recipe), _normalisation(record))
    scored = EVERY if study.scored_on == VALIDATION else LAST
    return Trainer(blocks, batches, recipe, record.seed, study.repeats, scored, storage, job.workers)


def _loaded(job: Job, study: StudyFile, record: StudyRecord) -> Split:
    images = load_images(record.dataset, folder=Path(job.folder))
    if images.content_hash != record.dataset_hash:
        raise DataError(f"data set {record.dataset!r}: its images are no longer those that the study began with")
    return study_split(images, record.seed, study.recipe.images, study.scored_on)


def _normalisation(record: StudyRecord) -> Normalisation | None:
    """As the study began: sums in another order, as over images that lie otherwise, may end in another last digit."""
    if not {"mean", "std"} <= record.images.keys():
        return None
    return Normalisation(tuple(record.images["mean"]), tuple(record.images["std"]))


def _compute_on(core: int | None) -> None:
    """Stay on one core; on any, where none is named or it has been taken from this process."""
    if core is not None:
        with suppress(OSError):
            os.sched_setaffinity(0, {core})


def _die_with(parent: int) -> None:
    """End this process when its parent is gone, however that ended: nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main())
