"""The rank of one trial, among any number of others."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, ScalarSelect, Select, and_, false, func, or_, select

from nas.arch.record import COMPLETE, TEST, Place
from nas.store.engine import Storage
from nas.store.outage import lasting
from nas.store.tables import STEPS, accuracy_step, study, trial

_TIED = (trial.c.params, trial.c.macs, trial.c.fingerprint, trial.c.id)
"""What decides between equal accuracies, the least first."""


@lasting
def place_in_study(storage: Storage, trial_id: int) -> Place | None:
    """Where a trial stands in its study; None where it is not complete."""
    with storage.read_planned() as connection:
        row = _complete(connection, trial_id)
        if row is None:
            return None
        here = (trial.c.study_id == row.study_id, trial.c.state == COMPLETE)
        return _place(connection, _count(*here, *_before(row)), _count(*here))


@lasting
def place_on_images(storage: Storage, trial_id: int) -> Place | None:
    """Where a trial stands among all on the same images, as `best` ranks them over all studies.

    None where it is not complete, or of a study scored on test images.
    """
    with storage.read_planned() as connection:
        row = _complete(connection, trial_id)
        if row is None or row.scored_on == TEST:
            return None
        here = (trial.c.dataset_hash == row.dataset_hash, trial.c.state == COMPLETE)
        of_tests = select(study.c.id).where(study.c.dataset_hash == row.dataset_hash, study.c.scored_on == TEST)
        tested = (trial.c.study_id.in_(of_tests), trial.c.state == COMPLETE)
        # Of its own step trials are looked at, in the index on rankings; how many are of each other was counted before.
        step = _step_of(row.accuracy)
        alike = _count(*here, *_before(row), trial.c.accuracy < _end_of(step))
        steps = accuracy_step.c.dataset_hash == row.dataset_hash
        ahead = _sum(steps, accuracy_step.c.step > step) + alike - _count(*tested, *_before(row))
        return _place(connection, ahead, _sum(steps) - _count(*tested))


def _complete(connection: Connection, trial_id: int) -> Row[Any] | None:
    asked = select(trial.c.study_id, trial.c.dataset_hash, trial.c.accuracy, *_TIED).add_columns(study.c.scored_on)
    joined: Select[Any] = asked.join_from(trial, study, study.c.id == trial.c.study_id)
    return connection.execute(joined.where(trial.c.id == trial_id, trial.c.state == COMPLETE)).first()


def _place(connection: Connection, ahead: ColumnElement[int], among: ColumnElement[int]) -> Place:
    found = connection.execute(select(ahead, among)).one()
    return Place(1 + found[0], found[1])


def _count(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(trial).where(*where).scalar_subquery()


def _sum(*where: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(select(func.sum(accuracy_step.c.trials)).where(*where).scalar_subquery(), 0)


def _before(row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    """Trials that a ranking has before this one."""
    before: ColumnElement[bool] = false()
    for column in reversed(_TIED):
        value = row._mapping[column.name]
        before = or_(column < value, and_(column == value, before))
    # The first says nothing new: it is where the index is entered.
    return trial.c.accuracy >= row.accuracy, or_(trial.c.accuracy > row.accuracy, before)


def _step_of(accuracy: float) -> int:
    """The step that an accuracy is counted in; what is no accuracy, as only a hand may write it, at the nearest end."""
    return int(min(1.0, max(0.0, accuracy)) * STEPS)


def _end_of(step: int) -> float:
    """The least accuracy that is of a higher step."""
    if step >= STEPS:
        return math.inf
    end = (step + 1) / STEPS
    while _step_of(end) > step:
        end = math.nextafter(end, 0.0)
    while _step_of(end) <= step:
        end = math.nextafter(end, 1.0)
    return end
