"""Bulk: what a bulk action would do, freezing its items, beginning them one by one, and what became
of them. Everything that concerns all items at once is one statement over them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    CursorResult,
    Select,
    and_,
    case,
    delete,
    distinct,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.bulk import BulkAction, BulkItem, BulkStatus, ItemStatus, count_items
from webapp.models.customer import Customer
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.models.intent import Intent, IntentStatus
from webapp.models.notification import NotificationType
from webapp.models.sync_state import WAITING
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import tell
from webapp.sync.actions import MAILING, ends_many, offers
from webapp.sync.settlement import NotOffered, Started, settle_finding

LEASE = timedelta(seconds=40)
"""A bulk action's job is taken to have died when it has not been heard of for so long."""

NO_RIGHT = "no_right"

Matching = Select[Discrepancy]
"""Open findings joined with their appointments: the queue's filters, or a selection."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen: counts of findings, and of customers whom Cal.com would mail."""

    matching: int
    offered: int
    taken: int
    """As many as one bulk action takes on, the oldest first."""
    by_type: dict[DiscrepancyType, int] = field(default_factory=dict)
    mails: int = 0
    mailed_customers: int = 0
    unreachable: int = 0
    """Customers without an e-mail address: Cal.com can't mail them."""
    cancels: int = 0
    """Appointments that would be cancelled here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job needs of the bulk action it works on: plain values."""

    bulk_id: int
    kind: Action
    user_id: int
    note: str | None
    setbacks: int


def preview_bulk(
    session: Session, matching: Matching, kind: Action, *, now: datetime, most: int
) -> Preview:
    """Count what would be done; nothing is written."""
    offered = _offered(matching, kind, now)
    chosen = _oldest(offered, most).subquery()
    of_chosen = chosen.c.id == Discrepancy.id
    rows = session.execute(
        select(Discrepancy.type, func.count()).join(chosen, of_chosen).group_by(Discrepancy.type)
    )
    by_type = {row[0]: row[1] for row in rows}
    mails, customers, unreachable = (
        _count_mails(session, chosen.c.id) if kind in MAILING else (0, 0, 0)
    )
    cancels = select(func.count()).select_from(
        _joined().where(Discrepancy.id.in_(select(chosen.c.id)), ends_many(kind)).subquery()
    )
    return Preview(
        matching=_count(session, matching),
        offered=_count(session, offered),
        taken=sum(by_type.values()),
        by_type=by_type,
        mails=mails,
        mailed_customers=customers,
        unreachable=unreachable,
        cancels=session.scalar(cancels) or 0,
    )


def start_bulk(
    session: Session,
    matching: Matching,
    kind: Action,
    *,
    now: datetime,
    most: int,
    user_id: int,
    note: str | None = None,
    scope: dict[str, Any] | None = None,
) -> int | None:
    """Freeze the items and let the work begin; None where there is nothing to do."""
    bulk = BulkAction(
        kind=kind,
        requested_by_user_id=user_id,
        note=note,
        scope=scope or {},
        item_count=1,
        created_at=now,
        lease_until=now,
    )
    session.add(bulk)
    session.flush()
    bulk.item_count = _freeze(session, bulk.id, _oldest(_offered(matching, kind, now), most))
    if bulk.item_count == 0:
        session.expunge(bulk)
        session.execute(delete(BulkAction).where(*_is(bulk.id)))
        return None
    return bulk.id


def cancel_bulk(session: Session, bulk_id: int, *, now: datetime, user_id: int) -> bool:
    """Begin nothing more; what has begun is seen through. False where it had ended already."""
    cancelled = _update(
        session,
        update(BulkAction)
        .where(
            *_is(bulk_id),
            BulkAction.status == BulkStatus.RUNNING,
            BulkAction.cancelled_at.is_(None),
        )
        .values(cancelled_at=now, cancelled_by_user_id=user_id, lease_until=now),
    )
    if cancelled:
        _end_queued(session, bulk_id, ItemStatus.CANCELLED, None, now)
    return bool(cancelled)


def take_bulk(session: Session, bulk_id: int, *, now: datetime) -> Plan | None:
    """Work on it, if it is due; None where another job does, or it has ended."""
    row = session.execute(
        update(BulkAction)
        .where(
            *_is(bulk_id),
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
    _update(
        session,
        update(BulkAction)
        .where(*_is(bulk_id), BulkAction.status == BulkStatus.RUNNING)
        .values(lease_until=until, **values),
    )


def next_items(session: Session, bulk_id: int, limit: int) -> list[tuple[int, int]]:
    """`(item, discrepancy)` of what has not begun, neighbours in time together."""
    rows = session.execute(
        select(BulkItem.id, BulkItem.discrepancy_id)
        .where(*_items(bulk_id, ItemStatus.QUEUED))
        .order_by(BulkItem.id)
        .limit(limit)
    )
    return [(row.id, row.discrepancy_id) for row in rows]


def begin_item(
    session: Session, plan: Plan, item_id: int, discrepancy_id: int, *, now: datetime
) -> Started | None:
    """Begin one item, or refuse it; None where nothing further follows, or another was quicker.

    The effect and the item's status are of one transaction.
    """
    if not _claim(session, item_id, now):
        return None
    try:
        started = settle_finding(
            session,
            discrepancy_id,
            plan.kind,
            now=now,
            user_id=plan.user_id,
            note=plan.note,
            is_sweep=True,
        )
    except NotOffered as refusal:
        _end_item(session, item_id, ItemStatus.REFUSED, refusal.reason, now)
        return None
    return started


def break_off_item(session: Session, item_id: int, *, now: datetime) -> None:
    """Something unforeseen ended the act: it is not tried again."""
    if _claim(session, item_id, now):
        _end_item(session, item_id, ItemStatus.FAILED, "broke_off", now)


def refuse_rest(session: Session, bulk_id: int, *, now: datetime) -> int:
    """Whoever asked for it may no longer: nothing more is begun."""
    return _end_queued(session, bulk_id, ItemStatus.REFUSED, NO_RIGHT, now)


def unanswered(session: Session, bulk_id: int, *, not_since: datetime, limit: int) -> list[int]:
    """Appointments of started items that wait for a verification nobody has looked at since."""
    return list(
        session.scalars(
            select(Appointment.id)
            .join(BulkItem, _of_appointment())
            .where(
                *_items(bulk_id, ItemStatus.STARTED),
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
    is_on_its_way = exists().where(
        Intent.company_id == Appointment.company_id,
        Intent.appointment_id == Appointment.id,
        or_(
            Intent.status == IntentStatus.IN_FLIGHT,
            and_(Intent.status == IntentStatus.WAITING, Intent.due_at <= now),
        ),
    )
    return _update(
        session,
        update(BulkItem)
        .where(
            *_items(bulk_id, ItemStatus.STARTED),
            _of_appointment(),
            Discrepancy.company_id == BulkItem.company_id,
            Discrepancy.id == BulkItem.discrepancy_id,
            Appointment.calcom_sync_status.not_in(WAITING),
            Appointment.verification_requested_at.is_(None),
            ~is_on_its_way,
        )
        .values(
            status=case(
                (is_settled, literal(ItemStatus.SETTLED.value)),
                else_=literal(ItemStatus.STILL_OPEN.value),
            ),
            outcome=case((is_settled, Discrepancy.resolution), else_=Appointment.sync_error_code),
            finished_at=now,
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
        .where(*_is(bulk_id), BulkAction.status == BulkStatus.RUNNING, ~left)
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


def _joined() -> Select[Discrepancy]:
    return (
        select(Discrepancy)
        .join(Discrepancy.appointment)
        .where(Discrepancy.company_id == require_company_id())
    )


def _offered(matching: Matching, kind: Action, now: datetime) -> Matching:
    return matching.where(offers(kind, now))


def _oldest(offered: Matching, most: int) -> Select[int, int, datetime]:
    query = offered.with_only_columns(
        Discrepancy.id, Discrepancy.appointment_id, Appointment.starts_at
    )
    return query.order_by(Discrepancy.opened_at, Discrepancy.id).limit(most)


def _count(session: Session, query: Matching) -> int:
    ids = query.with_only_columns(Discrepancy.id).subquery()
    return session.scalar(select(func.count()).select_from(ids)) or 0


def _count_mails(session: Session, chosen: Any) -> tuple[int, int, int]:
    """Mails, customers who get one, customers who have no address."""
    reachable = Customer.email.is_not(None)
    row = session.execute(
        select(
            func.count().filter(reachable),
            func.count(distinct(Customer.id)).filter(reachable),
            func.count(distinct(Customer.id)).filter(~reachable),
        )
        .select_from(Discrepancy)
        .join(Discrepancy.appointment)
        .join(Appointment.customer)
        .where(Discrepancy.company_id == require_company_id(), Discrepancy.id.in_(select(chosen)))
    ).one()
    return row[0], row[1], row[2]


def _freeze(session: Session, bulk_id: int, chosen: Select[int, int, datetime]) -> int:
    """In the order of their starts, so that one listing shows many of a batch."""
    rows = chosen.subquery()
    columns = ["company_id", "bulk_action_id", "discrepancy_id", "appointment_id", "status"]
    items = select(
        literal(require_company_id()),
        literal(bulk_id),
        rows.c.id,
        rows.c.appointment_id,
        literal(ItemStatus.QUEUED.value),
    ).order_by(rows.c.starts_at, rows.c.id)
    session.execute(insert(BulkItem).from_select(columns, items))
    return sum(count_items(session, bulk_id).values())


def _is(bulk_id: int) -> tuple[Any, ...]:
    return BulkAction.company_id == require_company_id(), BulkAction.id == bulk_id


def _items(bulk_id: int, status: ItemStatus) -> tuple[Any, ...]:
    return (
        BulkItem.company_id == require_company_id(),
        BulkItem.bulk_action_id == bulk_id,
        BulkItem.status == status,
    )


def _of_appointment() -> Any:
    return and_(
        Appointment.company_id == BulkItem.company_id, Appointment.id == BulkItem.appointment_id
    )


def _claim(session: Session, item_id: int, now: datetime) -> bool:
    claimed = _update(
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
    _update(
        session,
        update(BulkItem)
        .where(BulkItem.company_id == require_company_id(), BulkItem.id == item_id)
        .values(status=status, outcome=outcome, finished_at=now),
    )


def _end_queued(
    session: Session, bulk_id: int, status: ItemStatus, outcome: str | None, now: datetime
) -> int:
    return _update(
        session,
        update(BulkItem)
        .where(*_items(bulk_id, ItemStatus.QUEUED))
        .values(status=status, outcome=outcome, finished_at=now),
    )


def _update(session: Session, statement: Any) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount
