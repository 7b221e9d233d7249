"""Counting a company's figures in advance, in stretches of five minutes, an hour and a day.

A stretch is always counted whole and anew from the rows themselves, so counting twice changes
nothing. Each time the stretches of the last two hours are counted again, for rows that came late;
so are those in which an appointment was made that something has happened to since. Once a day the
last three days are. After a stop it goes on where it was; what is older than 31 days isn't counted.
Days are the company's, added up from hours.

Times are kept as histograms whose bins grow by 10 %: they can be added up, and a percentile read
from them is off by at most 5 % (between 10 ms and 11 days; beyond, it is the nearest end).
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from webapp.insight.rollup_sources import COHORT, DAYS, DAYS_OF_ANOTHER_ZONE, SOURCES, TOUCHED
from webapp.insight.stats import start_of_day
from webapp.models.rollup import DAY_SECONDS, FINE_SECONDS, HOUR_SECONDS, Rollup
from webapp.models.tenancy import require_company_id

LATE = timedelta(hours=2)
LATER = timedelta(days=3)
REACH = {FINE_SECONDS: timedelta(hours=26), HOUR_SECONDS: timedelta(days=31)}
"""How far back stretches are counted at all, and fine ones kept."""
KEPT = {
    FINE_SECONDS: timedelta(days=2),
    HOUR_SECONDS: timedelta(days=400),
    DAY_SECONDS: timedelta(days=400),
}
AT_ONCE = timedelta(days=1)

LEAST_SECONDS = 0.01
GROWTH = 1.1
LAST_BIN = 190


def bin_of(seconds: float) -> int:
    """The histogram's bin that a time falls into; the sources count the same in SQL."""
    if seconds <= LEAST_SECONDS:
        return 0
    return min(LAST_BIN, math.floor(math.log(seconds / LEAST_SECONDS) / math.log(GROWTH)))


def seconds_of(bin_: int) -> float:
    """What a time in a bin is taken for: the bin's geometric middle."""
    return LEAST_SECONDS * math.pow(GROWTH, bin_ + 0.5)


def percentile(bins: Mapping[int, int], share: float) -> float | None:
    """The time, seconds, that this share of them did not exceed (0 to 1); None of none."""
    rank = math.ceil(share * sum(bins.values()))
    seen = 0
    for bin_ in sorted(bins):
        seen += bins[bin_]
        if seen >= rank > 0:
            return seconds_of(bin_)
    return None


def parts_to_count(session: Session, length: int, now: datetime) -> Sequence[datetime]:
    """Where to begin the parts that are to be counted, oldest first; each ends with the next."""
    begins = floor(since_when(session, length, now), length)
    parts = []
    while begins <= now:
        parts.append(begins)
        begins += AT_ONCE
    return parts


def since_when(session: Session, length: int, now: datetime) -> datetime:
    """The instant from which on stretches are counted (again) at `now`."""
    last = session.scalar(
        select(func.max(Rollup.begins_at)).where(
            Rollup.company_id == require_company_id(), Rollup.length_seconds == length
        )
    )
    if last is None:
        return now - REACH[length]
    back = LATER if length == HOUR_SECONDS and last.date() < now.date() else LATE
    return max(now - REACH[length], min(last, now) - back)


def count_part(session: Session, length: int, since: datetime, now: datetime) -> None:
    """Count the stretches of one part anew: those that begin from `since` on."""
    until = min(since + AT_ONCE, now)
    until = floor(until, length) + timedelta(seconds=length) if until == now else until
    _lock(session)
    session.execute(
        delete(Rollup)
        .where(
            Rollup.company_id == require_company_id(),
            Rollup.length_seconds == length,
            Rollup.begins_at >= since,
            Rollup.begins_at < until,
        )
        .execution_options(synchronize_session=False)
    )
    parameters = _parameters(length) | {"since": since, "until": until, "now": now}
    for source in SOURCES:
        session.execute(text(source), parameters)


def count_touched(session: Session, length: int, now: datetime) -> list[datetime]:
    """Count the success of appointments made earlier anew, where something has happened to one;
    returns the stretches."""
    _lock(session)
    parameters = _parameters(length) | {"touched": now - LATE, "least": now - REACH[length]}
    stretches = list(session.scalars(text(TOUCHED), parameters))
    if not stretches:
        return []
    session.execute(
        delete(Rollup)
        .where(
            Rollup.company_id == require_company_id(),
            Rollup.length_seconds == length,
            Rollup.begins_at.in_(stretches),
            Rollup.figure.in_(("created", "service")),
        )
        .execution_options(synchronize_session=False)
    )
    for begins in stretches:
        ends = begins + timedelta(seconds=length)
        session.execute(text(COHORT), _parameters(length) | {"since": begins, "until": ends})
    return stretches


def sum_days(session: Session, since: datetime, now: datetime, zone: ZoneInfo) -> None:
    """Add hours up to the company's days, from the day that `since` is in on; all of them where the
    company's clock has moved to another zone."""
    _lock(session)
    known = {"company": require_company_id(), "day": DAY_SECONDS, "zone": str(zone)}
    if session.scalar(text(DAYS_OF_ANOTHER_ZONE), known):
        since = now - KEPT[DAY_SECONDS]
    first = start_of_day(since.astimezone(zone).date(), zone)
    session.execute(
        delete(Rollup)
        .where(
            Rollup.company_id == require_company_id(),
            Rollup.length_seconds == DAY_SECONDS,
            Rollup.begins_at >= first,
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(text(DAYS), known | {"hour": HOUR_SECONDS, "first": first})


def forget_old(session: Session, length: int, now: datetime) -> None:
    session.execute(
        delete(Rollup)
        .where(
            Rollup.company_id == require_company_id(),
            Rollup.length_seconds == length,
            Rollup.begins_at < now - KEPT[length],
        )
        .execution_options(synchronize_session=False)
    )


def floor(instant: datetime, length: int) -> datetime:
    """The beginning of the stretch that an instant is in."""
    seconds = instant.timestamp() // length * length
    return datetime.fromtimestamp(seconds, UTC)


def _lock(session: Session) -> None:
    """Two at once would both find nothing there and insert the same."""
    key = f"rollup:{require_company_id()}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _parameters(length: int) -> dict[str, object]:
    return {
        "company": require_company_id(),
        "length": length,
        "least_seconds": LEAST_SECONDS,
        "growth": GROWTH,
        "last_bin": LAST_BIN,
    }
