"""Two storages into one: every study of the first is copied into the second, in one transaction of each.

Networks meet by their fingerprints. A study of the same name and the same content is one study: what the second lacks
of it is added. Rows go from one database to the other in batches, so that neither need fit into the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from nas.arch.record import MAY_CHANGE, RUNNING
from nas.errors import StorageError, nearest
from nas.store import postgresql
from nas.store.checked import check_row
from nas.store.copying import Ids, copy_architectures, copy_blobs, copy_epochs, copy_plans, copy_trials, link_sources
from nas.store.engine import Storage, database_clock, translated
from nas.store.tables import checkpoint, study, trial, weights
from nas.store.urls import sqlite_file
from nas.store.weights import drop_surplus

SAME = ("dataset_hash", "input", "classes", "seed", "budget", "recipe_hash", "epochs", "scored_on", "repeats")
"""What two studies of one name have in common, or are two questions."""


@dataclass(frozen=True)
class Merged:
    """What became of a study: `added` trials, and `known` ones that were there already; `new`: so was not the study."""

    study: str
    new: bool
    added: int
    known: int


def merge(source: Storage, target: Storage, renamed: Mapping[str, str] | None = None) -> list[Merged]:
    """Copy every study of `source` into `target`, all or none; `renamed` gives other names to some of them.

    Raises StorageError: one storage twice, a study that is being run in `source`, or studies of one name that are not
    one: a line each.
    """
    renamed = renamed or {}
    if _one(source, target):
        raise StorageError(f"{source.shown} and {target.shown} are one storage; name two")
    with source.read() as theirs, target.write() as ours, translated(f"{source.shown} into {target.shown}"):
        try:
            with postgresql.counted_at_end(ours):
                return _merge(theirs, ours, renamed, source.shown)
        except (SQLAlchemyError, LookupError, AttributeError, ValueError, TypeError, OverflowError) as error:
            reason = next(iter(str(getattr(error, "orig", None) or error).splitlines()), "")
            raise StorageError(f"{source.shown}: holds what cannot be copied: {reason}") from error


def _merge(theirs: Connection, ours: Connection, renamed: Mapping[str, str], shown: str) -> list[Merged]:
    studies = theirs.execute(select(study).order_by(study.c.id)).all()
    _check_names([row.name for row in studies], renamed, shown)
    _check_idle(theirs, shown)
    pairs = [(row, _named(ours, renamed.get(row.name, row.name))) for row in studies]
    _check_content([(mine, there) for mine, there in pairs if there is not None])
    copy_architectures(theirs, ours)
    ids: Ids = {}
    merged = []
    for mine, there in pairs:
        name = renamed.get(mine.name, mine.name)
        study_id = _added(ours, mine, name) if there is None else _widened(ours, mine, there)
        added, known = copy_trials(theirs, ours, mine.id, study_id, ids)
        merged.append(Merged(name, there is None, added, known))
    copy_epochs(theirs, ours, ids)
    for table in (checkpoint, weights):
        copy_blobs(theirs, ours, table, ids)
    link_sources(theirs, ours, ids)
    for _, there in pairs:
        if there is not None:
            drop_surplus(ours, there.id)
    copy_plans(theirs, ours)
    return merged


def _one(source: Storage, target: Storage) -> bool:
    files = [sqlite_file(storage.engine.url) for storage in (source, target)]
    if files[0] is not None and files[1] is not None:
        return Path(files[0]).resolve() == Path(files[1]).resolve()
    return source.url == target.url


def _named(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(study).where(study.c.name == name)).first()


def _check_names(names: Sequence[str], renamed: Mapping[str, str], shown: str) -> None:
    """Raise StorageError where a study to be renamed is not there, or two would have one name."""
    lines = [f"no study {name!r} in {shown}{nearest(name, names)}" for name in renamed if name not in names]
    given = [renamed.get(name, name) for name in names]
    twice = [name for name in dict.fromkeys(given) if given.count(name) > 1]
    lines += [f"two studies of {shown} would be called {name!r}; choose another name" for name in twice]
    if lines:
        raise StorageError("\n".join(lines))


def _check_idle(connection: Connection, shown: str) -> None:
    """Raise StorageError while a worker holds a trial: it would be trained in both places."""
    held = select(study.c.name).join(trial, trial.c.study_id == study.c.id)
    running = held.where(trial.c.state == RUNNING, trial.c.lease > database_clock()).distinct()
    lines = [f"{shown}: study {name!r} is being run; stop its workers first" for name in connection.scalars(running)]
    if lines:
        raise StorageError("\n".join(lines))


def _check_content(pairs: Iterable[tuple[Row[Any], Row[Any]]]) -> None:
    """Raise StorageError with a line on each pair of studies that have a name in common and not the question."""
    lines = []
    for mine, there in pairs:
        found = list(differences(mine, there))
        if found:
            told = f"differs from the one of that name in {', '.join(found)}"
            lines.append(f"study {mine.name!r} {told}; copy it under another: --rename {mine.name}=OTHER")
    if lines:
        raise StorageError("\n".join(lines))


def differences(mine: Row[Any], there: Row[Any]) -> Iterable[str]:
    """What two studies ask otherwise; keys that only one knows, being of another version, are passed over."""
    for name in SAME:
        if name == "repeats":
            one, other = (row.config.get("repeats", 1) for row in (mine, there))
        else:
            one, other = getattr(mine, name), getattr(there, name)
        if one != other:
            yield name
    shorter, longer = sorted((mine.blocks, there.blocks), key=len)
    if longer[: len(shorter)] != shorter:
        yield "blocks"
    for table in ("space", "search"):
        one, other = (dict(row.config.get(table) or {}) for row in (mine, there))
        for key in one.keys() & other.keys():
            if f"{table}.{key}" not in (*MAY_CHANGE, "space.blocks") and one[key] != other[key]:
                yield f"{table}.{key}"
    known = {each["name"]: each["parts"] for each in there.config.get("architecture", [])}
    for each in mine.config.get("architecture", []):
        if known.get(each["name"], each["parts"]) != each["parts"]:
            yield f"candidate {each['name']!r}"


def _added(ours: Connection, mine: Row[Any], name: str) -> int:
    values = {column: value for column, value in mine._mapping.items() if column != "id"}
    values |= {"name": name, "config": {**mine.config, "name": name}}
    check_row(study, {"id": 0, **values})
    made = ours.execute(insert(study).values(values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _widened(ours: Connection, mine: Row[Any], there: Row[Any]) -> int:
    """Of two studies that are one, the one that is there, with as many trials, blocks and candidates as either."""
    changes: dict[str, Any] = {"trials": max(mine.trials, there.trials), "keep": max(mine.keep, there.keep)}
    config = dict(there.config)
    if len(mine.blocks) > len(there.blocks):
        changes["blocks"] = mine.blocks
        config["space"] = {**config["space"], "blocks": mine.config["space"]["blocks"]}
    known = {each["name"] for each in config.get("architecture", [])}
    more = [each for each in mine.config.get("architecture", []) if each["name"] not in known]
    if more:
        config["architecture"] = [*config["architecture"], *more]
        changes["trials"] = len(config["architecture"])
    if "search" in config:
        config["search"] = {**config["search"], "trials": changes["trials"], "keep": changes["keep"]}
    widest = max(len(mine.blocks), len(there.blocks))
    exhausted = any(row.exhausted for row in (mine, there) if len(row.blocks) == widest) and not more
    changes |= {"config": config, "exhausted": exhausted}
    ours.execute(update(study).where(study.c.id == there.id).values(changes))
    return int(there.id)
