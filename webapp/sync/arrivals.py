"""A delivery on its way in: whom it speaks of, and what it says in the shape of a booking."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.calcom.webhooks import Delivery
from webapp.models.appointment import Appointment, BookingAlias
from webapp.models.intent import UNFINISHED, Intent
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import holder_of
from webapp.sync.carry import METADATA_KEY
from webapp.sync.intents import lock_appointment

LONGEST = timedelta(days=31)
"""A booking that lasts longer isn't one."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery on its way in, with what is needed to act on it.

    `is_read_again`: it can be read once more after a while, where reading doesn't bear it out yet.
    """

    id: int
    delivery: Delivery
    host: str
    now: datetime
    is_read_again: bool = False


def as_booking(
    arrival: Arrival,
    *,
    status: BookingStatus | None = None,
    appointment: Appointment | None = None,
) -> Booking | None:
    """The delivery as a booking; times it lacks come from the appointment, else None.

    A sending time ahead of our clock counts as now: else all that follows would be older.
    """
    delivery = arrival.delivery
    start = delivery.start or (appointment.starts_at if appointment is not None else None)
    end = delivery.end or (appointment.ends_at if appointment is not None else None)
    status = status or delivery.status
    if delivery.uid is None or start is None or end is None or status is None:
        return None
    if not timedelta() < end - start <= LONGEST:
        return None
    return Booking(
        uid=delivery.uid,
        status=status,
        status_text=status.value,
        start=start,
        end=end,
        event_type_id=delivery.event_type_id,
        metadata=delivery.metadata,
        attendees=delivery.attendees,
        updated_at=delivery.sent_at and min(delivery.sent_at, arrival.now),
    )


def is_stale(delivery: Delivery, appointment: Appointment) -> bool:
    """Sent before what we last agreed on was written over there."""
    agreed_at = appointment.base_remote_updated_at
    return delivery.sent_at is not None and agreed_at is not None and delivery.sent_at < agreed_at


def find_by_uid(session: Session, arrival: Arrival, uid: str | None) -> Appointment | None:
    appointment_id = uid and holder_of(session, arrival.host, uid)
    return lock_appointment(session, int(appointment_id)) if appointment_id else None


def find_by_key(session: Session, arrival: Arrival) -> Appointment | None:
    return find_by_sync_key(session, arrival.delivery.metadata)


def find_by_sync_key(session: Session, metadata: Mapping[str, object]) -> Appointment | None:
    """The appointment whose key this metadata carries, locked."""
    key = read_key(metadata)
    if key is None:
        return None
    appointment_id = session.scalar(
        select(Appointment.id).where(
            Appointment.company_id == require_company_id(),
            Appointment.sync_key == key,
        )
    )
    return lock_appointment(session, appointment_id) if appointment_id else None


def is_earlier_uid(session: Session, appointment: Appointment, uid: str) -> bool:
    """Whether a uid that the appointment had gave way to the one it has; in doubt it didn't."""
    mine = BookingAlias.company_id == require_company_id()
    of_it = BookingAlias.appointment_id == appointment.id
    current = select(BookingAlias.id).where(
        mine, of_it, BookingAlias.uid == appointment.calcom_v2_booking_id
    )
    older = select(BookingAlias.id).where(
        mine, of_it, BookingAlias.uid == uid, BookingAlias.id < current.scalar_subquery()
    )
    return session.scalar(older.limit(1)) is not None


def is_create_under_way(session: Session, service: Service, start: datetime) -> bool:
    """Whether a booking of ours at this time may be Cal.com's already, its answer not here yet.

    After a confirmation a webhook doesn't carry our key (API.md §5), so only a look can tell.
    """
    found = session.scalar(
        select(Appointment.id)
        .join(
            Intent,
            (Intent.company_id == Appointment.company_id)
            & (Intent.appointment_id == Appointment.id),
        )
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.service_id == service.id,
            Appointment.starts_at == start,
            Appointment.calcom_v2_booking_id.is_(None),
            Intent.status.in_(UNFINISHED),
        )
        .limit(1)
    )
    return found is not None


def find_service(session: Session, event_type_id: int | None) -> Service | None:
    return session.scalar(
        select(Service).where(
            Service.company_id == require_company_id(),
            Service.calcom_event_type_id == event_type_id,
            Service.calcom_event_type_id.is_not(None),
        )
    )


def read_key(metadata: Mapping[str, object]) -> uuid.UUID | None:
    """Our key out of a booking's metadata; anybody may have written there."""
    try:
        return uuid.UUID(str(metadata.get(METADATA_KEY, "")))
    except ValueError:
        return None
