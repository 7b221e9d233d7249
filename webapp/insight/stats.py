"""The overview's four numbers (S2.9), and the window that they and the lists behind them share."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnExpressionArgument, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import ScalarSelect

from webapp.models.appointment import Appointment
from webapp.models.sync_state import FAILURES, WAITING, SyncState
from webapp.models.tenancy import require_company_id

WINDOW_PAST_DAYS = 30

SYNCED = frozenset({SyncState.SYNCED})


@dataclass(frozen=True)
class Cards:
    """`synced + pending + failures` is every appointment in the window; `review` cuts across."""

    synced: int
    pending: int
    review: int
    failures: int

    @property
    def total(self) -> int:
        return self.synced + self.pending + self.failures


def window_first_day(now: datetime, zone: ZoneInfo) -> date:
    """The first local day that counts: 30 days back, then all of the future."""
    return now.astimezone(zone).date() - timedelta(days=WINDOW_PAST_DAYS)


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which a local day begins."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def count_cards(session: Session, now: datetime, zone: ZoneInfo) -> Cards:
    """Count in one statement: one snapshot, so that the sum holds."""
    since = start_of_day(window_first_day(now, zone), zone)
    row = session.execute(
        select(
            _count(since, Appointment.calcom_sync_status.in_(SYNCED)).label("synced"),
            _count(since, Appointment.calcom_sync_status.in_(WAITING)).label("pending"),
            _count(since, Appointment.requires_manual_review).label("review"),
            _count(since, Appointment.calcom_sync_status.in_(FAILURES)).label("failures"),
        )
    ).one()
    return Cards(row.synced, row.pending, row.review, row.failures)


def _count(since: datetime, condition: ColumnExpressionArgument[bool]) -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.starts_at >= since,
            condition,
        )
        .scalar_subquery()
    )
