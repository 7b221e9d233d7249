"""Local days and times, and the two nights of the year that are different."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from webapp.views.local_time import (
    TimeDoesNotExist,
    comes_twice,
    instant_of,
    parse_day,
    parse_time,
)

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_local_time_is_an_instant() -> None:
    assert instant_of(date(2026, 7, 1), time(14, 30), BERLIN) == datetime(
        2026, 7, 1, 12, 30, tzinfo=UTC
    )


def test_a_skipped_time_does_not_exist() -> None:
    with pytest.raises(TimeDoesNotExist):
        instant_of(date(2026, 3, 29), time(2, 30), BERLIN)
    assert not comes_twice(date(2026, 3, 29), time(2, 30), BERLIN)


def test_a_repeated_time_means_the_first() -> None:
    day, at = date(2026, 10, 25), time(2, 30)
    assert comes_twice(day, at, BERLIN)
    assert instant_of(day, at, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert not comes_twice(day, time(3, 30), BERLIN)


@pytest.mark.parametrize("text", ["", "x", "2026-13-01", "0001-01-01", "9999-12-31", "20.11.2026"])
def test_what_is_no_usable_day_is_none(text: str) -> None:
    assert parse_day(text) is None


@pytest.mark.parametrize("text", ["", "x", "24:01", "12:00+02:00", "12:00Z"])
def test_what_is_no_usable_time_is_none(text: str) -> None:
    assert parse_time(text) is None
