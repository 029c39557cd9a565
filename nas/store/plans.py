"""How machines train networks: what a probe chose, and how much memory turned out to be too much."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, func, insert, select

from nas.arch.record import Plan
from nas.store.engine import Storage
from nas.store.outage import lasting
from nas.store.tables import plan


@lasting
def get_plan(storage: Storage, machine: str, fingerprint: str, batch_size: int, asked: str) -> Plan | None:
    """What was chosen for a network on a machine, by recipes that leave as much open; None where nothing was yet."""
    columns = (plan.c.precision, plan.c.memory_format, plan.c.micro_batch)
    with storage.read() as connection:
        row = connection.execute(select(*columns).where(_same(machine, fingerprint, batch_size, asked))).first()
    return None if row is None else Plan(*row)


@lasting
def put_plan(
    storage: Storage,
    machine: str,
    fingerprint: str,
    batch_size: int,
    asked: str,
    chosen: Plan,
    *,
    replaces: bool = False,
    failed_bytes: int | None = None,
) -> Plan:
    """Note a choice; gives what holds: of two workers that choose at once the first one's, unless it `replaces` that.

    `failed_bytes`: the predicted peak of a training that ran out of memory.
    """
    row = {"machine": machine, "fingerprint": fingerprint, "batch_size": batch_size, "asked": asked}
    row |= {"precision": chosen.precision, "memory_format": chosen.memory_format, "micro_batch": chosen.micro_batch}
    columns = (plan.c.precision, plan.c.memory_format, plan.c.micro_batch)
    with storage.write() as connection:
        same = _same(machine, fingerprint, batch_size, asked)
        before = connection.execute(select(*columns).where(same)).first()
        if before is not None and not replaces:
            return Plan(*before)
        connection.execute(delete(plan).where(same))
        connection.execute(insert(plan).values(**row, failed_bytes=failed_bytes))
    return chosen


@lasting
def least_failed_bytes(storage: Storage, machine: str) -> int | None:
    """The smallest predicted peak, in bytes, that ran out of memory on a machine; None where none did."""
    with storage.read() as connection:
        found: int | None = connection.scalar(select(func.min(plan.c.failed_bytes)).where(plan.c.machine == machine))
    return found


def _same(machine: str, fingerprint: str, batch_size: int, asked: str) -> ColumnElement[bool]:
    return and_(
        plan.c.machine == machine,
        plan.c.fingerprint == fingerprint,
        plan.c.batch_size == batch_size,
        plan.c.asked == asked,
    )
