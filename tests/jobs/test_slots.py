"""When a slot begins: at even stretches of UTC, and at a company's local night."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from webapp.jobs.slots import every, local_instant, nightly

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "day", "hour", "at"),
    [
        ("Europe/Berlin", date(2026, 5, 1), 2, "2026-05-01T00:00"),
        # 02:00 doesn't exist: the first instant after the gap is 03:00 there.
        ("Europe/Berlin", date(2026, 3, 29), 2, "2026-03-29T01:00"),
        ("America/New_York", date(2026, 3, 8), 2, "2026-03-08T07:00"),
        # 02:00 comes twice: the first, still in summer time.
        ("Europe/Berlin", date(2026, 10, 25), 2, "2026-10-25T00:00"),
        # A gap of half an hour that begins at 02:00, and one at midnight.
        ("Australia/Lord_Howe", date(2026, 10, 4), 2, "2026-10-03T15:30"),
        ("America/Sao_Paulo", date(2018, 11, 4), 0, "2018-11-04T03:00"),
    ],
)
def test_a_local_hour_is_an_instant_on_every_day_of_the_year(
    zone: str, day: date, hour: int, at: str
) -> None:
    expected = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert local_instant(day, hour, ZoneInfo(zone)) == expected


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1)])
def test_a_night_begins_at_its_instant_and_not_a_second_before(day: date) -> None:
    begins = local_instant(day, 2, BERLIN)
    assert nightly(begins, BERLIN, 2) == day.isoformat()
    before = (day - timedelta(days=1)).isoformat()
    assert nightly(begins - timedelta(seconds=1), BERLIN, 2) == before
    # The hour that comes twice is no second night.
    assert nightly(begins + timedelta(hours=2), BERLIN, 2) == day.isoformat()


def test_slots_shorter_than_a_minute_are_told_apart() -> None:
    at = datetime(2026, 3, 1, 6, 17, 43, tzinfo=UTC)
    assert every(at, timedelta(minutes=10)) == "2026-03-01T06:10Z"
    assert every(at, timedelta(seconds=20)) == "2026-03-01T06:17:40Z"
