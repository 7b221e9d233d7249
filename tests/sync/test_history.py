"""The timeline says what became of a change, also where nothing was sent or somebody took over."""

import pytest

from tests.chaos.acts import history
from tests.desk import Desk, in_days
from webapp.models.sync_state import SyncState


def test_what_a_newer_wish_replaced_is_said(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.move(appointment_id, in_days(3))
    desk.work()

    assert desk.events(appointment_id) == ["booked", "rescheduled", "superseded", "pushed"]


def test_a_create_cancelled_unsent_is_said_to_need_nothing(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.cancel(appointment_id)
    desk.work()

    assert desk.events(appointment_id) == ["booked", "cancelled", "superseded", "nothing_to_push"]


@pytest.mark.parametrize(
    ("status", "then"), [(503, [("push_waits", "LISTING_LAGS")]), (422, [])], ids=["doubt", "final"]
)
def test_a_try_that_failed_while_a_newer_wish_waited_is_said_with_its_reason(
    desk: Desk, status: int, then: list[tuple[str, str]]
) -> None:
    appointment_id = desk.book(in_days(2))
    claim = desk.claim(desk.intents(appointment_id)[0].id)
    desk.move(appointment_id, in_days(3))
    desk.cal.fail({"kind": "status", "status": status, "operation": "bookings.create", "times": 1})

    desk.carry_and_settle(claim)
    desk.work_through(10)

    assert history(desk, appointment_id) == [
        ("booked", None),
        ("rescheduled", None),
        ("superseded", f"HTTP_{status}"),
        *then,
        ("pushed", None),
    ]
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []
