"""The ranking of complete trials, and finding one of them, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, literal, or_, select, union_all

from nas.arch.record import COMPLETE, LIMITS, TEST, VALIDATION, Ranked, TrialRecord
from nas.errors import NasError, NotFound, nearest
from nas.store.engine import Storage
from nas.store.kinds import names_in
from nas.store.outage import lasting
from nas.store.rows import trial_record, trial_rows
from nas.store.studies import find_study
from nas.store.tables import RANKING, architecture, architecture_block, study, trial, weights

SHORTEST_PREFIX = 4
"""How much of a fingerprint one has to give."""

UNION_LIMIT = 400
"""How many selects one statement joins at most; SQLite allows 500."""

ORDER = (*RANKING, trial.c.id)

_OTHER_NAMES = {"study": study.c.name, "trial": trial.c.number, "architecture": trial.c.fingerprint}
_OTHER_NAMES |= {"body": architecture.c.body, "blocks": architecture.c.blocks, "dataset": study.c.dataset}
_OTHER_NAMES |= {"epochs": trial.c.epochs_done, "name": trial.c.choice_json["architecture"].as_string()}
_ON_TEST = {"test_accuracy": trial.c.accuracy, "test_low": trial.c.accuracy_low, "test_high": trial.c.accuracy_high}
_TESTED: dict[str, ColumnElement[Any]] = {
    name: case((study.c.scored_on == TEST, measured), else_=trial.c[name]) for name, measured in _ON_TEST.items()
}
_NAMES = [field.name for field in fields(Ranked) if field.name != "rank"]
_COLUMNS: dict[str, ColumnElement[Any]] = {**trial.c, **_OTHER_NAMES, **_TESTED}
COLUMNS = [_COLUMNS[name].label(name) for name in _NAMES]
"""The fields of `Ranked` but for the rank, which is the place in the answer."""


@lasting
def best(
    storage: Storage,
    *,
    study: str | None = None,
    top: int | None = 10,
    max_params: int | None = None,
    max_weights: int | None = None,
    max_macs: int | None = None,
    max_activations: int | None = None,
    min_receptive_field: int | None = None,
    block: str | None = None,
    dataset: str | None = None,
    pareto: str | None = None,
) -> list[Ranked]:
    """The `top` complete trials (None: all) of each data set, ranked anew in each among what was asked for.

    `block` asks for networks that contain it; `pareto` names a cost, and leaves those that no other one beats in
    accuracy at no more of it. Studies scored on test images are ranked alone, where named: their accuracy is no
    validation accuracy. Raises NotFound for an unknown study.
    """
    limits = {"params": max_params, "weights": max_weights, "macs": max_macs, "activations": max_activations}
    asked = [trial.c[name] <= limit for name, limit in limits.items() if limit is not None]
    if min_receptive_field is not None:
        asked.append(trial.c.receptive_field >= min_receptive_field)
    if block is not None:
        asked.append(_contains(block))
    study_id = None if study is None else find_study(storage, study).id
    with storage.read() as connection:
        places = _places(connection, study_id, dataset)
        return _ranked(connection, [_leaders([*place, *asked], top, pareto) for place in places])


@lasting
def find(storage: Storage, name: str) -> tuple[Mapping[str, Any], TrialRecord | None]:
    """The architecture called by its fingerprint, the beginning of one, or `STUDY#TRIAL`, and its trial.

    Of several trials the one whose weights are kept, then one scored on validation images, then the best. Raises
    NotFound where there is none or several.
    """
    study_name, sign, number = name.rpartition("#")
    if sign:
        where = _numbered(storage, study_name, number)
    else:
        where = architecture.c.fingerprint == _fingerprint(storage, name)
    with storage.read() as connection:
        row = connection.execute(_trials_of(where).limit(1)).first()
        if row is None:
            return connection.scalars(select(architecture.c.spec).where(where)).one(), None
        spec = connection.scalars(select(architecture.c.spec).where(architecture.c.fingerprint == row.fingerprint))
        return spec.one(), trial_record(row)


def leaders(connection: Connection, study_id: int, top: int | None) -> list[Ranked]:
    """The best of one study."""
    return _ranked(connection, [_leaders([trial.c.study_id == study_id], top, None)])


def _places(connection: Connection, study_id: int | None, dataset: str | None) -> list[list[ColumnElement[bool]]]:
    """The conditions of each ranking to be made: of the study's, or of every data set."""
    named = [] if dataset is None else [study.c.dataset == dataset]
    if study_id is not None:
        return [[trial.c.study_id == study_id, *named]]
    named.append(study.c.scored_on == VALIDATION)
    hashes = select(study.c.dataset_hash).where(*named).group_by(study.c.dataset_hash)
    ordered = connection.scalars(hashes.order_by(func.min(study.c.dataset), study.c.dataset_hash))
    return [[trial.c.dataset_hash == value, *named] for value in ordered]


def _leaders(where: Sequence[ColumnElement[bool]], top: int | None, pareto: str | None) -> Select[Any]:
    """One ranking. Its rows come in the order of an index, so that only as many as asked for are looked at."""
    complete = (trial.c.state == COMPLETE, *where)
    chosen = complete if pareto is None else (trial.c.id.in_(_front(complete, pareto)),)
    joined = select(*COLUMNS, trial.c.id.label("trial_id")).select_from(trial)
    joined = joined.join(study, study.c.id == trial.c.study_id)
    joined = joined.join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    return joined.where(*chosen).order_by(*ORDER).limit(top)


def _front(where: Sequence[ColumnElement[bool]], cost: str) -> Select[Any]:
    """The ids of the trials that cost less than all of higher accuracy, and than all of the same."""
    if cost not in LIMITS:
        raise NasError(f"pareto {cost!r}: allowed are {', '.join(LIMITS)}{nearest(cost, LIMITS)}")
    before = func.min(trial.c[cost]).over(order_by=(trial.c.accuracy.desc(), trial.c[cost]), groups=(None, -1))
    costs = select(trial.c.id, trial.c[cost].label("cost"), before.label("cheapest_before"))
    ordered = costs.join(study, study.c.id == trial.c.study_id).where(*where).subquery()
    unbeaten = or_(ordered.c.cheapest_before.is_(None), ordered.c.cost < ordered.c.cheapest_before)
    return select(ordered.c.id).where(unbeaten)


def _ranked(connection: Connection, rankings: Sequence[Select[Any]]) -> list[Ranked]:
    if len(rankings) == 1:
        rows: Sequence[Any] = connection.execute(rankings[0].add_columns(literal(0).label("place"))).all()
    else:
        starts = range(0, len(rankings), UNION_LIMIT)
        rows = [row for start in starts for row in _together(connection, rankings, start)]
    return [
        Ranked(rank, **{name: getattr(row, name) for name in _NAMES} | {"blocks": list(names_in(row.blocks))})
        for _, group in groupby(rows, key=lambda row: row.place)
        for rank, row in enumerate(group, 1)
    ]


def _together(connection: Connection, rankings: Sequence[Select[Any]], start: int) -> Sequence[Any]:
    parts = enumerate(rankings[start : start + UNION_LIMIT], start)
    all_of = union_all(*[select(ranking.subquery(), literal(place).label("place")) for place, ranking in parts])
    rows = all_of.subquery()
    order = (rows.c.accuracy.desc(), rows.c.params, rows.c.macs, rows.c.architecture, rows.c.trial_id)
    return connection.execute(select(rows).order_by(rows.c.place, *order)).all()


def _contains(block: str) -> ColumnElement[bool]:
    return exists().where(architecture_block.c.fingerprint == trial.c.fingerprint, architecture_block.c.block == block)


def _trials_of(where: ColumnElement[bool]) -> Select[Any]:
    kept = exists().where(weights.c.trial_id.in_([trial.c.id, trial.c.source_trial_id]))
    complete, validated = trial.c.state == COMPLETE, study.c.scored_on == VALIDATION
    measured = trial.c.accuracy.is_not(None)  # PostgreSQL sorts NULL before, SQLite behind all numbers
    return trial_rows().where(where).order_by(kept.desc(), complete.desc(), validated.desc(), measured.desc(), *ORDER)


def _numbered(storage: Storage, study_name: str, number: str) -> ColumnElement[bool]:
    asked = find_study(storage, study_name)
    highest = select(func.max(trial.c.number)).where(trial.c.study_id == asked.id)
    with storage.read() as connection:
        last = connection.scalar(highest)
        here = (trial.c.study_id == asked.id) & (
            trial.c.number == (int(number) if number.isdecimal() and len(number) < 10 else -1)
        )
        if connection.scalar(select(trial.c.id).where(here)) is None:
            known = "it has none" if last is None else f"its trials are 0 to {last}"
            raise NotFound(f"no trial {number!r} in study {study_name!r}; {known}")
    return here


def _fingerprint(storage: Storage, prefix: str) -> str:
    prefix = prefix.lower()
    if len(prefix) < SHORTEST_PREFIX:
        raise NotFound(f"architecture {prefix!r}: give at least {SHORTEST_PREFIX} characters of its fingerprint")
    begins = func.substr(architecture.c.fingerprint, 1, len(prefix)) == prefix
    with storage.read() as connection:
        starts = select(architecture.c.fingerprint).where(begins).order_by(architecture.c.fingerprint)
        found: list[str] = list(connection.scalars(starts.limit(5)))
    if not found:
        raise NotFound(f"no architecture {prefix!r} in {storage.shown}")
    if len(found) > 1 and found[0] != prefix:
        raise NotFound(f"architecture {prefix!r} may be any of {', '.join(found)}; give more characters")
    return found[0]
