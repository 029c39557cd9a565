"""Handing a study to the storage, for workers anywhere to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas.arch.record import StudyRecord
from nas.blocks.registry import load_blocks
from nas.store.schema import create_storage
from nas.work.prepare import check_budget, enter, prepare


def submit_study(
    path: Path,
    *,
    storage: str,
    plugins: Sequence[str] = (),
    overrides: Sequence[str] = (),
    priority: int | None = None,
) -> StudyRecord:
    """Put the study of a file into the storage, checked as `run_study` does, and train nothing.

    Submitted again it may ask for more trials or candidates, or have another `priority` (None: as it is, at first 0).
    Raises NasErrors: mistakes in the file, a budget that cannot be met, a changed question.
    """
    study = prepare(path, load_blocks(plugins), overrides=overrides)
    check_budget(study)
    store = create_storage(storage)
    try:
        return enter(store, study, priority)
    finally:
        store.close()
