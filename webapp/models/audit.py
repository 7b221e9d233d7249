"""Who did what with access, secrets, doors and policies: append-only (S12.7)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of
from webapp.models.tenancy import require_company_id


class Actor(StrEnum):
    """The kind of doer: a logged-in person, the command line, Cal.com, our own jobs."""

    USER = "user"
    OPERATOR = "operator"
    CALCOM = "calcom"
    SYSTEM = "system"


class AuditEntry(Owned, Base):
    """One act; written in the transaction of the change it tells of."""

    __tablename__ = "audit_entries"
    __table_args__ = (one_of("actor", Actor), Index(None, "company_id", "at", "id"))

    at: Mapped[datetime]
    actor: Mapped[Actor] = mapped_column(TextEnum(Actor))
    user_id: Mapped[int | None]
    action: Mapped[str]
    subject: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


def record_audit(
    session: Session,
    action: str,
    subject: str,
    *,
    at: datetime,
    actor: Actor = Actor.SYSTEM,
    user_id: int | None = None,
    **data: Any,
) -> None:
    """Append to the audit log; in `data` no secrets, and no personal data but the network address
    that a login, a wrong password or a signature came from: that is what such an entry is for."""
    session.add(
        AuditEntry(at=at, actor=actor, user_id=user_id, action=action, subject=subject, data=data)
    )


def record_audit_unless_since(
    session: Session,
    action: str,
    subject: str,
    *,
    at: datetime,
    since: datetime,
    actor: Actor,
    **data: Any,
) -> bool:
    """Append, unless this action is in the company's log since an instant: for what strangers can
    cause as often as they like. Returns whether it was written."""
    # One at a time, so that a flood in parallel writes one entry, too.
    key = f"audit:{require_company_id()}:{action}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    found = session.scalar(
        select(AuditEntry.id)
        .where(
            AuditEntry.company_id == require_company_id(),
            AuditEntry.at > since,
            AuditEntry.action == action,
        )
        .limit(1)
    )
    if found is None:
        record_audit(session, action, subject, at=at, actor=actor, **data)
    return found is None
