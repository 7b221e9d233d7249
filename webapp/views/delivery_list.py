"""Which deliveries a list shows: the filters of its address, as a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import defer

from webapp.calcom.webhooks import Trigger
from webapp.insight.stats import start_of_day
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import require_company_id
from webapp.views.access import LARGEST_ID
from webapp.views.appointment_list import starts_with
from webapp.views.local_time import parse_day
from webapp.views.paging import Cursor, behind, parse_cursor

TRIGGERS = tuple(Trigger)
_KNOWN = [each.value for each in Trigger if each is not Trigger.UNKNOWN]


@dataclass(frozen=True)
class DeliveryFilters:
    """What an address asks for; None and empty filter nothing."""

    status: DeliveryStatus | None
    trigger: Trigger | None
    text: str
    first_day: date | None
    last_day: date | None
    cursor: Cursor | None

    @property
    def is_narrowed(self) -> bool:
        return bool(self.as_query)

    @property
    def as_query(self) -> dict[str, str]:
        """What an address has to say for the same list, from its top."""
        asked = {
            "outcome": self.status.value if self.status else "",
            "trigger": self.trigger.value if self.trigger else "",
            "text": self.text,
            "from": self.first_day.isoformat() if self.first_day else "",
            "to": self.last_day.isoformat() if self.last_day else "",
        }
        return {name: value for name, value in asked.items() if value}


def parse_delivery_filters(args: Mapping[str, str]) -> DeliveryFilters:
    """Read an address; what makes no sense filters nothing."""
    status, trigger = args.get("outcome", ""), args.get("trigger", "")
    return DeliveryFilters(
        status=DeliveryStatus(status) if status in set(DeliveryStatus) else None,
        trigger=Trigger(trigger) if trigger in TRIGGERS else None,
        text=args.get("text", "").strip()[:100],
        first_day=parse_day(args.get("from", "")),
        last_day=parse_day(args.get("to", "")),
        cursor=parse_cursor(args.get("after")),
    )


def query_deliveries(filters: DeliveryFilters, zone: ZoneInfo) -> Select[Delivery]:
    """The list without bodies, newest first, beginning behind the cursor."""
    keys = (Delivery.received_at, Delivery.id)
    query = (
        select(Delivery)
        .where(Delivery.company_id == require_company_id(), *_conditions(filters, zone))
        .options(defer(Delivery.body, raiseload=True))
        .order_by(Delivery.received_at.desc(), Delivery.id.desc())
    )
    if filters.cursor is not None:
        query = query.where(behind(keys, filters.cursor, descending=True))
    return query


def cursor_of(delivery: Delivery) -> Cursor:
    return Cursor(0, delivery.received_at, delivery.id)


def _conditions(filters: DeliveryFilters, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.status is not None:
        conditions.append(Delivery.status == filters.status)
    if filters.trigger is Trigger.UNKNOWN:
        conditions.append(Delivery.trigger.not_in(_KNOWN))
    elif filters.trigger is not None:
        conditions.append(Delivery.trigger == filters.trigger.value)
    if filters.text:
        conditions.append(_about(filters.text))
    if filters.first_day is not None:
        conditions.append(Delivery.received_at >= start_of_day(filters.first_day, zone))
    if filters.last_day is not None:
        day_after = filters.last_day + timedelta(days=1)
        conditions.append(Delivery.received_at < start_of_day(day_after, zone))
    return conditions


def _about(text: str) -> ColumnElement[bool]:
    """`#12` is the appointment of that number, anything else the beginning of a booking's uid."""
    number = text.removeprefix("#")
    if text.startswith("#") and number.isascii() and number.isdigit():
        return Delivery.appointment_id == min(int(number[:20]), LARGEST_ID)
    return or_(
        starts_with(Delivery.booking_uid, text),
        starts_with(Delivery.old_booking_uid, text),
    )
