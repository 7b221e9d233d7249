"""From what people type, a day and a time on the company's clock, to instants."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

FIRST_YEAR, LAST_YEAR = 2000, 2199


class TimeDoesNotExist(ValueError):
    """The clocks jump over this local time."""


def parse_day(text: str) -> date | None:
    """`2026-11-20` as a date; None for anything that is no usable day."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def parse_time(text: str) -> time | None:
    """`14:30` as a time; None for anything else."""
    try:
        at = time.fromisoformat(text.strip())
    except ValueError:
        return None
    return at.replace(second=0, microsecond=0) if at.tzinfo is None else None


def instant_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant of a local time, in UTC; of one that comes twice, the first.

    Raises TimeDoesNotExist where the clocks are put forward over it.
    """
    local = datetime.combine(day, at, tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise TimeDoesNotExist
    return instant


def comes_twice(day: date, at: time, zone: ZoneInfo) -> bool:
    """Whether the clocks are put back over this local time."""
    local = datetime.combine(day, at, tzinfo=zone)
    first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second
