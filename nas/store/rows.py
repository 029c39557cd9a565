"""Rows as records, and the conditions on trials that several questions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Insert, Row, Select, Table, Text, and_, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nas.arch.record import PRUNED, RUNNING, Claim, EpochRecord, Totals, TrialRecord
from nas.errors import StorageError
from nas.store.kinds import Unreadable, from_json, names_in, table_in
from nas.store.tables import architecture, checkpoint, epoch, study, trial


def same_question(fingerprint: Any, dataset_hash: Any, recipe_hash: Any, seed: Any) -> ColumnElement[bool]:
    """Trials of this network on these images by this recipe from this seed."""
    return and_(
        trial.c.fingerprint == fingerprint,
        trial.c.dataset_hash == dataset_hash,
        trial.c.recipe_hash == recipe_hash,
        trial.c.seed == seed,
    )


def replacing(table: Table) -> Mapping[str, Insert]:
    """Statements by dialect that insert a row, or put it in the place of the one with the same key."""
    found: dict[str, Insert] = {}
    for dialect, made in (("sqlite", sqlite.insert(table)), ("postgresql", postgresql.insert(table))):
        key = list(table.primary_key)
        others = {column.name: made.excluded[column.name] for column in table.c if column not in key}
        found[dialect] = made.on_conflict_do_update(index_elements=key, set_=others)
    return found


def held_by(trial_id: Any, owner: Any) -> ColumnElement[bool]:
    """The trial, if the owner still holds it. A lease that ran out is good until somebody else takes the trial."""
    return and_(trial.c.id == trial_id, trial.c.state == RUNNING, trial.c.worker == owner)


_others = trial.alias("others")
_latest = select(func.max(_others.c.revision)).where(_others.c.study_id == trial.c.study_id)

NEXT_REVISION: ColumnElement[int] = func.coalesce(_latest.scalar_subquery(), 0) + 1
"""One more than the study's highest revision, for an UPDATE of trials."""


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
    same = same_question(row.fingerprint, row.dataset_hash, row.recipe_hash, row.seed)
    longest = connection.scalar(longest_pruned(same).where(trial.c.id != row.id))
    return () if longest is None else epochs_of(connection, longest)


def longest_pruned(same: ColumnElement[bool]) -> Select[int]:
    """The longest pruned training of a question: the next trial that puts it knows its epochs."""
    pruned = select(trial.c.id).where(same, trial.c.state == PRUNED)
    return pruned.order_by(trial.c.epochs_done.desc(), trial.c.id).limit(1)


MOST_PARSED = 10_000
"""So many texts of JSON are remembered as what they say."""


@lru_cache(MOST_PARSED)
def _parsed(text: str) -> Any:
    """The JSON of a column, parsed once: a worker reads every trial at its beginning and at its end, and most of them
    have blocks and versions in common. Whoever is given it changes nothing in it.
    """
    return from_json(text)


_TOTALS = tuple(one.name for one in fields(Totals))

_ELSEWHERE: Mapping[str, ColumnElement[Any]] = {
    **{"study": study.c.name, "scored_on": study.c.scored_on, "body": architecture.c.body},
    **{"summary": architecture.c.summary, "blocks": cast(architecture.c.blocks, Text)},
    **{"draw": cast(trial.c.draw_json, Text), "params": cast(trial.c.choice_json, Text)},
    "versions": cast(trial.c.versions, Text),
}
"""Fields of a trial's record that no column of its table holds under this name; JSON as text."""

_FIELDS: Mapping[str, ColumnElement[Any]] = {
    one.name: _ELSEWHERE[one.name] if one.name in _ELSEWHERE else trial.c[one.name]
    for one in fields(TrialRecord)
    if one.name != "totals"
}


def trial_rows() -> Select[Any]:
    """All that `trial_record` needs."""
    return (
        select(*_FIELDS.values(), *(trial.c[name] for name in _TOTALS), trial.c.revision)
        .select_from(trial)
        .join(study, study.c.id == trial.c.study_id)
        .join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    )


class Told(NamedTuple):
    """What samplers are told of a trial; its JSON is read by who looks into it, since of a long study few are."""

    number: int
    fingerprint: str
    state: str
    accuracy: float | None
    epochs_done: int
    drawn: str
    choices: str
    revision: int
    place: str
    """Where it is stored, for messages."""

    @property
    def draw(self) -> dict[str, Any]:
        """What the sampler drew. Raises StorageError where the column holds something else."""
        return self._read(self.drawn)

    @property
    def params(self) -> dict[str, Any]:
        """What was made of it. Raises StorageError where the column holds something else."""
        return self._read(self.choices)

    def _read(self, text: str) -> dict[str, Any]:
        try:
            return table_in(from_json(text))
        except Unreadable as error:
            raise StorageError(f"{self.place}: {error}") from error


def told_rows() -> Select[Any]:
    """The columns of `Told`, but for the place."""
    names = ("number", "fingerprint", "state", "accuracy", "epochs_done")
    texts = (cast(trial.c.draw_json, Text), cast(trial.c.choice_json, Text))
    return select(*(trial.c[name] for name in names), *texts, trial.c.revision)


def trial_record(row: Row[Any]) -> TrialRecord:
    """A row of `trial_rows`."""
    values = tuple(row)
    known = dict(zip(_FIELDS, values, strict=False))
    known["blocks"] = names_in(_parsed(known["blocks"]))
    for name in ("draw", "params", "versions"):
        known[name] = table_in(_parsed(known[name]))
    return TrialRecord(**known, totals=Totals(*values[len(_FIELDS) : -1]))
