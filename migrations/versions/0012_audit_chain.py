"""The audit chain, erasing customers, and forgetting what is old."""

import sqlalchemy as sa
from alembic import op

from webapp.models.walls import CURRENT_COMPANY, define_crossing, drop_crossings, wall_off

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APPEND_ONLY = "SELECT, INSERT"
YOUNG = "now() - interval '30 days'"
"""Nobody removes what is younger, whatever the settings say: not even who has taken over the role
that serves."""

HORIZON = "audit_horizon()"
PRUNE_AUDIT = "prune_audit(before timestamptz, most integer)"
PRUNE_HISTORY = "prune_history(before timestamptz, most integer)"
FORGET_WORDS = "forget_words_of_customer(customer bigint)"

# Whoever inserts holds a lock on the table from before the id is drawn until the commit. So after a
# SHARE lock was had no lower id can appear any more.
HORIZON_BODY = """
    LOCK TABLE audit_entries IN SHARE MODE;
    SELECT coalesce(max(id), 0) FROM audit_entries;
"""
# From the beginning of the chain up to the first entry that is young or gone; the last seal removed
# is written down, so that what follows can still be verified.
PRUNE_AUDIT_BODY = f"""
    WITH kept AS (
        SELECT min(s.number) AS number FROM audit_seals s
          LEFT JOIN audit_entries e ON e.company_id = s.company_id AND e.id = s.entry_id
         WHERE s.company_id = {CURRENT_COMPANY}
           AND (e.id IS NULL OR e.at >= least(before, {YOUNG}))
    ), doomed AS (
        SELECT number, entry_id, hash FROM audit_seals
         WHERE company_id = {CURRENT_COMPANY}
           AND number < coalesce((SELECT number FROM kept), 9223372036854775807)
         ORDER BY number LIMIT most
    ), checkpoint AS (
        INSERT INTO audit_checkpoints (company_id, number, entry_id, hash, made_at, removed_count)
        SELECT {CURRENT_COMPANY}, number, entry_id, hash, now(), (SELECT count(*) FROM doomed)
          FROM doomed ORDER BY number DESC LIMIT 1
    ), entries AS (
        DELETE FROM audit_entries e USING doomed d
         WHERE e.company_id = {CURRENT_COMPANY} AND e.id = d.entry_id
    ), seals AS (
        DELETE FROM audit_seals s USING doomed d
         WHERE s.company_id = {CURRENT_COMPANY} AND s.number = d.number
    )
    SELECT count(*) FROM doomed
"""  # noqa: S608 - constants
# What is still to come or flagged keeps its whole timeline.
PRUNE_HISTORY_BODY = f"""
    WITH doomed AS (
        SELECT h.id FROM history_events h
          JOIN appointments a ON a.company_id = h.company_id AND a.id = h.appointment_id
         WHERE h.company_id = {CURRENT_COMPANY} AND h.at < least(before, {YOUNG})
           AND a.starts_at < before AND NOT a.requires_manual_review
         ORDER BY h.at, h.id LIMIT most
    ), removed AS (
        DELETE FROM history_events h USING doomed d
         WHERE h.company_id = {CURRENT_COMPANY} AND h.id = d.id
    )
    SELECT count(*) FROM doomed
"""  # noqa: S608 - constants
# What a person typed may tell who the customer was; what happened, and when, stays.
FORGET_WORDS_BODY = f"""
    WITH forgotten AS (
        UPDATE history_events h SET data = h.data - 'reason' - 'note' - 'detail'
          FROM appointments a JOIN customers c
                 ON c.company_id = a.company_id AND c.id = a.customer_id
         WHERE h.company_id = {CURRENT_COMPANY} AND a.company_id = h.company_id
           AND a.id = h.appointment_id AND c.id = customer AND c.erased_at IS NOT NULL
           AND h.data ?| ARRAY['reason', 'note', 'detail']
        RETURNING h.id
    )
    SELECT count(*) FROM forgotten
"""  # noqa: S608 - constants


def upgrade() -> None:
    op.add_column("customers", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    make_audit_seals()
    make_audit_checkpoints()
    for table in ("audit_seals", "audit_checkpoints"):
        wall_off(table, APPEND_ONLY)
    make_indexes()
    for signature, body in (
        (HORIZON, HORIZON_BODY),
        (PRUNE_AUDIT, PRUNE_AUDIT_BODY),
        (PRUNE_HISTORY, PRUNE_HISTORY_BODY),
        (FORGET_WORDS, FORGET_WORDS_BODY),
    ):
        define_crossing(signature, "bigint", body, volatility="VOLATILE")


def downgrade() -> None:
    drop_crossings([FORGET_WORDS, PRUNE_HISTORY, PRUNE_AUDIT, HORIZON])
    op.drop_index("ix_discrepancies_evidence", "discrepancies")
    op.drop_index("ix_notifications_closed", "notifications")
    op.drop_index(op.f("ix_attempts_company_id_started_at"), "attempts")
    op.drop_table("audit_checkpoints")
    op.drop_table("audit_seals")
    op.drop_column("customers", "erased_at")


def make_indexes() -> None:
    op.create_index(
        op.f("ix_attempts_company_id_started_at"), "attempts", ["company_id", "started_at"]
    )
    op.create_index(
        "ix_notifications_closed",
        "notifications",
        ["company_id", "closed_at"],
        postgresql_where="closed_at IS NOT NULL",
    )
    op.create_index(
        "ix_discrepancies_evidence",
        "discrepancies",
        ["company_id", "resolved_at"],
        postgresql_where="resolved_at IS NOT NULL AND evidence <> '{}'::jsonb",
    )


def make_audit_seals() -> None:
    op.create_table(
        "audit_seals",
        *_key(),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_audit_seals_hash_whole")),
        sa.UniqueConstraint("company_id", "number", name=op.f("uq_audit_seals_company_id_number")),
        sa.UniqueConstraint(
            "company_id", "entry_id", name=op.f("uq_audit_seals_company_id_entry_id")
        ),
        *_owned("audit_seals"),
    )


def make_audit_checkpoints() -> None:
    op.create_table(
        "audit_checkpoints",
        *_key(),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("octet_length(hash) = 32", name=op.f("ck_audit_checkpoints_hash_whole")),
        sa.UniqueConstraint(
            "company_id", "number", name=op.f("uq_audit_checkpoints_company_id_number")
        ),
        *_owned("audit_checkpoints"),
    )


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
