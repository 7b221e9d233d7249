"""What goes over the wire, call by call, and what comes back in our words."""

import json
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
import respx
from calcom_examples import (
    BASE,
    KEY,
    SUCCESSOR,
    UID,
    booking_json,
    event_type_json,
    refusal,
    success,
)

from webapp.calcom.client import CalcomClient, CallRecord
from webapp.calcom.errors import NotFound, ProtocolError, RateLimited, Unavailable
from webapp.calcom.payloads import (
    BookingQuery,
    BookingStatus,
    NewAttendee,
    NewBooking,
    Slot,
    Sort,
)

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=1))


def a_new_booking(**changes: object) -> NewBooking:
    attendee = NewAttendee(name="Ada", time_zone="Europe/Berlin", email="ada@customer.example")
    fields: dict[str, object] = {"start": NINE, "event_type_id": 100, "attendee": attendee}
    return NewBooking(**{**fields, **changes})  # type: ignore[arg-type]


def body_of(route: respx.Route) -> object:
    return json.loads(route.calls.last.request.content)


def test_a_create_sends_the_start_in_utc_and_our_id_as_metadata(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    route = api.post("/bookings").mock(return_value=success(booking_json(), 201))
    start = datetime(2026, 3, 2, 10, tzinfo=BERLIN)
    booking = client.create_booking(
        a_new_booking(start=start, metadata={"lockstep_id": "a-1"}, guests=("b@x.example",))
    )
    assert body_of(route) == {
        "start": "2026-03-02T09:00:00.000Z",
        "eventTypeId": 100,
        "attendee": {
            "name": "Ada",
            "timeZone": "Europe/Berlin",
            "email": "ada@customer.example",
        },
        "metadata": {"lockstep_id": "a-1"},
        "guests": ["b@x.example"],
    }
    assert booking.uid == UID
    assert booking.metadata == {"lockstep_id": "a-1"}


@pytest.mark.parametrize(
    ("ours", "sent"),
    [("de", "de"), ("de-AT", "de"), ("de_CH", "de"), ("pt-BR", "pt-BR"), ("tlh", None), ("", None)],
)
def test_a_language_that_cal_com_would_refuse_is_folded_or_left_out(
    api: respx.MockRouter, client: CalcomClient, ours: str, sent: str | None
) -> None:
    route = api.post("/bookings").mock(return_value=success(booking_json(), 201))
    ada = NewAttendee(name="Ada", time_zone="UTC", email="ada@customer.example", language=ours)
    client.create_booking(a_new_booking(attendee=ada))
    assert json.loads(route.calls.last.request.content)["attendee"].get("language") == sent


def test_a_name_with_half_a_surrogate_pair_can_be_sent(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    route = api.post("/bookings").mock(return_value=success(booking_json(), 201))
    attendee = NewAttendee(name="Ad\ud83d", time_zone="UTC", phone_number="+49301234567")
    client.create_booking(a_new_booking(attendee=attendee))
    assert b"\\ud83d" in route.calls.last.request.content


def test_every_call_carries_key_and_agent_and_each_family_its_version(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    api.get("/me").mock(return_value=success({"id": 7}))
    api.get(f"/bookings/{UID}").mock(return_value=success(booking_json()))
    api.get("/event-types/100").mock(return_value=success(event_type_json()))
    api.get("/slots").mock(return_value=success({}))
    api.get("/webhooks").mock(return_value=success([]))
    client.me()
    client.get_booking(UID)
    client.get_event_type(100)
    client.list_slots(100, start=NINE, end=NINE + timedelta(days=1))
    client.list_webhooks()
    requests = [call.request for call in api.calls]
    assert {each.headers["Authorization"] for each in requests} == {f"Bearer {KEY}"}
    assert {each.headers["User-Agent"] for each in requests} == {"Lockstep"}
    assert {each.headers["Accept-Encoding"] for each in requests} == {"gzip"}
    assert [each.headers.get("cal-api-version") for each in requests] == [
        None,
        "2024-08-13",
        "2024-06-14",
        "2024-09-04",
        None,
    ]


def test_a_reschedule_returns_the_new_booking_which_names_the_old_one(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    moved = booking_json(uid=SUCCESSOR, rescheduledFromUid=UID, status="pending")
    route = api.post(f"/bookings/{UID}/reschedule").mock(return_value=success(moved, 201))
    booking = client.reschedule_booking(UID, NINE, "customer asked")
    assert body_of(route) == {
        "start": "2026-03-02T09:00:00.000Z",
        "reschedulingReason": "customer asked",
    }
    assert (booking.uid, booking.rescheduled_from_uid) == (SUCCESSOR, UID)
    assert booking.status is BookingStatus.PENDING


def test_a_cancel_always_gives_a_reason(api: respx.MockRouter, client: CalcomClient) -> None:
    gone = booking_json(status="cancelled", cancellationReason="ill")
    route = api.post(f"/bookings/{UID}/cancel").mock(return_value=success(gone))
    assert client.cancel_booking(UID, "ill").status is BookingStatus.CANCELLED
    assert body_of(route) == {"cancellationReason": "ill"}
    with pytest.raises(ValueError, match="reason"):
        client.cancel_booking(UID, " ")


def test_a_pending_booking_is_confirmed_or_declined(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    api.post(f"/bookings/{UID}/confirm").mock(return_value=success(booking_json()))
    declined = booking_json(status="rejected")
    route = api.post(f"/bookings/{UID}/decline").mock(return_value=success(declined))
    assert client.confirm_booking(UID).status is BookingStatus.ACCEPTED
    assert client.decline_booking(UID, "full").status is BookingStatus.REJECTED
    assert body_of(route) == {"reason": "full"}


def test_a_listing_sends_its_filters_and_only_those(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    route = api.get("/bookings").mock(return_value=success([]))
    client.list_bookings(
        BookingQuery(
            status=("upcoming", "cancelled"),
            attendee_email="ada+x@customer.example",
            event_type_ids=(100, 200),
            after_start=NINE,
            before_end=NINE + timedelta(hours=1),
            after_updated_at=NINE,
            sort=Sort.UPDATED_ASC,
            take=10,
            skip=20,
        )
    )
    assert dict(route.calls.last.request.url.params) == {
        "status": "upcoming,cancelled",
        "attendeeEmail": "ada+x@customer.example",
        "eventTypeIds": "100,200",
        "afterStart": "2026-03-02T09:00:00.000Z",
        "beforeEnd": "2026-03-02T10:00:00.000Z",
        "afterUpdatedAt": "2026-03-02T09:00:00.000Z",
        "sortUpdatedAt": "asc",
        "take": "10",
        "skip": "20",
    }


@pytest.mark.parametrize(("rows", "has_more"), [(2, True), (1, False), (0, False)])
def test_a_page_shorter_than_take_is_the_last_whatever_the_totals_claim(
    api: respx.MockRouter, client: CalcomClient, rows: int, has_more: bool
) -> None:
    body = {
        "status": "success",
        "data": [booking_json() for _ in range(rows)],
        "pagination": {"totalItems": 999, "hasNextPage": True},
    }
    api.get("/bookings").mock(return_value=httpx.Response(200, json=body))
    page = client.list_bookings(BookingQuery(take=2))
    assert (len(page.bookings), page.has_more) == (rows, has_more)


def test_one_unreadable_row_makes_the_whole_listing_unreadable(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    rows = [booking_json(), {"uid": UID, "startTime": "2026-03-02T09:00:00.000Z"}]
    api.get("/bookings").mock(return_value=success(rows))
    with pytest.raises(ProtocolError):
        client.list_bookings(BookingQuery())


def test_a_series_is_read_by_the_uid_that_was_asked_for(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    first = booking_json(uid=SUCCESSOR, recurringBookingUid="series-1")
    second = booking_json(recurringBookingUid="series-1")
    api.get(f"/bookings/{UID}").mock(return_value=success([first, second]))
    booking = client.get_booking(UID)
    assert (booking.uid, booking.is_recurring) == (UID, True)


def test_another_booking_than_the_one_asked_for_is_a_protocol_error(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    api.get(f"/bookings/{UID}").mock(return_value=success(booking_json(uid=SUCCESSOR)))
    with pytest.raises(ProtocolError):
        client.get_booking(UID)


def test_an_event_type_is_patched_by_our_names_and_its_price_never(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    route = api.patch("/event-types/100").mock(return_value=success(event_type_json()))
    client.update_event_type(100, title="Cut", length_minutes=45, after_buffer_minutes=0)
    assert body_of(route) == {"title": "Cut", "lengthInMinutes": 45, "afterEventBuffer": 0}
    with pytest.raises(ValueError, match="price"):
        client.update_event_type(100, price=12)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="nothing"):
        client.update_event_type(100)


def test_slots_in_the_old_versions_shape_are_not_taken_for_a_full_calendar(
    client: CalcomClient, api: respx.MockRouter
) -> None:
    api.get("/slots").mock(return_value=success({"slots": {"2026-03-02": [{"time": "x"}]}}))
    with pytest.raises(ProtocolError):
        client.list_slots(100, start=NINE, end=NINE + timedelta(days=1))


def test_slots_of_all_days_come_as_instants_in_order(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    days = {
        "2026-03-03": [{"start": "2026-03-03T10:00:00.000+01:00"}],
        "2026-03-02": [{"start": "2026-03-02T09:00:00.000Z"}],
    }
    route = api.get("/slots").mock(return_value=success(days))
    slots = client.list_slots(
        100, start=NINE, end=NINE + timedelta(days=2), time_zone="Europe/Berlin"
    )
    assert slots == (Slot(NINE), Slot(NINE + timedelta(days=1)))
    assert route.calls.last.request.url.params["timeZone"] == "Europe/Berlin"


def test_a_webhook_is_registered_and_its_secret_is_not_handed_back(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    data = {"id": "w-1", "subscriberUrl": "https://us.example/x", "triggers": ["BOOKING_CREATED"]}
    route = api.post("/webhooks").mock(
        return_value=success({**data, "active": True, "secret": "hush"}, 201)
    )
    webhook = client.create_webhook("https://us.example/x", ["BOOKING_CREATED"], "hush")
    assert body_of(route) == {
        "active": True,
        "subscriberUrl": "https://us.example/x",
        "triggers": ["BOOKING_CREATED"],
        "secret": "hush",
    }
    assert (webhook.id, webhook.active) == ("w-1", True)
    assert "hush" not in repr(webhook)
    with pytest.raises(ValueError, match="secret"):
        client.create_webhook("https://us.example/x", [], "")


def test_a_rotated_secret_is_written_to_the_registered_webhook(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    route = api.patch("/webhooks/12").mock(return_value=success({"id": 12, "triggers": []}))
    assert client.update_webhook_secret("12", "new").id == "12"
    assert body_of(route) == {"secret": "new"}


@pytest.mark.parametrize("uid", ["", ".", "..", "../me", "a/b", "a?b", "ü", "a" * 101, "x\n"])
def test_a_uid_can_not_lead_out_of_its_place_in_the_path(client: CalcomClient, uid: str) -> None:
    with pytest.raises(ValueError, match="no uid"):
        client.get_booking(uid)


@pytest.mark.parametrize("key", ["", "  ", "cal_ü", "cal_a\nX-Evil: 1", "cal_a b"])
def test_a_key_that_can_be_none_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as refused:
        CalcomClient(BASE, key)
    assert "cal_" not in str(refused.value)


@pytest.mark.parametrize("take", [0, 251])
def test_a_take_that_cal_com_would_refuse_is_refused_here(take: int) -> None:
    with pytest.raises(ValueError, match="take"):
        BookingQuery(take=take)


@pytest.mark.parametrize(
    "metadata",
    [
        {f"k{each}": 1 for each in range(51)},
        {"k" * 41: 1},
        {"k": "v" * 501},
        {"k": {"nested": 1}},
        {"k": None},
    ],
)
def test_metadata_beyond_the_limits_is_refused_here(metadata: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        a_new_booking(metadata=metadata)


def test_a_start_without_zone_and_an_attendee_without_address_are_refused_here() -> None:
    with pytest.raises(ValueError, match="time zone"):
        a_new_booking(start=datetime(2026, 3, 2, 9))  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="e-mail"):
        NewAttendee(name="Ada", time_zone="UTC")


def test_before_call_can_refuse_and_then_nothing_is_sent(api: respx.MockRouter) -> None:
    route = api.get("/me").mock(return_value=success({"id": 7}))
    records: list[CallRecord] = []

    def refuse() -> None:
        raise RuntimeError("a transaction is open")

    with (
        CalcomClient(BASE, KEY, before_call=refuse, on_call=records.append) as client,
        pytest.raises(RuntimeError, match="transaction"),
    ):
        client.me()
    assert not route.called
    assert records == []


def test_a_success_is_recorded_with_the_announced_budget(
    api: respx.MockRouter, client: CalcomClient, records: list[CallRecord]
) -> None:
    headers = {
        "X-RateLimit-Limit-Default": "120",
        "X-RateLimit-Remaining-Default": "17",
        "X-RateLimit-Reset-Default": "42",
    }
    answer = success({"id": 7})
    answer.headers.update(headers)
    api.get("/me").mock(return_value=answer)
    client.me()
    [record] = records
    assert (record.operation, record.method, record.status) == ("me", "GET", 200)
    assert record.error_code is None
    budget = record.rate_limit
    assert (budget.limit, budget.remaining, budget.reset_seconds) == (120, 17, 42.0)
    assert 0 <= record.duration_seconds < 5


def test_failures_are_recorded_too(
    api: respx.MockRouter, client: CalcomClient, records: list[CallRecord]
) -> None:
    limited = refusal(429)
    limited.headers["X-RateLimit-Reset-Default"] = "30"
    answers = [refusal(404), limited, httpx.ConnectError("refused"), success({"no": "id"})]
    api.get("/me").mock(side_effect=answers)
    for error in (NotFound, RateLimited, Unavailable, ProtocolError):
        with pytest.raises(error):
            client.me()
    found = [(each.status, each.error_code, each.retry_after_seconds) for each in records]
    assert found == [
        (404, "HTTP_404", None),
        (429, "RATE_LIMITED", 30.0),
        (None, "CONNECTION", None),
        (200, "PROTOCOL", None),
    ]
