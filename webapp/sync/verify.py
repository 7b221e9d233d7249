"""Verification of one appointment: observe → decide → act (S5.1, S5.5).

1. plan     what to look at; None where nothing can or need be said
2. observe  the calls, no transaction open: the booking by uid with its successors, else by our
            key; before "missing" may be said, `/me` has to answer for the key
3. record   agreement, mismatch, absence or error, in one transaction

Absence is not deletion: within the grace period after a write it says nothing; an automatic
verification needs two sightings; a person's verification counts at once.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, NotFound
from webapp.calcom.payloads import Booking
from webapp.models.appointment import Appointment, BookingAlias
from webapp.models.company import Company
from webapp.models.history import EventKind, record_event
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.announcements import USUAL_ALARM, Alarm
from webapp.sync.carry import find_by_key, follow_chain
from webapp.sync.intents import has_unfinished_intent, latest_intent, lock_appointment

MOST_EARLIER_UIDS = 3
LOOK_LEASE = timedelta(seconds=60)
"""How long a verification may take before the pulse asks for it again."""


class Outcome(StrEnum):
    """What a verification came to; a run counts them."""

    AGREED = "agreed"
    DISAGREED = "disagreed"
    HEALED = "healed"
    """It differed, and the company's policy has put it right, or is about to."""
    SUSPECTED = "suspected"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What to look for on Cal.com: plain values."""

    appointment_id: int
    uid: str | None
    earlier_uids: tuple[str, ...]
    """Where it stood before: a move that Cal.com answered and didn't keep leaves it there."""
    sync_key: uuid.UUID
    event_type_id: int | None
    starts: tuple[datetime, ...]
    host: str
    is_by_person: bool
    seen: tuple[object, ...]
    """What our side looked like: a change meanwhile makes what was seen out of date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen: a booking, its proven absence, or an error."""

    booking: Booking | None = None
    error: CalcomError | None = None
    uids: list[str] = field(default_factory=list)
    has_proved_key: bool = False
    """A listing or `/me` answered; a booking is read without a key, too (API.md §1)."""

    @property
    def is_missing(self) -> bool:
        return self.booking is None and self.error is None


@dataclass(frozen=True, slots=True)
class Patience:
    """The settings that keep verification from crying wolf; seconds."""

    skip: float
    grace: float
    gap: float
    retries: Sequence[float]
    lag: float = 5.0
    alarm: Alarm = USUAL_ALARM
    """When changes that no webhook announced are told."""
    news: float = 120.0
    """How long a webhook may take to tell what a run reads: till then it isn't news."""


def request_verification(
    session: Session, appointment: Appointment, *, now: datetime, user_id: int | None
) -> None:
    """A person wants to know now: due at once, whatever was seen a moment ago."""
    appointment.verification_requested_at = now
    appointment.next_verification_at = now
    record_event(session, appointment.id, EventKind.VERIFY_REQUESTED, at=now, user_id=user_id)


def plan_verification(
    session: Session, appointment_id: int, *, now: datetime, patience: Patience
) -> Look | None:
    """What to look at, or None: a change is on its way, or it was verified a moment ago.

    Takes a short lease by moving the due instant, so that a worker's death is made good.
    """
    appointment = lock_appointment(session, appointment_id)
    if appointment is None:
        return None
    if has_unfinished_intent(session, appointment_id):
        # Not an orphan while its push is still being worked on (S5.7).
        appointment.next_verification_at = None
        appointment.verification_requested_at = None
        return None
    is_by_person = appointment.verification_requested_at is not None
    if not is_by_person and _was_seen_lately(appointment, now, patience):
        return None
    appointment.next_verification_at = now + LOOK_LEASE
    appointment.last_sync_attempt_at = now
    return _describe(session, appointment, is_by_person=is_by_person)


def observe(look: Look, client: CalcomClient) -> Observation:
    """Read Cal.com; never raises a CalcomError, it is returned."""
    try:
        chain = _chain(look, client)
        if chain:
            return Observation(booking=chain[-1], uids=[booking.uid for booking in chain])
        found = _by_key(look, client)
        if found is not None:
            return Observation(booking=found, uids=[found.uid], has_proved_key=True)
        client.me()
        return Observation(has_proved_key=True)
    except CalcomError as error:
        return Observation(error=error)


def _chain(look: Look, client: CalcomClient) -> list[Booking]:
    if look.uid is None:
        return []
    for uid in (look.uid, *look.earlier_uids):
        try:
            return follow_chain(client.get_booking, uid)
        except NotFound:
            continue
    return []


def _by_key(look: Look, client: CalcomClient) -> Booking | None:
    """A booking that somebody made good by hand, or whose uid we never learnt."""
    if look.event_type_id is None:
        return None
    return find_by_key(
        client.list_bookings,
        event_type_id=look.event_type_id,
        sync_key=look.sync_key,
        around=look.starts,
    )


def _was_seen_lately(appointment: Appointment, now: datetime, patience: Patience) -> bool:
    """Agreed a moment ago; what is due again (an absence, an error) is never skipped."""
    if appointment.calcom_sync_status is not SyncState.SYNCED:
        return False
    if appointment.next_verification_at is not None and appointment.next_verification_at <= now:
        return False
    seen_at = appointment.sync_verified_at
    return seen_at is not None and now - seen_at < timedelta(seconds=patience.skip)


def _describe(session: Session, appointment: Appointment, *, is_by_person: bool) -> Look:
    company = session.get_one(Company, require_company_id())
    service = session.get_one(Service, (appointment.company_id, appointment.service_id))
    last = latest_intent(session, appointment.id)
    starts = {appointment.starts_at, appointment.base_starts_at or appointment.starts_at}
    starts |= set(last.sent_starts if last is not None and last.has_unknown_outcome else ())
    return Look(
        appointment_id=appointment.id,
        uid=appointment.calcom_v2_booking_id,
        earlier_uids=_earlier_uids(session, appointment),
        sync_key=appointment.sync_key,
        event_type_id=service.calcom_event_type_id,
        starts=tuple(sorted(starts)),
        host=company.calcom_host,
        is_by_person=is_by_person,
        seen=fingerprint_of(appointment),
    )


def _earlier_uids(session: Session, appointment: Appointment) -> tuple[str, ...]:
    found = session.scalars(
        select(BookingAlias.uid)
        .where(
            BookingAlias.company_id == appointment.company_id,
            BookingAlias.appointment_id == appointment.id,
            BookingAlias.uid != appointment.calcom_v2_booking_id,
        )
        .order_by(BookingAlias.id.desc())
        .limit(MOST_EARLIER_UIDS)
    )
    return tuple(found)


def fingerprint_of(appointment: Appointment) -> tuple[object, ...]:
    """What a verification compares; it changes with every wish and every push."""
    return (
        appointment.calcom_v2_booking_id,
        appointment.status,
        appointment.starts_at,
        appointment.sync_initiated_at,
        appointment.remote_written_at,
    )
