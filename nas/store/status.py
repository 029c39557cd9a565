"""Where studies stand, counted by query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, exists, func, or_, select

from nas.arch.record import COMPLETE, FAILED, LIMITS, PRUNED, RUNNING, WAITING, StudyRecord, StudyStatus
from nas.errors import NotFound
from nas.store.claims import next_number
from nas.store.engine import Storage, database_clock
from nas.store.leases import ABANDONED
from nas.store.outage import lasting
from nas.store.ranking import leaders
from nas.store.rows import highest
from nas.store.studies import find_study, list_studies
from nas.store.tables import study, trial

_COUNTED = (COMPLETE, PRUNED, FAILED, RUNNING, WAITING)
"""Trials are running while they are held; one whose lease ran out is waiting."""


_HERE = trial.c.study_id == bindparam("study_id")

_OUTLOOK: Select[Any] = select(
    study.c.trials,
    study.c.exhausted,
    study.c.halt,
    select(func.max(trial.c.number)).where(_HERE).scalar_subquery().label("number"),
    select(func.count()).where(_HERE, trial.c.state == FAILED).scalar_subquery().label("failed"),
    select(func.count()).where(_HERE, trial.c.state.in_([RUNNING, WAITING])).scalar_subquery().label("unended"),
    ABANDONED.scalar_subquery().label("left"),
).where(study.c.id == bindparam("study_id"))
"""A few looks into indexes, however many trials there are: every worker asks this before every trial."""


@dataclass(frozen=True)
class StudyLine:
    """One study in the list of `nas studies`; `done` are its complete and pruned trials, of `total`."""

    study: str
    dataset: str
    state: str
    done: int
    total: int
    failed: int
    running: int
    best_accuracy: float | None
    seconds: float
    priority: int


@dataclass(frozen=True)
class Outlook:
    """What a worker may find to do in a study. `left`: a trial that nobody holds. `lacking`: so many new ones."""

    left: bool
    unended: int
    lacking: int
    halted: bool

    @property
    def unfinished(self) -> bool:
        """Whether work is left, or may still come: a trial lacks, or one is held whose worker may die or fail."""
        return not self.halted and (self.unended > 0 or self.lacking > 0)


@lasting
def outlook(storage: Storage, study_id: int) -> Outlook:
    """What there may be to do in a study. Raises NotFound where it was removed."""
    with storage.glance() as connection:
        row = connection.execute(_OUTLOOK, {"study_id": study_id}).first()
    if row is None:
        raise NotFound(f"study {study_id} is no longer in {storage.shown}")
    over = row.halt or row.exhausted or row.failed > row.trials
    lacking = 0 if over else row.trials - next_number(row.number) + row.failed
    return Outlook(row.left is not None and not row.halt, row.unended, max(0, lacking), bool(row.halt))


@lasting
def status(storage: Storage, name: str) -> StudyStatus:
    """Where a study stands. Raises NotFound, with the nearest spelling."""
    record = find_study(storage, name)
    with storage.read() as connection:
        numbers = _numbers(connection, record.id)[record.id]
        best = leaders(connection, record.id, 1)
        return StudyStatus(
            study=record.name,
            dataset=record.dataset,
            state=_state(record, numbers),
            budget=record.budget,
            trials={"total": record.trials} | {name: numbers[name] for name in _COUNTED},
            trained_over_budget=_count(connection, _trained(record.id), _over(record.budget)),
            trained_twice=_count(connection, _trained(record.id), trial.c.state != FAILED, _known_before()),
            projected=numbers["projected"],
            reused=numbers["reused"],
            best=best[0] if best else None,
            seconds=numbers["seconds"],
            priority=record.priority,
        )


def state_of(storage: Storage, name: str) -> str:
    """The state that `status` tells of a study, without what takes longer to tell. Raises NotFound."""
    record = find_study(storage, name)
    return _state(record, counts(storage, record.id))


@lasting
def counts(storage: Storage, study_id: int) -> dict[str, int]:
    """How many trials of the study are complete, pruned, failed, running (held now) and waiting.

    Few looks into indexes, however many trials: those of the commonest state are not counted, but are all others'.
    """
    of_study = trial.c.study_id == study_id
    others = [
        select(func.count()).where(of_study, trial.c.state == name).scalar_subquery().label(name)
        for name in (PRUNED, FAILED, RUNNING, WAITING)
    ]
    held = select(func.count()).where(of_study, *_held()).scalar_subquery().label("held")
    with storage.read() as connection:
        begun = highest(connection, trial.c.number, study_id, -1) + 1
        found = dict(connection.execute(select(*others, held)).one()._mapping)
    return _by_holding({COMPLETE: begun - sum(found[name] for name in _COUNTED[1:])} | found, found["held"])


def training_seconds(storage: Storage, study_id: int) -> float:
    """The seconds of training behind a study's trials, with those that other studies had spent on them."""
    return sum(seconds_behind(storage, study_id).values(), 0.0)


@lasting
def seconds_behind(storage: Storage, study_id: int) -> dict[int, float]:
    """The seconds of training behind each trial by its id; of one taken over, those that its source had taken."""
    source = trial.alias("source")
    behind = func.coalesce(source.c.seconds, trial.c.seconds)
    asked = select(trial.c.id, behind).outerjoin(source, source.c.id == trial.c.source_trial_id)
    with storage.read() as connection:
        rows = connection.execute(asked.where(trial.c.study_id == study_id))
        return {row[0]: row[1] for row in rows}


@lasting
def studies(storage: Storage) -> list[StudyLine]:
    """All studies, oldest first."""
    records = list_studies(storage)
    with storage.read() as connection:
        numbers = _numbers(connection)
    return [_line(record, numbers[record.id]) for record in records]


def _line(record: StudyRecord, numbers: Mapping[str, Any]) -> StudyLine:
    return StudyLine(
        study=record.name,
        dataset=record.dataset,
        state=_state(record, numbers),
        done=numbers[COMPLETE] + numbers[PRUNED],
        total=record.trials,
        failed=numbers[FAILED],
        running=numbers[RUNNING],
        best_accuracy=numbers["best_accuracy"],
        seconds=numbers["seconds"],
        priority=record.priority,
    )


def _numbers(connection: Connection, study_id: int | None = None) -> dict[int, dict[str, Any]]:
    """Of the study, or of every one, what its trials come to: read from the index on rankings alone."""
    sums = [func.sum(case((column, 1), else_=0)) for column in (trial.c.projected, trial.c.reused)]
    each = (trial.c.study_id, trial.c.state)
    asked = select(*each, func.count(), *sums, func.sum(trial.c.seconds), func.max(trial.c.accuracy)).group_by(*each)
    held = select(trial.c.study_id, func.count()).where(*_held()).group_by(trial.c.study_id)
    if study_id is not None:
        asked, held = asked.where(trial.c.study_id == study_id), held.where(trial.c.study_id == study_id)
    found: dict[int, dict[str, Any]] = defaultdict(_nothing)
    for of_study, state, count, projected, reused, seconds, best in connection.execute(asked):
        numbers = found[of_study]
        numbers[state] = count
        numbers["projected"] += projected
        numbers["reused"] += reused
        numbers["seconds"] += seconds
        if state == COMPLETE:
            numbers["best_accuracy"] = best
    for of_study, count in connection.execute(held):
        found[of_study] |= _by_holding(found[of_study], count)
    return found


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(_COUNTED, 0) | {"projected": 0, "reused": 0, "seconds": 0.0, "best_accuracy": None}


def _held() -> tuple[ColumnElement[bool], ...]:
    return trial.c.state == RUNNING, trial.c.lease > database_clock()


def _by_holding(numbers: Mapping[str, int], held: int) -> dict[str, int]:
    """The counts by state, those whose lease ran out among the waiting."""
    left = numbers[RUNNING] - held
    return {name: numbers[name] for name in _COUNTED} | {RUNNING: held, WAITING: numbers[WAITING] + left}


def _state(record: StudyRecord, numbers: Mapping[str, Any]) -> str:
    """`failed`: more trials failed than are ever replaced. `waiting`: unfinished, and nobody at it.

    A study is paused or cancelled from the moment on which that is said; its last trials may still be let go.
    """
    unended = numbers[RUNNING] + numbers[WAITING]
    done = numbers[COMPLETE] + numbers[PRUNED]
    if done >= record.trials or (record.exhausted and not unended):
        return "complete"
    if numbers[FAILED] > record.trials and not unended:
        return "failed"
    if record.halt:
        return record.halt
    if numbers[RUNNING]:
        return "running"
    return "waiting" if done + unended + numbers[FAILED] else "new"


def _trained(study_id: int) -> ColumnElement[bool]:
    return and_(trial.c.study_id == study_id, trial.c.reused.is_(False))


def _over(budget: Mapping[str, int]) -> ColumnElement[bool]:
    """Trials beyond the budget; a receptive field that is not known does not meet a minimum."""
    broken = [trial.c[name] > limit for name, limit in budget.items() if name in LIMITS]
    if "receptive_field" in budget:
        broken.append(func.coalesce(trial.c.receptive_field, 0) < budget["receptive_field"])
    return or_(*broken) if broken else trial.c.id < 0


def _known_before() -> ColumnElement[bool]:
    """Trials whose question an earlier training had answered at the epochs in question.

    Those are the epochs asked for, and of a pruned trial the epochs that it came to.
    """
    earlier = trial.alias("earlier")
    in_question = case((trial.c.state == PRUNED, trial.c.epochs_done), else_=trial.c.epochs)
    both_whole = and_(earlier.c.state == COMPLETE, trial.c.state == COMPLETE)
    # One that was left, and went on after this trial had been pruned, had not answered when this one began.
    answered = or_(both_whole, earlier.c.finished <= trial.c.started)
    return and_(trial.c.epochs_done > 0) & exists().where(
        answered,
        earlier.c.fingerprint == trial.c.fingerprint,
        earlier.c.dataset_hash == trial.c.dataset_hash,
        earlier.c.recipe_hash == trial.c.recipe_hash,
        earlier.c.seed == trial.c.seed,
        earlier.c.id < trial.c.id,
        earlier.c.reused.is_(False),
        earlier.c.state != FAILED,
        earlier.c.epochs_done >= in_question,
    )


def _count(connection: Connection, *where: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(trial).where(*where)) or 0
