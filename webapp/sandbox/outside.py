"""Bookings that come from outside the API: a person on Cal.com's pages, or a filled-up past."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from webapp.sandbox.core import Sandbox
from webapp.sandbox.drafts import draw_up
from webapp.sandbox.event_types import LONGEST_MINUTES
from webapp.sandbox.instants import parse_instant
from webapp.sandbox.orders import Order, read_order
from webapp.sandbox.records import ACCEPTED, CANCELLED, PENDING, REJECTED, Booking, Json
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.scheduling import book, event_type_to_book

STATUSES = (ACCEPTED, PENDING, CANCELLED, REJECTED)
SOMEBODY: Json = {"name": "Jo Visitor", "email": "jo@example.com", "timeZone": "Europe/Berlin"}


def book_outside(sandbox: Sandbox, body: Json) -> Booking:
    """As a person books: webhook and mail go out. `force` books in the past and over others;
    `silent` stores without either."""
    if body.get("silent"):
        return book_many(sandbox, [body])[0]
    order = _read(body)
    return book(sandbox, order, checked=not body.get("force", False))[0]


def book_many(sandbox: Sandbox, bodies: object) -> list[Booking]:
    """Store bookings as if they had always been there: no checks, webhooks or mails, and in one
    transaction. Each may also say status, uid, createdAt, updatedAt, lengthInMinutes."""
    if not isinstance(bodies, list) or not all(isinstance(body, dict) for body in bodies):
        raise Refusal(400, "bookings must be a list of bookings")
    with sandbox.state.writing():
        bookings = [_settled(sandbox, body) for body in bodies]
        for booking in bookings:
            sandbox.state.save_booking(booking)
    return bookings


def _settled(sandbox: Sandbox, body: Json) -> Booking:
    length = body.get("lengthInMinutes")
    order = _read({name: value for name, value in body.items() if name != "lengthInMinutes"})
    event_type = event_type_to_book(sandbox.state, order.event_type_id)
    booking = draw_up(sandbox, event_type, order)[0]
    changes: dict[str, Any] = {
        "status": _status(body, booking.status),
        "uid": str(body.get("uid") or booking.uid),
        "created_at": _instant(body, "createdAt", booking.created_at),
        "updated_at": _instant(body, "updatedAt", booking.updated_at),
    }
    if length is not None:
        if not isinstance(length, int) or not 1 <= length <= LONGEST_MINUTES:
            raise Refusal(400, f"lengthInMinutes must be between 1 and {LONGEST_MINUTES}")
        changes["end"] = booking.start + timedelta(minutes=length)
    return replace(booking, **changes)


def _read(body: Json) -> Order:
    attendee = body.get("attendee") or {}
    if not isinstance(attendee, dict):
        raise Refusal(400, "attendee must be an object")
    attendee = {**SOMEBODY, **attendee}
    return read_order({**body, "attendee": attendee})


def _status(body: Json, default: str) -> str:
    status = body.get("status", default)
    if status not in STATUSES:
        raise Refusal(400, f"status must be one of: {', '.join(STATUSES)}")
    return str(status)


def _instant(body: Json, name: str, default: datetime | None) -> datetime | None:
    """`null` is a value: old rows have no updatedAt."""
    if name not in body:
        return default
    if body[name] is None and name == "updatedAt":
        return None
    at = parse_instant(body[name])
    if at is None:
        raise Refusal(400, f"{name} must be an ISO 8601 instant")
    return at
