"""Going from study to study on this machine, until none has anything left to do, or until stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nas.blocks.registry import load_blocks
from nas.errors import Interrupted, StorageError
from nas.store.engine import open_storage
from nas.store.halting import check_open
from nas.store.schema import create_storage
from nas.work.crew import Crew, Told
from nas.work.jobs import chosen_device
from nas.work.launch import interruptible, stopped

TICK_SECONDS = 0.5

SILENT = Told()


def run_worker(
    *,
    storage: str,
    plugins: Sequence[str] = (),
    study: str | None = None,
    concurrency: int | None = None,
    wait: bool = False,
    device: str = "auto",
    told: Told = SILENT,
) -> None:
    """Work on the open studies of a storage, or on one, with so many processes, until none has anything left to do.

    `concurrency` None: one process a core; on a CUDA device as its memory takes. `wait`: for studies to come, for ever;
    the database is then made where it is not there. A study for which this machine lacks something is left to others.
    Raises NasErrors: no such study, one study that cannot be worked on here, Interrupted.
    """
    where = chosen_device(device)
    store = create_storage(storage) if wait else open_storage(storage)
    try:
        if study is not None and not wait:
            check_open(store, study)
        crew = Crew(store, load_blocks(plugins), tuple(plugins), where, concurrency, study, told)
        with interruptible(), stopped(crew):
            _work(crew, wait)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; its trials wait with their checkpoints, for this worker or another") from None
    finally:
        store.close()


def _turn(crew: Crew, wait: bool) -> bool:
    """A look at processes and studies; a worker that waits outlasts a database that is away for a while."""
    try:
        return crew.turn()
    except StorageError as error:
        if not wait:
            raise
        crew.tell_once(f"{error}; tries again")
        return True


def _work(crew: Crew, wait: bool) -> None:
    idle = False
    while (busy := _turn(crew, wait)) or wait:
        if not busy and not idle:
            crew.told.line("nothing to do; waits for studies")
        idle = not busy
        time.sleep(TICK_SECONDS)
    crew.check_refusals()
    crew.told.line("nothing is left to do")
