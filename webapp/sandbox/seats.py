"""Event types with seats: several attendees share one booking, each with a seat of its own."""

import uuid
from dataclasses import replace
from datetime import datetime

from webapp.sandbox.orders import Order
from webapp.sandbox.records import Booking, EventType, Json
from webapp.sandbox.refusals import Refusal


def with_seat(attendee: Json) -> Json:
    own = {"name": attendee["name"], "email": attendee["email"]}
    return {**attendee, "seatUid": str(uuid.uuid4()), "bookingFieldsResponses": own}


def take_seat(booking: Booking, event_type: EventType, order: Order, *, now: datetime) -> Booking:
    """One attendee more; Refusal 409 when the seats are full."""
    taken = [each for each in booking.attendees if "seatUid" in each]
    if event_type.seats is not None and len(taken) >= event_type.seats:
        raise Refusal(409, "Booking seats are full.")
    attendees = [*booking.attendees, with_seat(order.attendee)]
    return replace(booking, attendees=attendees, updated_at=now)


def leave_seat(booking: Booking, seat_uid: str) -> Booking:
    """One attendee less. `updatedAt` stays: seats don't touch it (API facts, §2)."""
    staying = [each for each in booking.attendees if each.get("seatUid") != seat_uid]
    if len(staying) == len(booking.attendees):
        raise Refusal(
            400, "Invalid seatUid: this seat does not exist or has already been cancelled."
        )
    return replace(booking, attendees=staying)
