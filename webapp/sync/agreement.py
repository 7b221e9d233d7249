"""Agreement: both sides were seen to say the same. Errors are cleared, the base is renewed, what
was flagged closes by itself."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.appointment import (
    LIVE,
    Appointment,
    BookingAlias,
)
from webapp.models.discrepancy import Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.sync_state import FAILURES, SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.findings import close_findings
from webapp.sync.reconcile import our_status_for


class BookingClaimed(Exception):
    """The booking belongs to another appointment, here or in another company."""


def claim_uids(
    session: Session, appointment_id: int, host: str, uids: list[str], now: datetime
) -> None:
    """Write down uids as this appointment's; raises BookingClaimed where one is another's.

    `host` is the Cal.com installation: uids are unique on it, over all companies.
    """
    for uid in uids:
        session.execute(
            insert(BookingAlias)
            .values(
                company_id=require_company_id(),
                appointment_id=appointment_id,
                calcom_host=host,
                uid=uid,
                first_seen_at=now,
            )
            .on_conflict_do_nothing()
        )
        if holder_of(session, host, uid) != appointment_id:
            raise BookingClaimed


def holder_of(session: Session, host: str, uid: str) -> int | None:
    """The appointment of this company that has or had this uid."""
    return session.scalar(
        select(BookingAlias.appointment_id).where(
            BookingAlias.company_id == require_company_id(),
            BookingAlias.calcom_host == host,
            BookingAlias.uid == uid,
        )
    )


def record_agreement(
    session: Session,
    appointment: Appointment,
    booking: Booking | None,
    *,
    now: datetime,
    resolution: Resolution = Resolution.BY_ITSELF,
    user_id: int | None = None,
) -> None:
    """The (locked) appointment and the booking agree; None: neither exists any more.

    Writes history only where something was amiss: routine agreement leaves no trace (S2.6).
    """
    record_agreements(
        session, [(appointment, booking)], now=now, resolution=resolution, user_id=user_id
    )


def record_agreements(
    session: Session,
    pairs: Sequence[tuple[Appointment, Booking | None]],
    *,
    now: datetime,
    resolution: Resolution = Resolution.BY_ITSELF,
    user_id: int | None = None,
) -> int:
    """The same for many at once, in a handful of statements; returns how many were flagged."""
    ids = [appointment.id for appointment, _ in pairs]
    closed = close_findings(session, ids, resolution, now=now, user_id=user_id)
    for appointment, booking in pairs:
        if appointment.calcom_sync_status in _AMISS or appointment.id in closed:
            record_event(session, appointment.id, EventKind.VERIFIED, at=now, user_id=user_id)
        if booking is not None:
            take_base(appointment, booking)
        _clear(appointment, now)
    session.flush()
    return len(closed)


_AMISS = FAILURES | {SyncState.VERIFICATION_PENDING}


def _clear(appointment: Appointment, now: datetime) -> None:
    """The row is locked, so writing it is the move: any state may become synced."""
    appointment.calcom_sync_status = SyncState.SYNCED
    appointment.sync_verified_at = now
    appointment.sync_attempt_count = 0
    appointment.verification_error_streak = 0
    appointment.sync_error_code = None
    appointment.sync_error_message = None
    appointment.requires_manual_review = False
    appointment.manual_review_flagged_at = None
    appointment.absence_first_seen_at = None
    appointment.next_verification_at = None
    appointment.verification_requested_at = None


def take_base(appointment: Appointment, booking: Booking) -> None:
    """Make what the booking says the base; the end is Cal.com's to set, a live status too."""
    status = our_status_for(booking.status)
    if appointment.status in LIVE and status in LIVE:
        appointment.status = status
    if booking.start == appointment.starts_at and booking.end > booking.start:
        appointment.ends_at = booking.end
    appointment.base_starts_at = booking.start
    appointment.base_ends_at = booking.end
    appointment.base_status = status
    appointment.base_uid = booking.uid
    appointment.base_remote_updated_at = booking.updated_at
    appointment.calcom_v2_booking_id = booking.uid
