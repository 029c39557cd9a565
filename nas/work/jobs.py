"""The jobs people ask for, each whole: run a study, profile it, hand over a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nas.arch.recipe import usual
from nas.arch.record import FAILED, StudyRecord
from nas.blocks.registry import load_blocks
from nas.errors import Interrupted, NasError, StudyFileError
from nas.search.profile import Profile, profile, profile_listed
from nas.store.engine import Storage
from nas.store.halting import HALTED
from nas.store.schema import create_storage
from nas.store.status import counts, state_of
from nas.store.studies import find_study
from nas.store.trials import trials
from nas.study.file import override
from nas.study.numbers import shown
from nas.work.expected import seconds_expected
from nas.work.launch import Fleet, InProcess, Processes, Watch, catch_up, run
from nas.work.places import default_workers, pins, usable_cores
from nas.work.prepare import Study, check_budget, enter, prepare, shared_images
from nas.work.process import Job


def run_study(
    path: Path,
    *,
    storage: str,
    plugins: Sequence[str] = (),
    overrides: Sequence[str] = (),
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = lambda progress: None,
) -> StudyRecord:
    """Create or resume the study of a file and run it to its total of trials; everything is checked first.

    `workers` processes (None: one a core, on a CUDA device as its memory takes; 0: none, the work is done in this
    process), `timeout` in seconds. Raises NasErrors: mistakes in the file, a budget that cannot be met, Interrupted.
    """
    how = How(storage, tuple(plugins), timeout, workers, device, watch)
    return run_checked(prepare(path, load_blocks(plugins), overrides=overrides), how)


MakeFleet = Callable[[Storage, StudyRecord, Study, Job], Fleet]
"""Makes the workers of a study that is not complete, each to be given the job under a number and on a device."""


@dataclass(frozen=True)
class How:
    """Where and by whom a study is run: what no result depends on; as in `run_study`.

    `fleet` makes workers elsewhere than on this machine.
    """

    storage: str = field(repr=False)
    plugins: tuple[str, ...] = ()
    timeout: float | None = None
    workers: int | None = None
    device: str = "auto"
    watch: Watch = lambda progress: None
    fleet: MakeFleet | None = None


def run_checked(study: Study, how: How) -> StudyRecord:
    """Create or resume a study, wherever it was read, and run it to its total of trials."""
    check_budget(study)
    where = chosen_device(how.device)
    store = create_storage(how.storage)
    try:
        record, space = enter(store, study), study.space
        if state_of(store, record.name) == "complete":
            catch_up(store, record, space)
        else:
            job = _job(how.storage, study, how.plugins, where)
            fleet = (how.fleet or partial(_processes, workers=how.workers))(store, record, study, job)
            del study  # its images: the workers have what they need of them
            run(store, record, space, fleet, how.watch, timeout=how.timeout)
            _check_halted(store, record)
        _check_failures(store, record)
        return find_study(store, record.name)
    finally:
        store.close()


def trained_as(table: Mapping[str, Any], epochs: int | None, overrides: Sequence[str], place: str) -> dict[str, Any]:
    """A [train] table with other epochs (None: its own) and `--set train.key=value` overrides.

    Raises StudyFileError, opened by `place`, where an override is of another table.
    """
    data = {"train": dict(table)}
    others = [text for text in overrides if not text.strip().startswith("train.")]
    problems = [f"--set {shown(text)}: allowed: keys of [train], as train.epochs=20" for text in others]
    problems += override(data, overrides) if not others else []
    if problems:
        raise StudyFileError(place, problems)
    train = data["train"]
    if train.get("optimizer") != table.get("optimizer") and train.get("learning_rate") == table.get("learning_rate"):
        train |= usual(None, train.get("optimizer"))
    return train | ({} if epochs is None else {"epochs": epochs})


def _check_halted(storage: Storage, record: StudyRecord) -> None:
    """Raise Interrupted where somebody paused or cancelled the study while it was run."""
    state = state_of(storage, record.name)
    if state in HALTED:
        raise Interrupted(f"study {record.name!r} is {state}; everything is kept: `nas resume {record.name}` opens it")


def _check_failures(storage: Storage, record: StudyRecord) -> None:
    """Raise NasError where so many trials failed that they are no longer replaced, or all there could be."""
    numbers, state = counts(storage, record.id), state_of(storage, record.name)
    failed = numbers[FAILED]
    if state == "failed":
        why = f"{failed} trials failed, more than are replaced"
    elif state == "complete" and failed and failed == sum(numbers.values()):
        tried = "candidate" if record.config.get("architecture") else "network of the space"
        why = f"every {tried} was tried and all {failed} failed"
    else:
        return
    last = trials(storage, record.id, states=(FAILED,))[-1]
    raise NasError(f"study {record.name!r}: {why}; the last: {last.reason}")


def _job(storage: str, study: Study, plugins: Sequence[str], device: str) -> Job:
    folders = tuple(str(Path(folder).absolute()) for folder in plugins)
    folder = str(study.file.folder.absolute())
    return Job(storage, study.file.name, 0, folder, folders, device, os.getpid())


def _processes(store: Storage, record: StudyRecord, study: Study, job: Job, workers: int | None) -> Fleet:
    count = default_workers(study, job.device) if workers is None else workers
    if count == 0:
        return InProcess(job, study.blocks)
    count = min(count, record.trials)
    images = shared_images(study) if os.name == "posix" else None  # elsewhere no process is handed a descriptor
    job = replace(job, images=images.fileno() if images else None, workers=count)
    cores = enumerate(pins(count, usable_cores(), job.device))
    return Processes(store, record, [replace(job, slot=slot, core=core) for slot, core in cores], images)


def chosen_device(name: str) -> str:
    """The torch device of a name; `auto` is a CUDA device where there is one. Raises NasError where it is absent."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise NasError(f"--device {name}: torch finds no CUDA device here; allowed: cpu, auto")
    return name


def profile_study(path: Path, *, plugins: Sequence[str] = (), overrides: Sequence[str] = ()) -> Profile:
    """What the space of a study file holds under its budget, and how long the study is expected to take."""
    blocks = load_blocks(plugins)
    study = prepare(path, blocks, overrides=overrides)
    if study.space is None:
        found = profile_listed(study.listed, study.file.budget)
    else:
        found = profile(study.space, blocks, study.file.budget, fill=study.file.search.fill)
    return replace(found, seconds_expected=seconds_expected(study, len(usable_cores())) if found.feasible else None)
