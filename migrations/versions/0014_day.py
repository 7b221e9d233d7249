"""The day at the desk: saved views, cancelling in bulk, edits in the history, the cards' past."""

import sqlalchemy as sa
from alembic import op

from webapp.models.walls import wall_off

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

REMOVABLE = "SELECT, INSERT, UPDATE, DELETE"
INSTANT = sa.DateTime(timezone=True)

BULK_KINDS = (
    "'retry', 'push_again', 'take_remote', 'keep_ours', 'adopt', 'cancel_remote', 'dismiss'"
)
HISTORY_KINDS = (
    "'booked', 'rescheduled', 'cancelled', 'marked', 'imported', 'superseded',"
    " 'nothing_to_push', 'pushed', 'push_retries', 'push_waits', 'push_failed',"
    " 'lease_lost', 'verified', 'mismatch', 'missing', 'absence_suspected',"
    " 'verification_failed', 'retry_requested', 'verify_requested', 'push_requested',"
    " 'resolved', 'webhook_applied', 'echo_suppressed', 'push_back_suppressed',"
    " 'found_there', 'adopted', 'recognised', 'healed', 'settlement_requested'"
)


def upgrade() -> None:
    _make_saved_views()
    _make_card_days()
    _check("bulk_actions", "kind_known", f"kind IN ({BULK_KINDS}, 'cancel')")
    op.alter_column("bulk_items", "discrepancy_id", nullable=True)
    op.create_index(
        "uq_bulk_items_one_cancellation",
        "bulk_items",
        ["company_id", "bulk_action_id", "appointment_id"],
        unique=True,
        postgresql_where="discrepancy_id IS NULL",
    )
    _check("history_events", "kind_known", f"kind IN ({HISTORY_KINDS}, 'edited')")


def downgrade() -> None:
    op.execute("UPDATE history_events SET kind = 'marked' WHERE kind = 'edited'")
    _check("history_events", "kind_known", f"kind IN ({HISTORY_KINDS})")
    op.drop_index("uq_bulk_items_one_cancellation", "bulk_items")
    op.execute("DELETE FROM bulk_actions WHERE kind = 'cancel'")
    op.execute("DELETE FROM bulk_items WHERE discrepancy_id IS NULL")
    op.alter_column("bulk_items", "discrepancy_id", nullable=False)
    _check("bulk_actions", "kind_known", f"kind IN ({BULK_KINDS})")
    op.drop_table("card_days")
    op.drop_table("saved_views")


def _make_saved_views() -> None:
    op.create_table(
        "saved_views",
        *_key(),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(collation="C"), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("name <> ''", name=op.f("ck_saved_views_has_name")),
        sa.ForeignKeyConstraint(
            ["company_id", "user_id"],
            ["users.company_id", "users.id"],
            name=op.f("fk_saved_views_company_id_user_id"),
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "company_id",
            "user_id",
            "name_folded",
            name=op.f("uq_saved_views_company_id_user_id_name_folded"),
        ),
        *_owned("saved_views"),
    )
    wall_off("saved_views", REMOVABLE)


def _make_card_days() -> None:
    counts = ("synced", "pending", "review", "failures")
    op.create_table(
        "card_days",
        *_key(),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        sa.Column("counted_at", INSTANT, nullable=False),
        sa.CheckConstraint(
            "synced >= 0 AND pending >= 0 AND review >= 0 AND failures >= 0",
            name=op.f("ck_card_days_not_negative"),
        ),
        sa.UniqueConstraint("company_id", "day", name=op.f("uq_card_days_company_id_day")),
        *_owned("card_days"),
    )
    wall_off("card_days", REMOVABLE)


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


def _check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
