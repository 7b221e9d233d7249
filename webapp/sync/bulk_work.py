"""Bulk actions at work: beginning items one by one, and what became of them, read off appointments
and findings, so that it doesn't matter which job settled them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, func, literal, or_, select, update
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.bulk import (
    BulkAction,
    BulkItem,
    BulkKind,
    BulkStatus,
    ItemStatus,
    count_items,
)
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.intent import Intent, IntentStatus
from webapp.models.notification import NotificationType
from webapp.models.sync_state import WAITING
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import tell
from webapp.sync.booking import BookingRefused
from webapp.sync.bulk_cancellations import cancel_one, is_cancelled_on_both, may_cancel
from webapp.sync.bulk_rows import change, end_queued, is_bulk, items_in
from webapp.sync.settlement import NotOffered, Started, may_settle, settle_finding

LEASE = timedelta(seconds=40)
"""A bulk action's job is taken to have died when it has not been heard of for so long."""

NO_RIGHT = "no_right"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job needs of the bulk action it works on: plain values."""

    bulk_id: int
    kind: BulkKind
    user_id: int
    note: str | None
    setbacks: int


def take_bulk(session: Session, bulk_id: int, *, now: datetime) -> Plan | None:
    """Work on it, if it is due; None where another job does, or it has ended."""
    row = session.execute(
        update(BulkAction)
        .where(
            *is_bulk(bulk_id),
            BulkAction.status == BulkStatus.RUNNING,
            BulkAction.lease_until <= now,
        )
        .values(lease_until=now + LEASE, started_at=func.coalesce(BulkAction.started_at, now))
        .returning(
            BulkAction.kind,
            BulkAction.requested_by_user_id,
            BulkAction.note,
            BulkAction.setback_count,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    return None if row is None else Plan(bulk_id, *row)


def hold_bulk(session: Session, bulk_id: int, *, until: datetime, **values: object) -> None:
    """Keep the lease, or give it back for a while: it is due again at `until`."""
    change(
        session,
        update(BulkAction)
        .where(*is_bulk(bulk_id), BulkAction.status == BulkStatus.RUNNING)
        .values(lease_until=until, **values),
    )


@dataclass(frozen=True, slots=True)
class Queued:
    """An item that has not begun, and what it is about."""

    id: int
    discrepancy_id: int | None
    appointment_id: int


def next_items(session: Session, bulk_id: int, limit: int) -> list[Queued]:
    """What has not begun, neighbours in time together."""
    rows = session.execute(
        select(BulkItem.id, BulkItem.discrepancy_id, BulkItem.appointment_id)
        .where(*items_in(bulk_id, ItemStatus.QUEUED))
        .order_by(BulkItem.id)
        .limit(limit)
    )
    return [Queued(*row) for row in rows]


def begin_item(session: Session, plan: Plan, item: Queued, *, now: datetime) -> Started | None:
    """Begin one item, or refuse it; None where nothing further follows, or another was quicker.

    The effect and the item's status are of one transaction.
    """
    if not _claim(session, item.id, now):
        return None
    try:
        return _act(session, plan, item, now)
    except (NotOffered, BookingRefused) as refusal:
        _end_item(session, item.id, ItemStatus.REFUSED, refusal.reason, now)
        return None


def _act(session: Session, plan: Plan, item: Queued, now: datetime) -> Started:
    if item.discrepancy_id is None:
        return cancel_one(
            session, item.appointment_id, reason=plan.note or "", now=now, user_id=plan.user_id
        )
    return settle_finding(
        session,
        item.discrepancy_id,
        Action(plan.kind.value),
        now=now,
        user_id=plan.user_id,
        note=plan.note,
        is_sweep=True,
    )


def may_go_on(session: Session, plan: Plan) -> bool:
    """Whether whoever asked for it still may; asked again when it runs (S6)."""
    if plan.kind is BulkKind.CANCEL:
        return may_cancel(session, plan.user_id)
    return may_settle(session, plan.user_id)


def break_off_item(session: Session, item_id: int, *, now: datetime) -> None:
    """Something unforeseen ended the act: it is not tried again."""
    if _claim(session, item_id, now):
        _end_item(session, item_id, ItemStatus.FAILED, "broke_off", now)


def refuse_rest(session: Session, bulk_id: int, *, now: datetime) -> int:
    """Whoever asked for it may no longer: nothing more is begun."""
    return end_queued(session, bulk_id, ItemStatus.REFUSED, NO_RIGHT, now)


def unanswered(session: Session, bulk_id: int, *, not_since: datetime, limit: int) -> list[int]:
    """Appointments of started items that wait for a verification nobody has looked at since."""
    return list(
        session.scalars(
            select(Appointment.id)
            .join(BulkItem, _of_appointment())
            .where(
                *items_in(bulk_id, ItemStatus.STARTED),
                Appointment.verification_requested_at.is_not(None),
                or_(
                    Appointment.last_sync_attempt_at.is_(None),
                    Appointment.last_sync_attempt_at <= not_since,
                ),
            )
            .order_by(BulkItem.id)
            .limit(limit)
        )
    )


def conclude(session: Session, bulk_id: int, *, now: datetime) -> int:
    """Write down what became of the started items whose push or verification has ended."""
    is_settled = and_(Discrepancy.resolved_at.is_not(None), ~Appointment.requires_manual_review)
    of_findings = _conclude(
        session,
        bulk_id,
        and_(
            Discrepancy.company_id == BulkItem.company_id,
            Discrepancy.id == BulkItem.discrepancy_id,
        ),
        is_settled,
        case((is_settled, Discrepancy.resolution), else_=Appointment.sync_error_code),
        now,
    )
    is_done = is_cancelled_on_both()
    outcome = case((is_done, literal(CANCELLED)), else_=Appointment.sync_error_code)
    of_appointments = BulkItem.discrepancy_id.is_(None)
    return of_findings + _conclude(session, bulk_id, of_appointments, is_done, outcome, now)


def _conclude(
    session: Session, bulk_id: int, which: Any, is_settled: Any, outcome: Any, now: datetime
) -> int:
    return change(
        session,
        update(BulkItem)
        .where(
            *items_in(bulk_id, ItemStatus.STARTED),
            _of_appointment(),
            which,
            Appointment.calcom_sync_status.not_in(WAITING),
            Appointment.verification_requested_at.is_(None),
            ~_is_on_its_way(now),
        )
        .values(
            status=case(
                (is_settled, literal(ItemStatus.SETTLED.value)),
                else_=literal(ItemStatus.STILL_OPEN.value),
            ),
            outcome=outcome,
            finished_at=now,
        ),
    )


def _is_on_its_way(now: datetime) -> Any:
    return exists().where(
        Intent.company_id == Appointment.company_id,
        Intent.appointment_id == Appointment.id,
        or_(
            Intent.status == IntentStatus.IN_FLIGHT,
            and_(Intent.status == IntentStatus.WAITING, Intent.due_at <= now),
        ),
    )


def finish_if_through(session: Session, bulk_id: int, *, now: datetime) -> bool:
    """End it when every item has an outcome, and tell the one who started it."""
    left = exists().where(
        BulkItem.company_id == require_company_id(),
        BulkItem.bulk_action_id == bulk_id,
        BulkItem.status.in_([ItemStatus.QUEUED, ItemStatus.STARTED]),
    )
    row = session.execute(
        update(BulkAction)
        .where(*is_bulk(bulk_id), BulkAction.status == BulkStatus.RUNNING, ~left)
        .values(
            status=case(
                (BulkAction.cancelled_at.is_(None), literal(BulkStatus.DONE.value)),
                else_=literal(BulkStatus.CANCELLED.value),
            ),
            finished_at=now,
        )
        .returning(BulkAction.requested_by_user_id, BulkAction.kind)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return False
    counts = {status.value: number for status, number in count_items(session, bulk_id).items()}
    tell(
        session,
        NotificationType.BULK_FINISHED,
        f"bulk:{bulk_id}",
        now=now,
        only=[row.requested_by_user_id],
        bulk_id=bulk_id,
        kind=row.kind.value,
        counts=counts,
    )
    return True


def _of_appointment() -> Any:
    return and_(
        Appointment.company_id == BulkItem.company_id, Appointment.id == BulkItem.appointment_id
    )


def _claim(session: Session, item_id: int, now: datetime) -> bool:
    claimed = change(
        session,
        update(BulkItem)
        .where(
            BulkItem.company_id == require_company_id(),
            BulkItem.id == item_id,
            BulkItem.status == ItemStatus.QUEUED,
        )
        .values(status=ItemStatus.STARTED, started_at=now),
    )
    return claimed == 1


def _end_item(
    session: Session, item_id: int, status: ItemStatus, outcome: str | None, now: datetime
) -> None:
    change(
        session,
        update(BulkItem)
        .where(BulkItem.company_id == require_company_id(), BulkItem.id == item_id)
        .values(status=status, outcome=outcome, finished_at=now),
    )
