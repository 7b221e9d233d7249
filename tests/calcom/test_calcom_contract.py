"""Our client against the sandbox: both are held to the same facts, so they must understand
each other, in bookings, refusals, faults and signed webhooks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from webapp.calcom import errors, signatures
from webapp.calcom.client import CalcomClient, CallRecord
from webapp.calcom.payloads import (
    Booking,
    BookingQuery,
    BookingStatus,
    NewAttendee,
    NewBooking,
    Sort,
)
from webapp.calcom.webhooks import Delivery, Trigger, read_body, read_delivery
from webapp.sandbox.server import RunningSandbox, running_sandbox

KEY = "cal_contract"
SECRET = "hush"
CONTROL = httpx.Client(trust_env=False, timeout=10)
CALM = [Trigger.CREATED, Trigger.RESCHEDULED, Trigger.CANCELLED, Trigger.MEETING_ENDED]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> RunningSandbox:
    steer(server, "reset")
    steer(server, "accounts", email="grace@salon.example", key=KEY, timeZone="Europe/Berlin")
    for number, title in ((100, "Haircut"), (101, "On request")):
        steer(server, "event-types", id=number, account=KEY, title=title, lengthInMinutes=30)
    return server


@pytest.fixture
def records() -> list[CallRecord]:
    return []


@pytest.fixture
def client(sandbox: RunningSandbox, records: list[CallRecord]) -> Iterator[CalcomClient]:
    with calling(sandbox, on_call=records.append) as made:
        yield made


def calling(sandbox: RunningSandbox, key: str = KEY, **options: Any) -> CalcomClient:
    options = {"deadline_seconds": 5, **options}
    return CalcomClient(sandbox.api_url, key, allow_private_networks=True, **options)


def steer(sandbox: RunningSandbox, door: str, **body: Any) -> Any:
    answer = CONTROL.post(f"{sandbox.url}/_sandbox/{door}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


def with_fault(sandbox: RunningSandbox, kind: str, **values: Any) -> None:
    sandbox.sandbox.faults.replace([{"kind": kind, **values}])


def days_ahead(days: int, hour: int = 9) -> datetime:
    day = datetime.now(UTC) + timedelta(days=days)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


def book(client: CalcomClient, start: datetime, our_id: str = "a-1") -> Booking:
    attendee = NewAttendee(name="Ada", time_zone="Europe/Berlin", email="ada@customer.example")
    return client.create_booking(
        NewBooking(
            start=start, event_type_id=100, attendee=attendee, metadata={"lockstep_id": our_id}
        )
    )


def test_the_key_tells_whose_it_is(client: CalcomClient, sandbox: RunningSandbox) -> None:
    assert client.me().email == "grace@salon.example"
    with calling(sandbox, "cal_wrong") as stranger, pytest.raises(errors.Unauthorised):
        stranger.me()


def test_a_booking_is_made_read_moved_and_cancelled(client: CalcomClient) -> None:
    booking = book(client, days_ahead(3))
    assert (booking.status, booking.start) == (BookingStatus.ACCEPTED, days_ahead(3))
    assert booking.end - booking.start == timedelta(minutes=30)
    assert client.get_booking(booking.uid) == booking

    moved = client.reschedule_booking(booking.uid, days_ahead(4), "asked")
    assert moved.uid != booking.uid
    assert moved.rescheduled_from_uid == booking.uid
    assert moved.metadata["lockstep_id"] == "a-1"
    old = client.get_booking(booking.uid)
    assert (old.status, old.rescheduled_to_uid) == (BookingStatus.CANCELLED, moved.uid)

    gone = client.cancel_booking(moved.uid, "ill")
    assert (gone.status, gone.cancellation_reason) == (BookingStatus.CANCELLED, "ill")


def test_what_can_not_be_done_any_more_is_named(client: CalcomClient) -> None:
    first = book(client, days_ahead(3))
    second = client.reschedule_booking(first.uid, days_ahead(4))
    for again in (
        lambda: client.reschedule_booking(first.uid, days_ahead(5)),
        lambda: client.cancel_booking(first.uid, "ill"),
    ):
        with pytest.raises(errors.Conflict) as caught:
            again()
        assert caught.value.successor_uid == second.uid
    client.cancel_booking(second.uid, "ill")
    with pytest.raises(errors.AlreadyCancelled):
        client.cancel_booking(second.uid, "ill")
    with pytest.raises(errors.AlreadyCancelled):
        client.reschedule_booking(second.uid, days_ahead(6))


def test_a_meeting_that_is_over_can_not_be_cancelled(
    client: CalcomClient, sandbox: RunningSandbox
) -> None:
    past = days_ahead(-3).isoformat()
    made = steer(sandbox, "bookings", eventTypeId=100, start=past, silent=True)
    with pytest.raises(errors.AlreadyEnded):
        client.cancel_booking(made["uid"], "ill")


def test_an_exact_repeat_is_a_conflict_and_is_found_by_looking(client: CalcomClient) -> None:
    booking = book(client, days_ahead(3))
    with pytest.raises(errors.Conflict):
        book(client, days_ahead(3))
    page = client.list_bookings(
        BookingQuery(
            attendee_email="ada@customer.example",
            after_start=days_ahead(3),
            before_end=days_ahead(3) + timedelta(minutes=30),
        )
    )
    assert [each.uid for each in page.bookings] == [booking.uid]
    assert page.has_more is False


def test_a_time_that_can_not_be_had_is_a_slot_error(client: CalcomClient) -> None:
    book(client, days_ahead(3))
    for start in (days_ahead(3) + timedelta(minutes=15), days_ahead(-2)):
        with pytest.raises(errors.SlotUnavailable):
            book(client, start, "a-2")


def test_what_does_not_exist_is_not_found(client: CalcomClient) -> None:
    with pytest.raises(errors.NotFound):
        client.get_booking("2NtaeaVcKfpmSZ4CthFdfk")
    with pytest.raises(errors.NotFound):
        client.get_event_type(999)


def test_pages_end_with_the_short_one(client: CalcomClient) -> None:
    uids = [book(client, days_ahead(3, hour), f"a-{hour}").uid for hour in (9, 10, 11)]
    pages = [
        client.list_bookings(BookingQuery(sort=Sort.START_ASC, take=2, skip=skip))
        for skip in (0, 2)
    ]
    assert [each.uid for page in pages for each in page.bookings] == uids
    assert [page.has_more for page in pages] == [True, False]


def test_every_filter_and_sort_is_understood(client: CalcomClient) -> None:
    booking = book(client, days_ahead(3))
    before, after = days_ahead(-1), days_ahead(30)
    for sort in Sort:
        query = BookingQuery(
            status=("upcoming", "past", "cancelled", "unconfirmed"),
            booking_uid=booking.uid,
            event_type_ids=(100,),
            after_start=before,
            before_end=after,
            after_created_at=before,
            before_created_at=after,
            sort=sort,
        )
        assert [each.uid for each in client.list_bookings(query).bookings] == [booking.uid]
    updated = BookingQuery(after_updated_at=after, before_updated_at=after + timedelta(days=1))
    assert client.list_bookings(updated).bookings == ()


def test_an_event_type_is_read_and_written(client: CalcomClient) -> None:
    assert {each.id for each in client.list_event_types()} == {100, 101}
    written = client.update_event_type(
        100, title="Cut", length_minutes=45, before_buffer_minutes=5, hidden=True
    )
    assert written == client.get_event_type(100)
    assert (written.title, written.length_minutes, written.hidden) == ("Cut", 45, True)


def test_slots_are_offered_until_they_are_taken(client: CalcomClient) -> None:
    start, end = days_ahead(3, 0), days_ahead(4, 0)
    offered = client.list_slots(100, start=start, end=end, time_zone="Europe/Berlin")
    assert offered
    book(client, offered[0].start)
    assert offered[0] not in client.list_slots(100, start=start, end=end)


def test_the_announced_budget_is_learnt(client: CalcomClient, records: list[CallRecord]) -> None:
    client.me()
    client.me()
    first, second = (each.rate_limit for each in records)
    assert (first.limit or 0) > 100
    assert (first.remaining or 0) - (second.remaining or 0) == 1
    assert 0 < (second.reset_seconds or 0) <= 60


FAULTS = [
    ({"kind": "status", "status": 503}, errors.Unavailable, "HTTP_503"),
    ({"kind": "status", "status": 502, "body": "html"}, errors.Unavailable, "HTTP_502"),
    ({"kind": "status", "status": 422, "body": "bare"}, errors.Rejected, "HTTP_422"),
    ({"kind": "rate_limited"}, errors.RateLimited, "RATE_LIMITED"),
    ({"kind": "timeout_before"}, errors.Unavailable, "TIMEOUT"),
    ({"kind": "drip"}, errors.Unavailable, "TIMEOUT"),
    ({"kind": "reset_before"}, errors.Unavailable, "CONNECTION"),
    ({"kind": "old_version"}, errors.ProtocolError, "PROTOCOL"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), FAULTS)
def test_a_fault_is_named(
    sandbox: RunningSandbox, fault: dict[str, Any], kind: type[errors.CalcomError], code: str
) -> None:
    with calling(sandbox, deadline_seconds=0.5) as client:
        booking = book(client, days_ahead(3))
        with_fault(sandbox, **fault)
        with pytest.raises(kind) as caught:
            client.get_booking(booking.uid)
    assert caught.value.code == code


def test_a_create_that_timed_out_is_found_by_looking(sandbox: RunningSandbox) -> None:
    with calling(sandbox, deadline_seconds=0.5) as client:
        with_fault(sandbox, "timeout_after", operation="bookings.create")
        with pytest.raises(errors.Unavailable) as caught:
            book(client, days_ahead(3))
        assert caught.value.sent is True
        page = client.list_bookings(BookingQuery(attendee_email="ada@customer.example"))
    assert [each.metadata["lockstep_id"] for each in page.bookings] == ["a-1"]


@contextmanager
def mailbox() -> Iterator[tuple[str, list[Delivery]]]:
    """Takes deliveries as our door does: signature over the raw bytes, then the parser."""
    deliveries: list[Delivery] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if signatures.verify(raw, self.headers[signatures.HEADER], ["new", SECRET]):
                deliveries.append(read_delivery(read_body(raw)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    door = HTTPServer(("127.0.0.1", 0), Door)
    Thread(target=door.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{door.server_port}/", deliveries
    finally:
        door.shutdown()
        door.server_close()


def test_what_we_do_comes_back_as_signed_deliveries(
    client: CalcomClient, sandbox: RunningSandbox
) -> None:
    with mailbox() as (url, deliveries):
        webhook = client.create_webhook(url, CALM, SECRET)
        assert client.list_webhooks() == (webhook,)
        with pytest.raises(errors.Conflict):
            client.create_webhook(url, CALM, SECRET)
        booking = book(client, days_ahead(3))
        steer(sandbox, "settle")
        moved = client.reschedule_booking(booking.uid, days_ahead(4))
        steer(sandbox, "settle")
        steer(sandbox, f"bookings/{moved.uid}/end")
        steer(sandbox, "settle")
        client.cancel_booking(moved.uid, "ill")
        steer(sandbox, "settle")
    created, rescheduled, ended, cancelled = deliveries
    assert [each.trigger for each in deliveries] == [CALM[0], CALM[1], CALM[3], CALM[2]]
    assert (created.uid, created.start, created.event_type_id) == (booking.uid, booking.start, 100)
    assert created.metadata["lockstep_id"] == "a-1"
    assert (rescheduled.uid, rescheduled.old_uid) == (moved.uid, booking.uid)
    assert (rescheduled.start, rescheduled.old_start) == (moved.start, booking.start)
    assert (ended.uid, ended.old_uid, ended.sent_at) == (moved.uid, booking.uid, None)
    assert (cancelled.uid, cancelled.start, cancelled.metadata) == (moved.uid, moved.start, {})
    assert cancelled.cancellation_reason == "ill"
    assert cancelled.attendees[0].email == "ada@customer.example"


def test_after_a_rotation_deliveries_carry_the_new_secret(
    client: CalcomClient, sandbox: RunningSandbox
) -> None:
    with mailbox() as (url, deliveries):
        webhook = client.create_webhook(url, [Trigger.CREATED], "unknown")
        book(client, days_ahead(3))
        steer(sandbox, "settle")
        assert deliveries == []
        client.update_webhook_secret(webhook.id, "new")
        book(client, days_ahead(4), "a-2")
        steer(sandbox, "settle")
    assert [each.metadata["lockstep_id"] for each in deliveries] == ["a-2"]


def test_a_ping_from_the_sandbox_is_known_as_one(
    client: CalcomClient, sandbox: RunningSandbox
) -> None:
    with mailbox() as (url, deliveries):
        webhook = client.create_webhook(url, CALM, SECRET)
        steer(sandbox, f"webhooks/{webhook.id}/ping", trigger="BOOKING_CANCELLED")
    assert [(each.trigger, each.is_ping) for each in deliveries] == [(Trigger.CANCELLED, True)]
