"""From Cal.com's JSON to our payloads; ShapeError where the shape isn't the pinned version's.

The guard against a silent fall-back to an old version: a booking without `start` and an event type
without `lengthInMinutes` are refused, never guessed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from webapp.calcom import untrusted
from webapp.calcom.payloads import (
    Account,
    Attendee,
    Booking,
    BookingPage,
    BookingStatus,
    EventType,
    Slot,
    Webhook,
)
from webapp.calcom.untrusted import EMAIL_LIMIT, ShapeError

Fields = Mapping[str, object]


def read_booking(data: object, *, wanted_uid: str | None = None) -> Booking:
    """One booking; of a list (recurring) the wanted one, else the first.

    `wanted_uid`: what a single booking must be called; another one is ShapeError.
    """
    if isinstance(data, list):
        return _of_series([_booking(each) for each in untrusted.items(data)], wanted_uid)
    booking = _booking(data)
    if wanted_uid not in (None, booking.uid, booking.recurring_uid):
        raise ShapeError("a booking that wasn't asked for")
    return booking


def read_page(data: object, *, take: int) -> BookingPage:
    """A listing; one unreadable row makes the page unreadable, for it could prove an absence."""
    if not isinstance(data, list):
        raise ShapeError("bookings")
    bookings = tuple(_booking(each) for each in data)
    return BookingPage(bookings, has_more=len(data) >= take)


def read_status(value: object) -> tuple[BookingStatus, str]:
    """Our status and Cal.com's own word; the API writes lower case, webhooks upper case."""
    word = untrusted.line(value, 40)
    try:
        return BookingStatus(word.lower()), word
    except ValueError:
        return BookingStatus.UNKNOWN, word


def read_attendee(value: object) -> Attendee:
    """A person in the API's spelling (`language: "de"`) or the webhook's (`{"locale": "de"}`)."""
    fields = untrusted.mapping(value)
    language = fields.get("language")
    return Attendee(
        name=untrusted.line(fields.get("name")),
        email=untrusted.line(fields.get("email"), EMAIL_LIMIT),
        time_zone=untrusted.line(fields.get("timeZone"), 100),
        language=untrusted.line(untrusted.mapping(language).get("locale", language), 20),
        phone_number=untrusted.line(fields.get("phoneNumber"), 50) or None,
        absent=fields.get("absent") is True,
    )


def read_attendees(value: object) -> tuple[Attendee, ...]:
    """Everybody on a booking, in Cal.com's order: the booker comes first."""
    return tuple(read_attendee(each) for each in untrusted.items(value))


def read_account(data: object) -> Account:
    """Whose key this is."""
    fields = untrusted.mapping(data)
    return Account(
        id=_required_integer(fields, "id"),
        username=untrusted.line(fields.get("username")),
        email=untrusted.line(fields.get("email"), EMAIL_LIMIT),
        name=untrusted.line(fields.get("name")),
        time_zone=untrusted.line(fields.get("timeZone"), 100),
    )


def read_event_types(data: object) -> tuple[EventType, ...]:
    """All event types of the key's user; Cal.com doesn't page them."""
    if not isinstance(data, list):
        raise ShapeError("event types")
    return tuple(read_event_type(each) for each in data)


def read_event_type(data: object) -> EventType:
    """One event type."""
    fields = untrusted.mapping(data)
    return EventType(
        id=_required_integer(fields, "id"),
        title=untrusted.line(fields.get("title")),
        slug=untrusted.line(fields.get("slug")),
        description=untrusted.text(fields.get("description")),
        length_minutes=_required_integer(fields, "lengthInMinutes"),
        lengths_minutes=_integers(fields.get("lengthInMinutesOptions")),
        before_buffer_minutes=untrusted.integer(fields.get("beforeEventBuffer")) or 0,
        after_buffer_minutes=untrusted.integer(fields.get("afterEventBuffer")) or 0,
        minimum_notice_minutes=untrusted.integer(fields.get("minimumBookingNotice")) or 0,
        hidden=fields.get("hidden") is True,
        price=untrusted.number(fields.get("price")),
        currency=untrusted.line(fields.get("currency"), 10),
        owner_id=untrusted.integer(fields.get("ownerId")),
        team_id=untrusted.integer(fields.get("teamId")),
        requires_confirmation=_is_on(fields.get("confirmationPolicy")),
        is_recurring=_is_on(fields.get("recurrence")),
        is_seated=_is_on(fields.get("seats")) or bool(fields.get("seatsPerTimeSlot")),
    )


def read_slots(data: object) -> tuple[Slot, ...]:
    """Slots of all days, by time: `{"2026-03-02": [{"start": …}]}`.

    The old version's days lie one level deeper: read as these they would say that nothing is free.
    """
    if not isinstance(data, dict) or not all(isinstance(day, list) for day in data.values()):
        raise ShapeError("slots")
    slots = [_slot(each) for day in data.values() for each in untrusted.items(day)]
    return tuple(sorted(slots, key=lambda slot: slot.start))


def read_webhooks(data: object) -> tuple[Webhook, ...]:
    """Registered webhooks, their secrets left behind."""
    if not isinstance(data, list):
        raise ShapeError("webhooks")
    return tuple(read_webhook(each) for each in data)


def read_webhook(data: object) -> Webhook:
    """One webhook; its id is text, though Cal.com's document calls it a number."""
    fields = untrusted.mapping(data)
    identifier = fields.get("id")
    name = untrusted.line(str(identifier) if isinstance(identifier, int) else identifier, 100)
    if not name:
        raise ShapeError("id")
    return Webhook(
        id=name,
        subscriber_url=untrusted.line(fields.get("subscriberUrl"), 2_000),
        triggers=_lines(fields.get("triggers")),
        active=fields.get("active") is True,
    )


def _booking(data: object) -> Booking:
    fields = untrusted.mapping(data)
    recurring_uid = untrusted.uid(fields.get("recurringBookingUid"))
    return replace(
        _bare_booking(fields),
        location=untrusted.line(fields.get("location"), 2_000),
        attendees=read_attendees(fields.get("attendees")),
        guests=_lines(fields.get("guests")),
        host_emails=_host_emails(fields.get("hosts")),
        host_absent=fields.get("absentHost") is True,
        rescheduled_from_uid=untrusted.uid(fields.get("rescheduledFromUid")),
        rescheduled_to_uid=untrusted.uid(fields.get("rescheduledToUid")),
        rescheduling_reason=untrusted.text(fields.get("reschedulingReason")),
        cancellation_reason=untrusted.text(fields.get("cancellationReason")),
        recurring_uid=recurring_uid,
        is_recurring=recurring_uid is not None,
        is_seated=_is_seated(fields),
    )


def _bare_booking(fields: Fields) -> Booking:
    status, status_text = read_status(fields.get("status"))
    return Booking(
        uid=_required_uid(fields),
        id=untrusted.integer(fields.get("id")),
        status=status,
        status_text=status_text,
        start=_required_instant(fields, "start"),
        end=_required_instant(fields, "end"),
        event_type_id=_event_type_id(fields),
        title=untrusted.line(fields.get("title")),
        metadata=untrusted.metadata(fields.get("metadata")),
        created_at=untrusted.optional_instant(fields.get("createdAt")),
        updated_at=untrusted.optional_instant(fields.get("updatedAt")),
    )


def _of_series(bookings: list[Booking], wanted_uid: str | None) -> Booking:
    if not bookings:
        raise ShapeError("an empty series")
    return next((each for each in bookings if each.uid == wanted_uid), bookings[0])


def _is_seated(fields: Fields) -> bool:
    people = untrusted.items(fields.get("attendees"))
    return any("seatUid" in untrusted.mapping(each) for each in (fields, *people))


def _event_type_id(fields: Fields) -> int | None:
    nested = untrusted.mapping(fields.get("eventType")).get("id")
    return untrusted.integer(fields.get("eventTypeId", nested))


def _slot(value: object) -> Slot:
    if isinstance(value, str):
        return Slot(untrusted.instant(value))
    fields = untrusted.mapping(value)
    return Slot(_required_instant(fields, "start"), untrusted.optional_instant(fields.get("end")))


def _is_on(policy: object) -> bool:
    return bool(policy) and untrusted.mapping(policy).get("disabled") is not True


def _integers(value: object) -> tuple[int, ...]:
    found = (untrusted.integer(each) for each in untrusted.items(value))
    return tuple(each for each in found if each is not None)


def _lines(value: object) -> tuple[str, ...]:
    found = (untrusted.line(each, EMAIL_LIMIT) for each in untrusted.items(value))
    return tuple(each for each in found if each)


def _host_emails(value: object) -> tuple[str, ...]:
    return _lines([untrusted.mapping(each).get("email") for each in untrusted.items(value)])


def _required_uid(fields: Fields) -> str:
    found = untrusted.uid(fields.get("uid"))
    if found is None:
        raise ShapeError("uid")
    return found


def _required_instant(fields: Fields, name: str) -> datetime:
    try:
        return untrusted.instant(fields.get(name))
    except ShapeError:
        raise ShapeError(name) from None


def _required_integer(fields: Fields, name: str) -> int:
    found = untrusted.integer(fields.get(name))
    if found is None:
        raise ShapeError(name)
    return found
