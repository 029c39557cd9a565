"""The best of a data set under a limit on params or macs, and the front over either, among any number of trials.

A walk down a ranking meets the best within a limit late where small networks are worse, as they are. So indexes sort
trials by size, some 25 sizes to a power of ten, and by the ranking within each: the best of each size is one look into
the index, and the best of all are among the best of those sizes whose own best come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    any_,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql.selectable import NamedFromClause

from nas.arch.record import COMPLETE
from nas.store.tables import SIZED, size_text, trial

MOST_COUNTED = 20_000
"""Of two limits the one with fewer trials under it is gone by; so many are counted at most."""

Trials = NamedFromClause[Any]
"""The table of trials under its own name or another."""

Where = Callable[[Trials], ColumnElement[bool]]
"""A condition on trials, put to the table or to an alias of it."""


@cache
def _named(name: str) -> Trials:
    """The table under another name; made once, since that takes as long as the question."""
    return trial.alias(name)


def size(cost: int) -> int:
    """The size of a number: never less than that of a smaller one."""
    digits = str(cost)
    return len(digits) * 25 + int(f"{digits}0"[:2]) // 4


def size_limit(connection: Connection, dataset_hash: str, limits: Mapping[str, int | None]) -> tuple[str, int] | None:
    """The limit to go by, of those whose cost has an index by size: the one with fewer trials under it."""
    given = [(cost, limit) for cost in SIZED if (limit := limits.get(cost)) is not None]
    if len(given) < 2:
        return given[0] if given else None
    under = [_count(dataset_hash, cost, size(max(0, limit))).label(cost) for cost, limit in given]
    counted = connection.execute(select(*under)).one()
    return min(zip(counted, given, strict=True), key=lambda one: one[0])[1]


def _count(dataset_hash: str, cost: str, most: int) -> ColumnElement[int]:
    of = _named("under")
    under: Select[Any] = (
        select(literal_column("1")).where(_complete(of, dataset_hash), _size(of, cost) <= most).limit(MOST_COUNTED)
    )
    return select(func.count()).select_from(under.subquery()).scalar_subquery()


def best_ids(
    connection: Connection, dataset_hash: str, where: Where, limit: tuple[str, int], top: int
) -> Select[tuple[int]]:
    """The ids of the `top` complete trials of a data set under a limit on a cost that has sizes."""
    cost, most = limit
    sizes = _sizes(dataset_hash, cost, most)

    def of_size(number: ColumnElement[int], count: int) -> Select[tuple[int]]:
        of = _named("of_size")
        chosen = (_complete(of, dataset_hash), _size(of, cost) == number, of.c[cost] <= most, where(of))
        return select(of.c.id).where(*chosen).order_by(*ranking(of)).limit(count)

    first, every = _named("first"), _named("every")
    leading = select(sizes.c.size).join_from(
        sizes, first, first.c.id == of_size(sizes.c.size, 1).correlate(sizes).scalar_subquery()
    )
    leading_sizes = leading.order_by(*ranking(first)).limit(top).cte()
    of_each = of_size(leading_sizes.c.size, top).correlate(leading_sizes)
    among = _among(connection, every.c.id, of_each)
    return select(every.c.id).join_from(leading_sizes, every, among).order_by(*ranking(every)).limit(top)


def candidates(connection: Connection, dataset_hash: str, where: Where, cost: str, most: int | None) -> Select[Any]:
    """Ids, accuracies and costs of few trials of a data set, with its whole front over a cost among them.

    Of each size those that beat all of lesser size.
    """
    sizes, best, of = _sizes(dataset_hash, cost, most), _named("best"), _named("of")

    def chosen(of: Trials, number: ColumnElement[int]) -> list[ColumnElement[bool]]:
        return [_complete(of, dataset_hash), _size(of, cost) == number, where(of)]

    highest = select(best.c.accuracy).where(*chosen(best, sizes.c.size)).order_by(best.c.accuracy.desc()).limit(1)
    reached = select(sizes.c.size, highest.correlate(sizes).scalar_subquery().label("accuracy")).where(
        sizes.c.size.is_not(None)
    )
    each = reached.cte()
    below = func.max(each.c.accuracy).over(order_by=each.c.size, rows=(None, -1))
    floors = select(each.c.size, func.coalesce(below, -1.0).label("floor")).cte()
    beating = select(of.c.id).where(*chosen(of, floors.c.size), of.c.accuracy > floors.c.floor).correlate(floors)
    every = _named("every")
    among = _among(connection, every.c.id, beating)
    return select(every.c.id, every.c.accuracy, every.c[cost].label("cost")).join_from(floors, every, among)


def ranking(of: Trials) -> list[ColumnElement[Any]]:
    """The order of rankings, of equals too."""
    return [of.c.accuracy.desc(), of.c.params, of.c.macs, of.c.fingerprint, of.c.id]


def _complete(of: Trials, dataset_hash: str) -> ColumnElement[bool]:
    return and_(of.c.dataset_hash == dataset_hash, of.c.state == COMPLETE)


def _size(of: Trials, cost: str) -> ColumnElement[int]:
    return literal_column(size_text(cost, f"{of.name}."), Integer)


def _sizes(dataset_hash: str, cost: str, most: int | None) -> CTE:
    """The sizes that there are up to a limit: each is one look into the index. The last row is NULL."""
    first, further = _named("least"), _named("further")
    found = select(func.min(_size(first, cost)).label("size")).where(_complete(first, dataset_hash)).cte(recursive=True)
    beyond = [_complete(further, dataset_hash), _size(further, cost) > found.c.size]
    beyond += [] if most is None else [_size(further, cost) <= size(max(0, most))]
    least = select(func.min(_size(further, cost))).where(*beyond).correlate(found).scalar_subquery()
    return found.union_all(select(least).where(found.c.size.is_not(None)))


def _among(connection: Connection, id: ColumnElement[int], chosen: Select[tuple[int]]) -> ColumnElement[bool]:
    """Whether an id is among few chosen for each row: in words that each database answers by its primary key."""
    if connection.dialect.name == "sqlite":
        return id.in_(chosen)
    return id == any_(func.array(chosen.scalar_subquery()))
