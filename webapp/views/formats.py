"""Times and numbers as people read them: in their language, on the company's clock."""

from datetime import UTC, datetime

from babel.dates import format_timedelta
from flask import Flask
from flask_babel import format_datetime, format_decimal, get_locale

from webapp import clock
from webapp.views.local_time import FIRST_YEAR, LAST_YEAR
from webapp.views.words import gettext as _

PATTERNS = {
    "en": {"day": "EEE d MMM y", "short_day": "EEE d MMM", "time": "HH:mm"},
    "de": {"day": "EEE d. MMM y", "short_day": "EEE d. MMM", "time": "HH:mm"},
}
A_MOMENT_SECONDS = 45


def register(app: Flask) -> None:
    for shape in (exact, day, short_day, clock_time, ago, hours_since, number):
        app.add_template_filter(shape)
    app.add_template_filter(iso)


def exact(instant: datetime) -> str:
    """`Fri 20 Nov 2026, 14:30`."""
    return f"{day(instant)}, {clock_time(instant)}"


def day(instant: datetime) -> str:
    return str(format_datetime(instant, _pattern("day")))


def short_day(instant: datetime) -> str:
    """`Fri 20 Nov`: for lists of what is near."""
    return str(format_datetime(instant, _pattern("short_day")))


def clock_time(instant: datetime) -> str:
    return str(format_datetime(instant, _pattern("time")))


def ago(instant: datetime) -> str:
    """`3 hours ago`, `in 2 days`, `just now`."""
    delta = instant - clock.now()
    if abs(delta.total_seconds()) < A_MOMENT_SECONDS:
        return _("just now")
    return format_timedelta(delta, add_direction=True, locale=get_locale())


def hours_since(instant: datetime) -> str:
    """Age in hours, as the review queue counts it: `under 1 h`, `5 h`, `76 h`."""
    hours = int((clock.now() - instant).total_seconds() // 3600)
    return _("%(hours)s h", hours=number(hours)) if hours >= 1 else _("under 1 h")


def number(value: int) -> str:
    return str(format_decimal(value))


def iso(instant: datetime) -> str:
    """For `<time datetime>`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_from(text: object) -> datetime | None:
    """An instant out of JSON or a form; None when it is none that every zone can show."""
    try:
        instant = datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if FIRST_YEAR <= instant.year < LAST_YEAR else None


def _pattern(name: str) -> str:
    language = str(get_locale() or "en")[:2]
    return PATTERNS.get(language, PATTERNS["en"])[name]
