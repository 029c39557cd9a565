"""The tables, as this version reads and writes them; `migrations/` says how a database came to have them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)

from nas.store.kinds import BigInteger, Double, Finite, Integer, LargeBinary, Text

SCHEMA = "0006"
"""The schema of this version: the last revision in `migrations/versions`."""

VERSION_TABLE = "nas_alembic_version"
"""Not Alembic's default name: Optuna's tables lie in the same database, and `alembic_version` is theirs."""

metadata = MetaData()

study = Table(
    "nas_study",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("dataset", Text, nullable=False),
    Column("dataset_hash", Text, nullable=False),
    Column("input", JSON, nullable=False),
    Column("classes", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("trials", Integer, nullable=False),
    Column("config", JSON, nullable=False),
    Column("budget", JSON, nullable=False),
    Column("blocks", JSON, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("recipe_hash", Text, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("keep", Integer, nullable=False),
    Column("images", JSON, nullable=False),
    Column("exhausted", Boolean, nullable=False),
    Column("created", Finite, nullable=False),
    Column("scored_on", Text, nullable=False, server_default="validation"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("halt", Text, nullable=False, server_default=""),
    sqlite_autoincrement=True,  # the number of a removed study is not given again
)

architecture = Table(
    "nas_architecture",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("blocks", JSON, nullable=False),
    Column("summary", Text, nullable=False),
)

architecture_block = Table(
    "nas_architecture_block",
    metadata,
    Column("fingerprint", ForeignKey("nas_architecture.fingerprint", ondelete="CASCADE"), primary_key=True),
    Column("block", Text, primary_key=True),
)

trial = Table(
    "nas_trial",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("nas_study.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("fingerprint", ForeignKey("nas_architecture.fingerprint"), nullable=False),
    Column("dataset_hash", Text, nullable=False),
    Column("recipe_hash", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    # Held while running, waiting or complete; NULL once the question is open again, and where it was never asked.
    Column("claim", Text, unique=True),
    Column("draw_json", JSON, nullable=False),
    Column("choice_json", JSON, nullable=False),
    Column("projected", Boolean, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("source_trial_id", ForeignKey("nas_trial.id", ondelete="SET NULL")),
    Column("accuracy", Finite),
    Column("accuracy_low", Finite),
    Column("accuracy_high", Finite),
    Column("repeats", Integer, nullable=False),
    Column("test_accuracy", Finite),
    Column("test_low", Finite),
    Column("test_high", Finite),
    Column("params", BigInteger, nullable=False),
    Column("weights", BigInteger, nullable=False),
    Column("macs", BigInteger, nullable=False),
    Column("activations", BigInteger, nullable=False),
    Column("receptive_field", BigInteger),
    Column("auxiliary_params", BigInteger, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("epochs_done", Integer, nullable=False),
    Column("seconds", Finite, nullable=False),
    Column("device", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("worker", Text, nullable=False),
    Column("lease", Finite, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("started", Finite, nullable=False),
    Column("finished", Finite),
    Column("mirrored", Boolean, nullable=False),
    UniqueConstraint("study_id", "number"),
    UniqueConstraint("study_id", "fingerprint"),
    CheckConstraint("state <> 'complete' OR accuracy IS NOT NULL", name="nas_trial_complete_has_accuracy"),
    sqlite_autoincrement=True,  # "earlier" is told by the id
)

epoch = Table(
    "nas_epoch",
    metadata,
    Column("trial_id", ForeignKey("nas_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("accuracy", Finite),
    Column("loss", Double),
    Column("train_loss", Double),
    Column("seconds", Finite, nullable=False),
)
"""An accuracy is NULL where the epoch was not scored. A loss may be NULL beside: SQLite keeps no NaN."""

checkpoint = Table(
    "nas_checkpoint",
    metadata,
    Column("trial_id", ForeignKey("nas_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("blob", LargeBinary, nullable=False),
)

weights = Table(
    "nas_weights",
    metadata,
    Column("trial_id", ForeignKey("nas_trial.id", ondelete="CASCADE"), primary_key=True),
    Column("blob", LargeBinary, nullable=False),
)

plan = Table(
    "nas_plan",
    metadata,
    Column("machine", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("batch_size", Integer, primary_key=True, autoincrement=False),
    Column("asked", Text, primary_key=True),
    Column("precision", Text, nullable=False),
    Column("memory_format", Text, nullable=False),
    Column("micro_batch", Integer, nullable=False),
    Column("failed_bytes", BigInteger),
)
"""`failed_bytes`: the smallest predicted peak that ran out of memory."""

STEPS = 1000
"""Accuracies are counted in so many steps."""

accuracy_step = Table(
    "nas_accuracy_step",
    metadata,
    Column("dataset_hash", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("trials", Integer, nullable=False),
)
"""How many complete trials of a data set are of each step of accuracy, for the rank of one among very many.

The database keeps it by triggers on `nas_trial`; nothing else writes it.
"""

RANKING = (trial.c.accuracy.desc(), trial.c.params, trial.c.macs, trial.c.fingerprint)
"""The order of every ranking; where several studies meet, `id` decides between equals."""

SIZED = ("params", "macs")
"""The costs whose sizes have an index: top and front of a data set under a limit on them are found without a walk."""


def size_text(cost: str, table: str = "") -> str:
    """SQL for the size of a cost, in words of both databases: numbers within a few per cent to a third are of one size.

    25 for every digit, and a quarter of the first two. `size` in `sizes.py` is the same in Python.
    """
    digits = f"CAST({table}{cost} AS TEXT)"
    return f"(length({digits}) * 25 + CAST(substr({digits} || '0', 1, 2) AS INTEGER) / 4)"


Index(
    "nas_trial_ranking",
    *(trial.c.study_id, trial.c.state, *RANKING, trial.c.id, trial.c.seconds, trial.c.projected, trial.c.reused),
)
"""Also answers what `status` counts and sums, without a look at the rows."""
Index("nas_trial_dataset_ranking", trial.c.dataset_hash, trial.c.state, *RANKING, trial.c.id, trial.c.study_id)
for _cost in SIZED:
    Index(
        f"nas_trial_{_cost}_ranking",
        *(trial.c.dataset_hash, trial.c.state, text(size_text(_cost)), *RANKING, trial.c.id, trial.c.study_id),
    )
Index("nas_trial_revision", trial.c.study_id, trial.c.revision)
Index("nas_trial_question", trial.c.fingerprint, trial.c.dataset_hash, trial.c.recipe_hash, trial.c.seed)
Index("nas_trial_source", trial.c.source_trial_id)
Index(
    "nas_trial_unmirrored",
    trial.c.study_id,
    trial.c.id,
    sqlite_where=trial.c.mirrored.is_(False),
    postgresql_where=trial.c.mirrored.is_(False),
)
Index("nas_study_images", study.c.dataset_hash, study.c.scored_on, study.c.dataset, study.c.id)
Index("nas_architecture_body", architecture.c.body)
Index("nas_architecture_block_block", architecture_block.c.block)
