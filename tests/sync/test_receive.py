"""What Cal.com's webhooks do to our appointments: signed, once, in any order, never pushed back.

The sandbox sends them over HTTP to the real route of a server in this process."""

import hashlib
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_service
from webapp.calcom.signatures import sign
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.audit import AuditEntry
from webapp.models.delivery import Delivery
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox


def deliveries(desk: Desk) -> list[tuple[str, str, str | None]]:
    with as_company(desk.company.id):
        rows = db.session.scalars(select(Delivery).order_by(Delivery.id))
        return [(row.trigger, row.status.value, row.reason) for row in rows]


def push_operations(desk: Desk) -> list[str]:
    writes = ("bookings.create", "bookings.reschedule", "bookings.cancel")
    return [each for each in desk.cal.operations() if each in writes]


@pytest.mark.usefixtures("door")
def test_a_booking_made_on_calcom_becomes_an_appointment_and_is_not_pushed_back(
    desk: Desk,
) -> None:
    desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(4).isoformat(),
        attendee={"name": "Jo Visitor", "email": "JO@Example.org", "timeZone": "Europe/Berlin"},
    )
    desk.settle()

    [appointment_id] = desk.appointments()
    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert (row.status, row.sync_origin) == (AppointmentStatus.CONFIRMED, Origin.CALCOM)
    assert row.starts_at == in_days(4)
    assert desk.events(appointment_id) == ["imported", "push_back_suppressed"]
    assert push_operations(desk) == []


@pytest.mark.usefixtures("door")
def test_the_echo_of_our_own_push_imports_nothing(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()
    desk.settle()

    assert desk.appointments() == [appointment_id]
    assert deliveries(desk) == [("BOOKING_CREATED", "ignored", "echo")]
    assert "echo_suppressed" in desk.events(appointment_id)
    assert push_operations(desk) == ["bookings.create"]


@pytest.mark.usefixtures("door")
def test_an_echo_that_arrives_before_the_answer_imports_nothing(desk: Desk) -> None:
    """Cal.com stored and told us, but the answer to our create was lost on the way."""
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    appointment_id = desk.book()
    desk.work()
    desk.settle()
    assert deliveries(desk) == [("BOOKING_CREATED", "ignored", "echo")]

    desk.work_through(10)
    desk.settle()

    assert desk.appointments() == [appointment_id]
    assert len(desk.cal.live_bookings()) == 1
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


@pytest.mark.usefixtures("door")
def test_a_move_on_calcom_moves_the_appointment_to_the_new_uid(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.settle()
    old_uid = desk.appointment(appointment_id).calcom_v2_booking_id

    moved = desk.cal.change(old_uid, "reschedule", start=in_days(3).isoformat())
    desk.settle()

    row = desk.appointment(appointment_id)
    assert row.calcom_v2_booking_id == moved["uid"] != old_uid
    assert row.starts_at == row.base_starts_at == in_days(3)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert push_operations(desk) == ["bookings.create"]


@pytest.mark.usefixtures("door")
def test_a_cancellation_on_calcom_cancels_here_and_is_not_pushed_back(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()
    desk.settle()

    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.change(uid, "cancel", reason="No time")
    desk.settle()

    row = desk.appointment(appointment_id)
    assert row.status is AppointmentStatus.CANCELLED
    assert row.cancellation_reason == "No time"
    assert row.calcom_sync_status is SyncState.SYNCED
    assert push_operations(desk) == ["bookings.create"]


@pytest.mark.usefixtures("door")
def test_our_own_reschedule_and_cancel_come_back_as_echoes(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.move(appointment_id, in_days(3))
    desk.work()
    desk.cancel(appointment_id)
    desk.work()
    desk.settle()

    assert {reason for _, _, reason in deliveries(desk)} <= {"echo", "earlier_booking"}
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.cal.live_bookings() == []


@pytest.mark.usefixtures("door")
def test_a_booking_of_an_event_type_that_is_no_service_is_ignored(desk: Desk) -> None:
    other = desk.cal.put(
        "event-types",
        {"account": "sonnenschein@cal.test", "title": "Private", "slug": "private"},
    )
    desk.cal.book(eventTypeId=other["id"], start=in_days(4).isoformat())
    desk.settle()

    assert desk.appointments() == []
    assert deliveries(desk) == [("BOOKING_CREATED", "ignored", "not_our_service")]


@pytest.mark.usefixtures("door")
def test_a_booking_of_another_companys_event_type_is_refused_and_audited(
    desk: Desk, sandbox: RunningSandbox
) -> None:
    other = desk.cal.put(
        "event-types",
        {"account": "sonnenschein@cal.test", "title": "Shared", "slug": "shared"},
    )
    stranger = Desk(sandbox, "blau")
    make_service(stranger.company, event_type_id=other["id"])

    desk.cal.book(eventTypeId=other["id"], start=in_days(4).isoformat())
    desk.settle()

    assert deliveries(desk) == [("BOOKING_CREATED", "refused", "service_of_another_company")]
    assert desk.appointments() == stranger.appointments() == []
    with as_company(desk.company.id):
        actions = set(db.session.scalars(select(AuditEntry.action)))
    assert "delivery.refused" in actions


def body_of(trigger: str, **payload: Any) -> bytes:
    envelope = {"triggerEvent": trigger, "createdAt": "2026-03-01T10:00:00.000Z"}
    return json.dumps({**envelope, "payload": payload}).encode()


def post(
    client: FlaskClient, desk: Desk, raw: bytes, *, secret: str | None = None, **headers: str
) -> Any:
    signature = sign(raw, secret or desk.company.webhook_secret)
    return client.post(
        f"/webhooks/calcom/{desk.company.webhook_token}",
        data=raw,
        headers={"X-Cal-Signature-256": signature, **headers},
    )


def test_a_wrong_signature_is_401_audited_and_stores_nothing(
    desk: Desk, client: FlaskClient
) -> None:
    raw = body_of("BOOKING_CREATED", uid="x")

    for header in (sign(raw, "another secret"), "no-secret-provided", "", "ü"):
        answer = post(client, desk, raw, **{"X-Cal-Signature-256": header})
        assert answer.status_code == 401

    assert deliveries(desk) == []
    with as_company(desk.company.id):
        actions = list(db.session.scalars(select(AuditEntry.action)))
    assert actions == ["delivery.bad_signature"]


def test_an_unknown_token_is_404_and_another_companys_secret_is_401(
    desk: Desk, client: FlaskClient, sandbox: RunningSandbox
) -> None:
    stranger = Desk(sandbox, "blau")
    raw = body_of("BOOKING_CREATED", uid="x")

    assert post(client, desk, raw, secret=stranger.company.webhook_secret).status_code == 401
    assert client.post("/webhooks/calcom/nobody", data=raw).status_code == 404


def test_a_body_beyond_the_limit_is_413(desk: Desk, client: FlaskClient) -> None:
    assert post(client, desk, b"x" * 300_000).status_code == 413


def test_the_same_body_twice_is_stored_once(desk: Desk, client: FlaskClient) -> None:
    raw = body_of("BOOKING_CREATED", uid="abcdefghijklmnopqrstuv")

    first, second = post(client, desk, raw), post(client, desk, raw)

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json == {"status": "duplicate"}
    assert len(deliveries(desk)) == 1


def test_secrets_in_a_body_are_not_kept_but_its_hash_is(desk: Desk, client: FlaskClient) -> None:
    raw = body_of("BOOKING_REQUESTED", uid="abc", oneTimePassword="4711-secret")

    post(client, desk, raw)

    with as_company(desk.company.id):
        row = db.session.scalars(select(Delivery)).one()
        assert "4711" not in json.dumps(row.body)
        assert row.body_hash == hashlib.sha256(raw).digest()


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"triggerEvent": 7}', b"[" * 100_000]
)
def test_a_signed_body_that_is_no_delivery_is_answered_and_ignored(
    desk: Desk, client: FlaskClient, raw: bytes
) -> None:
    answer = post(client, desk, raw)
    desk.work()

    assert answer.status_code == 200
    [(_, status, reason)] = deliveries(desk)
    assert status == "ignored"
    assert reason == ("unreadable:trigger" if b"trigger" in raw else "unreadable:json")


def test_a_test_ping_changes_nothing(desk: Desk, client: FlaskClient) -> None:
    post(client, desk, body_of("BOOKING_CREATED"))
    desk.work()

    assert [each[1:] for each in deliveries(desk)] == [("ignored", "test_ping")]


def test_news_older_than_what_both_agreed_on_is_ignored(desk: Desk, client: FlaskClient) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id

    old = body_of(
        "BOOKING_CANCELLED",
        uid=uid,
        status="CANCELLED",
        eventTypeId=desk.company.event_type_id,
        startTime=in_days(2).isoformat(),
        endTime=in_days(2, 11).isoformat(),
    )
    post(client, desk, old)
    desk.work()

    assert [each[1:] for each in deliveries(desk)] == [("ignored", "older_than_base")]
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


def test_a_webhook_brings_no_cancelled_appointment_back_to_life(
    desk: Desk, client: FlaskClient
) -> None:
    """Our cancellation failed for good, and somebody moves the booking over there."""
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.cancel"})
    desk.cancel(appointment_id)
    desk.work()
    desk.cal.heal()
    old_uid = desk.appointment(appointment_id).calcom_v2_booking_id
    moved = desk.cal.change(old_uid, "reschedule", start=in_days(3).isoformat())

    raw = json.dumps(
        {
            "triggerEvent": "BOOKING_RESCHEDULED",
            "createdAt": in_days(1).isoformat(),
            "payload": {
                "uid": moved["uid"],
                "rescheduleUid": old_uid,
                "status": "ACCEPTED",
                "startTime": in_days(3).isoformat(),
                "endTime": in_days(3, 11).isoformat(),
                "eventTypeId": desk.company.event_type_id,
            },
        }
    ).encode()
    post(client, desk, raw)
    desk.work_through(10)

    assert desk.appointment(appointment_id).status is AppointmentStatus.CANCELLED
    assert desk.open_findings() == [(appointment_id, "data_mismatch", "DATA_MISMATCH")]
