"""Studies have a priority among each other, and may be paused or cancelled."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Studies so far are of equal priority, and open."""
    op.add_column("nas_study", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("nas_study", sa.Column("halt", sa.Text(), nullable=False, server_default=""))
