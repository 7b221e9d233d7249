"""How the overview's cards stood at the end of each day: what their small charts are drawn from.

Kept, not counted: over a million appointments fourteen days cannot be counted while a page waits.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned


class CardDay(Owned, Base):
    """One local day of a company; today's row is written anew every hour."""

    __tablename__ = "card_days"
    __table_args__ = (
        UniqueConstraint("company_id", "day"),
        CheckConstraint(
            "synced >= 0 AND pending >= 0 AND review >= 0 AND failures >= 0", name="not_negative"
        ),
    )

    day: Mapped[date] = mapped_column(Date)
    synced: Mapped[int]
    pending: Mapped[int]
    review: Mapped[int]
    failures: Mapped[int]
    counted_at: Mapped[datetime]
