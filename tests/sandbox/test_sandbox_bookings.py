"""Creating and reading bookings (API facts, §2)."""

from typing import Any

import pytest
from sandbox_cast import (
    ANNA,
    CONSULTATION,
    HAIRCUT,
    JO,
    NINE,
    TEN,
    Caller,
    message,
)


def test_a_created_booking_comes_back_whole(cal: Caller) -> None:
    answer = cal.create(metadata={"ours": "41"})
    booking = answer.json()["data"]
    assert answer.status_code == 201
    assert booking["status"] == "accepted"
    assert (booking["start"], booking["end"], booking["duration"]) == (
        "2026-03-02T09:00:00.000Z",
        "2026-03-02T09:30:00.000Z",
        30,
    )
    assert booking["metadata"] == {"ours": "41"}
    assert booking["attendees"][0]["email"] == JO["email"]
    assert booking["hosts"][0]["email"] == ANNA
    assert booking["eventType"] == {"id": HAIRCUT, "slug": "haircut"}
    assert booking["cancellationReason"] == ""
    assert cal.get(booking["uid"]).json()["data"] == booking


def test_a_uid_has_22_characters_and_the_numeric_id_finds_nothing(cal: Caller) -> None:
    booking = cal.booked()
    assert len(booking["uid"]) == 22
    answer = cal.get(str(booking["id"]))
    assert answer.status_code == 404


def test_every_create_mails_the_attendee(cal: Caller) -> None:
    cal.booked()
    assert cal.mails() == [("created", JO["email"])]


def test_an_exact_repeat_of_an_accepted_slot_is_a_conflict(cal: Caller) -> None:
    cal.booked()
    answer = cal.create()
    assert answer.status_code == 409
    assert answer.json() == {"statusCode": 409, "message": "booking_conflict_error"}
    assert len(cal.mails()) == 1


def test_a_slot_taken_by_somebody_else_is_400(cal: Caller) -> None:
    cal.booked()
    answer = cal.create("2026-03-02T09:15:00Z", attendee={**JO, "email": "al@example.org"})
    assert answer.status_code == 400
    assert message(answer) == "User either already has booking at this time or is not available"


def test_the_slot_after_is_free_and_one_within_the_buffer_is_not(cal: Caller) -> None:
    cal.booked()
    assert cal.create("2026-03-02T09:30:00Z").status_code == 201
    cal.api("PATCH", f"/event-types/{HAIRCUT}", version="2024-06-14", json={"afterEventBuffer": 15})
    assert cal.create("2026-03-02T10:10:00Z").status_code == 400
    assert cal.create("2026-03-02T10:15:00Z").status_code == 201


def test_a_cancelled_booking_frees_its_slot(cal: Caller) -> None:
    cal.cancel(cal.booked()["uid"])
    assert cal.create().status_code == 201


def test_a_repeat_of_a_pending_booking_returns_it_without_a_second_mail(cal: Caller) -> None:
    first = cal.booked(eventTypeId=CONSULTATION)
    again = cal.create(eventTypeId=CONSULTATION)
    assert first["status"] == "pending"
    assert (again.status_code, again.json()["data"]["uid"]) == (201, first["uid"])
    assert cal.mails() == [("requested", JO["email"])]


def test_a_repeat_of_a_round_robin_booking_returns_it(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "roundRobin": True})
    first = cal.booked()
    assert cal.booked()["uid"] == first["uid"]
    assert len(cal.mails()) == 1


def test_a_pending_booking_blocks_nobody_unless_its_policy_says_so(cal: Caller) -> None:
    cal.booked(eventTypeId=CONSULTATION)
    al = {**JO, "email": "al@example.org"}
    assert cal.create(attendee=al).status_code == 201
    cal.steer("POST", "/event-types", {"id": CONSULTATION, "blocksWhilePending": True})
    cal.booked("2026-03-02T14:00:00Z", eventTypeId=CONSULTATION)
    assert cal.create("2026-03-02T14:00:00Z", attendee=al).status_code == 400


def test_the_past_cannot_be_booked(cal: Caller) -> None:
    answer = cal.create("2026-03-01T07:59:00Z")
    assert answer.status_code == 400
    assert message(answer) == "Attempting to book a meeting in the past."


def test_too_soon_and_too_far_are_400(cal: Caller) -> None:
    cal.steer(
        "POST",
        "/event-types",
        {"id": HAIRCUT, "minimumBookingNotice": 120, "windowDays": 30},
    )
    for start in ("2026-03-01T09:30:00Z", "2026-04-20T09:00:00Z"):
        answer = cal.create(start)
        assert answer.status_code == 400
        assert "too soon" in message(answer)


def test_a_length_needs_an_event_type_with_several(cal: Caller) -> None:
    assert cal.create(lengthInMinutes=45).status_code == 400
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "lengthInMinutesOptions": [30, 45]})
    assert cal.create(lengthInMinutes=50).status_code == 400
    assert cal.booked(lengthInMinutes=45)["duration"] == 45


def test_an_unknown_event_type_is_404_and_one_without_hosts_422(cal: Caller) -> None:
    answer = cal.create(eventTypeId=999)
    assert (answer.status_code, message(answer)) == (404, "Event type with id 999 not found.")
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "hasHosts": False})
    assert cal.create().status_code == 422


@pytest.mark.parametrize(
    "metadata",
    [
        {f"key{number}": 1 for number in range(51)},
        {"k" * 41: "x"},
        {"key": "x" * 501},
        {"key": {"nested": 1}},
        {"key": ["x"]},
        "text",
    ],
)
def test_metadata_has_its_limits(cal: Caller, metadata: Any) -> None:
    assert cal.create(metadata=metadata).status_code == 400


def test_metadata_at_its_limits_is_fine(cal: Caller) -> None:
    metadata = {f"{number:040}": "x" * 500 for number in range(48)} | {"n": 1.5, "b": True}
    assert cal.booked(metadata=metadata)["metadata"] == metadata


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "tomorrow"},
        {"eventTypeId": "501"},
        {"attendee": None},
        {"attendee": {**JO, "name": ""}},
        {"attendee": {**JO, "timeZone": "Berlin"}},
        {"attendee": {"name": "Jo", "timeZone": "Europe/Berlin"}},
        {"guests": "al@example.org"},
    ],
)
def test_bad_input_is_400(cal: Caller, wrong: dict[str, Any]) -> None:
    body = {"start": NINE, "eventTypeId": HAIRCUT, "attendee": JO, **wrong}
    assert cal.api("POST", "/bookings", json=body).status_code == 400


def test_a_telephone_number_is_enough(cal: Caller) -> None:
    attendee = {"name": "Jo", "timeZone": "Europe/Berlin", "phoneNumber": "+4930123456"}
    booked = cal.booked(attendee=attendee)["attendees"][0]
    assert booked["phoneNumber"] == "+4930123456"
    assert booked["email"] == "4930123456@sms.cal.com"


def test_guests_are_attendees_too(cal: Caller) -> None:
    booking = cal.booked(guests=["al@example.org"])
    assert booking["guests"] == ["al@example.org"]
    assert [each["email"] for each in booking["attendees"]] == [JO["email"], "al@example.org"]


def test_seats_fill_one_booking_and_then_are_full(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "seatsPerTimeSlot": 2})
    first = cal.booked()
    second = cal.booked(attendee={**JO, "email": "al@example.org"})
    assert first["uid"] == second["uid"]
    assert first["seatUid"] != second["seatUid"]
    assert cal.create(attendee={**JO, "email": "bo@example.org"}).status_code == 409


def test_a_recurring_event_type_books_a_series(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "occurrences": 3})
    series = cal.create(TEN).json()["data"]
    assert [each["start"][:10] for each in series] == ["2026-03-02", "2026-03-09", "2026-03-16"]
    recurring_uid = series[0]["recurringBookingUid"]
    assert [each["uid"] for each in cal.get(recurring_uid).json()["data"]] == [
        each["uid"] for each in series
    ]
    assert len(cal.mails()) == 1
