"""The ranking of complete trials, and finding one of them, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from nas.arch.record import COMPLETE, LIMITS, TEST, VALIDATION, Ranked, StudyRecord, TrialRecord
from nas.errors import NasError, NotFound, nearest
from nas.store.engine import Storage
from nas.store.kinds import names_in
from nas.store.outage import lasting
from nas.store.rows import trial_record, trial_rows
from nas.store.sizes import Trials, Where, best_ids, candidates, size_limit
from nas.store.studies import find_study
from nas.store.tables import RANKING, SIZED, architecture, architecture_block, study, trial, weights

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
    asked = _Asked(limits, min_receptive_field, block)
    record = None if study is None else find_study(storage, study)
    with storage.read() as connection:
        places = _places(connection, dataset) if record is None else _place(record, dataset)
        return _ranked(connection, [_leaders(connection, place, asked, top, pareto) for place in places])


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


@lasting
def best_trial(storage: Storage, study_id: int) -> TrialRecord | None:
    """The best complete trial of a study; None before the first."""
    of_study = trial_rows().where(trial.c.study_id == study_id, trial.c.state == COMPLETE)
    with storage.read() as connection:
        row = connection.execute(of_study.order_by(*ORDER).limit(1)).first()
    return None if row is None else trial_record(row)


def leaders(connection: Connection, study_id: int, top: int | None) -> list[Ranked]:
    """The best of one study."""
    return _ranked(connection, [_leaders(connection, _Place(study_id=study_id), _Asked({}), top, None)])


@dataclass(frozen=True)
class _Asked:
    """What is asked of the networks of a ranking."""

    limits: Mapping[str, int | None]
    min_receptive_field: int | None = None
    block: str | None = None

    def of(self, trials: Trials) -> ColumnElement[bool]:
        """As a condition."""
        asked = [trials.c[name] <= limit for name, limit in self.limits.items() if limit is not None]
        if self.min_receptive_field is not None:
            asked.append(trials.c.receptive_field >= self.min_receptive_field)
        if self.block is not None:
            asked.append(_contains(trials, self.block))
        return and_(true(), *asked)


@dataclass(frozen=True)
class _Place:
    """Whose trials make one ranking: a study's, or a data set's by its hash, of studies that call it so (None: any)."""

    study_id: int | None = None
    dataset_hash: str = ""
    dataset: str | None = None

    def of(self, trials: Trials) -> ColumnElement[bool]:
        """As a condition."""
        if self.study_id is not None:
            return and_(trials.c.study_id == self.study_id)
        return and_(trials.c.dataset_hash == self.dataset_hash, trials.c.study_id.not_in(self._others()))

    def _others(self) -> Select[tuple[int]]:
        """The studies on these images that are not meant."""
        others = study.c.scored_on != VALIDATION
        if self.dataset is not None:
            others = or_(others, study.c.dataset != self.dataset)
        return select(study.c.id).where(study.c.dataset_hash == self.dataset_hash, others)


def _place(record: StudyRecord, dataset: str | None) -> list[_Place]:
    """The one place of a study; none where it is on another data set than asked for."""
    return [_Place(study_id=record.id)] if dataset in (None, record.dataset) else []


def _places(connection: Connection, dataset: str | None) -> list[_Place]:
    """Every data set."""
    named = [] if dataset is None else [study.c.dataset == dataset]
    hashes = select(study.c.dataset_hash).where(study.c.scored_on == VALIDATION, *named).group_by(study.c.dataset_hash)
    ordered = connection.scalars(hashes.order_by(func.min(study.c.dataset), study.c.dataset_hash))
    return [_Place(dataset_hash=value, dataset=dataset) for value in ordered]


def _leaders(connection: Connection, place: _Place, asked: _Asked, top: int | None, pareto: str | None) -> Select[Any]:
    """One ranking. Its rows come in the order of an index, so that only as many as asked for are looked at."""
    joined = select(*COLUMNS, trial.c.id.label("trial_id")).select_from(trial)
    joined = joined.join(study, study.c.id == trial.c.study_id)
    joined = joined.join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    return joined.where(_chosen(connection, place, asked, top, pareto)).order_by(*ORDER).limit(top)


def _chosen(
    connection: Connection, place: _Place, asked: _Asked, top: int | None, pareto: str | None
) -> ColumnElement[bool]:
    """The trials of a ranking; of a data set's within a limit, found by their size, only as many as asked for."""

    def meant(trials: Trials) -> ColumnElement[bool]:
        return and_(place.of(trials), asked.of(trials))

    if pareto is not None:
        return trial.c.id.in_(_front(connection, place, asked, meant, pareto))
    if top is not None and place.study_id is None:
        limit = size_limit(connection, place.dataset_hash, asked.limits)
        if limit is not None:
            return trial.c.id.in_(best_ids(connection, place.dataset_hash, meant, limit, top).scalar_subquery())
    return and_(trial.c.state == COMPLETE, meant(trial))


def _front(connection: Connection, place: _Place, asked: _Asked, meant: Where, cost: str) -> Select[Any]:
    """The ids of the trials that cost less than all of higher accuracy, and than all of the same."""
    if cost not in LIMITS:
        raise NasError(f"pareto {cost!r}: allowed are {', '.join(LIMITS)}{nearest(cost, LIMITS)}")
    if place.study_id is None and cost in SIZED:
        among = candidates(connection, place.dataset_hash, meant, cost, asked.limits.get(cost)).subquery()
    else:
        of = trial.alias("of")
        every = select(of.c.id, of.c.accuracy, of.c[cost].label("cost"))
        among = every.where(of.c.state == COMPLETE, meant(of)).subquery()
    before = func.min(among.c.cost).over(order_by=(among.c.accuracy.desc(), among.c.cost), groups=(None, -1))
    ordered = select(among.c.id, among.c.cost, before.label("cheapest_before")).subquery()
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


def _contains(trials: Trials, block: str) -> ColumnElement[bool]:
    used = architecture_block
    return exists().where(used.c.fingerprint == trials.c.fingerprint, used.c.block == block).correlate(trials)


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
