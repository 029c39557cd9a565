"""The ranking of complete trials, and finding one of them, in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    not_,
    or_,
    select,
)

from nas.arch.record import COMPLETE, LIMITS, TEST, VALIDATION, Ranked, StudyRecord, TrialRecord
from nas.errors import NasError, NotFound, nearest
from nas.store.engine import Storage
from nas.store.kinds import names_in
from nas.store.outage import lasting
from nas.store.rows import trial_record, trial_rows
from nas.store.sizes import TOP, Trials, best_ids, end_sizes, front_ids, size, tightest
from nas.store.studies import find_study
from nas.store.tables import RANKING, SIZED, architecture, architecture_block, study, trial, weights

SHORTEST_PREFIX = 4
"""How much of a fingerprint one has to give."""

MOST_PLANNED = 100
"""So many rows at most are asked for by a plan that is kept."""

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
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if pareto is not None and pareto not in LIMITS:
        raise NasError(f"pareto {pareto!r}: allowed are {', '.join(LIMITS)}{nearest(pareto, LIMITS)}")
    asked = _Asked(given, min_receptive_field, block, pareto, top)
    record = None if study is None else find_study(storage, study)
    # A rare block, or very many rows, are found another way than what is asked most: those are planned for each time.
    usual = block is None and top is not None and top <= MOST_PLANNED
    with storage.read_planned() if usual else storage.read() as connection:
        places = _places(connection, dataset) if record is None else _place(record, dataset)
        return [row for place in places for row in _ranked(connection, place, asked)]


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
        rows = connection.execute(_trials_of(where).limit(1))
        row = rows.one() if sign else rows.first()
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
    return _ranked(connection, _Place({"study_id": study_id}), _Asked({}, top=top))


@dataclass(frozen=True)
class _Asked:
    """What is asked of each ranking."""

    limits: Mapping[str, int]
    min_receptive_field: int | None = None
    block: str | None = None
    pareto: str | None = None
    top: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """By the names that they have in the statement."""
        given = {"min_receptive_field": self.min_receptive_field, "block": self.block, "top": self.top}
        return {f"max_{name}": limit for name, limit in self.limits.items()} | given


@dataclass(frozen=True)
class _Place:
    """Whose trials make one ranking, by the names in the statement: a study's, or a data set's by its hash.

    `others`: not all studies on these images are meant.
    """

    values: Mapping[str, Any]
    others: bool = False


@dataclass(frozen=True)
class _Shape:
    """What is asked but for its values: to make a statement takes longer than to answer it, so each is made once.

    `by` is the cost by whose sizes a data set's trials are looked for, None: by none; `others` is "named" where the
    studies that are meant have a name for their images, "" where all are meant.
    """

    place: str
    others: str
    limits: tuple[str, ...]
    min_receptive_field: bool
    block: bool
    pareto: str | None
    top: bool
    by: str | None

    def of(self, trials: Trials) -> list[ColumnElement[bool]]:
        """The complete trials asked for, as conditions."""
        asked = [trials.c[self.place] == bindparam(self.place), trials.c.state == bindparam("complete")]
        if self.others:
            asked.append(trials.c.study_id.not_in(_others(self.others == "named")))
        asked += [trials.c[name] <= bindparam(f"max_{name}") for name in self.limits]
        if self.min_receptive_field:
            asked.append(trials.c.receptive_field >= bindparam("min_receptive_field"))
        if self.block:
            used = architecture_block
            has = exists().where(used.c.fingerprint == trials.c.fingerprint, used.c.block == bindparam("block"))
            asked.append(has.correlate(trials))
        return asked


def _others(named: bool) -> Select[tuple[int]]:
    """The studies on the images that are not meant."""
    return select(study.c.id).where(study.c.dataset_hash == bindparam("dataset_hash"), not_(_meant(study, named)))


def _meant(studies: FromClause, named: bool) -> ColumnElement[bool]:
    scored = studies.c.scored_on == bindparam("scored_on")
    return and_(scored, studies.c.dataset == bindparam("dataset")) if named else scored


def _place(record: StudyRecord, dataset: str | None) -> list[_Place]:
    """The one place of a study; none where it is on another data set than asked for."""
    return [_Place({"study_id": record.id})] if dataset in (None, record.dataset) else []


def _places(connection: Connection, dataset: str | None) -> list[_Place]:
    """Every data set that is called so."""
    values = {"scored_on": VALIDATION} if dataset is None else {"scored_on": VALIDATION, "dataset": dataset}
    found = connection.execute(_images(dataset is not None), values)
    return [_Place(values | {"dataset_hash": hash}, bool(others)) for hash, others in found]


@cache
def _images(named: bool) -> Select[Any]:
    """The hash of each data set, by its name, and whether it has studies that are not meant."""
    here = select(study.c.dataset_hash, func.min(study.c.dataset).label("name")).where(_meant(study, named))
    found, other = here.group_by(study.c.dataset_hash).subquery("found"), study.alias("other")
    others = exists().where(other.c.dataset_hash == found.c.dataset_hash, not_(_meant(other, named)))
    return select(found.c.dataset_hash, others).order_by(found.c.name, found.c.dataset_hash)


def _ranked(connection: Connection, place: _Place, asked: _Asked) -> list[Ranked]:
    """One ranking."""
    values = {**place.values, **asked.values, "complete": COMPLETE}
    by = _size_to_go_by(connection, place, asked)
    if by is not None and by in asked.limits:
        values["max_size"] = size(max(0, asked.limits[by]))
    rows = connection.execute(_statement(_shape(place, asked, by), connection.dialect.name), values)
    return [
        Ranked(rank, **{name: getattr(row, name) for name in _NAMES} | {"blocks": list(names_in(row.blocks))})
        for rank, row in enumerate(rows, 1)
    ]


def _size_to_go_by(connection: Connection, place: _Place, asked: _Asked) -> str | None:
    """The cost by whose sizes the trials of a data set are looked for; None where a walk down the ranking will do."""
    if "study_id" in place.values:
        return None
    if asked.pareto is not None:
        return asked.pareto if asked.pareto in SIZED else None
    if asked.top is None:
        return None
    return tightest(asked.limits, lambda: _ends(connection, place))


def _ends(connection: Connection, place: _Place) -> Mapping[str, tuple[int, int]]:
    row = connection.execute(end_sizes(), {**place.values, "complete": COMPLETE}).one()
    return {cost: (row[2 * at] or 0, row[2 * at + 1] or 0) for at, cost in enumerate(SIZED)}


def _shape(place: _Place, asked: _Asked, by: str | None) -> _Shape:
    return _Shape(
        place="study_id" if "study_id" in place.values else "dataset_hash",
        others=("named" if "dataset" in place.values else "any") if place.others else "",
        limits=tuple(asked.limits),
        min_receptive_field=asked.min_receptive_field is not None,
        block=asked.block is not None,
        pareto=asked.pareto,
        top=asked.top is not None,
        by=by,
    )


@cache
def _statement(shape: _Shape, dialect: str) -> Select[Any]:
    """A ranking. Its rows come in the order of an index, so that only as many as asked for are looked at."""
    joined = select(*COLUMNS).select_from(trial).join(study, study.c.id == trial.c.study_id)
    joined = joined.join(architecture, architecture.c.fingerprint == trial.c.fingerprint)
    ordered = joined.where(*_chosen(shape, dialect)).order_by(*ORDER)
    return ordered.limit(TOP) if shape.top else ordered


def _chosen(shape: _Shape, dialect: str) -> list[ColumnElement[bool]]:
    if shape.pareto is not None and shape.by is not None:
        return [trial.c.id.in_(front_ids(shape, shape.by, shape.by in shape.limits, dialect))]
    if shape.pareto is not None:
        return [trial.c.id.in_(_front(shape, shape.pareto))]
    if shape.by is not None:
        return [trial.c.id.in_(best_ids(shape, shape.by, dialect).scalar_subquery())]
    return shape.of(trial)


def _front(shape: _Shape, cost: str) -> Select[Any]:
    """The ids of the trials that cost less than all of higher accuracy, and than all of the same."""
    of = trial.alias("of")
    among = select(of.c.id, of.c.accuracy, of.c[cost].label("cost")).where(*shape.of(of)).subquery()
    before = func.min(among.c.cost).over(order_by=(among.c.accuracy.desc(), among.c.cost), groups=(None, -1))
    ordered = select(among.c.id, among.c.cost, before.label("cheapest_before")).subquery()
    unbeaten = or_(ordered.c.cheapest_before.is_(None), ordered.c.cost < ordered.c.cheapest_before)
    return select(ordered.c.id).where(unbeaten)


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
