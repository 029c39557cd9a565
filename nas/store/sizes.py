"""The best of a data set under a limit on params or macs, and the front over either, among any number of trials.

A walk down a ranking meets the best within a limit late where small networks are worse, as they are. So indexes sort
trials by size, some 25 sizes to a power of ten, and by the ranking within each: the first of each size is one look into
the index. The best of all are among those of the sizes whose own first come first; and a front is found from size to
size by walking down each only as far as its trials are better than all smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from sqlalchemy import CTE, ColumnElement, Integer, Select, any_, bindparam, func, literal_column, select, true
from sqlalchemy.sql.selectable import NamedFromClause

from nas.store.tables import SIZED, size_text, trial

Trials = NamedFromClause[Any]
"""The table of trials under its own name or another."""

TOP = bindparam("top", type_=Integer, literal_execute=True)
"""How many are asked for. It stands in the words sent: a server plans for ten otherwise than for any number."""


class Asked(Protocol):
    """Whose trials are asked for, and which of them."""

    def of(self, trials: Trials) -> Sequence[ColumnElement[bool]]:
        """As conditions on the table, or on an alias of it."""
        ...


@cache
def named(name: str) -> Trials:
    """The table under another name."""
    return trial.alias(name)


def size(cost: int) -> int:
    """The size of a number: never less than that of a smaller one."""
    digits = str(cost)
    return len(digits) * 25 + int(f"{digits}0"[:2]) // 4


def tightest(limits: Mapping[str, int], ends: Callable[[], Mapping[str, tuple[int, int]]]) -> str | None:
    """The cost with sizes to go by within limits: of several the one whose limit is nearest to the least size there is.

    `ends` tells the least and the greatest size of each.
    """
    given = [cost for cost in SIZED if cost in limits]
    if len(given) < 2:
        return given[0] if given else None
    sizes = ends()
    return min(given, key=lambda cost: _place(size(max(0, limits[cost])), *sizes[cost]))


def _place(size: int, least: int, greatest: int) -> float:
    return (size - least) / max(1, greatest - least)


@cache
def end_sizes() -> Select[Any]:
    """The least and greatest size of each cost in a data set."""
    complete = (trial.c.dataset_hash == bindparam("dataset_hash"), trial.c.state == bindparam("complete"))
    ends = [
        select(of(_size(trial, cost))).where(*complete).scalar_subquery().label(f"{name}_{cost}")
        for cost in SIZED
        for name, of in (("least", func.min), ("greatest", func.max))
    ]
    return select(*ends)


def best_ids(asked: Asked, cost: str, dialect: str) -> Select[tuple[int]]:
    """The ids of the `top` trials asked for, none of which is above `max_size`."""
    lateral = dialect != "sqlite"
    firsts, of, every = _firsts(asked, cost, limited=True, lateral=lateral), named("of"), named("every")
    leading = select(firsts.c.size).order_by(*ranking(firsts)).limit(TOP).cte("leading")
    chosen = (*asked.of(of), _size(of, cost) == leading.c.size)
    if lateral:
        each = select(*_decisive(of)).where(*chosen).order_by(*ranking(of)).limit(TOP).correlate(leading).lateral()
        return select(each.c.id).join_from(leading, each, true()).order_by(*ranking(each)).limit(TOP)
    of_each = select(of.c.id).where(*chosen).order_by(*ranking(of)).limit(TOP).correlate(leading)
    return select(every.c.id).join_from(leading, every, every.c.id.in_(of_each)).order_by(*ranking(every)).limit(TOP)


def front_ids(asked: Asked, cost: str, limited: bool, dialect: str) -> Select[tuple[int]]:
    """The ids of the trials asked for that no other beats in accuracy at no more of a cost.

    `limited`: none is above `max_size`.
    """
    found = _unbeaten(_steps(_firsts(asked, cost, limited), asked, cost))
    same, every = named("same"), named("every")
    alike = (_size(same, cost) == found.c.size, same.c.accuracy == found.c.accuracy, same.c[cost] == found.c.cost)
    of_each = select(same.c.id).where(*asked.of(same), *alike).correlate(found)
    return select(every.c.id).join_from(found, every, _among(every.c.id, of_each, dialect))


def ranking(of: Any) -> list[ColumnElement[Any]]:
    """The order of rankings, of equals too."""
    return [of.c.accuracy.desc(), of.c.params, of.c.macs, of.c.fingerprint, of.c.id]


def _decisive(of: Trials) -> list[ColumnElement[Any]]:
    """What decides in a ranking: an index on sizes holds it all."""
    return [of.c.id, of.c.accuracy, *(of.c[name] for name in SIZED), of.c.fingerprint]


def _firsts(asked: Asked, cost: str, limited: bool, lateral: bool = False) -> CTE:
    """Of each size, from the least on, the first trial: from one to the next is one look into the index.

    `lateral`: where the database can take all of a row from the index; else it looks the row up by its id.
    """
    of, first = named("of"), named("first")
    up_to = [_size(of, cost) <= bindparam("max_size", type_=Integer)] if limited else []
    chosen, order = (*asked.of(of), *up_to), (_size(of, cost), *ranking(of))
    if lateral:
        walk = select(_size(of, cost).label("size"), *_decisive(of)).where(*chosen).order_by(*order).limit(1)
        found = walk.cte("firsts", recursive=True)
        further = walk.where(_size(of, cost) > found.c.size).correlate(found).lateral()
        return found.union_all(select(further).join_from(found, further, true()))
    ids = select(of.c.id).where(*chosen).order_by(*order).limit(1)
    row = select(_size(first, cost).label("size"), *_decisive(first))
    found = row.where(first.c.id == ids.scalar_subquery()).cte("firsts", recursive=True)
    then = ids.where(_size(of, cost) > found.c.size).correlate(found).scalar_subquery()
    return found.union_all(row.join_from(found, first, first.c.id == then))


def _steps(firsts: CTE, asked: Asked, cost: str) -> CTE:
    """Down each size: its first, then again and again the best that costs less, above the best of all smaller sizes."""
    below = func.max(firsts.c.accuracy).over(order_by=firsts.c.size, rows=(None, -1))
    columns = (firsts.c.size, firsts.c.accuracy, firsts.c[cost].label("cost"))
    floors = select(*columns, func.coalesce(below, -1.0).label("floor")).cte("floors")
    found = select(floors).where(floors.c.accuracy > floors.c.floor).cte("steps", recursive=True)
    of, then = named("of"), named("then_")
    better = (of.c.accuracy <= found.c.accuracy, of.c.accuracy > found.c.floor, of.c[cost] < found.c.cost)
    chosen = (*asked.of(of), _size(of, cost) == found.c.size, *better)
    cheaper = select(of.c.id).where(*chosen).order_by(*ranking(of)).limit(1).correlate(found).scalar_subquery()
    row = select(found.c.size, then.c.accuracy, then.c[cost], found.c.floor)
    return found.union_all(row.join_from(found, then, then.c.id == cheaper))


def _unbeaten(steps: CTE) -> CTE:
    """Of several of one accuracy the cheapest alone."""
    least = func.min(steps.c.cost).label("cost")
    return select(steps.c.size, steps.c.accuracy, least).group_by(steps.c.size, steps.c.accuracy).cte("unbeaten")


def _size(of: Trials, cost: str) -> ColumnElement[int]:
    return literal_column(size_text(cost, f"{of.name}."), Integer)


def _among(id: ColumnElement[int], chosen: Select[tuple[int]], dialect: str) -> ColumnElement[bool]:
    """Whether an id is among few chosen for each row: in words that each database answers by its primary key."""
    if dialect == "sqlite":
        return id.in_(chosen)
    return id == any_(func.array(chosen.scalar_subquery()))
