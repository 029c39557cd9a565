"""Holding a trial: taking up what nobody holds any more, keeping the hold, letting go."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, exists, or_, select, update

from nas.arch.record import COMPLETE, FAILED, RUNNING, WAITING, Claim, StudyRecord
from nas.store.claims import claim_key, taken_over
from nas.store.engine import Storage, database_clock
from nas.store.outage import lasting
from nas.store.rows import NEXT_REVISION, claim_of, held_by, same_question
from nas.store.studies import is_halted
from nas.store.tables import checkpoint, epoch, trial

MAX_DEATHS = 3
"""How many workers in a row may die on a trial, none of them ending an epoch; the next counts as its failure."""


def _busy() -> ColumnElement[bool]:
    """Trials whose claim was given up to another study, which is at the same question now."""
    other = trial.alias("other")
    same = same_question(other.c.fingerprint, other.c.dataset_hash, other.c.recipe_hash, other.c.seed)
    live = (other.c.claim.is_not(None), other.c.state == RUNNING, other.c.lease >= database_clock())
    return and_(trial.c.claim.is_(None), exists().where(same, *live))


_dead = and_(trial.c.state == RUNNING, trial.c.lease < database_clock())
# Both `in_`, which says nothing new, and the sum in the order lead SQLite to the index on states, where few rows are
# unended; it would else walk through all trials in the order of their numbers.
_unheld = (trial.c.state.in_([WAITING, RUNNING]), or_(trial.c.state == WAITING, _dead), ~_busy())

ABANDONED = select(trial.c.id).where(trial.c.study_id == bindparam("study_id"), *_unheld).limit(1)
"""A trial of a study that nobody holds."""

# On PostgreSQL whoever holds a trial renews it without waiting for other writers; who is at that just now is alive.
_TAKEN = (
    select(trial)
    .where(trial.c.study_id == bindparam("study_id"), *_unheld)
    .order_by(trial.c.number + 0)
    .limit(1)
    .with_for_update(skip_locked=True, of=trial)
)
_BEAT = (
    update(trial)
    .where(held_by(bindparam("trial"), bindparam("owner")))
    .values(lease=database_clock() + bindparam("lease_seconds"))
)


@lasting
def take_up(storage: Storage, study: StudyRecord, owner: str, lease_seconds: float) -> Claim | None:
    """The lowest-numbered trial that nobody holds any more, with the epochs that its checkpoint has behind it.

    One on which worker after worker died without ending an epoch fails here instead. None, too, where the study is
    paused or cancelled.
    """
    with storage.read() as connection:  # most often there is none, and that needs no lock
        if connection.execute(ABANDONED, {"study_id": study.id}).first() is None:
            return None
    with storage.write() as connection:
        if is_halted(connection, study.id):
            return None
        while (row := connection.execute(_TAKEN, {"study_id": study.id}).first()) is not None:
            if _known_elsewhere(connection, row):
                continue
            if row.attempts <= MAX_DEATHS:
                _hold(connection, row, owner, lease_seconds)
                return claim_of(connection, row)
            _give_up(connection, row)
    return None


@lasting
def heartbeat(storage: Storage, trial_id: int, owner: str, lease_seconds: float) -> bool:
    """Hold a trial for another while; False where it is the owner's no longer.

    A server that is away is not waited for: whoever beats comes again.
    """
    told = {"trial": trial_id, "owner": owner, "lease_seconds": lease_seconds}
    with replace(storage, patience_seconds=0.0).write(alone=False) as connection:
        return connection.execute(_BEAT, told).rowcount > 0


@lasting
def release(storage: Storage, owner: str) -> int:
    """Let go of all that a worker holds, to be taken up again later; how many trials that were."""
    with storage.write() as connection:
        return _let_go(connection, trial.c.worker == owner, attempts=trial.c.attempts - 1)


@lasting
def release_owners(storage: Storage, owners: Collection[str]) -> int:
    """Let go of all that workers held who are known to be dead; how many trials that were."""
    with storage.write() as connection:
        return _let_go(connection, trial.c.worker.in_(owners))


def _known_elsewhere(connection: Connection, row: Row[Any]) -> bool:
    """Whether another study answered the question since the trial was left; then the trial takes the answer over."""
    if row.claim is not None:
        return False
    same = same_question(row.fingerprint, row.dataset_hash, row.recipe_hash, row.seed)
    source = connection.execute(select(trial).where(same, trial.c.state == COMPLETE).order_by(trial.c.id)).first()
    if source is None:
        return False
    values = taken_over(source) | {"revision": NEXT_REVISION}
    connection.execute(update(trial).where(trial.c.id == row.id).values(values))
    connection.execute(delete(checkpoint).where(checkpoint.c.trial_id == row.id))
    connection.execute(delete(epoch).where(epoch.c.trial_id == row.id))
    return True


def _hold(connection: Connection, row: Row[Any], owner: str, lease_seconds: float) -> None:
    # A claim given up is claimed anew; whoever left another unended trial of the same question gives up its own.
    key = claim_key(row.fingerprint, row.dataset_hash, row.recipe_hash, row.seed)
    given_up = {"claim": None, "state": WAITING, "lease": 0.0, "revision": NEXT_REVISION}
    connection.execute(update(trial).where(trial.c.claim == key, trial.c.id != row.id).values(given_up))
    held = {
        "state": RUNNING,
        "claim": key,
        "worker": owner,
        "lease": database_clock() + lease_seconds,
        "attempts": row.attempts + 1,
        "revision": NEXT_REVISION,
    }
    connection.execute(update(trial).where(trial.c.id == row.id).values(held))


def _give_up(connection: Connection, row: Row[Any]) -> None:
    ended = {
        "state": FAILED,
        "claim": None,
        "reason": f"its worker died {row.attempts} times",
        "finished": database_clock(),
        "revision": NEXT_REVISION,
    }
    connection.execute(update(trial).where(trial.c.id == row.id).values(ended))
    connection.execute(delete(checkpoint).where(checkpoint.c.trial_id == row.id))


def _let_go(connection: Connection, whose: ColumnElement[bool], **values: Any) -> int:
    waiting = {"state": WAITING, "lease": 0.0, "revision": NEXT_REVISION} | values
    return connection.execute(update(trial).where(trial.c.state == RUNNING, whose).values(waiting)).rowcount
