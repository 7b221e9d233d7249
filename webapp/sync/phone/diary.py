"""The caller's appointments to come, and which of them is meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, AppointmentStatus
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.callers import Caller, identify
from webapp.sync.phone.likeness import ALIKE, is_inside, likeness, words
from webapp.sync.phone.memory import appointments_of_call
from webapp.sync.phone.outcomes import BookedTime, Objection, Reason, objection

MOST = 20
"""More than that nobody listens to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """How the caller points at one of their appointments; all empty: the only one."""

    appointment_id: int | None = None
    day: date | None = None
    at: time | None = None
    service: str = ""

    @property
    def is_empty(self) -> bool:
        return self == Pointer()


def coming_appointments(session: Session, caller: Caller, *, now: datetime) -> list[BookedTime]:
    """Live appointments of the caller, soonest first, with those made in this call.

    Raises Objection where it isn't clear whose they would be.
    """
    made_in_call = appointments_of_call(caller.call_id)
    try:
        customer_ids = [customer.id for customer in identify(session, caller)]
    except Objection:
        own = _coming(session, made_in_call, now)
        if own:
            return own
        raise
    return _coming(session, or_(made_in_call, Appointment.customer_id.in_(customer_ids)), now)


def point_at(coming: Sequence[BookedTime], pointer: Pointer, zone: ZoneInfo) -> BookedTime:
    """The one that is meant; raises Objection: none there, none like that, or several."""
    if not coming:
        raise objection(Reason.NO_APPOINTMENT)
    meant = [each for each in coming if _is_meant(each, pointer, zone)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise objection(Reason.SEVERAL_APPOINTMENTS, appointments=tuple(meant))
    raise objection(Reason.NO_SUCH_APPOINTMENT, appointments=tuple(coming))


def _is_meant(each: BookedTime, pointer: Pointer, zone: ZoneInfo) -> bool:
    if pointer.appointment_id is not None:
        return each.id == pointer.appointment_id
    local = each.starts_at.astimezone(zone)
    return (
        pointer.day in (None, local.date())
        and pointer.at in (None, local.time().replace(second=0, microsecond=0))
        and (not words(pointer.service) or _sounds_like(pointer.service, each.service))
    )


def _sounds_like(said: str, name: str) -> bool:
    return is_inside(said, name) or likeness(said, name) >= ALIKE


def _coming(session: Session, condition: object, now: datetime) -> list[BookedTime]:
    rows = session.execute(
        select(Appointment, Service)
        .join(
            Service,
            (Service.company_id == Appointment.company_id) & (Service.id == Appointment.service_id),
        )
        .where(
            Appointment.company_id == require_company_id(),
            condition,  # type: ignore[arg-type]
            Appointment.status.in_(LIVE),
            Appointment.starts_at > now,
        )
        .order_by(Appointment.starts_at, Appointment.id)
        .limit(MOST)
    )
    return [as_booked_time(appointment, service) for appointment, service in rows]


def as_booked_time(appointment: Appointment, service: Service) -> BookedTime:
    is_in_step = appointment.calcom_sync_status is SyncState.SYNCED
    return BookedTime(
        appointment.id,
        service.id,
        service.name,
        appointment.starts_at,
        appointment.ends_at,
        service.calcom_event_type_id,
        appointment.calcom_v2_booking_id,
        is_in_step and appointment.status is not AppointmentStatus.PENDING,
    )
