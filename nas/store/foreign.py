"""What stands in Optuna's tables of the same database, read without Optuna, which would load every trial whole."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Select, Text, cast, column, select, table

from nas.arch.record import StudyRecord
from nas.store.engine import Storage, database_clock
from nas.store.outage import lasting
from nas.store.tables import trial

_studies = table("studies", column("study_id"), column("study_name"))
_trials = table("trials", column("trial_id"), column("study_id"))
_attributes = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))


@lasting
def unwritten(storage: Storage, study: StudyRecord, key: str, seconds_ago: float = 0.0) -> dict[int, int]:
    """The numbers, with their ids, of trials noted to be in Optuna's tables that no trial there has in this attribute.

    Those that ended so long ago or longer. The databases compare: of a long study nobody reads them all.
    """
    old = trial.c.finished <= database_clock() - seconds_ago
    noted = (trial.c.study_id == study.id, trial.c.mirrored.is_(True), old)
    there = cast(trial.c.number, Text).in_(_values(study.name, key))
    with storage.read() as connection:
        return {
            row.number: row.id for row in connection.execute(select(trial.c.number, trial.c.id).where(*noted, ~there))
        }


@lasting
def attributes_of(storage: Storage, study_name: str, key: str) -> list[object]:
    """The values of a user attribute of all trials of a study in Optuna's tables, which are there."""
    with storage.read() as connection:
        return [json.loads(value) for (value,) in connection.execute(_values(study_name, key))]


def _values(study_name: str, key: str) -> Select[Any]:
    return (
        select(_attributes.c.value_json)
        .join(_trials, _trials.c.trial_id == _attributes.c.trial_id)
        .join(_studies, _studies.c.study_id == _trials.c.study_id)
        .where(_studies.c.study_name == study_name, _attributes.c.key == key)
    )
