"""Push: an intent is claimed, carried to Cal.com and settled; the job commits between the steps.

1. claim   compare-and-swap to in_flight with a lease and a token; the try is on record before
           the first call, so a worker that dies leaves "unknown outcome", never "nothing sent"
2. carry   the calls (`carry`), no transaction open
3. settle  only with the token: a worker that lost its lease changes nothing any more
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.calcom.payloads import NewAttendee
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias
from webapp.models.company import Company, ConnectionState
from webapp.models.customer import Customer
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Attempt, Intent, IntentStatus
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.carry import Known, Wish
from webapp.sync.drift import length_to_ask_for
from webapp.sync.intents import lock_appointment

CANCELLED_BY_COMPANY = {"en": "Cancelled by the company", "de": "Vom Unternehmen abgesagt"}
"""The reason of a cancellation for which none was given, by language: customers read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a worker holds while it carries an intent: plain values, no row."""

    intent_id: int
    appointment_id: int
    token: uuid.UUID
    lease_until: datetime
    attempt_number: int
    wish: Wish | None
    """None: the service has no event type, nothing can be sent."""
    known: Known
    last_call_at: datetime | None
    doubted_since: datetime | None
    host: str
    needs_reconnect: bool
    """The company's key was refused lately, or has never been proved: ask `/me` before anything is
    sent, for much of it would be answered without a key (API.md §1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How long a claim holds, and until when a listing after a write isn't trusted; seconds."""

    seconds: float
    look_trust_seconds: float
    reconnect_seconds: float


def claim_intent(session: Session, intent_id: int, *, now: datetime, lease: Lease) -> Claim | None:
    """Take an intent that is due, or whose lease ran out; None: it isn't ours to carry now.

    Marks the outcome as unknown until it is settled. The caller commits before the first call.
    """
    appointment = _lock_appointment_of(session, intent_id)
    intent = _due_intent(session, intent_id, now)
    if intent is None or appointment is None:
        return None
    company = session.get_one(Company, require_company_id())
    if company.is_paused or _waits_for_connection(session, intent, company, now, lease):
        return None
    claim = _describe(session, intent, appointment, company, now, lease)
    _take(session, intent, claim, now=now)
    appointment.last_sync_attempt_at = now
    try:
        session.flush()
    except IntegrityError:
        # Another intent of this appointment is in flight: the database lets only one.
        session.rollback()
        return None
    return claim


def _lock_appointment_of(session: Session, intent_id: int) -> Appointment | None:
    """The appointment's row is locked first, as everywhere: two orders would be a deadlock."""
    appointment_id = session.scalar(
        select(Intent.appointment_id).where(
            Intent.company_id == require_company_id(), Intent.id == intent_id
        )
    )
    return None if appointment_id is None else lock_appointment(session, appointment_id)


def _due_intent(session: Session, intent_id: int, now: datetime) -> Intent | None:
    return session.scalar(
        select(Intent)
        .where(
            Intent.company_id == require_company_id(),
            Intent.id == intent_id,
            or_(
                and_(Intent.status == IntentStatus.WAITING, Intent.due_at <= now),
                and_(Intent.status == IntentStatus.IN_FLIGHT, Intent.lease_until <= now),
            ),
        )
        .with_for_update(skip_locked=True)
    )


def _waits_for_connection(
    session: Session, intent: Intent, company: Company, now: datetime, lease: Lease
) -> bool:
    """While the key is refused one push at a time asks again; the others wait, unspent."""
    if (
        company.calcom_api_key is not None
        and company.connection_state is not ConnectionState.BROKEN
    ):
        return False
    checked_at = company.connection_checked_at
    next_check = checked_at and checked_at + timedelta(seconds=lease.reconnect_seconds)
    is_due = next_check is None or next_check <= now
    if company.calcom_api_key is not None and is_due and _take_check(session, company, now):
        return False
    latest = now + timedelta(seconds=lease.reconnect_seconds)
    again_at = latest if next_check is None or next_check <= now else next_check
    if intent.status is IntentStatus.WAITING:
        intent.due_at = again_at
    else:
        intent.lease_until = again_at
    return True


def _take_check(session: Session, company: Company, now: datetime) -> bool:
    """Compare-and-swap: of several workers one asks."""
    result = session.execute(
        update(Company)
        .where(
            Company.id == company.id,
            Company.connection_checked_at.is_not_distinct_from(company.connection_checked_at),
        )
        .values(connection_checked_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount == 1


def _take(session: Session, intent: Intent, claim: Claim, *, now: datetime) -> None:
    if intent.status is IntentStatus.IN_FLIGHT:
        # Whoever held it has died, or is too late: whatever it still says changes nothing.
        record_event(
            session, intent.appointment_id, EventKind.LEASE_LOST, at=now, intent_id=intent.id
        )
    intent.status = IntentStatus.IN_FLIGHT
    intent.lease_token = claim.token
    intent.lease_until = claim.lease_until
    intent.has_unknown_outcome = claim.wish is not None
    intent.last_call_at = now
    intent.doubted_since = intent.doubted_since or now
    if claim.wish is not None and claim.wish.is_live:
        intent.sent_starts = sorted({*intent.sent_starts, claim.wish.starts_at})
    session.add(Attempt(intent_id=intent.id, started_at=now, lease_token=claim.token))


def _describe(
    session: Session,
    intent: Intent,
    appointment: Appointment,
    company: Company,
    now: datetime,
    lease: Lease,
) -> Claim:
    trusted_at = _listing_trusted_at(intent, lease)
    return Claim(
        intent_id=intent.id,
        appointment_id=appointment.id,
        token=uuid.uuid4(),
        lease_until=now + timedelta(seconds=lease.seconds),
        attempt_number=intent.attempt_count + 1,
        wish=_wish(session, intent, appointment),
        known=Known(
            uid=appointment.calcom_v2_booking_id,
            starts_at=appointment.base_starts_at,
            must_look=intent.has_unknown_outcome,
            sent_starts=tuple(intent.sent_starts),
            learnt_uids=tuple(_learnt_uids(session, intent)),
            may_lag=trusted_at is not None and now < trusted_at,
        ),
        last_call_at=intent.last_call_at,
        doubted_since=intent.doubted_since,
        host=company.calcom_host,
        needs_reconnect=company.connection_state is not ConnectionState.OK,
    )


def _listing_trusted_at(intent: Intent, lease: Lease) -> datetime | None:
    """A worker that died may have sent its call as late as the end of its lease."""
    latest = intent.lease_until or intent.last_call_at
    return latest and latest + timedelta(seconds=lease.look_trust_seconds)


def _learnt_uids(session: Session, intent: Intent) -> list[str]:
    """Uids that webhooks told us of since a try was in doubt: perhaps that try's doing."""
    if not intent.has_unknown_outcome or intent.doubted_since is None:
        return []
    return list(
        session.scalars(
            select(BookingAlias.uid)
            .where(
                BookingAlias.company_id == require_company_id(),
                BookingAlias.appointment_id == intent.appointment_id,
                BookingAlias.first_seen_at >= intent.doubted_since,
            )
            .order_by(BookingAlias.id)
        )
    )


def _wish(session: Session, intent: Intent, appointment: Appointment) -> Wish | None:
    service = session.get_one(Service, (appointment.company_id, appointment.service_id))
    customer = session.get_one(Customer, (appointment.company_id, appointment.customer_id))
    if service.calcom_event_type_id is None:
        return None
    return Wish(
        is_live=appointment.status is not AppointmentStatus.CANCELLED,
        starts_at=appointment.starts_at,
        event_type_id=service.calcom_event_type_id,
        attendee=NewAttendee(
            name=customer.name,
            email=customer.email,
            phone_number=customer.phone,
            time_zone=customer.time_zone,
            language=customer.language,
        ),
        guests=tuple(appointment.guests),
        sync_key=appointment.sync_key,
        reason=_reason(intent, appointment, customer),
        length_minutes=length_to_ask_for(service, _minutes_of(appointment)),
    )


def _reason(intent: Intent, appointment: Appointment, customer: Customer) -> str | None:
    """As given; without one a cancellation says the least, in the language of Cal.com's mail."""
    given = (intent.reason or "").strip()
    if given or appointment.status is not AppointmentStatus.CANCELLED:
        return given or None
    return CANCELLED_BY_COMPANY.get(customer.language[:2].lower(), CANCELLED_BY_COMPANY["en"])


def _minutes_of(appointment: Appointment) -> int:
    return round((appointment.ends_at - appointment.starts_at).total_seconds() / 60)
