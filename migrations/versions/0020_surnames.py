"""Customers are found by their last name too."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0017"
branch_labels = None
depends_on = None

SURNAME_FIRST = r"regexp_replace(name_folded, '^(.*\S)\s+(\S+)$', '\2 \1')"


def upgrade() -> None:
    column = sa.Column(
        "surname_folded",
        sa.Text(collation="C"),
        sa.Computed(SURNAME_FIRST, persisted=True),
        nullable=False,
    )
    op.add_column("customers", column)
    op.create_index(
        op.f("ix_customers_company_id_surname_folded"),
        "customers",
        ["company_id", "surname_folded"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_customers_company_id_surname_folded"), "customers")
    op.drop_column("customers", "surname_folded")
