"""Slots: when each periodic check is due, as plain functions of an instant (S5.3, S11)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def every(now: datetime, length: timedelta) -> str:
    """The beginning, in UTC, of the slot that `now` is in: `2026-03-01T06:00Z`, with seconds where
    slots are shorter than a minute. Slots begin at midnight anew."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight + (now - midnight) // length * length
    is_short = length < timedelta(minutes=1)
    return begins.strftime("%Y-%m-%dT%H:%M:%SZ" if is_short else "%Y-%m-%dT%H:%MZ")


def nightly(now: datetime, zone: ZoneInfo, hour: int) -> str:
    """The local date whose night's slot has begun last, e.g. `2026-03-29`."""
    today = now.astimezone(zone).date()
    has_begun = now >= local_instant(today, hour, zone)
    return (today if has_begun else today - timedelta(days=1)).isoformat()


def local_instant(day: date, hour: int, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, of a full local hour. An hour that comes twice is the first; one that
    doesn't exist is the first instant after the gap."""
    wall = datetime.combine(day, time(hour), tzinfo=zone)
    at = wall.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return at
    # In a gap `fold=0` counts with the offset before it, so `at` lies behind the gap's end by as
    # much as the wanted hour lay behind its beginning.
    return _end_of_gap(at, zone)


def _end_of_gap(at: datetime, zone: ZoneInfo) -> datetime:
    """Search by halves for where the offset changes, in the day before `at`."""
    low, high = at - timedelta(days=1), at
    after = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
