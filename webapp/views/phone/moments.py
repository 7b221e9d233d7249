"""Days and times as a voice agent writes down what it heard: ISO first of all, and what people say
in English and German. None for what could be anything, `03/04/2026` among them."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel.dates import get_day_names, get_month_names

from webapp.application import LANGUAGES
from webapp.models.base import fold
from webapp.views.local_time import FIRST_YEAR, LAST_YEAR, parse_day

_SOON = {"today": 0, "heute": 0, "tomorrow": 1, "morgen": 1, "uebermorgen": 2, "übermorgen": 2}
_SOON["day after tomorrow"] = 2
_NUMBERS = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})?")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:\.|st|nd|rd|th)?\s+(?:of\s+)?([^\W\d_]+)\.?,?\s*(\d{4})?")
_MONTH_FIRST = re.compile(r"([^\W\d_]+)\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s*(\d{4})?")
_TIME = re.compile(
    r"(?:um |at )?(\d{1,2})(?:\s?(?::|\.|h|uhr)\s?(\d{1,2}))?(?::\d{2}(?:\.\d+)?)?"
    r"\s?(?:uhr|h|o'clock)?\s?(?:([ap])\.?m\.?)?"
)


def read_day(text: str, today: date) -> date | None:
    """A day on the company's calendar; without a year the next such day, today included."""
    said = fold(text)
    if said in _SOON:
        return today + timedelta(days=_SOON[said])
    if (weekday := _weekdays().get(said)) is not None:
        # "Monday", said on a Monday, is next week's: today is called today.
        return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
    return parse_day(text) or _numbered(said, today) or _named(said, today)


def read_time(text: str) -> time | None:
    """`09:30`, `9.30`, `9 Uhr 30`, `9 Uhr`, `3 pm`, `15`; seconds are dropped."""
    form = _TIME.fullmatch(fold(text))
    if form is None:
        return None
    hour, minute, half = int(form[1]), int(form[2] or 0), form[3]
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    return time(hour, minute) if hour < 24 and minute < 60 else None


def read_moment(text: str, zone: ZoneInfo) -> tuple[date, time] | None:
    """Day and time on the company's clock out of one ISO text, whatever offset it carries."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if not re.search(r"\d[T ]\d", text) or not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).astimezone(zone)
    return moment.date(), moment.time().replace(second=0, microsecond=0)


def _numbered(said: str, today: date) -> date | None:
    form = _NUMBERS.fullmatch(said)
    return _day(form[1], int(form[2]), form[3], today) if form else None


def _named(said: str, today: date) -> date | None:
    said = re.sub(r"^[^\W\d_]+,\s*(?:den |the )?|^(?:den|the|am|on) ", "", said)
    if form := _DAY_FIRST.fullmatch(said):
        return _day(form[1], _months().get(form[2]), form[3], today)
    if form := _MONTH_FIRST.fullmatch(said):
        return _day(form[2], _months().get(form[1]), form[3], today)
    return None


def _day(day: str, month: int | None, year: str | None, today: date) -> date | None:
    if month is None:
        return None
    years = [int(year)] if year else [today.year, today.year + 1]
    if not FIRST_YEAR <= years[0] <= LAST_YEAR:
        return None
    found = [each for y in years if (each := _date(y, month, int(day))) and (year or each >= today)]
    return found[0] if found else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


@cache
def _weekdays() -> Mapping[str, int]:
    return {
        fold(name): number
        for language in LANGUAGES
        for number, name in get_day_names("wide", locale=language).items()
    }


@cache
def _months() -> Mapping[str, int]:
    return {
        fold(name).rstrip("."): number
        for language in LANGUAGES
        for width in ("wide", "abbreviated")
        for number, name in get_month_names(width, locale=language).items()
    }
