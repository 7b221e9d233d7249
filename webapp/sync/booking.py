"""A change and its intent, written in one transaction (S3.1): the caller commits, then enqueues."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, AppointmentStatus, Origin
from webapp.models.customer import Customer
from webapp.models.discrepancy import Resolution, open_discrepancy
from webapp.models.history import EventKind, record_event
from webapp.models.intent import IntentKind
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.intents import lock_appointment, want


@dataclass(frozen=True, slots=True)
class Change:
    """What was written; `intent_id` is what the caller enqueues, None: nothing must be sent."""

    appointment_id: int
    intent_id: int | None


class BookingRefused(Exception):
    """The change makes no sense; nothing was written.

    `reason`: in_past, not_live, service_not_offered, customer_erased, unchanged, already_started;
    of marking and editing: not_begun, not_confirmed, on_its_way, booked_already, changed_meanwhile.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def book_appointment(
    session: Session,
    *,
    customer: Customer,
    service: Service,
    starts_at: datetime,
    origin: Origin,
    now: datetime,
    user_id: int | None = None,
    notes: str = "",
    guests: Sequence[str] = (),
) -> Change:
    """Write an appointment and the intent to create it on Cal.com; raises BookingRefused."""
    if starts_at <= now:
        raise BookingRefused("in_past")
    if not service.is_offered:
        raise BookingRefused("service_not_offered")
    if customer.erased_at is not None:
        raise BookingRefused("customer_erased")
    appointment = Appointment(
        customer_id=customer.id,
        service_id=service.id,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=service.duration_minutes),
        status=AppointmentStatus.SCHEDULED,
        notes=notes,
        guests=list(guests),
        created_at=now,
        created_by_origin=origin,
        calcom_sync_status=SyncState.PENDING,
        sync_origin=origin,
        sync_initiated_at=now,
    )
    session.add(appointment)
    session.flush()
    _record(
        session,
        appointment,
        EventKind.BOOKED,
        origin=origin,
        now=now,
        user_id=user_id,
        starts_at=starts_at.isoformat(),
    )
    intent_id = want(
        session, appointment, IntentKind.CREATE, origin=origin, now=now, user_id=user_id
    )
    return Change(appointment.id, intent_id)


def live_twin_id(
    session: Session, *, customer_id: int, service_id: int, starts_at: datetime
) -> int | None:
    """The live appointment that a booking would repeat: the same customer, service and start.

    Lock the customer's row first: then what was booked at the same moment is seen.
    """
    return session.scalar(
        select(Appointment.id)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.customer_id == customer_id,
            Appointment.service_id == service_id,
            Appointment.starts_at == starts_at,
            Appointment.status.in_(LIVE),
        )
        .limit(1)
    )


def reschedule_appointment(
    session: Session,
    appointment: Appointment,
    starts_at: datetime,
    *,
    origin: Origin,
    now: datetime,
    user_id: int | None = None,
    reason: str | None = None,
) -> Change:
    """Move an appointment, keeping its length; raises BookingRefused."""
    appointment = _locked_live(session, appointment, now)
    if starts_at <= now:
        raise BookingRefused("in_past")
    if starts_at == appointment.starts_at:
        raise BookingRefused("unchanged")
    _credit(session, appointment, now, user_id)
    old_starts_at = appointment.starts_at
    appointment.ends_at = starts_at + (appointment.ends_at - appointment.starts_at)
    appointment.starts_at = starts_at
    _record(
        session,
        appointment,
        EventKind.RESCHEDULED,
        origin=origin,
        now=now,
        user_id=user_id,
        starts_at=starts_at.isoformat(),
        old_starts_at=old_starts_at.isoformat(),
    )
    intent_id = want(
        session,
        appointment,
        IntentKind.RESCHEDULE,
        origin=origin,
        now=now,
        user_id=user_id,
        reason=reason,
    )
    return Change(appointment.id, intent_id)


def cancel_appointment(
    session: Session,
    appointment: Appointment,
    *,
    reason: str,
    origin: Origin,
    now: datetime,
    user_id: int | None = None,
) -> Change:
    """Cancel an appointment; raises BookingRefused."""
    appointment = _locked_live(session, appointment, now)
    _credit(session, appointment, now, user_id)
    appointment.status = AppointmentStatus.CANCELLED
    appointment.cancellation_reason = reason
    _record(
        session,
        appointment,
        EventKind.CANCELLED,
        origin=origin,
        now=now,
        user_id=user_id,
        reason=reason,
    )
    intent_id = want(
        session,
        appointment,
        IntentKind.CANCEL,
        origin=origin,
        now=now,
        user_id=user_id,
        reason=reason,
    )
    return Change(appointment.id, intent_id)


def _locked_live(session: Session, appointment: Appointment, now: datetime) -> Appointment:
    """The appointment as it is now, locked: another click may have been quicker."""
    locked = lock_appointment(session, appointment.id)
    if locked is None or not locked.is_live:
        raise BookingRefused("not_live")
    if locked.starts_at <= now:
        raise BookingRefused("already_started")
    return locked


def _credit(session: Session, appointment: Appointment, now: datetime, user_id: int | None) -> None:
    """Should this settle what is open about it, then by this change."""
    found = open_discrepancy(session, appointment.id)
    if found is not None:
        found.ask(Resolution.CHANGED, now=now, user_id=user_id)


def _record(
    session: Session,
    appointment: Appointment,
    kind: EventKind,
    *,
    origin: Origin,
    now: datetime,
    user_id: int | None,
    **data: Any,
) -> None:
    record_event(session, appointment.id, kind, at=now, origin=origin, user_id=user_id, **data)
