"""Faults on request: what the caller sees, and what has happened all the same."""

import time

import httpx
import pytest
from sandbox_cast import (
    ANNA,
    BEN_KEY,
    BOOKINGS,
    HAIRCUT,
    JO,
    NINE,
    TEN,
    Caller,
    Subscriber,
    message,
)


def live(cal: Caller) -> int:
    counted = cal.steer("GET", "/state?bookings=count")["bookings"]
    return int(counted.get("accepted", 0))


@pytest.mark.parametrize("status", [500, 502, 503, 504, 401, 403, 498, 422])
def test_any_failing_status_in_json(cal: Caller, status: int) -> None:
    cal.fail({"kind": "status", "status": status, "operation": "bookings.create"})
    answer = cal.create()
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert live(cal) == 0
    assert cal.api("GET", "/me").status_code == 200


def test_a_proxys_page_and_the_second_shape(cal: Caller) -> None:
    cal.fail({"kind": "status", "status": 502, "body": "html"})
    answer = cal.create()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<html>")
    cal.fail({"kind": "status", "status": 500, "body": "bare"})
    assert set(cal.create().json()) == {"statusCode", "message"}


def test_a_proxy_may_fail_after_the_booking_was_stored(cal: Caller) -> None:
    cal.fail({"kind": "status", "status": 502, "after_effect": True})
    assert cal.create().status_code == 502
    assert live(cal) == 1


def test_429_with_and_without_its_headers(cal: Caller) -> None:
    cal.fail({"kind": "rate_limited", "reset_seconds": 7})
    answer = cal.create()
    assert (answer.status_code, answer.headers["X-RateLimit-Reset-Default"]) == (429, "7")
    assert "Too Many Requests" in message(answer)
    cal.fail({"kind": "rate_limited", "headers": False})
    answer = cal.create()
    assert (answer.status_code, "X-RateLimit-Reset-Default" in answer.headers) == (429, False)


def test_latency_only_delays(cal: Caller) -> None:
    cal.fail({"kind": "latency", "seconds": 0.2})
    began = time.monotonic()
    assert cal.create().status_code == 201
    assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(
    ("kind", "error", "stored"),
    [
        ("timeout_after", httpx.ReadTimeout, 1),
        ("timeout_before", httpx.ReadTimeout, 0),
        ("reset_after", httpx.ReadError, 1),
        ("reset_before", httpx.ReadError, 0),
    ],
)
def test_a_broken_call_has_had_its_effect_or_not(
    cal: Caller, kind: str, error: type[Exception], stored: int
) -> None:
    cal.fail({"kind": kind, "operation": "bookings.create", "times": 1})
    body = {"start": NINE, "eventTypeId": HAIRCUT, "attendee": JO}
    with pytest.raises(error):
        cal.http.post("/v2/bookings", json=body, headers={"cal-api-version": BOOKINGS}, timeout=0.3)
    assert live(cal) == stored
    assert cal.create(TEN).status_code == 201


def test_a_held_connection_ends_without_an_answer(cal: Caller) -> None:
    cal.fail({"kind": "timeout_after", "seconds": 0.1})
    with pytest.raises(httpx.RemoteProtocolError):
        cal.create()
    assert live(cal) == 1


def test_201_without_storing(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "not_stored"})
    answer = cal.create()
    assert answer.status_code == 201
    cal.fail()
    assert cal.get(answer.json()["data"]["uid"]).status_code == 404
    assert (cal.mails(), hook.received) == ([], [])


def test_200_without_moving_or_cancelling(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.fail({"kind": "not_stored"})
    assert cal.move(uid).status_code == 201
    assert cal.cancel(uid).json()["data"]["status"] == "cancelled"
    assert cal.get(uid).json()["data"]["status"] == "accepted"
    assert len(cal.mails()) == 1


def test_the_shape_of_another_version(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.fail({"kind": "old_version", "operation": "bookings.get"})
    assert "start" not in cal.get(uid).json()["data"]
    assert "start" in cal.listed()[0]


def test_a_dripping_answer_outlives_a_read_timeout(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    cal.fail({"kind": "drip", "seconds": 1.0})
    began = time.monotonic()
    answer = cal.get(uid, timeout=0.3)
    assert answer.json()["data"]["uid"] == uid
    assert time.monotonic() - began > 0.8


def test_truncated_and_empty_listings(cal: Caller) -> None:
    for start in (NINE, TEN):
        cal.booked(start)
    cal.fail({"kind": "truncated_list", "keep": 1})
    page = cal.api("GET", "/bookings").json()
    assert (len(page["data"]), page["pagination"]["totalItems"]) == (1, 2)
    cal.fail({"kind": "empty_list"})
    page = cal.api("GET", "/bookings").json()
    assert (page["data"], page["pagination"]["totalItems"]) == ([], 0)


def test_a_lagging_replica_does_not_show_what_was_just_written(cal: Caller) -> None:
    old = cal.booked(NINE)["uid"]
    cal.steer("POST", "/clock", {"advance": 60})
    cal.fail({"kind": "replica_lag", "seconds": 10})
    new = cal.move(old).json()["data"]["uid"]
    assert cal.get(new).status_code == 404
    assert [(each["uid"], each["status"]) for each in cal.listed()] == [(old, "accepted")]
    assert cal.listed(afterStart=TEN) == []
    cal.steer("POST", "/clock", {"advance": 11})
    assert cal.get(new).status_code == 200
    assert [each["status"] for each in cal.listed()] == ["cancelled", "accepted"]


def test_a_fault_can_be_narrowed_to_an_account_and_a_family(cal: Caller) -> None:
    cal.fail({"kind": "status", "operation": "bookings", "account": ANNA})
    assert cal.create().status_code == 503
    assert cal.api("GET", "/bookings").status_code == 503
    assert cal.api("GET", "/me").status_code == 200
    assert cal.api("GET", "/bookings", key=BEN_KEY).status_code == 200


def test_a_fault_can_be_rare(cal: Caller) -> None:
    def statuses(number: int) -> list[int]:
        return [cal.api("GET", "/me").status_code for _ in range(number)]

    cal.fail({"kind": "status", "times": 2})
    assert statuses(4) == [503, 503, 200, 200]
    cal.fail({"kind": "status", "every": 3})
    assert statuses(6) == [200, 200, 503, 200, 200, 503]
    cal.fail({"kind": "status", "probability": 0.5}, seed=7)
    first = statuses(20)
    cal.fail({"kind": "status", "probability": 0.5}, seed=7)
    assert statuses(20) == first
    assert set(first) == {200, 503}


def test_webhooks_get_lost_on_request(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "webhook_dropped", "times": 1})
    cal.booked(NINE)
    second = cal.booked(TEN)["uid"]
    assert hook.wait_for(1)[0].payload["uid"] == second
    cal.steer("POST", "/settle")
    assert len(hook.received) == 1


def test_webhooks_come_twice_on_request_byte_for_byte(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "webhook_duplicated", "operation": "BOOKING_CREATED"})
    cal.booked()
    first, second = hook.wait_for(2)
    assert first.body == second.body


def test_webhooks_overtake_each_other_on_request(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "webhook_reordered", "times": 1, "seconds": 5})
    cal.move(cal.booked()["uid"])
    assert [each.trigger for each in hook.wait_for(2)] == [
        "BOOKING_RESCHEDULED",
        "BOOKING_CREATED",
    ]


def test_a_held_back_webhook_comes_even_if_none_follows(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "webhook_reordered", "seconds": 0.1})
    cal.booked()
    assert len(hook.wait_for(1)) == 1


def test_a_delayed_webhook_comes_late(cal: Caller, hook: Subscriber) -> None:
    cal.fail({"kind": "webhook_delayed", "seconds": 0.2})
    cal.booked()
    assert hook.received == []
    hook.wait_for(1)


def test_the_webhook_can_come_before_the_answer_of_the_create(
    cal: Caller, hook: Subscriber
) -> None:
    cal.fail({"kind": "webhook_early"})
    hook.meanwhile = lambda _: time.sleep(0.1)
    cal.booked()
    assert hook.triggers() == ["BOOKING_CREATED"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "gremlin"},
        {"kind": "latency", "minutes": 1},
        {"kind": "latency", "seconds": "long"},
        {"kind": "latency", "seconds": -1},
        {"kind": "status", "status": 200},
        {"kind": "status", "body": "xml"},
        {"kind": "status", "times": 0},
        {"kind": "status", "every": 1.5},
        {"kind": "status", "probability": 2},
        "latency",
    ],
)
def test_a_wrong_fault_is_refused_and_changes_nothing(cal: Caller, fault: object) -> None:
    cal.fail({"kind": "latency", "seconds": 0})
    answer = cal.http.put("/_sandbox/faults", json=[fault])
    assert answer.status_code == 400
    assert [each["kind"] for each in cal.steer("GET", "/faults")["faults"]] == ["latency"]
