"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

RANKING = (sa.text("accuracy DESC"), "params", "macs", "fingerprint")

LEADERBOARD = """
CREATE VIEW nas_leaderboard AS
SELECT row_number() OVER (
           PARTITION BY t.dataset_hash ORDER BY t.accuracy DESC, t.params, t.macs, t.fingerprint, t.id
       ) AS rank,
       s.name AS study, t.number AS trial, t.fingerprint AS architecture, a.body AS body,
       t.accuracy AS accuracy, t.accuracy_low AS accuracy_low, t.accuracy_high AS accuracy_high,
       t.repeats AS repeats, t.test_accuracy AS test_accuracy, t.test_low AS test_low, t.test_high AS test_high,
       t.params AS params, t.weights AS weights, t.macs AS macs, t.activations AS activations,
       t.receptive_field AS receptive_field, t.auxiliary_params AS auxiliary_params, t.depth AS depth,
       CAST(a.blocks AS TEXT) AS blocks, s.dataset AS dataset, t.epochs_done AS epochs, t.seed AS seed,
       t.seconds AS seconds, t.reused AS reused, t.precision AS precision
FROM nas_trial t
JOIN nas_study s ON s.id = t.study_id
JOIN nas_architecture a ON a.fingerprint = t.fingerprint
WHERE t.state = 'complete'
"""


def upgrade() -> None:
    """Make all tables, their indexes, and the view `nas_leaderboard`."""
    make_studies()
    make_architectures()
    make_trials()
    make_trainings()
    op.execute(LEADERBOARD)


def make_studies() -> None:
    """The questions."""
    op.create_table(
        "nas_study",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False, unique=True),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("dataset_hash", sa.Text(), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("budget", sa.JSON(), nullable=False),
        sa.Column("blocks", sa.JSON(), nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("recipe_hash", sa.Text(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("keep", sa.Integer(), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.Column("exhausted", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sqlite_autoincrement=True,
    )


def make_architectures() -> None:
    """The networks, each once, and the blocks each contains."""
    op.create_table(
        "nas_architecture",
        sa.Column("fingerprint", sa.Text(), primary_key=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("blocks", sa.JSON(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
    )
    owner = sa.ForeignKey("nas_architecture.fingerprint", ondelete="CASCADE")
    op.create_table(
        "nas_architecture_block",
        sa.Column("fingerprint", sa.Text(), owner, primary_key=True),
        sa.Column("block", sa.Text(), primary_key=True),
    )
    op.create_index("nas_architecture_body", "nas_architecture", ["body"])
    op.create_index("nas_architecture_block_block", "nas_architecture_block", ["block"])


def make_trials() -> None:
    """The trials: what was asked, who holds it, and what came out."""
    op.create_table(
        "nas_trial",
        *asked_columns(),
        *measured_columns(),
        *held_columns(),
        sa.UniqueConstraint("study_id", "number"),
        sa.UniqueConstraint("study_id", "fingerprint"),
        sa.CheckConstraint("state <> 'complete' OR accuracy IS NOT NULL", name="nas_trial_complete_has_accuracy"),
        sqlite_autoincrement=True,
    )
    op.create_index("nas_trial_ranking", "nas_trial", ["study_id", "state", *RANKING])
    op.create_index("nas_trial_dataset_ranking", "nas_trial", ["dataset_hash", "state", *RANKING, "id"])
    op.create_index("nas_trial_revision", "nas_trial", ["study_id", "revision"])
    question = ["fingerprint", "dataset_hash", "recipe_hash", "seed"]
    op.create_index("nas_trial_question", "nas_trial", question)
    op.create_index("nas_trial_source", "nas_trial", ["source_trial_id"])


def asked_columns() -> list[sa.Column[Any]]:
    """Which network of which study, and how it was drawn."""
    study = sa.ForeignKey("nas_study.id", ondelete="CASCADE")
    source = sa.ForeignKey("nas_trial.id", ondelete="SET NULL")
    return [
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("study_id", sa.Integer(), study, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.Text(), sa.ForeignKey("nas_architecture.fingerprint"), nullable=False),
        sa.Column("dataset_hash", sa.Text(), nullable=False),
        sa.Column("recipe_hash", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claim", sa.Text(), unique=True),
        sa.Column("draw_json", sa.JSON(), nullable=False),
        sa.Column("choice_json", sa.JSON(), nullable=False),
        sa.Column("projected", sa.Boolean(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("source_trial_id", sa.Integer(), source),
    ]


def measured_columns() -> list[sa.Column[Any]]:
    """Accuracy and cost."""
    return [
        sa.Column("accuracy", sa.Double()),
        sa.Column("accuracy_low", sa.Double()),
        sa.Column("accuracy_high", sa.Double()),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("test_accuracy", sa.Double()),
        sa.Column("test_low", sa.Double()),
        sa.Column("test_high", sa.Double()),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.Column("weights", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.Column("activations", sa.BigInteger(), nullable=False),
        sa.Column("receptive_field", sa.BigInteger()),
        sa.Column("auxiliary_params", sa.BigInteger(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
    ]


def held_columns() -> list[sa.Column[Any]]:
    """The training, and the worker that holds or held it."""
    return [
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("epochs_done", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("lease", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("finished", sa.Double()),
        sa.Column("mirrored", sa.Boolean(), nullable=False),
    ]


def make_trainings() -> None:
    """What a training leaves: its epochs, its checkpoint until it ends, its weights."""
    op.create_table(
        "nas_epoch",
        sa.Column("trial_id", sa.Integer(), of_trial(), primary_key=True),
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("loss", sa.Double()),
        sa.Column("train_loss", sa.Double()),
        sa.Column("seconds", sa.Double(), nullable=False),
    )
    op.create_table(
        "nas_checkpoint",
        sa.Column("trial_id", sa.Integer(), of_trial(), primary_key=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "nas_weights",
        sa.Column("trial_id", sa.Integer(), of_trial(), primary_key=True),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
    )


def of_trial() -> sa.ForeignKey:
    """A row that goes when its trial goes."""
    return sa.ForeignKey("nas_trial.id", ondelete="CASCADE")
