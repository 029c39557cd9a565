"""Indexes for storages of a million trials: rankings under a limit, counts, what is not mirrored yet."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

RANKING = (sa.text("accuracy DESC"), "params", "macs", "fingerprint")


def upgrade() -> None:
    """Have the two indexes on rankings hold what is asked beside, and make those by size."""
    op.drop_index("nas_trial_ranking", "nas_trial")
    op.drop_index("nas_trial_dataset_ranking", "nas_trial")
    own: list[Any] = ["study_id", "state", *RANKING, "id", "seconds", "projected", "reused"]
    op.create_index("nas_trial_ranking", "nas_trial", own)
    op.create_index("nas_trial_dataset_ranking", "nas_trial", ["dataset_hash", "state", *RANKING, "id", "study_id"])
    for cost in ("params", "macs"):
        columns: list[Any] = ["dataset_hash", "state", sa.text(size(cost)), *RANKING, "id", "study_id"]
        op.create_index(f"nas_trial_{cost}_ranking", "nas_trial", columns)
    later = sa.column("mirrored", sa.Boolean()).is_(False)
    op.create_index("nas_trial_unmirrored", "nas_trial", ["study_id", "id"], sqlite_where=later, postgresql_where=later)
    op.create_index("nas_study_images", "nas_study", ["dataset_hash", "scored_on", "dataset", "id"])


def size(cost: str) -> str:
    """25 for every digit, and a quarter of the first two."""
    digits = f"CAST({cost} AS TEXT)"
    return f"(length({digits}) * 25 + CAST(substr({digits} || '0', 1, 2) AS INTEGER) / 4)"
