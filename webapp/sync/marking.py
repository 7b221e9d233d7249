"""Marking what came of an appointment: completed or no-show. Both stay ours (S3.11): for Cal.com
the booking takes place either way, so nothing is sent and nobody is mailed."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.history import EventKind, record_event
from webapp.sync.booking import BookingRefused
from webapp.sync.intents import has_unfinished_intent, lock_appointment

MARKS = (AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW)

_MARKABLE = frozenset({AppointmentStatus.SCHEDULED, AppointmentStatus.CONFIRMED, *MARKS})
"""All these are one class to Cal.com; what awaits confirmation there is another."""


def marks_for(appointment: Appointment, now: datetime) -> tuple[AppointmentStatus, ...]:
    """The marks that are offered for it now: none before it has begun."""
    if appointment.status not in _MARKABLE or appointment.starts_at > now:
        return ()
    return tuple(mark for mark in MARKS if mark is not appointment.status)


def mark_appointment(
    session: Session,
    appointment: Appointment,
    mark: AppointmentStatus,
    *,
    now: datetime,
    user_id: int | None,
    origin: Origin = Origin.ADMIN,
) -> None:
    """Write down who came.

    Raises BookingRefused: not_begun, not_confirmed, not_live, on_its_way.
    """
    locked = lock_appointment(session, appointment.id)
    if locked is None or locked.status is AppointmentStatus.CANCELLED:
        raise BookingRefused("not_live")
    if locked.starts_at > now:
        raise BookingRefused("not_begun")
    if locked.status not in _MARKABLE:
        raise BookingRefused("not_confirmed")
    if has_unfinished_intent(session, locked.id):
        raise BookingRefused("on_its_way")
    if locked.status is mark:
        return
    old = locked.status
    locked.status = mark
    record_event(
        session,
        locked.id,
        EventKind.MARKED,
        at=now,
        origin=origin,
        user_id=user_id,
        status=mark.value,
        old_status=old.value,
    )
