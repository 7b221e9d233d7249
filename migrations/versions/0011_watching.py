"""Watching the machine: signs of life."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import app_role

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    make_heartbeats()


def downgrade() -> None:
    op.drop_table("heartbeats")


def make_heartbeats() -> None:
    """They belong to no company, so there is no wall."""
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("queues", postgresql.JSONB(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("is_leader", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('worker', 'scheduler')", name=op.f("ck_heartbeats_kind_known")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_index(op.f("ix_heartbeats_seen_at"), "heartbeats", ["seen_at"])
    op.execute("REVOKE ALL ON heartbeats FROM PUBLIC")
    op.execute(f"GRANT {REMOVABLE} ON heartbeats TO {app_role()}")
