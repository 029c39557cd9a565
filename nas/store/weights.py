"""The weights of trained networks: the best of each study, and those that were confirmed."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from nas.store.engine import Storage
from nas.store.outage import lasting
from nas.store.tables import RANKING, study, trial, weights


@lasting
def get_weights(storage: Storage, trial_id: int) -> bytes | None:
    """The trial's weights (safetensors); a reused one has its source's. None where they were not kept."""
    origin = select(trial.c.source_trial_id).where(trial.c.id == trial_id).scalar_subquery()
    own_first = (weights.c.trial_id == trial_id).desc()
    found = select(weights.c.blob).where(weights.c.trial_id.in_([trial_id, origin])).order_by(own_first)
    with storage.read() as connection:
        blob: bytes | None = connection.scalar(found.limit(1))
    return blob


def put_weights(connection: Connection, trial_id: int, blob: bytes) -> None:
    """Keep a trial's weights, and of its study those of the `keep` best alone, besides the confirmed."""
    connection.execute(delete(weights).where(weights.c.trial_id == trial_id))
    connection.execute(insert(weights).values(trial_id=trial_id, blob=blob))
    drop_surplus(connection, connection.scalars(select(trial.c.study_id).where(trial.c.id == trial_id)).one())


def drop_surplus(connection: Connection, study_id: int) -> None:
    """Of a study, keep the weights of the `keep` best and of those confirmed."""
    keep = connection.scalars(select(study.c.keep).where(study.c.id == study_id)).one()
    kept = select(trial.c.id).join(weights, weights.c.trial_id == trial.c.id).where(trial.c.study_id == study_id)
    unconfirmed = kept.where(trial.c.test_accuracy.is_(None))
    best = connection.scalars(kept.order_by(*RANKING).limit(keep)).all()
    surplus = set(connection.scalars(unconfirmed)) - set(best)
    if surplus:
        connection.execute(delete(weights).where(weights.c.trial_id.in_(surplus)))
