"""What stands in Optuna's tables of the same database, read without Optuna, which would load every trial whole."""

from __future__ import annotations

import json

from sqlalchemy import column, select, table

from nas.store.engine import Storage
from nas.store.outage import lasting

_studies = table("studies", column("study_id"), column("study_name"))
_trials = table("trials", column("trial_id"), column("study_id"))
_attributes = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))


@lasting
def attributes_of(storage: Storage, study_name: str, key: str) -> list[object]:
    """The values of a user attribute of all trials of a study in Optuna's tables, which are there."""
    values = (
        select(_attributes.c.value_json)
        .join(_trials, _trials.c.trial_id == _attributes.c.trial_id)
        .join(_studies, _studies.c.study_id == _trials.c.study_id)
        .where(_studies.c.study_name == study_name, _attributes.c.key == key)
    )
    with storage.read() as connection:
        return [json.loads(value) for (value,) in connection.execute(values)]
