"""Pausing and resuming what is sent to Cal.com: while paused, intents wait and lose nothing.

Only sending stops: webhooks are applied and verification goes on.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, func, or_, select, update
from sqlalchemy.orm import Session

from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.intent import Intent, IntentStatus
from webapp.models.tenancy import require_company_id

OPERATOR = "operator"
"""Who paused, where it was the command line; else it is a person's name."""

_NOBODYS: dict[str, Any] = {
    "paused_at": None,
    "paused_by": None,
    "admin_paused_at": None,
    "admin_paused_by": None,
}


def pause_pushing(
    session: Session, *, by: str, actor: Actor, user_id: int | None, now: datetime
) -> bool:
    """Let the company's intents wait; False where it is paused already: that author stays.

    What is in flight is finished. The operator's pause takes over from an admin's, which is kept:
    no admin lifts it in the middle of a restore, and after it the company is paused as before.
    """
    columns: dict[str, Any] = {"paused_at": now, "paused_by": by}
    only_if: ColumnElement[bool] = Company.paused_at.is_(None)
    if actor is Actor.OPERATOR:
        columns |= {"admin_paused_at": Company.paused_at, "admin_paused_by": Company.paused_by}
        only_if = or_(only_if, Company.paused_by != OPERATOR)
    elif by == OPERATOR:
        raise ValueError("no person's pause passes for the operator's")
    if not _swap(session, only_if, **columns):
        return False
    _audit(session, "company.paused", actor=actor, user_id=user_id, now=now)
    return True


def resume_pushing(session: Session, *, actor: Actor, user_id: int | None, now: datetime) -> bool:
    """Let them go on; False where nothing is paused, or the operator paused and a person asks.

    There is nothing to enqueue: what waited is due already, and the pulse hands it over.
    """
    only_if: ColumnElement[bool] = Company.paused_at.is_not(None)
    if actor is not Actor.OPERATOR:
        only_if = and_(only_if, Company.paused_by != OPERATOR)
    if not _swap(session, only_if, **_NOBODYS):
        return False
    _audit(session, "company.resumed", actor=actor, user_id=user_id, now=now)
    return True


def lift_operators_pause(session: Session, *, now: datetime) -> bool:
    """End it for the operator, but not the admins' own that lies under it; False: there is none."""
    columns = _NOBODYS | {
        "paused_at": Company.admin_paused_at,
        "paused_by": Company.admin_paused_by,
    }
    if not _swap(session, Company.paused_by == OPERATOR, **columns):
        return False
    _audit(session, "company.resumed", actor=Actor.OPERATOR, user_id=None, now=now)
    return True


def waiting_changes(session: Session) -> int:
    """How many of the company's changes have not reached Cal.com yet: waiting or in flight."""
    # Two equalities and not IN: each has its partial index.
    is_unfinished = or_(
        Intent.status == IntentStatus.WAITING, Intent.status == IntentStatus.IN_FLIGHT
    )
    query = select(func.count()).where(Intent.company_id == require_company_id(), is_unfinished)
    return session.scalar(query) or 0


def _swap(session: Session, only_if: ColumnElement[bool], **columns: Any) -> bool:
    """Compare-and-swap; False: somebody else was first."""
    result = session.execute(
        update(Company)
        .where(Company.id == require_company_id(), only_if)
        .values(**columns)
        .execution_options(synchronize_session="fetch")
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount == 1


def _audit(
    session: Session, action: str, *, actor: Actor, user_id: int | None, now: datetime
) -> None:
    subject = f"company:{require_company_id()}"
    record_audit(session, action, subject, at=now, actor=actor, user_id=user_id)
