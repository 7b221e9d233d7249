"""Healing: what a verification found is put right by itself where the company's policy says so,
and written down like everything that a person does (S5.8).

    mismatch ──► Cal.com's version is taken, nothing is pushed
             └─► ours is pushed: an intent like any other, which mails the customer
    missing, and its create never succeeded ──► created anew, a few times at most
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias, Origin
from webapp.models.company import Company
from webapp.models.discrepancy import Resolution
from webapp.models.history import EventKind, HistoryEvent, record_event
from webapp.models.intent import IntentKind, IntentStatus
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.dismissals import dismissed_facts, facts_of
from webapp.sync.findings import Raised, close_finding, note_findings
from webapp.sync.intents import latest_intent, want
from webapp.sync.policies import (
    MAILS_WINDOW,
    Choice,
    Heal,
    HeldBack,
    Mismatch,
    Policies,
    Remedy,
    choose,
    hold_beyond_limit,
)
from webapp.sync.takeover import forget_booking, take_remote_version

CREATE_AGAIN_AFTER = timedelta(hours=24)
MOST_CREATES = 3


def heal_mismatches(
    session: Session, mismatches: Sequence[tuple[Raised, Booking]], *, now: datetime
) -> list[Raised]:
    """Put right what the company's policies settle of (locked) appointments that differ from their
    bookings; what was healed is recorded and closed. Returns what is left for people to settle.

    A push is due at once and handed over by the pulse: whoever verifies has nothing to enqueue.
    """
    policies = Policies.of(session.get_one(Company, require_company_id()))
    if policies.always_flag:
        return [raised for raised, _ in mismatches]
    heals = past_heals(session, [raised.key for raised, _ in mismatches])
    dismissed = dismissed_facts(session, [raised.appointment for raised, _ in mismatches])
    mailed = mails_lately(session, now)
    left = []
    for raised, booking in mismatches:
        if raised.key in dismissed and dismissed[raised.key] == _facts(raised):
            # A person has looked and left it as it is.
            left.append(raised)
            continue
        choice = choose(_mismatch_of(raised, heals[raised.key]), policies, now=now)
        choice = hold_beyond_limit(choice, mailed)
        if choice.remedy is Remedy.FLAG:
            left.append(_explained(raised, choice))
        else:
            _heal(session, raised, booking, choice.remedy, now)
            mailed += choice.remedy.mails
    return left


def create_again(session: Session, appointment: Appointment, *, now: datetime) -> bool:
    """Push a (locked) appointment that is missing on Cal.com because its create never succeeded.

    Bounded: once a day, MOST_CREATES times in all; then it is a person's. What was flagged stays
    flagged until it has arrived. False: this isn't such a case, or it has been tried enough.
    """
    if not _was_never_created(session, appointment, now) or dismissed_facts(session, [appointment]):
        return False
    heals = past_heals(session, [appointment.id])[appointment.id]
    earlier = [heal for heal in heals if heal.remedy is Remedy.CREATE]
    if len(earlier) >= MOST_CREATES or any(now - heal.at < CREATE_AGAIN_AFTER for heal in earlier):
        return False
    _record(session, appointment, Remedy.CREATE, now)
    want(session, appointment, IntentKind.CREATE, origin=Origin.SYSTEM, now=now, look_first=True)
    return True


def mails_lately(session: Session, now: datetime) -> int:
    """How many customers were mailed within MAILS_WINDOW because a policy put something right."""
    query = select(func.count()).where(
        HistoryEvent.company_id == require_company_id(),
        HistoryEvent.at > now - MAILS_WINDOW,
        HistoryEvent.kind == EventKind.HEALED,
        HistoryEvent.data["mails"].as_boolean(),
    )
    return session.scalar(query) or 0


def past_heals(session: Session, appointment_ids: Sequence[int]) -> dict[int, list[Heal]]:
    """What was put right by itself before, by appointment, oldest first."""
    found: dict[int, list[Heal]] = defaultdict(list)
    rows = session.execute(
        select(HistoryEvent.appointment_id, HistoryEvent.data, HistoryEvent.at)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.appointment_id.in_(appointment_ids),
            HistoryEvent.kind == EventKind.HEALED,
        )
        .order_by(HistoryEvent.id)
    )
    for row in rows:
        found[row.appointment_id].append(Heal(Remedy(row.data["remedy"]), row.at))
    return found


def _facts(raised: Raised) -> str:
    finding = raised.finding
    return facts_of(raised.appointment, finding.type, finding.code, finding.evidence)


def _mismatch_of(raised: Raised, earlier: Sequence[Heal]) -> Mismatch:
    return Mismatch.from_evidence(
        raised.finding.evidence,
        status=raised.appointment.status,
        starts_at=raised.appointment.starts_at,
        earlier=earlier,
    )


def _explained(raised: Raised, choice: Choice) -> Raised:
    """A finding that a policy was meant for, but not able to settle, says why."""
    if choice.held_back in (None, HeldBack.POLICY):
        return raised
    return replace(raised, finding=replace(raised.finding, held_back=choice.held_back))


def _heal(
    session: Session, raised: Raised, booking: Booking, remedy: Remedy, now: datetime
) -> None:
    note_findings(session, [raised], now=now)
    _record(session, raised.appointment, remedy, now, **raised.finding.evidence)
    if remedy is Remedy.FOLLOW:
        _take_theirs(session, raised.appointment, booking, now)
    else:
        _push_ours(session, raised.appointment, booking, now)


def _take_theirs(
    session: Session, appointment: Appointment, booking: Booking, now: datetime
) -> None:
    """The same as a person's "take Cal.com's version": nothing is pushed back."""
    take_remote_version(session, appointment, booking, now=now, resolution=Resolution.BY_POLICY)


def _push_ours(session: Session, appointment: Appointment, booking: Booking, now: datetime) -> None:
    """The same as a person's "keep ours"; a cancelled booking can't be moved: it is made anew."""
    appointment.calcom_v2_booking_id = booking.uid
    close_finding(session, appointment.id, Resolution.BY_POLICY, now=now)
    if appointment.is_live and booking.status in (BookingStatus.CANCELLED, BookingStatus.REJECTED):
        forget_booking(appointment)
    want(
        session,
        appointment,
        _kind_of_wish(appointment),
        origin=Origin.SYSTEM,
        now=now,
        reason=appointment.cancellation_reason if not appointment.is_live else None,
        look_first=True,
    )
    appointment.requires_manual_review = False
    appointment.manual_review_flagged_at = None
    appointment.sync_error_code = appointment.sync_error_message = None


def _kind_of_wish(appointment: Appointment) -> IntentKind:
    if appointment.status is AppointmentStatus.CANCELLED:
        return IntentKind.CANCEL
    return IntentKind.RESCHEDULE if appointment.is_known_to_calcom else IntentKind.CREATE


def _was_never_created(session: Session, appointment: Appointment, now: datetime) -> bool:
    """It is still wished for, its push was given up, and no booking was ever known for it."""
    if not appointment.is_live or appointment.starts_at <= now or appointment.is_known_to_calcom:
        return False
    last = latest_intent(session, appointment.id)
    if last is None or last.status is not IntentStatus.FAILED or last.kind is IntentKind.CANCEL:
        return False
    service = session.get_one(Service, (appointment.company_id, appointment.service_id))
    if service.calcom_event_type_id is None:
        return False
    had_booking = select(
        exists().where(
            BookingAlias.company_id == appointment.company_id,
            BookingAlias.appointment_id == appointment.id,
        )
    )
    return not session.scalar(had_booking)


def _record(
    session: Session, appointment: Appointment, remedy: Remedy, now: datetime, **evidence: Any
) -> None:
    record_event(
        session,
        appointment.id,
        EventKind.HEALED,
        at=now,
        remedy=remedy.value,
        mails=remedy.mails,
        **evidence,
    )
