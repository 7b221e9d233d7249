"""Runs over listings: what one read, where it stands, what it noted; incidents; the account."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import wall_off

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
CHANGEABLE = "SELECT, INSERT, UPDATE"

SPINE_KINDS = (
    "'booked', 'rescheduled', 'cancelled', 'marked', 'imported', 'superseded',"
    " 'nothing_to_push', 'pushed', 'push_retries', 'push_waits', 'push_failed',"
    " 'lease_lost', 'verified', 'mismatch', 'missing', 'absence_suspected',"
    " 'verification_failed', 'retry_requested', 'verify_requested', 'push_requested',"
    " 'resolved', 'webhook_applied', 'echo_suppressed', 'push_back_suppressed'"
)
NEW_KINDS = "'found_there', 'adopted', 'recognised'"
SPINE_NOTIFICATIONS = (
    "'orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error',"
    " 'sync_failed', 'connection_broken', 'webhook_silent'"
)
COUNTS = (
    "cursor_skip",
    "error_streak",
    "listing_count",
    "request_count",
    "listed_count",
    "expected_count",
    "flagged_count",
    "healed_count",
    "missing_count",
    "only_there_count",
)
INSTANTS = ("stop_requested_at", "window_from", "changed_since", "cursor_at")


def upgrade() -> None:
    _widen_runs()
    _make_sightings()
    _make_incidents()
    _widen_companies()
    _check("history_events", "kind_known", f"kind IN ({SPINE_KINDS}, {NEW_KINDS})")
    _check(
        "notifications",
        "type_known",
        f"type IN ({SPINE_NOTIFICATIONS}, 'booking_adopted', 'verification_untrusted')",
    )


def downgrade() -> None:
    op.execute(
        "DELETE FROM notifications WHERE type IN ('booking_adopted', 'verification_untrusted')"
    )
    _check("notifications", "type_known", f"type IN ({SPINE_NOTIFICATIONS})")
    op.execute(
        "UPDATE history_events SET kind = 'imported'"
        " WHERE kind IN ('found_there', 'adopted', 'recognised')"
    )
    _check("history_events", "kind_known", f"kind IN ({SPINE_KINDS})")
    op.drop_constraint(op.f("ck_companies_unclaimed_policy_known"), "companies")
    for column in (
        "calcom_account_id",
        "calcom_account_name",
        "unclaimed_policy",
        "verified_changes_until",
    ):
        op.drop_column("companies", column)
    op.drop_table("incidents")
    op.drop_table("run_sightings")
    _narrow_runs()


def _widen_runs() -> None:
    op.drop_column("runs", "cursor_id")
    op.add_column("runs", sa.Column("slot", sa.Text(collation="C"), nullable=True))
    op.add_column("runs", sa.Column("stop_requested_by_user_id", sa.BigInteger(), nullable=True))
    for name in INSTANTS:
        op.add_column("runs", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    _add_filled("runs", "phase", sa.Text(), "listing")
    _add_filled("runs", "is_truncated", sa.Boolean(), "false")
    _add_filled("runs", "is_trusted", sa.Boolean(), "false")
    _add_filled("runs", "skipped", postgresql.JSONB(), "{}")
    for name in COUNTS:
        _add_filled("runs", name, sa.BigInteger(), "0")
    _check("runs", "scope_known", "scope IN ('scheduled', 'full', 'delta', 'requested')")
    _check("runs", "status_known", "status IN ('running', 'done', 'failed', 'stopped')")
    op.create_check_constraint(
        op.f("ck_runs_phase_known"), "runs", "phase IN ('listing', 'doubts', 'absences')"
    )


def _narrow_runs() -> None:
    op.drop_constraint(op.f("ck_runs_phase_known"), "runs")
    op.execute("UPDATE runs SET status = 'failed' WHERE status = 'stopped'")
    op.execute("UPDATE runs SET scope = 'scheduled' WHERE scope IN ('full', 'delta')")
    _check("runs", "status_known", "status IN ('running', 'done', 'failed')")
    _check("runs", "scope_known", "scope IN ('scheduled', 'requested')")
    others = ("slot", "stop_requested_by_user_id", "phase", "is_truncated", "is_trusted", "skipped")
    for name in (*COUNTS, *INSTANTS, *others):
        op.drop_column("runs", name)
    _add_filled("runs", "cursor_id", sa.BigInteger(), "0")


def _make_sightings() -> None:
    op.create_table(
        "run_sightings",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('seen', 'doubted', 'unseen', 'missing')",
            name=op.f("ck_run_sightings_kind_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "run_id"],
            ["runs.company_id", "runs.id"],
            name=op.f("fk_run_sightings_company_id_run_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_run_sightings_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_run_sightings_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_run_sightings")),
        sa.UniqueConstraint(
            "company_id",
            "run_id",
            "appointment_id",
            name=op.f("uq_run_sightings_company_id_run_id_appointment_id"),
        ),
    )
    op.create_index(
        op.f("ix_run_sightings_company_id_run_id_kind_id"),
        "run_sightings",
        ["company_id", "run_id", "kind", "id"],
    )
    wall_off("run_sightings", REMOVABLE)


def _make_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("settlement", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "type IN ('verification_untrusted')", name=op.f("ck_incidents_type_known")
        ),
        sa.CheckConstraint(
            "settlement IN ('ran_again', 'flagged', 'by_itself')",
            name=op.f("ck_incidents_settlement_known"),
        ),
        sa.CheckConstraint(
            "(settlement IS NULL) = (settled_at IS NULL)", name=op.f("ck_incidents_settled_at")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_incidents_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_incidents")),
    )
    op.create_index(
        op.f("ix_incidents_company_id_opened_at_id"), "incidents", ["company_id", "opened_at", "id"]
    )
    op.create_index(
        "uq_incidents_one_open",
        "incidents",
        ["company_id", "type"],
        unique=True,
        postgresql_where="settled_at IS NULL",
    )
    wall_off("incidents", CHANGEABLE)


def _widen_companies() -> None:
    op.add_column("companies", sa.Column("calcom_account_id", sa.BigInteger(), nullable=True))
    op.add_column("companies", sa.Column("calcom_account_name", sa.Text(), nullable=True))
    op.add_column(
        "companies",
        sa.Column("verified_changes_until", sa.DateTime(timezone=True), nullable=True),
    )
    _add_filled("companies", "unclaimed_policy", sa.Text(), "flag")
    op.create_check_constraint(
        op.f("ck_companies_unclaimed_policy_known"),
        "companies",
        "unclaimed_policy IN ('flag', 'adopt')",
    )


def _add_filled(table: str, name: str, type_: sa.types.TypeEngine[object], value: str) -> None:
    """A column that rows already there get a value for; the application writes its own."""
    op.add_column(table, sa.Column(name, type_, nullable=False, server_default=value))
    op.alter_column(table, name, server_default=None)


def _check(table: str, name: str, condition: str) -> None:
    """Replace a table's CHECK."""
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
