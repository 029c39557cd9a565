"""Our ended trials in Optuna's tables, each written whole, so that optuna-dashboard opens a study unchanged.

Our rows are the truth; nothing here is ever read back into them. Optuna's params show the network that was trained;
the raw draw, where the projection changed it, stands in the trial's system attributes.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.arch.record import COMPLETE, FAILED, PRUNED, EpochRecord, StudyRecord, TrialRecord, Value
from nas.search.drawing import replayed
from nas.search.named import quiet
from nas.store import sqlite
from nas.store.engine import Storage, engine_options
from nas.store.foreign import attributes_of, unwritten
from nas.store.status import counts
from nas.store.trials import claim_mirrored, unmark_mirrored, unmirrored
from nas.study.space import Space

NUMBER = "nas_trial"
"""The user attribute that holds our trial's number: Optuna numbers in the order of writing."""

OPEN_TRIES = 6

WRITE_TRIES = 5

REPAIR_SECONDS = 60.0
"""While another run of the study is alive, a trial that was claimed is left to it for so long after its end."""

_jitter = random.SystemRandom()

_STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class Mirror:
    """Writes a study's ended trials into Optuna's tables of the same database, each once.

    Without a `space` the study is a comparison, and the only param of a trial is the name of its candidate.
    """

    def __init__(self, storage: Storage, study: StudyRecord, space: Space | None) -> None:
        quiet()
        self.storage, self.record, self.space = storage, study, space
        self.optuna = _open(storage)
        sqlite.configure(self.optuna.engine)
        self.study = optuna.create_study(
            storage=self.optuna, study_name=study.name, direction="maximize", load_if_exists=True
        )
        self._repair()

    def update(self) -> int:
        """Write what ended since the last time; how many trials that was.

        Each is claimed first, so that of several runs of one study one alone writes it.
        """
        count = 0
        for trial, epochs in unmirrored(self.storage, self.record.id):
            if claim_mirrored(self.storage, trial.id):
                self._write(trial, epochs)
                count += 1
        return count

    def _write(self, trial: TrialRecord, epochs: tuple[EpochRecord, ...]) -> None:
        """Write a trial, anew where the database went away and had not kept it."""
        for _ in range(WRITE_TRIES - 1):
            try:
                return self._add(trial, epochs)
            except StorageInternalError:
                counts(self.storage, self.record.id)  # waits for the database
                if trial.number in self._written():
                    return None
        return self._add(trial, epochs)

    def _written(self) -> set[object]:
        return set(attributes_of(self.storage, self.record.name, NUMBER))

    def _repair(self) -> None:
        """Have written what an earlier run claimed and was killed before it wrote."""
        # Asked in this order, so that what another run writes meanwhile is not taken for missing.
        others = counts(self.storage, self.record.id)["running"] > 0
        claimed = unwritten(self.storage, self.record, NUMBER, REPAIR_SECONDS if others else 0.0)
        if claimed:
            written = self._written()
            unmark_mirrored(self.storage, [id for number, id in claimed.items() if number not in written])

    def close(self) -> None:
        """Give back the connections."""
        self.optuna.remove_session()
        self.optuna.engine.dispose()

    def _add(self, trial: TrialRecord, epochs: tuple[EpochRecord, ...]) -> None:
        """Write a trial; without its params where a plugin has changed what its choices are, which Optuna refuses."""
        try:
            self.study.add_trial(self._trial(trial, epochs, *self._params(trial.params)))
        except ValueError:
            self.study.add_trial(self._trial(trial, epochs, {}, {}))

    def _trial(
        self,
        trial: TrialRecord,
        epochs: tuple[EpochRecord, ...],
        params: dict[str, Any],
        distributions: dict[str, BaseDistribution],
    ) -> FrozenTrial:
        made = create_trial(
            state=_STATES[trial.state],
            value=trial.accuracy if trial.state == COMPLETE else None,
            params=params,
            distributions=distributions,
            user_attrs=_attributes(trial),
            system_attrs={"nas:draw": dict(trial.draw)} if trial.projected else {},
            intermediate_values={one.epoch: one.accuracy for one in epochs if one.accuracy is not None},
        )
        made.datetime_start = _time(trial.started)
        made.datetime_complete = _time(trial.finished or trial.started)
        return made

    def _params(self, named: Mapping[str, Value]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """Names and distributions; none for a network that the space can no longer draw."""
        if self.space is None:
            names = [one["name"] for one in self.record.config["architecture"]]
            return dict(named), {name: CategoricalDistribution(names) for name in named}
        try:
            _, point = replayed(self.space.draw, named)
        except ValueError:
            return {}, {}
        # Optuna freezes a categorical's choices at first use; a range of places may grow with the list of blocks.
        made = {name: _growing(one) if name.endswith(".block") else one for name, one in point.distributions.items()}
        return {name: named[name] for name in made}, made


def forget(storage: Storage, name: str) -> None:
    """Remove a study from Optuna's tables too; one that is not there is none to remove."""
    quiet()
    opened = _open(storage)
    try:
        with suppress(KeyError):
            optuna.delete_study(study_name=name, storage=opened)
    finally:
        opened.remove_session()
        opened.engine.dispose()


def _growing(distribution: BaseDistribution) -> BaseDistribution:
    assert isinstance(distribution, CategoricalDistribution)
    return IntDistribution(0, len(distribution.choices) - 1)


def _attributes(trial: TrialRecord) -> dict[str, Any]:
    totals = trial.totals
    return {
        NUMBER: trial.number,
        "architecture": trial.fingerprint,
        "network": trial.summary,
        "params": totals.params,
        "macs": totals.macs,
        "activations": totals.activations,
        "receptive_field": totals.receptive_field,
        "seconds": round(trial.seconds, 3),
        "reused": trial.reused,
        **({"name": trial.name} if trial.name else {}),
        **({"reason": trial.reason} if trial.reason else {}),
    }


def _time(seconds: float) -> datetime:
    """Optuna keeps local times without a zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)


def _open(storage: Storage) -> RDBStorage:
    """Optuna's view of the database, its tables made where they are not there."""
    options = engine_options(storage.engine.url, pooled=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        for _ in range(OPEN_TRIES - 1):
            try:
                return RDBStorage(storage.url, engine_kwargs=options)
            except Exception:
                # Optuna makes its tables without a lock: of several runs that begin at once all but one fail somewhere.
                time.sleep(_jitter.uniform(0.05, 0.3))
        return RDBStorage(storage.url, engine_kwargs=options)
