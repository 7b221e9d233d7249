"""Setbacks: a try that ended with an error is repeated, waits, or is given up (S3.5)."""

import random
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from webapp.calcom.errors import CalcomError, Conflict, NotFound, ProtocolError, SlotUnavailable
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.discrepancy import DiscrepancyType, drop_ask
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Intent, IntentStatus
from webapp.models.tenancy import require_company_id
from webapp.sync.answers import SLOT_LEAVING, Decision, Pauses, Verdict, decide
from webapp.sync.carry import CancelledThere, Carried
from webapp.sync.connection import mark_disconnected
from webapp.sync.findings import Finding, raise_finding
from webapp.sync.flight import Settled, finish, leave_flight
from webapp.sync.intents import inherit_doubt, waiting_intent
from webapp.sync.leaving import pause_until_free, who_leaves

JITTER = 0.2


def after_error(
    session: Session,
    intent: Intent,
    appointment: Appointment,
    carried: Carried,
    *,
    now: datetime,
    pauses: Pauses,
) -> Settled:
    assert carried.error is not None  # noqa: S101 - narrows the type
    decision = _wait_for_leaving(session, appointment, carried.error, now) or decide(
        carried.error, intent.attempt_count + 1, pauses, key_works=carried.has_proved_key
    )
    is_news = intent.error_code != decision.code
    carried.error.code = intent.error_code = decision.code
    intent.error_message = carried.error.detail or None
    match decision.verdict:
        case Verdict.WAIT | Verdict.FLAGGED_WAIT:
            if decision.verdict is Verdict.FLAGGED_WAIT:
                _flag(session, intent, appointment, carried, now)
            return wait(session, intent, decision, now, is_news=is_news)
        case Verdict.DISCONNECT:
            has_broken = mark_disconnected(session, decision.code, now=now)
            if has_broken or carried.operations:
                # Else it was only the one to ask `/me` again: it waits on like the others.
                _flag(session, intent, appointment, carried, now)
            return wait(session, intent, decision, now, is_news=is_news)
        case Verdict.RETRY | Verdict.FLAGGED_RETRY:
            intent.attempt_count += 1
            if decision.verdict is Verdict.FLAGGED_RETRY:
                _flag(session, intent, appointment, carried, now)
            return _retry(session, intent, decision, now)
    if isinstance(carried.error, ProtocolError):
        company = session.get_one(Company, require_company_id())
        company.connection_error_code = carried.error.code
    return give_up(session, intent, appointment, carried, now)


def _wait_for_leaving(
    session: Session, appointment: Appointment, error: CalcomError, now: datetime
) -> Decision | None:
    """A time that another of ours is about to leave is refused only for now (API.md §5: Cal.com
    awaits its webhooks before a cancelled row changes).

    Where that change is flagged and goes on quietly, so is this one: it is as late.
    """
    if not isinstance(error, (SlotUnavailable, Conflict)) or not appointment.is_live:
        return None
    leaving = who_leaves(session, appointment)
    if not leaving:
        return None
    is_flagged = any(each.is_flagged for each in leaving)
    verdict = Verdict.FLAGGED_WAIT if is_flagged else Verdict.WAIT
    return Decision(verdict, SLOT_LEAVING, pause_until_free(leaving, now))


def give_up(
    session: Session, intent: Intent, appointment: Appointment, carried: Carried, now: datetime
) -> Settled:
    assert carried.error is not None  # noqa: S101 - narrows the type
    intent.attempt_count += 1
    finish(intent, IntentStatus.FAILED, now, carried.error.code)
    following = waiting_intent(session, appointment.id)
    if following is not None:
        _give_way(session, intent, following, carried.error.code, now)
        return Settled(next_intent_id=following.id)
    _flag(session, intent, appointment, carried, now)
    drop_ask(session, appointment.id)
    if appointment.is_known_to_calcom and isinstance(carried.error, (NotFound, CancelledThere)):
        # What became of it there is for a verification to say (S3.5).
        appointment.next_verification_at = now
    return Settled()


def wait(
    session: Session, intent: Intent, decision: Decision, now: datetime, *, is_news: bool = True
) -> Settled:
    """Back to waiting, unspent. Waiting on for the same reason is no news for the timeline."""
    kind = EventKind.PUSH_WAITS
    return _again(
        session, intent, kind, decision, now, decision.pause_seconds, is_silent=not is_news
    )


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
    *,
    is_silent: bool = False,
) -> Settled:
    """Back to waiting, unless a newer wish waits already: then that one inherits the doubt."""
    following = waiting_intent(session, intent.appointment_id)
    if following is not None:
        finish(intent, IntentStatus.SUPERSEDED, now, "superseded")
        _give_way(session, intent, following, decision.code, now)
        if kind is EventKind.PUSH_WAITS:
            following.due_at = max(following.due_at, now + timedelta(seconds=pause_seconds))
            return Settled()
        return Settled(next_intent_id=following.id)
    leave_flight(intent, IntentStatus.WAITING)
    intent.due_at = now + timedelta(seconds=pause_seconds)
    if is_silent:
        return Settled()
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


def _give_way(
    session: Session, intent: Intent, following: Intent, code: str, now: datetime
) -> None:
    """A newer wish goes ahead, and looks for what this one may have left behind."""
    inherit_doubt(following, intent)
    record_event(
        session,
        intent.appointment_id,
        EventKind.SUPERSEDED,
        at=now,
        intent_id=intent.id,
        wish=intent.kind.value,
        code=code,
    )


def _flag(
    session: Session, intent: Intent, appointment: Appointment, carried: Carried, now: datetime
) -> None:
    assert carried.error is not None  # noqa: S101 - narrows the type
    finding = Finding(
        DiscrepancyType.SYNC_FAILED,
        carried.error.code,
        detail=carried.error.detail or None,
        # A try that used up no attempt was one all the same.
        attempts=max(intent.attempt_count, 1),
    )
    raise_finding(session, appointment, finding, now=now, intent_id=intent.id)
