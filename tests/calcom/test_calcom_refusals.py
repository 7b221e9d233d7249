"""What an answer means: status first, code second, text last."""

import time
from email.utils import formatdate

import httpx
import pytest
import respx
from calcom_examples import SUCCESSOR, UID, bare_refusal, booking_json, html, refusal, success
from hypothesis import given
from hypothesis import strategies as st

from webapp.calcom import errors
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError
from webapp.calcom.payloads import NewAttendee, NewBooking
from webapp.calcom.rate_limits import read_wait_seconds
from webapp.calcom.untrusted import instant

START = instant("2026-03-02T09:00:00Z")
TAKEN = "User either already has booking at this time or is not available"
PAST = "Attempting to book a meeting in the past."
WINDOW = (
    "The event type can't be booked at the \"start\" time provided. This could be because it's too "
    "soon (violating the minimum booking notice) or too far in the future."
)
MOVED = (
    f"Can't reschedule booking with uid={UID} because it has been cancelled and rescheduled "
    f"already to booking with uid={SUCCESSOR}. You probably want to reschedule {SUCCESSOR} instead."
)
MOVED_SHORT = f"This booking was already rescheduled to uid={SUCCESSOR}"
GONE = f"Can't cancel booking with uid={UID} because it has been cancelled already."
GONE_MOVE = f"Can't reschedule booking with uid={UID} because it has been cancelled. Please …"
ENDED = "Cannot cancel a booking that has already ended"
UNKNOWN = f"Booking with uid={UID} was not found in the database"


def ask(client: CalcomClient, operation: str) -> object:
    attendee = NewAttendee(name="Ada", time_zone="UTC", email="ada@customer.example")
    calls = {
        "get": lambda: client.get_booking(UID),
        "create": lambda: client.create_booking(
            NewBooking(start=START, event_type_id=100, attendee=attendee)
        ),
        "reschedule": lambda: client.reschedule_booking(UID, START),
        "cancel": lambda: client.cancel_booking(UID, "ill"),
        "confirm": lambda: client.confirm_booking(UID),
    }
    return calls[operation]()


def failure(
    api: respx.MockRouter, client: CalcomClient, operation: str, answer: object
) -> CalcomError:
    api.route().mock(side_effect=[answer])
    with pytest.raises(CalcomError) as caught:
        ask(client, operation)
    return caught.value


TABLE = [
    # an unknown outcome: look, then retry
    ("create", httpx.ReadTimeout("slow"), errors.Unavailable, "TIMEOUT"),
    ("create", httpx.ReadError("reset"), errors.Unavailable, "CONNECTION"),
    ("create", httpx.RemoteProtocolError("cut"), errors.Unavailable, "CONNECTION"),
    ("create", refusal(408), errors.Unavailable, "TIMEOUT"),
    ("create", refusal(500), errors.Unavailable, "HTTP_500"),
    ("create", bare_refusal(503), errors.Unavailable, "HTTP_503"),
    ("create", html(502), errors.Unavailable, "HTTP_502"),
    ("create", httpx.Response(524), errors.Unavailable, "HTTP_524"),
    ("get", html(200), errors.Unavailable, "CONNECTION"),
    # a proxy's 404 is no absence
    ("get", html(404), errors.Unavailable, "CONNECTION"),
    ("get", httpx.Response(404, text="404 page not found"), errors.Unavailable, "CONNECTION"),
    ("get", httpx.Response(404, json={"message": "no route"}), errors.Unavailable, "CONNECTION"),
    # the key
    ("get", refusal(429), errors.RateLimited, "RATE_LIMITED"),
    ("get", html(429), errors.RateLimited, "RATE_LIMITED"),
    ("get", refusal(401), errors.Unauthorised, "UNAUTHORIZED"),
    ("get", bare_refusal(403), errors.Unauthorised, "UNAUTHORIZED"),
    ("get", refusal(498), errors.Unauthorised, "UNAUTHORIZED"),
    # conflicts
    ("create", bare_refusal(409, "booking_conflict_error"), errors.Conflict, "HTTP_409"),
    ("create", refusal(409, "Booking seats are full."), errors.Conflict, "HTTP_409"),
    ("reschedule", refusal(400, MOVED), errors.Conflict, "HTTP_409"),
    ("reschedule", bare_refusal(400, MOVED_SHORT), errors.Conflict, "HTTP_409"),
    ("cancel", refusal(400, MOVED), errors.Conflict, "HTTP_409"),
    # slots
    ("create", refusal(400, TAKEN), errors.SlotUnavailable, "SLOT_UNAVAILABLE"),
    ("create", bare_refusal(400, TAKEN), errors.SlotUnavailable, "SLOT_UNAVAILABLE"),
    ("create", refusal(400, PAST), errors.SlotUnavailable, "SLOT_UNAVAILABLE"),
    ("create", refusal(400, WINDOW), errors.SlotUnavailable, "SLOT_UNAVAILABLE"),
    ("reschedule", refusal(400, TAKEN), errors.SlotUnavailable, "SLOT_UNAVAILABLE"),
    ("create", bare_refusal(400, "no_available_users_found_error"), errors.SlotUnavailable, None),
    # cancelling what is gone
    ("cancel", refusal(400, GONE), errors.AlreadyCancelled, "HTTP_400"),
    (
        "cancel",
        bare_refusal(400, "This booking has already been cancelled."),
        errors.AlreadyCancelled,
        "HTTP_400",
    ),
    ("cancel", bare_refusal(400, ENDED), errors.AlreadyEnded, "HTTP_400"),
    ("reschedule", refusal(400, GONE_MOVE), errors.AlreadyCancelled, "HTTP_400"),
    # not found, and not there at all
    ("get", refusal(404, UNKNOWN), errors.NotFound, "HTTP_404"),
    ("create", bare_refusal(404, "Event type with id 100 not found."), errors.NotFound, "HTTP_404"),
    ("get", bare_refusal(404, "Cannot GET /v2/bookings/x"), errors.ProtocolError, "PROTOCOL"),
    # other refusals
    ("create", refusal(422, "no hosts"), errors.Rejected, "HTTP_422"),
    ("create", refusal(400, "metadata must be an object"), errors.Rejected, "HTTP_400"),
    ("cancel", refusal(400, "Cancellation reason is required"), errors.Rejected, "HTTP_400"),
    ("confirm", refusal(400, "has been cancelled already"), errors.Rejected, "HTTP_400"),
    ("get", refusal(400, PAST), errors.Rejected, "HTTP_400"),
    ("get", refusal(418), errors.Rejected, "HTTP_418"),
    # a shape that we don't know
    ("get", httpx.Response(302, headers={"Location": "/x"}), errors.ProtocolError, "PROTOCOL"),
    ("get", httpx.Response(200, text="{"), errors.ProtocolError, "PROTOCOL"),
    ("get", httpx.Response(200, json=[1]), errors.ProtocolError, "PROTOCOL"),
    ("get", httpx.Response(200, json={"status": "success"}), errors.ProtocolError, "PROTOCOL"),
    (
        "get",
        httpx.Response(200, json={"status": "error", "data": booking_json()}),
        errors.ProtocolError,
        "PROTOCOL",
    ),
    ("get", success([]), errors.ProtocolError, "PROTOCOL"),
    ("get", success("text"), errors.ProtocolError, "PROTOCOL"),
    ("get", httpx.Response(204), errors.ProtocolError, "PROTOCOL"),
]


@pytest.mark.parametrize(("operation", "answer", "kind", "code"), TABLE)
def test_an_answer_becomes_exactly_this_error(
    api: respx.MockRouter,
    client: CalcomClient,
    operation: str,
    answer: object,
    kind: type[CalcomError],
    code: str | None,
) -> None:
    error = failure(api, client, operation, answer)
    assert type(error) is kind
    assert code in (None, error.code)


@pytest.mark.parametrize("field", ["start", "end", "uid"])
def test_a_booking_without_start_is_never_a_booking(
    api: respx.MockRouter, client: CalcomClient, field: str
) -> None:
    old_shape = booking_json(startTime="2026-03-02T09:00:00.000Z")
    del old_shape[field]
    error = failure(api, client, "get", success(old_shape))
    assert isinstance(error, errors.ProtocolError)
    assert field in error.message


@pytest.mark.parametrize("message", [MOVED, MOVED_SHORT])
@pytest.mark.parametrize("operation", ["reschedule", "cancel"])
def test_the_successor_of_a_moved_booking_is_named(
    api: respx.MockRouter, client: CalcomClient, operation: str, message: str
) -> None:
    error = failure(api, client, operation, refusal(400, message))
    assert isinstance(error, errors.Conflict)
    assert error.successor_uid == SUCCESSOR
    assert error.status == 400


def test_a_booking_is_never_its_own_successor(api: respx.MockRouter, client: CalcomClient) -> None:
    message = f"was already rescheduled to uid={UID}"
    error = failure(api, client, "reschedule", refusal(400, message))
    assert not isinstance(error, errors.Conflict)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("slow"), False),
        (httpx.PoolTimeout("busy"), False),
        (httpx.WriteError("broken pipe"), True),
        (httpx.WriteTimeout("slow"), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
        (html(502), True),
    ],
)
def test_only_what_surely_never_left_may_be_repeated_without_a_look(
    api: respx.MockRouter, client: CalcomClient, answer: object, sent: bool
) -> None:
    error = failure(api, client, "create", answer)
    assert isinstance(error, errors.Unavailable)
    assert error.sent is sent


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"X-RateLimit-Reset-Default": "37"}, 37),
        ({"X-RateLimit-Reset-Default": "37.5"}, 37.5),
        ({"X-RateLimit-Reset-Default": str(int(NOW) + 12)}, 12),
        ({"X-RateLimit-Reset-Default": str(int(NOW) - 12)}, 1),
        ({"X-RateLimit-Reset-Default": "0"}, 1),
        ({"Retry-After": "90"}, 90),
        ({"Retry-After": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"X-RateLimit-Reset-Default": "10", "Retry-After": "20"}, 20),
        ({"X-RateLimit-Reset-Default": "soon"}, 60),
        ({"X-RateLimit-Reset-Default": "-5"}, 60),
        ({"X-RateLimit-Reset-Default": "nan"}, 60),
        ({"X-RateLimit-Reset-Default": "²"}, 60),
        ({"Retry-After": "yesterday"}, 60),
        ({"Retry-After": "999999999"}, 3600),
    ],
)
def test_a_429_waits_as_long_as_the_headers_say(headers: dict[str, str], seconds: float) -> None:
    assert read_wait_seconds(httpx.Headers(headers, encoding="utf-8"), now_epoch=NOW) == seconds


@given(
    st.text(st.characters(codec="latin-1")),
    st.sampled_from(["Retry-After", "X-RateLimit-Reset-Default"]),
)
def test_any_header_is_a_wait_of_a_second_to_an_hour(value: str, name: str) -> None:
    assert 1 <= read_wait_seconds({name: value}, now_epoch=NOW) <= 3600


def test_the_wait_of_a_429_reaches_the_caller(api: respx.MockRouter, client: CalcomClient) -> None:
    answer = refusal(429)
    answer.headers["x-ratelimit-reset-default"] = str(int(time.time()) + 30)
    error = failure(api, client, "get", answer)
    assert isinstance(error, errors.RateLimited)
    assert 28 <= error.retry_after_seconds <= 31


def test_the_tree_lets_a_caller_catch_by_what_to_do() -> None:
    final = (errors.Conflict, errors.AlreadyCancelled, errors.AlreadyEnded, errors.NotFound)
    assert all(issubclass(kind, errors.Rejected) for kind in (*final, errors.SlotUnavailable))
    for kind in (errors.Unavailable, errors.RateLimited, errors.Unauthorised, errors.ProtocolError):
        assert not issubclass(kind, errors.Rejected)
        assert issubclass(kind, CalcomError)
