"""What is forgotten for its age, and what never is (S11): what is open, waits, or is referred to.

Each kind removes a batch of the current company's rows per call and returns how many; a call that
returns fewer than asked for has left nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

from webapp.models.access_link import AccessLink
from webapp.models.bulk import BulkAction
from webapp.models.crossing import prune_history
from webapp.models.delivery import delete_deliveries_before
from webapp.models.discrepancy import Discrepancy
from webapp.models.idempotency_key import IdempotencyKey
from webapp.models.intent import Attempt, Intent
from webapp.models.notification import NEWS, Notification, NotificationType
from webapp.models.phone_answer import PhoneAnswer
from webapp.models.remote_change import RemoteChange
from webapp.models.run import PeriodicSlot, Run, RunScope
from webapp.models.sending import Sending
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.memory import KEPT as PHONE_ANSWERS_KEPT

SLOTS_KEPT = timedelta(days=30)
"""Far longer than any slot lasts."""
LINKS_KEPT = timedelta(days=90)
"""Long after none of them lets anybody in; the audit log tells of them for longer."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind is kept."""

    history: timedelta
    attempts: timedelta
    runs: timedelta
    deliveries: timedelta
    sendings: timedelta
    notifications: timedelta
    bulk_actions: timedelta
    evidence: timedelta
    idempotency_keys: timedelta


Forget = Callable[[Session, datetime, int], int]


def kinds(retention: Retention) -> dict[str, tuple[timedelta, Forget]]:
    """Every kind: how long it is kept, and what forgets a batch from before an instant."""
    return {
        "history": (retention.history, prune_history),
        "attempts": (retention.attempts, _attempts),
        "runs": (retention.runs, _runs),
        "deliveries": (retention.deliveries, delete_deliveries_before),
        "remote_changes": (retention.deliveries, _remote_changes),
        "sendings": (retention.sendings, _sendings),
        "notifications": (retention.notifications, _notifications),
        "bulk_actions": (retention.bulk_actions, _bulk_actions),
        "evidence": (retention.evidence, _evidence),
        "phone_answers": (PHONE_ANSWERS_KEPT, _phone_answers),
        "idempotency_keys": (retention.idempotency_keys, _idempotency_keys),
        "access_links": (LINKS_KEPT, _access_links),
        "periodic_slots": (SLOTS_KEPT, _periodic_slots),
    }


def _attempts(session: Session, before: datetime, most: int) -> int:
    """Tries at changes that are over; the intent itself stays."""
    old = (
        select(Attempt.id)
        .join(Intent, (Intent.company_id == Attempt.company_id) & (Intent.id == Attempt.intent_id))
        .where(
            Attempt.company_id == require_company_id(),
            Attempt.started_at < before,
            Intent.finished_at < before,
        )
        .order_by(Attempt.started_at)
    )
    return _delete(session, Attempt, old, most)


def _runs(session: Session, before: datetime, most: int) -> int:
    """Runs that are over; of each scope the newest stays, which the next one goes by."""
    newest = [
        select(Run.id)
        .where(Run.company_id == require_company_id(), Run.scope == scope)
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
        .scalar_subquery()
        for scope in RunScope
    ]
    old = (
        select(Run.id)
        .where(
            Run.company_id == require_company_id(),
            Run.started_at < before,
            Run.finished_at < before,
            *(Run.id.is_distinct_from(each) for each in newest),
        )
        .order_by(Run.started_at)
    )
    return _delete(session, Run, old, most)


def _remote_changes(session: Session, before: datetime, most: int) -> int:
    old = select(RemoteChange.id).where(
        RemoteChange.company_id == require_company_id(), RemoteChange.changed_at < before
    )
    return _delete(session, RemoteChange, old, most)


def _sendings(session: Session, before: datetime, most: int) -> int:
    old = (
        select(Sending.id)
        .where(
            Sending.company_id == require_company_id(),
            Sending.created_at < before,
            Sending.finished_at < before,
        )
        .order_by(Sending.created_at)
    )
    return _delete(session, Sending, old, most)


def _notifications(session: Session, before: datetime, most: int) -> int:
    """What is over, and news that nothing will ever be over for; an open item of any other kind
    stays however old it is, read or not."""
    is_news = or_(
        Notification.type.in_(NEWS),
        (Notification.type == NotificationType.THRESHOLD_CROSSED)
        & Notification.parameters["is_over"].as_boolean(),
    )
    old = select(Notification.id).where(
        Notification.company_id == require_company_id(),
        or_(
            Notification.closed_at < before,
            Notification.closed_at.is_(None) & is_news & (Notification.last_at < before),
        ),
    )
    return _delete(session, Notification, old, most)


def _bulk_actions(session: Session, before: datetime, most: int) -> int:
    """Those that are over, with the outcomes of their items."""
    old = (
        select(BulkAction.id)
        .where(
            BulkAction.company_id == require_company_id(),
            BulkAction.created_at < before,
            BulkAction.finished_at < before,
        )
        .order_by(BulkAction.created_at)
    )
    return _delete(session, BulkAction, old, most)


def _evidence(session: Session, before: datetime, most: int) -> int:
    """Of what was settled long ago: who settled it, when, how and why stays, and what a dismissed
    finding was about, hashed."""
    old = (
        select(Discrepancy.id)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.resolved_at < before,
            Discrepancy.evidence != {},
        )
        .order_by(Discrepancy.resolved_at)
        .limit(most)
    )
    result = session.execute(
        update(Discrepancy)
        .where(Discrepancy.company_id == require_company_id(), Discrepancy.id.in_(old))
        .values(evidence={})
        .execution_options(synchronize_session=False)
    )
    return _rows(result)


def _phone_answers(session: Session, before: datetime, most: int) -> int:
    old = select(PhoneAnswer.id).where(
        PhoneAnswer.company_id == require_company_id(), PhoneAnswer.answered_at < before
    )
    return _delete(session, PhoneAnswer, old, most)


def _idempotency_keys(session: Session, before: datetime, most: int) -> int:
    old = select(IdempotencyKey.id).where(
        IdempotencyKey.company_id == require_company_id(), IdempotencyKey.created_at < before
    )
    return _delete(session, IdempotencyKey, old, most)


def _access_links(session: Session, before: datetime, most: int) -> int:
    """Invitations and links for a password, with the addresses they name."""
    old = select(AccessLink.id).where(
        AccessLink.company_id == require_company_id(), AccessLink.expires_at < before
    )
    return _delete(session, AccessLink, old, most)


def _periodic_slots(session: Session, before: datetime, most: int) -> int:
    old = (
        select(PeriodicSlot.task, PeriodicSlot.slot)
        .where(PeriodicSlot.company_id == require_company_id(), PeriodicSlot.taken_at < before)
        .limit(most)
        .subquery()
    )
    result = session.execute(
        delete(PeriodicSlot)
        .where(
            PeriodicSlot.company_id == require_company_id(),
            PeriodicSlot.task == old.c.task,
            PeriodicSlot.slot == old.c.slot,
        )
        .execution_options(synchronize_session=False)
    )
    return _rows(result)


def _delete(session: Session, model: Any, old: Any, most: int) -> int:
    result = session.execute(
        delete(model)
        .where(model.company_id == require_company_id(), model.id.in_(old.limit(most)))
        .execution_options(synchronize_session=False)
    )
    return _rows(result)


def _rows(result: Any) -> int:
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount
