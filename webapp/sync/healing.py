"""Healing: what a verification found is put right by itself where the company's policy says so,
and written down like everything that a person does (S5.8).

    mismatch ──► Cal.com's version is taken, nothing is pushed
             └─► ours is pushed: an intent like any other, which mails the customer
    missing, and its create never succeeded ──► created anew, a few times at most
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking, BookingStatus
from webapp.models.appointment import Appointment, AppointmentStatus, BookingAlias, Origin
from webapp.models.company import Company
from webapp.models.discrepancy import Resolution
from webapp.models.history import EventKind, HistoryEvent, record_event
from webapp.models.intent import IntentKind, IntentStatus
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.adopt import follow_booking
from webapp.sync.agreement import record_agreement
from webapp.sync.findings import Finding, close_finding, note_finding
from webapp.sync.intents import latest_intent, want
from webapp.sync.policies import Choice, Heal, Mismatch, Policies, Remedy, choose
from webapp.sync.review import forget_booking

CREATE_AGAIN_AFTER = timedelta(hours=24)
MOST_CREATES = 3


def choose_remedy(
    session: Session, appointment: Appointment, finding: Finding, *, now: datetime
) -> Choice:
    """What the company's policies make of a mismatch of the (locked) appointment."""
    policies = Policies.of(session.get_one(Company, require_company_id()))
    mismatch = Mismatch.from_evidence(
        finding.evidence,
        status=appointment.status,
        starts_at=appointment.starts_at,
        # Where everything is flagged, what was done before doesn't matter.
        earlier=() if policies.always_flag else past_heals(session, appointment.id),
    )
    return choose(mismatch, policies, now=now)


def heal_mismatch(
    session: Session,
    appointment: Appointment,
    booking: Booking,
    finding: Finding,
    remedy: Remedy,
    *,
    now: datetime,
) -> None:
    """Carry out a remedy other than FLAG; the finding is recorded and closed with it.

    A push is due at once and handed over by the pulse: whoever verifies has nothing to enqueue.
    """
    note_finding(session, appointment.id, finding, now=now)
    _record(session, appointment, remedy, now, **finding.evidence)
    if remedy is Remedy.FOLLOW:
        _take_theirs(session, appointment, booking, now)
    else:
        _push_ours(session, appointment, booking, now)


def create_again(session: Session, appointment: Appointment, *, now: datetime) -> bool:
    """Push a (locked) appointment that is missing on Cal.com because its create never succeeded.

    Bounded: once a day, MOST_CREATES times in all; then it is a person's. What was flagged stays
    flagged until it has arrived. False: this isn't such a case, or it has been tried enough.
    """
    if not _was_never_created(session, appointment, now):
        return False
    earlier = [heal for heal in past_heals(session, appointment.id) if heal.remedy is Remedy.CREATE]
    if len(earlier) >= MOST_CREATES or any(now - heal.at < CREATE_AGAIN_AFTER for heal in earlier):
        return False
    _record(session, appointment, Remedy.CREATE, now)
    want(session, appointment, IntentKind.CREATE, origin=Origin.SYSTEM, now=now, look_first=True)
    return True


def past_heals(session: Session, appointment_id: int) -> list[Heal]:
    """What was put right by itself before, oldest first."""
    rows = session.execute(
        select(HistoryEvent.data, HistoryEvent.at)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.appointment_id == appointment_id,
            HistoryEvent.kind == EventKind.HEALED,
        )
        .order_by(HistoryEvent.id)
    )
    return [Heal(Remedy(row.data["remedy"]), row.at) for row in rows]


def _take_theirs(
    session: Session, appointment: Appointment, booking: Booking, now: datetime
) -> None:
    """The same as a person's "take Cal.com's version": nothing is pushed back."""
    status = appointment.status
    follow_booking(appointment, booking)
    if booking.status is BookingStatus.UNKNOWN:
        # An unknown status says nothing (S5.1): only the time is taken.
        appointment.status = status
    record_agreement(session, appointment, booking, now=now, resolution=Resolution.BY_POLICY)


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
