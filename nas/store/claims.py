"""Asking for a new trial: whether the network is known, here or elsewhere, and if not, whose it is to train.

Every answer is found and written in one transaction that no other writer shares, so that under any number of workers,
killed at any moment, no network is trained twice and no study has more trials than it asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from nas.arch.record import COMPLETE, FAILED, RUNNING, WAITING, Candidate, Claim, StudyRecord
from nas.errors import ArchitectureError, NotFound
from nas.store.engine import Storage, database_clock
from nas.store.outage import lasting
from nas.store.rows import claim_of, highest, next_revision, same_question
from nas.store.tables import architecture, architecture_block, study, trial

MEASURED = (
    *("accuracy", "accuracy_low", "accuracy_high", "repeats", "test_accuracy", "test_low", "test_high"),
    *("epochs", "epochs_done", "device", "precision", "versions"),
)
"""What a reused trial takes over; its seconds are 0, since nothing was trained."""


LARGEST = 2**63 - 1
"""The largest whole number that a column holds."""


class Answer(StrEnum):
    """What a study says to a candidate."""

    FULL = "full"
    """The study has, or is about to have, all its trials; or it is paused or cancelled."""
    KNOWN = "known"
    """The network is a trial of this study already."""
    REUSED = "reused"
    """Another study had the result; it is now a complete trial of this one too."""
    BUSY = "busy"
    """A worker of another study is at it now."""
    CLAIMED = "claimed"
    """The trial is the asker's to train."""


@dataclass(frozen=True)
class ClaimResult:
    """The answer to a candidate; the trial meant is this study's, or where BUSY the other's (`study` names it)."""

    kind: Answer
    claim: Claim | None = None
    trial_id: int = 0
    study: str = ""
    number: int = -1
    state: str = ""
    accuracy: float | None = None


@dataclass(frozen=True)
class _Question:
    """A candidate put to a study by a worker; `key` stands for network, images, recipe and seed."""

    study: StudyRecord
    owner: str
    candidate: Candidate
    lease_seconds: float
    key: str

    @property
    def same(self) -> ColumnElement[bool]:
        """The trials, of whatever study, that put the same question."""
        asked = (self.candidate.fingerprint, self.study.dataset_hash, self.study.recipe_hash, self.study.seed)
        return same_question(*asked)


@lasting
def claim(storage: Storage, study: StudyRecord, owner: str, candidate: Candidate, lease_seconds: float) -> ClaimResult:
    """Ask for a new trial of a network; see `Answer`. Raises NotFound where the study was removed.

    `owner` names one worker for good, so that a later process is never taken for it.
    """
    _check_costs(candidate)
    key = claim_key(candidate.fingerprint, study.dataset_hash, study.recipe_hash, study.seed)
    question = _Question(study, owner, candidate, lease_seconds, key)
    with storage.write() as connection:
        return (
            _if_full(connection, question)
            or _if_known(connection, question)
            or _if_reused(connection, question)
            or _if_busy(connection, question)
            or _claimed(connection, question)
        )


def _check_costs(candidate: Candidate) -> None:
    """Raise ArchitectureError where a cost is more than the database's whole numbers hold."""
    costs = [(name, found) for name, found in asdict(candidate.totals).items() if found is not None and found > LARGEST]
    if costs:
        name, found = costs[0]
        raise ArchitectureError(f"network {candidate.summary or candidate.fingerprint}: {name} {found:,} is absurd")


def claim_key(fingerprint: str, dataset_hash: str, recipe_hash: str, seed: int) -> str:
    """One text for one question: network, images, recipe and seed."""
    return hashlib.sha256(f"{fingerprint}|{dataset_hash}|{recipe_hash}|{seed}".encode()).hexdigest()


def _if_full(connection: Connection, question: _Question) -> ClaimResult | None:
    # The total is read from the row: another process may have raised it since this one read its record.
    asked = question.study
    row = connection.execute(select(study.c.trials, study.c.halt).where(study.c.id == asked.id)).first()
    if row is None:
        raise NotFound(f"study {asked.name!r} was removed")
    total = row.trials
    of_study = trial.c.study_id == asked.id
    begun = highest(connection, trial.c.number, asked.id, -1) + 1
    failed = connection.scalar(select(func.count()).where(of_study, trial.c.state == FAILED)) or 0
    full = begun - failed >= total or failed > total
    return ClaimResult(Answer.FULL) if full or row.halt else None


def _if_known(connection: Connection, question: _Question) -> ClaimResult | None:
    here = and_(trial.c.study_id == question.study.id, trial.c.fingerprint == question.candidate.fingerprint)
    return _answer(connection, Answer.KNOWN, here)


def _if_reused(connection: Connection, question: _Question) -> ClaimResult | None:
    known = select(trial).where(question.same, trial.c.state == COMPLETE).order_by(trial.c.reused, trial.c.id)
    source = connection.execute(known.limit(1)).first()
    if source is None:
        return None
    trial_id = _insert(connection, question, **taken_over(source))
    return _answer(connection, Answer.REUSED, trial.c.id == trial_id)


def taken_over(source: Row[Any]) -> dict[str, Any]:
    """What makes a trial a complete one by the result of another study's."""
    measured = {name: getattr(source, name) for name in MEASURED}
    origin = source.source_trial_id or source.id
    ended = {"state": COMPLETE, "claim": None, "lease": 0.0, "finished": database_clock()}
    return measured | ended | {"reused": True, "source_trial_id": origin, "seconds": 0.0}


def _if_busy(connection: Connection, question: _Question) -> ClaimResult | None:
    # What nobody holds is given up to whoever asks: its own study, if it ever goes on, takes the result over.
    unheld = or_(trial.c.state == WAITING, and_(trial.c.state == RUNNING, trial.c.lease < database_clock()))
    given_up = {"claim": None, "state": WAITING, "lease": 0.0, "revision": next_revision()}
    connection.execute(update(trial).where(trial.c.claim == question.key, unheld).values(given_up))
    return _answer(connection, Answer.BUSY, trial.c.claim == question.key)


def _claimed(connection: Connection, question: _Question) -> ClaimResult:
    trial_id = _insert(
        connection,
        question,
        state=RUNNING,
        claim=question.key,
        lease=database_clock() + question.lease_seconds,
        epochs=question.study.epochs,
    )
    row = connection.execute(select(trial).where(trial.c.id == trial_id)).one()
    held = claim_of(connection, row)
    return ClaimResult(Answer.CLAIMED, held, trial_id, question.study.name, held.number, RUNNING)


def _answer(connection: Connection, kind: Answer, which: ColumnElement[bool]) -> ClaimResult | None:
    columns = (trial.c.id, study.c.name, trial.c.number, trial.c.state, trial.c.accuracy)
    row = connection.execute(select(*columns).join(study, study.c.id == trial.c.study_id).where(which)).first()
    return None if row is None else ClaimResult(kind, None, *row)


def _insert(connection: Connection, question: _Question, **values: Any) -> int:
    _insert_architecture(connection, question.candidate)
    number = highest(connection, trial.c.number, question.study.id, -1)
    revision = highest(connection, trial.c.revision, question.study.id, 0)
    values = _fresh(question) | {"number": number + 1, "revision": revision + 1} | values
    inserted = connection.execute(insert(trial).values(values)).inserted_primary_key
    assert inserted is not None
    return int(inserted[0])


def _fresh(question: _Question) -> dict[str, Any]:
    asked, candidate = question.study, question.candidate
    return asdict(candidate.totals) | {
        "study_id": asked.id,
        "fingerprint": candidate.fingerprint,
        "dataset_hash": asked.dataset_hash,
        "recipe_hash": asked.recipe_hash,
        "seed": asked.seed,
        "draw_json": dict(candidate.draw),
        "choice_json": dict(candidate.params),
        "projected": candidate.projected,
        "reused": False,
        "repeats": asked.repeats,
        "epochs_done": 0,
        "seconds": 0.0,
        "device": "",
        "precision": "",
        "reason": "",
        "versions": {},
        "worker": question.owner,
        "lease": 0.0,
        "attempts": 1,
        "started": database_clock(),
        "mirrored": False,
    }


def _insert_architecture(connection: Connection, candidate: Candidate) -> None:
    known = select(architecture.c.fingerprint).where(architecture.c.fingerprint == candidate.fingerprint)
    if connection.scalar(known) is not None:
        return
    connection.execute(
        insert(architecture).values(
            fingerprint=candidate.fingerprint,
            body=candidate.body,
            spec=dict(candidate.architecture),
            blocks=list(candidate.blocks),
            summary=candidate.summary,
        )
    )
    rows = [{"fingerprint": candidate.fingerprint, "block": block} for block in dict.fromkeys(candidate.blocks)]
    if rows:
        connection.execute(insert(architecture_block), rows)
