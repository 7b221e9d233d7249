"""The bodies of webhooks, trigger by trigger, each with its own spelling of a time (API facts, §5).

| trigger | times | metadata | reference to the other booking |
| CREATED, RESCHEDULED, REQUESTED | `…:00Z` | yes | rescheduleUid = the old uid |
| CANCELLED | `…+00:00` | absent | – |
| REJECTED | `….000Z` | absent | – |
| NO_SHOW_UPDATED | – | – | only bookingUid, no uid |
| MEETING_* | `….000Z` | yes | flat, fromReschedule |
"""

from collections.abc import Callable
from datetime import datetime

from webapp.sandbox.instants import with_milliseconds, with_offset, with_seconds
from webapp.sandbox.records import Account, Booking, EventType, Json

CREATED = "BOOKING_CREATED"
RESCHEDULED = "BOOKING_RESCHEDULED"
REQUESTED = "BOOKING_REQUESTED"
CANCELLED = "BOOKING_CANCELLED"
REJECTED = "BOOKING_REJECTED"
NO_SHOW = "BOOKING_NO_SHOW_UPDATED"
STARTED = "MEETING_STARTED"
ENDED = "MEETING_ENDED"

TRIGGERS = (
    *(CREATED, "BOOKING_PAYMENT_INITIATED", "BOOKING_PAID", RESCHEDULED, REQUESTED, CANCELLED),
    *(REJECTED, NO_SHOW, "FORM_SUBMITTED", ENDED, STARTED, "RECORDING_READY", "INSTANT_MEETING"),
    *("RECORDING_TRANSCRIPTION_GENERATED", "OOO_CREATED", "AFTER_HOSTS_CAL_VIDEO_NO_SHOW"),
    *("AFTER_GUESTS_CAL_VIDEO_NO_SHOW", "FORM_SUBMITTED_NO_EVENT", "ROUTING_FORM_FALLBACK_HIT"),
    *("DELEGATION_CREDENTIAL_ERROR", "WRONG_ASSIGNMENT_REPORT"),
)

Spelling = Callable[[datetime], str]


def envelope(trigger: str, payload: Json, sent_at: datetime) -> Json:
    return {"triggerEvent": trigger, "createdAt": with_milliseconds(sent_at), "payload": payload}


def created(booking: Booking, event_type: EventType, *, confirmed: bool = False) -> Json:
    """BOOKING_CREATED. After a confirmation the metadata isn't the booker's any more."""
    metadata = {"videoCallUrl": booking.location} if confirmed else booking.metadata
    body = _common(booking, event_type, "ACCEPTED", with_seconds)
    return body | {"metadata": metadata}


def requested(booking: Booking, event_type: EventType) -> Json:
    """BOOKING_REQUESTED, of a new booking or of a move that waits for the host."""
    body = _common(booking, event_type, "PENDING", with_seconds)
    if booking.rescheduled_from_uid is not None:
        body["rescheduleUid"] = booking.rescheduled_from_uid
    return body | {"metadata": booking.metadata}


def rescheduled(new: Booking, old: Booking, event_type: EventType) -> Json:
    """BOOKING_RESCHEDULED: `uid` is the new one, `rescheduleUid` the old one."""
    return _common(new, event_type, "ACCEPTED", with_seconds) | {
        "rescheduleId": old.id,
        "rescheduleUid": old.uid,
        "rescheduleStartTime": with_seconds(old.start),
        "rescheduleEndTime": with_seconds(old.end),
        "rescheduledBy": new.rescheduled_by,
        "metadata": new.metadata,
    }


def cancelled(booking: Booking, event_type: EventType, *, request_reschedule: bool) -> Json:
    """BOOKING_CANCELLED, without metadata: our id can't be read from it."""
    return _common(booking, event_type, "CANCELLED", with_offset) | {
        "cancelledBy": booking.cancelled_by,
        "cancellationReason": booking.cancellation_reason,
        "requestReschedule": request_reschedule,
    }


def rejected(booking: Booking, event_type: EventType) -> Json:
    body = _common(booking, event_type, "REJECTED", with_milliseconds)
    return body | {"rejectionReason": booking.cancellation_reason}


def no_show(booking: Booking, attendees: list[Json]) -> Json:
    """BOOKING_NO_SHOW_UPDATED names the booking by `bookingUid` only."""
    return {
        "message": "x_marked_as_no_show",
        "attendees": [{"email": each["email"], "noShow": each["absent"]} for each in attendees],
        "bookingUid": booking.uid,
        "bookingId": booking.id,
    }


def meeting(trigger: str, booking: Booking) -> Json:
    """MEETING_STARTED and MEETING_ENDED: flat, `createdAt` is the booking's."""
    return {
        "triggerEvent": trigger,
        "createdAt": with_milliseconds(booking.created_at),
        "id": booking.id,
        "uid": booking.uid,
        "title": booking.title,
        "description": booking.description,
        "startTime": with_milliseconds(booking.start),
        "endTime": with_milliseconds(booking.end),
        "status": "ACCEPTED",
        "eventTypeId": booking.event_type_id,
        "fromReschedule": booking.rescheduled_from_uid,
        "location": booking.location,
        "metadata": booking.metadata,
        "responses": booking.responses,
        "attendees": [_person(each) for each in booking.attendees],
        "user": _organizer(booking),
    }


def ping(trigger: str, account: Account, sent_at: datetime) -> Json:
    """What the test button sends: no uid, and any trigger as its label."""
    person = {"name": "John Doe", "email": "jdoe@example.com", "timeZone": "Europe/London"}
    payload = {
        "type": "Test",
        "title": "Test trigger event",
        "description": "",
        "startTime": with_milliseconds(sent_at),
        "endTime": with_milliseconds(sent_at),
        "attendees": [{**person, "language": {"locale": "en"}}],
        "organizer": {"name": account.name, "email": account.email},
    }
    return envelope(trigger, payload, sent_at)


def _common(booking: Booking, event_type: EventType, status: str, spell: Spelling) -> Json:
    return {
        "type": booking.event_type_slug,
        "title": booking.title,
        "description": booking.description,
        "additionalNotes": "",
        "startTime": spell(booking.start),
        "endTime": spell(booking.end),
        "length": booking.minutes,
        "organizer": _organizer(booking),
        "attendees": [_person(each) for each in booking.attendees],
        "responses": _responses(booking.responses),
        "location": booking.location,
        "cancellationReason": booking.cancellation_reason or None,
        "uid": booking.uid,
        "bookingId": booking.id,
        "iCalUID": f"{booking.uid}@Cal.com",
        "eventTypeId": booking.event_type_id,
        "eventTitle": event_type.title,
        "eventDescription": event_type.description,
        "requiresConfirmation": event_type.requires_confirmation,
        "price": event_type.price,
        "currency": event_type.currency,
        "status": status,
    }


def _organizer(booking: Booking) -> Json:
    host = booking.host
    return {
        "id": host["id"],
        "name": host["name"],
        "email": host["email"],
        "username": host["username"],
        "timeZone": host["timeZone"],
        "language": {"locale": "en"},
    }


def _person(attendee: Json) -> Json:
    person: Json = {
        "name": attendee["name"],
        "email": attendee["email"],
        "timeZone": attendee["timeZone"],
        "language": {"locale": attendee.get("language", "en")},
    }
    if attendee.get("phoneNumber"):
        person["phoneNumber"] = attendee["phoneNumber"]
    return person


def _responses(responses: Json) -> Json:
    return {
        name: {"label": name, "value": value, "isHidden": False}
        for name, value in responses.items()
    }
