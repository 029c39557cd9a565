"""The open studies, in the order in which workers that go from study to study take them up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from nas.arch.record import COMPLETE, FAILED, PRUNED, RUNNING, WAITING
from nas.store.engine import Storage, database_clock
from nas.store.outage import lasting
from nas.store.tables import study, trial


@dataclass(frozen=True)
class Queued:
    """A study that is not over, paused or cancelled. `wanted` more workers could begin a trial of it now.

    Each of `owners` holds one of its trials.
    """

    id: int
    name: str
    priority: int
    wanted: int
    owners: tuple[str, ...]


@dataclass
class _Tally:
    """What is known of a study's trials: how many are in each state, and who holds those that are held."""

    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    owners: list[str] = field(default_factory=list)


@lasting
def queue(storage: Storage, name: str | None = None) -> list[Queued]:
    """The open studies, or that of a name alone: the highest priority first, of equal ones the oldest."""
    columns = (study.c.id, study.c.name, study.c.priority, study.c.trials, study.c.exhausted)
    asked = select(*columns).where(study.c.halt == "").order_by(study.c.priority.desc(), study.c.id)
    if name is not None:
        asked = asked.where(study.c.name == name)
    with storage.read() as connection:
        rows = connection.execute(asked).all()
        tallies = _tallies(connection, [row.id for row in rows])
    found = []
    for row in rows:
        tally = tallies[row.id]
        wanted = _wanted(tally, row.trials, row.exhausted)
        if wanted is not None:
            found.append(Queued(row.id, row.name, row.priority, wanted, tuple(tally.owners)))
    return found


def _tallies(connection: Connection, ids: list[int]) -> dict[int, _Tally]:
    tallies: dict[int, _Tally] = defaultdict(_Tally)
    of_these = trial.c.study_id.in_(ids)
    # Both statements are answered from the index on studies and states, but for the few rows that are held.
    for study_id, state, count in connection.execute(
        select(trial.c.study_id, trial.c.state, func.count()).where(of_these).group_by(trial.c.study_id, trial.c.state)
    ):
        tallies[study_id].states[state] = count
    held = (of_these, trial.c.state == RUNNING, trial.c.lease >= database_clock())
    for study_id, owner in connection.execute(select(trial.c.study_id, trial.c.worker).where(*held)):
        tallies[study_id].owners.append(owner)
    return tallies


def _wanted(tally: _Tally, total: int, exhausted: bool) -> int | None:
    """How many trials nobody holds that may begin or go on; None where the study is over."""
    states = tally.states
    unended, failed = states[RUNNING] + states[WAITING], states[FAILED]
    done = states[COMPLETE] + states[PRUNED]
    if done >= total or (not unended and (exhausted or failed > total)):
        return None
    lacking = 0 if exhausted or failed > total else max(0, total - done - unended)
    return lacking + max(0, unended - len(tally.owners))
