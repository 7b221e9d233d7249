"""Intents: how a change joins the queue to Cal.com, and how waiting ones collapse (S3.2).

Whoever changes intents of an appointment holds the lock on the appointment's row first.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, Origin, move_sync_state
from webapp.models.discrepancy import Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.intent import UNFINISHED, Intent, IntentKind, IntentStatus
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import record_agreement


def lock_appointment(session: Session, appointment_id: int) -> Appointment | None:
    """The appointment's row, fresh from the database and locked until the transaction ends."""
    return session.scalar(
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id == appointment_id,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def want(
    session: Session,
    appointment: Appointment,
    kind: IntentKind,
    *,
    origin: Origin,
    now: datetime,
    user_id: int | None = None,
    reason: str | None = None,
    look_first: bool = False,
) -> int | None:
    """Say that the (locked) appointment's new wish must be carried to Cal.com.

    The newest wish wins: a waiting intent is superseded, and what it, or one that was given up,
    left in doubt is inherited.
    `look_first`: an earlier, finished try may have taken effect.
    Returns the intent's id, or None where nothing was ever sent and nothing has to be.
    """
    before = _supersede_waiting(session, appointment, now) or _given_up(session, appointment.id)
    was_never_sent = _was_never_sent(session, appointment, before) and not look_first
    if kind is IntentKind.CANCEL and was_never_sent:
        _end_with_nothing_to_do(session, appointment, origin=origin, now=now, user_id=user_id)
        return None
    intent = Intent(
        appointment_id=appointment.id,
        kind=kind,
        origin=origin,
        requested_by_user_id=user_id,
        reason=reason,
        is_interactive=origin is not Origin.SYSTEM,
        created_at=now,
        due_at=now,
        has_unknown_outcome=look_first,
    )
    if before is not None:
        inherit_doubt(intent, before)
    if look_first:
        # A person has looked at what became of earlier tries, and wants it anew.
        intent.doubted_since = now
    session.add(intent)
    session.flush()
    move_sync_state(
        session,
        appointment.id,
        SyncState.PENDING,
        sync_origin=origin,
        sync_initiated_at=now,
        sync_job_id=f"push-{require_company_id()}-{intent.id}",
        absence_first_seen_at=None,
        next_verification_at=None,
        verification_requested_at=None,
    )
    return intent.id


def has_unfinished_intent(session: Session, appointment_id: int) -> bool:
    """Whether a change of ours is still on its way to Cal.com."""
    return unfinished_intent(session, appointment_id) is not None


def unfinished_intent(session: Session, appointment_id: int) -> Intent | None:
    """The change on its way: the one in flight before one that waits behind it."""
    return session.scalar(
        select(Intent)
        .where(
            Intent.company_id == require_company_id(),
            Intent.appointment_id == appointment_id,
            Intent.status.in_(UNFINISHED),
        )
        .order_by(Intent.id)
        .limit(1)
    )


def expired_intents(session: Session, *, now: datetime) -> list[int]:
    """The current company's intents that a dead worker, or one too slow, still holds."""
    return list(
        session.scalars(
            select(Intent.id).where(
                Intent.company_id == require_company_id(),
                Intent.status == IntentStatus.IN_FLIGHT,
                Intent.lease_until <= now,
            )
        )
    )


def code_of_failed_push(session: Session, appointment_id: int) -> str | None:
    """Why the appointment's last intent was given up, if it was."""
    last = _given_up(session, appointment_id)
    return None if last is None else last.error_code


def latest_intent(session: Session, appointment_id: int) -> Intent | None:
    """The newest wish, whatever became of it."""
    return session.scalar(
        select(Intent)
        .where(Intent.company_id == require_company_id(), Intent.appointment_id == appointment_id)
        .order_by(Intent.id.desc())
        .limit(1)
    )


def waiting_intent(session: Session, appointment_id: int) -> Intent | None:
    """The change that waits for its turn, locked."""
    return session.scalar(
        select(Intent)
        .where(
            Intent.company_id == require_company_id(),
            Intent.appointment_id == appointment_id,
            Intent.status == IntentStatus.WAITING,
        )
        .with_for_update()
    )


def _supersede_waiting(session: Session, appointment: Appointment, now: datetime) -> Intent | None:
    waiting = waiting_intent(session, appointment.id)
    if waiting is None:
        return None
    waiting.status = IntentStatus.SUPERSEDED
    waiting.finished_at = now
    waiting.outcome = "superseded"
    record_event(
        session,
        appointment.id,
        EventKind.SUPERSEDED,
        at=now,
        intent_id=waiting.id,
        wish=waiting.kind.value,
    )
    session.flush()
    return waiting


def inherit_doubt(heir: Intent, before: Intent) -> None:
    """The newer wish has to look for what an earlier one may have left behind."""
    if not before.has_unknown_outcome:
        return
    heir.has_unknown_outcome = True
    heir.sent_starts = sorted({*(heir.sent_starts or []), *before.sent_starts})
    heir.last_call_at = before.last_call_at
    heir.doubted_since = before.doubted_since


def _given_up(session: Session, appointment_id: int) -> Intent | None:
    last = latest_intent(session, appointment_id)
    return last if last is not None and last.status is IntentStatus.FAILED else None


def is_unsent(session: Session, appointment: Appointment) -> bool:
    """Whether nothing of it can have reached Cal.com: cancelling it has nothing to carry there.

    Reads without locking: for what a person is told, not for what is done.
    """
    if appointment.is_known_to_calcom:
        return False
    last = latest_intent(session, appointment.id)
    if last is None or last.status not in (IntentStatus.WAITING, IntentStatus.FAILED):
        return False
    return not last.has_unknown_outcome and not _is_in_flight(session, appointment.id)


def _is_in_flight(session: Session, appointment_id: int) -> bool:
    before = unfinished_intent(session, appointment_id)
    return before is not None and before.status is IntentStatus.IN_FLIGHT


def _was_never_sent(session: Session, appointment: Appointment, before: Intent | None) -> bool:
    if appointment.is_known_to_calcom or has_unfinished_intent(session, appointment.id):
        return False
    return before is not None and not before.has_unknown_outcome


def _end_with_nothing_to_do(
    session: Session,
    appointment: Appointment,
    *,
    origin: Origin,
    now: datetime,
    user_id: int | None,
) -> None:
    """Neither side has anything: that is agreement, and what was flagged is over."""
    record_event(
        session, appointment.id, EventKind.NOTHING_TO_PUSH, at=now, origin=origin, user_id=user_id
    )
    appointment.sync_origin = origin
    record_agreement(session, appointment, None, now=now, resolution=Resolution.CHANGED)
