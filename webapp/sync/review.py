"""What a person may do about a finding, one click each."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, AppointmentStatus, Origin, move_sync_state
from webapp.models.discrepancy import Resolution, open_discrepancy
from webapp.models.history import EventKind, record_event
from webapp.models.intent import IntentKind
from webapp.models.sync_state import RETRIABLE, SyncState
from webapp.sync.booking import Change
from webapp.sync.intents import (
    has_unfinished_intent,
    lock_appointment,
    waiting_intent,
    want,
)
from webapp.sync.takeover import forget_booking


def request_retry(
    session: Session, appointment: Appointment, *, now: datetime, user_id: int | None
) -> bool:
    """Verify again now, counting from nought; False where its state has nothing to retry.

    The discrepancy stays open until the verification says something. A push that waits quietly is
    hurried instead.
    """
    locked = lock_appointment(session, appointment.id)
    if locked is None:
        return False
    if has_unfinished_intent(session, locked.id):
        hurried = _hurry(session, locked, now=now, user_id=user_id) is not None
        if hurried:
            _ask(session, locked, Resolution.RETRIED, now, user_id)
        return hurried
    moved = move_sync_state(
        session,
        locked.id,
        SyncState.VERIFICATION_PENDING,
        only_from=RETRIABLE,
        sync_attempt_count=0,
        verification_error_streak=0,
        absence_first_seen_at=None,
        next_verification_at=now,
        verification_requested_at=now,
    )
    if moved:
        _ask(session, locked, Resolution.RETRIED, now, user_id)
        record_event(session, locked.id, EventKind.RETRY_REQUESTED, at=now, user_id=user_id)
    return moved


def push_again(
    session: Session,
    appointment: Appointment,
    *,
    now: datetime,
    user_id: int | None,
    resolution: Resolution = Resolution.PUSHED_AGAIN,
) -> Change | None:
    """Carry our side to Cal.com anew; None where there is nothing to push.

    For a booking that is gone this makes a new one, and looks for one with our key first.
    `resolution` is what the open finding gets once the push has settled it.
    """
    locked = lock_appointment(session, appointment.id)
    if locked is None or not locked.can_be_pushed_again:
        return None
    if has_unfinished_intent(session, locked.id):
        hurried = _hurry(session, locked, now=now, user_id=user_id)
        if hurried is not None:
            _ask(session, locked, resolution, now, user_id)
        return hurried
    if locked.calcom_sync_status is SyncState.ORPHANED_LOCAL or _was_cancelled_there(
        session, locked
    ):
        forget_booking(locked)
    _ask(session, locked, resolution, now, user_id)
    record_event(session, locked.id, EventKind.PUSH_REQUESTED, at=now, user_id=user_id)
    intent_id = want(
        session,
        locked,
        _kind_of_wish(locked),
        origin=Origin.ADMIN,
        now=now,
        user_id=user_id,
        reason=None if locked.is_live else locked.cancellation_reason,
        look_first=True,
    )
    return Change(locked.id, intent_id)


def _hurry(
    session: Session, appointment: Appointment, *, now: datetime, user_id: int | None
) -> Change | None:
    """A push that waits quietly behind its flag is tried now instead of in a quarter of an hour."""
    waiting = waiting_intent(session, appointment.id)
    if waiting is None or waiting.due_at <= now or not appointment.requires_manual_review:
        return None
    waiting.due_at = now
    record_event(session, appointment.id, EventKind.PUSH_REQUESTED, at=now, user_id=user_id)
    return Change(appointment.id, waiting.id)


def _was_cancelled_there(session: Session, appointment: Appointment) -> bool:
    """A cancelled booking can't be moved: keeping ours means booking anew (API.md §2)."""
    found = open_discrepancy(session, appointment.id)
    fields = found.evidence.get("fields", {}) if found else {}
    return appointment.is_live and fields.get("status", {}).get("theirs") == "cancelled"


def _ask(
    session: Session,
    appointment: Appointment,
    resolution: Resolution,
    now: datetime,
    user_id: int | None,
) -> None:
    found = open_discrepancy(session, appointment.id)
    if found is not None:
        found.ask(resolution, now=now, user_id=user_id)


def _kind_of_wish(appointment: Appointment) -> IntentKind:
    if appointment.status is AppointmentStatus.CANCELLED:
        return IntentKind.CANCEL
    return IntentKind.RESCHEDULE if appointment.is_known_to_calcom else IntentKind.CREATE
