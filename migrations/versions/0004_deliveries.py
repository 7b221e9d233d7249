"""Deliveries that can be searched and run again; changes that no webhook announced."""

import sqlalchemy as sa
from alembic import op

from webapp.models.walls import wall_off

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None

TYPES_BEFORE = (
    *("orphaned_local", "orphaned_calcom", "data_mismatch", "verification_error"),
    *("sync_failed", "connection_broken"),
)
TYPES = (*TYPES_BEFORE, "webhook_silent")


def upgrade() -> None:
    widen_deliveries()
    op.add_column("companies", sa.Column("webhook_silent_since", sa.DateTime(timezone=True)))
    op.add_column("companies", sa.Column("webhook_recovered_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_history_events_delivery_id",
        "history_events",
        ["company_id", "delivery_id"],
        postgresql_where=sa.text("delivery_id IS NOT NULL"),
    )
    know_types(TYPES)
    make_remote_changes()


def downgrade() -> None:
    op.drop_table("remote_changes")
    op.execute("DELETE FROM notifications WHERE type = 'webhook_silent'")
    know_types(TYPES_BEFORE)
    op.drop_index("ix_history_events_delivery_id", "history_events")
    op.drop_column("companies", "webhook_recovered_at")
    op.drop_column("companies", "webhook_silent_since")
    narrow_deliveries()


def widen_deliveries() -> None:
    op.alter_column("deliveries", "trigger", type_=sa.Text(collation="C"))
    op.add_column("deliveries", sa.Column("booking_uid", sa.Text(collation="C")))
    op.add_column("deliveries", sa.Column("old_booking_uid", sa.Text(collation="C")))
    op.add_column("deliveries", sa.Column("sent_at", sa.DateTime(timezone=True)))
    op.add_column(
        "deliveries",
        sa.Column("run_again_count", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("deliveries", "run_again_count", server_default=None)
    fill_uids()
    for name in ("status", "trigger"):
        op.create_index(
            op.f(f"ix_deliveries_company_id_{name}_received_at_id"),
            "deliveries",
            ["company_id", name, "received_at", "id"],
        )
    for name in ("booking_uid", "old_booking_uid", "appointment_id"):
        op.create_index(
            f"ix_deliveries_{name}",
            "deliveries",
            ["company_id", name],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )


def fill_uids() -> None:
    """What earlier deliveries speak of, out of their bodies; anything may stand there."""
    op.execute(
        r"""
        UPDATE deliveries SET booking_uid = found.uid, old_booking_uid = found.old_uid
          FROM (SELECT company_id, id,
                       coalesce(p ->> 'uid', p ->> 'bookingUid') AS uid,
                       coalesce(p ->> 'rescheduleUid', p ->> 'fromReschedule') AS old_uid
                  FROM (SELECT company_id, id, CASE WHEN jsonb_typeof(body -> 'payload') = 'object'
                               THEN body -> 'payload' ELSE body END AS p FROM deliveries) parts
               ) found
         WHERE deliveries.company_id = found.company_id AND deliveries.id = found.id
           AND found.uid ~ '^[A-Za-z0-9_-]{1,100}$'
           AND coalesce(found.old_uid, 'x') ~ '^[A-Za-z0-9_-]{1,100}$'
        """
    )


def narrow_deliveries() -> None:
    for name in ("appointment_id", "old_booking_uid", "booking_uid"):
        op.drop_index(f"ix_deliveries_{name}", "deliveries")
    for name in ("trigger", "status"):
        op.drop_index(op.f(f"ix_deliveries_company_id_{name}_received_at_id"), "deliveries")
    for name in ("run_again_count", "sent_at", "old_booking_uid", "booking_uid"):
        op.drop_column("deliveries", name)
    op.alter_column("deliveries", "trigger", type_=sa.Text(collation="default"))


def know_types(types: tuple[str, ...]) -> None:
    name = op.f("ck_notifications_type_known")
    op.drop_constraint(name, "notifications", type_="check")
    listed = ", ".join(f"'{each}'" for each in types)
    op.create_check_constraint(name, "notifications", f"type IN ({listed})")


def make_remote_changes() -> None:
    op.create_table(
        "remote_changes",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("uid", sa.Text(collation="C"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("was_announced", sa.Boolean(), nullable=True),
        sa.Column("appointment_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('created', 'confirmed', 'rescheduled', 'cancelled')",
            name=op.f("ck_remote_changes_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_remote_changes_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_remote_changes_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_remote_changes")),
        sa.UniqueConstraint(
            "company_id", "uid", "kind", name=op.f("uq_remote_changes_company_id_uid_kind")
        ),
    )
    op.create_index(
        op.f("ix_remote_changes_company_id_changed_at"),
        "remote_changes",
        ["company_id", "changed_at"],
    )
    op.create_index(
        "ix_remote_changes_undecided",
        "remote_changes",
        ["company_id", "changed_at"],
        postgresql_where=sa.text("was_announced IS NULL"),
    )
    wall_off("remote_changes", "SELECT, INSERT, UPDATE, DELETE")
