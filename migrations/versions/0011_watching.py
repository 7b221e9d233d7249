"""Watching the machine: signs of life, thresholds, figures counted in advance."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import app_role, wall_off

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
INSTANT = sa.DateTime(timezone=True)
TYPES_BEFORE = (
    "'orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error',"
    " 'sync_failed', 'connection_broken', 'webhook_silent', 'booking_adopted',"
    " 'verification_untrusted', 'bulk_finished', 'channel_failed'"
)
TYPES = f"{TYPES_BEFORE}, 'threshold_crossed'"
INDEXES = {
    "appointments": ["created_at"],
    "discrepancies": ["opened_at"],
    "runs": ["finished_at"],
    "sendings": ["finished_at"],
}
"""By these the figures of a stretch of time are read."""


def upgrade() -> None:
    make_heartbeats()
    make_thresholds()
    make_rollups()
    for table in ("thresholds", "rollups"):
        wall_off(table, REMOVABLE)
    know_types(TYPES)
    for table, columns in INDEXES.items():
        name = op.f(f"ix_{table}_company_id_{'_'.join(columns)}")
        op.create_index(name, table, ["company_id", *columns])
    op.create_index(
        "ix_discrepancies_resolved",
        "discrepancies",
        ["company_id", "resolved_at"],
        postgresql_where="resolved_at IS NOT NULL",
    )


def downgrade() -> None:
    op.drop_index("ix_discrepancies_resolved", "discrepancies")
    for table, columns in INDEXES.items():
        op.drop_index(op.f(f"ix_{table}_company_id_{'_'.join(columns)}"), table)
    op.execute("DELETE FROM notifications WHERE type = 'threshold_crossed'")
    op.execute("DELETE FROM mail_preferences WHERE type = 'threshold_crossed'")
    know_types(TYPES_BEFORE)
    for table in ("rollups", "thresholds", "heartbeats"):
        op.drop_table(table)


def know_types(types: str) -> None:
    for table in ("notifications", "mail_preferences"):
        name = op.f(f"ck_{table}_type_known")
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, f"type IN ({types})")


def make_thresholds() -> None:
    op.create_table(
        "thresholds",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bound", sa.Float(53), nullable=True),
        sa.Column("value", sa.Float(53), nullable=True),
        sa.Column("measured_at", INSTANT, nullable=True),
        sa.Column("evaluated_at", INSTANT, nullable=True),
        sa.Column("crossed_at", INSTANT, nullable=True),
        sa.Column("calm_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('orphans', 'verification_failures', 'queue_length', 'queue_age',"
            " 'success_rate', 'latency')",
            name=op.f("ck_thresholds_kind_known"),
        ),
        sa.CheckConstraint("bound >= 0", name=op.f("ck_thresholds_bound_not_negative")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_thresholds_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_thresholds")),
        sa.UniqueConstraint("company_id", "kind", name=op.f("uq_thresholds_company_id_kind")),
    )


def make_rollups() -> None:
    op.create_table(
        "rollups",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("length_seconds", sa.BigInteger(), nullable=False),
        sa.Column("begins_at", INSTANT, nullable=False),
        sa.Column("figure", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(53), nullable=False),
        sa.Column("peak", sa.Float(53), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_rollups_company_id")
        ),
        sa.PrimaryKeyConstraint(
            "company_id", "length_seconds", "begins_at", "figure", "key", name=op.f("pk_rollups")
        ),
    )


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
