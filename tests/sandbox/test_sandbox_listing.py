"""`GET /v2/bookings`: filters, sorts, pages and traps (API facts, §2)."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sandbox_cast import (
    ANNA,
    ANNA_KEY,
    BEN_KEY,
    BENS_MASSAGE,
    CONSULTATION,
    HAIRCUT,
    JO,
    NINE,
    TEN,
    Caller,
)

LUNCH = "2026-03-02T12:00:00Z"


def starts(bookings: list[dict[str, Any]]) -> list[str]:
    return [booking["start"][11:16] for booking in bookings]


def fill(cal: Caller, number: int) -> None:
    """Bookings an hour apart, from 2 March 09:00 on, without mails or webhooks."""
    first = datetime(2026, 3, 2, 9, tzinfo=UTC)
    bookings = [
        {"eventTypeId": HAIRCUT, "start": (first + timedelta(hours=hour)).isoformat()}
        for hour in range(number)
    ]
    cal.steer("POST", "/bookings", {"bookings": bookings})


def test_a_key_sees_its_own_bookings_and_those_its_user_attends(cal: Caller) -> None:
    own = cal.booked()["uid"]
    attended = cal.booked(
        LUNCH, eventTypeId=BENS_MASSAGE, attendee={**JO, "email": ANNA}, key=BEN_KEY
    )
    assert [each["uid"] for each in cal.listed()] == [own, attended["uid"]]
    assert [each["uid"] for each in cal.listed(eventTypeIds=HAIRCUT)] == [own]
    assert [each["uid"] for each in cal.listed(key=BEN_KEY)] == [attended["uid"]]


@pytest.mark.parametrize("take", ["0", "251", "-1", "many", "1.5"])
def test_a_take_outside_1_to_250_is_400(cal: Caller, take: str) -> None:
    assert cal.api("GET", "/bookings", params={"take": take}).status_code == 400


def test_a_page_holds_100_unless_asked_for_up_to_250(cal: Caller) -> None:
    fill(cal, 260)
    assert len(cal.listed()) == 100
    assert len(cal.listed(take=250)) == 250
    assert len(cal.listed(take=250, skip=250)) == 10


def test_pagination_counts_pages(cal: Caller) -> None:
    fill(cal, 25)
    answer = cal.api("GET", "/bookings", params={"take": 10, "skip": 10}).json()
    assert answer["pagination"] == {
        "totalItems": 25,
        "remainingItems": 5,
        "returnedItems": 10,
        "itemsPerPage": 10,
        "currentPage": 2,
        "totalPages": 3,
        "hasNextPage": True,
        "hasPreviousPage": True,
    }


def test_with_created_and_updated_filters_the_totals_count_too_many(cal: Caller) -> None:
    fill(cal, 5)
    cal.steer("POST", "/clock", {"advance": 3600})
    late = cal.booked("2026-03-20T09:00:00Z")
    for name in ("afterUpdatedAt", "afterCreatedAt"):
        params = {name: late["createdAt"], "take": 1, "skip": 0}
        page = cal.api("GET", "/bookings", params=params).json()
        assert [each["uid"] for each in page["data"]] == [late["uid"]]
        assert (page["pagination"]["totalItems"], page["pagination"]["hasNextPage"]) == (6, True)
        page = cal.api("GET", "/bookings", params={**params, "skip": 1}).json()
        assert page["data"] == []
        assert page["pagination"]["hasNextPage"] is True


def test_bounds_are_inclusive(cal: Caller) -> None:
    cal.booked(NINE)
    cal.booked(TEN)
    assert starts(cal.listed(afterStart=TEN)) == ["10:00"]
    assert starts(cal.listed(beforeEnd="2026-03-02T09:30:00Z")) == ["09:00"]
    assert starts(cal.listed(beforeEnd="2026-03-02T09:29:59Z")) == []
    assert starts(cal.listed(afterStart="2026-03-02T11:00:00+01:00")) == ["10:00"]


def test_changed_bookings_are_found_by_their_change(cal: Caller) -> None:
    uid = cal.booked(NINE)["uid"]
    cal.booked(TEN)
    cal.steer("POST", "/clock", {"advance": 600})
    cal.cancel(uid)
    changed_at = cal.get(uid).json()["data"]["updatedAt"]
    assert [each["uid"] for each in cal.listed(afterUpdatedAt=changed_at)] == [uid]
    assert starts(cal.listed(beforeUpdatedAt="2026-03-01T08:05:00Z")) == ["10:00"]
    assert len(cal.listed(afterCreatedAt="2026-03-01T08:00:00Z")) == 2


def test_a_booking_without_updated_at_is_in_no_updated_window(cal: Caller) -> None:
    old = {"eventTypeId": HAIRCUT, "start": NINE, "updatedAt": None}
    cal.steer("POST", "/bookings", {"bookings": [old]})
    assert cal.listed()[0]["updatedAt"] is None
    assert cal.listed(afterUpdatedAt="2020-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "name",
    [
        "afterStart",
        "beforeEnd",
        "afterCreatedAt",
        "beforeCreatedAt",
        "afterUpdatedAt",
        "beforeUpdatedAt",
    ],
)
def test_a_loose_date_is_400(cal: Caller, name: str) -> None:
    for text in ("yesterday", "2026-03-02 09:00", "2026-3-2", "1772442000", "2026-13-01"):
        assert cal.api("GET", "/bookings", params={name: text}).status_code == 400, text
    assert cal.api("GET", "/bookings", params={name: "2026-03-02"}).status_code == 200


def test_status_is_a_comma_list_and_cancelled_includes_rejected(cal: Caller) -> None:
    upcoming = cal.booked(NINE)["uid"]
    gone = cal.booked(TEN)["uid"]
    cal.cancel(gone)
    pending = cal.booked(LUNCH, eventTypeId=CONSULTATION)["uid"]
    rejected = cal.booked("2026-03-02T15:00:00Z", eventTypeId=CONSULTATION)["uid"]
    cal.api("POST", f"/bookings/{rejected}/decline")
    long_ago = {"eventTypeId": HAIRCUT, "start": "2026-02-01T09:00:00Z", "force": True}
    past = cal.steer("POST", "/bookings", long_ago)["uid"]

    def uids(status: str) -> set[str]:
        return {each["uid"] for each in cal.listed(status=status)}

    assert uids("upcoming") == {upcoming}
    assert uids("unconfirmed") == {pending}
    assert uids("cancelled") == {gone, rejected}
    assert uids("past") == {past}
    assert uids("upcoming,past") == {upcoming, past}
    assert len(cal.listed()) == 5
    assert cal.api("GET", "/bookings", params={"status": "booked"}).status_code == 400


def test_bookings_are_found_by_attendee_uid_and_event_type(cal: Caller) -> None:
    first = cal.booked(NINE)["uid"]
    second = cal.booked(TEN, attendee={**JO, "email": "Al@example.org"})["uid"]
    assert [each["uid"] for each in cal.listed(attendeeEmail="al@example.org")] == [second]
    assert [each["uid"] for each in cal.listed(bookingUid=first)] == [first]
    assert cal.listed(eventTypeIds=f"{CONSULTATION},{BENS_MASSAGE}") == []
    assert len(cal.listed(eventTypeIds=f"{HAIRCUT},{CONSULTATION}")) == 2


@pytest.mark.parametrize("sort", ["sortStart", "sortEnd", "sortCreated", "sortUpdatedAt"])
def test_sorting_goes_both_ways(cal: Caller, sort: str) -> None:
    for start in (NINE, TEN, LUNCH):
        cal.booked(start)
        cal.steer("POST", "/clock", {"advance": 1})
    ascending = starts(cal.listed(**{sort: "asc"}))
    assert ascending == ["09:00", "10:00", "12:00"]
    assert starts(cal.listed(**{sort: "desc"})) == ascending[::-1]
    assert cal.api("GET", "/bookings", params={sort: "up"}).status_code == 400


def test_a_listing_sees_what_was_written_a_moment_ago(cal: Caller) -> None:
    uid = cal.booked(NINE)["uid"]
    assert len(cal.listed()) == 1
    cal.move(uid, TEN)
    assert starts(cal.listed()) == ["09:00", "10:00"]
    assert [each["status"] for each in cal.listed()] == ["cancelled", "accepted"]


def test_an_account_made_later_sees_what_its_user_attends(cal: Caller) -> None:
    cal.booked()
    cal.steer("POST", "/accounts", {"email": JO["email"], "key": "cal_jo"})
    assert len(cal.listed(key="cal_jo")) == 1
    assert len(cal.listed(key=ANNA_KEY)) == 1


SORTS = {"sortStart": "start", "sortEnd": "end", "sortCreated": "createdAt"}
FILTERS: list[dict[str, Any]] = [
    {},
    {"afterStart": "2026-03-04T00:00:00Z", "beforeEnd": "2026-03-06T00:00:00Z"},
    {"eventTypeIds": HAIRCUT},
    {"status": "upcoming"},
    {"status": "cancelled,past"},
    {"afterCreatedAt": "2026-02-10T00:00:00Z", "eventTypeIds": CONSULTATION},
]


def _lets_through(booking: dict[str, Any], wanted: dict[str, Any], now: str) -> bool:
    """What the filters mean, read off the booking: the slow and sure way."""
    is_live, end = booking["status"] in ("accepted", "pending"), booking["end"]
    statuses = {
        "upcoming": end >= now and booking["status"] == "accepted",
        "past": end <= now and is_live,
        "cancelled": not is_live,
    }
    return (
        any(statuses[each] for each in wanted.get("status", "cancelled,past").split(","))
        or ("status" not in wanted and is_live)
    ) and (
        booking["start"] >= wanted.get("afterStart", "")
        and end <= wanted.get("beforeEnd", "3")
        and booking["createdAt"] >= wanted.get("afterCreatedAt", "")
        and booking["eventTypeId"] == wanted.get("eventTypeIds", booking["eventTypeId"])
    )


@pytest.mark.parametrize("lag", [False, True])
@pytest.mark.parametrize("wanted", FILTERS)
def test_every_sort_and_filter_shows_what_the_slow_way_shows(
    cal: Caller, wanted: dict[str, Any], lag: bool
) -> None:
    """Short cuts through sorted shelves, remembered answers and lagging replicas included."""
    chance = random.Random(7)
    first = datetime(2026, 3, 1, 9, tzinfo=UTC)
    bookings = [
        {
            "eventTypeId": chance.choice([HAIRCUT, CONSULTATION]),
            "start": (first + timedelta(hours=chance.randrange(200))).isoformat(),
            "createdAt": (first - timedelta(hours=chance.randrange(900))).isoformat(),
            "status": chance.choice(["accepted", "accepted", "pending", "cancelled"]),
        }
        for _ in range(120)
    ]
    cal.steer("POST", "/bookings", {"bookings": bookings})
    now = "2026-03-05T09:00:00.000Z"
    cal.steer("POST", "/clock", {"set": now})
    cal.steer("POST", "/clock", {"freeze": True})
    everything = {each["uid"]: each for each in cal.listed(take=250)}
    if lag:
        for uid in list(everything)[::7]:
            if everything[uid]["end"] > now and everything[uid]["status"] == "accepted":
                cal.steer("POST", f"/bookings/{uid}/cancel", {"reason": "Ill"})
        cal.fail({"kind": "replica_lag", "seconds": 1})
    expected = [each for each in everything.values() if _lets_through(each, wanted, now)]
    for sort, field in SORTS.items():
        for direction in ("asc", "desc"):
            seen = cal.listed(take=250, **{sort: direction}, **wanted)
            assert sorted(each["uid"] for each in seen) == sorted(each["uid"] for each in expected)
            order = [each[field] for each in seen]
            assert order == sorted(order, reverse=direction == "desc")
