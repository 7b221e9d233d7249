"""Cal.com's objects in our words, plain and frozen. Instants are aware and UTC.

Field names on the wire are known to `reading` (theirs to ours) and `writing` (ours to theirs) only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypedDict

Scalar = str | int | float | bool
Metadata = Mapping[str, Scalar]
ListingStatus = Literal["upcoming", "recurring", "past", "cancelled", "unconfirmed"]

# Cal.com refuses 251 with a 400; without `take` it answers 100.
MAX_TAKE = 250
# Limits of `metadata` on create; Cal.com refuses more with a 400.
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY_LENGTH = 40
MAX_METADATA_VALUE_LENGTH = 500


class BookingStatus(StrEnum):
    """Cal.com's states; what we don't know (`awaiting_host`) says nothing: UNKNOWN."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Sort(StrEnum):
    """One key only, and Cal.com has no tie-breaker: pages may repeat or skip rows."""

    START_ASC = "sortStart=asc"
    START_DESC = "sortStart=desc"
    END_ASC = "sortEnd=asc"
    END_DESC = "sortEnd=desc"
    CREATED_ASC = "sortCreated=asc"
    CREATED_DESC = "sortCreated=desc"
    UPDATED_ASC = "sortUpdatedAt=asc"
    UPDATED_DESC = "sortUpdatedAt=desc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """A person on a booking; in a webhook `absent` is always False."""

    name: str
    email: str
    time_zone: str = ""
    language: str = ""
    phone_number: str | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A booking as Cal.com answered it.

    `status_text` is Cal.com's own word. `updated_at` may be None and isn't touched by no-show,
    guests or seats. `cancellation_reason` may be set on an accepted booking: noise.
    """

    uid: str
    id: int | None = None
    status: BookingStatus
    status_text: str
    start: datetime
    end: datetime
    event_type_id: int | None = None
    title: str = ""
    location: str = ""
    metadata: Metadata = field(default_factory=dict)
    attendees: tuple[Attendee, ...] = ()
    guests: tuple[str, ...] = ()
    host_emails: tuple[str, ...] = ()
    host_absent: bool = False
    rescheduled_from_uid: str | None = None
    rescheduled_to_uid: str | None = None
    rescheduling_reason: str = ""
    cancellation_reason: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    recurring_uid: str | None = None
    is_recurring: bool = False
    is_seated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttendee:
    """Who books: e-mail or phone or both; `language` is a Cal.com language code such as `de`."""

    name: str
    time_zone: str
    email: str | None = None
    phone_number: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if not (self.email or self.phone_number):
            raise ValueError("an attendee needs an e-mail address or a phone number")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBooking:
    """What a create sends. `length_minutes` only where the event type offers several lengths.

    Raises ValueError where Cal.com is known to refuse: a naive start, metadata beyond its limits.
    """

    start: datetime
    event_type_id: int
    attendee: NewAttendee
    metadata: Metadata = field(default_factory=dict)
    length_minutes: int | None = None
    guests: tuple[str, ...] = ()
    location: Mapping[str, object] | None = None
    booking_fields: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise ValueError("a booking's start needs a time zone")
        _check_metadata(self.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingQuery:
    """A listing's filters; no status means every status, and `cancelled` includes rejected.

    `after_start` is start >=, `before_end` is end <=; created and updated bounds are inclusive.
    """

    status: tuple[ListingStatus, ...] = ()
    attendee_email: str | None = None
    booking_uid: str | None = None
    event_type_ids: tuple[int, ...] = ()
    after_start: datetime | None = None
    before_end: datetime | None = None
    after_updated_at: datetime | None = None
    before_updated_at: datetime | None = None
    after_created_at: datetime | None = None
    before_created_at: datetime | None = None
    sort: Sort | None = None
    take: int = MAX_TAKE
    skip: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.take <= MAX_TAKE or self.skip < 0:
            raise ValueError(f"take is 1 to {MAX_TAKE}, skip is not negative")


@dataclass(frozen=True, slots=True)
class BookingPage:
    """One page of a listing.

    `has_more` goes by the short-page rule alone: Cal.com's totals and hasNextPage count too many
    when filtered by created or updated.
    """

    bookings: tuple[Booking, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose key this is."""

    id: int
    username: str
    email: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """What can be booked. Lengths, buffers and notice in minutes; `price` in the smallest unit.

    `lengths_minutes` holds the choices where the booker may choose, else nothing.
    """

    id: int
    title: str
    slug: str = ""
    description: str = ""
    length_minutes: int
    lengths_minutes: tuple[int, ...] = ()
    before_buffer_minutes: int = 0
    after_buffer_minutes: int = 0
    minimum_notice_minutes: int = 0
    hidden: bool = False
    price: float | None = None
    currency: str = ""
    owner_id: int | None = None
    team_id: int | None = None
    requires_confirmation: bool = False
    is_recurring: bool = False
    is_seated: bool = False


class EventTypeChanges(TypedDict, total=False):
    """What can be written of an event type; price and currency can't."""

    title: str
    description: str
    length_minutes: int
    before_buffer_minutes: int
    after_buffer_minutes: int
    minimum_notice_minutes: int
    hidden: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that Cal.com offers: no promise, only the create decides."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A registered webhook, without the secret that Cal.com would repeat in clear text."""

    id: str
    subscriber_url: str
    triggers: tuple[str, ...]
    active: bool


def _check_metadata(metadata: Metadata) -> None:
    if len(metadata) > MAX_METADATA_KEYS:
        raise ValueError(f"metadata holds at most {MAX_METADATA_KEYS} keys")
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY_LENGTH:
            raise ValueError(f"a metadata key has at most {MAX_METADATA_KEY_LENGTH} characters")
        if not isinstance(value, (str, int, float)):
            raise ValueError("metadata values are text, numbers or booleans")
        if isinstance(value, str) and len(value) > MAX_METADATA_VALUE_LENGTH:
            raise ValueError(f"a metadata value has at most {MAX_METADATA_VALUE_LENGTH} characters")
