"""The operator's figures over all companies, read from database and Redis when they are asked for:
they are the same whichever process answers."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.exceptions import RedisError
from sqlalchemy import func, select

from webapp.application import settings
from webapp.calcom.breaker import Circuit, breaker_state
from webapp.extensions import db
from webapp.insight.workers import living_workers
from webapp.jobs.connection import company_breaker
from webapp.jobs.queues import NAMES, connect_for_web, queue
from webapp.models.crossing import company_ids, due_rows
from webapp.models.discrepancy import Discrepancy
from webapp.models.rollup import FINE_SECONDS, Rollup
from webapp.models.tenancy import as_company, require_company_id

MOST_DUE = 10_000
OVERDUE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CompanyMeasures:
    """One company's, by its number."""

    company_id: int
    open_findings: int
    pushes: dict[str, int]
    """Tries of the last hour, by how they ended."""
    is_breaker_open: bool | None
    """None: Redis can't be reached."""


def queue_lengths() -> dict[str, int] | None:
    """Jobs in each queue; None where Redis can't be reached."""
    connection = connect_for_web(settings().redis_url)
    try:
        return {name: queue(name, connection).count for name in NAMES}
    except RedisError:
        return None


def due_by_kind(at: datetime) -> Counter[str]:
    """Rows that were due at an instant and are still; at most 10,000 are counted."""
    rows = due_rows(db.session(), at, MOST_DUE)
    db.session.rollback()
    return Counter(row.kind for row in rows)


def living_by_kind(now: datetime) -> Counter[str]:
    kinds = Counter(each.kind.value for each in living_workers(db.session(), now))
    db.session.rollback()
    return kinds


def measure_companies(now: datetime) -> list[CompanyMeasures]:
    ids = company_ids(db.session())
    db.session.rollback()
    measured = []
    for company_id in ids:
        with as_company(company_id):
            measured.append(_measure(company_id, now))
    return measured


def _measure(company_id: int, now: datetime) -> CompanyMeasures:
    open_findings = db.session.scalar(
        select(func.count()).where(
            Discrepancy.company_id == require_company_id(), Discrepancy.resolved_at.is_(None)
        )
    )
    rows = db.session.execute(
        select(Rollup.key, func.sum(Rollup.count))
        .where(
            Rollup.company_id == require_company_id(),
            Rollup.length_seconds == FINE_SECONDS,
            Rollup.begins_at > now - HOUR,
            Rollup.figure == "push",
        )
        .group_by(Rollup.key)
    )
    pushes = {key: int(count) for key, count in rows}
    db.session.rollback()
    return CompanyMeasures(company_id, open_findings or 0, pushes, _is_breaker_open(now))


def _is_breaker_open(now: datetime) -> bool | None:
    try:
        state = breaker_state(company_breaker().connection, require_company_id(), now)
    except RedisError:
        return None
    return state.circuit is not Circuit.CLOSED
