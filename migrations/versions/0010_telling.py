"""Telling people: chat channels, wishes about mail, envelopes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import define_crossing, drop_crossings, wall_off

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
TYPES_BEFORE = (
    "'orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error',"
    " 'sync_failed', 'connection_broken', 'webhook_silent', 'booking_adopted',"
    " 'verification_untrusted', 'bulk_finished'"
)
TYPES = f"{TYPES_BEFORE}, 'channel_failed'"

DUE_ROWS = "due_rows(at timestamptz, most integer)"
DUE_BEFORE = """
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
          FROM runs r WHERE r.status = 'running' AND r.lease_until <= at
        UNION ALL
        SELECT 'bulk', b.company_id, b.id, b.lease_until, 6
          FROM bulk_actions b WHERE b.status = 'running' AND b.lease_until <= at
"""
DUE_SENDINGS = """
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.due_at, 6
          FROM sendings s WHERE s.status = 'waiting' AND s.due_at <= at
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.lease_until, 6
          FROM sendings s WHERE s.status = 'in_flight' AND s.lease_until <= at
"""


def upgrade() -> None:
    op.add_column(
        "companies",
        sa.Column("mails_staff", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("companies", "mails_staff", server_default=None)
    make_chat_channels()
    make_mail_preferences()
    make_sendings()
    widen_notifications()
    for table in ("chat_channels", "mail_preferences", "sendings"):
        wall_off(table, REMOVABLE)
    define_due_rows(DUE_BEFORE + DUE_SENDINGS)


def downgrade() -> None:
    define_due_rows(DUE_BEFORE)
    narrow_notifications()
    for table in ("sendings", "mail_preferences", "chat_channels"):
        op.drop_table(table)
    op.drop_column("companies", "mails_staff")


def define_due_rows(rows: str) -> None:
    drop_crossings([DUE_ROWS])
    define_crossing(
        DUE_ROWS,
        "TABLE (kind text, company_id bigint, id bigint)",
        f"SELECT kind, company_id, id FROM ({rows}) due ORDER BY rank, since LIMIT most",  # noqa: S608
    )


def make_chat_channels() -> None:
    op.create_table(
        "chat_channels",
        *_key(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("muted_types", postgresql.JSONB(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(name) BETWEEN 1 AND 100", name=op.f("ck_chat_channels_name_length")
        ),
        *_owned("chat_channels"),
    )


def make_mail_preferences() -> None:
    op.create_table(
        "mail_preferences",
        *_key(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("wish", sa.Text(), nullable=False),
        sa.CheckConstraint(f"type IN ({TYPES})", name=op.f("ck_mail_preferences_type_known")),
        sa.CheckConstraint(
            "wish IN ('at_once', 'daily', 'never')", name=op.f("ck_mail_preferences_wish_known")
        ),
        _foreign("mail_preferences", "user_id", "users"),
        sa.UniqueConstraint(
            "company_id",
            "user_id",
            "type",
            name=op.f("uq_mail_preferences_company_id_user_id_type"),
        ),
        *_owned("mail_preferences"),
    )


def make_sendings() -> None:
    under_way = "status IN ('waiting', 'in_flight')"
    op.create_table(
        "sendings",
        *_key(),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("pace", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("notification_ids", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "pace IN ('at_once', 'daily', 'test')", name=op.f("ck_sendings_pace_known")
        ),
        sa.CheckConstraint(
            "status IN ('waiting', 'in_flight', 'sent', 'empty', 'unsendable', 'failed')",
            name=op.f("ck_sendings_status_known"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(user_id, channel_id) = 1", name=op.f("ck_sendings_one_recipient")
        ),
        sa.CheckConstraint(
            f"({under_way}) = (finished_at IS NULL)", name=op.f("ck_sendings_finished_at")
        ),
        sa.CheckConstraint(
            "(status = 'in_flight') = (lease_token IS NOT NULL)"
            " AND (lease_token IS NULL) = (lease_until IS NULL)",
            name=op.f("ck_sendings_in_flight_has_lease"),
        ),
        _foreign("sendings", "user_id", "users"),
        _foreign("sendings", "channel_id", "chat_channels", ondelete="CASCADE"),
        *_owned("sendings"),
    )
    for name, column in (("person", "user_id"), ("channel", "channel_id")):
        op.create_index(
            f"uq_sendings_one_to_{name}",
            "sendings",
            ["company_id", column, "pace"],
            unique=True,
            postgresql_where=f"{under_way} AND {column} IS NOT NULL",
        )
        op.create_index(
            op.f(f"ix_sendings_company_id_{column}"), "sendings", ["company_id", column]
        )
    op.create_index(
        "ix_sendings_due", "sendings", ["due_at"], postgresql_where="status = 'waiting'"
    )
    op.create_index(
        "ix_sendings_leases", "sendings", ["lease_until"], postgresql_where="status = 'in_flight'"
    )
    op.create_index(
        op.f("ix_sendings_company_id_created_at_id"),
        "sendings",
        ["company_id", "created_at", "id"],
    )


def widen_notifications() -> None:
    op.alter_column("notifications", "user_id", nullable=True)
    op.add_column("notifications", sa.Column("channel_id", sa.BigInteger(), nullable=True))
    op.add_column("notifications", sa.Column("pace", sa.Text(), nullable=True))
    op.add_column("notifications", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_notifications_company_id_channel_id"),
        "notifications",
        "chat_channels",
        ["company_id", "channel_id"],
        ["company_id", "id"],
        ondelete="CASCADE",
    )
    op.create_check_constraint(
        op.f("ck_notifications_one_recipient"),
        "notifications",
        "num_nonnulls(user_id, channel_id) = 1",
    )
    op.create_check_constraint(
        op.f("ck_notifications_pace_known"), "notifications", "pace IN ('at_once', 'daily', 'test')"
    )
    op.drop_constraint(op.f("ck_notifications_type_known"), "notifications")
    op.create_check_constraint(
        op.f("ck_notifications_type_known"), "notifications", f"type IN ({TYPES})"
    )
    op.create_index(
        "uq_notifications_one_open_in_channel",
        "notifications",
        ["company_id", "channel_id", "type", "subject"],
        unique=True,
        postgresql_where="closed_at IS NULL AND channel_id IS NOT NULL",
    )
    op.create_index(
        "ix_notifications_unsent",
        "notifications",
        ["company_id", "pace"],
        postgresql_where="pace IS NOT NULL AND sent_at IS NULL AND closed_at IS NULL",
    )
    op.create_index(
        "ix_notifications_open_by_type",
        "notifications",
        ["company_id", "type", "created_at"],
        postgresql_where="closed_at IS NULL",
    )


def narrow_notifications() -> None:
    op.execute("DELETE FROM notifications WHERE channel_id IS NOT NULL OR type = 'channel_failed'")
    for index in ("open_by_type", "unsent"):
        op.drop_index(f"ix_notifications_{index}", "notifications")
    op.drop_index("uq_notifications_one_open_in_channel", "notifications")
    op.drop_constraint(op.f("ck_notifications_type_known"), "notifications")
    op.create_check_constraint(
        op.f("ck_notifications_type_known"), "notifications", f"type IN ({TYPES_BEFORE})"
    )
    for check in ("pace_known", "one_recipient"):
        op.drop_constraint(op.f(f"ck_notifications_{check}"), "notifications")
    op.drop_constraint(op.f("fk_notifications_company_id_channel_id"), "notifications")
    for column in ("sent_at", "pace", "channel_id"):
        op.drop_column("notifications", column)
    op.alter_column("notifications", "user_id", nullable=False)


def _key() -> list[sa.Column[int]]:
    return [
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
    ]


def _owned(table: str) -> list[sa.Constraint]:
    return [
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f(f"fk_{table}_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f(f"pk_{table}")),
    ]


def _foreign(table: str, column: str, other: str, **options: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["company_id", column],
        [f"{other}.company_id", f"{other}.id"],
        name=op.f(f"fk_{table}_company_id_{column}"),
        **options,
    )
