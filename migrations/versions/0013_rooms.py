"""Services carried to Cal.com, links that let people in, a webhook registered by us, imports."""

import sqlalchemy as sa
from alembic import op

from webapp.models.walls import define_crossing, drop_crossings, wall_off

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCOPES = "'scheduled', 'full', 'delta', 'requested'"

COMPANY_OF_LINK = "company_of_access_link(link_hash bytea)"
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
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.due_at, 6
          FROM sendings s WHERE s.status = 'waiting' AND s.due_at <= at
        UNION ALL
        SELECT 'sending', s.company_id, s.id, s.lease_until, 6
          FROM sendings s WHERE s.status = 'in_flight' AND s.lease_until <= at
"""
DUE_HERE = """
        UNION ALL
        SELECT 'service_sync', s.company_id, s.id, s.sync_due_at, 4
          FROM services s WHERE s.sync_due_at <= at
        UNION ALL
        SELECT 'access_mail', l.company_id, l.id, l.mail_due_at, 1
          FROM access_links l WHERE l.mail_due_at <= at
"""


def upgrade() -> None:
    widen_services()
    widen_companies()
    make_access_links()
    wall_off("access_links", "SELECT, INSERT, UPDATE, DELETE")
    define_crossing(
        COMPANY_OF_LINK,
        "bigint",
        "SELECT company_id FROM access_links WHERE token_hash = link_hash",
    )
    check_scopes(f"{SCOPES}, 'import'")
    define_due_rows(DUE_BEFORE + DUE_HERE)


def downgrade() -> None:
    define_due_rows(DUE_BEFORE)
    op.execute("UPDATE runs SET scope = 'requested' WHERE scope = 'import'")
    check_scopes(SCOPES)
    drop_crossings([COMPANY_OF_LINK])
    op.drop_table("access_links")
    for column in ("webhook_id", "webhook_registered_at"):
        op.drop_column("companies", column)
    op.drop_index("ix_services_sync_due", "services")
    for column in ("sync_due_at", "sync_lease_until", "sync_attempt_count", "sync_error_code"):
        op.drop_column("services", column)


def define_due_rows(rows: str) -> None:
    drop_crossings([DUE_ROWS])
    define_crossing(
        DUE_ROWS,
        "TABLE (kind text, company_id bigint, id bigint)",
        f"SELECT kind, company_id, id FROM ({rows}) due ORDER BY rank, since LIMIT most",  # noqa: S608
    )


def check_scopes(scopes: str) -> None:
    op.drop_constraint(op.f("ck_runs_scope_known"), "runs")
    op.create_check_constraint(op.f("ck_runs_scope_known"), "runs", f"scope IN ({scopes})")


def widen_services() -> None:
    instant = sa.DateTime(timezone=True)
    op.add_column("services", sa.Column("sync_due_at", instant, nullable=True))
    op.add_column("services", sa.Column("sync_lease_until", instant, nullable=True))
    op.add_column("services", sa.Column("sync_error_code", sa.Text(), nullable=True))
    op.add_column(
        "services",
        sa.Column("sync_attempt_count", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("services", "sync_attempt_count", server_default=None)
    op.create_index(
        "ix_services_sync_due",
        "services",
        ["sync_due_at"],
        postgresql_where="sync_due_at IS NOT NULL",
    )


def widen_companies() -> None:
    op.add_column("companies", sa.Column("webhook_id", sa.Text(), nullable=True))
    op.add_column(
        "companies", sa.Column("webhook_registered_at", sa.DateTime(timezone=True), nullable=True)
    )


def make_access_links() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "access_links",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("created_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("ended_at", instant, nullable=True),
        sa.Column("mail_due_at", instant, nullable=True),
        sa.Column("mail_attempt_count", sa.BigInteger(), nullable=False),
        sa.Column("mailed_at", instant, nullable=True),
        sa.Column("mail_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('invitation', 'password')", name=op.f("ck_access_links_kind_known")
        ),
        sa.CheckConstraint(
            "role IN ('admin', 'manager', 'staff')", name=op.f("ck_access_links_role_known")
        ),
        sa.CheckConstraint(
            "(kind = 'invitation') = (role IS NOT NULL)"
            " AND (kind = 'password') = (user_id IS NOT NULL)",
            name=op.f("ck_access_links_kind_fits"),
        ),
        sa.CheckConstraint(
            "octet_length(token_hash) = 32", name=op.f("ck_access_links_hash_is_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_access_links_company_id")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "user_id"],
            ["users.company_id", "users.id"],
            name=op.f("fk_access_links_company_id_user_id"),
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_access_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_links_token_hash")),
    )
    op.create_index(
        "uq_access_links_one_open",
        "access_links",
        ["company_id", "kind", "email_folded"],
        unique=True,
        postgresql_where="ended_at IS NULL",
    )
    op.create_index(
        "ix_access_links_mail_due",
        "access_links",
        ["mail_due_at"],
        postgresql_where="mail_due_at IS NOT NULL",
    )
