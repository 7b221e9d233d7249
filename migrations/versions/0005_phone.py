"""The telephone: an address of its own per company, and what each call has been answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from webapp.models.walls import define_crossing, drop_crossings, wall_off

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COMPANY_OF_PHONE_TOKEN = "company_of_phone_token(wanted text)"

# 244 random bits, as good as the tokens that new companies get.
GIVE_TOKENS = (
    "UPDATE companies"
    " SET phone_token = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')"
)


def upgrade() -> None:
    op.add_column("companies", sa.Column("phone_token", sa.Text(collation="C"), nullable=True))
    op.execute(GIVE_TOKENS)
    op.alter_column("companies", "phone_token", nullable=False)
    op.create_unique_constraint(op.f("uq_companies_phone_token"), "companies", ["phone_token"])
    op.add_column(
        "companies",
        sa.Column("takes_calls_unchecked", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.alter_column("companies", "takes_calls_unchecked", server_default=None)
    make_answers()
    wall_off("phone_answers", "SELECT, INSERT, UPDATE, DELETE")
    define_crossing(
        COMPANY_OF_PHONE_TOKEN,
        "bigint",
        "SELECT c.id FROM companies c WHERE c.phone_token = wanted",
    )


def downgrade() -> None:
    drop_crossings((COMPANY_OF_PHONE_TOKEN,))
    op.drop_table("phone_answers")
    op.drop_column("companies", "takes_calls_unchecked")
    op.drop_column("companies", "phone_token")


def make_answers() -> None:
    op.create_table(
        "phone_answers",
        sa.Column("company_id", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("call_id", sa.Text(collation="C"), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("arguments_hash", sa.LargeBinary(), nullable=False),
        sa.Column("appointment_id", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint(
            "function IN ('book_appointment', 'reschedule_appointment', 'cancel_appointment')",
            name=op.f("ck_phone_answers_function_known"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id", "appointment_id"],
            ["appointments.company_id", "appointments.id"],
            name=op.f("fk_phone_answers_company_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_phone_answers_company_id")
        ),
        sa.PrimaryKeyConstraint("company_id", "id", name=op.f("pk_phone_answers")),
        sa.UniqueConstraint(
            "company_id",
            "call_id",
            "function",
            "arguments_hash",
            name=op.f("uq_phone_answers_company_id_call_id_function_arguments_hash"),
        ),
    )
    op.create_index(
        op.f("ix_phone_answers_company_id_appointment_id"),
        "phone_answers",
        ["company_id", "appointment_id"],
    )
    op.create_index(
        op.f("ix_phone_answers_company_id_answered_at"),
        "phone_answers",
        ["company_id", "answered_at"],
    )
