"""What only the host does: confirm, decline, mark somebody absent; and the meeting's own timer."""

from dataclasses import replace

from webapp.sandbox import payloads
from webapp.sandbox.changes import booking_or_refusal, send
from webapp.sandbox.core import Sandbox
from webapp.sandbox.records import ACCEPTED, PENDING, REJECTED, Booking, Json
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.scheduling import note_mail
from webapp.sandbox.state import State


def confirm(sandbox: Sandbox, uid: str) -> Booking:
    """Pending → accepted; BOOKING_CREATED goes out."""
    with sandbox.state.writing():
        booking = _pending(sandbox.state, uid, "confirm")
        booking = replace(booking, status=ACCEPTED, updated_at=sandbox.clock.now())
        sandbox.state.save_booking(booking)
        note_mail(sandbox, booking, "confirmed")
    event_type = sandbox.state.event_types[booking.event_type_id]
    body = payloads.created(booking, event_type, confirmed=True)
    send(sandbox, booking, payloads.CREATED, body)
    return booking


def decline(sandbox: Sandbox, uid: str, *, reason: str = "") -> Booking:
    """Pending → rejected; BOOKING_REJECTED goes out."""
    with sandbox.state.writing():
        booking = _pending(sandbox.state, uid, "decline")
        booking = replace(
            booking,
            status=REJECTED,
            cancellation_reason=reason,
            updated_at=sandbox.clock.now(),
        )
        sandbox.state.save_booking(booking)
        note_mail(sandbox, booking, "rejected")
    event_type = sandbox.state.event_types[booking.event_type_id]
    send(sandbox, booking, payloads.REJECTED, payloads.rejected(booking, event_type))
    return booking


def _pending(state: State, uid: str, verb: str) -> Booking:
    booking = booking_or_refusal(state, uid)
    if booking.status != PENDING:
        raise Refusal(400, f"Can't {verb} booking with uid={uid} because it isn't pending.")
    return booking


def mark_absent(sandbox: Sandbox, uid: str, *, host: bool | None, attendees: list[Json]) -> Booking:
    """Only after the start. Leaves `updatedAt` alone; the host's absence sends no webhook."""
    absent = {str(each["email"]).lower(): bool(each["absent"]) for each in attendees}
    with sandbox.state.writing():
        booking = booking_or_refusal(sandbox.state, uid)
        if booking.start > sandbox.clock.now():
            raise Refusal(400, "Bookings can only be marked as absent after their start time.")
        changed = [
            {**each, "absent": absent.get(str(each["email"]).lower(), each["absent"])}
            for each in booking.attendees
        ]
        is_host_absent = booking.absent_host if host is None else host
        booking = replace(booking, attendees=changed, absent_host=is_host_absent)
        sandbox.state.save_booking(booking)
    if attendees:
        body = payloads.no_show(booking, attendees)
        send(sandbox, booking, payloads.NO_SHOW, body)
    return booking


def tell_meeting(sandbox: Sandbox, uid: str, trigger: str) -> Booking:
    """Send MEETING_STARTED or MEETING_ENDED, as Cal.com's own timer would. The row stays."""
    booking = booking_or_refusal(sandbox.state, uid)
    if booking.status != ACCEPTED:
        raise Refusal(400, f"Only an accepted booking is a meeting; {uid} is {booking.status}.")
    body = payloads.meeting(trigger, booking)
    sandbox.postman.send(booking.owner_id, trigger, uid, body, hold=False)
    return booking


def read_absence(body: Json) -> tuple[bool | None, list[Json]]:
    """Who is absent, from the JSON of mark-absent; Refusal 400."""
    host, attendees = body.get("host"), body.get("attendees", [])
    if host is not None and not isinstance(host, bool):
        raise Refusal(400, "host must be a boolean value")
    if not isinstance(attendees, list) or not all(_is_absence(each) for each in attendees):
        raise Refusal(400, "attendees must be a list of {email, absent}")
    if host is None and not attendees:
        raise Refusal(400, "host or attendees must be given")
    return host, attendees


def _is_absence(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    return isinstance(entry.get("email"), str) and isinstance(entry.get("absent"), bool)


def miss(sandbox: Sandbox, uid: str, *, absent: bool) -> Booking:
    """The host marks the booker as absent, or takes it back."""
    booker = booking_or_refusal(sandbox.state, uid).attendees[0]
    return mark_absent(
        sandbox, uid, host=None, attendees=[{"email": booker["email"], "absent": absent}]
    )
