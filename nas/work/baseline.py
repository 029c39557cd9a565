"""The baseline of a search: the same space, budget, recipe and seed, searched at random to as many trials."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.arch.record import Ranked, StudyRecord
from nas.errors import NasError
from nas.store.engine import Storage
from nas.store.ranking import best
from nas.store.status import status
from nas.store.studies import get_study
from nas.study.file import StudyFile, study_from_data
from nas.study.rules import changes

RANDOM = "random"


@dataclass(frozen=True)
class Baseline:
    """The random search beside a study, where it is there and whole, and its best; else `problem` says what to do."""

    record: StudyRecord | None = None
    best: Ranked | None = None
    problem: str = ""


def find_baseline(storage: Storage, source: StudyRecord) -> Baseline:
    """The baseline of a study, if it was searched to the end; a comparison and a random search have none."""
    if "search" not in source.config or _sampler(source) == RANDOM:
        return Baseline()
    record = get_study(storage, _name(source))
    if record is None:
        told = "runs the random search of equal cost and confirms its best too"
        return Baseline(problem=f"no baseline: `nas confirm {source.name} --baseline` {told}")
    if problem := _another(source, record):
        return Baseline(problem=f"no baseline: {problem}")
    tried = trials_tried(storage, source)
    if record.trials < tried or status(storage, record.name).state != "complete":
        told = f"study {record.name!r} is not complete; `nas confirm {source.name} --baseline` goes on with it"
        return Baseline(problem=f"no baseline: {told}")
    found = [one for one in best(storage, study=record.name, top=None) if one.trial < tried]
    return Baseline(record, found[0]) if found else Baseline(problem=f"no baseline: {record.name!r} completed no trial")


def check_searched(storage: Storage, source: StudyRecord) -> None:
    """Raise NasError where a study can have no baseline, or another study bears its name."""
    if "search" not in source.config:
        raise NasError(f"--baseline: study {source.name!r} lists its candidates; allowed: for a search")
    if _sampler(source) == RANDOM:
        raise NasError(f"--baseline: study {source.name!r} is itself searched at random, and needs no baseline")
    record = get_study(storage, _name(source))
    if record is not None and (problem := _another(source, record)):
        raise NasError(f"--baseline: {problem}")


def trials_tried(storage: Storage, source: StudyRecord) -> int:
    """How many networks a search has tried to an end; at least one."""
    counted = status(storage, source.name).trials
    return max(1, counted["complete"] + counted["pruned"])


def random_search(source: StudyRecord, trials: int) -> StudyFile:
    """The study with nothing changed but its sampler and name, and as many trials as the study has tried by now."""
    config: dict[str, Any] = json.loads(json.dumps(dict(source.config)))
    config["name"] = _name(source)
    config["search"] |= {"sampler": RANDOM, "trials": trials}
    return study_from_data(config, "nas confirm", folder=Path())


def _name(source: StudyRecord) -> str:
    return f"{source.name}-{RANDOM}"


def _sampler(record: StudyRecord) -> str:
    return str(record.config["search"]["sampler"])


def _another(source: StudyRecord, record: StudyRecord) -> str:
    """Why a study of the baseline's name is none; nothing where it is one."""
    if "search" not in record.config or _sampler(record) != RANDOM:
        return f"study {record.name!r} is not searched at random; run it under another name"
    # In this order: blocks that the study gained since are blocks that the baseline may gain.
    different = changes(record.config, random_search(source, record.trials).config)
    if different or record.dataset_hash != source.dataset_hash:
        return f"study {record.name!r} asks another question than {source.name!r}; run it under another name"
    return ""
