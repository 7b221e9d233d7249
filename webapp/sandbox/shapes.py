"""How rows look in answers: the pinned versions, and the shape of 2024-04-15 that a missing
version header falls back to. Field names are those of Cal.com's OpenAPI document."""

import json
from collections.abc import Iterable

from webapp.sandbox.instants import with_milliseconds
from webapp.sandbox.records import Account, Booking, EventType, Json, Webhook


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def success(data: str, pagination: Json | None = None) -> str:
    """The envelope around data that is already JSON."""
    pages = f',"pagination":{dump(pagination)}' if pagination is not None else ""
    return f'{{"status":"success","data":{data}{pages}}}'


def booking_text(booking: Booking, *, old: bool = False) -> str:
    """The booking as JSON, rendered once per version of the row."""
    name = "old" if old else "new"
    text = booking.texts.get(name)
    if text is None:
        text = dump(old_booking_body(booking) if old else booking_body(booking))
        booking.texts[name] = text
    return text


def booking_texts(bookings: Iterable[Booking], *, old: bool = False) -> str:
    return "[" + ",".join(booking_text(each, old=old) for each in bookings) + "]"


def booking_body(booking: Booking) -> Json:
    """A booking as of `2024-08-13`."""
    body = {
        "id": booking.id,
        "uid": booking.uid,
        "title": booking.title,
        "description": booking.description,
        "hosts": [booking.host],
        "status": booking.status,
        "cancellationReason": booking.cancellation_reason,
        "eventTypeId": booking.event_type_id,
        "eventType": {"id": booking.event_type_id, "slug": booking.event_type_slug},
        "meetingUrl": booking.location,
        "location": booking.location,
        "absentHost": booking.absent_host,
        "metadata": booking.metadata,
        "icsUid": f"{booking.uid}@Cal.com",
        "attendees": [_attendee_body(each) for each in booking.attendees],
        "guests": booking.guests,
        "bookingFieldsResponses": booking.responses,
    }
    return body | _times(booking) | _references(booking) | _seats(booking)


def _times(booking: Booking) -> Json:
    updated_at = booking.updated_at
    return {
        "start": with_milliseconds(booking.start),
        "end": with_milliseconds(booking.end),
        "duration": booking.minutes,
        "createdAt": with_milliseconds(booking.created_at),
        "updatedAt": with_milliseconds(updated_at) if updated_at is not None else None,
    }


def _attendee_body(attendee: Json) -> Json:
    return {name: value for name, value in attendee.items() if value is not None}


def _references(booking: Booking) -> Json:
    """What is left out when it isn't there."""
    optional = {
        "cancelledByEmail": booking.cancelled_by,
        "reschedulingReason": booking.rescheduling_reason,
        "rescheduledByEmail": booking.rescheduled_by,
        "rescheduledFromUid": booking.rescheduled_from_uid,
        "rescheduledToUid": booking.rescheduled_to_uid,
        "recurringBookingUid": booking.recurring_uid,
    }
    return {name: value for name, value in optional.items() if value is not None}


def _seats(booking: Booking) -> Json:
    if not booking.is_seated or not booking.attendees:
        return {}
    return {"seatUid": booking.attendees[-1].get("seatUid")}


def old_booking_body(booking: Booking) -> Json:
    """A booking as of `2024-04-15`: `startTime` for `start`, and the status in upper case."""
    body = booking_body(booking)
    for gone in ("start", "end", "duration", "hosts", "guests", "bookingFieldsResponses"):
        del body[gone]
    return body | {
        "startTime": with_milliseconds(booking.start),
        "endTime": with_milliseconds(booking.end),
        "status": booking.status.upper(),
        "user": booking.host,
        "responses": booking.responses,
    }


def account_body(account: Account) -> Json:
    return {
        "id": account.id,
        "username": account.username,
        "email": account.email,
        "name": account.name,
        "avatarUrl": None,
        "bio": None,
        "timeFormat": 24,
        "defaultScheduleId": account.id,
        "weekStart": "Monday",
        "timeZone": account.time_zone,
        "organizationId": None,
    }


def webhook_body(webhook: Webhook) -> Json:
    """The id is a string, and the secret comes back in clear text (API facts, §5)."""
    return {
        "id": webhook.id,
        "userId": webhook.account_id,
        "subscriberUrl": webhook.subscriber_url,
        "active": webhook.active,
        "triggers": webhook.triggers,
        "secret": webhook.secret,
        "payloadTemplate": webhook.payload_template,
    }


def host_body(account: Account) -> Json:
    return {
        "id": account.id,
        "name": account.name,
        "email": account.email,
        "displayEmail": account.email,
        "username": account.username,
        "timeZone": account.time_zone,
    }


def old_event_type_body(event_type: EventType) -> Json:
    """An event type as of `2024-04-15`: `length`, and none of the newer names."""
    return {
        "id": event_type.id,
        "length": event_type.length_minutes,
        "slug": event_type.slug,
        "title": event_type.title,
        "description": event_type.description,
        "hidden": event_type.hidden,
        "price": event_type.price,
        "currency": event_type.currency,
        "userId": event_type.owner_id,
        "metadata": {},
    }
