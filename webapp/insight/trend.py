"""How the cards stood at the end of each of the last days, kept by the hour."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.insight.stats import Cards, count_cards
from webapp.models.card_day import CardDay
from webapp.models.tenancy import require_company_id

TREND_DAYS = 14


def keep_card_day(session: Session, now: datetime, zone: ZoneInfo) -> None:
    """Write down how the cards stand; a day's row holds the last count of that day."""
    numbers = count_cards(session, now, zone)
    counted = {
        "synced": numbers.synced,
        "pending": numbers.pending,
        "review": numbers.review,
        "failures": numbers.failures,
        "counted_at": now,
    }
    day = now.astimezone(zone).date()
    session.execute(
        insert(CardDay)
        .values(company_id=require_company_id(), day=day, **counted)
        .on_conflict_do_update(index_elements=["company_id", "day"], set_=counted)
    )


def past_days(session: Session, today: date) -> list[CardDay]:
    """The kept days before today, oldest first; days nobody counted are not there."""
    query = (
        select(CardDay)
        .where(
            CardDay.company_id == require_company_id(),
            CardDay.day >= today - timedelta(days=TREND_DAYS - 1),
            CardDay.day < today,
        )
        .order_by(CardDay.day)
    )
    return list(session.scalars(query))


def series(days: Sequence[CardDay], today: Cards, name: str) -> list[int]:
    """One card's numbers, a day each, today's last."""
    return [getattr(day, name) for day in days] + [getattr(today, name)]
