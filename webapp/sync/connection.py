"""The company's connection: refused by Cal.com, or taken again. While it is refused everything
waits, unspent; one push at a time asks whether the key works again, and where none waits a periodic
check does (S3.5)."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.models.company import Company, ConnectionState
from webapp.models.intent import Intent, IntentStatus
from webapp.models.notification import NotificationType
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell

CONNECTION_SUBJECT = "connection"


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
        company.connection_checked_at = now
        close_told(session, [NotificationType.CONNECTION_BROKEN], CONNECTION_SUBJECT, now=now)
    if was_broken:
        release_waiting(session, now=now)
    return was_broken


def mark_understood(session: Session) -> None:
    """A call was answered as it should be: Cal.com speaks our version. Of the key that says
    nothing."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    if company.connection_state is not ConnectionState.BROKEN:
        company.connection_error_code = None


def mark_disconnected(session: Session, code: str, *, now: datetime) -> None:
    """Cal.com refuses the key: told once, with the way to fix it."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    was_broken = company.connection_state is ConnectionState.BROKEN
    company.connection_state = ConnectionState.BROKEN
    company.connection_error_code = code
    company.connection_checked_at = now
    if not was_broken:
        tell(session, NotificationType.CONNECTION_BROKEN, CONNECTION_SUBJECT, now=now, code=code)


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
    """Whatever waited for the connection is due at once."""
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
