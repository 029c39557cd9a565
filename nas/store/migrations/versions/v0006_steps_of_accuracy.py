"""How many complete trials of a data set are of each accuracy, counted as they come and go."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

STEP = {
    "sqlite": "CAST({row}accuracy * 1000 AS INTEGER)",
    "postgresql": "CAST(trunc(greatest(0.0, least(1.0, {row}accuracy)) * 1000) AS INTEGER)",
}
"""What is no accuracy, as only a hand may write it, is no error here."""

ONE_MORE = """
INSERT INTO nas_accuracy_step (dataset_hash, step, trials) VALUES (NEW.dataset_hash, {new_step}, 1)
ON CONFLICT (dataset_hash, step) DO UPDATE SET trials = nas_accuracy_step.trials + 1;
"""
ONE_LESS = """
UPDATE nas_accuracy_step SET trials = trials - 1 WHERE dataset_hash = OLD.dataset_hash AND step = {old_step};
DELETE FROM nas_accuracy_step WHERE dataset_hash = OLD.dataset_hash AND step = {old_step} AND trials = 0;
"""

SQLITE = (
    "CREATE TRIGGER nas_trial_made AFTER INSERT ON nas_trial WHEN NEW.state = 'complete' BEGIN {one_more} END",
    "CREATE TRIGGER nas_trial_gone AFTER DELETE ON nas_trial WHEN OLD.state = 'complete' BEGIN {one_less} END",
    "CREATE TRIGGER nas_trial_left AFTER UPDATE OF state, accuracy, dataset_hash ON nas_trial "
    "WHEN OLD.state = 'complete' BEGIN {one_less} END",
    "CREATE TRIGGER nas_trial_come AFTER UPDATE OF state, accuracy, dataset_hash ON nas_trial "
    "WHEN NEW.state = 'complete' BEGIN {one_more} END",
)

POSTGRESQL = (
    """
CREATE FUNCTION nas_count_trial() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        IF OLD.state = 'complete' THEN {one_less} END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        IF NEW.state = 'complete' THEN {one_more} END IF;
    END IF;
    RETURN NULL;
END $$
""",
    "CREATE TRIGGER nas_trial_counted AFTER INSERT OR DELETE OR UPDATE OF state, accuracy, dataset_hash ON nas_trial "
    "FOR EACH ROW EXECUTE FUNCTION nas_count_trial()",
)

FILL = """
INSERT INTO nas_accuracy_step (dataset_hash, step, trials)
SELECT dataset_hash, {step}, count(*) FROM nas_trial WHERE state = 'complete' GROUP BY 1, 2
"""


def upgrade() -> None:
    """Count what is there, and have the database count what comes and goes."""
    op.create_table(
        "nas_accuracy_step",
        sa.Column("dataset_hash", sa.Text(), primary_key=True),
        sa.Column("step", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("trials", sa.Integer(), nullable=False),
    )
    dialect = op.get_bind().dialect.name
    old, new, step = (STEP[dialect].format(row=row) for row in ("OLD.", "NEW.", ""))
    op.execute(FILL.format(step=step))
    for words in SQLITE if dialect == "sqlite" else POSTGRESQL:
        op.execute(words.format(one_more=ONE_MORE.format(new_step=new), one_less=ONE_LESS.format(old_step=old)))
