"""Settle: what came of carrying an intent is written down, in one transaction, by whoever still
holds its lease."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.calcom.errors import CalcomError, Conflict, NotFound, ProtocolError, Rejected
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.discrepancy import DiscrepancyType, Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Attempt, Intent, IntentStatus
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import BookingClaimed, claim_uids, record_agreement, take_base
from webapp.sync.answers import NO_EVENT_TYPE, Decision, Pauses, Verdict, decide
from webapp.sync.carry import CancelledThere, Carried
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.findings import Finding, raise_finding
from webapp.sync.intents import lock_appointment, waiting_intent
from webapp.sync.push import Claim
from webapp.sync.reconcile import differences, view_of_base, view_of_ours, view_of_theirs

JITTER = 0.2
LEASE_LOST = "LEASE_LOST"


@dataclass(frozen=True, slots=True)
class Settled:
    """What should happen next: an intent to enqueue now, or nothing."""

    next_intent_id: int | None = None
    was_lost: bool = False


def settle_push(
    session: Session, claim: Claim, carried: Carried, *, now: datetime, pauses: Pauses
) -> Settled:
    """Write down what came of a try; changes nothing but the attempt where the lease was lost."""
    appointment = lock_appointment(session, claim.appointment_id)
    intent = _held_intent(session, claim)
    _end_attempt(session, claim, carried, now, lost=intent is None)
    if appointment is None or intent is None:
        record_event(
            session,
            claim.appointment_id,
            EventKind.LEASE_LOST,
            at=now,
            intent_id=claim.intent_id,
        )
        return Settled(was_lost=True)
    if not carried.is_in_doubt:
        _forget_try(intent, claim)
    if carried.must_wait_for_listing:
        return _wait(session, intent, Decision(Verdict.WAIT, "LISTING_LAGS", 5.0), now)
    if carried.error is not None:
        return _after_error(session, intent, appointment, carried, now=now, pauses=pauses)
    return _after_success(session, intent, appointment, claim, carried, now=now, pauses=pauses)


def settle_unsendable(session: Session, claim: Claim, *, now: datetime) -> Settled:
    """The service has no event type: final, nothing was sent (S3.5)."""
    nothing_sent = Carried(error=Rejected(NO_EVENT_TYPE, "The service has no event type"))
    return settle_push(session, claim, nothing_sent, now=now, pauses=Pauses((), (), 0.0, 0.0))


def _held_intent(session: Session, claim: Claim) -> Intent | None:
    return session.scalar(
        select(Intent)
        .where(
            Intent.company_id == require_company_id(),
            Intent.id == claim.intent_id,
            Intent.status == IntentStatus.IN_FLIGHT,
            Intent.lease_token == claim.token,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _end_attempt(
    session: Session, claim: Claim, carried: Carried, now: datetime, *, lost: bool
) -> None:
    attempt = session.scalar(
        select(Attempt).where(
            Attempt.company_id == require_company_id(),
            Attempt.intent_id == claim.intent_id,
            Attempt.lease_token == claim.token,
        )
    )
    if attempt is None:
        return
    attempt.finished_at = now
    attempt.operations = ",".join(carried.operations)
    attempt.outcome = LEASE_LOST if lost else _outcome(carried.error)
    attempt.http_status = carried.error.status if carried.error else None


def _outcome(error: CalcomError | None) -> str:
    return "done" if error is None else error.code


def _forget_try(intent: Intent, claim: Claim) -> None:
    """This try left nothing in doubt: what was in doubt before it still is."""
    intent.has_unknown_outcome = claim.known.must_look
    intent.sent_starts = list(claim.known.sent_starts)
    intent.last_call_at = claim.last_call_at


def _bequeath_doubt(intent: Intent, heir: Intent) -> None:
    """The newer wish has to look for what this one may have left behind."""
    heir.has_unknown_outcome |= intent.has_unknown_outcome
    heir.sent_starts = sorted({*heir.sent_starts, *intent.sent_starts})
    heir.last_call_at = intent.last_call_at


def _leave_flight(intent: Intent, status: IntentStatus) -> None:
    """The status and the lease change together: the database insists."""
    intent.status = status
    intent.lease_token = None
    intent.lease_until = None


def _finish(intent: Intent, status: IntentStatus, now: datetime, outcome: str) -> None:
    _leave_flight(intent, status)
    intent.finished_at = now
    intent.outcome = outcome


def _after_success(
    session: Session,
    intent: Intent,
    appointment: Appointment,
    claim: Claim,
    carried: Carried,
    *,
    now: datetime,
    pauses: Pauses,
) -> Settled:
    try:
        with session.begin_nested():
            claim_uids(session, appointment.id, claim.host, carried.uids, now)
    except BookingClaimed:
        carried.error = Conflict("The booking belongs to another appointment")
        return _give_up(session, intent, appointment, carried, now)
    intent.attempt_count += 1
    intent.has_unknown_outcome = False
    intent.error_code = intent.error_message = None
    _finish(intent, IntentStatus.DONE, now, "done")
    if carried.writes_done:
        appointment.remote_written_at = now
        if appointment.is_live:
            appointment.existence_due_at = now + timedelta(seconds=pauses.proof)
    mark_connected(session, now=now)
    _record_pushed(session, intent, carried, now)
    following = waiting_intent(session, appointment.id)
    _take_reply(session, appointment, carried, now, is_last=following is None)
    return Settled(next_intent_id=following.id if following else None)


def _take_reply(
    session: Session, appointment: Appointment, carried: Carried, now: datetime, *, is_last: bool
) -> None:
    booking = carried.booking
    if not is_last:
        # Our own wish has moved on meanwhile: only the base and the uid are news.
        if booking is not None:
            take_base(appointment, booking)
        return
    if booking is not None:
        found = differences(
            view_of_ours(appointment), view_of_theirs(booking), view_of_base(appointment)
        )
        disagreeing = [d for d in found if not _is_confirmation_pending(d.ours, d.theirs)]
        if disagreeing:
            appointment.calcom_v2_booking_id = booking.uid
            mismatch = Finding(
                DiscrepancyType.DATA_MISMATCH,
                "DATA_MISMATCH",
                differences=disagreeing,
                remote_updated_at=booking.updated_at,
            )
            raise_finding(session, appointment, mismatch, now=now)
            return
    record_agreement(session, appointment, booking, now=now, resolution=Resolution.BY_ITSELF)


def _is_confirmation_pending(ours: str | None, theirs: str | None) -> bool:
    """A live wish whose booking awaits the host's yes, or has it: ours follows (API.md §2)."""
    return {ours, theirs} == {"accepted", "pending"}


def _record_pushed(session: Session, intent: Intent, carried: Carried, now: datetime) -> None:
    writes = [name for name in carried.operations if name in ("create", "reschedule", "cancel")]
    record_event(
        session,
        intent.appointment_id,
        EventKind.PUSHED,
        at=now,
        intent_id=intent.id,
        operation=writes[-1] if writes and carried.writes_done else "none",
        mailed=carried.writes_done > 0,
        attempts=intent.attempt_count,
    )


def _after_error(
    session: Session,
    intent: Intent,
    appointment: Appointment,
    carried: Carried,
    *,
    now: datetime,
    pauses: Pauses,
) -> Settled:
    assert carried.error is not None  # noqa: S101 - narrows the type
    intent.error_code = carried.error.code
    intent.error_message = carried.error.detail or None
    decision = decide(carried.error, intent.attempt_count + 1, pauses)
    match decision.verdict:
        case Verdict.WAIT:
            return _wait(session, intent, decision, now)
        case Verdict.DISCONNECT:
            mark_disconnected(session, decision.code, now=now)
            _flag(session, intent, appointment, carried, now)
            return _wait(session, intent, decision, now)
        case Verdict.RETRY | Verdict.FLAGGED_RETRY:
            intent.attempt_count += 1
            if decision.verdict is Verdict.FLAGGED_RETRY:
                _flag(session, intent, appointment, carried, now)
            return _retry(session, intent, decision, now)
    if isinstance(carried.error, ProtocolError):
        company = session.get_one(Company, require_company_id())
        company.connection_error_code = carried.error.code
    return _give_up(session, intent, appointment, carried, now)


def _wait(session: Session, intent: Intent, decision: Decision, now: datetime) -> Settled:
    return _again(session, intent, EventKind.PUSH_WAITS, decision, now, decision.pause_seconds)


def _retry(session: Session, intent: Intent, decision: Decision, now: datetime) -> Settled:
    pause = decision.pause_seconds * (1 + random.uniform(0, JITTER))  # noqa: S311 - jitter
    return _again(session, intent, EventKind.PUSH_RETRIES, decision, now, pause)


def _again(
    session: Session,
    intent: Intent,
    kind: EventKind,
    decision: Decision,
    now: datetime,
    pause_seconds: float,
) -> Settled:
    """Back to waiting, unless a newer wish waits already: then that one inherits the doubt."""
    following = waiting_intent(session, intent.appointment_id)
    if following is not None:
        _bequeath_doubt(intent, following)
        _finish(intent, IntentStatus.SUPERSEDED, now, "superseded")
        return Settled(next_intent_id=following.id)
    _leave_flight(intent, IntentStatus.WAITING)
    intent.due_at = now + timedelta(seconds=pause_seconds)
    record_event(
        session,
        intent.appointment_id,
        kind,
        at=now,
        intent_id=intent.id,
        code=decision.code,
        again_at=intent.due_at.isoformat(),
    )
    return Settled()


def _give_up(
    session: Session, intent: Intent, appointment: Appointment, carried: Carried, now: datetime
) -> Settled:
    assert carried.error is not None  # noqa: S101 - narrows the type
    intent.attempt_count += 1
    _finish(intent, IntentStatus.FAILED, now, carried.error.code)
    following = waiting_intent(session, appointment.id)
    if following is not None:
        _bequeath_doubt(intent, following)
        return Settled(next_intent_id=following.id)
    _flag(session, intent, appointment, carried, now)
    if appointment.is_known_to_calcom and isinstance(carried.error, (NotFound, CancelledThere)):
        # What became of it there is for a verification to say (S3.5).
        appointment.next_verification_at = now
    return Settled()


def _flag(
    session: Session, intent: Intent, appointment: Appointment, carried: Carried, now: datetime
) -> None:
    assert carried.error is not None  # noqa: S101 - narrows the type
    finding = Finding(
        DiscrepancyType.SYNC_FAILED, carried.error.code, detail=carried.error.detail or None
    )
    raise_finding(session, appointment, finding, now=now, intent_id=intent.id)
