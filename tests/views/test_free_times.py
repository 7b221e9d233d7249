"""Free times when booking: what Cal.com offers, with and without script, and when it can't say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.desk import Desk
from tests.factories import Person, Tenant, make_person, make_service
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox

BERLIN = ZoneInfo("Europe/Berlin")

Make = Callable[..., Any]


@pytest.fixture
def desk(make: Make, sandbox: RunningSandbox) -> Desk:
    return make(Desk, sandbox)


@pytest.fixture
def anna(app: Flask, make: Make, desk: Desk) -> Visitor:
    person: Person = make(make_person, desk.company, Role.MANAGER)
    visitor = Visitor(app)
    visitor.log_in(person)
    return visitor


@pytest.fixture
def monday() -> datetime:
    """The beginning of a working day some days ahead, in Berlin."""
    day = clock.now().astimezone(BERLIN) + timedelta(days=7)
    day -= timedelta(days=day.weekday())
    return day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7)


def asked(desk: Desk, day: datetime, **more: str) -> dict[str, str]:
    return {
        "service": str(desk.company.service_id),
        "day": f"{day:%Y-%m-%d}",
        "customer": "new",
        "name": "Ben",
        "email": "ben@example.org",
        **more,
    }


def offered(page: str) -> list[str]:
    return [each.attributes["value"] for each in find(page, "input", name="slot")]


def test_free_times_are_those_of_the_day_without_what_is_booked(
    anna: Visitor, desk: Desk, monday: datetime, make: Make
) -> None:
    before = offered(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    assert before
    starts = [datetime.fromisoformat(each).astimezone(BERLIN) for each in before]
    assert {start.date() for start in starts} == {monday.date()}
    make(desk.book, starts[2])
    clock.advance(timedelta(seconds=6))
    after = offered(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    assert set(before) - set(after) == {before[2]}


def test_without_script_the_page_comes_back_with_all_that_was_typed(
    anna: Visitor, desk: Desk, monday: datetime, make: Make
) -> None:
    form = asked(desk, monday, notes="Half written", guests="eva@example.org")
    page = anna.post("/appointments/new/free-times", form).text
    for name, value in (("name", "Ben"), ("email", "ben@example.org")):
        assert find(page, "input", name=name)[0].attributes["value"] == value
    assert "Half written" in page
    assert "eva@example.org" in page
    assert make(desk.appointments) == []


def test_a_chosen_time_is_booked_without_typing_one(
    anna: Visitor, desk: Desk, monday: datetime, make: Make
) -> None:
    slots = offered(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    done = anna.post("/appointments", asked(desk, monday, slot=slots[1], time=""))
    assert done.status_code == 303
    (booked,) = make(desk.appointments)
    assert make(desk.appointment, booked).starts_at == datetime.fromisoformat(slots[1])


def test_under_htmx_only_the_times_come(anna: Visitor, desk: Desk, monday: datetime) -> None:
    answer = anna.post("/appointments/new/free-times", asked(desk, monday), htmx=True)
    assert "<html" not in answer.text
    assert by_id(answer.text, "free-times") is not None
    assert offered(answer.text)


def test_where_cal_com_cannot_be_asked_a_time_is_typed(
    anna: Visitor, desk: Desk, monday: datetime
) -> None:
    desk.cal.fail({"kind": "status", "status": 503, "operation": "slots.list"})
    page = words(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    assert "Cal.com cannot be asked at the moment." in page
    form = asked(desk, monday, time="10:00")
    assert anna.post("/appointments", form).status_code == 303


def test_a_service_without_event_type_says_so(
    anna: Visitor, desk: Desk, monday: datetime, make: Make
) -> None:
    make(desk.forget_event_type)
    page = words(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    assert "This service is not connected to Cal.com" in page


@pytest.mark.parametrize("missing", [{"day": ""}, {"service": ""}, {"day": "soon"}])
def test_without_service_or_date_nothing_is_asked(
    anna: Visitor, desk: Desk, monday: datetime, missing: dict[str, str]
) -> None:
    form = asked(desk, monday) | missing
    page = words(anna.post("/appointments/new/free-times", form).text)
    assert "Choose a service and a date first." in page
    assert desk.cal.operations() == []


def test_a_time_in_the_past_cannot_be_smuggled_in(
    anna: Visitor, desk: Desk, monday: datetime, owner_engine: Engine
) -> None:
    form = asked(desk, monday, slot="2020-01-01T09:00:00Z", time="10:00")
    answer = anna.post("/appointments", form)
    assert answer.status_code == 422
    assert "This time has passed." in answer.text
    with owner_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM appointments")) == 0


def test_a_strangers_service_is_404(
    anna: Visitor, desk: Desk, monday: datetime, other_company: Tenant, make: Make
) -> None:
    foreign = make(make_service, other_company)
    form = asked(desk, monday, service=str(foreign))
    assert anna.post("/appointments/new/free-times", form).status_code == 404


@pytest.fixture
def away(desk: Desk, monday: datetime) -> dict[str, Any]:
    """Booked on Cal.com by somebody else, at ten; nothing of it stands here."""
    start = (monday + timedelta(hours=10)).astimezone(UTC)
    attendee = {"name": "Eva", "email": "eva@example.org", "timeZone": "Europe/Berlin"}
    found: dict[str, Any] = desk.cal.book(
        account=desk.cal.account,
        eventTypeId=desk.company.event_type_id,
        start=start.isoformat(),
        attendee=attendee,
    )
    return found


@pytest.mark.usefixtures("away")
def test_free_is_what_cal_com_says_is_free(anna: Visitor, desk: Desk, monday: datetime) -> None:
    clock.advance(timedelta(seconds=6))
    here = offered(anna.post("/appointments/new/free-times", asked(desk, monday)).text)
    working_day = [monday + timedelta(minutes=9 * 60 + 30 * number) for number in range(16)]
    assert [datetime.fromisoformat(each) for each in here] == [
        start for start in working_day if start.hour != 10 or start.minute == 30
    ]


class TestMoving:
    """Rescheduling and editing offer the same, and the appointment's own time with it."""

    @pytest.fixture
    def moved(self, desk: Desk, monday: datetime, make: Make) -> int:
        appointment_id: int = make(desk.book, monday + timedelta(hours=11))
        make(desk.work)
        clock.advance(timedelta(seconds=20))
        return appointment_id

    @pytest.mark.parametrize("page", ["reschedulings", "edits"])
    def test_its_own_time_counts_as_free_and_another_ones_does_not(
        self, anna: Visitor, desk: Desk, monday: datetime, moved: int, page: str, make: Make
    ) -> None:
        make(desk.book, monday + timedelta(hours=12))
        make(desk.work)
        clock.advance(timedelta(seconds=20))
        address = f"/appointments/{moved}/{page}/free-times"
        starts = offered(anna.post(address, asked(desk, monday)).text)
        there = {datetime.fromisoformat(each) for each in starts}
        assert monday + timedelta(hours=11) in there
        assert monday + timedelta(hours=12) not in there
        assert len(there) == 15

    def test_a_chosen_time_moves_it(
        self, anna: Visitor, desk: Desk, monday: datetime, moved: int, make: Make
    ) -> None:
        address = f"/appointments/{moved}/reschedulings"
        starts = offered(anna.post(f"{address}/free-times", asked(desk, monday)).text)
        assert anna.post(address, {"slot": starts[0]}).status_code == 303
        assert make(desk.appointment, moved).starts_at == datetime.fromisoformat(starts[0])

    def test_a_chosen_time_is_kept_while_the_edit_is_confirmed(
        self, anna: Visitor, desk: Desk, monday: datetime, moved: int, make: Make
    ) -> None:
        address = f"/appointments/{moved}/edits"
        starts = offered(anna.post(f"{address}/free-times", asked(desk, monday)).text)
        page = anna.post(address, asked(desk, monday, slot=starts[0])).text
        assert make(desk.appointment, moved).starts_at == monday + timedelta(hours=11)
        told = datetime.fromisoformat(starts[0]).astimezone(BERLIN)
        for name, value in (("day", f"{told:%Y-%m-%d}"), ("time", f"{told:%H:%M}")):
            assert find(page, "input", name=name)[0].attributes["value"] == value

    def test_what_was_typed_comes_back_without_script(
        self, anna: Visitor, desk: Desk, monday: datetime, moved: int
    ) -> None:
        form = {"day": f"{monday:%Y-%m-%d}", "time": "10:10", "reason": "Half typed"}
        page = anna.post(f"/appointments/{moved}/reschedulings/free-times", form).text
        assert find(page, "input", name="reason")[0].attributes["value"] == "Half typed"
        assert find(page, "input", name="time")[0].attributes["value"] == "10:10"
        form = asked(desk, monday, notes="Half written", guests="eva@example.org")
        page = anna.post(f"/appointments/{moved}/edits/free-times", form).text
        assert "Half written" in page
        assert offered(page)

    @pytest.mark.parametrize("page", ["reschedulings", "edits"])
    def test_under_htmx_only_the_times_come(
        self, anna: Visitor, desk: Desk, monday: datetime, moved: int, page: str
    ) -> None:
        address = f"/appointments/{moved}/{page}/free-times"
        answer = anna.post(address, asked(desk, monday), htmx=True)
        assert by_id(answer.text, "free-times") is not None
        assert "<form" not in answer.text
        assert offered(answer.text)
