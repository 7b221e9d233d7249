"""The doors: a delivery that failed is told, and the operator's pause lies over an admin's."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TYPES_BEFORE = (
    "'orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error',"
    " 'sync_failed', 'connection_broken', 'webhook_silent', 'booking_adopted',"
    " 'verification_untrusted', 'bulk_finished', 'channel_failed', 'threshold_crossed'"
)
TYPES = f"{TYPES_BEFORE}, 'delivery_failed'"


def upgrade() -> None:
    know_types(TYPES)
    instant = sa.DateTime(timezone=True)
    op.add_column("companies", sa.Column("admin_paused_at", instant, nullable=True))
    op.add_column("companies", sa.Column("admin_paused_by", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_companies_admin_pause_has_author"),
        "companies",
        "(admin_paused_at IS NULL) = (admin_paused_by IS NULL)",
    )


def downgrade() -> None:
    # What an admin paused stays so, whoever resumes all.
    op.execute(
        "UPDATE companies SET paused_at = admin_paused_at, paused_by = admin_paused_by"
        " WHERE admin_paused_at IS NOT NULL"
    )
    op.drop_constraint(op.f("ck_companies_admin_pause_has_author"), "companies")
    op.drop_column("companies", "admin_paused_by")
    op.drop_column("companies", "admin_paused_at")
    op.execute("DELETE FROM notifications WHERE type = 'delivery_failed'")
    op.execute("DELETE FROM mail_preferences WHERE type = 'delivery_failed'")
    know_types(TYPES_BEFORE)


def know_types(types: str) -> None:
    for table in ("notifications", "mail_preferences"):
        name = op.f(f"ck_{table}_type_known")
        op.drop_constraint(name, table)
        op.create_check_constraint(name, table, f"type IN ({types})")
