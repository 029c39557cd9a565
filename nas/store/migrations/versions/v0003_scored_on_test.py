"""Studies scored on test images, epochs that were not scored, and how a machine trains a network."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAMED = {"sqlite": "json_extract(t.choice_json, '$.architecture')", "postgresql": "t.choice_json ->> 'architecture'"}

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
       t.seconds AS seconds, t.reused AS reused, t.precision AS precision, {name} AS name
FROM nas_trial t
JOIN nas_study s ON s.id = t.study_id
JOIN nas_architecture a ON a.fingerprint = t.fingerprint
WHERE t.state = 'complete' AND s.scored_on = 'validation'
"""


def upgrade() -> None:
    """Studies so far were scored on validation images, after every epoch."""
    op.execute("DROP VIEW nas_leaderboard")
    op.add_column("nas_study", sa.Column("scored_on", sa.Text(), nullable=False, server_default="validation"))
    with op.batch_alter_table("nas_epoch") as epochs:
        epochs.alter_column("accuracy", existing_type=sa.Double(), nullable=True)
    make_plans()
    op.execute(LEADERBOARD.format(name=NAMED[op.get_bind().dialect.name]))


def make_plans() -> None:
    """How a machine trains a network in batches of a size."""
    op.create_table(
        "nas_plan",
        sa.Column("machine", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), primary_key=True),
        sa.Column("batch_size", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("asked", sa.Text(), primary_key=True),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("memory_format", sa.Text(), nullable=False),
        sa.Column("micro_batch", sa.Integer(), nullable=False),
        sa.Column("failed_bytes", sa.BigInteger()),
    )
