"""Figures counted in advance, per stretch of time: what the monitoring page reads, so that it is as
quick with millions of history rows as with a few. `insight.rollup` fills it, and says what is what.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Float, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base

FINE_SECONDS: Final = 300
HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 86_400
"""Stands for a day of the company's, however long the clocks make it."""


class Rollup(Base):
    """One figure within one stretch. Rows of neighbouring stretches may be added up: counts and
    totals sum, peaks take the greatest."""

    __tablename__ = "rollups"

    company_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("companies.id"), primary_key=True
    )
    length_seconds: Mapped[int] = mapped_column(primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    figure: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    """What the figure is divided by: an origin, a code, a bin of a histogram; '' where it isn't."""
    count: Mapped[int] = mapped_column(default=0)
    total: Mapped[float] = mapped_column(Float(53), default=0.0)
    """Sum of what was measured, seconds."""
    peak: Mapped[float] = mapped_column(Float(53), default=0.0)
    """The greatest of it."""
