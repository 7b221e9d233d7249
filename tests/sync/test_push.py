"""A change reaches Cal.com once, whatever happens on the way."""

from datetime import timedelta

import pytest

from tests.desk import Desk, in_days
from webapp import clock
from webapp.models.appointment import AppointmentStatus
from webapp.models.sync_state import SyncState


def test_a_booked_appointment_stands_on_calcom_with_one_mail(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))

    desk.work()

    row = desk.appointment(appointment_id)
    [booking] = desk.cal.live_bookings()
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.status is AppointmentStatus.CONFIRMED
    assert row.calcom_v2_booking_id == booking["uid"]
    assert row.base_starts_at == in_days(2)
    assert desk.cal.mails() == ["created"]


def test_a_reschedule_follows_the_new_uid(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    first_uid = desk.appointment(appointment_id).calcom_v2_booking_id

    desk.move(appointment_id, in_days(3))
    desk.work()
    desk.move(appointment_id, in_days(4))
    desk.work()

    row = desk.appointment(appointment_id)
    [booking] = desk.cal.live_bookings()
    assert row.calcom_v2_booking_id == booking["uid"] != first_uid
    assert row.calcom_sync_status is SyncState.SYNCED
    assert desk.cal.mails() == ["created", "rescheduled", "rescheduled"]


def test_a_cancellation_ends_the_booking(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()

    desk.cancel(appointment_id)
    desk.work()

    assert desk.cal.live_bookings() == []
    row = desk.appointment(appointment_id)
    assert (row.status, row.calcom_sync_status) == (
        AppointmentStatus.CANCELLED,
        SyncState.SYNCED,
    )
    assert desk.cal.mails() == ["created", "cancelled"]


def test_a_booking_cancelled_before_it_was_sent_never_reaches_calcom(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.cancel(appointment_id)

    desk.work()

    assert desk.cal.bookings() == []
    assert desk.cal.mails() == []
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert "nothing_to_push" in desk.events(appointment_id)


def test_waiting_wishes_collapse_to_the_newest(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.move(appointment_id, in_days(3))
    desk.move(appointment_id, in_days(4))

    desk.work()

    [booking] = desk.cal.bookings()
    assert booking["start"].startswith(in_days(4).strftime("%Y-%m-%dT%H:%M"))
    assert desk.cal.mails() == ["created"]
    assert [intent.status.value for intent in desk.intents(appointment_id)] == [
        "superseded",
        "superseded",
        "done",
    ]


@pytest.mark.parametrize("fault", ["reset_after", "timeout_after"])
def test_a_create_that_took_effect_unseen_is_looked_up_before_it_is_repeated(
    desk: Desk, fault: str
) -> None:
    desk.cal.fail({"kind": fault, "operation": "bookings.create", "times": 1})
    appointment_id = desk.book()

    desk.work_through(10)

    assert len(desk.cal.bookings()) == 1
    assert desk.cal.mails() == ["created"]
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.cal.operations().count("bookings.create") == 1


def test_ten_creates_that_time_out_after_storing_end_as_ten_bookings(desk: Desk) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create"})
    appointments = [desk.book(in_days(2, hour)) for hour in range(6, 16)]

    desk.work_through(10)

    assert len(desk.cal.live_bookings()) == 10
    assert desk.cal.mails() == ["created"] * 10
    states = {desk.appointment(each).calcom_sync_status for each in appointments}
    assert states == {SyncState.SYNCED}


def test_a_reschedule_that_took_effect_unseen_is_not_repeated(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.reschedule", "times": 1})

    desk.move(appointment_id, in_days(3))
    desk.work_through(10)

    assert desk.cal.mails() == ["created", "rescheduled"]
    [booking] = desk.cal.live_bookings()
    assert desk.appointment(appointment_id).calcom_v2_booking_id == booking["uid"]


def test_a_cancel_that_took_effect_unseen_is_success(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.cancel", "times": 1})

    desk.cancel(appointment_id)
    desk.work_through(10)

    assert desk.cal.mails() == ["created", "cancelled"]
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_a_new_wish_after_an_unseen_create_moves_that_booking(desk: Desk) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work()

    desk.move(appointment_id, in_days(3))
    desk.work_through(10)

    [booking] = desk.cal.live_bookings()
    assert booking["start"].startswith(in_days(3).strftime("%Y-%m-%dT%H:%M"))
    assert desk.cal.mails() == ["created", "rescheduled"]


def test_a_new_wish_waits_for_a_listing_that_lags_behind_an_unseen_create(desk: Desk) -> None:
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.create", "times": 1},
        {"kind": "replica_lag", "seconds": 1.0},
    )
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.move(appointment_id, in_days(3))
    desk.work()
    assert len(desk.cal.bookings()) == 1

    desk.cal.heal()
    desk.work_through(10)

    assert len(desk.cal.live_bookings()) == 1
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_what_keeps_failing_is_flagged_after_three_retries_and_heals_by_itself(
    desk: Desk,
) -> None:
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.create"})
    appointment_id = desk.book()

    desk.work_through(50)

    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.FAILED
    assert (row.requires_manual_review, row.sync_error_code) == (True, "HTTP_503")
    assert desk.open_findings() == [(appointment_id, "sync_failed", "HTTP_503")]
    assert desk.cal.operations().count("bookings.create") == 4

    desk.cal.heal()
    desk.work_through(80, step=10)

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []
    assert desk.cal.mails() == ["created"]


def test_a_taken_slot_is_final_at_once(desk: Desk) -> None:
    desk.book(in_days(2))
    desk.work()
    second = desk.book(in_days(2))

    desk.work_through(40)

    row = desk.appointment(second)
    assert row.calcom_sync_status is SyncState.FAILED
    assert row.requires_manual_review
    assert len(desk.cal.live_bookings()) == 1
    assert len(desk.open_findings()) == 1


def test_a_rate_limit_waits_without_using_up_an_attempt(desk: Desk) -> None:
    desk.cal.fail(
        {"kind": "rate_limited", "reset_seconds": 20, "operation": "bookings.create", "times": 1}
    )
    appointment_id = desk.book()

    desk.work_through(10)
    [intent] = desk.intents(appointment_id)
    assert (intent.status.value, intent.attempt_count) == ("waiting", 0)

    desk.work_through(15)
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert "push_waits" in desk.events(appointment_id)


def test_a_worker_that_died_is_taken_over_and_its_call_is_looked_up(desk: Desk) -> None:
    from webapp.extensions import db
    from webapp.jobs.push import _call, _lease
    from webapp.models.tenancy import as_company
    from webapp.sync.push import claim_intent

    appointment_id = desk.book()
    [intent] = desk.intents(appointment_id)
    with as_company(desk.company.id):
        claim = claim_intent(db.session(), intent.id, now=clock.now(), lease=_lease())
        db.session.commit()
        assert claim is not None
        assert _call(claim).error is None  # and here the worker dies

    desk.work()
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.PENDING
    clock.advance(timedelta(seconds=45))
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.cal.mails() == ["created"]
