"""What the sandbox keeps: accounts, event types, bookings, webhooks and mails, as immutable rows.

A change replaces the row; so a reader needs no lock, and an older version can still be shown.
"""

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

Json = dict[str, Any]

ACCEPTED = "accepted"
PENDING = "pending"
CANCELLED = "cancelled"
REJECTED = "rejected"


@dataclass(frozen=True, eq=False)
class Account:
    """A Cal.com user with an API key."""

    id: int
    username: str
    email: str
    name: str
    key: str
    time_zone: str = "Europe/Berlin"
    # None: the server's own limit, requests per 60 s.
    rate_limit: int | None = None


@dataclass(frozen=True, eq=False)
class EventType:
    """What can be booked. Names follow the API, but in Python's spelling and with units."""

    id: int
    owner_id: int
    title: str
    slug: str
    length_minutes: int
    length_options: list[int] = field(default_factory=list)
    description: str = ""
    before_buffer_minutes: int = 0
    after_buffer_minutes: int = 0
    minimum_notice_minutes: int = 0
    hidden: bool = False
    price: int = 0
    currency: str = "usd"
    requires_confirmation: bool = False
    blocks_while_pending: bool = False
    is_round_robin: bool = False
    # A host that left: creating answers 422.
    has_hosts: bool = True
    seats: int | None = None
    # How many times a recurring event type repeats, weekly; None: not recurring.
    occurrences: int | None = None
    # How far ahead it can be booked.
    window_days: int | None = None
    booking_fields: list[Json] = field(default_factory=list)
    locations: list[Json] = field(default_factory=list)
    # Whatever else a PATCH wrote, under its own name.
    further: Json = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Booking:
    """One booking as it stands. A reschedule makes a new one; nothing deletes one."""

    id: int
    uid: str
    owner_id: int
    event_type_id: int
    event_type_slug: str
    host: Json
    title: str
    description: str
    status: str
    start: datetime
    end: datetime
    created_at: datetime
    updated_at: datetime | None
    attendees: list[Json]
    guests: list[str] = field(default_factory=list)
    metadata: Json = field(default_factory=dict)
    responses: Json = field(default_factory=dict)
    location: str = "integrations:daily"
    cancellation_reason: str = ""
    cancelled_by: str | None = None
    rescheduling_reason: str | None = None
    rescheduled_by: str | None = None
    rescheduled_from_uid: str | None = None
    rescheduled_to_uid: str | None = None
    absent_host: bool = False
    recurring_uid: str | None = None
    is_seated: bool = False
    # Rendered answers; they live as long as this version of the row.
    texts: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def minutes(self) -> int:
        return int((self.end - self.start).total_seconds() // 60)

    @property
    def is_live(self) -> bool:
        return self.status in (ACCEPTED, PENDING)

    @property
    def emails(self) -> set[str]:
        return {str(attendee["email"]).lower() for attendee in self.attendees}


@dataclass(frozen=True, eq=False)
class Webhook:
    """A subscription of an account. An empty secret sends the literal `no-secret-provided`."""

    id: str
    account_id: int
    subscriber_url: str
    triggers: list[str]
    active: bool = True
    secret: str | None = None
    payload_template: str | None = None


@dataclass(frozen=True, eq=False)
class Mail:
    """A mail that Cal.com would have sent: one per event, to the booker; guests get copies."""

    uid: str
    kind: str
    to: str
    copies: list[str]
    account: str
    at: datetime


Record = Account | EventType | Booking | Webhook | Mail
R = TypeVar("R", Account, EventType, Booking, Webhook, Mail)

INSTANTS = frozenset({"start", "end", "created_at", "updated_at", "at"})


def to_document(record: Record) -> Json:
    """The row as JSON can hold it."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in vars(record).items()
        if name != "texts"
    }


def from_document(kind: type[R], document: Json) -> R:
    """The row that `to_document` wrote. A field that a newer version dropped is passed over."""
    known = {each.name for each in dataclasses.fields(kind) if each.init}
    values: dict[str, Any] = {
        name: datetime.fromisoformat(value) if name in INSTANTS and value else value
        for name, value in document.items()
        if name in known
    }
    return kind(**values)
