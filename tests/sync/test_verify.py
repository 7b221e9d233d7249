"""Both sides are compared, and what is found is flagged, told and closes by itself."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.settlement import settle_finding


@pytest.fixture
def booked(desk: Desk) -> int:
    """An appointment that stands on both sides, past its grace period."""
    appointment_id = desk.book(in_days(5))
    desk.work()
    clock.advance(timedelta(minutes=10))
    return appointment_id


def test_a_booking_moved_on_calcom_is_a_mismatch_with_evidence(desk: Desk, booked: int) -> None:
    uid = desk.appointment(booked).calcom_v2_booking_id
    desk.cal.change(uid, "reschedule", start=in_days(6).isoformat())

    desk.ask_to_verify(booked)
    desk.work()

    row = desk.appointment(booked)
    assert row.calcom_sync_status is SyncState.FAILED
    assert (row.sync_error_code, row.sync_attempt_count) == ("DATA_MISMATCH", 1)
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    evidence = desk.evidence(booked)["fields"]["starts_at"]
    assert evidence["moved"] == "theirs"
    assert evidence["base"] == evidence["ours"] == in_days(5).isoformat()
    assert evidence["theirs"] == in_days(6).isoformat()


def test_a_mismatch_put_right_and_retried_closes_with_its_notification(
    desk: Desk, booked: int, engine: Flask
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    uid = desk.appointment(booked).calcom_v2_booking_id
    moved = desk.cal.change(uid, "reschedule", start=in_days(6).isoformat())
    desk.ask_to_verify(booked)
    desk.work()
    assert desk.inbox(admin.id) == [("data_mismatch", True)]

    desk.cal.change(moved["uid"], "reschedule", start=in_days(5).isoformat())
    assert desk.retry(booked)
    assert desk.appointment(booked).calcom_sync_status is SyncState.VERIFICATION_PENDING
    desk.work()

    row = desk.appointment(booked)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert (row.requires_manual_review, row.sync_error_code) == (False, None)
    assert desk.open_findings() == []
    assert desk.inbox(admin.id) == [("data_mismatch", False)]


def test_a_vanished_booking_counts_at_once_when_a_person_asks(desk: Desk, booked: int) -> None:
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id)

    desk.ask_to_verify(booked)
    desk.work()

    row = desk.appointment(booked)
    assert row.calcom_sync_status is SyncState.ORPHANED_LOCAL
    assert row.requires_manual_review
    assert desk.open_findings() == [(booked, "orphaned_local", "ORPHANED_LOCAL")]


def test_an_orphan_pushed_again_stands_on_both_sides(desk: Desk, booked: int) -> None:
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id)
    desk.ask_to_verify(booked)
    desk.work()

    assert desk.push_again(booked)
    desk.work()

    [booking] = desk.cal.live_bookings()
    row = desk.appointment(booked)
    assert row.calcom_v2_booking_id == booking["uid"]
    assert row.calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []


def test_an_automatic_verification_needs_two_sightings_of_an_absence(
    desk: Desk, booked: int
) -> None:
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id)

    desk.verify_automatically(booked)
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []

    desk.work_through(120, step=20)
    assert desk.appointment(booked).calcom_sync_status is SyncState.ORPHANED_LOCAL


def test_absence_within_the_grace_period_after_a_write_says_nothing(desk: Desk) -> None:
    appointment_id = desk.book(in_days(5))
    desk.work()
    desk.cal.vanish(desk.appointment(appointment_id).calcom_v2_booking_id)

    desk.ask_to_verify(appointment_id)
    desk.work()
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED

    desk.work_through(80, step=10)
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.ORPHANED_LOCAL


def test_absence_means_nothing_while_the_key_is_refused(desk: Desk, booked: int) -> None:
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id)
    desk.cal.fail({"kind": "status", "status": 401, "operation": "me"})

    desk.ask_to_verify(booked)
    desk.work()

    assert desk.appointment(booked).calcom_sync_status is not SyncState.ORPHANED_LOCAL


def test_a_successor_by_reschedule_is_followed_before_anything_is_called_cancelled(
    desk: Desk, booked: int
) -> None:
    uid = desk.appointment(booked).calcom_v2_booking_id
    second = desk.cal.change(uid, "reschedule", start=in_days(6).isoformat())
    third = desk.cal.change(second["uid"], "reschedule", start=in_days(5).isoformat())

    desk.ask_to_verify(booked)
    desk.work()

    row = desk.appointment(booked)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.calcom_v2_booking_id == third["uid"]


def test_a_booking_cancelled_there_is_a_mismatch_of_status(desk: Desk, booked: int) -> None:
    desk.cal.change(desk.appointment(booked).calcom_v2_booking_id, "cancel", reason="x")

    desk.ask_to_verify(booked)
    desk.work()

    assert desk.evidence(booked)["fields"]["status"]["theirs"] == "cancelled"
    assert desk.push_again(booked)
    desk.work()
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED
    assert len(desk.cal.live_bookings()) == 1


def test_completed_agrees_with_an_accepted_booking(desk: Desk, booked: int) -> None:
    desk.set_status(booked, AppointmentStatus.COMPLETED)

    desk.ask_to_verify(booked)
    desk.work()

    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED


def test_errors_are_flagged_and_told_from_the_third_time_on(desk: Desk, booked: int) -> None:
    desk.cal.fail({"kind": "status", "status": 500, "operation": "bookings.get"})

    desk.ask_to_verify(booked)
    desk.work()
    assert desk.open_findings() == []
    desk.work_through(70, step=10)
    assert desk.open_findings() == []
    desk.work_through(300, step=30)

    assert desk.open_findings() == [(booked, "verification_error", "VERIFICATION_ERROR")]
    desk.cal.heal()
    desk.work_through(900, step=60)
    assert desk.open_findings() == []
    assert desk.appointment(booked).calcom_sync_status is SyncState.SYNCED


def test_routine_agreement_writes_no_history(desk: Desk, booked: int) -> None:
    before = desk.events(booked)

    desk.verify_automatically(booked)

    assert desk.events(booked) == before


def test_a_verification_skips_an_appointment_whose_push_is_still_on_its_way(desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    appointment_id = desk.book(in_days(5))
    desk.work()

    desk.ask_to_verify(appointment_id)
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.PENDING
    assert desk.open_findings() == []


def test_a_run_finds_what_disagrees_and_counts_what_it_compared(desk: Desk) -> None:
    _, second, _ = (desk.book(in_days(day)) for day in (5, 6, 7))
    desk.work()
    clock.advance(timedelta(minutes=10))
    desk.cal.change(
        desk.appointment(second).calcom_v2_booking_id, "reschedule", start=in_days(9).isoformat()
    )

    run = desk.run()

    assert (run.status.value, run.compared_count, run.agreed_count) == ("done", 3, 2)
    assert [each[0] for each in desk.open_findings()] == [second]


def test_two_runs_of_a_company_never_run_at_once(desk: Desk) -> None:
    assert desk.start_run() is not None
    assert desk.start_run() is None


def test_a_run_whose_key_is_refused_fails_and_tells_once(desk: Desk) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.book(in_days(5))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 401, "operation": "me"})

    run = desk.run()
    desk.run()

    assert (run.status.value, run.error_code) == ("failed", "UNAUTHORIZED")
    assert desk.inbox(admin.id) == [("connection_broken", True)]


def test_what_is_missing_because_its_push_failed_is_told_once_and_says_why(desk: Desk) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.create"})
    appointment_id = desk.book(in_days(5))
    desk.work()
    desk.cal.heal()

    desk.ask_to_verify(appointment_id)
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.ORPHANED_LOCAL
    assert desk.open_findings() == [(appointment_id, "orphaned_local", "ORPHANED_LOCAL")]
    assert desk.evidence(appointment_id)["cause"] == "HTTP_422"
    assert desk.inbox(admin.id) == [("sync_failed", True)]
    assert desk.push_again(appointment_id)
    desk.work()
    assert desk.inbox(admin.id) == [("sync_failed", False)]


def test_errors_count_in_a_row_and_take_the_place_of_no_other_finding(
    desk: Desk, booked: int
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    uid = desk.appointment(booked).calcom_v2_booking_id
    desk.cal.change(uid, "reschedule", start=in_days(6).isoformat())
    for _ in range(2):
        desk.verify_automatically(booked)
    evidence = desk.evidence(booked)

    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get"})
    desk.verify_automatically(booked)
    row = desk.appointment(booked)
    assert (row.sync_attempt_count, row.verification_error_streak) == (3, 1)
    assert row.next_verification_at is not None
    assert row.next_verification_at < clock.now() + timedelta(seconds=61), "the first pause"
    desk.work_through(1300, step=100)
    desk.cal.heal()

    assert desk.appointment(booked).verification_error_streak == 4
    assert desk.open_findings() == [(booked, "data_mismatch", "DATA_MISMATCH")]
    assert desk.evidence(booked) == evidence
    assert desk.inbox(admin.id) == [("data_mismatch", True)]
    desk.verify_automatically(booked)
    assert desk.appointment(booked).verification_error_streak == 0


def test_errors_bring_back_nothing_that_was_dismissed(desk: Desk, booked: int) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.vanish(desk.appointment(booked).calcom_v2_booking_id)
    desk.ask_to_verify(booked)
    desk.work()
    with as_company(desk.company.id):
        finding = db.session.scalars(select(Discrepancy.id)).one()
        act = Action.DISMISS
        settle_finding(db.session(), finding, act, now=clock.now(), user_id=admin.id, note="Known")
        db.session.commit()

    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get"})
    desk.verify_automatically(booked)
    desk.work_through(1300, step=100)
    desk.cal.heal()
    desk.verify_automatically(booked)

    assert desk.open_findings() == []
    assert desk.inbox(admin.id) == [("orphaned_local", False)]
    assert desk.appointment(booked).calcom_sync_status is SyncState.ORPHANED_LOCAL
