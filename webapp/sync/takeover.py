"""Cal.com's version taken over: ours follows the booking as it was just read, or its absence.

A person's wish to do so is kept on the finding, the verification that follows reads Cal.com, and
what it saw is written: never what stood on the page. Where Cal.com's status is no longer what the
person saw, nothing is taken; the finding shows what is there now.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.discrepancy import (
    Discrepancy,
    DiscrepancyType,
    Resolution,
    open_discrepancy,
)
from webapp.models.history import EventKind, record_event
from webapp.sync.agreement import record_agreement
from webapp.sync.reconcile import StatusClass, our_status_for, view_of_ours, view_of_theirs

TAKING = frozenset({Resolution.TOOK_REMOTE, Resolution.ADOPTED})


def take_as_asked(
    session: Session, appointment: Appointment, booking: Booking, *, now: datetime
) -> bool:
    """Take the (locked) appointment's differing booking over, if a person asked; True if so."""
    finding = _asked(session, appointment)
    if finding is None or finding.type is DiscrepancyType.ORPHANED_LOCAL:
        return False
    if view_of_theirs(booking).status is not _status_as_seen(finding, appointment):
        return False
    assert finding.asked_resolution is not None  # noqa: S101 - narrows the type
    take_remote_version(
        session,
        appointment,
        booking,
        now=now,
        resolution=finding.asked_resolution,
        user_id=finding.asked_by_user_id,
    )
    return True


def take_absence_as_asked(session: Session, appointment: Appointment, *, now: datetime) -> bool:
    """The booking is proven gone: cancel ours too, if a person who saw that asked; True if so."""
    finding = _asked(session, appointment)
    if finding is None or finding.type is not DiscrepancyType.ORPHANED_LOCAL:
        return False
    take_absence(session, appointment, now=now, user_id=finding.asked_by_user_id)
    return True


def take_remote_version(
    session: Session,
    appointment: Appointment,
    booking: Booking,
    *,
    now: datetime,
    resolution: Resolution = Resolution.TOOK_REMOTE,
    user_id: int | None = None,
) -> None:
    """Make the (locked) appointment say what the booking, just read, says; nobody is mailed.

    Completed and no-show stay ours while Cal.com says that it takes place.
    """
    ours, theirs = view_of_ours(appointment), view_of_theirs(booking)
    old_starts_at = appointment.starts_at
    if theirs.status is not None and theirs.status is not ours.status:
        appointment.status = our_status_for(booking.status)
        reason = booking.cancellation_reason if theirs.status is StatusClass.CANCELLED else None
        appointment.cancellation_reason = reason or None
    if theirs.status is not StatusClass.CANCELLED and booking.end > booking.start:
        appointment.starts_at, appointment.ends_at = booking.start, booking.end
    appointment.sync_origin = Origin.CALCOM
    if appointment.status is AppointmentStatus.CANCELLED:
        _record(session, appointment, EventKind.CANCELLED, now, user_id)
    elif appointment.starts_at != old_starts_at:
        record_event(
            session,
            appointment.id,
            EventKind.RESCHEDULED,
            at=now,
            origin=Origin.CALCOM,
            user_id=user_id,
            starts_at=appointment.starts_at.isoformat(),
            old_starts_at=old_starts_at.isoformat(),
        )
    _record(session, appointment, EventKind.PUSH_BACK_SUPPRESSED, now)
    record_agreement(session, appointment, booking, now=now, resolution=resolution, user_id=user_id)


def take_absence(
    session: Session, appointment: Appointment, *, now: datetime, user_id: int | None = None
) -> None:
    """Cancel the (locked) appointment here, as its booking is gone: nothing has to be sent."""
    appointment.status = AppointmentStatus.CANCELLED
    appointment.sync_origin = Origin.CALCOM
    forget_booking(appointment)
    _record(session, appointment, EventKind.CANCELLED, now, user_id)
    _record(session, appointment, EventKind.PUSH_BACK_SUPPRESSED, now)
    record_agreement(
        session, appointment, None, now=now, resolution=Resolution.TOOK_REMOTE, user_id=user_id
    )


def forget_booking(appointment: Appointment) -> None:
    """The uid leads nowhere any more; the alias stays, so that late news of it finds its home."""
    appointment.calcom_v2_booking_id = None
    appointment.base_starts_at = appointment.base_ends_at = None
    appointment.base_status = appointment.base_uid = None
    appointment.base_remote_updated_at = None


def _asked(session: Session, appointment: Appointment) -> Discrepancy | None:
    finding = open_discrepancy(session, appointment.id)
    return finding if finding is not None and finding.asked_resolution in TAKING else None


def _status_as_seen(finding: Discrepancy, appointment: Appointment) -> StatusClass | None:
    """Cal.com's status when the finding was shown; what didn't differ was as ours."""
    seen = (finding.evidence.get("fields") or {}).get("status")
    return StatusClass(seen["theirs"]) if seen else view_of_ours(appointment).status


def _record(
    session: Session,
    appointment: Appointment,
    kind: EventKind,
    now: datetime,
    user_id: int | None = None,
) -> None:
    record_event(session, appointment.id, kind, at=now, origin=Origin.CALCOM, user_id=user_id)
