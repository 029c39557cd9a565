"""A study as this machine works on it: what its processes are handed, and its trials in Optuna's tables."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nas.arch.record import StudyRecord, TrialRecord
from nas.blocks.registry import Blocks
from nas.search.mirror import Mirror
from nas.store.engine import Storage
from nas.store.trials import history_since, latest_revision
from nas.study.space import Space, make_space
from nas.work.owner import process_here
from nas.work.places import default_workers
from nas.work.prepare import Study, shared_images
from nas.work.process import Job
from nas.work.recorded import recorded


@dataclass
class Desk:
    """An open study, its images shared among the processes that are given its `job`; at most `limit` of them.

    `revision`: up to where its trials have been told of.
    """

    storage: Storage
    record: StudyRecord
    job: Job
    images: IO[bytes] | None
    mirror: Mirror
    limit: int
    revision: int

    def is_of(self, record: StudyRecord) -> bool:
        """Whether the study is as it was when the desk was made: neither its blocks nor its file have changed."""
        return (record.config, record.blocks) == (self.record.config, self.record.blocks)

    def look(self, tell: Callable[[TrialRecord], None]) -> None:
        """Tell of the trials that workers of this machine ended, and write what ended into Optuna's tables."""
        self.revision, changed = history_since(self.storage, self.record.id, self.revision)
        for one in changed:
            if one.finished is not None and process_here(one.worker) is not None:
                tell(one)
        self.mirror.update()

    def close(self, tell: Callable[[TrialRecord], None]) -> None:
        """Look for the last time, and give back connections and memory."""
        try:
            self.look(tell)
        finally:
            self.mirror.close()
            if self.images is not None:
                self.images.close()


def open_desk(
    storage: Storage,
    record: StudyRecord,
    blocks: Blocks,
    plugins: Sequence[str],
    device: str,
    concurrency: int | None,
) -> Desk:
    """Make a study ready to be worked on here. Raises NasErrors on what is lacking here."""
    study = recorded(record, blocks)
    images = shared_images(study) if os.name == "posix" else None  # elsewhere no process is handed a descriptor
    job = Job(
        storage=storage.url,
        study=record.name,
        slot=0,
        folder=str(study.file.folder.absolute()),
        plugins=tuple(str(Path(folder).absolute()) for folder in plugins),
        device=device,
        parent=os.getpid(),
        images=None if images is None else images.fileno(),
        roving=True,
    )
    limit = concurrency or default_workers(study, device)
    revision = latest_revision(storage, record.id)
    return Desk(storage, record, job, images, Mirror(storage, record, _space(study, record)), limit, revision)


def _space(study: Study, record: StudyRecord) -> Space | None:
    """The space with its blocks in the order in which the study came by them, as its workers number them."""
    if study.file.space is None:
        return None
    return make_space(study.file.space, study.blocks, record.input, record.classes, order=record.blocks)
