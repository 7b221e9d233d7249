"""Signed, and hostile: whatever a body holds, it is stored with a reason or refused, never a 5xx,
and nothing changes that shouldn't."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo

from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import Person, make_person
from tests.sync.test_receive import post
from tests.sync.test_triggers import booking
from tests.sync.test_triggers import seconds as with_seconds
from webapp.extensions import db
from webapp.jobs.deliveries import rehearse
from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import as_company

FIELDS = (
    *("uid", "bookingUid", "rescheduleUid", "bookingId", "status", "startTime", "endTime"),
    *("eventTypeId", "attendees", "metadata", "organizer", "title", "length", "responses"),
)
TRIGGERS = (
    *("BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_REQUESTED", "BOOKING_CANCELLED"),
    *("BOOKING_REJECTED", "BOOKING_NO_SHOW_UPDATED", "MEETING_ENDED", "OOO_CREATED", "", "\x00"),
)


def nested(depth: int) -> Any:
    found: Any = "deep"
    for _ in range(depth):
        found = {"in": [found]}
    return found


HOSTILE = (
    *(None, True, -1, 0, 2**63, 10**400, 1e308, "", " ", "\x00", "\ud800", "\u202e", "x" * 70_000),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
    *("2026-02-30T10:00:00Z", "2026-11-25T10:00:00", "tomorrow", "../../etc/passwd"),
    *([], {}, [[]], [None], [{}], [{"email": []}], nested(60), ["x"] * 3_000),
    *([{"email": "a@b.example", "name": {"x": 1}, "timeZone": "Nowhere/At_All"}],),
    *([{"email": "a@b.example", "timeZone": "../UTC", "language": {"locale": "\x00"}}],),
    *([{"email": "x" * 400 + "@example.org", "name": "\ud800\x00", "phoneNumber": 4930}],),
    *({"lockstep": "00000000-0000-0000-0000-000000000000"}, {"lockstep": ["x"]}, {"a\x00": "b"}),
)
CHANGES = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(HOSTILE), max_size=4)
MISSING = st.sets(st.sampled_from(FIELDS), max_size=3)


@given(st.sampled_from(TRIGGERS), CHANGES, MISSING, st.sampled_from(HOSTILE), st.booleans())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_hostile_field_is_stored_with_a_reason_and_breaks_nothing(
    desk: Desk,
    client: FlaskClient,
    trigger: str,
    changes: dict[str, Any],
    missing: set[str],
    created_at: Any,
    is_flat: bool,
) -> None:
    bystander = _bystander(desk)
    before = _columns(desk, bystander)
    payload = {**booking(desk, "ACCEPTED", with_seconds), **changes}
    payload = {name: value for name, value in payload.items() if name not in missing}
    body = {"triggerEvent": trigger, "createdAt": created_at}
    raw = json.dumps({**body, **(payload if is_flat else {"payload": payload})}).encode()

    answer = post(client, desk, raw)
    desk.work()

    assert answer.status_code == 200
    assert _columns(desk, bystander) == before
    _assert_all_has_an_outcome(desk)
    _assert_what_was_made_is_sound(desk)


BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            *(b"", b"null", b"[]", b"{}", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe{}"),
            *(b"NaN", b'{"triggerEvent": 1e999}', b"9" * 100_000, b'"\\ud800"', b"\x00" * 50),
            *(b'{"triggerEvent":"BOOKING_CREATED","payload":{"uid":"\\u0000"}}', b" " * 300_000),
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode()),
)


@given(BODIES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_signed_bytes_are_stored_or_refused(
    desk: Desk, client: FlaskClient, raw: bytes
) -> None:
    answer = post(client, desk, raw)
    desk.work()

    assert answer.status_code == (413 if len(raw) > 262_144 else 200)
    assert desk.appointments() == []
    _assert_all_has_an_outcome(desk)


def test_hostile_deliveries_can_be_looked_at_and_rehearsed(desk: Desk, client: FlaskClient) -> None:
    for value in HOSTILE:
        for name in ("title", "uid", "attendees", "startTime"):
            payload = {**booking(desk, "ACCEPTED", with_seconds), name: value}
            body = {"triggerEvent": "BOOKING_CREATED", "createdAt": value, "payload": payload}
            post(client, desk, json.dumps(body).encode())
    end_of_days = {"uid": "theLastBookingOfAllDays", "startTime": "9999-12-31T23:00:00Z"}
    end_of_days["endTime"] = "9999-12-31T23:30:00Z"
    last = {**booking(desk, "ACCEPTED", with_seconds), **end_of_days}
    post(client, desk, json.dumps({"triggerEvent": "BOOKING_CREATED", "payload": last}).encode())
    desk.work_through(6, step=6)

    with as_company(desk.company.id):
        ids = list(db.session.scalars(select(Delivery.id)))
        db.session.rollback()
        for delivery_id in ids[::10]:
            rehearse(delivery_id)
    # In a thread: a request of its own, outside of the context that tests of the engine are in.
    with ThreadPoolExecutor(1) as visitor:
        visitor.submit(_visit, client, make_person(desk.company), ids[::10]).result()
    _assert_what_was_made_is_sound(desk)


def _visit(client: FlaskClient, admin: Person, delivery_ids: list[int]) -> None:
    client.post("/login", data={"email": admin.email, "password": admin.password})
    pages = [f"/deliveries/{each}" for each in delivery_ids]
    for path in ("/", "/appointments?period=all", "/deliveries", *pages):
        assert client.get(path).status_code == 200, path


def _bystander(desk: Desk) -> int:
    """An appointment that no delivery of these tests is about."""
    found = [each for each in desk.appointments() if desk.appointment(each).notes == "bystander"]
    if found:
        return found[0]
    appointment_id = desk.book(in_days(9))
    desk.work()
    with as_company(desk.company.id):
        desk._row(appointment_id).notes = "bystander"
        db.session.commit()
    return appointment_id


def _columns(desk: Desk, appointment_id: int) -> dict[str, Any]:
    """What a delivery may change; proofs and verifications have an hour of their own."""
    row = desk.appointment(appointment_id)
    names = ("status", "starts_at", "ends_at", "guests", "customer_id", "calcom_v2_booking_id")
    return {name: getattr(row, name) for name in (*names, "calcom_sync_status", "base_starts_at")}


def _assert_all_has_an_outcome(desk: Desk) -> None:
    with as_company(desk.company.id):
        for row in db.session.scalars(select(Delivery)):
            waits = row.status is DeliveryStatus.RECEIVED and row.reason == "read_again"
            assert waits or row.status is not DeliveryStatus.RECEIVED, row.reason
            assert row.reason or row.status is DeliveryStatus.APPLIED


def _assert_what_was_made_is_sound(desk: Desk) -> None:
    with as_company(desk.company.id):
        for row in db.session.scalars(select(Appointment)):
            assert 2000 <= row.starts_at.year <= 2199
        for customer in db.session.scalars(select(Customer)):
            ZoneInfo(customer.time_zone)
            assert "\x00" not in customer.name
