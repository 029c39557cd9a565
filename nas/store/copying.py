"""Rows of one database put into another, in batches; ids are given anew, and who holds a claim is settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, insert, select, update

from nas.arch.record import COMPLETE, RUNNING, WAITING
from nas.store.checked import check_row
from nas.store.engine import database_clock
from nas.store.rows import highest
from nas.store.tables import architecture, architecture_block, checkpoint, epoch, plan, trial, weights

BATCH = 500
BLOBS = 4
"""So many rows at a time; of those with weights in them only a few."""

Ids = dict[int, tuple[int, bool]]
"""Where each trial went: its new id, and whether it was copied, or was there already."""


def batches(connection: Connection, query: Select[Any], size: int = BATCH) -> Iterator[list[Row[Any]]]:
    """The rows of a query, so many at a time."""
    rows = iter(connection.execute(query.execution_options(yield_per=size)))
    while batch := list(islice(rows, size)):
        yield batch


def copy_architectures(theirs: Connection, ours: Connection) -> None:
    """The networks that are not there yet, and the block types of each."""
    for batch in batches(theirs, select(architecture).order_by(architecture.c.fingerprint)):
        asked = [row.fingerprint for row in batch]
        known = set(ours.scalars(select(architecture.c.fingerprint).where(architecture.c.fingerprint.in_(asked))))
        missing = [row for row in batch if row.fingerprint not in known]
        _insert(ours, architecture, [dict(row._mapping) for row in missing])
        uses = [
            {"fingerprint": row.fingerprint, "block": block} for row in missing for block in dict.fromkeys(row.blocks)
        ]
        _insert(ours, architecture_block, uses)


def copy_trials(theirs: Connection, ours: Connection, from_study: int, to_study: int, ids: Ids) -> tuple[int, int]:
    """The trials of a study that are not there yet, under the next numbers; how many, and how many were there.

    One that is complete takes the place of one that is not. What a worker held is left to be taken up.
    """
    before = {row.fingerprint: row for row in ours.execute(select(trial).where(trial.c.study_id == to_study))}
    number = highest(ours, trial.c.number, to_study, -1)
    revision = highest(ours, trial.c.revision, to_study, 0)
    now = ours.scalar(select(database_clock())) or 0.0
    added = known = 0
    of_study = select(trial).where(trial.c.study_id == from_study).order_by(trial.c.number)
    for batch in batches(theirs, of_study):
        for row in batch:
            there = before.get(row.fingerprint)
            if there is not None and (row.state != COMPLETE or there.state == COMPLETE or _live(there, now)):
                ids[row.id] = (there.id, False)
                known += 1
                continue
            revision += 1
            number += there is None
            values = _values(row) | {"study_id": to_study, "revision": revision}
            values |= {"number": number if there is None else there.number}
            values["claim"] = _claim(ours, row, None if there is None else there.id, now)
            ids[row.id] = (_put(ours, values, there), True)
            added += 1
    return added, known


def _values(row: Row[Any]) -> dict[str, Any]:
    values = {name: value for name, value in row._mapping.items() if name != "id"}
    values |= {"source_trial_id": None, "mirrored": False, "lease": 0.0}
    return values | ({"state": WAITING} if row.state == RUNNING else {})


def _live(row: Row[Any], now: float) -> bool:
    return bool(row.state == RUNNING and row.lease > now)


def _claim(ours: Connection, row: Row[Any], own: int | None, now: float) -> str | None:
    """The trial's claim; None where another has it for good, or is at it. Who only waits gives it up for a result."""
    if row.claim is None:
        return None
    holder = ours.execute(select(trial).where(trial.c.claim == row.claim)).first()
    if holder is None or holder.id == own:
        return str(row.claim)
    if row.state != COMPLETE or holder.state == COMPLETE or _live(holder, now):
        return None
    ours.execute(update(trial).where(trial.c.id == holder.id).values(claim=None, state=WAITING, lease=0.0))
    return str(row.claim)


def _put(ours: Connection, values: dict[str, Any], there: Row[Any] | None) -> int:
    check_row(trial, {"id": 0, **values})
    if there is None:
        made = ours.execute(insert(trial).values(values)).inserted_primary_key
        assert made is not None
        return int(made[0])
    for table in (epoch, checkpoint, weights):
        ours.execute(delete(table).where(table.c.trial_id == there.id))
    ours.execute(update(trial).where(trial.c.id == there.id).values(values))
    return int(there.id)


def copy_epochs(theirs: Connection, ours: Connection, ids: Ids) -> None:
    """The epochs of the trials that were copied."""
    for batch in batches(theirs, select(epoch).order_by(epoch.c.trial_id, epoch.c.epoch)):
        _insert(ours, epoch, _of_copied(batch, ids))


def copy_blobs(theirs: Connection, ours: Connection, table: Table, ids: Ids) -> None:
    """The weights or checkpoints of the trials that were copied, and weights of those that had none."""
    having = set(ours.scalars(select(table.c.trial_id))) if table is weights else set()
    lacking = {old: (new, copied or (table is weights and new not in having)) for old, (new, copied) in ids.items()}
    for batch in batches(theirs, select(table).order_by(table.c.trial_id), BLOBS):
        _insert(ours, table, _of_copied(batch, lacking))


def _of_copied(batch: Sequence[Row[Any]], ids: Ids) -> list[dict[str, Any]]:
    return [{**row._mapping, "trial_id": ids[row.trial_id][0]} for row in batch if ids[row.trial_id][1]]


def link_sources(theirs: Connection, ours: Connection, ids: Ids) -> None:
    """From whom each reused result was taken, by the new ids."""
    reused = select(trial.c.id, trial.c.source_trial_id).where(trial.c.source_trial_id.is_not(None))
    for batch in batches(theirs, reused.order_by(trial.c.id)):
        for row in batch:
            (new, copied), (source, _) = ids[row.id], ids[row.source_trial_id]
            if copied and source != new:
                ours.execute(update(trial).where(trial.c.id == new).values(source_trial_id=source))


def copy_plans(theirs: Connection, ours: Connection) -> None:
    """How machines train networks, where that is not known yet."""
    keys = list(plan.primary_key.columns)
    for batch in batches(theirs, select(plan).order_by(*keys)):
        known = {
            tuple(row) for row in ours.execute(select(*keys).where(keys[1].in_([row.fingerprint for row in batch])))
        }
        missing = [row for row in batch if tuple(getattr(row, key.name) for key in keys) not in known]
        _insert(ours, plan, [dict(row._mapping) for row in missing])


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        check_row(table, row)
    if rows:
        connection.execute(insert(table), rows)
