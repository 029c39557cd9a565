"""Trials under way and over: their epochs, their end, and their list as samplers and tables want it."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from sqlalchemy import Integer, Text, bindparam, case, delete, func, select, update

from nas.arch.record import COMPLETE, FAILED, PRUNED, VALIDATION, EpochRecord, Outcome, Standing, Trained, TrialRecord
from nas.store.engine import Storage, cut_off_if_frozen, database_clock
from nas.store.outage import lasting
from nas.store.rows import (
    NEXT_REVISION,
    Told,
    epochs_of,
    held_by,
    highest,
    replacing,
    told_rows,
    trial_record,
    trial_rows,
)
from nas.store.tables import architecture, checkpoint, epoch, study, trial
from nas.store.weights import put_weights

ENDED = (COMPLETE, PRUNED, FAILED)

_GIVEN = ("accuracy", "accuracy_low", "accuracy_high", "seconds", "device", "precision", "reason")
"""What a trial takes of its outcome as it is."""

MOST_PEERS = 1_000
"""A trial is compared with so many of the latest: at the end of every epoch, however long the study."""


class Noted(IntEnum):
    """What became of an epoch's record; false where it was lost."""

    LOST = 0
    """Nothing was written: the trial is the owner's no longer."""
    KEPT = 1
    HALTED = 2
    """Kept; and the study is paused or cancelled, so the trial is to end here."""


_held = held_by(bindparam("trial"), bindparam("owner"))
_done = bindparam("done", type_=Integer)

_PROGRESS = (
    update(trial)
    .where(_held)
    .values(
        epochs_done=case((trial.c.epochs_done < _done, _done), else_=trial.c.epochs_done),
        attempts=1,
        lease=database_clock() + bindparam("lease_seconds"),
    )
    .returning(select(study.c.halt).where(study.c.id == trial.c.study_id).scalar_subquery(), cut_off_if_frozen())
)
_FORGET_CHECKPOINT = delete(checkpoint).where(checkpoint.c.trial_id == bindparam("trial"))
_EPOCH, _CHECKPOINT = replacing(epoch), replacing(checkpoint)


@lasting
def record_epoch(
    storage: Storage,
    trial_id: int,
    owner: str,
    record: EpochRecord,
    checkpoint_blob: bytes | None,
    lease_seconds: float,
) -> Noted:
    """Write an epoch down, with the checkpoint to go on from after it, and hold the trial for another while.

    An epoch done again replaces its record; without a checkpoint the one before stays. An epoch ended clears the trial
    of earlier workers' deaths.
    """
    told = {"trial": trial_id, "owner": owner, "done": record.epoch, "lease_seconds": lease_seconds}
    with storage.write(alone=False) as connection:
        held = connection.execute(_PROGRESS, told).first()
        if held is None:
            return Noted.LOST
        dialect = connection.dialect.name
        connection.execute(_EPOCH[dialect], {"trial_id": trial_id, **vars(record)})
        if checkpoint_blob is not None:
            saved = {"trial_id": trial_id, "epoch": record.epoch, "blob": checkpoint_blob}
            connection.execute(_CHECKPOINT[dialect], saved)
    return Noted.HALTED if held[0] else Noted.KEPT


_state = bindparam("ends", type_=Text)

_END = (
    update(trial)
    .where(_held)
    .values(
        state=_state,
        claim=case((_state == COMPLETE, trial.c.claim)),
        # Of a failed one as recorded, epoch by epoch.
        epochs_done=case((_state == FAILED, trial.c.epochs_done), else_=bindparam("done", type_=Integer)),
        versions=bindparam("with", type_=trial.c.versions.type),
        **{name: bindparam(f"its_{name}", type_=trial.c[name].type) for name in _GIVEN},
        lease=0.0,
        finished=database_clock(),
        revision=NEXT_REVISION,
    )
)


@lasting
def finish(storage: Storage, trial_id: int, owner: str, outcome: Outcome) -> bool:
    """End a trial; False, and nothing written, where it is the owner's no longer.

    A pruned or failed one frees its claim: the question may be put again. Weights are kept of a complete one, if it is
    among the best of its study.
    """
    assert outcome.state in ENDED, outcome.state
    told = {f"its_{name}": getattr(outcome, name) for name in _GIVEN}
    told["its_reason"] = outcome.reason.replace("\0", "")  # PostgreSQL keeps no NUL in a text
    told |= {"ends": outcome.state, "done": outcome.epochs, "with": dict(outcome.versions)}
    with storage.write() as connection:
        if connection.execute(_END, told | {"trial": trial_id, "owner": owner}).rowcount == 0:
            return False
        connection.execute(_FORGET_CHECKPOINT, {"trial": trial_id})
        if outcome.state == COMPLETE and outcome.weights is not None:
            put_weights(connection, trial_id, outcome.weights)
    return True


@lasting
def confirm_trial(
    storage: Storage,
    trial_id: int,
    *,
    test: tuple[float, float | None, float | None],
    weights: bytes | None = None,
) -> None:
    """Put a test accuracy (mean, low, high) beside a complete trial's own accuracy, by which it was chosen.

    A confirmed trial's weights are kept whatever its rank.
    """
    values = dict(zip(("test_accuracy", "test_low", "test_high"), test, strict=True))
    of_trial = update(trial).where(trial.c.id == trial_id, trial.c.state == COMPLETE)
    with storage.write() as connection:
        connection.execute(of_trial.values(values | {"revision": NEXT_REVISION}))
        if weights is not None:
            put_weights(connection, trial_id, weights)


@lasting
def trials(
    storage: Storage,
    study_id: int | None = None,
    ids: Collection[int] | None = None,
    states: Collection[str] | None = None,
    after_id: int | None = None,
) -> list[TrialRecord]:
    """Trials by id; what is None does not matter."""
    asked = trial_rows().order_by(trial.c.id)
    if after_id is not None:
        asked = asked.where(trial.c.id > after_id)
    if study_id is not None:
        asked = asked.where(trial.c.study_id == study_id)
    if ids is not None:
        asked = asked.where(trial.c.id.in_(ids))
    if states is not None:
        asked = asked.where(trial.c.state.in_(states))
    with storage.read() as connection:
        return [trial_record(row) for row in connection.execute(asked)]


def history(storage: Storage, study_id: int, after_id: int | None = None) -> list[TrialRecord]:
    """The study's trials in the order in which they were begun."""
    return trials(storage, study_id, after_id=after_id)


_CHANGED = (
    trial_rows()
    .where(trial.c.study_id == bindparam("study_id"), trial.c.revision > bindparam("revision"))
    .order_by(trial.c.revision, trial.c.id)
)


@lasting
def history_since(storage: Storage, study_id: int, revision: int) -> tuple[int, list[TrialRecord]]:
    """The study's trials that began or changed state after a revision (0: all), and the revision to ask from next."""
    with storage.glance() as connection:
        rows = connection.execute(_CHANGED, {"study_id": study_id, "revision": revision}).all()
    return (rows[-1].revision if rows else revision), [trial_record(row) for row in rows]


_TOLD = (
    told_rows()
    .where(trial.c.study_id == bindparam("study_id"), trial.c.revision > bindparam("revision"))
    .order_by(trial.c.revision, trial.c.id)
)


@lasting
def told_since(storage: Storage, study_id: int, revision: int) -> tuple[int, list[Told]]:
    """What `history_since` tells, as far as samplers want it: many times as quick where there is much."""
    with storage.glance() as connection:
        rows = connection.execute(_TOLD, {"study_id": study_id, "revision": revision})
        found = [Told._make((*row, storage.shown)) for row in rows]
    return (found[-1].revision if found else revision), found


@lasting
def latest_revision(storage: Storage, study_id: int) -> int:
    """The revision from which `history_since` tells of nothing yet."""
    with storage.read() as connection:
        return highest(connection, trial.c.revision, study_id, 0)


@lasting
def steps(storage: Storage, study_id: int) -> int:
    """A number that changes with every epoch and trial of a study that ended."""
    ended = case((trial.c.finished.is_not(None), 1), else_=0)
    asked = select(func.coalesce(func.sum(trial.c.epochs_done + ended), 0)).where(trial.c.study_id == study_id)
    with storage.read() as connection:
        found: int = connection.scalars(asked).one()
    return found


@lasting
def peers(storage: Storage, study_id: int, at_epoch: int, exclude_trial: int, most: int = MOST_PEERS) -> list[Standing]:
    """Where each other trial that recorded an epoch stood at it, of the `most` latest trials of a study.

    Running, pruned and complete ones count alike; of those taken over from other studies no epochs are known. Epochs
    that were not scored do not count.
    """
    latest = select(trial.c.id).where(trial.c.study_id == study_id).order_by(trial.c.number.desc()).limit(most)
    others = (
        trial.c.id.in_(latest.scalar_subquery()),
        trial.c.id != exclude_trial,
        trial.c.state != FAILED,
    )
    best = (
        select(func.max(epoch.c.accuracy), trial.c.macs)
        .join(trial, trial.c.id == epoch.c.trial_id)
        .where(*others, epoch.c.epoch <= at_epoch, epoch.c.accuracy.is_not(None))
        .group_by(epoch.c.trial_id, trial.c.macs)
        .having(func.max(epoch.c.epoch) == at_epoch)
        .order_by(epoch.c.trial_id)
    )
    with storage.read() as connection:
        return [Standing(accuracy, macs) for accuracy, macs in connection.execute(best)]


@lasting
def trained_networks(storage: Storage, study_id: int, most: int, *, elsewhere: bool = False) -> list[Trained]:
    """The latest networks of a study that have an accuracy on validation images; `elsewhere`: of all other studies,
    those left out that they took over from one another.
    """
    of_study = trial.c.study_id == study_id
    where = [trial.c.state == COMPLETE, study.c.scored_on == VALIDATION]
    where += [~of_study, trial.c.reused.is_(False)] if elsewhere else [of_study]
    costs = (trial.c.params, trial.c.macs, trial.c.activations)
    rows = select(trial.c.study_id, trial.c.accuracy, *costs, architecture.c.spec).select_from(trial)
    rows = rows.join(study, study.c.id == trial.c.study_id)
    rows = rows.join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    with storage.read() as connection:
        found = connection.execute(rows.where(*where).order_by(trial.c.id.desc()).limit(most))
        return [Trained(*row) for row in found]


@lasting
def trial_epochs(storage: Storage, trial_id: int) -> tuple[EpochRecord, ...]:
    """The epochs recorded of a trial, in order."""
    with storage.read() as connection:
        return epochs_of(connection, trial_id)


@lasting
def trained_epochs(storage: Storage, trial_id: int) -> tuple[EpochRecord, ...]:
    """The epochs behind a trial's result: its own, or where it was taken over from another study, its source's."""
    with storage.read() as connection:
        origin = connection.scalar(select(trial.c.source_trial_id).where(trial.c.id == trial_id))
        return epochs_of(connection, trial_id) or (() if origin is None else epochs_of(connection, origin))


@lasting
def unmirrored(storage: Storage, study_id: int) -> list[tuple[TrialRecord, tuple[EpochRecord, ...]]]:
    """The ended trials, with their epochs, that are not yet in Optuna's tables."""
    ended = (trial.c.study_id == study_id, trial.c.state.in_(ENDED), trial.c.mirrored.is_(False))
    with storage.read() as connection:
        rows = connection.execute(trial_rows().where(*ended).order_by(trial.c.id)).all()
        return [(trial_record(row), epochs_of(connection, row.id)) for row in rows]


@lasting
def claim_mirrored(storage: Storage, trial_id: int) -> bool:
    """Note that a trial is in Optuna's tables; False where somebody else did, who then writes it there."""
    ours = update(trial).where(trial.c.id == trial_id, trial.c.mirrored.is_(False)).values(mirrored=True)
    with storage.write() as connection:
        return connection.execute(ours).rowcount > 0


@lasting
def unmark_mirrored(storage: Storage, ids: Collection[int]) -> None:
    """Note that trials are not in Optuna's tables after all: whoever noted it died before writing them."""
    with storage.write() as connection:
        connection.execute(update(trial).where(trial.c.id.in_(ids)).values(mirrored=False))
