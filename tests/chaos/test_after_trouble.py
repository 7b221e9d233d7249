"""What a person does, or what time does, after something went wrong: still one booking, one mail,
and nothing that stays open without a reason."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.chaos.acts import ACTS, OPERATIONS, assert_they_agree, perform, prepare
from tests.desk import Desk, in_days
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.sync_state import FAILURES
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox

WRONG_SHAPE = {"kind": "old_version", "operation": "bookings.create", "times": 1}


def assert_no_mail_beyond(desk: Desk, *warranted: str) -> None:
    assert not Counter(desk.cal.mails()) - Counter(warranted)


def book_in_doubt_for_good(desk: Desk, way: str) -> int:
    """A create that Cal.com kept, but that was given up without our knowing its uid."""
    if way == "wrong shape":
        desk.cal.fail(WRONG_SHAPE)
        appointment_id = desk.book(in_days(2))
        desk.work()
    else:
        desk.cal.fail(
            {"kind": "reset_after", "operation": "bookings.create", "times": 1},
            {"kind": "status", "status": 503, "operation": "bookings.list"},
        )
        appointment_id = desk.book(in_days(2))
        desk.work_through(1700, step=10)
    assert [each.status.value for each in desk.intents(appointment_id)] == ["failed"]
    assert len(desk.cal.live_bookings()) == 1
    desk.cal.heal()
    return appointment_id


@pytest.mark.parametrize("way", ["wrong shape", "looks in vain"])
def test_a_move_after_a_create_given_up_in_doubt_moves_that_booking(desk: Desk, way: str) -> None:
    appointment_id = book_in_doubt_for_good(desk, way)

    desk.move(appointment_id, in_days(5))
    desk.work_through(60, step=2)

    assert len(desk.cal.live_bookings()) == 1
    assert_no_mail_beyond(desk, "created", "rescheduled")
    assert_they_agree(desk, appointment_id)


@pytest.mark.parametrize("way", ["wrong shape", "looks in vain"])
def test_a_cancellation_after_a_create_given_up_in_doubt_ends_that_booking(
    desk: Desk, way: str
) -> None:
    appointment_id = book_in_doubt_for_good(desk, way)

    desk.cancel(appointment_id)
    desk.work_through(60, step=2)

    assert desk.cal.live_bookings() == []
    assert_they_agree(desk, appointment_id)


def test_pushing_again_after_a_create_given_up_in_doubt_finds_that_booking(desk: Desk) -> None:
    appointment_id = book_in_doubt_for_good(desk, "wrong shape")

    assert desk.push_again(appointment_id)
    desk.work_through(60, step=2)

    assert desk.cal.mails() == ["created"]
    assert_they_agree(desk, appointment_id)


@pytest.mark.parametrize("refusal", [401, 403])
def test_cancelling_what_was_never_sent_closes_what_was_flagged(desk: Desk, refusal: int) -> None:
    desk.cal.fail({"kind": "status", "status": refusal, "operation": "bookings.create"})
    appointment_id = desk.book(in_days(2))
    desk.work()
    assert len(desk.open_findings()) == 1

    desk.cancel(appointment_id)
    desk.work_through(10)

    assert desk.cal.bookings() == []
    assert_they_agree(desk, appointment_id)


@pytest.mark.parametrize("status", [404, 409, 422])
def test_cancelling_what_was_refused_closes_what_was_flagged(desk: Desk, status: int) -> None:
    desk.cal.fail({"kind": "status", "status": status, "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work()
    assert len(desk.open_findings()) == 1

    desk.cancel(appointment_id)
    desk.work_through(10)

    assert desk.cal.mails() == []
    assert_they_agree(desk, appointment_id)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_unseen_success_behind_a_lagging_replica_alarms_nobody(
    desk: Desk, sandbox: RunningSandbox, operation: str
) -> None:
    """Reads show what was three seconds ago, and the first retry comes after one."""
    act = ACTS[operation]
    appointment_id = prepare(desk, act)
    sandbox.sandbox.clock.advance(10)
    desk.cal.fail(
        {"kind": "reset_after", "operation": act.at_calcom, "times": 1},
        {"kind": "replica_lag", "seconds": 3.0, "operation": "bookings"},
    )
    appointment_id = perform(desk, act, appointment_id)

    told: list[Any] = []
    for _ in range(30):
        desk.work_through(1)
        sandbox.sandbox.clock.advance(1)
        told += desk.open_findings()

    assert told == []
    assert desk.cal.mails() == list(act.mails)
    assert_they_agree(desk, appointment_id)


def test_a_look_for_a_lost_booking_goes_beyond_the_first_page(desk: Desk) -> None:
    """A busy event type: more bookings around that time than one page of a listing shows."""
    start = in_days(2, 6)
    others = [
        {
            "eventTypeId": desk.company.event_type_id,
            "start": (start + timedelta(minutes=3 * number)).isoformat(),
            "attendee": {"name": "Jo", "email": f"jo{number}@example.org", "timeZone": "UTC"},
            "lengthInMinutes": 3,
            "force": True,
        }
        for number in range(260)
    ]
    desk.cal.book(bookings=others)
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(start + timedelta(hours=14))
    desk.work()

    desk.move(appointment_id, start - timedelta(hours=1))
    desk.work_through(60, step=2)

    key = own_key(desk, appointment_id)
    own = [each for each in desk.cal.live_bookings() if each["metadata"].get("lockstep") == key]
    assert len(own) == 1
    assert Counter(desk.cal.mails())["created"] == 1


def own_key(desk: Desk, appointment_id: int) -> str:
    with as_company(desk.company.id):
        row = db.session.get_one(Appointment, (desk.company.id, appointment_id))
        return str(row.sync_key)


def test_a_move_answered_but_not_kept_leaves_one_booking_when_pushed_again(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "not_stored", "operation": "bookings.reschedule", "times": 1})
    desk.move(appointment_id, in_days(4))
    desk.work_through(240, step=15)
    assert desk.appointment(appointment_id).calcom_sync_status in FAILURES

    assert desk.push_again(appointment_id)
    desk.work_through(30, step=2)

    assert len(desk.cal.live_bookings()) == 1
    assert desk.cal.mails() == ["created", "rescheduled"]


def test_a_wrong_shape_is_forgotten_when_cal_com_speaks_ours_again(desk: Desk) -> None:
    desk.book(in_days(2))
    desk.work()
    desk.cal.fail(WRONG_SHAPE)
    desk.book(in_days(4))
    desk.work()
    desk.cal.heal()
    desk.book(in_days(3))
    desk.work()

    with as_company(desk.company.id):
        assert db.session.get_one(Company, desk.company.id).connection_error_code is None
