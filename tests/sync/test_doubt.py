"""What happens to an appointment whose push is in doubt: at the desk, on Cal.com, on the way."""

import json
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.sync.test_receive import deliveries, post, push_operations
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus, BookingAlias
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox
from webapp.sync.customers import find_or_make_customer


def book_unseen(desk: Desk, *, webhook_lost: bool = False) -> int:
    """A create that Cal.com stored, and whose answer got lost."""
    faults = [{"kind": "reset_after", "operation": "bookings.create", "times": 1}]
    if webhook_lost:
        faults.append({"kind": "webhook_dropped", "operation": "BOOKING_CREATED"})
    desk.cal.fail(*faults)
    appointment_id = desk.book(in_days(2))
    desk.work()
    return appointment_id


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("webhook_lost", [True, False])
def test_a_booking_found_by_its_key_is_claimed_so_that_news_of_it_arrives(
    desk: Desk, webhook_lost: bool
) -> None:
    appointment_id = book_unseen(desk, webhook_lost=webhook_lost)
    desk.settle()
    desk.work_through(10)
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    with as_company(desk.company.id):
        assert list(db.session.scalars(select(BookingAlias.uid))) == [uid]

    desk.cal.change(str(uid), "cancel", reason="Ill")
    desk.settle()

    assert desk.appointment(appointment_id).status is AppointmentStatus.CANCELLED


@pytest.mark.usefixtures("door")
def test_a_customer_who_cancels_what_we_have_not_seen_yet_is_not_booked_again(desk: Desk) -> None:
    book_unseen(desk)
    [booking] = desk.cal.bookings()

    desk.cal.change(booking["uid"], "cancel", reason="Changed my mind")
    desk.settle()
    desk.work_through(20)

    assert desk.cal.mails().count("created") == 1
    [appointment_id] = desk.appointments()
    assert desk.appointment(appointment_id).status is AppointmentStatus.CANCELLED
    assert desk.open_findings() == []


@pytest.mark.usefixtures("door")
def test_a_customer_who_moves_what_we_have_not_seen_yet_is_not_moved_back(desk: Desk) -> None:
    book_unseen(desk)
    [booking] = desk.cal.bookings()

    desk.cal.change(booking["uid"], "reschedule", start=in_days(6).isoformat())
    desk.settle()
    desk.work_through(20)

    [live] = desk.cal.live_bookings()
    assert live["start"].startswith(in_days(6).strftime("%Y-%m-%dT%H:%M"))
    assert [kind for _, kind, _ in desk.open_findings()] == ["data_mismatch"]


@pytest.mark.usefixtures("door")
def test_a_meeting_that_ended_does_not_turn_a_waiting_move_into_a_cancellation(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.settle()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.pause()
    desk.move(appointment_id, in_days(5))

    desk.cal.change(str(uid), "end")
    desk.settle()
    desk.resume()
    desk.work()

    assert push_operations(desk) == ["bookings.create", "bookings.reschedule"]
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


def test_what_has_taken_place_cannot_be_pushed_again(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    clock.advance(timedelta(seconds=10))
    desk.set_status(appointment_id, AppointmentStatus.COMPLETED)
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.change(str(uid), "reschedule", start=in_days(4).isoformat())
    desk.ask_to_verify(appointment_id)
    desk.work()
    assert len(desk.open_findings()) == 1

    assert not desk.push_again(appointment_id)

    desk.work()
    assert "cancelled" not in desk.cal.mails()


def test_a_cancellation_follows_a_booking_that_was_moved_over_there(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.change(str(uid), "reschedule", start=in_days(4).isoformat())

    desk.cancel(appointment_id)
    desk.work_through(20)

    assert desk.cal.live_bookings() == []
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


@pytest.mark.parametrize("lag_seconds", [0.0, 3.0])
def test_moving_back_while_a_move_is_in_doubt_is_not_taken_for_done_by_a_stale_reading(
    desk: Desk, sandbox: RunningSandbox, lag_seconds: float
) -> None:
    """The replica still shows the old booking at its old time, which is what is wished again."""
    appointment_id = desk.book(in_days(2))
    desk.work()
    pass_time(sandbox, 10)
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.reschedule", "times": 1},
        {"kind": "replica_lag", "seconds": lag_seconds, "operation": "bookings"},
    )
    desk.move(appointment_id, in_days(4))
    desk.work()

    desk.move(appointment_id, in_days(2))
    desk.work()
    for _ in range(10):
        pass_time(sandbox, 2)
        desk.work()

    [live] = desk.cal.live_bookings()
    assert live["start"].startswith(in_days(2).strftime("%Y-%m-%dT%H:%M"))
    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.calcom_v2_booking_id == live["uid"]
    assert desk.cal.mails() == ["created", "rescheduled", "rescheduled"]
    assert desk.open_findings() == []


def pass_time(sandbox: RunningSandbox, seconds: float) -> None:
    """At the desk and on Cal.com."""
    clock.advance(timedelta(seconds=seconds))
    sandbox.sandbox.clock.advance(seconds)


def test_a_company_without_a_key_waits_without_turning_in_circles(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk._write_company(calcom_api_key=None, connection_checked_at=clock.now() - timedelta(hours=1))

    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.PENDING


def test_a_rate_limited_verification_remembers_that_a_person_asked(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    clock.advance(timedelta(minutes=10))
    desk.cal.vanish(str(desk.appointment(appointment_id).calcom_v2_booking_id))
    desk.cal.fail(
        {"kind": "rate_limited", "reset_seconds": 5, "operation": "bookings.get", "times": 1}
    )

    desk.ask_to_verify(appointment_id)
    desk.work_through(10)

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.ORPHANED_LOCAL


def test_a_shared_phone_does_not_make_one_person_of_two(desk: Desk) -> None:
    with as_company(desk.company.id):
        alice, bob, alice_again = (
            find_or_make_customer(
                db.session(),
                name=name,
                email=email,
                phone="+49301234567",
                time_zone="UTC",
                language="en",
                now=clock.now(),
            )
            for name, email in (
                ("Alice", "alice@example.org"),
                ("Bob", "bob@example.org"),
                ("A.", "ALICE@example.org"),
            )
        )
        assert bob.email == "bob@example.org"
        assert alice.id == alice_again.id != bob.id


def test_news_that_comes_in_the_wrong_order_imports_one_appointment(
    desk: Desk, client: FlaskClient
) -> None:
    booking = desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(2).isoformat(),
        attendee={"name": "Eva", "email": "eva@example.org", "timeZone": "Europe/Berlin"},
    )
    moved = desk.cal.change(booking["uid"], "reschedule", start=in_days(3).isoformat())

    post(client, desk, news(desk, "BOOKING_RESCHEDULED", moved["uid"], 3, old=booking["uid"]))
    post(client, desk, news(desk, "BOOKING_CREATED", booking["uid"], 2))
    desk.work_through(6)

    [appointment_id] = desk.appointments()
    assert desk.appointment(appointment_id).starts_at == in_days(3)


def test_a_cancellation_that_overtakes_its_booking_is_noticed(
    desk: Desk, client: FlaskClient
) -> None:
    booking = desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(2).isoformat(),
        attendee={"name": "Eva", "email": "eva@example.org", "timeZone": "Europe/Berlin"},
    )
    desk.cal.change(booking["uid"], "cancel", reason="x")

    post(client, desk, news(desk, "BOOKING_CREATED", booking["uid"], 2))
    desk.work_through(10)

    assert [kind for _, kind, _ in desk.open_findings()] == ["data_mismatch"]


def test_an_attendee_with_an_unreadable_address_and_no_phone_has_an_outcome(
    desk: Desk, client: FlaskClient
) -> None:
    post(client, desk, news(desk, "BOOKING_CREATED", "abcdefghijklmnopqrstuv", 2, email="eva@@x"))
    desk.work()

    assert deliveries(desk) == [("BOOKING_CREATED", "failed", "attendee_unreachable")]
    assert desk.appointments() == []


def test_something_unforeseen_in_a_push_counts_as_a_try_in_doubt(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    appointment_id = desk.book(in_days(2))
    monkeypatch.setattr(
        "webapp.calcom.client.CalcomClient.create_booking",
        lambda *_: (_ for _ in ()).throw(ValueError("odd")),
    )

    desk.work_through(50)

    assert desk.open_findings() == [(appointment_id, "sync_failed", "CONNECTION")]
    monkeypatch.undo()
    desk.work_through(80, step=10)
    assert desk.open_findings() == []
    assert desk.cal.mails() == ["created"]


def news(
    desk: Desk,
    trigger: str,
    uid: str,
    days: int,
    *,
    old: str | None = None,
    email: str = "eva@example.org",
) -> bytes:
    payload = {
        "uid": uid,
        "status": "ACCEPTED",
        "startTime": in_days(days).isoformat(),
        "endTime": (in_days(days) + timedelta(minutes=30)).isoformat(),
        "eventTypeId": desk.company.event_type_id,
        "attendees": [{"name": "Eva", "email": email, "timeZone": "Europe/Berlin"}],
        **({"rescheduleUid": old} if old else {}),
    }
    sent_at = clock.now().isoformat()
    return json.dumps({"triggerEvent": trigger, "createdAt": sent_at, "payload": payload}).encode()
