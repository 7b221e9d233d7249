"""Editing an appointment: notes and guests stay ours; another start is a reschedule, and another
service a cancellation and a new booking, because Cal.com can't change a booking's event type."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, Origin
from webapp.models.customer import Customer
from webapp.models.history import EventKind, record_event
from webapp.models.service import Service
from webapp.sync.booking import (
    BookingRefused,
    Change,
    book_appointment,
    cancel_appointment,
    live_twin_id,
    reschedule_appointment,
)
from webapp.sync.intents import lock_appointment


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the appointment is to be; what equals what it is changes nothing.

    `seen` is the version that this was written from.
    """

    starts_at: datetime
    service: Service
    notes: str
    guests: Sequence[str]
    seen: str


@dataclass(frozen=True, slots=True)
class Edited:
    """`appointment_id` is another one where it was booked anew; `intent_ids` are to be enqueued."""

    appointment_id: int
    intent_ids: tuple[int, ...] = ()
    has_changed: bool = True


def version_of(appointment: Appointment) -> str:
    """A mark of all that an editor sees and can change: two that are equal saw the same."""
    facts = [
        appointment.service_id,
        appointment.starts_at.timestamp(),
        appointment.notes.replace("\r\n", "\n"),
        list(appointment.guests),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def edit_appointment(
    session: Session,
    appointment: Appointment,
    wanted: Wanted,
    *,
    cancellation_reason: str,
    now: datetime,
    user_id: int | None,
) -> Edited:
    """Make it so; raises BookingRefused (of `sync.booking`, and: booked_already; changed_meanwhile
    where it is no longer as its editor saw it).

    `cancellation_reason` is read by the customer, where another service is booked.
    """
    locked = lock_appointment(session, appointment.id)
    if locked is None:
        raise BookingRefused("not_live")
    if version_of(locked) != wanted.seen:
        raise BookingRefused("changed_meanwhile")
    has_changed = _edit_own(session, locked, wanted, now, user_id)
    if wanted.service.id != locked.service_id:
        return _book_anew(session, locked, wanted, cancellation_reason, now, user_id)
    if wanted.starts_at == locked.starts_at:
        return Edited(locked.id, has_changed=has_changed)
    change = reschedule_appointment(
        session, locked, wanted.starts_at, origin=Origin.ADMIN, now=now, user_id=user_id
    )
    return Edited(locked.id, _intents(change))


def _edit_own(
    session: Session, locked: Appointment, wanted: Wanted, now: datetime, user_id: int | None
) -> bool:
    """What only this desk knows of; the history says that it was changed, not what it says."""
    fields = []
    if locked.notes.replace("\r\n", "\n") != wanted.notes:
        locked.notes = wanted.notes
        fields.append("notes")
    if list(locked.guests) != list(wanted.guests):
        locked.guests = list(wanted.guests)
        fields.append("guests")
    if fields:
        record_event(
            session,
            locked.id,
            EventKind.EDITED,
            at=now,
            origin=Origin.ADMIN,
            user_id=user_id,
            fields=fields,
        )
    return bool(fields)


def _book_anew(
    session: Session,
    locked: Appointment,
    wanted: Wanted,
    reason: str,
    now: datetime,
    user_id: int | None,
) -> Edited:
    customer = session.get_one(Customer, (locked.company_id, locked.customer_id))
    session.refresh(customer, with_for_update=True)
    twin_id = live_twin_id(
        session,
        customer_id=customer.id,
        service_id=wanted.service.id,
        starts_at=wanted.starts_at,
    )
    if twin_id is not None:
        raise BookingRefused("booked_already")
    cancelled = cancel_appointment(
        session, locked, reason=reason, origin=Origin.ADMIN, now=now, user_id=user_id
    )
    booked = book_appointment(
        session,
        customer=customer,
        service=wanted.service,
        starts_at=wanted.starts_at,
        origin=Origin.ADMIN,
        now=now,
        user_id=user_id,
        notes=wanted.notes,
        guests=wanted.guests,
    )
    return Edited(booked.appointment_id, _intents(cancelled, booked))


def _intents(*changes: Change) -> tuple[int, ...]:
    return tuple(change.intent_id for change in changes if change.intent_id is not None)
