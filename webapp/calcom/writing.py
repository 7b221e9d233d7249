"""From our payloads to the fields and query parameters that Cal.com reads."""

from collections.abc import Mapping
from datetime import UTC, datetime

from webapp.calcom.payloads import BookingQuery, EventTypeChanges, NewAttendee, NewBooking

# Of CreateBookingAttendee.language in Cal.com's OpenAPI document.
# fmt: off
_LANGUAGES = frozenset(
    (
        "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "es-419", "et",
        "eu", "fi", "fr", "he", "hr", "hu", "id", "it", "iw", "ja", "km", "ko", "lv", "nl",
        "no", "pl", "pt", "pt-BR", "ro", "ru", "sk", "sr", "sv", "ta", "th", "tr", "uk",
        "vi", "zh-CN", "zh-TW",
    )
)
# fmt: on
_EVENT_TYPE_FIELDS = {
    "title": "title",
    "description": "description",
    "length_minutes": "lengthInMinutes",
    "before_buffer_minutes": "beforeEventBuffer",
    "after_buffer_minutes": "afterEventBuffer",
    "minimum_notice_minutes": "minimumBookingNotice",
    "hidden": "hidden",
}


def write_instant(value: datetime) -> str:
    """`2026-03-02T09:00:00.000Z`: UTC, cut to milliseconds; raises ValueError without a zone."""
    if value.utcoffset() is None:
        raise ValueError("an instant needs a time zone")
    spelled = value.astimezone(UTC).isoformat(timespec="milliseconds")
    return spelled.removesuffix("+00:00") + "Z"


def write_booking(booking: NewBooking) -> dict[str, object]:
    """The body of a create; what isn't set isn't sent."""
    return _without_none(
        start=write_instant(booking.start),
        eventTypeId=booking.event_type_id,
        attendee=_attendee(booking.attendee),
        metadata=dict(booking.metadata) or None,
        lengthInMinutes=booking.length_minutes,
        guests=list(booking.guests) or None,
        location=booking.location,
        bookingFieldsResponses=booking.booking_fields,
    )


def write_query(query: BookingQuery) -> dict[str, str]:
    """The query of a listing: lists joined by commas, bounds in strict ISO 8601."""
    found = {
        "take": str(query.take),
        "skip": str(query.skip),
        "status": ",".join(query.status),
        "attendeeEmail": query.attendee_email or "",
        "bookingUid": query.booking_uid or "",
        "eventTypeIds": ",".join(str(each) for each in query.event_type_ids),
        **_bounds(query),
    }
    if query.sort is not None:
        key, _, direction = query.sort.value.partition("=")
        found[key] = direction
    return {name: value for name, value in found.items() if value}


def write_event_type(changes: EventTypeChanges) -> dict[str, object]:
    """The body of a PATCH; ValueError for a field that can't be written (price, currency)."""
    named: Mapping[str, object] = changes
    unknown = sorted(set(named) - set(_EVENT_TYPE_FIELDS))
    if unknown or not named:
        raise ValueError(f"not writable: {', '.join(unknown) or 'nothing'}")
    return {_EVENT_TYPE_FIELDS[name]: value for name, value in named.items()}


def _attendee(attendee: NewAttendee) -> dict[str, object]:
    return _without_none(
        name=attendee.name,
        timeZone=attendee.time_zone,
        email=attendee.email,
        phoneNumber=attendee.phone_number,
        language=_language(attendee.language),
    )


def _language(wanted: str | None) -> str | None:
    """Cal.com answers 400 to a language it doesn't know: `de-AT` becomes `de`, others nothing."""
    candidates = (wanted or "", (wanted or "").replace("_", "-").partition("-")[0].lower())
    return next((each for each in candidates if each in _LANGUAGES), None)


def _bounds(query: BookingQuery) -> dict[str, str]:
    bounds = {
        "afterStart": query.after_start,
        "beforeEnd": query.before_end,
        "afterUpdatedAt": query.after_updated_at,
        "beforeUpdatedAt": query.before_updated_at,
        "afterCreatedAt": query.after_created_at,
        "beforeCreatedAt": query.before_created_at,
    }
    return {name: write_instant(value) for name, value in bounds.items() if value is not None}


def _without_none(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
