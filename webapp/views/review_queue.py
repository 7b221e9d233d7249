"""Which findings the review queue shows: the filters of its address, as a query."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.tenancy import require_company_id
from webapp.views.appointment_list import matches_customer
from webapp.views.paging import PAGE_SIZE, Cursor, Page, behind, cut_page, parse_cursor

COUNTED_UP_TO = 1000


@dataclass(frozen=True)
class QueueFilters:
    """What an address asks for; None and empty filter nothing."""

    type: DiscrepancyType | None
    text: str
    cursor: Cursor | None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.type or self.text)


def parse_queue_filters(args: Mapping[str, str]) -> QueueFilters:
    wanted = args.get("type", "")
    return QueueFilters(
        type=DiscrepancyType(wanted) if wanted in set(DiscrepancyType) else None,
        text=args.get("text", "").strip()[:100],
        cursor=parse_cursor(args.get("after")),
    )


def fetch_queue(session: Session, filters: QueueFilters) -> Page[Discrepancy]:
    """Open findings: those that require review first, the oldest of them on top.

    Two sorted reads instead of one sort over both: each stops after a page.
    """
    rows: list[Discrepancy] = []
    for rank in range(filters.cursor.rank if filters.cursor else 0, 2):
        missing = PAGE_SIZE + 1 - len(rows)
        rows += session.scalars(_ranked(filters, rank).limit(missing))
        if len(rows) > PAGE_SIZE:
            break
    return cut_page(rows, _cursor_of)


def count_queue(session: Session, filters: QueueFilters) -> int:
    """How many match; counting stops one beyond COUNTED_UP_TO."""
    some = _matching(filters).with_only_columns(Discrepancy.id).limit(COUNTED_UP_TO + 1)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _ranked(filters: QueueFilters, rank: int) -> Select[Discrepancy]:
    keys = (Discrepancy.opened_at, Discrepancy.id)
    # Not `IS TRUE`: with that PostgreSQL passes over the partial index of the flagged.
    is_flagged = Appointment.requires_manual_review
    query = _matching(filters).where(is_flagged if rank == 0 else ~is_flagged)
    if filters.cursor is not None and filters.cursor.rank == rank:
        query = query.where(behind(keys, filters.cursor))
    return query.options(*_WITH_APPOINTMENT).order_by(*keys)


def _cursor_of(row: Discrepancy) -> Cursor:
    rank = 0 if row.appointment.requires_manual_review else 1
    return Cursor(rank, row.opened_at, row.id)


def find_finding(session: Session, discrepancy_id: int) -> Discrepancy | None:
    """One finding, open or settled, with its appointment."""
    return session.scalar(
        _own().where(Discrepancy.id == discrepancy_id).options(*_WITH_APPOINTMENT)
    )


_WITH_APPOINTMENT = (
    contains_eager(Discrepancy.appointment).options(
        selectinload(Appointment.customer), selectinload(Appointment.service)
    ),
)


def _own() -> Select[Discrepancy]:
    return (
        select(Discrepancy)
        .join(Discrepancy.appointment)
        .where(Discrepancy.company_id == require_company_id())
    )


def _matching(filters: QueueFilters) -> Select[Discrepancy]:
    query = _own().where(Discrepancy.resolved_at.is_(None))
    if filters.type is not None:
        query = query.where(Discrepancy.type == filters.type)
    return query.where(_about(filters.text)) if filters.text else query


def _about(text: str) -> ColumnElement[bool]:
    """`#12` is the appointment of that number, anything else the beginning of a customer's."""
    number = text.removeprefix("#")
    if text.startswith("#") and number.isascii() and number.isdigit():
        return Appointment.id == min(int(number[:20]), 2**63 - 1)
    return Appointment.customer_id.in_(
        select(Customer.id).where(
            Customer.company_id == require_company_id(), matches_customer(text)
        )
    )
