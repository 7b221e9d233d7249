"""Cal.com has answered 201 and kept nothing: recent creates are proven, many by one listing."""

from datetime import timedelta

import pytest

from tests.desk import Desk, in_days
from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.proof import record_proofs, take_unproven


def listings(desk: Desk) -> int:
    return desk.cal.operations().count("bookings.list")


def test_many_creates_are_proven_by_one_listing_and_no_get(desk: Desk) -> None:
    for hour in range(6, 18):
        desk.book(in_days(2, hour))

    desk.work_through(40, step=20)

    assert listings(desk) == 1
    assert desk.cal.operations().count("bookings.get") == 0
    assert desk.open_findings() == []


def test_a_create_that_was_answered_but_not_kept_is_found_and_flagged(desk: Desk) -> None:
    desk.cal.fail({"kind": "not_stored", "operation": "bookings.create", "times": 1})
    lost = desk.book(in_days(2))
    kept = desk.book(in_days(3))
    desk.work()
    assert desk.appointment(lost).calcom_sync_status is SyncState.SYNCED

    desk.work_through(240, step=15)

    assert desk.open_findings() == [(lost, "orphaned_local", "ORPHANED_LOCAL")]
    assert "absence_suspected" in desk.events(lost)
    assert desk.appointment(kept).calcom_sync_status is SyncState.SYNCED
    assert desk.push_again(lost)
    desk.work()
    assert len(desk.cal.live_bookings()) == 2


def test_a_move_pushed_during_the_listing_keeps_the_proof_of_its_own(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    uid = str(desk.appointment(appointment_id).calcom_v2_booking_id)
    clock.advance(timedelta(seconds=settings().proof_seconds + 1))
    with as_company(desk.company.id):
        unproven = take_unproven(db.session(), now=clock.now())
        db.session.commit()
    assert unproven is not None

    desk.move(appointment_id, in_days(4))
    desk.work()
    with as_company(desk.company.id):
        record_proofs(db.session(), unproven, {uid}, now=clock.now())
        db.session.commit()

    due_at = clock.now() + timedelta(seconds=settings().proof_seconds)
    left = desk.appointment(appointment_id).existence_due_at
    assert left is not None
    assert abs(left - due_at) < timedelta(seconds=5)


def test_a_listing_that_lags_accuses_nobody(desk: Desk) -> None:
    desk.cal.fail({"kind": "empty_list", "operation": "bookings.list", "times": 1})
    appointment_id = desk.book(in_days(2))

    desk.work_through(240, step=15)

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []


@pytest.mark.parametrize("status", [500, 429, 401])
def test_a_proof_that_cannot_be_asked_for_is_asked_for_again(desk: Desk, status: int) -> None:
    desk.cal.fail({"kind": "status", "status": status, "operation": "bookings.list", "times": 1})
    appointment_id = desk.book(in_days(2))

    desk.work_through(120, step=15)

    assert listings(desk) == 2
    assert desk.appointment(appointment_id).existence_due_at is None
    assert desk.open_findings() == []


def test_a_cancelled_appointment_needs_no_proof(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cancel(appointment_id)

    desk.work_through(60, step=15)

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []
