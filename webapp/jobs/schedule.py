"""The periodic checks: one list, handed to rq-scheduler, whose traps are fenced in (S11).

Its jobs only say that a task may be due; a slot is taken by a unique row, so repeated ticks, two
schedulers or a restart do nothing twice. The tick comes more often than the slots: a missed slot
is caught up by the next tick, once. The list is re-asserted every few seconds, because after a
flushed Redis it would stay silent for ever. An entry that can't be read is thrown out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from redis import Redis
from redis.exceptions import RedisError
from rq_scheduler import Scheduler
from sqlalchemy.orm import Session

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import PERIODIC, JsonJob, enqueue_run
from webapp.jobs.slots import every, nightly
from webapp.logs import log
from webapp.models.company import Company
from webapp.models.crossing import company_ids
from webapp.models.run import RunScope, is_slot_taken, take_slot
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.runs import start_run


@dataclass(frozen=True, slots=True)
class Task:
    """A periodic check: its name, its slot at an instant, and the scope of the run it begins."""

    name: str
    slot_at: Callable[[datetime, ZoneInfo], str]
    scope: RunScope


def verification_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(hours=settings().verification_interval_hours))


def sweep_slot(now: datetime, zone: ZoneInfo) -> str:
    return nightly(now, zone, settings().sweep_hour)


def delta_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(minutes=settings().delta_interval_minutes))


TASKS = {
    task.name: task
    for task in (
        Task("sweep", sweep_slot, RunScope.FULL),
        Task("verification", verification_slot, RunScope.SCHEDULED),
        Task("delta", delta_slot, RunScope.DELTA),
    )
}


def tick(task_name: str) -> None:
    """The scheduler's job: every company that has not had the task's current slot gets it now."""
    task = TASKS[task_name]
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            run_id = begin_if_due(db.session(), task, clock.now())
            db.session.commit()
            if run_id is not None:
                log("schedule").info("slot_begun", task=task.name, company_id=company_id)
                enqueue_run(company_id, run_id)


def begin_if_due(session: Session, task: Task, now: datetime) -> int | None:
    """Begin the run of the task's current slot, if nobody has.

    The slot is taken together with the run, never without: while another run of the company is
    running it stays free, and a later tick begins it. None also for a company that has no key yet.
    """
    company = session.get_one(Company, require_company_id())
    slot = task.slot_at(now, company.zone)
    if company.calcom_api_key is None or is_slot_taken(session, task.name, slot):
        return None
    run_id = start_run(session, scope=task.scope, now=now, slot=slot)
    if run_id is None or not take_slot(session, task.name, slot, now):
        session.rollback()
        return None
    return run_id


def assert_list(connection: Redis) -> None:
    """Put every task that is missing from rq-scheduler's list back on it."""
    scheduler = _scheduler(connection)
    for name in TASKS:
        entry = f"tick-{name}"
        if entry not in scheduler or not JsonJob.exists(entry, connection=connection):
            scheduler.schedule(
                scheduled_time=datetime.now(UTC).replace(tzinfo=None),
                func="webapp.jobs.schedule.tick",
                args=[name],
                interval=settings().tick_seconds,
                result_ttl=-1,
                id=entry,
                queue_name=PERIODIC,
                timeout=60,
            )


def hand_over_due(connection: Redis) -> None:
    """What rq-scheduler's own loop does, but past an entry that can't be read."""
    scheduler = _scheduler(connection)
    now = datetime.now(UTC).timestamp()
    due = cast(list[bytes], connection.zrangebyscore(Scheduler.scheduled_jobs_key, 0, now))
    for raw in due:
        entry = raw.decode(errors="replace")
        try:
            scheduler.enqueue_job(JsonJob.fetch(entry, connection=connection))
        except RedisError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it must not stop the rest
            log("schedule").error("unreadable_entry", entry=entry, error=type(error).__name__)
            connection.zrem(Scheduler.scheduled_jobs_key, raw)


def _scheduler(connection: Redis) -> Scheduler:
    return Scheduler(
        queue_name=PERIODIC,
        connection=connection,
        job_class=JsonJob,
        interval=settings().tick_seconds,
    )
