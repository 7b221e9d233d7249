"""Judge: what a verification saw is written down: agreement, mismatch, absence or error."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from webapp.calcom.errors import CalcomError, Conflict, RateLimited, Unauthorised
from webapp.calcom.payloads import Booking
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.discrepancy import DiscrepancyType, Resolution, open_discrepancy
from webapp.models.history import EventKind, record_event
from webapp.models.sync_state import SyncState
from webapp.sync.agreement import BookingClaimed, claim_uids, record_agreement
from webapp.sync.announcements import change_seen, note_changes
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.dismissals import dismissed_facts
from webapp.sync.findings import Finding, Raised, raise_finding, raise_findings
from webapp.sync.healing import create_again, heal_mismatches
from webapp.sync.intents import (
    code_of_failed_push,
    has_unfinished_intent,
    lock_appointment,
)
from webapp.sync.reconcile import view_of_base, view_of_ours, view_of_theirs
from webapp.sync.takeover import take_absence_as_asked, take_as_asked
from webapp.sync.unclaimed import follow_unclaimed, is_unclaimed, leave_unclaimed
from webapp.sync.verdict import Verdict, decide
from webapp.sync.verify import Look, Observation, Outcome, Patience, fingerprint_of

TOLD_FROM_ERROR = 3
"""A verification that errs is flagged and told from the third time on (S5.1)."""


def record_verification(
    session: Session, look: Look, seen: Observation, *, now: datetime, patience: Patience
) -> Outcome:
    """Act on what was seen; skipped where our own side changed while we looked."""
    appointment = lock_appointment(session, look.appointment_id)
    if appointment is None or has_unfinished_intent(session, look.appointment_id):
        return Outcome.SKIPPED
    if fingerprint_of(appointment) != look.seen:
        appointment.next_verification_at = now
        return Outcome.SKIPPED
    if isinstance(seen.error, RateLimited):
        pause = timedelta(seconds=seen.error.retry_after_seconds)
        appointment.next_verification_at = now + pause
        return Outcome.ERROR
    appointment.verification_requested_at = None
    if seen.error is not None:
        return _on_error(session, appointment, seen.error, now, patience)
    appointment.verification_error_streak = 0
    if seen.has_proved_key:
        mark_connected(session, now=now)
    if seen.booking is None:
        return _on_absence(session, appointment, look, now, patience)
    try:
        with session.begin_nested():
            claim_uids(session, appointment.id, look.host, seen.uids, now)
    except BookingClaimed:
        claimed = Conflict("The booking belongs to another appointment")
        return _on_error(session, appointment, claimed, now, patience)
    return _on_booking(session, appointment, look, seen.booking, now, patience)


def _on_booking(
    session: Session,
    appointment: Appointment,
    look: Look,
    booking: Booking,
    now: datetime,
    patience: Patience,
) -> Outcome:
    if is_unclaimed(session, appointment):
        return _on_unclaimed(session, appointment, booking, now)
    verdict = decide(view_of_ours(appointment), view_of_theirs(booking), view_of_base(appointment))
    written_at = appointment.remote_written_at
    caught_up_at = written_at and written_at + timedelta(seconds=patience.lag)
    if verdict.is_mismatch and caught_up_at is not None and now < caught_up_at:
        # Reads come from a replica: so soon after our own write this may be yesterday's news.
        appointment.next_verification_at = caught_up_at
        appointment.verification_requested_at = now if look.is_by_person else None
        return Outcome.SUSPECTED
    if verdict.is_mismatch and take_as_asked(session, appointment, booking, now=now):
        return Outcome.AGREED
    if verdict.is_mismatch:
        change = change_seen(appointment, booking)
        note_changes(session, [change] if change else [], now=now, alarm=patience.alarm)
        return _on_mismatch(session, appointment, booking, verdict, now)
    resolution = Resolution.RETRIED if look.is_by_person else Resolution.BY_ITSELF
    record_agreement(session, appointment, booking, now=now, resolution=resolution)
    return Outcome.AGREED


def _on_unclaimed(
    session: Session, appointment: Appointment, booking: Booking, now: datetime
) -> Outcome:
    """It was made of the booking, so that both agree says nothing: it is ours once a person has
    adopted it. Until then it follows its booking, to the end."""
    if take_as_asked(session, appointment, booking, now=now):
        return Outcome.AGREED
    if follow_unclaimed(appointment, booking):
        record_agreement(session, appointment, booking, now=now)
        return Outcome.AGREED
    count_verification(appointment)
    leave_unclaimed(session, appointment)
    return Outcome.DISAGREED


def _on_mismatch(
    session: Session,
    appointment: Appointment,
    booking: Booking,
    verdict: Verdict,
    now: datetime,
) -> Outcome:
    """The company's policies decide who wins, or that a person has to (S5.8)."""
    cause = code_of_failed_push(session, appointment.id)
    raised = mismatch_of(appointment, booking, verdict, cause=cause)
    left = heal_mismatches(session, [(raised, booking)], now=now)
    if not left:
        return Outcome.HEALED
    raise_findings(session, left, now=now)
    return Outcome.DISAGREED


def mismatch_of(
    appointment: Appointment, booking: Booking, verdict: Verdict, *, cause: str | None
) -> Raised:
    """The finding that the (locked) appointment and its booking differ; counts the sighting.

    `cause` is the code of a failed push that led to it.
    """
    count_verification(appointment)
    finding = Finding(
        DiscrepancyType.DATA_MISMATCH,
        "DATA_MISMATCH",
        differences=verdict.differences,
        remote_updated_at=booking.updated_at,
        cause=cause,
        branch=verdict.branch,
        ours={
            "status": appointment.status.value,
            "starts_at": appointment.starts_at.isoformat(),
        },
    )
    changes = {
        "calcom_v2_booking_id": booking.uid,
        "next_verification_at": None,
        "absence_first_seen_at": None,
        "verification_error_streak": 0,
    }
    return Raised(appointment, finding, changes)


def _on_absence(
    session: Session, appointment: Appointment, look: Look, now: datetime, patience: Patience
) -> Outcome:
    if is_unclaimed(session, appointment):
        # It was never more than a booking over there.
        appointment.status = AppointmentStatus.CANCELLED
    if appointment.status is AppointmentStatus.CANCELLED:
        # Nobody comes and nothing is booked: that is agreement.
        record_agreement(session, appointment, None, now=now)
        return Outcome.AGREED
    trusted_at = _absence_trusted_at(appointment, look, now, patience)
    if trusted_at is not None:
        appointment.next_verification_at = trusted_at
        appointment.absence_first_seen_at = appointment.absence_first_seen_at or now
        if look.is_by_person:
            appointment.verification_requested_at = now
        return Outcome.SUSPECTED
    if take_absence_as_asked(session, appointment, now=now):
        return Outcome.AGREED
    if not look.is_by_person and create_again(session, appointment, now=now):
        # A person who verifies wants to know; pushing again is a click of its own.
        return Outcome.HEALED
    cause = code_of_failed_push(session, appointment.id) if look.uid is None else None
    raise_findings(session, [absence_of(appointment, cause=cause)], now=now)
    return Outcome.DISAGREED


def absence_of(appointment: Appointment, *, cause: str | None) -> Raised:
    """The finding that the (locked) appointment's booking is proven missing."""
    count_verification(appointment)
    verdict = decide(view_of_ours(appointment), None, view_of_base(appointment))
    finding = Finding(
        DiscrepancyType.ORPHANED_LOCAL, "ORPHANED_LOCAL", cause=cause, branch=verdict.branch
    )
    return Raised(
        appointment, finding, {"next_verification_at": None, "verification_error_streak": 0}
    )


def _absence_trusted_at(
    appointment: Appointment, look: Look, now: datetime, patience: Patience
) -> datetime | None:
    """When an absence would count; None: it counts now."""
    if appointment.calcom_sync_status is SyncState.ORPHANED_LOCAL:
        return None
    written_at = appointment.remote_written_at
    end_of_grace = written_at and written_at + timedelta(seconds=patience.grace)
    if end_of_grace is not None and now < end_of_grace:
        return end_of_grace
    if look.is_by_person or look.uid is None:
        return None
    first = appointment.absence_first_seen_at
    if first is None:
        return now + timedelta(seconds=patience.gap)
    second = first + timedelta(seconds=patience.gap)
    return second if now < second else None


def _on_error(
    session: Session,
    appointment: Appointment,
    error: CalcomError,
    now: datetime,
    patience: Patience,
) -> Outcome:
    if isinstance(error, Unauthorised):
        mark_disconnected(session, error.code, now=now)
    count_verification(appointment)
    appointment.verification_error_streak += 1
    number = appointment.verification_error_streak
    pauses = patience.retries
    appointment.next_verification_at = (
        now + timedelta(seconds=pauses[number - 1]) if number <= len(pauses) else None
    )
    if _is_for_people(session, appointment, number):
        finding = Finding(
            DiscrepancyType.VERIFICATION_ERROR, "VERIFICATION_ERROR", detail=error.message
        )
        raise_finding(session, appointment, finding, now=now)
        return Outcome.ERROR
    if is_unclaimed(session, appointment):
        leave_unclaimed(session, appointment)
    record_event(
        session,
        appointment.id,
        EventKind.VERIFICATION_FAILED,
        at=now,
        code=error.code,
        detail=error.message,
    )
    return Outcome.ERROR


def _is_for_people(session: Session, appointment: Appointment, number: int) -> bool:
    """Whether the `number`th error in a row is a finding: a person waits for the answer, or it is
    the third. What was found before stays as it was: not having been able to look says nothing of
    it, and nothing of what a person dismissed."""
    if is_unclaimed(session, appointment):
        return False
    if appointment.calcom_sync_status is SyncState.VERIFICATION_PENDING:
        return True
    found = open_discrepancy(session, appointment.id)
    if found is not None:
        return found.type is DiscrepancyType.VERIFICATION_ERROR
    return number >= TOLD_FROM_ERROR and not dismissed_facts(session, [appointment])


def count_verification(appointment: Appointment) -> None:
    """Verifications since the last agreement (S2.5)."""
    appointment.sync_attempt_count = (appointment.sync_attempt_count or 0) + 1
