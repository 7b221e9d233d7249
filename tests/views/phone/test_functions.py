"""Each function where all is well and where it isn't: there is always something to say."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.desk import Desk
from tests.factories import Tenant, make_appointment, make_customer, make_service
from tests.views.phone.conftest import (
    NUMBER,
    Line,
    at,
    change_company,
    rows,
    speak_german,
    weekday,
    work,
)
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus
from webapp.models.customer import Customer
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.views.phone.signatures import HEADER, sign

Ring = Callable[..., Line]
Own = Callable[..., int]
ERIKA = {"customer_name": "Erika Beispiel"}


@pytest.fixture
def own(outside: Flask, office: Desk) -> Own:
    """Make a row of the office's: `own(make_customer, phone=…)`."""

    def make(factory: Callable[..., int], *args: Any, **columns: Any) -> int:
        with outside.app_context():
            return factory(office.company, *args, **columns)

    return make


def wish(time: str = "10:00", **more: Any) -> dict[str, Any]:
    return {"service": "Consultation", "date": weekday().isoformat(), "time": time, **more}


def starts(answer: Any) -> list[str]:
    return [slot["starts_at"] for slot in answer["slots"]]


# Looking up


def test_a_free_time_is_said_to_be_free_and_of_a_taken_one_the_nearest_are_offered(
    line: Line, office: Desk
) -> None:
    assert line.ask("check_availability", **wish())["reason"] == "free"
    office.cal.book(eventTypeId=office.company.event_type_id, start=at(weekday(), 14).isoformat())

    told_again = line.ask("check_availability", **wish("2 pm"))
    clock.advance(timedelta(seconds=6))
    taken = line.ask("check_availability", **wish("2 pm"))

    assert told_again["reason"] == "free", "asked only once in some seconds"
    assert (taken["result"], taken["reason"]) == ("unavailable", "taken")
    day = weekday()
    near = [at(day, 13), at(day, 13, 30), at(day, 14, 30)]
    assert starts(taken) == [each.isoformat() for each in near]
    assert "1 pm, 1:30 pm, or 2:30 pm" in taken["message"]


def test_a_full_day_gets_the_next_ones_and_no_day_whatever_comes_next(
    line: Line, office: Desk
) -> None:
    day = weekday()
    office.cal.put(
        "event-types",
        {"id": office.company.event_type_id, "account": "sonnenschein@cal.test"}
        | {"title": "Consultation", "lengthInMinutes": 480},
    )
    office.cal.book(eventTypeId=office.company.event_type_id, start=at(day, 9).isoformat())

    full = line.ask("check_availability", service="Consultation", date=day.isoformat())

    assert (full["result"], full["reason"]) == ("unavailable", "day_full")
    assert starts(full)[0] == at(day + timedelta(days=1), 9).isoformat()
    openings = line.ask("check_availability")
    assert (openings["reason"], len(openings["slots"])) == ("openings", 6 + _opens_still_today())


def _opens_still_today() -> int:
    now = clock.now()
    return int(now < at(now.date(), 9))


def test_nothing_free_in_the_week_asks_for_a_later_one(line: Line, office: Desk) -> None:
    office.cal.fail({"kind": "empty_list", "operation": "slots"})
    answer = line.ask("check_availability", **wish())
    assert (answer["result"], answer["reason"]) == ("unavailable", "taken")
    answer = line.ask("check_availability", date=weekday(2).isoformat())
    assert (answer["result"], answer["reason"]) == ("unavailable", "nothing_free")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("CONSULTATION", "free"),
        ("a consultation please", "free"),
        ("konsultation", "free"),
        ("Haircut", "service_unknown"),
        ("", "service_missing"),
        (17, "service_unknown"),
        (["Consultation"], "service_missing"),
        ("Vorsorge", "service_unknown"),
        ("check", "service_unknown"),
    ],
)
def test_a_service_is_found_by_what_was_heard_and_otherwise_told(
    own: Own, line: Line, said: object, reason: str
) -> None:
    for name in ("Check A", "Check B"):
        own(make_service, name=name)
    own(make_service, name="Vorsorge", is_offered=False)

    answer = line.ask("check_availability", **{**wish(), "service": said})

    assert answer["reason"] == reason
    told = [] if reason == "free" else ["Check A", "Check B", "Consultation"]
    assert answer["services"] == (told[:2] if said == "check" else told)
    assert all(name in answer["message"] for name in answer["services"])


# Booking


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date": "2020-01-07"}, "in_past"),
        ({"date": "9999-12-31"}, "date_unclear"),
        ({"date": "2090-01-07"}, "too_far"),
        ({"date": "03/04/2027"}, "date_unclear"),
        ({"date": None}, "date_missing"),
        ({"date": {"y": 2027}}, "date_unclear"),
        ({"time": 9.75}, "time_unclear"),
        ({"time": "25:00"}, "time_unclear"),
        ({"time": "noonish"}, "time_unclear"),
        ({"time": ""}, "time_missing"),
        ({"time": "03:00"}, "taken"),
        ({"time": "10:07"}, "taken"),
        ({"customer_name": ""}, "name_missing"),
        ({"customer_email": "erika at home"}, "email_unclear"),
        ({"customer_phone": "0151 1234"}, "phone_unclear"),
        ({"service": "Surgery"}, "service_unknown"),
    ],
)
def test_a_booking_that_can_not_be_understood_or_had_is_answered_and_leaves_nothing(
    outside: Flask, office: Desk, line: Line, changes: dict[str, Any], reason: str
) -> None:
    answer = line.ask("book_appointment", **{**wish(), **ERIKA, **changes})
    assert answer["reason"] == reason
    assert answer["message"].endswith(("?", "."))
    assert rows(outside, office) == []


def test_the_hour_that_the_clocks_skip_is_named(outside: Flask, office: Desk, line: Line) -> None:
    change_company(outside, office, time_zone="Europe/London")
    clock.advance(at(weekday(), 9).replace(year=2027, month=3, day=1) - clock.now())
    answer = line.ask("book_appointment", **{**wish("01:30"), **ERIKA, "date": "2027-03-28"})
    assert answer["reason"] == "time_skipped"


def test_a_caller_without_a_number_is_asked_how_to_be_reached(
    outside: Flask, office: Desk, ring: Ring
) -> None:
    for number in (None, "anonymous", "sip:7@pbx", "+" + "9" * 40):
        answer = ring(number=number).ask("book_appointment", **wish(), **ERIKA)
        assert answer["reason"] == "contact_missing"
    booked = ring(number=None).ask(
        "book_appointment", **wish(), **ERIKA, customer_phone="0049 151 / 765432"
    )
    assert booked["reason"] == "booked"


def test_of_a_call_that_the_agent_made_the_other_end_is_the_customer(
    outside: Flask, office: Desk, line: Line, own: Own
) -> None:
    customer_id = own(make_customer, phone=NUMBER)
    call = {"call_id": "c", "direction": "outbound", "from_number": "+493000", "to_number": NUMBER}
    body = {"name": "book_appointment", "args": wish(), "call": call}
    assert line.send(body).get_json()["reason"] == "booked"
    assert rows(outside, office)[0].customer_id == customer_id


def test_a_time_taken_since_it_was_offered_gets_an_apology_and_others(
    outside: Flask, office: Desk, line: Line
) -> None:
    speak_german(outside, office)
    assert line.ask("check_availability", **wish())["reason"] == "free"
    office.cal.book(eventTypeId=office.company.event_type_id, start=at(weekday(), 10).isoformat())

    answer = line.ask("book_appointment", **wish(), **ERIKA)

    assert (answer["result"], answer["reason"]) == ("unavailable", "taken")
    assert answer["message"].startswith("Es tut mir leid, Dienstag, den ")
    assert "um 9 Uhr, 9 Uhr 30 oder 10 Uhr 30 anbieten" in answer["message"]
    assert rows(outside, office) == []


def test_what_we_hold_and_cal_com_does_not_know_yet_is_taken(
    outside: Flask, office: Desk, ring: Ring
) -> None:
    assert ring().ask("book_appointment", **wish(), **ERIKA)["reason"] == "booked"
    rival = ring("call_2", "+4915199999999")
    assert rival.ask("check_availability", **wish())["reason"] == "taken"
    answer = rival.ask("book_appointment", **wish(), customer_name="Max Muster")
    assert answer["reason"] == "taken"
    assert at(weekday(), 10).isoformat() not in starts(answer)
    work(outside, office)
    assert rival.ask("book_appointment", **wish(), customer_name="Max Muster")["reason"] == "taken"


@pytest.mark.parametrize("second", ["call_1", "call_2"])
def test_two_at_once_for_one_time_get_it_once_and_a_repeat_gets_the_first_answer(
    outside: Flask, office: Desk, ring: Ring, second: str
) -> None:
    """Both have asked Cal.com before either books."""
    office.cal.fail({"kind": "latency", "seconds": 0.3, "operation": "slots.list"})
    number = NUMBER if second == "call_1" else "+4915199999999"
    lines = [ring("call_1"), ring(second, number)]
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda each: each.ask("book_appointment", **wish(), **ERIKA), lines)
    if second == "call_1":
        assert one == other
        assert one["result"] == "success"
    else:
        assert {one["result"], other["result"]} == {"success", "unavailable"}
    assert len(rows(outside, office)) == 1


def test_the_same_person_calling_again_has_the_appointment_already(
    outside: Flask, office: Desk, ring: Ring
) -> None:
    first = ring().ask("book_appointment", **wish(), **ERIKA)
    work(outside, office)
    again = ring("call_2").ask("book_appointment", **wish(), customer_name="Frau Beispiel")
    assert again["reason"] == "booked_already"
    assert again["appointment"]["id"] == first["appointment"]["id"]


def test_a_family_on_one_number_is_told_apart_by_name(
    outside: Flask, office: Desk, line: Line, own: Own
) -> None:
    lena = own(make_customer, phone=NUMBER, name="Lena Müller")
    own(make_customer, phone=NUMBER, name="Jonas Müller")
    assert line.ask("book_appointment", **wish())["reason"] == "several_customers"
    ambiguous = line.ask("book_appointment", **wish(), customer_name="Müller")
    assert ambiguous["reason"] == "several_customers"
    assert line.ask("find_appointments")["reason"] == "several_customers"

    line.ask("book_appointment", **wish("10:00"), customer_name="Lena Mueller")
    line.ask("book_appointment", **wish("11:00"), customer_name="Greta Müller")

    first, second = rows(outside, office)
    assert first.customer_id == lena
    assert second.customer_id not in (lena, lena + 1)


def test_a_new_customers_language_and_zone_are_the_companys(
    outside: Flask, office: Desk, line: Line
) -> None:
    speak_german(outside, office)
    line.ask("book_appointment", **wish(), **ERIKA, customer_email="Erika@Example.org")
    work(outside, office)
    (booking,) = office.cal.live_bookings()
    (attendee,) = booking["attendees"]
    assert (attendee["name"], attendee["email"]) == ("Erika Beispiel", "Erika@example.org")
    assert (attendee["timeZone"], attendee["language"]) == ("Europe/Berlin", "de")


# Whose appointments


def test_another_number_and_an_e_mail_open_a_customer_only_with_the_name(
    line: Line, own: Own
) -> None:
    customer_id = own(make_customer, "lena@example.org", phone="+493055500", name="Lena Müller")
    appointment_id = own(make_appointment, customer_id=customer_id)
    for contact in ({"customer_email": "LENA@example.org"}, {"customer_phone": "+493055500"}):
        assert line.ask("find_appointments", **contact)["reason"] == "name_missing"
        wrong = line.ask("find_appointments", **contact, customer_name="Erika Beispiel")
        assert wrong["reason"] == "caller_unknown"
        right = line.ask("find_appointments", **contact, customer_name="Lena Müller")
        assert [each["id"] for each in right["appointments"]] == [appointment_id]


def test_a_number_that_is_merely_said_books_only_with_the_name_and_is_given_no_e_mail(
    outside: Flask, office: Desk, ring: Ring, own: Own
) -> None:
    """Else all of Cal.com's later mails about its owner would go to whoever said it."""
    lena = own(make_customer, phone="+493055500", name="Lena Müller")
    with outside.app_context(), as_company(office.company.id):
        row = db.session.get_one(Customer, (office.company.id, lena))
        row.email = row.email_folded = None
        db.session.commit()
    said = {"customer_phone": "+493055500", "customer_email": "thief@example.org"}
    line = ring(number=None)

    assert line.ask("book_appointment", **wish(), **said)["reason"] == "name_missing"
    named = line.ask("book_appointment", **wish(), **said, customer_name="Lena Müller")

    assert named["reason"] == "booked"
    assert [each.customer_id for each in rows(outside, office)] == [lena]
    with outside.app_context(), as_company(office.company.id):
        assert db.session.get_one(Customer, (office.company.id, lena)).email is None


def test_an_appointment_of_somebody_else_is_never_moved_or_cancelled(
    outside: Flask, office: Desk, line: Line, own: Own
) -> None:
    foreign = own(make_appointment)
    own(make_customer, phone=NUMBER)
    answer = line.ask("cancel_appointment", appointment_id=foreign)
    assert answer["reason"] == "no_appointment"
    answer = line.ask("reschedule_appointment", appointment_id=foreign, **wish())
    assert answer["reason"] == "no_appointment"
    assert rows(outside, office)[0].status is AppointmentStatus.CONFIRMED


# Moving and cancelling


@pytest.fixture
def two(own: Own) -> tuple[int, int]:
    """Two appointments of the caller, Tuesday at ten and Wednesday at eleven."""
    customer_id = own(make_customer, phone=NUMBER)
    return tuple(  # type: ignore[return-value]
        own(
            make_appointment,
            customer_id=customer_id,
            starts_at=start,
            ends_at=start + timedelta(minutes=30),
            state=SyncState.SYNCED,
        )
        for start in (at(weekday(), 10), at(weekday() + timedelta(days=1), 11))
    )


@pytest.mark.parametrize(
    ("pointer", "reason"),
    [
        ({}, "several_appointments"),
        ({"service": "Consultation"}, "several_appointments"),
        ({"date": (weekday() + timedelta(days=2)).isoformat()}, "no_such_appointment"),
        ({"time": "15:00"}, "no_such_appointment"),
        ({"appointment_id": 10**30}, "no_such_appointment"),
        ({"appointment_id": "the first"}, "no_such_appointment"),
        ({"appointment_id": [1]}, "no_such_appointment"),
        ({"appointment_id": 1.5}, "no_such_appointment"),
        ({"date": ["2027-01-01"]}, "date_unclear"),
        ({"date": "someday"}, "date_unclear"),
        ({"time": "10:00"}, "cancelled"),
        ({"current_time": "10"}, "cancelled"),
        ({"date": weekday().strftime("%d.%m.%Y")}, "cancelled"),
    ],
)
def test_the_appointment_meant_is_found_or_asked_for(
    outside: Flask,
    office: Desk,
    line: Line,
    two: tuple[int, int],
    pointer: dict[str, Any],
    reason: str,
) -> None:
    answer = line.ask("cancel_appointment", **pointer)
    assert answer["reason"] == reason
    cancelled = [r.id for r in rows(outside, office) if r.status is AppointmentStatus.CANCELLED]
    assert cancelled == ([two[0]] if reason == "cancelled" else [])
    if "appointments" in reason or "such" in reason:
        assert [each["id"] for each in answer["appointments"]] == list(two)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"new_time": "12:00"}, "moved"),
        ({"new_time": "10:00"}, "unchanged"),
        ({"new_time": "11:00"}, "taken"),
        ({"new_date": "2020-01-07"}, "in_past"),
        ({"new_date": ""}, "date_missing"),
        ({"new_time": None}, "time_missing"),
        ({"appointment_id": None}, "several_appointments"),
    ],
)
def test_an_appointment_is_moved_to_a_free_time_only(
    outside: Flask,
    office: Desk,
    line: Line,
    two: tuple[int, int],
    changes: dict[str, Any],
    reason: str,
) -> None:
    office.cal.book(eventTypeId=office.company.event_type_id, start=at(weekday(), 11).isoformat())
    args = {"appointment_id": two[0], "new_date": weekday().isoformat(), "new_time": "12:00"}

    answer = line.ask("reschedule_appointment", **{**args, **changes})

    assert answer["reason"] == reason
    moved_to = at(weekday(), 12 if reason == "moved" else 10)
    assert rows(outside, office)[0].starts_at == moved_to


def test_an_appointment_may_be_moved_into_its_own_time(
    outside: Flask, office: Desk, line: Line
) -> None:
    """Half an hour later overlaps with itself, here and on Cal.com."""
    office.cal.put(
        "event-types",
        {"id": office.company.event_type_id, "account": "sonnenschein@cal.test"}
        | {"title": "Consultation", "lengthInMinutes": 30, "afterEventBuffer": 15},
    )
    line.ask("book_appointment", **wish(), **ERIKA)
    work(outside, office)
    answer = line.ask("reschedule_appointment", new_start=at(weekday(), 10, 30).isoformat())
    assert answer["reason"] == "moved"


def test_a_cancellation_carries_its_reason_or_one_in_the_companys_language(
    outside: Flask, office: Desk, line: Line, two: tuple[int, int]
) -> None:
    speak_german(outside, office)
    line.ask("cancel_appointment", appointment_id=two[0], reason="Bin krank")
    line.ask("cancel_appointment", appointment_id=str(two[1]))
    reasons = [row.cancellation_reason for row in rows(outside, office)]
    assert reasons == ["Bin krank", "Telefonisch abgesagt"]


# Between companies, and in whose language


def test_a_strangers_customers_and_appointments_are_never_found(
    outside: Flask, office: Desk, ring: Ring, other_company: Tenant
) -> None:
    mine = ring()
    day = weekday().isoformat()
    booked = mine.ask(
        "book_appointment",
        service="Consultation",
        date=day,
        time="10:00",
        customer_name="Erika Beispiel",
        customer_email="erika@example.org",
    )
    stranger = Line(outside, other_company, mine.call_id, mine.number)
    who = {"customer_name": "Erika Beispiel", "customer_email": "erika@example.org"}
    which = {"appointment_id": booked["appointment"]["id"], **who}

    for answer in (
        stranger.ask("find_appointments", **who),
        stranger.ask("cancel_appointment", **which),
        stranger.ask("reschedule_appointment", new_date=day, new_time="11:00", **which),
    ):
        assert answer["reason"] == "caller_unknown"
        assert answer["appointments"] == []
    assert stranger.ask("find_appointments")["reason"] == "caller_unknown"
    assert mine.ask("find_appointments")["appointments"][0]["id"] == which["appointment_id"]


def test_answers_are_in_the_companys_language_whatever_the_agents_server_asks_for(
    outside: Flask, office: Desk, line: Line
) -> None:
    change_company(outside, office, locale="de")
    raw = json.dumps({"name": "find_appointments", "call": {"call_id": "c"}}).encode()
    signature = sign(raw, line.company.phone_key, clock.now())
    answer = line.post(raw, {HEADER: signature, "Accept-Language": "en"}).get_json()
    assert answer["message"].startswith("Unter dieser Nummer finde ich Sie nicht.")
