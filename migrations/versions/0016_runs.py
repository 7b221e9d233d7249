"""Errors of verification counted by themselves; verifications nobody waits for behind people."""

import sqlalchemy as sa
from alembic import op

from webapp.models.walls import define_crossing, drop_crossings

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None

DUE_ROWS = "due_rows(at timestamptz, most integer)"
VERIFICATIONS_BEFORE = """
        SELECT 'verification', a.company_id, a.id, a.next_verification_at, 4
          FROM appointments a WHERE a.next_verification_at <= at
"""
VERIFICATIONS_HERE = """
        SELECT CASE WHEN a.verification_requested_at IS NOT NULL
                    THEN 'verification' ELSE 'quiet_verification' END,
               a.company_id, a.id, a.next_verification_at,
               CASE WHEN a.verification_requested_at IS NOT NULL THEN 1 ELSE 4 END
          FROM appointments a WHERE a.next_verification_at <= at
"""
DUE = """
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
        {verifications}
        UNION ALL
        SELECT 'proof', a.company_id, a.company_id, min(a.existence_due_at), 4
          FROM appointments a WHERE a.existence_due_at <= at GROUP BY a.company_id
        UNION ALL
        SELECT 'services', c.id, c.id, c.services_due_at, 4
          FROM companies c WHERE c.services_due_at <= at
        UNION ALL
        SELECT 'run', r.company_id, r.id, r.lease_until, 5
          FROM runs r WHERE r.status = 'running' AND r.lease_until <= at
        UNION ALL
        SELECT 'bulk', b.company_id, b.id, b.lease_until, 6
          FROM bulk_actions b WHERE b.status = 'running' AND b.lease_until <= at
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.due_at, 6
          FROM sendings s WHERE s.status = 'waiting' AND s.due_at <= at
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.lease_until, 6
          FROM sendings s WHERE s.status = 'in_flight' AND s.lease_until <= at
        UNION ALL
        SELECT 'service_sync', s.company_id, s.id, s.sync_due_at, 4
          FROM services s WHERE s.sync_due_at <= at
        UNION ALL
        SELECT 'access_mail', l.company_id, l.id, l.mail_due_at, 1
          FROM access_links l WHERE l.mail_due_at <= at
"""


def upgrade() -> None:
    op.add_column(
        "appointments",
        sa.Column("verification_error_streak", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("appointments", "verification_error_streak", server_default=None)
    define_due_rows(VERIFICATIONS_HERE)


def downgrade() -> None:
    define_due_rows(VERIFICATIONS_BEFORE)
    op.drop_column("appointments", "verification_error_streak")


def define_due_rows(verifications: str) -> None:
    rows = DUE.format(verifications=verifications)
    drop_crossings([DUE_ROWS])
    define_crossing(
        DUE_ROWS,
        "TABLE (kind text, company_id bigint, id bigint)",
        f"SELECT kind, company_id, id FROM ({rows}) due ORDER BY rank, since LIMIT most",  # noqa: S608
    )
