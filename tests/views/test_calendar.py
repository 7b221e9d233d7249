"""The calendar: which days, on whose clock, what the browser gets, and its ends."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from tests.factories import Tenant, make_appointment, make_service
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, words
from webapp.models.appointment import AppointmentStatus
from webapp.models.sync_state import SyncState
from webapp.views import calendar

Make = Callable[..., int]
BERLIN = ZoneInfo("Europe/Berlin")


def at(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold)  # type: ignore[arg-type,misc]


def shown(visitor: Visitor, since: str, until: str, more: str = "") -> list[dict[str, Any]]:
    answer = visitor.get(f"/appointments/calendar/events?from={since}&to={until}{more}")
    assert answer.status_code == 200
    events: list[dict[str, Any]] = answer.json["events"]  # type: ignore[index]
    return events


def test_a_window_is_whole_days_on_the_companys_clock(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    first = make(make_appointment, company, starts_at=at(2031, 1, 7, 0, 0))
    last = make(make_appointment, company, starts_at=at(2031, 1, 7, 23, 59))
    make(make_appointment, company, starts_at=at(2031, 1, 6, 23, 59))
    make(make_appointment, company, starts_at=at(2031, 1, 8, 0, 0))
    found = shown(at_staff, "2031-01-07", "2031-01-08")
    assert [int(each["id"]) for each in found] == [first, last]


def test_times_are_wall_times_without_an_offset(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_appointment, company, starts_at=at(2031, 1, 7, 14, 30))
    (event,) = shown(at_staff, "2031-01-07", "2031-01-08")
    assert (event["start"], event["end"]) == ("2031-01-07T14:30", "2031-01-07T15:00")
    assert event["time"] == "14:30 – 15:00"


@pytest.mark.parametrize(
    ("starts_at", "minutes", "start", "end"),
    [
        (at(2031, 3, 30, 1, 45), 30, "2031-03-30T01:45", "2031-03-30T03:15"),
        (at(2031, 3, 30, 3, 0), 30, "2031-03-30T03:00", "2031-03-30T03:30"),
        (at(2031, 10, 26, 2, 45), 30, "2031-10-26T02:45", "2031-10-26T03:15"),
        (at(2031, 10, 26, 2, 15, fold=1), 30, "2031-10-26T02:15", "2031-10-26T02:45"),
    ],
    ids=["over the gap", "behind the gap", "back over the hour", "the second hour"],
)
def test_days_on_which_the_clocks_change_are_right(
    at_staff: Visitor,
    make: Make,
    company: Tenant,
    starts_at: datetime,
    minutes: int,
    start: str,
    end: str,
) -> None:
    ends_at = starts_at.astimezone(ZoneInfo("UTC")) + timedelta(minutes=minutes)
    make(make_appointment, company, starts_at=starts_at, ends_at=ends_at)
    day = starts_at.date()
    (event,) = shown(at_staff, f"{day}", f"{day + timedelta(days=1)}")
    assert (event["start"], event["end"]) == (start, end)


def test_colour_is_never_alone(at_staff: Visitor, make: Make, company: Tenant) -> None:
    make(make_appointment, company, starts_at=at(2031, 1, 7, 9), state=SyncState.ORPHANED_LOCAL)
    (event,) = shown(at_staff, "2031-01-07", "2031-01-08")
    assert (event["colour"], event["icon"], event["sync"]) == (
        "red",
        "cloud-question",
        "Missing on Cal.com",
    )


def test_one_service_can_be_looked_at(at_staff: Visitor, make: Make, company: Tenant) -> None:
    other = make(make_service, company, name="Other")
    make(make_appointment, company, starts_at=at(2031, 1, 7, 9))
    one = make(make_appointment, company, starts_at=at(2031, 1, 7, 10), service_id=other)
    found = shown(at_staff, "2031-01-07", "2031-01-08", f"&service={other}")
    assert [int(each["id"]) for each in found] == [one]


@pytest.mark.parametrize(
    "window", ["from=2031-01-07&to=2031-01-07", "from=2031-01-07&to=2031-02-07"]
)
def test_a_window_has_an_end(at_staff: Visitor, window: str) -> None:
    assert at_staff.get(f"/appointments/calendar/events?{window}").status_code == 400


def test_what_is_left_out_is_said(
    at_staff: Visitor, make: Make, company: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calendar, "MOST_SHOWN", 2)
    for hour in (9, 10, 11):
        make(make_appointment, company, starts_at=at(2031, 1, 7, hour))
    answer = at_staff.get("/appointments/calendar/events?from=2031-01-07&to=2031-01-08").json
    assert answer is not None
    assert (len(answer["events"]), answer["is_cut"]) == (2, True)
    assert "these are the first 2" in at_staff.page("/appointments/calendar?day=2031-01-07")


def test_a_stranger_sees_nothing_of_it(at_stranger: Visitor, make: Make, company: Tenant) -> None:
    make(make_appointment, company, starts_at=at(2031, 1, 7, 9))
    assert shown(at_stranger, "2031-01-07", "2031-01-08") == []


def test_without_script_the_week_is_a_list(at_staff: Visitor, make: Make, company: Tenant) -> None:
    monday = make(make_appointment, company, starts_at=at(2031, 1, 6, 9))
    sunday = make(
        make_appointment,
        company,
        starts_at=at(2031, 1, 12, 23, 30),
        status=AppointmentStatus.CANCELLED,
    )
    make(make_appointment, company, starts_at=at(2031, 1, 13, 0, 30))
    page = at_staff.page("/appointments/calendar?day=2031-01-08")
    calendar_itself, as_list = by_id(page, "calendar"), by_id(page, "calendar-list")
    assert calendar_itself is not None
    assert "hidden" in calendar_itself.attributes
    assert as_list is not None
    assert "hidden" not in as_list.attributes
    links = [a for a in find(page, "a") if a.attributes["href"].startswith("/appointments/")]
    ids = [a.attributes["href"].rsplit("/", 1)[1] for a in links if "main" in a.parents]
    assert [each for each in ids if each.isdigit()] == [str(monday), str(sunday)]
    assert "Cancelled" in words(as_list.text)


def test_prev_next_and_today_are_addresses(at_staff: Visitor) -> None:
    page = at_staff.page("/appointments/calendar?view=week&day=2031-01-08")
    before, after = find(page, "a", rel="prev")[0], find(page, "a", rel="next")[0]
    assert "day=2031-01-01" in before.attributes["href"]
    assert "day=2031-01-15" in after.attributes["href"]
    page = at_staff.page("/appointments/calendar?view=day&day=2031-01-08")
    assert "day=2031-01-09" in find(page, "a", rel="next")[0].attributes["href"]


def test_an_address_fills_the_new_appointment(at_manager: Visitor, company: Tenant) -> None:
    address = f"/appointments/new?day=2031-01-07&time=14:30&service={company.service_id}"
    page = at_manager.page(address)
    inputs = find(page, "input", name="day") + find(page, "input", name="time")
    values = {each.attributes["name"]: each.attributes.get("value") for each in inputs}
    assert values == {"day": "2031-01-07", "time": "14:30"}
    assert find(page, "option", selected="")[0].attributes["value"] == str(company.service_id)
    assert 'value="nonsense"' not in at_manager.page("/appointments/new?day=nonsense&time=nonsense")


def test_a_full_week_costs_what_an_empty_one_does(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    with count_statements(app) as empty:
        at_staff.page("/appointments/calendar?day=2031-01-07")
    for hour in range(8, 20):
        make(make_appointment, company, starts_at=at(2031, 1, 7, hour))
    with count_statements(app) as full:
        at_staff.page("/appointments/calendar?day=2031-01-07")
    assert len(full) == len(empty) <= 15
