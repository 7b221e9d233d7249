"""What a webhook says, in our words: a hint, fast and lossy, while Cal.com's state is the truth.

The rows of the trigger table (uid under another name, flat meetings, absent metadata) are read
here, so that nobody else has to know them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from webapp.calcom import untrusted
from webapp.calcom.payloads import Attendee, BookingStatus, Metadata
from webapp.calcom.reading import read_attendees, read_status
from webapp.calcom.redaction import redact
from webapp.calcom.untrusted import EMAIL_LIMIT, ShapeError

__all__ = [
    "Delivery",
    "DeliveryError",
    "Headline",
    "NoShow",
    "Trigger",
    "read_body",
    "read_delivery",
    "read_headline",
    "redact",
]

# What lies outside can't be meant, and no calendar shows it in every time zone.
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


class Trigger(StrEnum):
    """The triggers that have an effect or a reason; any other is UNKNOWN, kept and ignored."""

    CREATED = "BOOKING_CREATED"
    RESCHEDULED = "BOOKING_RESCHEDULED"
    REQUESTED = "BOOKING_REQUESTED"
    CANCELLED = "BOOKING_CANCELLED"
    REJECTED = "BOOKING_REJECTED"
    NO_SHOW_UPDATED = "BOOKING_NO_SHOW_UPDATED"
    PAID = "BOOKING_PAID"
    PAYMENT_INITIATED = "BOOKING_PAYMENT_INITIATED"
    MEETING_STARTED = "MEETING_STARTED"
    MEETING_ENDED = "MEETING_ENDED"
    RECORDING_READY = "RECORDING_READY"
    OUT_OF_OFFICE_CREATED = "OOO_CREATED"
    PING = "PING"
    OWN_PING = "LOCKSTEP_PING"
    UNKNOWN = "UNKNOWN"


# Flat: no `payload`, `id` for bookingId, and `createdAt` is the booking's.
_MEETINGS = frozenset({Trigger.MEETING_STARTED, Trigger.MEETING_ENDED})
_WITHOUT_BOOKING = frozenset({Trigger.OUT_OF_OFFICE_CREATED, Trigger.UNKNOWN})

Fields = Mapping[str, object]


class DeliveryError(ValueError):
    """A body that can't be read; `reason` names the part (`json`, `trigger`, `payload`, `uid`,
    `time`), never what stood there.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"unreadable delivery: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NoShow:
    """A guest marked as absent, or no longer so."""

    email: str
    absent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook. What its trigger doesn't carry is None or empty; instants are aware, UTC.

    `uid` is the booking's current uid (the **new** one of a reschedule), `old_uid` the former.
    `sent_at` orders deliveries; MEETING_* have none, their `booking_created_at` says nothing of
    the order. `metadata` is absent on cancelled and rejected: match those by uid. `is_ping`: a
    test, whatever its label, that must change nothing. `is_seat`: perhaps one seat of many, so a
    cancellation may leave the booking alive.
    """

    trigger: Trigger
    trigger_text: str
    sent_at: datetime | None
    booking_created_at: datetime | None = None
    uid: str | None = None
    old_uid: str | None = None
    booking_id: int | None = None
    status: BookingStatus | None = None
    start: datetime | None = None
    end: datetime | None = None
    old_start: datetime | None = None
    old_end: datetime | None = None
    length_minutes: int | None = None
    event_type_id: int | None = None
    metadata: Metadata = field(default_factory=dict)
    attendees: tuple[Attendee, ...] = ()
    organizer_email: str = ""
    title: str = ""
    location: str = ""
    cancellation_reason: str = ""
    rejection_reason: str = ""
    request_reschedule: bool = False
    is_ping: bool = False
    is_seat: bool = False
    no_shows: tuple[NoShow, ...] = ()


@dataclass(frozen=True, slots=True)
class Headline:
    """What a delivery is about, as far as it can be told at the door; None where it can't."""

    trigger: str
    uid: str | None
    old_uid: str | None
    sent_at: datetime | None


def read_body(raw: bytes) -> dict[str, object]:
    """What is kept of a body, whose signature the caller has verified: without secrets, and empty
    where it is no JSON object. Never raises."""
    try:
        body = untrusted.parse_json(raw)
    except ShapeError:
        return {}
    return redact(body) if isinstance(body, dict) else {}


def read_headline(body: Fields) -> Headline:
    """Enough to find a delivery again; never raises, for nothing is decided by it."""
    name = untrusted.line(body.get("triggerEvent"), 100)
    is_flat = _is_flat(_trigger(name), body)
    payload = body if is_flat else untrusted.mapping(body.get("payload"))
    return Headline(
        name,
        _readable_uid(_uid_of(payload)),
        _readable_uid(_old_uid_of(payload)),
        None if is_flat else _readable_instant(body.get("createdAt")),
    )


def read_delivery(envelope: Fields) -> Delivery:
    """Reads what `read_body` has kept; raises DeliveryError and nothing else."""
    if not envelope:
        raise DeliveryError("json")
    trigger_text = untrusted.line(envelope.get("triggerEvent"), 100)
    if not trigger_text:
        raise DeliveryError("trigger")
    trigger = _trigger(trigger_text)
    try:
        return _delivery(trigger, trigger_text, envelope)
    except ShapeError as problem:
        raise DeliveryError(str(problem)) from None


def _trigger(name: str) -> Trigger:
    try:
        return Trigger(name)
    except ValueError:
        return Trigger.UNKNOWN


def _payload(envelope: Fields, trigger: Trigger) -> Fields:
    payload = envelope.get("payload")
    if not isinstance(payload, dict) and trigger is not Trigger.UNKNOWN:
        raise DeliveryError("payload")
    return untrusted.mapping(payload)


def _is_flat(trigger: Trigger, envelope: Fields) -> bool:
    return trigger in _MEETINGS and "payload" not in envelope


def _uid_of(payload: Fields) -> object:
    return payload.get("uid") or payload.get("bookingUid")


def _old_uid_of(payload: Fields) -> object:
    return payload.get("rescheduleUid") or payload.get("fromReschedule")


def _instant(value: object) -> datetime | None:
    instant = untrusted.optional_instant(value)
    if instant is not None and not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ShapeError("time")
    return instant


def _readable_uid(value: object) -> str | None:
    try:
        return untrusted.uid(value)
    except ShapeError:
        return None


def _readable_instant(value: object) -> datetime | None:
    try:
        return _instant(value)
    except ShapeError:
        return None


def _delivery(trigger: Trigger, trigger_text: str, envelope: Fields) -> Delivery:
    is_flat = _is_flat(trigger, envelope)
    payload = envelope if is_flat else _payload(envelope, trigger)
    created_at = _instant(envelope.get("createdAt"))
    uid = untrusted.uid(_uid_of(payload))
    booking_id = untrusted.integer(payload.get("id" if is_flat else "bookingId"))
    knows_no_booking = uid is None and booking_id is None
    bare = Delivery(
        trigger=trigger,
        trigger_text=trigger_text,
        sent_at=None if is_flat else created_at,
        booking_created_at=created_at if is_flat else None,
        uid=uid,
        old_uid=untrusted.uid(_old_uid_of(payload)),
        booking_id=booking_id,
        event_type_id=untrusted.integer(payload.get("eventTypeId")),
        is_ping=knows_no_booking and trigger not in _WITHOUT_BOOKING,
        no_shows=_no_shows(payload) if trigger is Trigger.NO_SHOW_UPDATED else (),
    )
    return _with_details(bare, payload)


def _with_details(delivery: Delivery, payload: Fields) -> Delivery:
    return replace(
        delivery,
        status=_status(payload),
        start=_instant(payload.get("startTime")),
        end=_instant(payload.get("endTime")),
        old_start=_instant(payload.get("rescheduleStartTime")),
        old_end=_instant(payload.get("rescheduleEndTime")),
        length_minutes=untrusted.integer(payload.get("length")),
        metadata=untrusted.metadata(payload.get("metadata")),
        attendees=read_attendees(payload.get("attendees")),
        organizer_email=_organizer_email(payload),
        title=untrusted.line(payload.get("title")),
        location=untrusted.line(payload.get("location"), 2_000),
        cancellation_reason=untrusted.text(payload.get("cancellationReason")),
        rejection_reason=untrusted.text(payload.get("rejectionReason")),
        request_reschedule=payload.get("requestReschedule") is True,
        is_seat=_is_seat(payload),
    )


def _status(payload: Fields) -> BookingStatus | None:
    return None if payload.get("status") is None else read_status(payload["status"])[0]


def _organizer_email(payload: Fields) -> str:
    """Flat deliveries name the host `user`."""
    host = untrusted.mapping(payload.get("organizer") or payload.get("user"))
    return untrusted.line(host.get("email"), EMAIL_LIMIT)


def _is_seat(payload: Fields) -> bool:
    people = (untrusted.mapping(each) for each in untrusted.items(payload.get("attendees")))
    return any(
        each.get(name)
        for each in (payload, *people)
        for name in ("seatUid", "bookingSeat", "seatsPerTimeSlot", "attendeeSeatId")
    )


def _no_shows(payload: Fields) -> tuple[NoShow, ...]:
    people = (untrusted.mapping(each) for each in untrusted.items(payload.get("attendees")))
    return tuple(
        NoShow(untrusted.line(each.get("email"), EMAIL_LIMIT), each.get("noShow") is True)
        for each in people
        if each.get("email")
    )
