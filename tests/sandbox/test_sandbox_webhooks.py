"""Webhooks: their bodies, their signature, and when they leave (API facts, §5)."""

import re
from typing import Any

import pytest
from sandbox_cast import (
    ANNA,
    BEN_KEY,
    CONSULTATION,
    HAIRCUT,
    JO,
    SECRET,
    Caller,
    Received,
    Subscriber,
    listening,
)

PLAIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLIS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def register(cal: Caller, url: str, **more: Any) -> Any:
    body = {"subscriberUrl": url, "triggers": ["BOOKING_CREATED"], "active": True, **more}
    return cal.api("POST", "/webhooks", version=None, json=body)


def test_a_booking_made_through_the_api_comes_back_as_a_webhook(
    cal: Caller, hook: Subscriber
) -> None:
    booking = cal.booked(metadata={"ours": "41"})
    got = hook.wait_for(1)[0]
    payload = got.payload
    assert got.trigger == "BOOKING_CREATED"
    assert MILLIS.fullmatch(got.json["createdAt"])
    assert (payload["uid"], payload["bookingId"]) == (booking["uid"], booking["id"])
    assert payload["startTime"] == "2026-03-02T09:00:00Z"
    assert payload["endTime"] == "2026-03-02T09:30:00Z"
    assert (payload["status"], payload["length"]) == ("ACCEPTED", 30)
    assert payload["eventTypeId"] == HAIRCUT
    assert payload["metadata"] == {"ours": "41"}
    assert payload["organizer"]["email"] == ANNA
    assert payload["attendees"][0]["language"] == {"locale": "de"}
    assert payload["iCalUID"].startswith(booking["uid"])


def test_a_delivery_is_signed_over_its_raw_body(cal: Caller, hook: Subscriber) -> None:
    cal.booked(attendee={**JO, "name": "Jö Müller"})
    got = hook.wait_for(1)[0]
    assert got.is_signed_with(SECRET)
    assert not got.is_signed_with("another")
    assert "Jö Müller".encode() in got.body


def test_a_webhook_without_a_secret_says_so_in_the_signature(cal: Caller) -> None:
    with listening() as subscriber:
        register(cal, subscriber.url)
        cal.booked()
        assert subscriber.wait_for(1)[0].signature == "no-secret-provided"


def test_a_reschedule_names_the_new_uid_and_the_old_one(cal: Caller, hook: Subscriber) -> None:
    old = cal.booked(metadata={"ours": "41"})
    hook.wait_for(1)
    new = cal.move(old["uid"]).json()["data"]
    payload = hook.wait_for(2)[1].payload
    assert hook.triggers() == ["BOOKING_CREATED", "BOOKING_RESCHEDULED"]
    assert (payload["uid"], payload["bookingId"]) == (new["uid"], new["id"])
    assert (payload["rescheduleUid"], payload["rescheduleId"]) == (old["uid"], old["id"])
    assert payload["rescheduleStartTime"] == "2026-03-02T09:00:00Z"
    assert payload["startTime"] == "2026-03-02T10:00:00Z"
    assert payload["metadata"] == {"ours": "41"}
    assert cal.steer("POST", "/settle")["settled"]
    assert "BOOKING_CANCELLED" not in hook.triggers()


def test_a_cancellation_carries_no_metadata_and_another_spelling_of_time(
    cal: Caller, hook: Subscriber
) -> None:
    cal.cancel(cal.booked(metadata={"ours": "41"})["uid"], "Ill")
    got = next(each for each in hook.wait_for(2) if each.trigger == "BOOKING_CANCELLED")
    assert "metadata" not in got.payload
    assert got.payload["startTime"] == "2026-03-02T09:00:00+00:00"
    assert got.payload["cancellationReason"] == "Ill"
    assert (got.payload["status"], got.payload["requestReschedule"]) == ("CANCELLED", False)


def test_a_cancellation_is_sent_and_awaited_before_the_row_changes(
    cal: Caller, hook: Subscriber
) -> None:
    uid = cal.booked()["uid"]
    hook.wait_for(1)
    seen: list[str] = []

    def look(_: Received) -> None:
        seen.append(cal.get(uid).json()["data"]["status"])

    hook.meanwhile = look
    assert cal.cancel(uid).json()["data"]["status"] == "cancelled"
    assert hook.triggers()[-1] == "BOOKING_CANCELLED"
    assert seen == ["accepted"]
    assert cal.get(uid).json()["data"]["status"] == "cancelled"


def test_a_request_is_announced_confirmed_as_created_or_rejected(
    cal: Caller, hook: Subscriber
) -> None:
    first = cal.booked(eventTypeId=CONSULTATION, metadata={"ours": "41"})["uid"]
    requested = hook.wait_for(1)[0]
    assert (requested.trigger, requested.payload["status"]) == ("BOOKING_REQUESTED", "PENDING")
    assert PLAIN.fullmatch(requested.payload["startTime"])
    cal.api("POST", f"/bookings/{first}/confirm")
    created = hook.wait_for(2)[1]
    assert (created.trigger, created.payload["uid"]) == ("BOOKING_CREATED", first)
    assert "ours" not in created.payload["metadata"]
    second = cal.booked("2026-03-03T09:00:00Z", eventTypeId=CONSULTATION)["uid"]
    hook.wait_for(3)
    cal.api("POST", f"/bookings/{second}/decline", json={"reason": "Full"})
    rejected = hook.wait_for(4)[3]
    assert (rejected.trigger, rejected.payload["status"]) == ("BOOKING_REJECTED", "REJECTED")
    assert rejected.payload["rejectionReason"] == "Full"
    assert MILLIS.fullmatch(rejected.payload["startTime"])
    assert "metadata" not in rejected.payload


def test_a_pending_reschedule_is_requested_with_the_old_uid(cal: Caller, hook: Subscriber) -> None:
    old = cal.booked(eventTypeId=CONSULTATION)["uid"]
    hook.wait_for(1)
    cal.move(old)
    got = hook.wait_for(2)[1]
    assert (got.trigger, got.payload["rescheduleUid"]) == ("BOOKING_REQUESTED", old)


def test_a_no_show_names_the_booking_by_booking_uid_only(cal: Caller, hook: Subscriber) -> None:
    uid = cal.booked()["uid"]
    cal.steer("POST", "/clock", {"set": "2026-03-02T09:05:00Z"})
    cal.steer("POST", f"/bookings/{uid}/no-show")
    got = next(each for each in hook.wait_for(2) if each.trigger == "BOOKING_NO_SHOW_UPDATED")
    assert got.payload["bookingUid"] == uid
    assert got.payload["attendees"] == [{"email": JO["email"], "noShow": True}]
    assert not {"uid", "startTime", "status", "metadata"} & set(got.payload)


def test_a_host_that_is_absent_sends_nothing(cal: Caller, hook: Subscriber) -> None:
    uid = cal.booked()["uid"]
    cal.steer("POST", "/clock", {"set": "2026-03-02T09:05:00Z"})
    cal.api("POST", f"/bookings/{uid}/mark-absent", json={"host": True})
    cal.steer("POST", "/settle")
    assert hook.wait_for(1) == hook.received[:1]
    assert hook.triggers() == ["BOOKING_CREATED"]


def test_the_end_of_a_meeting_is_flat(cal: Caller, hook: Subscriber) -> None:
    old = cal.booked()
    new = cal.move(old["uid"]).json()["data"]
    hook.wait_for(2)
    cal.steer("POST", f"/bookings/{new['uid']}/end")
    got = hook.wait_for(3)[2].json
    assert "payload" not in got
    assert (got["triggerEvent"], got["uid"], got["id"]) == ("MEETING_ENDED", new["uid"], new["id"])
    assert got["createdAt"] == new["createdAt"]
    assert got["fromReschedule"] == old["uid"]
    assert got["startTime"] == "2026-03-02T10:00:00.000Z"
    assert "bookingId" not in got


def test_a_failed_delivery_is_not_repeated(cal: Caller, hook: Subscriber) -> None:
    hook.status = 500
    cal.booked()
    hook.wait_for(1)
    cal.steer("POST", "/settle")
    assert len(hook.received) == 1
    assert cal.steer("GET", "/state")["deliveries"][0]["status"] == 500


def test_one_seat_that_leaves_sends_a_cancellation_and_so_does_a_series_once(
    cal: Caller, hook: Subscriber
) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "seatsPerTimeSlot": 2})
    seated = cal.booked()
    cal.booked(attendee={**JO, "email": "al@example.org"})
    hook.wait_for(2)  # no order is kept: the bookings' own come first only if they are waited for
    body = {"seatUid": seated["seatUid"], "cancellationReason": "Ill"}
    cal.api("POST", f"/bookings/{seated['uid']}/cancel", json=body)
    assert hook.wait_for(3)[2].trigger == "BOOKING_CANCELLED"
    assert cal.get(seated["uid"]).json()["data"]["status"] == "accepted"
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "seatsPerTimeSlot": None, "occurrences": 3})
    series = cal.create("2026-04-01T09:00:00Z").json()["data"]
    cal.cancel(series[0]["recurringBookingUid"])
    cal.steer("POST", "/settle")
    assert hook.triggers().count("BOOKING_CANCELLED") == 2


def test_a_url_can_be_registered_once_and_the_secret_is_told(cal: Caller) -> None:
    first = register(cal, "http://127.0.0.1:9/hook", secret=SECRET)
    assert first.status_code == 201
    assert isinstance(first.json()["data"]["id"], str)
    assert register(cal, "http://127.0.0.1:9/hook").status_code == 409
    listed = cal.api("GET", "/webhooks", version=None).json()["data"]
    assert [each["secret"] for each in listed] == [SECRET]
    assert cal.api("GET", "/webhooks", key=BEN_KEY, version=None).json()["data"] == []


@pytest.mark.parametrize("trigger", ["BOOKING_CONFIRMED", "booking.created"])
def test_triggers_that_do_not_exist_are_refused(cal: Caller, trigger: str) -> None:
    assert register(cal, "http://127.0.0.1:9/x", triggers=[trigger]).status_code == 400


def test_only_wanted_triggers_of_active_webhooks_go_out(cal: Caller) -> None:
    with listening() as subscriber:
        created = register(cal, subscriber.url, triggers=["BOOKING_CANCELLED"]).json()["data"]
        cal.booked()
        cal.api("PATCH", f"/webhooks/{created['id']}", version=None, json={"active": False})
        cal.cancel(cal.booked("2026-03-05T09:00:00Z")["uid"])
        cal.steer("POST", "/settle")
        assert subscriber.received == []


def test_a_ping_has_no_uid_and_any_label(cal: Caller, hook: Subscriber) -> None:
    webhook = cal.steer("GET", "/state?only=webhooks")["webhooks"][0]
    sent = cal.steer("POST", f"/webhooks/{webhook['id']}/ping", {"trigger": "BOOKING_CANCELLED"})
    assert sent == {"status": 200}
    got = hook.received[0]
    assert (got.trigger, "uid" in got.payload) == ("BOOKING_CANCELLED", False)
    assert got.is_signed_with(SECRET)
