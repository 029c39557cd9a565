"""Studies: making, finding, changing and removing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from nas.arch.record import RUNNING, StudyRecord
from nas.errors import NotFound, StorageError, nearest
from nas.store.engine import Storage, database_clock
from nas.store.kinds import counts_in, names_in, shape_in, table_in
from nas.store.outage import lasting
from nas.store.tables import architecture, epoch, study, trial, weights


@lasting
def create_study(storage: Storage, record: StudyRecord) -> StudyRecord:
    """Add a study; the record comes back with its id. Raises StorageError where the name is taken."""
    with storage.write() as connection:
        if _study_row(connection, record.name) is not None:
            raise StorageError(f"{storage.shown}: there is a study {record.name!r} already; choose another name")
        connection.execute(insert(study).values(_values(record) | {"created": database_clock()}))
        return _record(_must(storage, connection, record.name))


@lasting
def get_study(storage: Storage, name: str) -> StudyRecord | None:
    """The study of that name, or None."""
    with storage.read() as connection:
        row = _study_row(connection, name)
    return None if row is None else _record(row)


@lasting
def find_study(storage: Storage, name: str) -> StudyRecord:
    """The study of that name. Raises NotFound, with the nearest spelling."""
    with storage.read() as connection:
        return _record(_must(storage, connection, name))


@lasting
def list_studies(storage: Storage) -> list[StudyRecord]:
    """All studies, oldest first."""
    with storage.read() as connection:
        return [_record(row) for row in connection.execute(select(study).order_by(study.c.id))]


@lasting
def update_study(
    storage: Storage,
    study_id: int,
    *,
    config: Mapping[str, Any] | None = None,
    trials: int | None = None,
    blocks: Sequence[str] | None = None,
    keep: int | None = None,
    priority: int | None = None,
) -> StudyRecord:
    """Change what may change of a study; what is None stays.

    New blocks open the space again, so the study is then no longer exhausted. Raises StorageError where `blocks` is
    not the old list with names appended: samplers know a block by its place in it. Raises NotFound without the study.
    """
    given = {"config": config, "trials": trials, "blocks": blocks, "keep": keep, "priority": priority}
    changes = {name: value for name, value in given.items() if value is not None}
    with storage.write() as connection:
        row = _must_id(storage, connection, study_id)
        if blocks is not None:
            changes["blocks"] = _appended(row, blocks)
            changes["exhausted"] = row.exhausted and len(blocks) == len(row.blocks)
        if trials is not None and trials > row.trials:
            changes["exhausted"] = False  # of a large space it is no proof: more trials look once more
        if config is not None and config.get("architecture"):
            changes["exhausted"] = False  # its candidates are few: workers look through them again
        if changes:
            connection.execute(update(study).where(study.c.id == study_id).values(changes))
        return _record(_must_id(storage, connection, study_id))


@lasting
def mark_exhausted(storage: Storage, study_id: int, exhausted: bool = True) -> None:
    """Note whether every network of the study's space is known."""
    with storage.write() as connection:
        connection.execute(update(study).where(study.c.id == study_id).values(exhausted=exhausted))


@lasting
def halt_study(storage: Storage, name: str, halt: str) -> StudyRecord:
    """Pause or cancel a study (PAUSED, CANCELLED), or open it again (""). Raises NotFound."""
    with storage.write() as connection:
        row = _must(storage, connection, name)
        connection.execute(update(study).where(study.c.id == row.id).values(halt=halt))
        return _record(_must_id(storage, connection, row.id))


@lasting
def study_halted(storage: Storage, study_id: int) -> bool:
    """Whether a study is paused or cancelled: no trial of it may begin or go on."""
    with storage.read() as connection:
        return is_halted(connection, study_id)


def is_halted(connection: Connection, study_id: int) -> bool:
    """`study_halted`, inside a transaction."""
    return bool(connection.scalar(select(study.c.halt).where(study.c.id == study_id)))


@lasting
def remove_study(storage: Storage, name: str, *, force: bool = False) -> None:
    """Remove a study and all its trials; what other studies took over from it they keep, weights too.

    Raises NotFound, or StorageError while a worker holds one of its trials, unless forced.
    """
    with storage.write() as connection:
        row = _must(storage, connection, name)
        workers = _live_workers(connection, row.id)
        if workers and not force:
            raise StorageError(
                f"study {name!r} is being run by {', '.join(workers)}; stop the workers first, or remove it by force"
            )
        _hand_over(connection, row.id)
        fingerprints = select(trial.c.fingerprint).where(trial.c.study_id == row.id)
        touched = list(connection.scalars(fingerprints))
        connection.execute(delete(study).where(study.c.id == row.id))
        _drop_unused(connection, touched)


def _live_workers(connection: Connection, study_id: int) -> list[str]:
    held = select(trial.c.worker).where(
        trial.c.study_id == study_id, trial.c.state == RUNNING, trial.c.lease > database_clock()
    )
    return list(connection.scalars(held.distinct().order_by(trial.c.worker)))


def _hand_over(connection: Connection, study_id: int) -> None:
    """Give the results that other studies took over, their weights and epochs, to the first of those who did."""
    source = trial.alias("source")
    taken = (
        select(source.c.id, trial.c.id.label("heir"))
        .join(trial, trial.c.source_trial_id == source.c.id)
        .where(source.c.study_id == study_id, trial.c.study_id != study_id)
        .order_by(source.c.id, trial.c.id)
    )
    heirs: dict[int, int] = {}
    for source_id, heir in connection.execute(taken).all():
        heirs.setdefault(source_id, heir)
    for source_id, heir in heirs.items():
        for left in (weights, epoch):
            connection.execute(update(left).where(left.c.trial_id == source_id).values(trial_id=heir))
        others = (trial.c.source_trial_id == source_id, trial.c.id != heir)
        connection.execute(update(trial).where(*others).values(source_trial_id=heir))


def _drop_unused(connection: Connection, fingerprints: Sequence[str]) -> None:
    used = select(trial.c.id).where(trial.c.fingerprint == architecture.c.fingerprint).exists()
    for fingerprint in fingerprints:
        connection.execute(delete(architecture).where(architecture.c.fingerprint == fingerprint, ~used))


def _appended(row: Row[Any], blocks: Sequence[str]) -> list[str]:
    if list(blocks[: len(row.blocks)]) != list(row.blocks):
        known = ", ".join(row.blocks)
        raise StorageError(f"study {row.name!r}: blocks may only be appended to {known}; given: {', '.join(blocks)}")
    return list(blocks)


def _study_row(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(study).where(study.c.name == name)).first()


def _must(storage: Storage, connection: Connection, name: str) -> Row[Any]:
    row = _study_row(connection, name)
    if row is None:
        names = connection.scalars(select(study.c.name)).all()
        raise NotFound(f"no study {name!r} in {storage.shown}{nearest(name, names)}")
    return row


def _must_id(storage: Storage, connection: Connection, study_id: int) -> Row[Any]:
    row = connection.execute(select(study).where(study.c.id == study_id)).first()
    if row is None:
        raise NotFound(f"study {study_id} is no longer in {storage.shown}")
    return row


def _values(record: StudyRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "dataset": record.dataset,
        "dataset_hash": record.dataset_hash,
        "input": list(record.input),
        "classes": record.classes,
        "seed": record.seed,
        "trials": record.trials,
        "config": dict(record.config),
        "budget": dict(record.budget),
        "blocks": list(record.blocks),
        "recipe": dict(record.recipe),
        "recipe_hash": record.recipe_hash,
        "epochs": record.epochs,
        "keep": record.keep,
        "images": dict(record.images),
        "exhausted": record.exhausted,
        "scored_on": record.scored_on,
        "priority": record.priority,
        "halt": record.halt,
    }


def _record(row: Row[Any]) -> StudyRecord:
    known = {name: value for name, value in row._mapping.items() if name != "created"}
    known |= {name: table_in(known[name]) for name in ("config", "recipe", "images")}
    known |= {"input": shape_in(row.input), "blocks": names_in(row.blocks), "budget": counts_in(row.budget)}
    return StudyRecord(**known)
