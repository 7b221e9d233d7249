"""What a webhook says, row by row of Cal.com's trigger table."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from calcom_examples import SUCCESSOR, UID
from hypothesis import given, settings
from hypothesis import strategies as st
from test_calcom_untrusted import JSON

from webapp.calcom.payloads import BookingStatus
from webapp.calcom.webhooks import (
    Delivery,
    DeliveryError,
    NoShow,
    Trigger,
    read_body,
    read_delivery,
    redact,
)

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
HALF_PAST = NINE + timedelta(minutes=30)
SENT_AT = datetime(2026, 2, 1, 8, 0, 0, 123_000, tzinfo=UTC)
PAYLOAD: dict[str, Any] = {
    "title": "Haircut",
    "startTime": "2026-03-02T09:00:00Z",
    "endTime": "2026-03-02T09:30:00Z",
    "length": 30,
    "organizer": {"id": 7, "name": "Grace", "email": "grace@salon.example"},
    "attendees": [
        {
            "email": "ada@customer.example",
            "name": "Ada",
            "timeZone": "Europe/Berlin",
            "language": {"locale": "de"},
        }
    ],
    "uid": UID,
    "bookingId": 4711,
    "eventTypeId": 100,
    "status": "ACCEPTED",
    "metadata": {"lockstep_id": "a-1"},
    "location": "Main Street 1",
}


def raw(trigger: str, payload: object = PAYLOAD, **root: Any) -> bytes:
    envelope = {"triggerEvent": trigger, "createdAt": "2026-02-01T08:00:00.123Z"}
    return json.dumps({**envelope, "payload": payload, **root}).encode()


def without(*names: str, **changes: Any) -> dict[str, Any]:
    kept = {name: value for name, value in PAYLOAD.items() if name not in names}
    return {**kept, **changes}


def test_created_carries_everything() -> None:
    delivery = read_delivery(read_body(raw("BOOKING_CREATED")))
    assert delivery.trigger is Trigger.CREATED
    assert delivery.sent_at == SENT_AT
    assert (delivery.uid, delivery.old_uid, delivery.booking_id) == (UID, None, 4711)
    assert (delivery.start, delivery.end, delivery.length_minutes) == (NINE, HALF_PAST, 30)
    assert (delivery.status, delivery.event_type_id) == (BookingStatus.ACCEPTED, 100)
    assert delivery.metadata == {"lockstep_id": "a-1"}
    assert delivery.organizer_email == "grace@salon.example"
    assert delivery.attendees[0].language == "de"
    assert (delivery.is_ping, delivery.is_seat, delivery.request_reschedule) == (False,) * 3


def test_rescheduled_carries_the_new_uid_and_the_old_one_with_its_times() -> None:
    payload = without(
        uid=SUCCESSOR,
        rescheduleUid=UID,
        rescheduleId=4711,
        rescheduleStartTime="2026-03-01T09:00:00Z",
        rescheduleEndTime="2026-03-01T09:30:00Z",
    )
    delivery = read_delivery(read_body(raw("BOOKING_RESCHEDULED", payload)))
    assert (delivery.uid, delivery.old_uid) == (SUCCESSOR, UID)
    assert delivery.old_start == NINE - timedelta(days=1)
    assert delivery.old_end == HALF_PAST - timedelta(days=1)


def test_requested_is_pending_and_may_replace_an_older_booking() -> None:
    payload = without(status="PENDING", rescheduleUid=SUCCESSOR)
    delivery = read_delivery(read_body(raw("BOOKING_REQUESTED", payload)))
    assert (delivery.trigger, delivery.status) == (Trigger.REQUESTED, BookingStatus.PENDING)
    assert delivery.old_uid == SUCCESSOR


def test_cancelled_has_no_metadata_and_spells_its_times_with_an_offset() -> None:
    payload = without(
        "metadata",
        status="CANCELLED",
        startTime="2026-03-02T10:00:00+01:00",
        endTime="2026-03-02T09:30:00+00:00",
        requestReschedule=True,
        cancellationReason="ill",
    )
    delivery = read_delivery(read_body(raw("BOOKING_CANCELLED", payload)))
    assert (delivery.trigger, delivery.status) == (Trigger.CANCELLED, BookingStatus.CANCELLED)
    assert (delivery.start, delivery.end) == (NINE, HALF_PAST)
    assert delivery.metadata == {}
    assert (delivery.request_reschedule, delivery.cancellation_reason) == (True, "ill")


def test_rejected_has_a_reason_and_milliseconds() -> None:
    payload = without(
        "metadata",
        status="REJECTED",
        startTime="2026-03-02T09:00:00.000Z",
        rejectionReason="full",
    )
    delivery = read_delivery(read_body(raw("BOOKING_REJECTED", payload)))
    assert (delivery.status, delivery.start) == (BookingStatus.REJECTED, NINE)
    assert delivery.rejection_reason == "full"


def test_no_show_names_the_booking_and_the_absent() -> None:
    payload = {
        "bookingUid": UID,
        "attendees": [
            {"email": "ada@customer.example", "noShow": True},
            {"email": "bob@customer.example", "noShow": False},
        ],
    }
    delivery = read_delivery(read_body(raw("BOOKING_NO_SHOW_UPDATED", payload)))
    assert (delivery.uid, delivery.booking_id, delivery.status) == (UID, None, None)
    assert delivery.no_shows == (
        NoShow("ada@customer.example", absent=True),
        NoShow("bob@customer.example", absent=False),
    )
    assert not delivery.is_ping


@pytest.mark.parametrize("trigger", [Trigger.MEETING_STARTED, Trigger.MEETING_ENDED])
def test_meetings_are_flat_and_their_creation_time_is_the_bookings(trigger: Trigger) -> None:
    flat = without("organizer", "bookingId", "uid") | {
        "triggerEvent": trigger.value,
        "createdAt": "2026-02-01T08:00:00.123Z",
        "id": 4712,
        "uid": SUCCESSOR,
        "fromReschedule": UID,
        "user": {"email": "grace@salon.example"},
    }
    delivery = read_delivery(read_body(json.dumps(flat).encode()))
    assert delivery.trigger is trigger
    assert (delivery.uid, delivery.old_uid, delivery.booking_id) == (SUCCESSOR, UID, 4712)
    assert (delivery.sent_at, delivery.booking_created_at) == (None, SENT_AT)
    assert (delivery.start, delivery.event_type_id) == (NINE, 100)
    assert delivery.metadata == {"lockstep_id": "a-1"}
    assert delivery.organizer_email == "grace@salon.example"


@pytest.mark.parametrize("label", ["PING", "BOOKING_CREATED", "BOOKING_CANCELLED", "MEETING_ENDED"])
def test_a_ping_is_known_by_its_missing_uid_whatever_its_label(label: str) -> None:
    payload = {"type": "Test", "title": "Test trigger event", "startTime": "2026-03-02T09:00:00Z"}
    assert read_delivery(read_body(raw(label, payload))).is_ping


@pytest.mark.parametrize("name", ["FORM_SUBMITTED", "BOOKING_CONFIRMED", "booking.created"])
def test_an_unknown_trigger_is_kept_by_name(name: str) -> None:
    delivery = read_delivery(read_body(raw(name, ["what", "ever"])))
    assert (delivery.trigger, delivery.trigger_text) == (Trigger.UNKNOWN, name)
    assert not delivery.is_ping


def test_one_seat_of_many_is_known_as_one() -> None:
    assert read_delivery(read_body(raw("BOOKING_CANCELLED", without(seatUid="s-1")))).is_seat


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "json"),
        (b"\xff", "json"),
        (b"[]", "json"),
        (b"[" * 100_000, "json"),
        (b"{}", "json"),
        (b'{"triggerEvent": 5}', "trigger"),
        (b'{"triggerEvent": "BOOKING_CREATED"}', "payload"),
        (raw("BOOKING_CREATED", [1]), "payload"),
        (raw("BOOKING_CREATED", without(uid=4711)), "uid"),
        (raw("BOOKING_CREATED", without(uid="../me")), "uid"),
        (raw("BOOKING_CREATED", without(startTime="tomorrow")), "time"),
        (raw("BOOKING_CREATED", createdAt="now"), "time"),
        (raw("BOOKING_CREATED", without(startTime="9999-12-31T23:00:00Z")), "time"),
        (raw("BOOKING_CREATED", createdAt="9999-12-31T23:00:00.000Z"), "time"),
    ],
)
def test_a_hostile_body_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        read_delivery(read_body(body))
    assert caught.value.reason == reason


TRIGGERS = st.sampled_from([each.value for each in Trigger])
PAYLOADS = st.dictionaries(
    st.sampled_from([*sorted(PAYLOAD), "rescheduleUid", "bookingUid", "id", "createdAt"]), JSON
).map(lambda changes: {**PAYLOAD, **changes})


@given(TRIGGERS, PAYLOADS | JSON, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_delivery_is_read_or_refused(trigger: str, payload: Any, flat: bool) -> None:
    body = {"triggerEvent": trigger, **payload} if flat and isinstance(payload, dict) else payload
    encoded = json.dumps(body).encode() if flat else raw(trigger, payload)
    try:
        delivery = read_delivery(read_body(encoded))
    except DeliveryError:
        return
    assert isinstance(delivery, Delivery)
    repr(delivery).encode("utf-8")


def test_redaction_drops_the_one_time_password_at_any_depth() -> None:
    body = {
        "triggerEvent": "BOOKING_REQUESTED",
        "payload": {
            "oneTimePassword": "hush",
            "uid": UID,
            "list": [{"one_time_password": "hush", "kept": 1}],
            "videoCallData": {"password": "hush", "accessToken": "hush", "url": "u"},
            "API-Key": "hush",
            "client_secret": "hush",
            "x": None,
        },
    }
    clean = redact(body)
    assert "hush" not in json.dumps(clean)
    assert clean["payload"] == {
        "uid": UID,
        "list": [{"kept": 1}],
        "videoCallData": {"url": "u"},
        "x": None,
    }


@given(st.dictionaries(st.text(st.characters()), JSON))
@settings(max_examples=200, deadline=None)
def test_a_redacted_body_can_be_stored_as_jsonb(body: dict[str, object]) -> None:
    stored = json.dumps(redact(body), allow_nan=False, ensure_ascii=False)
    assert "\x00" not in stored
    assert "\\u0000" not in stored.replace("\\\\", "")
    stored.encode("utf-8")


def test_a_body_of_any_depth_and_width_is_cut() -> None:
    deep: dict[str, object] = {}
    for _ in range(500):
        deep = {"in": deep}
    wide = {str(each): "x" * 100_000 for each in range(1_000)}
    assert len(json.dumps(redact(deep))) < 500
    assert len(redact(wide)) == 200
    assert len(str(redact(wide)["0"])) == 10_000
