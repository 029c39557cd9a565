"""Rows as records, and the conditions on trials that several questions share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

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


def trial_rows() -> Select[Any]:
    """All that `trial_record` needs."""
    network = (architecture.c.body, architecture.c.blocks, architecture.c.summary)
    return (
        select(trial, study.c.name.label("study"), study.c.scored_on, *network)
        .join(study, study.c.id == trial.c.study_id)
        .join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    )


def trial_record(row: Row[Any]) -> TrialRecord:
    """A row of `trial_rows`."""
    return TrialRecord(
        id=row.id,
        study=row.study,
        number=row.number,
        state=row.state,
        fingerprint=row.fingerprint,
        body=row.body,
        blocks=tuple(row.blocks),
        totals=totals_of(row),
        draw=row.draw_json,
        params=row.choice_json,
        projected=row.projected,
        reused=row.reused,
        accuracy=row.accuracy,
        epochs=row.epochs,
        epochs_done=row.epochs_done,
        seed=row.seed,
        seconds=row.seconds,
        device=row.device,
        precision=row.precision,
        reason=row.reason,
        worker=row.worker,
        versions=row.versions,
        summary=row.summary,
        started=row.started,
        finished=row.finished,
        repeats=row.repeats,
        accuracy_low=row.accuracy_low,
        accuracy_high=row.accuracy_high,
        test_accuracy=row.test_accuracy,
        test_low=row.test_low,
        test_high=row.test_high,
        scored_on=row.scored_on,
    )
