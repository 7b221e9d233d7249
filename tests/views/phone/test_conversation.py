"""One call from hello to goodbye, the sandbox behind it: asked, booked, found, moved, cancelled."""

from flask import Flask
from sqlalchemy import select

from tests.desk import Desk
from tests.views.phone.conftest import Line, at, rows, speak_german, weekday, work
from webapp.extensions import db
from webapp.models.appointment import Origin
from webapp.models.history import HistoryEvent
from webapp.models.intent import Intent
from webapp.models.tenancy import as_company

ERIKA = {"customer_name": "Erika Beispiel", "customer_email": "erika@example.org"}


def test_a_call_from_the_first_question_to_the_cancellation(
    outside: Flask, office: Desk, line: Line
) -> None:
    speak_german(outside, office)
    day = weekday()

    free = line.ask("check_availability", service="consultation", date=day.isoformat())
    assert free["result"] == "success"
    assert at(day, 9).isoformat() in [slot["starts_at"] for slot in free["slots"]]
    assert "um 9 Uhr" in free["message"]

    wish = {"service": "Consultation", "date": day.isoformat(), "time": "9:30", **ERIKA}
    booked = line.ask("book_appointment", **wish)
    assert (booked["result"], booked["reason"]) == ("success", "booked")
    assert booked["appointment"]["starts_at"] == at(day, 9, 30).isoformat()
    assert f"Dienstag, den {day.day}." in booked["message"]
    assert "um 9 Uhr 30" in booked["message"]
    assert line.ask("book_appointment", **{**wish, "time": "09:30"}) == booked
    work(outside, office)
    assert [each["start"] for each in office.cal.live_bookings()] == [_utc(at(day, 9, 30))]
    assert line.ask("book_appointment", **wish) == booked

    found = line.ask("find_appointments")
    assert [each["id"] for each in found["appointments"]] == [booked["appointment"]["id"]]

    moved = line.ask("reschedule_appointment", new_date=day.isoformat(), new_time="11:00")
    assert moved["reason"] == "moved"
    assert line.ask("reschedule_appointment", new_date=day.isoformat(), new_time="11") == moved
    work(outside, office)
    assert [each["start"] for each in office.cal.live_bookings()] == [_utc(at(day, 11))]

    gone = line.ask("cancel_appointment", appointment_id=booked["appointment"]["id"])
    assert gone["reason"] == "cancelled"
    assert line.ask("cancel_appointment", appointment_id=booked["appointment"]["id"]) == gone
    work(outside, office)
    assert office.cal.live_bookings() == []
    assert office.cal.mails() == ["created", "rescheduled", "cancelled"]
    assert line.ask("find_appointments")["reason"] == "no_appointment"
    _everything_came_by_telephone(outside, office)


def test_after_a_cancellation_the_same_call_can_book_the_same_again(
    outside: Flask, office: Desk, line: Line
) -> None:
    wish = {"service": "Consultation", "date": weekday().isoformat(), "time": "10:00", **ERIKA}
    first = line.ask("book_appointment", **wish)
    line.ask("cancel_appointment")
    second = line.ask("book_appointment", **wish)
    assert second["reason"] == "booked"
    assert second["appointment"]["id"] != first["appointment"]["id"]

    again = line.ask("cancel_appointment")
    assert again["appointment"]["id"] == second["appointment"]["id"]
    work(outside, office)
    assert [row.status.value for row in rows(outside, office)] == ["cancelled", "cancelled"]
    assert office.cal.live_bookings() == []


def test_moving_there_and_back_again_is_not_taken_for_a_repeat(
    outside: Flask, office: Desk, line: Line
) -> None:
    day = weekday().isoformat()
    line.ask("book_appointment", service="Consultation", date=day, time="10:00", **ERIKA)
    for time in ("11:00", "12:00", "11:00"):
        assert line.ask("reschedule_appointment", new_date=day, new_time=time)["reason"] == "moved"
    assert rows(outside, office)[0].starts_at == at(weekday(), 11)


def test_a_booking_repeated_after_a_move_tells_where_it_stands(
    outside: Flask, office: Desk, line: Line
) -> None:
    day = weekday().isoformat()
    wish = {"service": "Consultation", "date": day, "time": "10:00", **ERIKA}
    line.ask("book_appointment", **wish)
    line.ask("reschedule_appointment", new_date=day, new_time="11:00")

    repeated = line.ask("book_appointment", **wish)

    assert repeated["reason"] == "booked_already"
    assert repeated["appointment"]["starts_at"] == at(weekday(), 11).isoformat()
    assert len(rows(outside, office)) == 1


def _utc(instant: object) -> str:
    from datetime import UTC, datetime

    assert isinstance(instant, datetime)
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _everything_came_by_telephone(app: Flask, desk: Desk) -> None:
    (row,) = rows(app, desk)
    assert (row.created_by_origin, row.sync_origin) == (Origin.RETELL, Origin.RETELL)
    with app.app_context(), as_company(desk.company.id):
        assert set(db.session.scalars(select(Intent.origin))) == {Origin.RETELL}
        kinds = ("booked", "rescheduled", "cancelled")
        events = select(HistoryEvent.origin).where(HistoryEvent.kind.in_(kinds))
        assert list(db.session.scalars(events)) == [Origin.RETELL] * 3
