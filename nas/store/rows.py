"""Rows as records, and the conditions on trials that several questions share."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Row,
    Select,
    Text,
    TypeDecorator,
    and_,
    cast,
    func,
    select,
    type_coerce,
)

from nas.arch.record import PRUNED, RUNNING, Claim, EpochRecord, Totals, TrialRecord
from nas.store.tables import architecture, checkpoint, epoch, study, trial


def same_question(fingerprint: Any, dataset_hash: Any, recipe_hash: Any, seed: Any) -> ColumnElement[bool]:
    """Trials of this network on these images by this recipe from this seed."""
    return and_(
        trial.c.fingerprint == fingerprint,
        trial.c.dataset_hash == dataset_hash,
        trial.c.recipe_hash == recipe_hash,
        trial.c.seed == seed,
    )


def held_by(trial_id: int, owner: str) -> ColumnElement[bool]:
    """The trial, if the owner still holds it. A lease that ran out is good until somebody else takes the trial."""
    return and_(trial.c.id == trial_id, trial.c.state == RUNNING, trial.c.worker == owner)


def next_revision() -> ColumnElement[int]:
    """One more than the study's highest revision, for an UPDATE of trials."""
    others = trial.alias("others")
    latest = select(func.max(others.c.revision)).where(others.c.study_id == trial.c.study_id)
    return func.coalesce(latest.scalar_subquery(), 0) + 1


def highest(connection: Connection, column: ColumnElement[int], study_id: int, without: int) -> int:
    """The highest number or revision in a study; `without` trials, that. A bare maximum is one look into an index."""
    found = connection.scalar(select(func.max(column)).where(trial.c.study_id == study_id))
    return without if found is None else found


def epochs_of(connection: Connection, trial_id: int, until: int | None = None) -> tuple[EpochRecord, ...]:
    """The epochs recorded of a trial, in order, at most up to `until`."""
    rows = select(epoch).where(epoch.c.trial_id == trial_id).order_by(epoch.c.epoch)
    if until is not None:
        rows = rows.where(epoch.c.epoch <= until)
    return tuple(epoch_record(row) for row in connection.execute(rows))


def epoch_record(row: Row[Any]) -> EpochRecord:
    """A row of nas_epoch; a loss that SQLite could not keep was no number, unless the epoch was not scored."""
    loss, train_loss = (float("nan") if loss is None else loss for loss in (row.loss, row.train_loss))
    return EpochRecord(row.epoch, row.accuracy, None if row.accuracy is None else loss, train_loss, row.seconds)


def totals_of(row: Row[Any]) -> Totals:
    """The cost columns of a row of nas_trial."""
    return Totals(
        params=row.params,
        weights=row.weights,
        macs=row.macs,
        activations=row.activations,
        receptive_field=row.receptive_field,
        auxiliary_params=row.auxiliary_params,
        depth=row.depth,
    )


def claim_of(connection: Connection, row: Row[Any]) -> Claim:
    """The trial of a row of nas_trial as its holder is handed it."""
    spec = connection.scalar(select(architecture.c.spec).where(architecture.c.fingerprint == row.fingerprint))
    assert spec is not None
    saved = connection.execute(select(checkpoint).where(checkpoint.c.trial_id == row.id)).first()
    return Claim(
        trial_id=row.id,
        study_id=row.study_id,
        number=row.number,
        fingerprint=row.fingerprint,
        architecture=spec,
        totals=totals_of(row),
        epochs=() if saved is None else epochs_of(connection, row.id, saved.epoch),
        checkpoint=None if saved is None else saved.blob,
        known=_known_epochs(connection, row),
    )


def _known_epochs(connection: Connection, row: Row[Any]) -> tuple[EpochRecord, ...]:
    """The epochs of the longest pruned training, in another study, of what this trial asks."""
    same = same_question(row.fingerprint, row.dataset_hash, row.recipe_hash, row.seed)
    pruned = select(trial.c.id).where(same, trial.c.state == PRUNED, trial.c.id != row.id)
    longest = connection.scalar(pruned.order_by(trial.c.epochs_done.desc(), trial.c.id).limit(1))
    return () if longest is None else epochs_of(connection, longest)


class Later(Mapping[str, Any]):
    """A JSON object that is read once it is looked into: of most of a long study's trials nobody ever asks."""

    __slots__ = ("_read", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._read: dict[str, Any] | None = None

    def _whole(self) -> dict[str, Any]:
        if self._read is None:
            self._read = json.loads(self._text)
        return self._read

    def __getitem__(self, name: str) -> Any:
        return self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())


@lru_cache(maxsize=1_000)
def _shared(text: str) -> Any:
    """What many rows say alike: block types, versions."""
    told = json.loads(text)
    return tuple(told) if isinstance(told, list) else told


class _LaterJSON(TypeDecorator[Mapping[str, Any]]):
    impl, cache_ok = Text, True

    def process_result_value(self, value: Any, dialect: Dialect) -> Mapping[str, Any]:
        """Not read yet."""
        return Later(value)


class _SharedJSON(TypeDecorator[Any]):
    impl, cache_ok = Text, True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read once."""
        return _shared(value)


def _text_as(column: ColumnElement[Any], kind: TypeDecorator[Any]) -> ColumnElement[Any]:
    return type_coerce(cast(column, Text), kind)


_COST_NAMES = tuple(field.name for field in fields(Totals))
_OWN_NAMES = tuple(field.name for field in fields(TrialRecord) if field.name != "totals")
_COLUMNS: dict[str, ColumnElement[Any]] = {
    **trial.c,
    "study": study.c.name,
    "scored_on": study.c.scored_on,
    "body": architecture.c.body,
    "summary": architecture.c.summary,
    "blocks": _text_as(architecture.c.blocks, _SharedJSON()),
    "versions": _text_as(trial.c.versions, _SharedJSON()),
    "draw": _text_as(trial.c.draw_json, _LaterJSON()),
    "params": _text_as(trial.c.choice_json, _LaterJSON()),
}
_OWN = [_COLUMNS[name].label(f"own_{name}") for name in _OWN_NAMES]


def trial_rows() -> Select[Any]:
    """All that `trial_record` needs, in the order in which it takes it; and `id`, `revision`, `fingerprint`."""
    costs = [trial.c[name].label(f"cost_{name}") for name in _COST_NAMES]
    return (
        select(*_OWN, *costs, trial.c.id, trial.c.revision, trial.c.fingerprint)
        .select_from(trial)
        .join(study, study.c.id == trial.c.study_id)
        .join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    )


def trial_record(row: Row[Any]) -> TrialRecord:
    """A row of `trial_rows`."""
    own, costs = row[: len(_OWN)], row[len(_OWN) : len(_OWN) + len(_COST_NAMES)]
    totals, record = object.__new__(Totals), object.__new__(TrialRecord)
    # Frozen dataclasses set field by field, by a call for each: of a hundred thousand trials that takes seconds.
    vars(totals).update(zip(_COST_NAMES, costs, strict=True))
    vars(record).update(zip(_OWN_NAMES, own, strict=True), totals=totals)
    return record


def trial_records(rows: Iterable[Row[Any]]) -> list[TrialRecord]:
    """Rows of `trial_rows`. The collector of garbage waits meanwhile: again and again it would look at all of them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return [trial_record(row) for row in rows]
    finally:
        if collects:
            gc.enable()
