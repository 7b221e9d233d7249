"""The periodic checks as they stand: which slot each company is in, whether it was begun."""

from datetime import UTC, datetime
from typing import NamedTuple, cast

from redis import Redis
from rq_scheduler import Scheduler
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.jobs.schedule import TASKS, Task
from webapp.models.company import Company
from webapp.models.run import PeriodicSlot, is_slot_taken, take_slot
from webapp.models.tenancy import require_company_id


class TaskState(NamedTuple):
    """One check of one company. `is_begun`: its current slot was taken."""

    task: str
    slot: str
    is_begun: bool
    last_slot: str | None
    last_at: datetime | None


def timetable(session: Session, now: datetime) -> list[TaskState]:
    """Every check of the current company."""
    zone = session.get_one(Company, require_company_id()).zone
    return [_state(session, task, task.slot_at(now, zone)) for task in TASKS.values()]


def begin_now(session: Session, task: Task, now: datetime) -> int | None:
    """Begin a check's current slot for the current company, had or not; returns the row to hand
    over, None where there is nothing to begin, or another run is running."""
    zone = session.get_one(Company, require_company_id()).zone
    slot = task.slot_at(now, zone)
    row_id = task.begin(session, now, slot)
    if row_id is not None:
        take_slot(session, task.name, slot, now)
    return row_id


def next_ticks(connection: Redis) -> dict[str, datetime | None]:
    """When the clock asks next about each check; None: it isn't on the clock's list. Raises
    RedisError where Redis is away."""
    stored = cast(
        list[tuple[bytes, float]],
        connection.zrange(Scheduler.scheduled_jobs_key, 0, -1, withscores=True),
    )
    due = {entry.decode(errors="replace"): datetime.fromtimestamp(at, UTC) for entry, at in stored}
    return {name: due.get(f"tick-{name}") for name in TASKS}


def _state(session: Session, task: Task, slot: str) -> TaskState:
    last = session.execute(
        select(PeriodicSlot.slot, PeriodicSlot.taken_at)
        .where(PeriodicSlot.company_id == require_company_id(), PeriodicSlot.task == task.name)
        .order_by(PeriodicSlot.taken_at.desc())
        .limit(1)
    ).one_or_none()
    return TaskState(
        task.name,
        slot,
        is_slot_taken(session, task.name, slot),
        last.slot if last else None,
        last.taken_at if last else None,
    )
