"""A booking's life on Cal.com, told in any order, with duplicates and pauses: it ends alike."""

import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.sync.test_receive import post, push_operations
from tests.sync.test_triggers import booking, offset, person
from tests.sync.test_triggers import seconds as with_seconds
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company

STEPS = ("created", "first move", "second move", "cancelled")
_lives = itertools.count()


@dataclass(frozen=True)
class Life:
    """What happened over there, and the four bodies that tell of it, in order."""

    uids: tuple[str, str, str]
    last_start: datetime
    bodies: tuple[bytes, bytes, bytes, bytes]


def live(desk: Desk) -> Life:
    """Book, move twice and cancel on Cal.com, which holds the truth from now on."""
    starts = [in_days(3 + 3 * next(_lives) + each) for each in range(3)]
    uids = [_book(desk, starts[0])]
    for start in starts[1:]:
        uids.append(desk.cal.change(uids[-1], "reschedule", start=start.isoformat())["uid"])
    desk.cal.change(uids[-1], "cancel", reason="Ill")
    moves = [
        _body(desk, number, "BOOKING_RESCHEDULED", uids[number], starts[number], uids[number - 1])
        for number in (1, 2)
    ]
    return Life(
        uids=(uids[0], uids[1], uids[2]),
        last_start=starts[2],
        bodies=(
            _body(desk, 0, "BOOKING_CREATED", uids[0], starts[0]),
            moves[0],
            moves[1],
            _body(desk, 3, "BOOKING_CANCELLED", uids[2], starts[2]),
        ),
    )


def _book(desk: Desk, start: datetime) -> str:
    made = desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=start.isoformat(),
        attendee={"name": "Jo Visitor", "email": "jo@example.org", "timeZone": "Europe/Berlin"},
    )
    return str(made["uid"])


def _body(
    desk: Desk, number: int, trigger: str, uid: str, start: datetime, old: str | None = None
) -> bytes:
    is_over = trigger == "BOOKING_CANCELLED"
    spell = offset if is_over else with_seconds
    fields: dict[str, Any] = {
        "uid": uid,
        "startTime": spell(start),
        "endTime": spell(start + timedelta(minutes=30)),
        "attendees": [person()],
    }
    fields |= {"cancellationReason": "Ill", "requestReschedule": False} if is_over else {}
    fields |= {"rescheduleUid": old, "metadata": {}} if old else {}
    payload = booking(desk, "CANCELLED" if is_over else "ACCEPTED", spell, **fields)
    sent_at = (clock.now() + timedelta(milliseconds=number)).isoformat()
    return json.dumps({"triggerEvent": trigger, "createdAt": sent_at, "payload": payload}).encode()


def tell(
    desk: Desk, client: FlaskClient, life: Life, order: list[int], pauses: list[float]
) -> None:
    for step, pause in zip(order, pauses, strict=True):
        assert post(client, desk, life.bodies[step]).status_code == 200
        desk.work_through(pause, step=3)
    desk.work_through(12, step=3)


def assert_it_ended_right(desk: Desk, life: Life) -> None:
    with as_company(desk.company.id):
        holders = select(BookingAlias.appointment_id).where(BookingAlias.uid.in_(life.uids))
        [appointment_id] = set(db.session.scalars(holders))
        uids = select(BookingAlias.uid).where(BookingAlias.appointment_id == appointment_id)
        assert set(db.session.scalars(uids)) == set(life.uids)
        row = db.session.scalars(select(Appointment).where(Appointment.id == appointment_id)).one()
        assert row.status is AppointmentStatus.CANCELLED
        assert (row.starts_at, row.calcom_v2_booking_id) == (life.last_start, life.uids[2])
        assert row.cancellation_reason == "Ill"
        assert row.calcom_sync_status is SyncState.SYNCED
        assert not row.requires_manual_review
    assert desk.open_findings() == []
    assert push_operations(desk) == []


ORDERS = st.permutations(range(4)).flatmap(
    lambda order: st.lists(st.sampled_from(range(4)), max_size=3).map(lambda more: order + more)
)


@given(ORDERS, st.data())
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_with_duplicates_and_pauses_ends_alike(
    desk: Desk, client: FlaskClient, order: list[int], data: st.DataObject
) -> None:
    pauses = data.draw(st.lists(st.sampled_from([0, 6]), min_size=len(order), max_size=len(order)))
    life = live(desk)
    before = len(desk.appointments())

    tell(desk, client, life, order, pauses)

    assert len(desk.appointments()) == before + 1
    assert_it_ended_right(desk, life)


@pytest.mark.long
@pytest.mark.parametrize("pause", [0, 6])
def test_each_of_the_24_orders_ends_alike(desk: Desk, client: FlaskClient, pause: float) -> None:
    for order in itertools.permutations(range(4)):
        life = live(desk)
        tell(desk, client, life, list(order), [pause] * 4)
        assert_it_ended_right(desk, life)


def test_the_second_move_before_the_first_makes_no_second_appointment(
    desk: Desk, client: FlaskClient
) -> None:
    life = live(desk)

    tell(desk, client, life, [0, 2, 1, 3], [0, 0, 6, 0])

    assert len(desk.appointments()) == 1
    assert_it_ended_right(desk, life)


def test_a_booking_told_after_its_cancellation_was_worked_off_is_cancelled_from_the_start(
    desk: Desk, client: FlaskClient
) -> None:
    start = in_days(3)
    uid = _book(desk, start)
    desk.cal.change(uid, "cancel", reason="Ill")
    bodies = [
        _body(desk, number, trigger, uid, start)
        for number, trigger in enumerate(("BOOKING_CREATED", "BOOKING_CANCELLED"))
    ]

    post(client, desk, bodies[1])
    desk.work_through(6, step=6)
    assert desk.appointments() == []
    post(client, desk, bodies[0])
    desk.work_through(12, step=6)

    [appointment_id] = desk.appointments()
    row = desk.appointment(appointment_id)
    assert (row.status, row.cancellation_reason) == (AppointmentStatus.CANCELLED, "Ill")
    assert desk.open_findings() == []
