"""Two columns of appointments hold an enumeration and had no CHECK."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CHECKS = {
    "created_by_origin_known": "created_by_origin IN ('retell', 'admin', 'api', 'calcom', 'system')",
    "base_status_known": (
        "base_status IN ('scheduled', 'pending', 'confirmed', 'cancelled', 'completed', 'no_show')"
    ),
}


def upgrade() -> None:
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_appointments_{name}"), "appointments", condition)


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_appointments_{name}"), "appointments", type_="check")
