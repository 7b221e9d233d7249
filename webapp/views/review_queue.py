"""Which findings the review queue shows: the filters of its address, as a query."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from flask import url_for
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from webapp.models.appointment import Appointment, Origin
from webapp.models.customer import Customer
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.views.access import LARGEST_ID, find_or_404, id_or_404
from webapp.views.appointment_list import matches_customer
from webapp.views.paging import PAGE_SIZE, Cursor, Page, behind, cut_page, parse_cursor

COUNTED_UP_TO = 1000
EXPORT_BATCH = 500
AGES: dict[int, LazyString] = {
    1: _l("over 1 hour"),
    4: _l("over 4 hours"),
    24: _l("over 24 hours"),
    72: _l("over 3 days"),
    168: _l("over 7 days"),
}
"""How long at least a finding is open, in hours."""


@dataclass(frozen=True)
class QueueFilters:
    """What an address asks for; None and empty filter nothing."""

    type: DiscrepancyType | None = None
    code: str = ""
    origin: Origin | None = None
    service: int | None = None
    age: int | None = None
    text: str = ""
    cursor: Cursor | None = None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.as_query)

    @property
    def as_query(self) -> dict[str, str]:
        """The filters as an address has them, without the page."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: str(value) for name, value in values.items() if value and name != "cursor"}


def parse_queue_filters(args: Mapping[str, str]) -> QueueFilters:
    """Read an address; what makes no sense filters nothing, a stranger's service is 404."""
    type_, origin, age = args.get("type", ""), args.get("origin", ""), args.get("age", "")
    service = args.get("service", "")
    return QueueFilters(
        type=DiscrepancyType(type_) if type_ in set(DiscrepancyType) else None,
        code=args.get("code", "").strip().upper()[:40],
        origin=Origin(origin) if origin in set(Origin) else None,
        service=find_or_404(Service, id_or_404(service)).id if service else None,
        age=int(age) if age in {str(hours) for hours in AGES} else None,
        text=args.get("text", "").strip()[:100],
        cursor=parse_cursor(args.get("after")),
    )


def queue_address(kept: str) -> str:
    """The queue as an earlier address had it, filters and page: `kept` is what stood behind its
    question mark. Anything else in it is left out."""
    known = {each.name for each in fields(QueueFilters)} - {"cursor"} | {"after"}
    asked = {name: value for name, value in parse_qsl(kept) if name in known}
    return url_for("reviews.index", **asked)  # type: ignore[arg-type]


def fetch_queue(session: Session, filters: QueueFilters, now: datetime) -> Page[Discrepancy]:
    """Open findings: those that require review first, the oldest of them on top.

    Two sorted reads instead of one sort over both: each stops after a page.
    """
    rows = _behind(session, filters, filters.cursor, now, PAGE_SIZE + 1)
    return cut_page(rows, _cursor_of)


def export_queue(
    session: Session, filters: QueueFilters, now: datetime
) -> Iterator[Sequence[Discrepancy]]:
    """Everything that matches, in the queue's order, a batch in memory at a time."""
    cursor: Cursor | None = None
    while rows := _behind(session, filters, cursor, now, EXPORT_BATCH):
        cursor = _cursor_of(rows[-1])
        yield rows


def count_queue(session: Session, filters: QueueFilters, now: datetime) -> int:
    """How many match; counting stops one beyond COUNTED_UP_TO."""
    some = matching(filters, now).with_only_columns(Discrepancy.id).limit(COUNTED_UP_TO + 1)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def find_finding(session: Session, discrepancy_id: int) -> Discrepancy | None:
    """One finding, open or settled, with its appointment."""
    return session.scalar(
        _own().where(Discrepancy.id == discrepancy_id).options(*_WITH_APPOINTMENT)
    )


def matching(filters: QueueFilters, now: datetime) -> Select[Discrepancy]:
    """The open findings that the filters let through, unsorted."""
    query = _own().where(Discrepancy.resolved_at.is_(None))
    if filters.type is not None:
        query = query.where(Discrepancy.type == filters.type)
    if filters.code:
        query = query.where(Discrepancy.code == filters.code)
    if filters.origin is not None:
        query = query.where(Appointment.sync_origin == filters.origin)
    if filters.service is not None:
        query = query.where(Appointment.service_id == filters.service)
    if filters.age is not None:
        query = query.where(Discrepancy.opened_at <= now - timedelta(hours=filters.age))
    return query.where(_about(filters.text)) if filters.text else query


def selected(ids: Sequence[int]) -> Select[Discrepancy]:
    """The open ones among these."""
    return _own().where(Discrepancy.resolved_at.is_(None), Discrepancy.id.in_(ids))


def are_all_ours(session: Session, ids: Sequence[int]) -> bool:
    """Whether every id is a finding of this company, open or settled."""
    query = select(func.count()).where(
        Discrepancy.company_id == require_company_id(), Discrepancy.id.in_(ids)
    )
    return session.scalar(query) == len(set(ids))


_WITH_APPOINTMENT = (
    contains_eager(Discrepancy.appointment).options(
        selectinload(Appointment.customer), selectinload(Appointment.service)
    ),
)


def _behind(
    session: Session, filters: QueueFilters, cursor: Cursor | None, now: datetime, limit: int
) -> list[Discrepancy]:
    rows: list[Discrepancy] = []
    for rank in range(cursor.rank if cursor else 0, 2):
        rows += session.scalars(_ranked(filters, cursor, rank, now).limit(limit - len(rows)))
        if len(rows) >= limit:
            break
    return rows


def _ranked(
    filters: QueueFilters, cursor: Cursor | None, rank: int, now: datetime
) -> Select[Discrepancy]:
    keys: tuple[Any, ...] = (Discrepancy.opened_at, Discrepancy.id)
    # Not `IS TRUE`: with that PostgreSQL passes over the partial index of the flagged.
    is_flagged = Appointment.requires_manual_review
    query = matching(filters, now).where(is_flagged if rank == 0 else ~is_flagged)
    if cursor is not None and cursor.rank == rank:
        query = query.where(behind(keys, cursor))
    return query.options(*_WITH_APPOINTMENT).order_by(*keys)


def _cursor_of(row: Discrepancy) -> Cursor:
    rank = 0 if row.appointment.requires_manual_review else 1
    return Cursor(rank, row.opened_at, row.id)


def _own() -> Select[Discrepancy]:
    return (
        select(Discrepancy)
        .join(Discrepancy.appointment)
        .where(Discrepancy.company_id == require_company_id())
    )


def _about(text: str) -> ColumnElement[bool]:
    """A number, with or without `#`, is an appointment's; anything is the beginning of a
    customer's name, e-mail or phone."""
    number = text.removeprefix("#")
    is_number = number.isascii() and number.isdigit()
    of_customer = Appointment.customer_id.in_(
        select(Customer.id).where(
            Customer.company_id == require_company_id(), matches_customer(text)
        )
    )
    if not is_number:
        return of_customer
    of_number = Appointment.id == min(int(number[:20]), LARGEST_ID)
    return of_number if text.startswith("#") else or_(of_number, of_customer)
