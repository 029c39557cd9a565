"""How many complete trials of a data set are of each accuracy, counted as they come and go."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

STEP = {
    "sqlite": "CAST(min(1.0, max(0.0, {row}accuracy)) * 1000 AS INTEGER)",
    "postgresql": "CAST(trunc(least(1.0, greatest(0.0, {row}accuracy)) * 1000) AS INTEGER)",
}
"""What is no accuracy, as only a hand may write it, is counted at the nearest end."""

WHEN = "AFTER UPDATE OF state, accuracy, dataset_hash ON nas_trial"

ONE_MORE = """
INSERT INTO nas_accuracy_step (dataset_hash, step, trials) VALUES (NEW.dataset_hash, {new}, 1)
ON CONFLICT (dataset_hash, step) DO UPDATE SET trials = nas_accuracy_step.trials + 1;
"""
ONE_LESS = """
UPDATE nas_accuracy_step SET trials = trials - 1 WHERE dataset_hash = OLD.dataset_hash AND step = {old};
DELETE FROM nas_accuracy_step WHERE dataset_hash = OLD.dataset_hash AND step = {old} AND trials = 0;
"""

SQLITE = (
    "CREATE TRIGGER nas_trial_made AFTER INSERT ON nas_trial WHEN NEW.state = 'complete' BEGIN {one_more} END",
    "CREATE TRIGGER nas_trial_gone AFTER DELETE ON nas_trial WHEN OLD.state = 'complete' BEGIN {one_less} END",
    f"CREATE TRIGGER nas_trial_left {WHEN} WHEN OLD.state = 'complete' BEGIN {{one_less}} END",
    f"CREATE TRIGGER nas_trial_come {WHEN} WHEN NEW.state = 'complete' BEGIN {{one_more}} END",
)

# Rows that come or go together are counted together: a count that is changed again and again in one transaction grows a
# chain of versions. Whoever may write trials need not be let write counts, and finds them whatever the search path.
FUNCTION = "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path "
FUNCTION += "FROM CURRENT AS $$ BEGIN IF current_setting('nas.counts_later', true) = 'on' THEN RETURN NULL; END IF; "
FUNCTION += "{body} RETURN NULL; END $$"

MADE = """
INSERT INTO nas_accuracy_step (dataset_hash, step, trials)
SELECT dataset_hash, {step}, count(*) FROM made WHERE state = 'complete' GROUP BY 1, 2
ON CONFLICT (dataset_hash, step) DO UPDATE SET trials = nas_accuracy_step.trials + excluded.trials;
"""
GONE = """
UPDATE nas_accuracy_step SET trials = nas_accuracy_step.trials - less.trials FROM (
    SELECT dataset_hash AS hash, {step} AS step, count(*) AS trials FROM gone WHERE state = 'complete' GROUP BY 1, 2
) less WHERE dataset_hash = less.hash AND nas_accuracy_step.step = less.step;
DELETE FROM nas_accuracy_step WHERE trials = 0;
"""
CHANGED = """
IF OLD.state = 'complete' THEN {one_less} END IF;
IF NEW.state = 'complete' THEN {one_more} END IF;
"""
TRIGGERS = {
    "nas_trials_made": (MADE, "AFTER INSERT ON nas_trial REFERENCING NEW TABLE AS made FOR EACH STATEMENT"),
    "nas_trials_gone": (GONE, "AFTER DELETE ON nas_trial REFERENCING OLD TABLE AS gone FOR EACH STATEMENT"),
    "nas_trial_changed": (CHANGED, f"{WHEN} FOR EACH ROW"),
    "nas_trials_emptied": ("DELETE FROM nas_accuracy_step;", "AFTER TRUNCATE ON nas_trial FOR EACH STATEMENT"),
}

FILL = """
INSERT INTO nas_accuracy_step (dataset_hash, step, trials)
SELECT dataset_hash, {step}, count(*) FROM nas_trial WHERE state = 'complete' GROUP BY 1, 2
"""

RECOUNT = """
CREATE OR REPLACE FUNCTION nas_recount() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DELETE FROM nas_accuracy_step; {fill} $$
"""
"""For whoever brings very many trials one by one in one transaction, and had `nas.counts_later` set to `on` for it."""

ROLES = """
REVOKE ALL ON FUNCTION nas_recount() FROM PUBLIC;
DO $$ DECLARE may record; BEGIN
    FOR may IN SELECT DISTINCT CASE grantee WHEN 'PUBLIC' THEN 'PUBLIC' ELSE quote_ident(grantee) END AS role,
        CASE privilege_type WHEN 'SELECT' THEN 'SELECT ON nas_accuracy_step'
            ELSE 'EXECUTE ON FUNCTION nas_recount()' END AS it
        FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND table_name = 'nas_trial' AND privilege_type IN ('SELECT', 'INSERT')
    LOOP
        EXECUTE format('GRANT %s TO %s', may.it, may.role);
    END LOOP;
END $$
"""
"""Who may read trials may read how they are counted, who may add some may have them counted anew, and nobody else."""


def upgrade() -> None:
    """Have the database count what comes and goes, and count what is there."""
    op.create_table(
        "nas_accuracy_step",
        sa.Column("dataset_hash", sa.Text(), primary_key=True),
        sa.Column("step", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("trials", sa.Integer(), nullable=False),
    )
    dialect = op.get_bind().dialect.name
    old, new, step = (STEP[dialect].format(row=row) for row in ("OLD.", "NEW.", ""))
    changes = {"one_more": ONE_MORE.format(new=new), "one_less": ONE_LESS.format(old=old), "step": step}
    for words in SQLITE if dialect == "sqlite" else ():
        op.execute(words.format(**changes))
    for name, (body, when) in TRIGGERS.items() if dialect != "sqlite" else ():
        op.execute(FUNCTION.format(name=name, body=body.format(**changes)))
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()")
    op.execute(FILL.format(step=step))  # no other writer is let in since the triggers stand
    if dialect != "sqlite":
        op.execute(RECOUNT.format(fill=FILL.format(step=step)))
        op.execute(ROLES)
