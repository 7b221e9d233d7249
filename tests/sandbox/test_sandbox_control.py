"""The control door: putting people in, steering from outside the API, looking inside."""

from typing import Any

import pytest
from sandbox_cast import (
    ANNA,
    ANNA_KEY,
    BEN,
    BEN_KEY,
    BENS_MASSAGE,
    CONSULTATION,
    HAIRCUT,
    JO,
    NINE,
    TEN,
    Caller,
    Subscriber,
)

from webapp.sandbox.ledger import KEPT_CALLS, Call
from webapp.sandbox.server import RunningSandbox


def put(cal: Caller, path: str, body: Any) -> int:
    return cal.http.post(f"/_sandbox{path}", json=body).status_code


def test_accounts_event_types_and_webhooks_can_be_asserted_again_and_again(cal: Caller) -> None:
    account = {"email": "cleo@example.com", "name": "Cleo", "key": "cal_cleo"}
    event_type = {"account": "cleo@example.com", "title": "Yoga", "lengthInMinutes": 90}
    webhook = {"account": "cleo@example.com", "subscriberUrl": "http://127.0.0.1:9/hook"}
    for path, body in (
        ("/accounts", account),
        ("/event-types", event_type),
        ("/webhooks", webhook),
    ):
        assert [put(cal, path, body) for _ in range(2)] == [201, 200]
    listed = cal.api("GET", "/event-types", key="cal_cleo", version="2024-06-14").json()["data"]
    assert [(each["title"], each["lengthInMinutes"]) for each in listed] == [("Yoga", 90)]
    assert len(cal.api("GET", "/webhooks", key="cal_cleo", version=None).json()["data"]) == 1


def test_a_new_key_replaces_the_old_one(cal: Caller) -> None:
    cal.steer("POST", "/accounts", {"email": ANNA, "key": "cal_new"})
    assert cal.api("GET", "/me", key=ANNA_KEY).status_code == 401
    assert cal.api("GET", "/me", key="cal_new").json()["data"]["name"] == "Anna Berg"


def test_an_assertion_may_name_its_id(cal: Caller) -> None:
    body = {"id": 777, "account": BEN, "title": "Sauna", "lengthInMinutes": 20}
    assert cal.steer("POST", "/event-types", body)["id"] == 777


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts", {"name": "No mail"}),
        ("/accounts", {"email": "x", "key": "cal_x"}),
        ("/accounts", {"email": "x@example.com", "key": "sk_x"}),
        ("/accounts", {"email": ANNA, "key": BEN_KEY}),
        ("/accounts", {"email": ANNA, "rateLimit": 0}),
        ("/event-types", {"account": "nobody", "title": "X"}),
        ("/event-types", {"account": ANNA}),
        ("/event-types", {"id": HAIRCUT, "lengthInMinutes": "long"}),
        ("/webhooks", {"account": ANNA, "subscriberUrl": "ftp://x"}),
        ("/webhooks", {"account": ANNA, "subscriberUrl": "http://x", "triggers": ["NOPE"]}),
        ("/bookings", {"eventTypeId": 999, "start": NINE}),
        ("/bookings", {"eventTypeId": HAIRCUT, "start": "soon"}),
        ("/bookings", {"bookings": "many"}),
        ("/clock", {}),
        ("/clock", {"set": "noon"}),
        ("/clock", {"advance": "far"}),
        ("/clock", {"rewind": 1}),
        ("/bookings/nothing/cancel", {}),
        ("/bookings/nothing/sing", {}),
        ("/webhooks/1/ping", {}),
    ],
)
def test_bad_input_is_answered_with_4xx_in_json(cal: Caller, path: str, body: Any) -> None:
    answer = cal.http.post(f"/_sandbox{path}", json=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["error"]["message"]


def test_a_person_books_moves_and_cancels_and_everybody_is_told(
    cal: Caller, hook: Subscriber
) -> None:
    attendee = {"name": "Al", "email": "al@example.org"}
    first = cal.steer(
        "POST", "/bookings", {"eventTypeId": HAIRCUT, "start": NINE, "attendee": attendee}
    )
    hook.wait_for(1)
    moved = cal.steer("POST", f"/bookings/{first['uid']}/reschedule", {"start": TEN})
    hook.wait_for(2)
    cal.steer("POST", f"/bookings/{moved['uid']}/cancel", {"reason": "Ill"})
    assert hook.triggers() == ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED"]
    assert cal.mails() == [
        ("created", "al@example.org"),
        ("rescheduled", "al@example.org"),
        ("cancelled", "al@example.org"),
    ]


def test_a_host_confirms_declines_and_asks_to_reschedule(cal: Caller, hook: Subscriber) -> None:
    body = {"eventTypeId": CONSULTATION, "start": NINE}
    uid = cal.steer("POST", "/bookings", body)["uid"]
    assert cal.steer("POST", f"/bookings/{uid}/confirm")["status"] == "accepted"
    asked = cal.steer("POST", f"/bookings/{uid}/cancel", {"requestReschedule": True})
    assert asked["status"] == "cancelled"
    assert "rescheduledToUid" not in asked
    cancelled = next(each for each in hook.wait_for(3) if each.trigger == "BOOKING_CANCELLED")
    assert cancelled.payload["requestReschedule"] is True
    uid = cal.steer("POST", "/bookings", body)["uid"]
    assert cal.steer("POST", f"/bookings/{uid}/decline", {"reason": "Full"})["status"] == "rejected"


def test_a_booking_can_vanish_without_a_trace(cal: Caller, hook: Subscriber) -> None:
    uid = cal.booked()["uid"]
    hook.wait_for(1)
    cal.steer("DELETE", f"/bookings/{uid}")
    cal.steer("POST", "/settle")
    assert cal.get(uid).status_code == 404
    assert cal.listed() == []
    assert hook.triggers() == ["BOOKING_CREATED"]
    assert len(cal.mails()) == 1
    assert cal.http.delete(f"/_sandbox/bookings/{uid}").status_code == 404


def test_many_bookings_can_be_filled_in_silently(cal: Caller, hook: Subscriber) -> None:
    long_ago = {
        "eventTypeId": HAIRCUT,
        "start": "2025-01-07T09:00:00Z",
        "createdAt": "2025-01-01T00:00:00Z",
        "uid": "aaaaaaaaaaaaaaaaaaaaaa",
        "status": "cancelled",
        "lengthInMinutes": 50,
        "metadata": {"ours": "7"},
    }
    coming = {"eventTypeId": HAIRCUT, "start": NINE, "attendee": {"email": "al@example.org"}}
    made = cal.steer("POST", "/bookings", {"bookings": [long_ago, coming]})
    assert made["uids"][0] == "aaaaaaaaaaaaaaaaaaaaaa"
    first, second = cal.listed()
    assert (first["status"], first["duration"], first["metadata"]) == (
        "cancelled",
        50,
        {"ours": "7"},
    )
    assert first["createdAt"] == "2025-01-01T00:00:00.000Z"
    assert second["attendees"][0]["email"] == "al@example.org"
    cal.steer("POST", "/settle")
    assert (cal.mails(), hook.received) == ([], [])


def test_the_state_counts_calls_mails_and_bookings(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.create(TEN, eventTypeId=BENS_MASSAGE, key=BEN_KEY)
    cal.get(uid)
    assert cal.steer("GET", "/state?calls=count")["calls"] == 3
    counted = cal.steer("GET", f"/state?calls=count&account={ANNA}&operation=bookings.create")
    assert counted["calls"] == 1
    assert "bookings" not in counted
    assert cal.steer("GET", "/state?mails=count")["mails"] == {"created": 2}
    assert cal.steer("GET", f"/state?bookings=count&account={BEN}")["bookings"] == {"accepted": 1}
    assert cal.steer("GET", "/state?only=totals")["totals"] == {
        "bookings.create": 2,
        "bookings.get": 1,
    }
    assert cal.http.get("/_sandbox/state?account=nobody").status_code == 404


def test_the_state_tells_each_call_and_each_mail(cal: Caller) -> None:
    cal.fail({"kind": "reset_before", "operation": "bookings.get"})
    uid = cal.booked()["uid"]
    with pytest.raises(Exception, match="reset"):
        cal.get(uid)
    created, cut = cal.steer("GET", "/state?only=calls")["calls"]
    assert (created["operation"], created["status"], created["account"]) == (
        "bookings.create",
        201,
        ANNA,
    )
    assert (cut["operation"], cut["status"], cut["faults"]) == (
        "bookings.get",
        None,
        ["reset_before"],
    )
    mail = cal.steer("GET", f"/state?only=mails&uid={uid}")["mails"][0]
    assert (mail["uid"], mail["kind"], mail["to"]) == (uid, "created", JO["email"])
    assert mail["at"].startswith("2026-03-01T08:00")


def test_the_call_log_is_bounded_and_the_totals_are_not(
    cal: Caller, running: RunningSandbox
) -> None:
    now = running.sandbox.clock.now()
    for _ in range(KEPT_CALLS + 30):
        running.sandbox.ledger.note_call(Call("GET", "/v2/me", "", "me", ANNA, 200, now, 0.1, ()))
    assert len(cal.steer("GET", "/state?only=calls")["calls"]) == KEPT_CALLS
    assert cal.steer("GET", "/state?only=totals")["totals"] == {"me": KEPT_CALLS + 30}


def test_all_instants_come_from_the_clock(cal: Caller, hook: Subscriber) -> None:
    cal.steer("POST", "/clock", {"set": "2030-01-01T00:00:00Z", "freeze": True})
    booking = cal.booked("2030-01-02T09:00:00Z")
    assert booking["createdAt"] == "2030-01-01T00:00:00.000Z"
    assert hook.wait_for(1)[0].json["createdAt"] == "2030-01-01T00:00:00.000Z"
    assert cal.steer("POST", "/clock", {"advance": 90})["now"] == "2030-01-01T00:01:30.000Z"
    assert cal.steer("POST", "/clock", {"reset": True})["frozen"] is False


def test_a_reset_empties_everything(cal: Caller) -> None:
    cal.booked()
    cal.fail({"kind": "latency"})
    cal.steer("POST", "/reset")
    state = cal.steer("GET", "/state")
    assert [state[part] for part in ("bookings", "mails", "calls", "accounts")] == [[]] * 4
    assert cal.steer("GET", "/faults")["faults"] == []
    assert cal.steer("GET", "/health")["status"] == "ok"
    assert cal.api("GET", "/me").status_code == 401


def test_other_sites_cannot_steer_it_from_a_browser(cal: Caller) -> None:
    answer = cal.http.post("/_sandbox/reset", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
