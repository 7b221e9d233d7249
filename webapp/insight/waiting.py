"""What of a company's work waits just now, and for how long; and its review queue."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from webapp.models.discrepancy import Discrepancy
from webapp.models.tenancy import require_company_id


class Waiting(NamedTuple):
    """How many of a kind of work, and since when the oldest."""

    kind: str
    number: int
    since: datetime | None


_WAITING = text(
    """
    SELECT 'push' AS kind, count(*) AS count, min(created_at) AS since FROM intents
     WHERE company_id = :company AND status = 'waiting'
    UNION ALL
    SELECT 'delivery', count(*), min(received_at) FROM deliveries
     WHERE company_id = :company AND status = 'received'
    UNION ALL
    SELECT 'run', count(*), min(started_at) FROM runs
     WHERE company_id = :company AND status = 'running'
    UNION ALL
    SELECT 'sending', count(*), min(created_at) FROM sendings
     WHERE company_id = :company AND status = 'waiting' AND pace <> 'daily'
    UNION ALL
    SELECT 'bulk', count(*), min(created_at) FROM bulk_actions
     WHERE company_id = :company AND status = 'running'
    """
)


def waiting_work(session: Session) -> list[Waiting]:
    rows = session.execute(_WAITING, {"company": require_company_id()})
    return [Waiting(*row) for row in rows]


class Queue(NamedTuple):
    """The review queue: how many findings are open, and the age of the oldest."""

    number: int
    oldest: timedelta | None


def review_queue(session: Session, now: datetime) -> Queue:
    row = session.execute(
        select(func.count(), func.min(Discrepancy.opened_at)).where(
            Discrepancy.company_id == require_company_id(), Discrepancy.resolved_at.is_(None)
        )
    ).one()
    return Queue(row[0], None if row[1] is None else now - row[1])
