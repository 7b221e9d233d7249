"""Which entries of the audit log a list shows: the filters of its address, as a query."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select

from webapp.insight.stats import start_of_day
from webapp.models.audit import Actor, AuditEntry
from webapp.models.tenancy import require_company_id
from webapp.views.audit_words import ACTS
from webapp.views.local_time import parse_day
from webapp.views.paging import Cursor, behind, parse_cursor


@dataclass(frozen=True)
class AuditFilters:
    """What an address asks for; None and empty filter nothing."""

    act: str
    actor: Actor | None
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
            "act": self.act,
            "actor": self.actor.value if self.actor else "",
            "from": self.first_day.isoformat() if self.first_day else "",
            "to": self.last_day.isoformat() if self.last_day else "",
        }
        return {name: value for name, value in asked.items() if value}


def parse_audit_filters(args: Mapping[str, str]) -> AuditFilters:
    """Read an address; what makes no sense filters nothing."""
    act, actor = args.get("act", ""), args.get("actor", "")
    return AuditFilters(
        act=act if act in ACTS else "",
        actor=Actor(actor) if actor in set(Actor) else None,
        first_day=parse_day(args.get("from", "")),
        last_day=parse_day(args.get("to", "")),
        cursor=parse_cursor(args.get("after")),
    )


def query_audit(filters: AuditFilters, zone: ZoneInfo) -> Select[AuditEntry]:
    """The list, newest first, beginning behind the cursor."""
    query = (
        select(AuditEntry)
        .where(AuditEntry.company_id == require_company_id())
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
    )
    if filters.act:
        query = query.where(AuditEntry.action == filters.act)
    if filters.actor is not None:
        query = query.where(AuditEntry.actor == filters.actor)
    if filters.first_day is not None:
        query = query.where(AuditEntry.at >= start_of_day(filters.first_day, zone))
    if filters.last_day is not None:
        day_after = filters.last_day + timedelta(days=1)
        query = query.where(AuditEntry.at < start_of_day(day_after, zone))
    if filters.cursor is not None:
        keys = (AuditEntry.at, AuditEntry.id)
        query = query.where(behind(keys, filters.cursor, descending=True))
    return query


def cursor_of(entry: AuditEntry) -> Cursor:
    return Cursor(0, entry.at, entry.id)
