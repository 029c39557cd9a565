"""Asking for a new trial: whether the network is known, here or elsewhere, and if not, whose it is to train.

Every answer is found and written in one transaction that no other writer shares, so that under any number of workers,
killed at any moment, no network is trained twice and no study has more trials than it asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from nas.arch.record import COMPLETE, FAILED, RUNNING, WAITING, Candidate, Claim, StudyRecord
from nas.errors import ArchitectureError, NotFound
from nas.store.engine import Storage, database_clock
from nas.store.outage import lasting
from nas.store.rows import NEXT_REVISION, epochs_of, longest_pruned, same_question
from nas.store.tables import architecture, architecture_block, study, trial

MEASURED = (
    *("accuracy", "accuracy_low", "accuracy_high", "repeats", "test_accuracy", "test_low", "test_high"),
    *("epochs", "epochs_done", "device", "precision", "versions"),
)
"""What a reused trial takes over; its seconds are 0, since nothing was trained."""


LARGEST = 2**63 - 1
"""The largest whole number that a column holds."""


_HERE = trial.c.study_id == bindparam("study_id")
_SAME = same_question(*(bindparam(name) for name in ("fingerprint", "dataset_hash", "recipe_hash", "seed")))


def _one(column: ColumnElement[Any], *where: ColumnElement[bool]) -> ScalarSelect[Any]:
    return select(column).where(*where).limit(1).scalar_subquery()


_KNOWN_NETWORK = architecture.c.fingerprint == bindparam("fingerprint")
_SOURCE = select(trial.c.id).where(_SAME, trial.c.state == COMPLETE).order_by(trial.c.reused, trial.c.id).limit(1)

_FACTS: Select[Any] = select(
    study.c.trials,
    study.c.halt,
    _one(func.max(trial.c.number), _HERE).label("number"),
    _one(func.max(trial.c.revision), _HERE).label("revision"),
    _one(func.count(), _HERE, trial.c.state == FAILED).label("failed"),
    _one(trial.c.id, _HERE, trial.c.fingerprint == bindparam("fingerprint")).label("known"),
    _SOURCE.scalar_subquery().label("source"),
    _one(trial.c.id, trial.c.claim == bindparam("key")).label("held"),
    longest_pruned(_SAME).scalar_subquery().label("pruned"),
    _one(architecture.c.fingerprint, _KNOWN_NETWORK).label("network"),
).where(study.c.id == bindparam("study_id"))
"""All that the answer to a candidate rests on, in one statement: while it is asked no other writer is let in."""

_SPEC = select(architecture.c.spec).where(_KNOWN_NETWORK)
_TRIAL = select(trial).where(trial.c.id == bindparam("id"))
_ANSWER = select(trial.c.id, study.c.name, trial.c.number, trial.c.state, trial.c.accuracy).join(
    study, study.c.id == trial.c.study_id
)
_BEGIN = insert(trial).values(started=database_clock(), lease=database_clock() + bindparam("lease_seconds"))

_NETWORK, _BLOCKS = insert(architecture), insert(architecture_block)

# What nobody holds is given up to whoever asks: its own study, if it ever goes on, takes the result over.
_unheld = or_(trial.c.state == WAITING, and_(trial.c.state == RUNNING, trial.c.lease < database_clock()))
_GIVE_UP = (
    update(trial)
    .where(trial.c.claim == bindparam("key"), _unheld)
    .values(claim=None, state=WAITING, lease=0.0, revision=NEXT_REVISION)
)


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
    def asked(self) -> dict[str, Any]:
        """The question as the statements name its parts."""
        return {
            "study_id": self.study.id,
            "fingerprint": self.candidate.fingerprint,
            "dataset_hash": self.study.dataset_hash,
            "recipe_hash": self.study.recipe_hash,
            "seed": self.study.seed,
            "key": self.key,
        }


@lasting
def claim(storage: Storage, study: StudyRecord, owner: str, candidate: Candidate, lease_seconds: float) -> ClaimResult:
    """Ask for a new trial of a network; see `Answer`. Raises NotFound where the study was removed.

    `owner` names one worker for good, so that a later process is never taken for it.
    """
    _check_costs(candidate)
    key = claim_key(candidate.fingerprint, study.dataset_hash, study.recipe_hash, study.seed)
    question = _Question(study, owner, candidate, lease_seconds, key)
    with storage.write() as connection:
        facts = _facts(connection, question)
        return (
            _if_full(facts)
            or _if_known(connection, facts)
            or _if_reused(connection, question, facts)
            or _if_busy(connection, question, facts)
            or _claimed(connection, question, facts)
        )


def _facts(connection: Connection, question: _Question) -> Row[Any]:
    facts = connection.execute(_FACTS, question.asked).first()
    if facts is None:
        raise NotFound(f"study {question.study.name!r} was removed")
    return facts


def _check_costs(candidate: Candidate) -> None:
    """Raise ArchitectureError where a cost is more than the database's whole numbers hold."""
    costs = [(name, found) for name, found in vars(candidate.totals).items() if found is not None and found > LARGEST]
    if costs:
        name, found = costs[0]
        raise ArchitectureError(f"network {candidate.summary or candidate.fingerprint}: {name} {found:,} is absurd")


def claim_key(fingerprint: str, dataset_hash: str, recipe_hash: str, seed: int) -> str:
    """One text for one question: network, images, recipe and seed."""
    return hashlib.sha256(f"{fingerprint}|{dataset_hash}|{recipe_hash}|{seed}".encode()).hexdigest()


def _if_full(facts: Row[Any]) -> ClaimResult | None:
    # The total is read from the row: another process may have raised it since this one read its record.
    begun = next_number(facts.number)
    full = begun - facts.failed >= facts.trials or facts.failed > facts.trials
    return ClaimResult(Answer.FULL) if full or facts.halt else None


def next_number(last: int | None) -> int:
    """The number of a study's next trial, by that of its last one, or None."""
    return 0 if last is None else last + 1


def _if_known(connection: Connection, facts: Row[Any]) -> ClaimResult | None:
    return None if facts.known is None else _answer(connection, Answer.KNOWN, trial.c.id == facts.known)


def _if_reused(connection: Connection, question: _Question, facts: Row[Any]) -> ClaimResult | None:
    if facts.source is None:
        return None
    source = connection.execute(_TRIAL, {"id": facts.source}).one()
    _insert_architecture(connection, question.candidate, facts)
    values = _fresh(question, facts) | {"started": database_clock()} | taken_over(source)
    trial_id = _key(connection.execute(insert(trial).values(values)).inserted_primary_key)
    return _answer(connection, Answer.REUSED, trial.c.id == trial_id)


def taken_over(source: Row[Any]) -> dict[str, Any]:
    """What makes a trial a complete one by the result of another study's."""
    measured = {name: getattr(source, name) for name in MEASURED}
    origin = source.source_trial_id or source.id
    ended = {"state": COMPLETE, "claim": None, "lease": 0.0, "finished": database_clock()}
    return measured | ended | {"reused": True, "source_trial_id": origin, "seconds": 0.0}


def _if_busy(connection: Connection, question: _Question, facts: Row[Any]) -> ClaimResult | None:
    if facts.held is None:
        return None
    connection.execute(_GIVE_UP, {"key": question.key})
    return _answer(connection, Answer.BUSY, trial.c.claim == question.key)


def _claimed(connection: Connection, question: _Question, facts: Row[Any]) -> ClaimResult:
    asked, candidate = question.study, question.candidate
    _insert_architecture(connection, candidate, facts)
    values = _fresh(question, facts) | {"state": RUNNING, "claim": question.key, "epochs": asked.epochs}
    inserted = connection.execute(_BEGIN, values | {"lease_seconds": question.lease_seconds})
    held = Claim(
        trial_id=_key(inserted.inserted_primary_key),
        study_id=asked.id,
        number=next_number(facts.number),
        fingerprint=candidate.fingerprint,
        architecture=dict(candidate.architecture) if facts.network is None else _spec(connection, candidate),
        totals=candidate.totals,
        epochs=(),
        checkpoint=None,
        known=() if facts.pruned is None else epochs_of(connection, facts.pruned),
    )
    return ClaimResult(Answer.CLAIMED, held, held.trial_id, asked.name, held.number, RUNNING)


def _spec(connection: Connection, candidate: Candidate) -> Mapping[str, Any]:
    """The architecture as whoever came upon the network first wrote it."""
    spec: Mapping[str, Any] = connection.execute(_SPEC, {"fingerprint": candidate.fingerprint}).scalar_one()
    return spec


def _answer(connection: Connection, kind: Answer, which: ColumnElement[bool]) -> ClaimResult | None:
    row = connection.execute(_ANSWER.where(which)).first()
    return None if row is None else ClaimResult(kind, None, *row)


def _key(inserted: Row[Any] | None) -> int:
    assert inserted is not None
    return int(inserted[0])


def _fresh(question: _Question, facts: Row[Any]) -> dict[str, Any]:
    asked, candidate = question.study, question.candidate
    return vars(candidate.totals) | {
        "study_id": asked.id,
        "number": next_number(facts.number),
        "revision": (facts.revision or 0) + 1,
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
        "attempts": 1,
        "mirrored": False,
    }


def _insert_architecture(connection: Connection, candidate: Candidate, facts: Row[Any]) -> None:
    if facts.network is not None:
        return
    network = {
        "fingerprint": candidate.fingerprint,
        "body": candidate.body,
        "spec": dict(candidate.architecture),
        "blocks": list(candidate.blocks),
        "summary": candidate.summary,
    }
    connection.execute(_NETWORK, network)
    rows = [{"fingerprint": candidate.fingerprint, "block": block} for block in dict.fromkeys(candidate.blocks)]
    if rows:
        connection.execute(_BLOCKS, rows)
