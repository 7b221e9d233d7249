"""Rescheduling, cancelling, confirming, declining and absence (API facts, §2)."""

import pytest
from sandbox_cast import (
    ANNA_KEY,
    BEN_KEY,
    CONSULTATION,
    HAIRCUT,
    JO,
    NINE,
    TEN,
    Caller,
    message,
)

ELEVEN = "2026-03-02T11:00:00Z"


def test_a_reschedule_makes_a_new_booking_with_a_new_uid(cal: Caller) -> None:
    old = cal.booked(metadata={"ours": "41"})
    answer = cal.move(old["uid"], reschedulingReason="Train is late", rescheduledBy=JO["email"])
    new = answer.json()["data"]
    assert answer.status_code == 201
    assert new["uid"] != old["uid"]
    assert new["start"] == "2026-03-02T10:00:00.000Z"
    assert new["rescheduledFromUid"] == old["uid"]
    assert new["metadata"] == {"ours": "41"}
    gone = cal.get(old["uid"]).json()["data"]
    assert (gone["status"], gone["rescheduledToUid"]) == ("cancelled", new["uid"])


def test_after_a_reschedule_an_accepted_booking_may_carry_a_cancellation_reason(
    cal: Caller,
) -> None:
    new = cal.move(cal.booked()["uid"], reschedulingReason="Train is late").json()["data"]
    assert (new["status"], new["cancellationReason"]) == ("accepted", "Train is late")
    assert new["reschedulingReason"] == "Train is late"


def test_a_booking_may_move_within_its_own_slot_but_not_into_another(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.booked(ELEVEN)
    uid = cal.move(uid, "2026-03-02T09:15:00Z").json()["data"]["uid"]
    taken = cal.move(uid, ELEVEN)
    assert taken.status_code == 400
    assert message(taken).startswith("User either already has booking")
    assert cal.get(uid).json()["data"]["status"] == "accepted"


def test_a_cancelled_booking_cannot_be_rescheduled(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.cancel(uid)
    answer = cal.move(uid)
    assert answer.status_code == 400
    assert "because it has been cancelled. Please" in message(answer)


def test_rescheduling_twice_by_the_old_uid_names_the_successor(cal: Caller) -> None:
    old = cal.booked()["uid"]
    new = cal.move(old).json()["data"]["uid"]
    answer = cal.move(old, ELEVEN)
    assert answer.status_code == 400
    assert f"rescheduled already to booking with uid={new}." in message(answer)
    assert cal.move(new, ELEVEN).status_code == 201


def test_a_reschedule_into_the_past_is_400(cal: Caller) -> None:
    answer = cal.move(cal.booked()["uid"], "2026-02-01T09:00:00Z")
    assert (answer.status_code, message(answer)) == (
        400,
        "Attempting to book a meeting in the past.",
    )


def test_where_confirmation_is_needed_the_moved_booking_is_pending(cal: Caller) -> None:
    uid = cal.booked(eventTypeId=CONSULTATION)["uid"]
    cal.api("POST", f"/bookings/{uid}/confirm")
    assert cal.move(uid).json()["data"]["status"] == "pending"


def test_a_cancelled_booking_still_answers(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    answer = cal.cancel(uid, "Ill")
    assert answer.status_code == 200
    assert answer.json()["data"]["status"] == "cancelled"
    assert cal.get(uid).json()["data"]["cancellationReason"] == "Ill"


def test_hosts_have_to_give_a_reason_and_attendees_do_not(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    assert cal.cancel(uid, None).status_code == 400
    assert cal.cancel(uid, "  ").status_code == 400
    assert cal.cancel(uid, None, key=None).status_code == 200


def test_already_cancelled_is_400_in_either_shape(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.cancel(uid)
    answers = [cal.cancel(uid) for _ in range(4)]
    assert {answer.status_code for answer in answers} == {400}
    assert {"error" in answer.json() for answer in answers} == {True, False}
    assert all("cancelled" in message(answer) for answer in answers)
    assert [kind for kind, _ in cal.mails()] == ["created", "cancelled"]


def test_cancelling_by_the_old_uid_names_the_successor(cal: Caller) -> None:
    old = cal.booked()["uid"]
    new = cal.move(old).json()["data"]["uid"]
    answer = cal.cancel(old)
    assert answer.status_code == 400
    assert new in message(answer)
    assert cal.get(new).json()["data"]["status"] == "accepted"


def test_what_has_ended_cannot_be_cancelled(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.steer("POST", "/clock", {"set": "2026-03-02T09:30:00Z"})
    answer = cal.cancel(uid)
    assert (answer.status_code, "already ended" in message(answer)) == (400, True)


def test_there_is_no_delete(cal: Caller) -> None:
    assert cal.api("DELETE", f"/bookings/{cal.booked()['uid']}").status_code in (404, 405)


def test_every_change_mails_the_attendee_once(cal: Caller) -> None:
    new = cal.move(cal.booked()["uid"]).json()["data"]["uid"]
    cal.cancel(new)
    assert [kind for kind, _ in cal.mails()] == ["created", "rescheduled", "cancelled"]


def test_confirm_accepts_and_decline_rejects_a_pending_booking(cal: Caller) -> None:
    first = cal.booked(eventTypeId=CONSULTATION)["uid"]
    confirmed = cal.api("POST", f"/bookings/{first}/confirm")
    assert (confirmed.status_code, confirmed.json()["data"]["status"]) == (200, "accepted")
    second = cal.booked(ELEVEN, eventTypeId=CONSULTATION)["uid"]
    declined = cal.api("POST", f"/bookings/{second}/decline", json={"reason": "Full"})
    assert declined.json()["data"]["status"] == "rejected"
    assert cal.api("POST", f"/bookings/{second}/confirm").status_code == 400


@pytest.mark.parametrize("verb", ["confirm", "decline", "mark-absent"])
def test_what_belongs_to_the_host_needs_the_hosts_key(cal: Caller, verb: str) -> None:
    uid = cal.booked(eventTypeId=CONSULTATION)["uid"]
    body = {"host": True}
    path = f"/bookings/{uid}/{verb}"
    assert cal.api("POST", path, key=None, json=body).status_code == 401
    assert cal.api("POST", path, key=BEN_KEY, json=body).status_code == 403


def test_absence_is_marked_after_the_start_only_and_leaves_updated_at_alone(cal: Caller) -> None:
    booking = cal.booked()
    path = f"/bookings/{booking['uid']}/mark-absent"
    body = {"host": True, "attendees": [{"email": JO["email"], "absent": True}]}
    assert cal.api("POST", path, json=body).status_code == 400
    cal.steer("POST", "/clock", {"set": "2026-03-02T09:05:00Z"})
    marked = cal.api("POST", path, json=body).json()["data"]
    assert (marked["absentHost"], marked["attendees"][0]["absent"]) == (True, True)
    assert marked["updatedAt"] == booking["updatedAt"]


def test_one_seat_leaves_and_the_booking_lives_on(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "seatsPerTimeSlot": 2})
    booking = cal.booked()
    cal.booked(attendee={**JO, "email": "al@example.org"})
    body = {"seatUid": booking["seatUid"], "cancellationReason": "Ill"}
    answer = cal.api("POST", f"/bookings/{booking['uid']}/cancel", json=body)
    left = answer.json()["data"]
    assert left["status"] == "accepted"
    assert [each["email"] for each in left["attendees"]] == ["al@example.org"]


def test_a_series_is_cancelled_as_a_whole(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "occurrences": 2})
    series = cal.create(NINE).json()["data"]
    answer = cal.cancel(series[0]["recurringBookingUid"], key=ANNA_KEY)
    assert [each["status"] for each in answer.json()["data"]] == ["cancelled", "cancelled"]
    assert [kind for kind, _ in cal.mails()] == ["created", "cancelled"]
    assert cal.create(TEN).status_code == 201
