"""Keys, versions, error shapes and the rate limit (API facts, §1)."""

import pytest
from sandbox_cast import ANNA, BOOKINGS, HAIRCUT, NINE, SLOTS, Caller, message


def test_me_tells_whose_key_it_is(cal: Caller) -> None:
    me = cal.api("GET", "/me", version=None).json()["data"]
    assert (me["email"], me["name"], me["timeZone"]) == (ANNA, "Anna Berg", "Europe/Berlin")


@pytest.mark.parametrize("key", [None, "cal_wrong", "anna"])
def test_a_wrong_or_missing_key_is_refused_by_me_and_by_listings(
    cal: Caller, key: str | None
) -> None:
    for path in ("/me", "/bookings", "/webhooks", f"/event-types/{HAIRCUT}"):
        version = "2024-06-14" if "event" in path else BOOKINGS
        answer = cal.api("GET", path, key=key, version=version)
        assert answer.status_code == 401, path
        assert answer.json()["error"]["code"] == "UnauthorizedException"


@pytest.mark.parametrize("key", [None, "cal_wrong"])
def test_create_get_reschedule_and_cancel_answer_without_a_right_key(
    cal: Caller, key: str | None
) -> None:
    uid = cal.create(key=key).json()["data"]["uid"]
    assert cal.get(uid, key=key).status_code == 200
    moved = cal.move(uid, key=key)
    assert moved.status_code == 201
    assert cal.cancel(moved.json()["data"]["uid"], None, key=key).status_code == 200


def test_listing_event_types_without_a_key_is_empty_and_says_nothing(cal: Caller) -> None:
    answer = cal.api("GET", "/event-types", key="cal_wrong", version="2024-06-14")
    assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize("version", [None, "2030-01-01", "2024-04-15"])
def test_without_a_known_version_the_old_field_names_come_back(
    cal: Caller, version: str | None
) -> None:
    uid = cal.booked()["uid"]
    old = cal.get(uid, version=version).json()["data"]
    assert "start" not in old
    assert old["startTime"] == "2026-03-02T09:00:00.000Z"
    assert cal.create("2026-03-02T12:00:00Z", version=version).json()["data"]["startTime"]


def test_without_the_version_header_filters_are_ignored(cal: Caller) -> None:
    cal.booked()
    params = {"attendeeEmail": "nobody@example.org", "take": "999"}
    answer = cal.api("GET", "/bookings", version=None, params=params)
    assert answer.status_code == 200
    assert [each["startTime"] for each in answer.json()["data"]] == ["2026-03-02T09:00:00.000Z"]


def test_a_known_version_that_the_endpoint_does_not_implement_is_404(cal: Caller) -> None:
    answer = cal.api("GET", "/bookings", version=SLOTS)
    assert answer.status_code == 404
    assert message(answer) == "Cannot GET /v2/bookings"


def test_refusals_come_in_two_shapes(cal: Caller) -> None:
    missing = cal.get("nothing").json()
    assert missing["status"] == "error"
    assert missing["path"] == "/v2/bookings/nothing"
    assert missing["timestamp"].startswith("2026-03-01T08:00")
    assert missing["error"]["code"] == "NotFoundException"
    assert missing["error"]["message"] == ("Booking with uid=nothing was not found in the database")
    cal.booked()
    conflict = cal.create()
    assert conflict.json() == {"statusCode": 409, "message": "booking_conflict_error"}


def test_an_unknown_path_is_404_in_json(cal: Caller) -> None:
    assert message(cal.api("GET", "/nothing")) == "Cannot GET /v2/nothing"


def test_every_answer_to_a_key_announces_its_limit(cal: Caller) -> None:
    cal.steer("PUT", "/rate-limit", {"limit": 120})
    headers = cal.api("GET", "/me").headers
    assert headers["X-RateLimit-Limit-Default"] == "120"
    assert headers["X-RateLimit-Remaining-Default"] == "119"
    assert 1 <= int(headers["X-RateLimit-Reset-Default"]) <= 60
    assert "Retry-After" not in headers


def test_past_the_limit_every_call_is_429_for_sixty_seconds(cal: Caller) -> None:
    cal.steer("POST", "/clock", {"freeze": True})
    cal.steer("PUT", "/rate-limit", {"limit": 2})
    assert cal.api("GET", "/me").status_code == 200
    cal.steer("POST", "/clock", {"advance": 30})
    assert [cal.api("GET", "/me").status_code for _ in range(2)] == [200, 429]
    refused = cal.create()
    assert refused.status_code == 429
    assert refused.headers["X-RateLimit-Remaining-Default"] == "0"
    assert refused.headers["X-RateLimit-Reset-Default"] == "60"
    cal.steer("POST", "/clock", {"advance": 59})
    assert cal.api("GET", "/me").status_code == 429
    cal.steer("POST", "/clock", {"advance": 1})
    assert cal.api("GET", "/me").status_code == 200
    cal.steer("POST", "/clock", {"freeze": False})


def test_each_key_has_a_budget_of_its_own(cal: Caller) -> None:
    cal.steer("PUT", "/rate-limit", {"limit": 1})
    assert [cal.api("GET", "/me").status_code for _ in range(2)] == [200, 429]
    assert cal.api("GET", "/me", key="cal_ben").status_code == 200


def test_an_account_may_have_a_limit_of_its_own(cal: Caller) -> None:
    cal.steer("POST", "/accounts", {"email": ANNA, "rateLimit": 1})
    assert [cal.api("GET", "/me").status_code for _ in range(2)] == [200, 429]


def test_broken_json_is_a_400(cal: Caller) -> None:
    answer = cal.api("POST", "/bookings", content=b'{"start": ')
    assert answer.status_code == 400
    assert cal.api("POST", "/bookings", json=[NINE]).status_code == 400
