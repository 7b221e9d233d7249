"""Which times are free: what Cal.com offers, without what we hold and it can't know yet. Where it
can't be asked, our own appointments are all there is to go by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.offers import Offer

LONGEST = timedelta(days=2)
"""No appointment and no gap is longer."""

LAG = timedelta(seconds=10)
"""What changed here so shortly before Cal.com was asked, its replica may not show yet."""


class Verdict(StrEnum):
    FREE = "free"
    TAKEN = "taken"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Offered:
    """The starts that Cal.com offered when it was asked."""

    asked_at: datetime
    starts: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Span:
    start: datetime
    end: datetime

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end


def lock_calendar(session: Session, service_id: int) -> None:
    """Two callers at once for one time: the second sees what the first has booked."""
    key = f"phone:{require_company_id()}:{service_id}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def judge(
    session: Session,
    offer: Offer,
    wanted: Span,
    offered: Offered | None,
    *,
    moving_id: int | None = None,
) -> Verdict:
    """Whether the time can be had; `moving_id`: the appointment that leaves its own time."""
    if offered is not None and wanted.start not in offered.starts:
        return Verdict.TAKEN
    if any(wanted.overlaps(each) for each in _ours(session, offer, wanted, offered, moving_id)):
        return Verdict.TAKEN
    return Verdict.UNCHECKED if offered is None else Verdict.FREE


def free_starts(
    session: Session,
    offer: Offer,
    offered: Offered,
    *,
    length: timedelta,
    after: datetime,
    moving_id: int | None = None,
) -> list[datetime]:
    """The offered starts that are free and still to come, soonest first."""
    spans = [Span(start, start + length) for start in offered.starts if start > after]
    if not spans:
        return []
    whole = Span(min(each.start for each in spans), max(each.end for each in spans))
    ours = _ours(session, offer, whole, offered, moving_id)
    return sorted(each.start for each in spans if not any(map(each.overlaps, ours)))


def nearest(starts: Sequence[datetime], wanted: datetime, most: int) -> tuple[datetime, ...]:
    """Those closest to the wanted time, in their order."""
    closest = sorted(starts, key=lambda start: (abs(start - wanted), start))[:most]
    return tuple(sorted(closest))


def _ours(
    session: Session, offer: Offer, within: Span, offered: Offered | None, moving_id: int | None
) -> list[Span]:
    """Our live appointments of the service that must count, each with the gap around it.

    What is in step Cal.com has counted itself: several hosts may work at the same time.
    """
    gap = timedelta(minutes=offer.gap_minutes)
    query = select(Appointment.starts_at, Appointment.ends_at).where(
        Appointment.company_id == require_company_id(),
        Appointment.service_id == offer.service_id,
        Appointment.starts_at > within.start - LONGEST,
        Appointment.starts_at < within.end + gap,
        Appointment.status.in_(LIVE),
    )
    if moving_id is not None:
        query = query.where(Appointment.id != moving_id)
    if offered is not None:
        query = query.where(
            or_(
                Appointment.calcom_sync_status != SyncState.SYNCED,
                Appointment.sync_initiated_at > offered.asked_at - LAG,
            )
        )
    return [Span(start - gap, end + gap) for start, end in session.execute(query)]
