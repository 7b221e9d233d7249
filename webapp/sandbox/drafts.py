"""What a new booking looks like before it is stored: from an order and its event type."""

from dataclasses import replace
from datetime import timedelta

from webapp.sandbox import seats
from webapp.sandbox.core import Sandbox
from webapp.sandbox.orders import Order
from webapp.sandbox.records import ACCEPTED, PENDING, Account, Booking, EventType, Json
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.shapes import host_body


def draw_up(sandbox: Sandbox, event_type: EventType, order: Order) -> list[Booking]:
    owner = sandbox.state.accounts[event_type.owner_id]
    first = _draw_up_one(sandbox, event_type, order, owner)
    if event_type.occurrences is None:
        return [first]
    series = replace(first, recurring_uid=sandbox.state.new_uid())
    return [series] + [
        replace(
            series,
            id=sandbox.state.next_id(),
            uid=sandbox.state.new_uid(),
            start=series.start + timedelta(weeks=week),
            end=series.end + timedelta(weeks=week),
        )
        for week in range(1, event_type.occurrences)
    ]


def _draw_up_one(sandbox: Sandbox, event_type: EventType, order: Order, owner: Account) -> Booking:
    now = sandbox.clock.now()
    return Booking(
        id=sandbox.state.next_id(),
        uid=sandbox.state.new_uid(),
        owner_id=owner.id,
        event_type_id=event_type.id,
        event_type_slug=event_type.slug,
        host=host_body(owner),
        title=f"{event_type.title} between {owner.name} and {order.attendee['name']}",
        description=event_type.description,
        status=PENDING if event_type.requires_confirmation else ACCEPTED,
        start=order.start,
        end=order.start + timedelta(minutes=_length(event_type, order)),
        created_at=now,
        updated_at=now,
        attendees=_attendees(event_type, order),
        guests=order.guests,
        metadata=order.metadata,
        responses=_responses(order),
        location=order.location or "https://meet.example/cal-video",
        is_seated=event_type.seats is not None,
    )


def _length(event_type: EventType, order: Order) -> int:
    if order.length_minutes is None:
        return event_type.length_minutes
    if not event_type.length_options:
        raise Refusal(
            400,
            "Can't specify 'lengthInMinutes' because event type does not have multiple possible "
            "lengths. Please, remove the 'lengthInMinutes' field from the request.",
        )
    if order.length_minutes not in event_type.length_options:
        options = ", ".join(map(str, event_type.length_options))
        raise Refusal(400, f"'lengthInMinutes' must be one of the possible lengths: {options}")
    return order.length_minutes


def _attendees(event_type: EventType, order: Order) -> list[Json]:
    """The booker first; guests are attendees without a name."""
    booker = seats.with_seat(order.attendee) if event_type.seats else order.attendee
    zone, language = order.attendee["timeZone"], order.attendee["language"]
    return [booker] + [
        {
            "name": "",
            "email": email,
            "displayEmail": email,
            "timeZone": zone,
            "language": language,
            "absent": False,
        }
        for email in order.guests
    ]


def _responses(order: Order) -> Json:
    own = {"name": order.attendee["name"], "email": order.attendee["email"], "guests": order.guests}
    return own | order.responses
