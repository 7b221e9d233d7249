"""The API's door: tokens, and which of its requests were carried out already."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import define_crossing, drop_crossings, wall_off

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = {
    "api_tokens": "SELECT, INSERT, UPDATE",
    "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
}
COMPANY_OF_API_TOKEN = "company_of_api_token(wanted bytea)"


def upgrade() -> None:
    make_tables()
    for table, verbs in TABLES.items():
        wall_off(table, verbs)
    define_crossing(
        COMPANY_OF_API_TOKEN,
        "bigint",
        "SELECT t.company_id FROM api_tokens t WHERE t.token_hash = wanted",
    )


def downgrade() -> None:
    drop_crossings([COMPANY_OF_API_TOKEN])
    for table in reversed(TABLES):
        op.drop_table(table)


def make_tables() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_user_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scopes <@ ARRAY['appointments:read', 'appointments:write', 'stats:read']::text[]"
            " AND cardinality(scopes) > 0",
            name=op.f("ck_api_tokens_scopes_known"),
        ),
        sa.CheckConstraint(
            "octet_length(token_hash) = 32", name=op.f("ck_api_tokens_hash_is_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "created_by_user_id"],
            ["users.company_id", "users.id"],
            name=op.f("fk_api_tokens_company_id_created_by_user_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_api_tokens_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
    )
    op.create_index(
        op.f("ix_api_tokens_company_id_created_at_id"),
        "api_tokens",
        ["company_id", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("answer", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "octet_length(key) BETWEEN 1 AND 255", name=op.f("ck_idempotency_keys_key_bounded")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_until IS NULL)",
            name=op.f("ck_idempotency_keys_lease_whole"),
        ),
        sa.CheckConstraint(
            "(status IS NULL) = (lease_token IS NOT NULL)",
            name=op.f("ck_idempotency_keys_leased_or_answered"),
        ),
        sa.CheckConstraint(
            "(status IS NULL) = (answer IS NULL)", name=op.f("ck_idempotency_keys_answer_whole")
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "token_id"],
            ["api_tokens.company_id", "api_tokens.id"],
            name=op.f("fk_idempotency_keys_company_id_token_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_idempotency_keys_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint(
            "company_id",
            "token_id",
            "key",
            name=op.f("uq_idempotency_keys_company_id_token_id_key"),
        ),
    )
    op.create_index(
        op.f("ix_idempotency_keys_company_id_created_at"),
        "idempotency_keys",
        ["company_id", "created_at"],
        unique=False,
    )
