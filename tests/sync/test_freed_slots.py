"""A time that Cal.com refuses because our own unfinished cancel or move has not freed it yet."""

import threading

from flask import Flask

from tests.desk import Desk, in_days
from tests.factories import make_service
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.editing import Edited, Wanted, edit_appointment, version_of


def another_service(desk: Desk) -> int:
    """As long as the first, of another event type of the same account."""
    event_type = desk.cal.put(
        "event-types",
        {"account": desk.cal.account, "title": "Talk", "slug": "talk", "lengthInMinutes": 30},
    )
    service_id = make_service(desk.company, name="Talk", event_type_id=event_type["id"])
    with as_company(desk.company.id):
        first = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        db.session.get_one(Service, (desk.company.id, service_id)).calcom_host = first.calcom_host
        db.session.commit()
    return service_id


def change_service(desk: Desk, appointment_id: int, service_id: int) -> Edited:
    with as_company(desk.company.id):
        row = desk._row(appointment_id)
        service = db.session.get_one(Service, (desk.company.id, service_id))
        edited = edit_appointment(
            db.session(),
            row,
            Wanted(row.starts_at, service, "", [], version_of(row)),
            cancellation_reason="Booked anew",
            now=clock.now(),
            user_id=None,
        )
        db.session.commit()
        return edited


def assert_booked_anew(desk: Desk, edited: Edited) -> None:
    row = desk.appointment(edited.appointment_id)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert [each["uid"] for each in desk.cal.live_bookings()] == [row.calcom_v2_booking_id]
    assert desk.cal.mails() == ["created", "cancelled", "created"]
    assert desk.open_findings() == []
    assert "push_failed" not in desk.events(edited.appointment_id)


def test_another_service_at_the_same_time_waits_for_a_cancellation_that_is_tried_again(
    desk: Desk,
) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    service_id = another_service(desk)
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.cancel", "times": 1})

    edited = change_service(desk, appointment_id, service_id)
    desk.work_through(30, step=2)

    assert_booked_anew(desk, edited)
    [create] = desk.intents(edited.appointment_id)
    assert create.attempt_count == 1, "waiting uses up no attempt"
    assert "push_waits" in desk.events(edited.appointment_id)


def test_another_service_at_the_same_time_carried_by_two_workers(desk: Desk, engine: Flask) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    service_id = another_service(desk)
    desk.cal.fail({"kind": "latency", "seconds": 0.3, "operation": "bookings.cancel", "times": 1})
    edited = change_service(desk, appointment_id, service_id)

    def work(intent_id: int) -> None:
        with engine.app_context():
            run_job("push", desk.company.id, intent_id)

    workers = [threading.Thread(target=work, args=(each,)) for each in edited.intent_ids]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    desk.work_through(30, step=2)

    assert_booked_anew(desk, edited)


def test_a_customer_takes_the_time_that_another_is_just_leaving(desk: Desk) -> None:
    leaving, taking = desk.book(in_days(2, 10)), desk.book(in_days(2, 14))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.reschedule", "times": 1})

    desk.move(leaving, in_days(3, 9))
    desk.move(taking, in_days(2, 10))
    desk.work_through(30, step=2)

    assert desk.cal.mails().count("rescheduled") == 2
    assert desk.open_findings() == []
    for appointment_id in (leaving, taking):
        assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_a_time_left_by_a_booking_whose_create_is_still_in_doubt(desk: Desk) -> None:
    """Nothing is known of it but what its tries asked for."""
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.create", "times": 1},
        {"kind": "status", "status": 503, "operation": "bookings.list", "times": 1},
    )
    doubtful = desk.book(in_days(2))
    desk.work()
    desk.cancel(doubtful)
    taking = desk.book(in_days(2))
    desk.work_through(60, step=2)

    assert desk.appointment(taking).calcom_sync_status is SyncState.SYNCED
    assert [each["uid"] for each in desk.cal.live_bookings()] == [
        desk.appointment(taking).calcom_v2_booking_id
    ]
    assert desk.open_findings() == []


def test_two_that_want_each_others_time_do_not_wait_for_ever(desk: Desk) -> None:
    one, other = desk.book(in_days(2, 10)), desk.book(in_days(2, 14))
    desk.work()

    desk.pause()
    desk.move(one, in_days(2, 14))
    desk.move(other, in_days(2, 10))
    desk.resume()
    desk.work_through(120, step=5)

    assert {code for _, _, code in desk.open_findings()} == {"SLOT_UNAVAILABLE"}
    assert sorted(each for each, _, _ in desk.open_findings()) == [one, other]
    assert "rescheduled" not in desk.cal.mails()


def test_who_waits_for_a_change_that_is_flagged_is_flagged_too_until_it_is_free(
    desk: Desk,
) -> None:
    leaving, taking = desk.book(in_days(2, 10)), desk.book(in_days(2, 14))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.cancel"})
    desk.cancel(leaving)
    desk.move(taking, in_days(2, 10))

    desk.work_through(50, step=2)
    assert desk.open_findings() == [
        (leaving, "sync_failed", "HTTP_503"),
        (taking, "sync_failed", "SLOT_LEAVING"),
    ]

    desk.cal.heal()
    desk.work_through(200, step=10)
    assert desk.open_findings() == []
    assert desk.appointment(taking).calcom_sync_status is SyncState.SYNCED


def test_a_time_that_nobody_of_ours_leaves_is_refused_for_good(desk: Desk) -> None:
    staying, moving = desk.book(in_days(2, 10)), desk.book(in_days(2, 14))
    elsewhere = desk.book(in_days(5))
    desk.work()
    desk.pause()
    desk.move(elsewhere, in_days(6))
    desk.resume()

    desk.move(moving, in_days(2, 10))
    desk.work()

    assert desk.open_findings() == [(moving, "sync_failed", "SLOT_UNAVAILABLE")]
    assert desk.appointment(staying).calcom_sync_status is SyncState.SYNCED
