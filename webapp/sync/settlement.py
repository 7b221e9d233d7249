"""Settlement: one act of a person on one finding, by the button or out of a bulk action (S6).

1. lock    the appointment, then the finding: another click may have been quicker
2. allow   `actions` says what may be done with both as they stand now
3. act     a push's intent, a verification, or the dismissal; who asked is kept on the finding and
           becomes its resolution when the push or the verification has settled it
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, AppointmentStatus, Origin, move_sync_state
from webapp.models.company import Company
from webapp.models.discrepancy import RESOLUTION_OF, Action, Discrepancy, Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Intent, IntentKind
from webapp.models.sync_state import RETRIABLE, SyncState
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.actions import actions_for, is_being_verified
from webapp.sync.dismissals import facts_of
from webapp.sync.findings import close_finding
from webapp.sync.intents import (
    has_unfinished_intent,
    lock_appointment,
    unfinished_intent,
    want,
)
from webapp.sync.review import push_again, request_retry


@dataclass(frozen=True, slots=True)
class Started:
    """What was begun: an intent to enqueue, a verification, or neither: it is settled."""

    appointment_id: int
    intent_id: int | None = None
    is_verifying: bool = False


class NotOffered(Exception):
    """Nothing was written. `reason`: settled, busy, not_offered."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def may_settle(session: Session, user_id: int) -> bool:
    """Whether this person may settle findings now; asked again when a bulk action runs."""
    user = session.get(User, (require_company_id(), user_id), populate_existing=True)
    if user is None or not user.is_enabled:
        return False
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    return user.is_admin or (user.may_act and company.managers_settle)


def settle_finding(
    session: Session,
    discrepancy_id: int,
    action: Action,
    *,
    now: datetime,
    user_id: int | None,
    note: str | None = None,
    is_sweep: bool = False,
) -> Started:
    """Do it; raises NotOffered where it can't be done (any more).

    `note` is the reason of a dismissal, or of a cancellation, which the customer reads.
    `is_sweep`: nobody waits for it, so its push goes behind those of people.
    """
    finding, appointment = _lock(session, discrepancy_id)
    if action not in actions_for(finding, appointment, now):
        raise NotOffered(_why_not(finding, appointment))
    match action:
        case Action.DISMISS:
            dismiss(session, finding, appointment, now=now, user_id=user_id, note=note)
            return Started(appointment.id)
        case Action.RETRY:
            started = _retry(session, appointment, now, user_id)
        case Action.TAKE_REMOTE | Action.ADOPT:
            started = _read_then_take(session, finding, appointment, action, now, user_id)
        case Action.CANCEL_REMOTE:
            started = _cancel_remote(session, finding, appointment, now, user_id, note)
        case Action.PUSH_AGAIN | Action.KEEP_OURS:
            started = _push(session, appointment, RESOLUTION_OF[action], now, user_id)
    if is_sweep and started.intent_id is not None:
        session.get_one(Intent, (appointment.company_id, started.intent_id)).is_interactive = False
    return started


def dismiss(
    session: Session,
    finding: Discrepancy,
    appointment: Appointment,
    *,
    now: datetime,
    user_id: int | None,
    note: str | None,
) -> None:
    """Settle the (locked) open finding without changing either side; it stays away until the
    facts change. The sync state stays what it is: the sides do not agree."""
    close_finding(
        session, appointment.id, Resolution.DISMISSED, now=now, user_id=user_id, note=note
    )
    finding.dismissed_facts = facts_of(appointment, finding.type, finding.code, finding.evidence)
    appointment.requires_manual_review = False
    appointment.manual_review_flagged_at = None


def _lock(session: Session, discrepancy_id: int) -> tuple[Discrepancy, Appointment]:
    mine = Discrepancy.company_id == require_company_id(), Discrepancy.id == discrepancy_id
    appointment_id = session.scalar(select(Discrepancy.appointment_id).where(*mine))
    appointment = appointment_id and lock_appointment(session, appointment_id)
    if not appointment:
        raise NotOffered("settled")
    finding = session.scalars(
        select(Discrepancy).where(*mine).with_for_update().execution_options(populate_existing=True)
    ).one()
    return finding, appointment


def _why_not(finding: Discrepancy, appointment: Appointment) -> str:
    if not finding.is_open:
        return "settled"
    is_busy = appointment.calcom_sync_status is SyncState.PENDING or is_being_verified(appointment)
    return "busy" if is_busy else "not_offered"


def _retry(
    session: Session, appointment: Appointment, now: datetime, user_id: int | None
) -> Started:
    if not request_retry(session, appointment, now=now, user_id=user_id):
        raise NotOffered("busy")
    hurried = unfinished_intent(session, appointment.id)
    if hurried is not None:
        return Started(appointment.id, intent_id=hurried.id)
    return Started(appointment.id, is_verifying=True)


def _read_then_take(
    session: Session,
    finding: Discrepancy,
    appointment: Appointment,
    action: Action,
    now: datetime,
    user_id: int | None,
) -> Started:
    """Cal.com is read first: `takeover` writes what that shows."""
    if has_unfinished_intent(session, appointment.id):
        raise NotOffered("busy")
    finding.ask(RESOLUTION_OF[action], now=now, user_id=user_id)
    move_sync_state(
        session,
        appointment.id,
        SyncState.VERIFICATION_PENDING,
        only_from=RETRIABLE,
        absence_first_seen_at=None,
        next_verification_at=now,
        verification_requested_at=now,
    )
    record_event(
        session,
        appointment.id,
        EventKind.SETTLEMENT_REQUESTED,
        at=now,
        user_id=user_id,
        action=action.value,
    )
    return Started(appointment.id, is_verifying=True)


def _push(
    session: Session,
    appointment: Appointment,
    resolution: Resolution,
    now: datetime,
    user_id: int | None,
) -> Started:
    change = push_again(session, appointment, now=now, user_id=user_id, resolution=resolution)
    if change is None:
        raise NotOffered("busy")
    return Started(appointment.id, intent_id=change.intent_id)


def _cancel_remote(
    session: Session,
    finding: Discrepancy,
    appointment: Appointment,
    now: datetime,
    user_id: int | None,
    note: str | None,
) -> Started:
    """End the booking over there, by an intent like any other change; ours ends with it."""
    if has_unfinished_intent(session, appointment.id):
        raise NotOffered("busy")
    if appointment.status is not AppointmentStatus.CANCELLED:
        appointment.status = AppointmentStatus.CANCELLED
        appointment.cancellation_reason = note
        record_event(
            session,
            appointment.id,
            EventKind.CANCELLED,
            at=now,
            origin=Origin.ADMIN,
            user_id=user_id,
            reason=note,
        )
    finding.ask(Resolution.CANCELLED_REMOTE, now=now, user_id=user_id, note=note)
    intent_id = want(
        session,
        appointment,
        IntentKind.CANCEL,
        origin=Origin.ADMIN,
        now=now,
        user_id=user_id,
        reason=note,
        look_first=True,
    )
    return Started(appointment.id, intent_id=intent_id)
