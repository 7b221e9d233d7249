"""The company's connection: refused by Cal.com, or taken again. While it is refused everything
waits, unspent; one push at a time asks whether the key works again, and where none waits a periodic
check does (S3.5)."""

from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from webapp.calcom.errors import CONNECTION, TIMEOUT
from webapp.models.appointment import Appointment
from webapp.models.company import Company, ConnectionState
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Intent, IntentStatus
from webapp.models.notification import NotificationType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell

CONNECTION_SUBJECT = "connection"
FRESH = timedelta(minutes=1)
"""When it was taken last is not written down more often."""

MAY_PASS = (DiscrepancyType.SYNC_FAILED, DiscrepancyType.VERIFICATION_ERROR)
"""What an outage of Cal.com leaves open: neither says that the two sides differ."""


def mark_connected(session: Session, *, now: datetime) -> bool:
    """Cal.com took the key again: the connection's items close. True if it was broken.

    Only `/me` or a listing says so; bookings are made, read, moved and cancelled without a key, too
    (API.md §1).
    """
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    was_broken = company.connection_state is ConnectionState.BROKEN
    if company.connection_state is not ConnectionState.OK or company.connection_error_code:
        company.connection_state = ConnectionState.OK
        company.connection_error_code = None
        close_told(session, [NotificationType.CONNECTION_BROKEN], CONNECTION_SUBJECT, now=now)
    if company.connection_checked_at is None or now - company.connection_checked_at >= FRESH:
        company.connection_checked_at = now
    if was_broken:
        release_waiting(session, now=now)
    return was_broken


def mark_understood(session: Session) -> None:
    """A call was answered as it should be: Cal.com speaks our version. Of the key that says
    nothing."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    if company.connection_state is not ConnectionState.BROKEN:
        company.connection_error_code = None


def mark_disconnected(session: Session, code: str, *, now: datetime) -> bool:
    """Cal.com refuses the key: told once, with the way to fix it. True where that is news."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    was_broken = company.connection_state is ConnectionState.BROKEN
    company.connection_state = ConnectionState.BROKEN
    company.connection_error_code = code
    company.connection_checked_at = now
    if not was_broken:
        tell(session, NotificationType.CONNECTION_BROKEN, CONNECTION_SUBJECT, now=now, code=code)
    return not was_broken


def needs_asking(session: Session, _now: datetime) -> bool:
    """Whether the current company's key is refused and no push of its own asks for it again."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    if company.connection_state is not ConnectionState.BROKEN or company.calcom_api_key is None:
        return False
    return company.is_paused or not _has_waiting(session)


def _has_waiting(session: Session) -> bool:
    waiting = select(Intent.id).where(
        Intent.company_id == require_company_id(), Intent.status == IntentStatus.WAITING
    )
    return session.scalar(waiting.limit(1)) is not None


def release_waiting(session: Session, *, now: datetime) -> None:
    """Whatever waited for the connection is due at once, and what was given up because Cal.com was
    away is tried once more (S3.5: quietly, whenever the breaker closes)."""
    _revive_given_up(session, now)
    session.execute(
        update(Intent)
        .where(
            Intent.company_id == require_company_id(),
            Intent.status == IntentStatus.WAITING,
            Intent.due_at > now,
        )
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


def _revive_given_up(session: Session, now: datetime) -> None:
    """Where it is the newest wish, lies ahead, and nobody has settled what was flagged."""
    newer = aliased(Intent)
    is_newest = ~exists().where(
        newer.company_id == Intent.company_id,
        newer.appointment_id == Intent.appointment_id,
        newer.id > Intent.id,
    )
    is_unsettled = exists().where(
        Discrepancy.company_id == Appointment.company_id,
        Discrepancy.appointment_id == Appointment.id,
        Discrepancy.resolved_at.is_(None),
        Discrepancy.type.in_(MAY_PASS),
    )
    given_up = session.scalars(
        select(Intent)
        .join(
            Appointment,
            (Appointment.company_id == Intent.company_id)
            & (Appointment.id == Intent.appointment_id),
        )
        .where(
            Intent.company_id == require_company_id(),
            Intent.status == IntentStatus.FAILED,
            or_(Intent.error_code.in_((TIMEOUT, CONNECTION)), Intent.error_code.like("HTTP_5%")),
            Appointment.requires_manual_review,
            Appointment.calcom_sync_status == SyncState.FAILED,
            Appointment.starts_at > now,
            is_newest,
            is_unsettled,
        )
        .order_by(Appointment.id)
        .with_for_update(of=Appointment, skip_locked=True)
    )
    for intent in given_up:
        intent.status = IntentStatus.WAITING
        intent.due_at = now
        intent.finished_at = intent.outcome = None
        record_event(
            session,
            intent.appointment_id,
            EventKind.PUSH_RETRIES,
            at=now,
            intent_id=intent.id,
            code=intent.error_code,
            again_at=now.isoformat(),
        )
