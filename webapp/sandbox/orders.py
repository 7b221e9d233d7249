"""Reads what somebody asks to be booked, and refuses what Cal.com refuses (API facts, §2)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webapp.sandbox.instants import parse_instant
from webapp.sandbox.records import Json
from webapp.sandbox.refusals import Refusal

MAX_METADATA_KEYS = 50
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500


@dataclass(frozen=True)
class Order:
    """A wish to book. `attendee` has name, email, timeZone, language and perhaps phoneNumber."""

    event_type_id: int
    start: datetime
    attendee: Json
    length_minutes: int | None = None
    metadata: Json = field(default_factory=dict)
    responses: Json = field(default_factory=dict)
    guests: list[str] = field(default_factory=list)
    location: str | None = None


def read_order(body: Json) -> Order:
    """An order from the JSON of `POST /v2/bookings`; Refusal 400."""
    event_type_id = body.get("eventTypeId")
    if not isinstance(event_type_id, int) or isinstance(event_type_id, bool):
        raise Refusal(400, "eventTypeId must be a number")
    length = body.get("lengthInMinutes")
    if length is not None and (not isinstance(length, int) or isinstance(length, bool)):
        raise Refusal(400, "lengthInMinutes must be a number")
    return Order(
        event_type_id=event_type_id,
        start=read_start(body),
        attendee=_read_attendee(body.get("attendee")),
        length_minutes=length,
        metadata=read_metadata(body.get("metadata", {})),
        responses=_read_object(body, "bookingFieldsResponses"),
        guests=_read_guests(body.get("guests", [])),
        location=_read_location(body.get("location")),
    )


def read_start(body: Json) -> datetime:
    start = parse_instant(body.get("start"))
    if start is None:
        raise Refusal(400, "start must be a valid ISO 8601 date string")
    return start


def read_metadata(metadata: object) -> Json:
    """At most 50 keys, key ≤ 40 characters, string ≤ 500; numbers and booleans; nothing nested."""
    if not isinstance(metadata, dict):
        raise Refusal(400, "metadata must be an object")
    if len(metadata) > MAX_METADATA_KEYS:
        raise Refusal(400, f"metadata must have at most {MAX_METADATA_KEYS} keys")
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY:
            raise Refusal(400, f"metadata keys can have at most {MAX_METADATA_KEY} characters")
        if not isinstance(value, str | int | float | bool):
            raise Refusal(400, "metadata values must be strings, numbers or booleans")
        if isinstance(value, str) and len(value) > MAX_METADATA_VALUE:
            raise Refusal(400, f"metadata values can have at most {MAX_METADATA_VALUE} characters")
    return metadata


def _read_attendee(attendee: Any) -> Json:
    if not isinstance(attendee, dict):
        raise Refusal(400, "attendee must be an object")
    name, zone = attendee.get("name"), attendee.get("timeZone")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(400, "attendee.name must be a non-empty string")
    if not isinstance(zone, str) or not _is_zone(zone):
        raise Refusal(400, "attendee.timeZone must be a valid IANA time-zone")
    phone = attendee.get("phoneNumber")
    email = attendee.get("email") or _email_of_phone(phone)
    if not isinstance(email, str) or "@" not in email:
        raise Refusal(400, "attendee needs an email or a phoneNumber")
    return {
        "name": name,
        "email": email,
        "displayEmail": email,
        "timeZone": zone,
        "language": attendee.get("language") or "en",
        "absent": False,
        **({"phoneNumber": phone} if phone else {}),
    }


def _email_of_phone(phone: object) -> str | None:
    """Cal.com makes up an address for those who leave only a number."""
    if not isinstance(phone, str) or not phone.lstrip("+").isdigit():
        return None
    return f"{phone.lstrip('+')}@sms.cal.com"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _read_guests(guests: object) -> list[str]:
    if not isinstance(guests, list) or not all(isinstance(g, str) and "@" in g for g in guests):
        raise Refusal(400, "guests must be a list of e-mail addresses")
    return list(guests)


def _read_object(body: Json, name: str) -> Json:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise Refusal(400, f"{name} must be an object")
    return value


def _read_location(location: object) -> str | None:
    """The one text that says where; the API takes an object, and took a string before."""
    if location is None or isinstance(location, str):
        return location
    if not isinstance(location, dict):
        raise Refusal(400, "location must be an object")
    texts = [value for name, value in location.items() if name != "type" and value]
    return str(texts[0]) if texts else str(location.get("type", ""))
