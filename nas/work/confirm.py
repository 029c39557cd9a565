"""Confirming a study: its best networks trained anew over fresh seeds, on all images but the test images.

A confirmation is a comparison scored on test images, so it is claimed, resumed and stored as every study is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.arch.recipe import recipe_hash
from nas.arch.record import FAILED, TEST, Ranked, StudyRecord, TrialRecord
from nas.blocks.registry import load_blocks
from nas.data.images import Images
from nas.data.names import load_images
from nas.errors import DataError, NasError
from nas.store.engine import Storage, open_storage
from nas.store.ranking import best, find
from nas.store.status import training_seconds
from nas.store.studies import find_study, get_study
from nas.store.trials import trials
from nas.study.file import StudyFile, study_from_data
from nas.work.baseline import Baseline, check_searched, find_baseline, random_search, trials_tried
from nas.work.confirmed import Confirmed, confirmed, write_back
from nas.work.jobs import How, run_checked, trained_as
from nas.work.launch import Watch
from nas.work.prepare import checked


@dataclass(frozen=True)
class Confirmation:
    """A study's best networks, confirmed: `rows` best first, those of `total` candidates that are complete.

    `study` is the name under which the trainings are stored. `seconds` and `baseline_seconds` are what the two
    searches trained; `baseline` is None without one, and `problem` says then how to get one.
    """

    study: str
    rows: tuple[Confirmed, ...]
    total: int
    failed: tuple[TrialRecord, ...]
    test_images: int
    seconds: float
    baseline: str | None
    baseline_seconds: float | None
    problem: str


def confirm_study(
    name: str,
    *,
    storage: str,
    top: int = 5,
    seeds: int = 3,
    epochs: int | None = None,
    baseline: bool = False,
    plugins: Sequence[str] = (),
    overrides: Sequence[str] = (),
    timeout: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    watch: Watch = lambda progress: None,
) -> Confirmation:
    """Train the `top` networks of a study anew from `seeds` fresh seeds each, and score them once on the test images.

    They train on training and validation images together, by the study's recipe, changed by `epochs` and by
    `overrides` of [train]. Called again it goes on, or adds what a larger `top` asks for. `baseline` searches the same
    space at random first, to as many trials, and confirms its best beside the others. A relative data set starts at
    the current folder. Raises NasErrors: no such study, none of its trials complete, a confirmation itself, other
    images, Interrupted.
    """
    how = How(storage, tuple(plugins), timeout, workers, device, watch)
    until = None if timeout is None else time.monotonic() + timeout
    store = open_storage(storage)
    try:
        source = _source(store, name)
        images = _images(source)
        if baseline:
            check_searched(store, source)
            rival_file = random_search(source, trials_tried(store, source))
            run_checked(checked(rival_file, load_blocks(plugins), images), how)
        rival = find_baseline(store, source)
        file = _comparison(store, source, rival, _Asked(top, seeds, epochs, tuple(overrides)))
        left = None if until is None else max(0.0, until - time.monotonic())
        record = run_checked(checked(file, load_blocks(plugins), images), replace(how, timeout=left))
        return _confirmation(store, record, source, rival, images)
    finally:
        store.close()


@dataclass(frozen=True)
class _Asked:
    """How many networks are trained how often, and by what changes of the recipe."""

    top: int
    seeds: int
    epochs: int | None
    overrides: tuple[str, ...]


def _source(storage: Storage, name: str) -> StudyRecord:
    source = find_study(storage, name)
    if source.scored_on == TEST:
        told = "is scored on test images: a confirmation itself; allowed: a study scored on validation images"
        raise NasError(f"study {name!r} {told}")
    if source.recipe_hash != recipe_hash(study_from_data(source.config).recipe, source.repeats):
        told = "was trained by an earlier version of the trainer: run it again under another name"
        raise NasError(f"study {name!r} {told}")
    if not best(storage, study=name, top=1):
        raise NasError(f"study {name!r} has no complete trials yet, so nothing to confirm: `nas run` it first")
    return source


def _images(source: StudyRecord) -> Images:
    """The study's images, from the current folder where their path is relative."""
    place = f"study {source.name!r}: data set {source.dataset!r}"
    try:
        images = load_images(source.dataset)
    except DataError as error:
        if not (Path() / source.dataset).exists() and ("/" in source.dataset or Path(source.dataset).suffix):
            told = f"is not there from {str(Path.cwd())!r}; call this in the folder where the study file lies"
            raise DataError(f"{place} {told}") from error
        raise
    if images.content_hash != source.dataset_hash:
        raise DataError(f"{place}: its images are no longer those that the study chose by")
    return images


def _comparison(storage: Storage, source: StudyRecord, rival: Baseline, asked: _Asked) -> StudyFile:
    """The confirmation as a study: whom an earlier call confirmed, then the best of the study, then the baseline's."""
    on_all = {key: value for key, value in source.config["train"].items() if key != "images"}
    data: dict[str, Any] = {
        "name": f"{source.name}-confirm",
        "dataset": source.dataset,
        "seed": (source.seed + source.repeats) % 2**31,
        "budget": json.loads(json.dumps(source.config.get("budget", {}))),
        "score": TEST,
        "repeats": asked.seeds,
        "train": trained_as(on_all, asked.epochs, asked.overrides, "nas confirm"),
    }
    data["name"] = name = _name(source, _read({**data, "architecture": [_ANY]}))
    chosen = {f"#{one.trial}": one for one in best(storage, study=source.name, top=asked.top)}
    if rival.best is not None and rival.best.architecture not in {one.architecture for one in chosen.values()}:
        chosen[f"{rival.best.study}#{rival.best.trial}"] = rival.best
    candidates = _before(storage, source, name)
    known = {json.dumps(one["parts"]) for one in candidates}
    new = [_candidate(storage, one, called) for called, one in chosen.items()]
    return _read({**data, "architecture": candidates + [one for one in new if json.dumps(one["parts"]) not in known]})


_ANY = {"name": "any", "parts": [{"layer": "dense", "width": "classes"}]}
"""A candidate that lets the rest of a comparison be read before its candidates are known."""


def _read(data: Mapping[str, Any]) -> StudyFile:
    return study_from_data(data, "nas confirm", folder=Path())


def _name(source: StudyRecord, file: StudyFile) -> str:
    """The study's name, seeds and epochs; where more of the recipe was changed, the beginning of its hash too."""
    recipe, usual = file.recipe, study_from_data(source.config).recipe
    changed = recipe != replace(usual, epochs=recipe.epochs, images=None)
    name = f"{source.name}-confirm-{file.repeats}x{recipe.epochs}"
    return f"{name}-{recipe_hash(recipe)[:6]}" if changed else name


def _before(storage: Storage, source: StudyRecord, name: str) -> list[dict[str, Any]]:
    """The candidates of an earlier call. Raises NasError where their trials are other networks by now."""
    record = get_study(storage, name)
    if record is None:
        return []
    candidates = list(record.config["architecture"])
    for one in candidates:
        study, _, number = one["name"].rpartition("#")
        chosen_by = get_study(storage, study or source.name)
        ranked = [] if chosen_by is None else best(storage, study=chosen_by.name, top=None)
        rows = {str(row.trial): row for row in ranked}
        if number not in rows or _candidate(storage, rows[number], one["name"]) != one:
            told = f"confirmed networks of an earlier study {study or source.name!r}, which was removed since"
            raise NasError(f"study {name!r} {told}: remove it too (nas rm {name}), and confirm again")
    return candidates


def _candidate(storage: Storage, one: Ranked, called: str) -> dict[str, Any]:
    spec, _ = find(storage, f"{one.study}#{one.trial}")
    return {"name": called, "parts": spec["parts"]}


def _confirmation(
    storage: Storage, record: StudyRecord, source: StudyRecord, rival: Baseline, images: Images
) -> Confirmation:
    others = {one["name"].rpartition("#")[0] for one in record.config["architecture"]} - {""}
    sources = [source, *(find_study(storage, name) for name in sorted(others))]
    found = confirmed(storage, record, sources)
    write_back(storage, found, sources)
    by_chance = rival.best.architecture if rival.best else ""
    rows = [replace(one, baseline=one.study != source.name or one.architecture == by_chance) for one in found]
    return Confirmation(
        study=record.name,
        rows=tuple(rows),
        total=record.trials,
        failed=tuple(trials(storage, record.id, states=(FAILED,))),
        test_images=len(images.test_labels),
        seconds=training_seconds(storage, source.id),
        baseline=None if rival.record is None else rival.record.name,
        baseline_seconds=None if rival.record is None else training_seconds(storage, rival.record.id),
        problem=rival.problem,
    )
