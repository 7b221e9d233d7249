"""Bulk actions as a person asks for them: what one would do, freezing its items, stopping it.
Everything that concerns all items at once is one statement over them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, distinct, func, insert, literal, select, update
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
from webapp.models.customer import Customer
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.models.tenancy import require_company_id
from webapp.sync.actions import MAILING, ends_many, offers
from webapp.sync.bulk_rows import change, end_queued, is_bulk

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
    bulk = open_bulk(
        session, BulkKind(kind.value), now=now, user_id=user_id, note=note, scope=scope
    )
    return close_bulk(
        session, bulk, _freeze(session, bulk.id, _oldest(_offered(matching, kind, now), most))
    )


def open_bulk(
    session: Session,
    kind: BulkKind,
    *,
    now: datetime,
    user_id: int,
    note: str | None,
    scope: dict[str, Any] | None,
) -> BulkAction:
    """The row that items are frozen under, in the same transaction."""
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
    return bulk


def close_bulk(session: Session, bulk: BulkAction, item_count: int) -> int | None:
    """Write down how many items were frozen; without any there is no bulk action."""
    if item_count == 0:
        session.expunge(bulk)
        session.execute(delete(BulkAction).where(*is_bulk(bulk.id)))
        return None
    bulk.item_count = item_count
    return bulk.id


def cancel_bulk(session: Session, bulk_id: int, *, now: datetime, user_id: int) -> bool:
    """Begin nothing more; what has begun is seen through. False where it had ended already."""
    cancelled = change(
        session,
        update(BulkAction)
        .where(
            *is_bulk(bulk_id),
            BulkAction.status == BulkStatus.RUNNING,
            BulkAction.cancelled_at.is_(None),
        )
        .values(cancelled_at=now, cancelled_by_user_id=user_id, lease_until=now),
    )
    if cancelled:
        end_queued(session, bulk_id, ItemStatus.CANCELLED, None, now)
    return bool(cancelled)


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
