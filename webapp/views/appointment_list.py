"""Which appointments a list shows: the filters of its address, as a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, ColumnExpressionArgument, Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute, joinedload

from webapp.insight.stats import start_of_day
from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.base import fold
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.sync_state import FAILURES, WAITING, SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.customers import compact_phone
from webapp.views.access import LARGEST_ID, find_or_404, id_or_404
from webapp.views.local_time import parse_day
from webapp.views.paging import Cursor, behind, parse_cursor

PERIODS: dict[str, LazyString] = {
    "upcoming": _l("Upcoming"),
    "past": _l("Past"),
    "all": _l("All"),
}
SYNC_GROUPS: dict[str, LazyString] = {
    "synced": _l("Synced appointments"),
    "pending": _l("Pending verification"),
    "review": _l("Requires review"),
    "failures": _l("Sync failures"),
}
"""The cards of the overview, by the same names."""

_GROUP_CONDITIONS: dict[str, ColumnExpressionArgument[bool]] = {
    "synced": Appointment.calcom_sync_status == SyncState.SYNCED,
    "pending": Appointment.calcom_sync_status.in_(WAITING),
    "review": Appointment.requires_manual_review,
    "failures": Appointment.calcom_sync_status.in_(FAILURES),
}
_STATE_CONDITIONS: dict[str, ColumnExpressionArgument[bool]] = {
    f"state:{state.value}": Appointment.calcom_sync_status == state for state in SyncState
}
SYNC_CONDITIONS = _GROUP_CONDITIONS | _STATE_CONDITIONS
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Filters:
    """What an address asks for; empty texts filter nothing."""

    period: str
    sync: str
    status: str
    service_id: int | None
    origin: str
    text: str
    first_day: date | None
    last_day: date | None
    cursor: Cursor | None

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the period is filtered."""
        return bool(self.narrowing or self.has_days)

    @property
    def narrowing(self) -> dict[str, str]:
        """What stays when another period is looked at."""
        values = {
            "text": self.text,
            "sync": self.sync,
            "status": self.status,
            "service": self.service_id or "",
            "origin": self.origin,
        }
        return {name: str(value) for name, value in values.items() if value}

    @property
    def as_query(self) -> dict[str, str]:
        """The filters as an address has them, without the page."""
        days = {
            name: day.isoformat()
            for name, day in (("from", self.first_day), ("to", self.last_day))
            if day
        }
        return (days or {"period": self.period}) | self.narrowing

    @property
    def has_days(self) -> bool:
        return bool(self.first_day or self.last_day)

    @property
    def is_backwards(self) -> bool:
        """The past is read from its end."""
        return self.period == "past"


def parse_filters(args: Mapping[str, str]) -> Filters:
    """Read an address; what makes no sense filters nothing, a stranger's service is 404."""
    first_day, last_day = parse_day(args.get("from", "")), parse_day(args.get("to", ""))
    period = args.get("period", "")
    sync, status, origin = args.get("sync", ""), args.get("status", ""), args.get("origin", "")
    return Filters(
        period="all" if first_day or last_day else period if period in PERIODS else "upcoming",
        sync=sync if sync in SYNC_CONDITIONS else "",
        status=status if status in set(AppointmentStatus) else "",
        service_id=_own_service_id(args.get("service", "")),
        origin=origin if origin in set(Origin) else "",
        text=args.get("text", "").strip()[:100],
        first_day=first_day,
        last_day=last_day,
        cursor=parse_cursor(args.get("after")),
    )


def query_appointments(filters: Filters, now: datetime, zone: ZoneInfo) -> Select[Appointment]:
    """The list, sorted, beginning behind the cursor."""
    query = matching_appointments(filters, now, zone).options(
        joinedload(Appointment.customer), joinedload(Appointment.service)
    )
    keys = (Appointment.starts_at, Appointment.id)
    if filters.cursor is not None:
        query = query.where(behind(keys, filters.cursor, descending=filters.is_backwards))
    if filters.is_backwards:
        return query.order_by(Appointment.starts_at.desc(), Appointment.id.desc())
    return query.order_by(*keys)


def matching_appointments(filters: Filters, now: datetime, zone: ZoneInfo) -> Select[Appointment]:
    """Everything that the filters let through, unsorted."""
    return select(Appointment).where(
        Appointment.company_id == require_company_id(), *_conditions(filters, now, zone)
    )


def starts_with(
    column: InstrumentedAttribute[str | None] | InstrumentedAttribute[str], prefix: str
) -> ColumnElement[bool]:
    """A prefix as a range: the only form that may use an index under row-level security."""
    return (column >= prefix) & (column < prefix + LAST_CHARACTER)


def matches_customer(text: str) -> ColumnElement[bool]:
    """Customers whose name, last name, e-mail or phone begins with this; a phone number as people
    write it, with its country code."""
    folded, number = fold(text), compact_phone(text)
    columns = (Customer.name_folded, Customer.surname_folded, Customer.email_folded)
    ranges = [starts_with(column, folded) for column in columns]
    if number[:1] == "+" or number[:1].isdigit():
        ranges.append(starts_with(Customer.phone, number))
    return or_(*ranges)


def _conditions(
    filters: Filters, now: datetime, zone: ZoneInfo
) -> list[ColumnExpressionArgument[bool]]:
    conditions: list[ColumnExpressionArgument[bool]] = [*_period(filters, now, zone)]
    if filters.sync:
        conditions.append(SYNC_CONDITIONS[filters.sync])
    if filters.status:
        conditions.append(Appointment.status == AppointmentStatus(filters.status))
    if filters.service_id:
        conditions.append(Appointment.service_id == filters.service_id)
    if filters.origin:
        conditions.append(Appointment.created_by_origin == Origin(filters.origin))
    if filters.text:
        conditions.append(_text(filters.text))
    return conditions


def _period(filters: Filters, now: datetime, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    if filters.period == "upcoming":
        today = now.astimezone(zone).date()
        return [Appointment.starts_at >= start_of_day(today, zone)]
    if filters.period == "past":
        return [Appointment.starts_at < now]
    bounds = []
    if filters.first_day:
        bounds.append(Appointment.starts_at >= start_of_day(filters.first_day, zone))
    if filters.last_day:
        day_after = filters.last_day + timedelta(days=1)
        bounds.append(Appointment.starts_at < start_of_day(day_after, zone))
    return bounds


def _text(text: str) -> ColumnElement[bool]:
    """`#12` is the appointment of that number, anything else the beginning of a customer's."""
    number = text.removeprefix("#")
    if text.startswith("#") and number.isascii() and number.isdigit():
        return Appointment.id == min(int(number[:20]), LARGEST_ID)
    return Appointment.customer_id.in_(
        select(Customer.id).where(
            Customer.company_id == require_company_id(), matches_customer(text)
        )
    )


def _own_service_id(text: str) -> int | None:
    return find_or_404(Service, id_or_404(text)).id if text else None
