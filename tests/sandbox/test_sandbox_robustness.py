"""Whatever is sent, nothing falls over; and many at once book a slot once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_cast import ANNA, ANNA_KEY, HAIRCUT, JO, NINE, TEN, Caller, Subscriber

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [NINE, TEN, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "2", ANNA, "cal_x"]
    )
    | st.text(max_size=8)
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4), SCALARS)
NAMES = st.sampled_from(
    [
        *("id", "account", "email", "name", "key", "rateLimit", "start", "eventTypeId"),
        *("attendee", "metadata", "guests", "location", "lengthInMinutes", "bookings", "status"),
        *("uid", "createdAt", "updatedAt", "title", "slug", "seatsPerTimeSlot", "occurrences"),
        *("windowDays", "minimumBookingNotice", "triggers", "subscriberUrl", "secret", "active"),
        *("set", "advance", "freeze", "faults", "kind", "seconds", "times", "limit", "reason"),
        *("cancellationReason", "reschedulingReason", "host", "attendees", "force", "silent"),
        "bookingFieldsResponses",
    ]
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5)
DOORS = [
    ("POST", "/v2/bookings"),
    ("POST", "/v2/bookings/{uid}/reschedule"),
    ("POST", "/v2/bookings/{uid}/cancel"),
    ("POST", "/v2/bookings/{uid}/mark-absent"),
    ("PATCH", f"/v2/event-types/{HAIRCUT}"),
    ("POST", "/v2/webhooks"),
    ("POST", "/_sandbox/accounts"),
    ("POST", "/_sandbox/event-types"),
    ("POST", "/_sandbox/webhooks"),
    ("POST", "/_sandbox/bookings"),
    ("POST", "/_sandbox/bookings/{uid}/reschedule"),
    ("POST", "/_sandbox/bookings/{uid}/no-show"),
    ("POST", "/_sandbox/clock"),
    ("PUT", "/_sandbox/rate-limit"),
    ("PUT", "/_sandbox/faults"),
]
WELL = {"start": NINE, "eventTypeId": HAIRCUT, "attendee": JO, "title": "X", "account": ANNA}


@given(door=st.sampled_from(DOORS), body=BODIES, well=st.booleans())
@settings(
    max_examples=250,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_body_makes_it_fall_over(
    cal: Caller, door: tuple[str, str], body: dict[str, Any], well: bool
) -> None:
    method, path = door
    headers = {"Authorization": f"Bearer {ANNA_KEY}", "cal-api-version": "2024-08-13"}
    if "event-types" in path:
        headers["cal-api-version"] = "2024-06-14"
    sent = {**WELL, **body} if well else body
    answer = cal.http.request(method, path.format(uid="x"), json=sent, headers=headers)
    assert answer.status_code < 500, answer.text
    cal.steer("DELETE", "/faults")
    cal.steer("PUT", "/rate-limit", {"limit": 100_000})


@pytest.mark.parametrize("name", ["take", "skip", "eventTypeIds", "afterStart", "status"])
@pytest.mark.parametrize("text", ["9" * 5000, "²", "٣", "\x00", "-1", "%"])
def test_no_query_makes_it_fall_over(cal: Caller, name: str, text: str) -> None:
    assert cal.api("GET", "/bookings", params={name: text}).status_code in (200, 400)


def test_many_at_once_book_a_slot_once(cal: Caller, hook: Subscriber) -> None:
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: cal.create().status_code, range(24)))
    assert sorted(answers) == [201] + [409] * 23
    hook.wait_for(1)
    assert cal.mails() == [("created", JO["email"])]


def test_many_at_once_cancel_once(cal: Caller) -> None:
    uid = cal.booked()["uid"]
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda _: cal.cancel(uid).status_code, range(12)))
    assert sorted(answers) == [200] + [400] * 11
    assert [kind for kind, _ in cal.mails()] == ["created", "cancelled"]
