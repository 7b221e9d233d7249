"""The spine: companies, people, appointments, intents, findings, and the walls between companies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import app_role, define_crossing, drop_crossings, wall_off

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CHANGEABLE = "SELECT, INSERT, UPDATE"
REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
APPEND_ONLY = "SELECT, INSERT"

# In the order in which they can be made; dropped the other way round.
TABLES = {
    "companies": CHANGEABLE,
    "audit_entries": APPEND_ONLY,
    "customers": CHANGEABLE,
    "periodic_slots": REMOVABLE,
    "runs": REMOVABLE,
    "services": CHANGEABLE,
    "users": CHANGEABLE,
    "appointments": CHANGEABLE,
    "booking_aliases": CHANGEABLE,
    "deliveries": REMOVABLE,
    "discrepancies": CHANGEABLE,
    "history_events": APPEND_ONLY,
    "intents": CHANGEABLE,
    "notifications": REMOVABLE,
    "attempts": REMOVABLE,
}

LOGIN_BY_EMAIL = "login_by_email(wanted text)"
COMPANY_OF_USER = "company_of_user(wanted bigint)"
COMPANY_OF_WEBHOOK_TOKEN = "company_of_webhook_token(wanted text)"
COMPANY_OF_SLUG = "company_of_slug(wanted text)"
ALL_COMPANY_IDS = "all_company_ids()"
DUE_ROWS = "due_rows(at timestamptz, most integer)"
IS_UID_CLAIMED_ELSEWHERE = "is_uid_claimed_elsewhere(host text, wanted text, own_company bigint)"
IS_EVENT_TYPE_CLAIMED_ELSEWHERE = (
    "is_event_type_claimed_elsewhere(host text, wanted bigint, own_company bigint)"
)
CROSSINGS = (
    LOGIN_BY_EMAIL,
    COMPANY_OF_USER,
    COMPANY_OF_WEBHOOK_TOKEN,
    COMPANY_OF_SLUG,
    ALL_COMPANY_IDS,
    DUE_ROWS,
    IS_UID_CLAIMED_ELSEWHERE,
    IS_EVENT_TYPE_CLAIMED_ELSEWHERE,
)

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
        SELECT 'run', r.company_id, r.id, r.lease_until, 5
          FROM runs r WHERE r.status = 'running' AND r.lease_until <= at
    ) due ORDER BY rank, since LIMIT most
"""


def upgrade() -> None:
    make_tables()
    for table, verbs in TABLES.items():
        wall_off(table, verbs, key="id" if table == "companies" else "company_id")
    op.execute(f"GRANT SELECT ON alembic_version TO {app_role()}")
    op.execute(f"GRANT USAGE ON SEQUENCE companies_id_seq TO {app_role()}")
    make_crossings()


def downgrade() -> None:
    drop_crossings(CROSSINGS)
    op.execute(f"REVOKE ALL ON alembic_version FROM {app_role()}")
    for table in reversed(TABLES):
        op.drop_table(table)


def make_crossings() -> None:
    define_crossing(
        LOGIN_BY_EMAIL,
        "TABLE (company_id bigint, user_id bigint)",
        "SELECT u.company_id, u.id FROM users u WHERE u.email_folded = wanted",
    )
    define_crossing(
        COMPANY_OF_USER, "bigint", "SELECT u.company_id FROM users u WHERE u.id = wanted"
    )
    define_crossing(
        COMPANY_OF_WEBHOOK_TOKEN,
        "bigint",
        "SELECT c.id FROM companies c WHERE c.webhook_token = wanted",
    )
    define_crossing(COMPANY_OF_SLUG, "bigint", "SELECT c.id FROM companies c WHERE c.slug = wanted")
    define_crossing(ALL_COMPANY_IDS, "SETOF bigint", "SELECT id FROM companies ORDER BY id")
    define_crossing(DUE_ROWS, "TABLE (kind text, company_id bigint, id bigint)", DUE_ROWS_BODY)
    define_crossing(
        IS_UID_CLAIMED_ELSEWHERE,
        "boolean",
        "SELECT EXISTS (SELECT 1 FROM booking_aliases a WHERE a.calcom_host = host"
        " AND a.uid = wanted AND a.company_id <> own_company)",
    )
    define_crossing(
        IS_EVENT_TYPE_CLAIMED_ELSEWHERE,
        "boolean",
        "SELECT EXISTS (SELECT 1 FROM services s WHERE s.calcom_host = host"
        " AND s.calcom_event_type_id = wanted AND s.company_id <> own_company)",
    )


def make_tables() -> None:
    op.create_table(
        "companies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(collation="C"), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calcom_base_url", sa.Text(), nullable=False),
        sa.Column("calcom_api_key", sa.Text(), nullable=True),
        sa.Column("calcom_webhook_secret", sa.Text(), nullable=True),
        sa.Column("calcom_webhook_secret_previous", sa.Text(), nullable=True),
        sa.Column("webhook_token", sa.Text(collation="C"), nullable=False),
        sa.Column("retell_api_key", sa.Text(), nullable=True),
        sa.Column("connection_state", sa.Text(), nullable=False),
        sa.Column("connection_error_code", sa.Text(), nullable=True),
        sa.Column("connection_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "connection_state IN ('unknown', 'ok', 'broken')",
            name=op.f("ck_companies_connection_state_known"),
        ),
        sa.CheckConstraint("locale IN ('en', 'de')", name=op.f("ck_companies_locale_known")),
        sa.CheckConstraint(
            "slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name=op.f("ck_companies_slug_form")
        ),
        sa.CheckConstraint(
            "(paused_at IS NULL) = (paused_by IS NULL)", name=op.f("ck_companies_pause_has_author")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_companies")),
        sa.UniqueConstraint("slug", name=op.f("uq_companies_slug")),
        sa.UniqueConstraint("webhook_token", name=op.f("uq_companies_webhook_token")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "actor IN ('user', 'operator', 'calcom', 'system')",
            name=op.f("ck_audit_entries_actor_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_audit_entries_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_audit_entries")),
    )
    op.create_index(
        op.f("ix_audit_entries_company_id_at_id"),
        "audit_entries",
        ["company_id", "at", "id"],
        unique=False,
    )
    op.create_table(
        "customers",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_folded", sa.Text(collation="C"), nullable=True),
        sa.Column("phone", sa.Text(collation="C"), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(email IS NULL) = (email_folded IS NULL)", name=op.f("ck_customers_email_folded")
        ),
        sa.CheckConstraint(
            "email IS NOT NULL OR phone IS NOT NULL", name=op.f("ck_customers_can_be_reached")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_customers_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_customers")),
    )
    op.create_index(
        op.f("ix_customers_company_id_email_folded"),
        "customers",
        ["company_id", "email_folded"],
        unique=False,
    )
    op.create_index(
        op.f("ix_customers_company_id_name_folded"),
        "customers",
        ["company_id", "name_folded"],
        unique=False,
    )
    op.create_index(
        op.f("ix_customers_company_id_phone"), "customers", ["company_id", "phone"], unique=False
    )
    op.create_table(
        "periodic_slots",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Text(collation="C"), nullable=False),
        sa.Column("slot", sa.Text(collation="C"), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_periodic_slots_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "task", "slot", name=op.f("pk_periodic_slots")),
    )
    op.create_table(
        "runs",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("requested_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cursor_id", sa.BigInteger(), nullable=False),
        sa.Column("compared_count", sa.BigInteger(), nullable=False),
        sa.Column("agreed_count", sa.BigInteger(), nullable=False),
        sa.Column("disagreed_count", sa.BigInteger(), nullable=False),
        sa.Column("skipped_count", sa.BigInteger(), nullable=False),
        sa.Column("error_count", sa.BigInteger(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(status = 'running') = (finished_at IS NULL)", name=op.f("ck_runs_finished_at")
        ),
        sa.CheckConstraint("scope IN ('scheduled', 'requested')", name=op.f("ck_runs_scope_known")),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'failed')", name=op.f("ck_runs_status_known")
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_runs_company_id")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_runs")),
    )
    op.create_index(
        op.f("ix_runs_company_id_started_at_id"),
        "runs",
        ["company_id", "started_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_runs_due", "runs", ["lease_until"], unique=False, postgresql_where="status = 'running'"
    )
    op.create_index(
        "uq_runs_one_running",
        "runs",
        ["company_id"],
        unique=True,
        postgresql_where="status = 'running'",
    )
    op.create_table(
        "services",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("duration_minutes", sa.BigInteger(), nullable=False),
        sa.Column("buffer_before_minutes", sa.BigInteger(), nullable=False),
        sa.Column("buffer_after_minutes", sa.BigInteger(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("is_offered", sa.Boolean(), nullable=False),
        sa.Column("calcom_event_type_id", sa.BigInteger(), nullable=True),
        sa.Column("calcom_host", sa.Text(collation="C"), nullable=True),
        sa.Column("sync_status", sa.Text(), nullable=False),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("last_calcom_sync", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "sync_status IN ('never', 'pending', 'synced', 'error')",
            name=op.f("ck_services_sync_status_known"),
        ),
        sa.CheckConstraint(
            "(calcom_event_type_id IS NULL) = (calcom_host IS NULL)",
            name=op.f("ck_services_event_type_has_host"),
        ),
        sa.CheckConstraint(
            "buffer_before_minutes >= 0 AND buffer_after_minutes >= 0",
            name=op.f("ck_services_buffers_sane"),
        ),
        sa.CheckConstraint(
            "duration_minutes BETWEEN 1 AND 1440", name=op.f("ck_services_duration_sane")
        ),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_services_price_sane")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_services_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_services")),
    )
    op.create_index(
        "uq_services_event_type",
        "services",
        ["calcom_host", "calcom_event_type_id"],
        unique=True,
        postgresql_where="calcom_event_type_id IS NOT NULL",
    )
    op.create_table(
        "users",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("session_version", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("locale IN ('en', 'de')", name=op.f("ck_users_locale_known")),
        sa.CheckConstraint(
            "role IN ('admin', 'manager', 'staff')", name=op.f("ck_users_role_known")
        ),
        sa.ForeignKeyConstraint(["company_id"], ["companies.id"], name=op.f("fk_users_company_id")),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_folded", name=op.f("uq_users_email_folded")),
        sa.UniqueConstraint("id", name=op.f("uq_users_id")),
    )
    op.create_table(
        "appointments",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("guests", postgresql.JSONB(), nullable=False),
        sa.Column("cancellation_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_origin", sa.Text(), nullable=False),
        sa.Column("calcom_v2_booking_id", sa.Text(collation="C"), nullable=True),
        sa.Column("calcom_sync_status", sa.Text(), nullable=False),
        sa.Column("last_sync_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("sync_error_code", sa.Text(), nullable=True),
        sa.Column("sync_error_message", sa.Text(), nullable=True),
        sa.Column("sync_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requires_manual_review", sa.Boolean(), nullable=False),
        sa.Column("manual_review_flagged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_origin", sa.Text(), nullable=False),
        sa.Column("sync_initiated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_job_id", sa.Text(), nullable=True),
        sa.Column("base_starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("base_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("base_status", sa.Text(), nullable=True),
        sa.Column("base_uid", sa.Text(collation="C"), nullable=True),
        sa.Column("base_remote_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remote_written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("existence_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("absence_first_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_verification_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verification_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sync_key", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "calcom_sync_status <> 'synced' OR sync_verified_at IS NOT NULL",
            name=op.f("ck_appointments_synced_was_verified"),
        ),
        sa.CheckConstraint(
            "calcom_sync_status IN ('pending', 'synced', 'failed', 'orphaned_local', 'orphaned_calcom', 'verification_pending')",
            name=op.f("ck_appointments_calcom_sync_status_known"),
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'pending', 'confirmed', 'cancelled', 'completed', 'no_show')",
            name=op.f("ck_appointments_status_known"),
        ),
        sa.CheckConstraint(
            "sync_origin IN ('retell', 'admin', 'api', 'calcom', 'system')",
            name=op.f("ck_appointments_sync_origin_known"),
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_appointments_ends_after_start")),
        sa.CheckConstraint(
            "requires_manual_review = (manual_review_flagged_at IS NOT NULL)",
            name=op.f("ck_appointments_flag_has_instant"),
        ),
        sa.CheckConstraint(
            "sync_attempt_count >= 0", name=op.f("ck_appointments_attempts_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "customer_id"],
            ["customers.company_id", "customers.id"],
            name=op.f("fk_appointments_company_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "service_id"],
            ["services.company_id", "services.id"],
            name=op.f("fk_appointments_company_id_service_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_appointments_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_appointments")),
        sa.UniqueConstraint(
            "company_id", "sync_key", name=op.f("uq_appointments_company_id_sync_key")
        ),
    )
    op.create_index(
        op.f("ix_appointments_company_id_calcom_sync_status_starts_at_id"),
        "appointments",
        ["company_id", "calcom_sync_status", "starts_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_appointments_company_id_customer_id"),
        "appointments",
        ["company_id", "customer_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_appointments_company_id_service_id_starts_at"),
        "appointments",
        ["company_id", "service_id", "starts_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_appointments_company_id_starts_at_id"),
        "appointments",
        ["company_id", "starts_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_appointments_existence_due",
        "appointments",
        ["existence_due_at"],
        unique=False,
        postgresql_where="existence_due_at IS NOT NULL",
    )
    op.create_index(
        "ix_appointments_flagged",
        "appointments",
        ["company_id", "starts_at", "id"],
        unique=False,
        postgresql_where="requires_manual_review",
    )
    op.create_index(
        "ix_appointments_verification_due",
        "appointments",
        ["next_verification_at"],
        unique=False,
        postgresql_where="next_verification_at IS NOT NULL",
    )
    op.create_table(
        "booking_aliases",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("calcom_host", sa.Text(collation="C"), nullable=False),
        sa.Column("uid", sa.Text(collation="C"), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_booking_aliases_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_booking_aliases_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_booking_aliases")),
        sa.UniqueConstraint("calcom_host", "uid", name=op.f("uq_booking_aliases_calcom_host_uid")),
    )
    op.create_index(
        op.f("ix_booking_aliases_company_id_appointment_id"),
        "booking_aliases",
        ["company_id", "appointment_id"],
        unique=False,
    )
    op.create_table(
        "deliveries",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("appointment_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('received', 'applied', 'ignored', 'refused', 'failed')",
            name=op.f("ck_deliveries_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_deliveries_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_deliveries_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "company_id", "body_hash", name=op.f("uq_deliveries_company_id_body_hash")
        ),
    )
    op.create_index(
        op.f("ix_deliveries_company_id_received_at_id"),
        "deliveries",
        ["company_id", "received_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at"],
        unique=False,
        postgresql_where="status = 'received'",
    )
    op.create_table(
        "discrepancies",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reopened_count", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("resolution_note", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "resolution IN ('by_itself', 'retried', 'pushed_again', 'took_remote', 'kept_ours', 'adopted', 'cancelled_remote', 'changed', 'dismissed')",
            name=op.f("ck_discrepancies_resolution_known"),
        ),
        sa.CheckConstraint(
            "type IN ('orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error', 'sync_failed')",
            name=op.f("ck_discrepancies_type_known"),
        ),
        sa.CheckConstraint(
            "(resolution IS NULL) = (resolved_at IS NULL)",
            name=op.f("ck_discrepancies_resolved_at"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_discrepancies_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_discrepancies_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_discrepancies")),
    )
    op.create_index(
        op.f("ix_discrepancies_company_id_appointment_id_id"),
        "discrepancies",
        ["company_id", "appointment_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_discrepancies_queue",
        "discrepancies",
        ["company_id", "opened_at", "id"],
        unique=False,
        postgresql_where="resolved_at IS NULL",
    )
    op.create_index(
        "uq_discrepancies_one_open",
        "discrepancies",
        ["company_id", "appointment_id"],
        unique=True,
        postgresql_where="resolved_at IS NULL",
    )
    op.create_table(
        "history_events",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("intent_id", sa.BigInteger(), nullable=True),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('booked', 'rescheduled', 'cancelled', 'marked', 'imported', 'superseded', 'nothing_to_push', 'pushed', 'push_retries', 'push_waits', 'push_failed', 'lease_lost', 'verified', 'mismatch', 'missing', 'absence_suspected', 'verification_failed', 'retry_requested', 'verify_requested', 'push_requested', 'resolved', 'webhook_applied', 'echo_suppressed', 'push_back_suppressed')",
            name=op.f("ck_history_events_kind_known"),
        ),
        sa.CheckConstraint(
            "origin IN ('retell', 'admin', 'api', 'calcom', 'system')",
            name=op.f("ck_history_events_origin_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_history_events_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_history_events_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_history_events")),
    )
    op.create_index(
        op.f("ix_history_events_company_id_appointment_id_id"),
        "history_events",
        ["company_id", "appointment_id", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_history_events_company_id_at_id"),
        "history_events",
        ["company_id", "at", "id"],
        unique=False,
    )
    op.create_table(
        "intents",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("requested_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_interactive", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("has_unknown_outcome", sa.Boolean(), nullable=False),
        sa.Column("sent_starts", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("doubted_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_call_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(status = 'in_flight') = (lease_token IS NOT NULL) AND (lease_token IS NULL) = (lease_until IS NULL)",
            name=op.f("ck_intents_in_flight_has_lease"),
        ),
        sa.CheckConstraint(
            "(status IN ('waiting', 'in_flight')) = (finished_at IS NULL)",
            name=op.f("ck_intents_finished_at"),
        ),
        sa.CheckConstraint(
            "kind IN ('create', 'reschedule', 'cancel')", name=op.f("ck_intents_kind_known")
        ),
        sa.CheckConstraint(
            "origin IN ('retell', 'admin', 'api', 'calcom', 'system')",
            name=op.f("ck_intents_origin_known"),
        ),
        sa.CheckConstraint(
            "status IN ('waiting', 'in_flight', 'done', 'failed', 'superseded')",
            name=op.f("ck_intents_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_intents_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_intents_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_intents")),
    )
    op.create_index(
        op.f("ix_intents_company_id_appointment_id_id"),
        "intents",
        ["company_id", "appointment_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_intents_due", "intents", ["due_at"], unique=False, postgresql_where="status = 'waiting'"
    )
    op.create_index(
        "ix_intents_leases",
        "intents",
        ["lease_until"],
        unique=False,
        postgresql_where="status = 'in_flight'",
    )
    op.create_index(
        "uq_intents_one_in_flight",
        "intents",
        ["company_id", "appointment_id"],
        unique=True,
        postgresql_where="status = 'in_flight'",
    )
    op.create_index(
        "uq_intents_one_waiting",
        "intents",
        ["company_id", "appointment_id"],
        unique=True,
        postgresql_where="status = 'waiting'",
    )
    op.create_table(
        "notifications",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(collation="C"), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=True),
        sa.Column("parameters", postgresql.JSONB(), nullable=False),
        sa.Column("repeat_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "type IN ('orphaned_local', 'orphaned_calcom', 'data_mismatch', 'verification_error', 'sync_failed', 'connection_broken')",
            name=op.f("ck_notifications_type_known"),
        ),
        sa.CheckConstraint("repeat_count >= 1", name=op.f("ck_notifications_repeats_sane")),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_notifications_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "user_id"],
            ["users.company_id", "users.id"],
            name=op.f("fk_notifications_company_id_user_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_notifications_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_notifications")),
    )
    op.create_index(
        op.f("ix_notifications_company_id_subject"),
        "notifications",
        ["company_id", "subject"],
        unique=False,
    )
    op.create_index(
        op.f("ix_notifications_company_id_user_id_last_at_id"),
        "notifications",
        ["company_id", "user_id", "last_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["company_id", "user_id"],
        unique=False,
        postgresql_where="read_at IS NULL AND closed_at IS NULL",
    )
    op.create_index(
        "uq_notifications_one_open",
        "notifications",
        ["company_id", "user_id", "type", "subject"],
        unique=True,
        postgresql_where="closed_at IS NULL",
    )
    op.create_table(
        "attempts",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("intent_id", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Uuid(), nullable=False),
        sa.Column("operations", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("http_status", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id", "intent_id"],
            ["intents.company_id", "intents.id"],
            name=op.f("fk_attempts_company_id_intent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_attempts_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_attempts")),
    )
    op.create_index(
        op.f("ix_attempts_company_id_intent_id_id"),
        "attempts",
        ["company_id", "intent_id", "id"],
        unique=False,
    )
