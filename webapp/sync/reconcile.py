"""Comparison: where two views of one appointment differ, and who left the base. Pure; which event
of the real world that is decides `verdict`.

Compared are the start, to a minute, and the status by its class (S5.1). The end is Cal.com's to
set, from its event type: a different length is the service's drift, not the appointment's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.models.appointment import Appointment, AppointmentStatus

START_TOLERANCE = timedelta(minutes=1)


class StatusClass(StrEnum):
    """What is compared of a status; both sides know finer ones."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    CANCELLED = "cancelled"


class Mover(StrEnum):
    """Who left the base; UNKNOWN where there never was one."""

    OURS = "ours"
    THEIRS = "theirs"
    BOTH = "both"
    UNKNOWN = "unknown"


OURS_BY_CLASS = {
    AppointmentStatus.SCHEDULED: StatusClass.ACCEPTED,
    AppointmentStatus.CONFIRMED: StatusClass.ACCEPTED,
    AppointmentStatus.COMPLETED: StatusClass.ACCEPTED,
    AppointmentStatus.NO_SHOW: StatusClass.ACCEPTED,
    AppointmentStatus.PENDING: StatusClass.PENDING,
    AppointmentStatus.CANCELLED: StatusClass.CANCELLED,
}
THEIRS_BY_CLASS = {
    BookingStatus.ACCEPTED: StatusClass.ACCEPTED,
    BookingStatus.PENDING: StatusClass.PENDING,
    BookingStatus.CANCELLED: StatusClass.CANCELLED,
    BookingStatus.REJECTED: StatusClass.CANCELLED,
}
"""An unknown status is not in here: it says nothing."""


@dataclass(frozen=True, slots=True)
class View:
    """One side's word on an appointment; `status` None says nothing."""

    starts_at: datetime | None
    status: StatusClass | None
    ends_at: datetime | None = None
    is_rejected: bool = False
    """Cancelled by the host's saying no, which is named differently."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field on which the sides disagree."""

    field: str
    base: str | None
    ours: str | None
    theirs: str | None
    moved: Mover


def view_of_ours(appointment: Appointment) -> View:
    return View(appointment.starts_at, OURS_BY_CLASS[appointment.status])


def view_of_base(appointment: Appointment) -> View:
    """What both last agreed on; empty where they never did."""
    status = appointment.base_status
    known = None if status is None else OURS_BY_CLASS[status]
    return View(appointment.base_starts_at, known, appointment.base_ends_at)


def view_of_theirs(booking: Booking) -> View:
    return View(
        booking.start,
        THEIRS_BY_CLASS.get(booking.status),
        booking.end,
        is_rejected=booking.status is BookingStatus.REJECTED,
    )


def differences(ours: View, theirs: View, base: View) -> list[Difference]:
    """Where the sides disagree; an empty list is agreement."""
    found = []
    if theirs.status is not None and ours.status != theirs.status:
        found.append(_difference("status", ours.status, theirs.status, base.status))
    if _both_cancelled(ours, theirs):
        return []
    if not is_same_start(ours.starts_at, theirs.starts_at):
        found.append(_difference("starts_at", ours.starts_at, theirs.starts_at, base.starts_at))
    return found


def our_status_for(status: BookingStatus) -> AppointmentStatus:
    """What a booking's status makes of an appointment taken over from Cal.com (API.md §2)."""
    return {
        BookingStatus.ACCEPTED: AppointmentStatus.CONFIRMED,
        BookingStatus.PENDING: AppointmentStatus.PENDING,
        BookingStatus.CANCELLED: AppointmentStatus.CANCELLED,
        BookingStatus.REJECTED: AppointmentStatus.CANCELLED,
    }.get(status, AppointmentStatus.SCHEDULED)


def _both_cancelled(ours: View, theirs: View) -> bool:
    """Nobody comes: then it doesn't matter at what time."""
    return ours.status is StatusClass.CANCELLED and theirs.status is StatusClass.CANCELLED


def is_same_start(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < START_TOLERANCE


def _difference(field: str, ours: object, theirs: object, base: object) -> Difference:
    return Difference(field, _text(base), _text(ours), _text(theirs), _mover(ours, theirs, base))


def _mover(ours: object, theirs: object, base: object) -> Mover:
    if base is None:
        return Mover.UNKNOWN
    if _equal(ours, base):
        return Mover.THEIRS
    return Mover.OURS if _equal(theirs, base) else Mover.BOTH


def _equal(one: object, other: object) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return is_same_start(one, other)
    return one == other


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
