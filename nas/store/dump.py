"""A study as plain data without the database's own numbers, and back into an empty storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.exc import SQLAlchemyError

from nas.arch.record import COMPLETE, RUNNING, WAITING
from nas.store.checked import check_row
from nas.store.claims import claim_key
from nas.store.engine import Storage
from nas.store.rows import epochs_of
from nas.store.studies import find_study
from nas.store.tables import architecture, architecture_block, epoch, study, trial, weights

OWN = (
    "id",
    "study_id",
    "source_trial_id",
    "dataset_hash",
    "recipe_hash",
    "seed",
    "claim",
    "mirrored",
    "lease",
    "worker",
)
"""Columns of a trial that follow from its study, or mean something in one database alone."""

TRIAL = tuple(column.name for column in trial.columns if column.name not in OWN)
STUDY = tuple(column.name for column in study.columns if column.name != "id")
ARCHITECTURE = tuple(column.name for column in architecture.columns)
EPOCH = tuple(column.name for column in epoch.columns if column.name != "trial_id")


def dumped(storage: Storage, name: str) -> dict[str, Any]:
    """The study, its networks and its trials with their epochs, those of results taken over included.

    A trial under way is put down as not yet begun: its checkpoint stays here. Raises NotFound.
    """
    record = find_study(storage, name)
    with storage.read() as connection:
        of_study = connection.execute(select(study).where(study.c.id == record.id)).one()
        trials = connection.execute(select(trial).where(trial.c.study_id == record.id).order_by(trial.c.number)).all()
        used = select(trial.c.fingerprint).where(trial.c.study_id == record.id)
        networks = connection.execute(select(architecture).where(architecture.c.fingerprint.in_(used)))
        return {
            "study": _only(STUDY, of_study._asdict()),
            "architectures": [_only(ARCHITECTURE, row._asdict()) for row in networks.all()],
            "trials": [_trial(connection, row._asdict()) for row in trials],
        }


def _only(names: tuple[str, ...], row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _trial(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    if row["state"] in (RUNNING, WAITING):
        return _only(TRIAL, row) | {"state": WAITING, "epochs_done": 0, "attempts": 1, "epoch_records": []}
    own = epochs_of(connection, row["id"])
    origin = row["source_trial_id"]
    found = own or (() if origin is None else epochs_of(connection, origin))
    return _only(TRIAL, row) | {"epoch_records": [{name: getattr(one, name) for name in EPOCH} for one in found]}


def trial_ids(storage: Storage, name: str) -> dict[int, int]:
    """The ids of a study's complete trials by their numbers."""
    record = find_study(storage, name)
    complete = select(trial.c.number, trial.c.id).where(trial.c.study_id == record.id, trial.c.state == COMPLETE)
    with storage.read() as connection:
        return {row.number: row.id for row in connection.execute(complete.order_by(trial.c.number))}


def restore(storage: Storage, data: Mapping[str, Any], blobs: Iterator[tuple[int, Callable[[], bytes]]]) -> None:
    """Put dumped data, and weights by the trial's number, into a storage that is empty.

    Raises ValueError, naming what is wrong, where a value is not of its column's type, or is missing.
    """
    with storage.write() as connection, _as_value_error():
        of_study = data["study"]
        _insert(connection, study, {"id": 1, **of_study})
        for network in data["architectures"]:
            _insert(connection, architecture, network)
            for block in dict.fromkeys(network["blocks"]):
                _insert(connection, architecture_block, {"fingerprint": network["fingerprint"], "block": block})
        ids = {}
        for place, one in enumerate(data["trials"], 1):
            epochs = one["epoch_records"]
            row = {name: value for name, value in one.items() if name != "epoch_records"}
            _insert(connection, trial, {"id": place, **row, **_filled(row, of_study)})
            ids[row["number"]] = place
            for each in epochs:
                _insert(connection, epoch, {"trial_id": place, **each})
        for number, read in blobs:
            if number not in ids:
                raise ValueError(f"weights of a trial {number} that is not there")
            _insert(connection, weights, {"trial_id": ids[number], "blob": read()})


@contextmanager
def _as_value_error() -> Iterator[None]:
    """What the database does not keep, as a row that stands twice, is a wrong value too."""
    try:
        yield
    except SQLAlchemyError as error:
        raise ValueError(next(iter(str(getattr(error, "orig", None) or error).splitlines()), "")) from error


def _filled(row: Mapping[str, Any], of_study: Mapping[str, Any]) -> dict[str, Any]:
    question = {name: of_study[name] for name in ("dataset_hash", "recipe_hash", "seed")}
    asked = row["state"] == WAITING or (row["state"] == COMPLETE and not row["reused"])
    claim = claim_key(row["fingerprint"], *question.values()) if asked else None
    constant = {"study_id": 1, "source_trial_id": None, "mirrored": False, "lease": 0.0, "worker": ""}
    return question | constant | {"claim": claim}


def _insert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    names = {column.name for column in table.columns}
    if names != row.keys():
        raise ValueError(f"{table.name}: {', '.join(sorted(names ^ row.keys()))} missing or not known")
    check_row(table, row)
    connection.execute(insert(table).values(dict(row)))
