"""Settling findings: what was asked for, what was dismissed; bulk actions with their items."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import define_crossing, drop_crossings, wall_off

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
INSTANT = sa.DateTime(timezone=True)

RESOLUTIONS = (
    "'by_itself', 'retried', 'pushed_again', 'took_remote', 'kept_ours', 'adopted',"
    " 'cancelled_remote', 'changed', 'dismissed', 'by_policy'"
)
ACTIONS = "'retry', 'push_again', 'take_remote', 'keep_ours', 'adopt', 'cancel_remote', 'dismiss'"
SPINE_KINDS = (
    "'booked', 'rescheduled', 'cancelled', 'marked', 'imported', 'superseded',"
    " 'nothing_to_push', 'pushed', 'push_retries', 'push_waits', 'push_failed',"
    " 'lease_lost', 'verified', 'mismatch', 'missing', 'absence_suspected',"
    " 'verification_failed', 'retry_requested', 'verify_requested', 'push_requested',"
    " 'resolved', 'webhook_applied', 'echo_suppressed', 'push_back_suppressed',"
    " 'found_there', 'adopted', 'recognised', 'healed'"
)
SPINE_NOTIFICATIONS = (
    "'orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error',"
    " 'sync_failed', 'connection_broken', 'webhook_silent', 'booking_adopted',"
    " 'verification_untrusted'"
)

DUE_ROWS = "due_rows(at timestamptz, most integer)"
DUE_ROWS_RETURNS = "TABLE (kind text, company_id bigint, id bigint)"
# A paused company's pushes wait; everything else goes on. People's pushes come first.
DUE_ROWS_BODY = """
    SELECT kind, company_id, id FROM (
        SELECT CASE WHEN i.is_interactive THEN 'push' ELSE 'quiet_push' END AS kind,
               i.company_id, i.id, i.due_at AS since,
               CASE WHEN i.is_interactive THEN 1 ELSE 2 END AS rank
          FROM intents i JOIN companies c ON c.id = i.company_id
         WHERE i.status = 'waiting' AND i.due_at <= at AND c.paused_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM intents f WHERE f.company_id = i.company_id
                              AND f.appointment_id = i.appointment_id AND f.status = 'in_flight')
        UNION ALL
        SELECT 'push', i.company_id, i.id, i.lease_until, 1
          FROM intents i JOIN companies c ON c.id = i.company_id
         WHERE i.status = 'in_flight' AND i.lease_until <= at AND c.paused_at IS NULL
        UNION ALL
        SELECT 'delivery', d.company_id, d.id, d.due_at, 3
          FROM deliveries d WHERE d.status = 'received' AND d.due_at <= at
        UNION ALL
        SELECT 'verification', a.company_id, a.id, a.next_verification_at, 4
          FROM appointments a WHERE a.next_verification_at <= at
        UNION ALL
        SELECT 'proof', a.company_id, a.company_id, min(a.existence_due_at), 4
          FROM appointments a WHERE a.existence_due_at <= at GROUP BY a.company_id
        UNION ALL
        SELECT 'services', c.id, c.id, c.services_due_at, 4
          FROM companies c WHERE c.services_due_at <= at
        UNION ALL
        SELECT 'run', r.company_id, r.id, r.lease_until, 5
          FROM runs r WHERE r.status = 'running' AND r.lease_until <= at{bulk}
    ) due ORDER BY rank, since LIMIT most
"""
DUE_BULK = """
        UNION ALL
        SELECT 'bulk', b.company_id, b.id, b.lease_until, 6
          FROM bulk_actions b WHERE b.status = 'running' AND b.lease_until <= at"""


def upgrade() -> None:
    _widen_discrepancies()
    _make_bulk_actions()
    _make_bulk_items()
    _check("history_events", "kind_known", f"kind IN ({SPINE_KINDS}, 'settlement_requested')")
    _check("notifications", "type_known", f"type IN ({SPINE_NOTIFICATIONS}, 'bulk_finished')")
    _define_due_rows(DUE_BULK)


def downgrade() -> None:
    _define_due_rows("")
    op.execute("DELETE FROM notifications WHERE type = 'bulk_finished'")
    _check("notifications", "type_known", f"type IN ({SPINE_NOTIFICATIONS})")
    op.execute(
        "UPDATE history_events SET kind = 'verify_requested' WHERE kind = 'settlement_requested'"
    )
    _check("history_events", "kind_known", f"kind IN ({SPINE_KINDS})")
    op.drop_table("bulk_items")
    op.drop_table("bulk_actions")
    for name in ("facts_of_dismissed", "asked_at", "asked_resolution_known"):
        op.drop_constraint(op.f(f"ck_discrepancies_{name}"), "discrepancies")
    for column in (
        "dismissed_facts",
        "asked_note",
        "asked_by_user_id",
        "asked_at",
        "asked_resolution",
    ):
        op.drop_column("discrepancies", column)


def _widen_discrepancies() -> None:
    for column in (
        sa.Column("asked_resolution", sa.Text(), nullable=True),
        sa.Column("asked_at", INSTANT, nullable=True),
        sa.Column("asked_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("asked_note", sa.Text(), nullable=True),
        sa.Column("dismissed_facts", sa.Text(collation="C"), nullable=True),
    ):
        op.add_column("discrepancies", column)
    for name, condition in (
        ("asked_resolution_known", f"asked_resolution IN ({RESOLUTIONS})"),
        ("asked_at", "(asked_resolution IS NULL) = (asked_at IS NULL)"),
        ("facts_of_dismissed", "(dismissed_facts IS NULL) OR (resolution = 'dismissed')"),
    ):
        op.create_check_constraint(op.f(f"ck_discrepancies_{name}"), "discrepancies", condition)


def _make_bulk_actions() -> None:
    op.create_table(
        "bulk_actions",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requested_by_user_id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("scope", postgresql.JSONB(), nullable=False),
        sa.Column("item_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("cancelled_at", INSTANT, nullable=True),
        sa.Column("cancelled_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", INSTANT, nullable=False),
        sa.Column("setback_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"kind IN ({ACTIONS})", name=op.f("ck_bulk_actions_kind_known")),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'cancelled')", name=op.f("ck_bulk_actions_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'running') = (finished_at IS NULL)", name=op.f("ck_bulk_actions_finished_at")
        ),
        sa.CheckConstraint(
            "status <> 'cancelled' OR cancelled_at IS NOT NULL",
            name=op.f("ck_bulk_actions_cancelled_at"),
        ),
        sa.CheckConstraint("item_count >= 1", name=op.f("ck_bulk_actions_has_items")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_bulk_actions_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "requested_by_user_id"],
            ["users.company_id", "users.id"],
            name=op.f("fk_bulk_actions_company_id_requested_by_user_id"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_bulk_actions")),
    )
    op.create_index(
        "ix_bulk_actions_due",
        "bulk_actions",
        ["lease_until"],
        postgresql_where="status = 'running'",
    )
    op.create_index(
        op.f("ix_bulk_actions_company_id_created_at_id"),
        "bulk_actions",
        ["company_id", "created_at", "id"],
    )
    wall_off("bulk_actions", REMOVABLE)


def _make_bulk_items() -> None:
    op.create_table(
        "bulk_items",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bulk_action_id", sa.BigInteger(), nullable=False),
        sa.Column("discrepancy_id", sa.BigInteger(), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "status IN ('queued', 'started', 'settled', 'still_open', 'refused', 'failed',"
            " 'cancelled')",
            name=op.f("ck_bulk_items_status_known"),
        ),
        sa.CheckConstraint(
            "(status IN ('queued', 'started')) = (finished_at IS NULL)",
            name=op.f("ck_bulk_items_finished_at"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_bulk_items_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "bulk_action_id"],
            ["bulk_actions.company_id", "bulk_actions.id"],
            name=op.f("fk_bulk_items_company_id_bulk_action_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "discrepancy_id"],
            ["discrepancies.company_id", "discrepancies.id"],
            name=op.f("fk_bulk_items_company_id_discrepancy_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_bulk_items_company_id_appointment_id"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_bulk_items")),
    )
    op.create_index(
        op.f("ix_bulk_items_company_id_bulk_action_id_status_id"),
        "bulk_items",
        ["company_id", "bulk_action_id", "status", "id"],
    )
    op.create_index(
        "uq_bulk_items_once",
        "bulk_items",
        ["company_id", "bulk_action_id", "discrepancy_id"],
        unique=True,
    )
    wall_off("bulk_items", REMOVABLE)


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _define_due_rows(bulk: str) -> None:
    drop_crossings([DUE_ROWS])
    define_crossing(DUE_ROWS, DUE_ROWS_RETURNS, DUE_ROWS_BODY.format(bulk=bulk))
