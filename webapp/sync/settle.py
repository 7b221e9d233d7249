"""Settle: what came of carrying an intent is written down, in one transaction, by whoever still
holds its lease."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.calcom.errors import Conflict, Postponed, Rejected, Unauthorised
from webapp.models.appointment import Appointment
from webapp.models.discrepancy import DiscrepancyType, Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Attempt, Intent, IntentStatus
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import BookingClaimed, claim_uids, record_agreement, take_base
from webapp.sync.answers import LISTING_LAGS, NO_EVENT_TYPE, Decision, Pauses, Verdict
from webapp.sync.carry import Carried
from webapp.sync.connection import mark_connected, mark_understood
from webapp.sync.findings import Finding, raise_finding
from webapp.sync.flight import Settled, finish, forget_try
from webapp.sync.intents import lock_appointment, waiting_intent
from webapp.sync.push import Claim
from webapp.sync.reconcile import differences, view_of_base, view_of_ours, view_of_theirs
from webapp.sync.setbacks import after_error, give_up, wait

LEASE_LOST = "LEASE_LOST"
LISTING_PAUSE_SECONDS = 5.0


def settle_push(
    session: Session, claim: Claim, carried: Carried, *, now: datetime, pauses: Pauses
) -> Settled:
    """Write down what came of a try; changes nothing but the attempt where the lease was lost.

    That it was lost stands in the history already: whoever took over has written it there.
    """
    appointment = lock_appointment(session, claim.appointment_id)
    intent = _held_intent(session, claim)
    _end_attempt(session, claim, carried, now, lost=intent is None)
    if appointment is None or intent is None:
        return Settled(was_lost=True)
    if carried.is_in_doubt:
        intent.last_call_at = now
    else:
        forget_try(intent, claim)
    if carried.has_proved_key:
        mark_connected(session, now=now)
    if carried.must_wait_for_listing:
        lags = Decision(Verdict.WAIT, LISTING_LAGS, LISTING_PAUSE_SECONDS)
        return wait(session, intent, lags, now)
    if carried.error is not None:
        return after_error(session, intent, appointment, carried, now=now, pauses=pauses)
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
    if not lost and _was_kept_back(carried):
        session.delete(attempt)
        return
    attempt.finished_at = now
    attempt.operations = ",".join(carried.operations)
    attempt.outcome = LEASE_LOST if lost else _outcome(carried)
    attempt.http_status = carried.error.status if carried.error else None


def _was_kept_back(carried: Carried) -> bool:
    """Nothing of it reached Cal.com: that it waits is said once, not with each turn in vain."""
    return not carried.operations and isinstance(carried.error, (Postponed, Unauthorised))


def _outcome(carried: Carried) -> str:
    if carried.must_wait_for_listing:
        return LISTING_LAGS
    return "done" if carried.error is None else carried.error.code


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
        return give_up(session, intent, appointment, carried, now)
    intent.attempt_count += 1
    intent.has_unknown_outcome = False
    intent.doubted_since = None
    intent.error_code = intent.error_message = None
    finish(intent, IntentStatus.DONE, now, "done")
    if carried.writes_done:
        appointment.remote_written_at = now
        if appointment.is_live:
            appointment.existence_due_at = now + timedelta(seconds=pauses.proof)
    mark_understood(session)
    _record_pushed(session, intent, claim, carried, now)
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


def _record_pushed(
    session: Session, intent: Intent, claim: Claim, carried: Carried, now: datetime
) -> None:
    writes = [name for name in carried.operations if name in ("create", "reschedule", "cancel")]
    record_event(
        session,
        intent.appointment_id,
        EventKind.PUSHED,
        at=now,
        intent_id=intent.id,
        operation=writes[-1] if writes and carried.writes_done else "none",
        mailed=_has_mailed(session, claim, carried),
        attempts=intent.attempt_count,
    )


def _has_mailed(session: Session, claim: Claim, carried: Carried) -> bool:
    """Whether this change made Cal.com mail the customer, in this try or in one found done."""
    if claim.wish is None or claim.wish.attendee.email is None:
        return False
    if carried.writes_done:
        return True
    has_looked = claim.known.must_look and carried.booking is not None
    return has_looked and _was_tried_before(session, claim)


def _was_tried_before(session: Session, claim: Claim) -> bool:
    """By this intent or one whose doubt it inherited; else a person just wanted a look first."""
    tries = select(func.count()).where(
        Attempt.company_id == require_company_id(), Attempt.intent_id == claim.intent_id
    )
    return bool(claim.known.sent_starts) or (session.scalar(tries) or 0) > 1
