"""Booking a time: what Cal.com checks, what it stores, and whom it tells (API facts, §2)."""

from datetime import datetime, timedelta

from webapp.sandbox import payloads, seats
from webapp.sandbox.core import Sandbox
from webapp.sandbox.drafts import draw_up
from webapp.sandbox.event_types import LONGEST_MINUTES
from webapp.sandbox.orders import Order
from webapp.sandbox.records import ACCEPTED, PENDING, Booking, EventType, Mail
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.shelves import between
from webapp.sandbox.state import State

# Two days: the longest booking and the longest buffer.
LONGEST = timedelta(minutes=2 * LONGEST_MINUTES)
IN_THE_PAST = "Attempting to book a meeting in the past."
TAKEN = "User either already has booking at this time or is not available"
TEAM_TAKEN = "One of the hosts either already has booking at this time or is not available"
OUT_OF_BOUNDS = (
    "The event type can't be booked at the \"start\" time provided. This could be because it's too "
    "soon (violating the minimum booking notice) or too far in the future (outside the event's "
    "scheduling window)."
)


def book(
    sandbox: Sandbox,
    order: Order,
    *,
    keep: bool = True,
    checked: bool = True,
    hold: bool = False,
) -> list[Booking]:
    """Book it: one booking, or all of a series. Refusal 400, 404, 409 or 422.

    `keep=False` answers as if, and stores nothing; `checked=False` skips past and conflicts;
    `hold` waits for the webhook's receivers before it returns.
    """
    event_type = event_type_to_book(sandbox.state, order.event_type_id)
    with sandbox.state.writing():
        if checked:
            check_bounds(event_type, order.start, sandbox.clock.now())
        bookings, is_news = _settle(sandbox, event_type, order, checked=checked)
        if keep and is_news:
            for booking in bookings:
                sandbox.state.save_booking(booking)
            note_mail(sandbox, bookings[0], _kind(bookings[0]), to=str(order.attendee["email"]))
    if keep and is_news:
        announce_new(sandbox, bookings[0], event_type, hold=hold)
    return bookings


def _settle(
    sandbox: Sandbox, event_type: EventType, order: Order, *, checked: bool
) -> tuple[list[Booking], bool]:
    """The bookings that this order leads to, and whether that is news.

    A repeat of a pending or round-robin booking returns it, without a mail; of an accepted one it
    is a conflict, in the second error shape. On an event type with seats it takes a seat.
    """
    existing = _same_slot(sandbox.state, event_type, order)
    if existing is not None and event_type.seats is not None:
        return [seats.take_seat(existing, event_type, order, now=sandbox.clock.now())], True
    if existing is not None and checked:
        if existing.status == PENDING or event_type.is_round_robin:
            return [existing], False
        raise Refusal(409, "booking_conflict_error", bare=True)
    drafts = draw_up(sandbox, event_type, order)
    for draft in drafts if checked else []:
        check_free(sandbox.state, event_type, draft.start, draft.end)
    return drafts, True


def event_type_to_book(state: State, event_type_id: int) -> EventType:
    event_type = state.event_types.get(event_type_id)
    if event_type is None:
        raise Refusal(404, f"Event type with id {event_type_id} not found.")
    if not event_type.has_hosts:
        raise Refusal(422, "no_available_users_found_error: event type has no hosts")
    return event_type


def check_bounds(event_type: EventType, start: datetime, now: datetime) -> None:
    if start < now:
        raise Refusal(400, IN_THE_PAST)
    if start < now + timedelta(minutes=event_type.minimum_notice_minutes):
        raise Refusal(400, OUT_OF_BOUNDS)
    if event_type.window_days is not None and start > now + timedelta(event_type.window_days):
        raise Refusal(400, OUT_OF_BOUNDS)


def check_free(
    state: State, event_type: EventType, start: datetime, end: datetime, *, moving: str = ""
) -> None:
    """Refusal 400 where the host is busy. `moving` is the booking that leaves its own slot."""
    if is_busy(state, event_type, start, end, moving=moving):
        raise Refusal(400, TEAM_TAKEN if event_type.is_round_robin else TAKEN)


def is_busy(
    state: State, event_type: EventType, start: datetime, end: datetime, *, moving: str = ""
) -> bool:
    """Whether another booking of the host overlaps, both with their buffers."""
    start -= timedelta(minutes=event_type.before_buffer_minutes)
    end += timedelta(minutes=event_type.after_buffer_minutes)
    with state.lock:
        near = between(state.shelf(event_type.owner_id).by_start, start - LONGEST, end + LONGEST)
        for uid in near:
            other = state.bookings[uid]
            if uid == moving or other.owner_id != event_type.owner_id or not _blocks(state, other):
                continue
            before, after = _buffers(state, other)
            if other.start - before < end and start < other.end + after:
                return True
    return False


def _blocks(state: State, booking: Booking) -> bool:
    if booking.status == PENDING:
        event_type = state.event_types.get(booking.event_type_id)
        return event_type is not None and event_type.blocks_while_pending
    return booking.status == ACCEPTED


def _buffers(state: State, booking: Booking) -> tuple[timedelta, timedelta]:
    event_type = state.event_types.get(booking.event_type_id)
    if event_type is None:
        return timedelta(0), timedelta(0)
    return (
        timedelta(minutes=event_type.before_buffer_minutes),
        timedelta(minutes=event_type.after_buffer_minutes),
    )


def _same_slot(state: State, event_type: EventType, order: Order) -> Booking | None:
    """The live booking that this order repeats: same slot, same person; for seats any person."""
    email = str(order.attendee["email"]).lower()
    for uid in between(state.shelf(event_type.owner_id).by_start, order.start, order.start):
        booking = state.bookings[uid]
        is_rival = booking.event_type_id == event_type.id and booking.is_live
        if is_rival and (event_type.seats is not None or email in booking.emails):
            return booking
    return None


def _kind(booking: Booking) -> str:
    return "requested" if booking.status == PENDING else "created"


def announce_new(
    sandbox: Sandbox, booking: Booking, event_type: EventType, *, hold: bool = False
) -> None:
    pending = booking.status == PENDING
    trigger = payloads.REQUESTED if pending else payloads.CREATED
    body = (payloads.requested if pending else payloads.created)(booking, event_type)
    sandbox.postman.send(
        booking.owner_id, trigger, booking.uid, sandbox.postman.envelope(trigger, body), hold=hold
    )


def note_mail(sandbox: Sandbox, booking: Booking, kind: str, *, to: str | None = None) -> None:
    """Cal.com mails the attendee at every create, reschedule and cancel."""
    sandbox.state.save_mail(
        Mail(
            uid=booking.uid,
            kind=kind,
            to=to or str(booking.attendees[0]["email"]),
            copies=booking.guests,
            account=str(booking.host["email"]),
            at=sandbox.clock.now(),
        )
    )
