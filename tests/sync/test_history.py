"""The timeline says what became of a change, also where nothing was sent or somebody took over."""

import pytest
from flask import Flask

from tests.chaos.acts import history
from tests.desk import Desk, in_days
from webapp.extensions import db
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.views.timeline_entries import TRIES, timeline_entries


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


def tries(desk: Desk, engine: Flask, appointment_id: int) -> list[str]:
    """What the timeline says of each try at a change, oldest first."""
    with engine.test_request_context("/"), as_company(desk.company.id):
        entries = timeline_entries(db.session(), appointment_id).entries
        marks = TRIES.values()
        return [" ".join(each.sentences) for each in reversed(entries) if each.mark in marks]


def test_a_refused_booking_is_not_said_to_be_booked(desk: Desk, engine: Flask) -> None:
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work()
    assert desk.push_again(appointment_id)
    desk.work()

    refused, done = tries(desk, engine, appointment_id)
    assert refused.startswith("Asked Cal.com: tried to book. ")
    assert done == "Asked Cal.com: looked through the bookings, booked. It went through."


def test_a_reading_that_came_to_nothing_is_not_said_to_have_been_read(
    desk: Desk, engine: Flask
) -> None:
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.create", "times": 1},
        {"kind": "status", "status": 503, "operation": "bookings.list", "times": 1},
    )
    appointment_id = desk.book(in_days(2))
    desk.work_through(20)

    assert [each.split(".")[1].strip(" com:") for each in tries(desk, engine, appointment_id)] == [
        "tried to book",
        "tried to look through the bookings",
        "looked through the bookings",
    ]


def test_what_was_looked_for_in_vain_is_not_said_to_have_gone_through(
    desk: Desk, engine: Flask
) -> None:
    """The other half of a create in doubt: the listing doesn't show it yet."""
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.move(appointment_id, in_days(3))
    desk.work()

    [_, waited] = tries(desk, engine, appointment_id)
    assert "through the bookings. An earlier try" in waited


def test_turns_in_vain_are_no_tries(desk: Desk, engine: Flask) -> None:
    """While the breaker is open nothing is sent; that it waits is said once."""
    desk.cal.fail({"kind": "status", "status": 503})
    others = [desk.book(in_days(2, hour)) for hour in range(7, 13)]
    desk.work()
    waiting = desk.book(in_days(3))
    desk.work_through(50, step=10)

    assert tries(desk, engine, waiting) == []
    assert history(desk, waiting) == [("booked", None), ("push_waits", "CIRCUIT_OPEN")]
    assert all("tried to book" in each for each in tries(desk, engine, others[0]))
