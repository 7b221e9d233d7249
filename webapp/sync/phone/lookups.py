"""What is free: one time, one day, or whatever comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.changes import ALTERNATIVES
from webapp.sync.phone.offers import Offer
from webapp.sync.phone.openings import Offered, Span, Verdict, free_starts, judge, nearest
from webapp.sync.phone.outcomes import Outcome, Reason

MOST = 40


@dataclass(frozen=True, slots=True)
class Asked:
    """A day, a time on it, or neither: whatever comes next."""

    day: date | None = None
    starts_at: datetime | None = None


def look_up(
    session: Session,
    offer: Offer,
    asked: Asked,
    offered: Offered | None,
    *,
    zone: ZoneInfo,
    now: datetime,
) -> Outcome:
    """What Cal.com has to offer, or that it can't be asked."""
    if offered is None:
        return _without_calcom(session, offer, asked)
    length = timedelta(minutes=offer.minutes)
    free = free_starts(session, offer, offered, length=length, after=now)
    if asked.starts_at is not None:
        return _of_time(offer, asked.starts_at, free)
    if asked.day is not None:
        return _of_day(offer, asked.day, free, zone)
    reason = Reason.OPENINGS if free else Reason.NOTHING_FREE
    return Outcome(reason=reason, service=offer.name, starts=tuple(free[:MOST]))


def _of_time(offer: Offer, wanted: datetime, free: Sequence[datetime]) -> Outcome:
    if wanted in free:
        return Outcome(reason=Reason.FREE, service=offer.name, wanted_at=wanted, starts=(wanted,))
    others = nearest(free, wanted, ALTERNATIVES)
    return Outcome(reason=Reason.TAKEN, service=offer.name, wanted_at=wanted, starts=others)


def _of_day(offer: Offer, day: date, free: Sequence[datetime], zone: ZoneInfo) -> Outcome:
    on_day = tuple(start for start in free if start.astimezone(zone).date() == day)
    if on_day:
        return Outcome(
            reason=Reason.OPENINGS, service=offer.name, wanted_day=day, starts=on_day[:MOST]
        )
    reason = Reason.DAY_FULL if free else Reason.NOTHING_FREE
    return Outcome(
        reason=reason, service=offer.name, wanted_day=day, starts=tuple(free[:ALTERNATIVES])
    )


def _without_calcom(session: Session, offer: Offer, asked: Asked) -> Outcome:
    """Our own appointments can rule a time out; nothing but Cal.com can promise one."""
    wanted = asked.starts_at
    if wanted is not None:
        span = Span(wanted, wanted + timedelta(minutes=offer.minutes))
        if judge(session, offer, span, None) is Verdict.TAKEN:
            return Outcome(reason=Reason.TAKEN, service=offer.name, wanted_at=wanted)
    company = session.get_one(Company, require_company_id())
    is_taken = company.takes_calls_unchecked
    return Outcome(
        reason=Reason.CALENDAR_UNCHECKED if is_taken else Reason.CALENDAR_AWAY,
        service=offer.name,
        wanted_at=wanted,
        wanted_day=asked.day,
    )
