"""Policies per field, healing, and what services look like on Cal.com."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import define_crossing, drop_crossings

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KINDS = (
    "'booked', 'rescheduled', 'cancelled', 'marked', 'imported', 'superseded',"
    " 'nothing_to_push', 'pushed', 'push_retries', 'push_waits', 'push_failed',"
    " 'lease_lost', 'verified', 'mismatch', 'missing', 'absence_suspected',"
    " 'verification_failed', 'retry_requested', 'verify_requested', 'push_requested',"
    " 'resolved', 'found_there', 'adopted', 'recognised', 'webhook_applied',"
    " 'echo_suppressed', 'push_back_suppressed'"
)
RESOLUTIONS = (
    "'by_itself', 'retried', 'pushed_again', 'took_remote', 'kept_ours', 'adopted',"
    " 'cancelled_remote', 'changed', 'dismissed'"
)
FIELD_POLICIES = "'flag', 'calcom_wins', 'ours_wins'"

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
        {services}SELECT 'run', r.company_id, r.id, r.lease_until, 5
          FROM runs r WHERE r.status = 'running' AND r.lease_until <= at
    ) due ORDER BY rank, since LIMIT most
"""
DUE_SERVICES = """SELECT 'services', c.id, c.id, c.services_due_at, 4
          FROM companies c WHERE c.services_due_at <= at
        UNION ALL
        """


def upgrade() -> None:
    _widen_companies()
    _widen_services()
    _check("history_events", "kind_known", f"kind IN ({KINDS}, 'healed')")
    _check("discrepancies", "resolution_known", f"resolution IN ({RESOLUTIONS}, 'by_policy')")
    op.create_index(
        "ix_discrepancies_mismatches",
        "discrepancies",
        ["company_id", "opened_at", "id"],
        postgresql_where="type = 'data_mismatch'",
    )
    _define_due_rows(DUE_SERVICES)


def downgrade() -> None:
    _define_due_rows("")
    op.drop_index("ix_discrepancies_mismatches", "discrepancies")
    op.execute("UPDATE discrepancies SET resolution = 'by_itself' WHERE resolution = 'by_policy'")
    _check("discrepancies", "resolution_known", f"resolution IN ({RESOLUTIONS})")
    op.execute("UPDATE history_events SET kind = 'resolved' WHERE kind = 'healed'")
    _check("history_events", "kind_known", f"kind IN ({KINDS})")
    for column in (
        "event_type_state",
        "event_type_seen",
        "event_type_checked_at",
        "drifts_since",
    ):
        op.drop_column("services", column)
    op.drop_index("ix_companies_services_due", "companies")
    for column in (
        "start_policy",
        "status_policy",
        "managers_settle",
        "services_due_at",
        "services_compared_at",
        "services_error_code",
    ):
        op.drop_column("companies", column)


def _widen_companies() -> None:
    for policy in ("start_policy", "status_policy"):
        _add_filled("companies", policy, sa.Text(), "flag")
        op.create_check_constraint(
            op.f(f"ck_companies_{policy}_known"), "companies", f"{policy} IN ({FIELD_POLICIES})"
        )
    _add_filled("companies", "managers_settle", sa.Boolean(), "true")
    for name in ("services_due_at", "services_compared_at"):
        op.add_column("companies", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("companies", sa.Column("services_error_code", sa.Text(), nullable=True))
    op.create_index(
        "ix_companies_services_due",
        "companies",
        ["services_due_at"],
        postgresql_where="services_due_at IS NOT NULL",
    )


def _widen_services() -> None:
    _add_filled("services", "event_type_state", sa.Text(), "unknown")
    op.create_check_constraint(
        op.f("ck_services_event_type_state_known"),
        "services",
        "event_type_state IN ('unknown', 'present', 'gone', 'foreign')",
    )
    op.add_column("services", sa.Column("event_type_seen", postgresql.JSONB(), nullable=True))
    for name in ("event_type_checked_at", "drifts_since"):
        op.add_column("services", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def _define_due_rows(services: str) -> None:
    drop_crossings([DUE_ROWS])
    define_crossing(DUE_ROWS, DUE_ROWS_RETURNS, DUE_ROWS_BODY.format(services=services))


def _add_filled(table: str, name: str, type_: sa.types.TypeEngine[object], value: str) -> None:
    """A column that rows already there get a value for; the application writes its own."""
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=value))
    op.alter_column(table, name, server_default=None)


def _check(table: str, name: str, condition: str) -> None:
    """Replace a table's CHECK."""
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
