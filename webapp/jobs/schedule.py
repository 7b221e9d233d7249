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

from redis import Redis
from redis.exceptions import RedisError
from rq_scheduler import Scheduler
from sqlalchemy.orm import Session

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import PERIODIC, JsonJob, enqueue_reconnection, enqueue_run
from webapp.logs import log
from webapp.models.company import Company
from webapp.models.crossing import company_ids
from webapp.models.run import RunScope, take_slot
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.connection import needs_asking
from webapp.sync.runs import start_run

TICK_SECONDS = 30


def _always(_session: Session, _now: datetime) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Task:
    """A periodic check: its name, its slot at an instant, and what a newly taken slot starts.

    `is_wanted`: whether the company needs it at all; else no slot is taken. `hand_over` gets the
    company and what `begin` returned.
    """

    name: str
    slot_at: Callable[[datetime], str]
    begin: Callable[[Session, datetime], int | None]
    is_wanted: Callable[[Session, datetime], bool] = _always
    hand_over: Callable[[int, int], None] = enqueue_run


def verification_slot(now: datetime) -> str:
    """The slot of the scheduled verification: its beginning, in UTC, e.g. `2026-03-01T06:00Z`."""
    hours = settings().verification_interval_hours
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight + timedelta(hours=now.astimezone(UTC).hour // hours * hours)
    return begins.strftime("%Y-%m-%dT%H:%MZ")


def begin_verification(session: Session, now: datetime) -> int | None:
    """A run, or None for a company that has no key yet: there is nothing to compare with."""
    if session.get_one(Company, require_company_id()).calcom_api_key is None:
        return None
    return start_run(session, scope=RunScope.SCHEDULED, now=now)


def reconnection_slot(now: datetime) -> str:
    """The slot of asking a refused key again: how many of its pauses have passed since 1970."""
    return str(int(now.timestamp() // settings().reconnect_seconds))


def begin_reconnection(_session: Session, _now: datetime) -> int:
    return require_company_id()


TASKS = {
    task.name: task
    for task in (
        Task("verification", verification_slot, begin_verification),
        Task(
            "reconnection",
            reconnection_slot,
            begin_reconnection,
            is_wanted=needs_asking,
            hand_over=enqueue_reconnection,
        ),
    )
}


def tick(task_name: str) -> None:
    """The scheduler's job: every company that has not had the task's current slot gets it now."""
    task = TASKS[task_name]
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            _begin_if_due(task, company_id)


def _begin_if_due(task: Task, company_id: int) -> None:
    now = clock.now()
    row_id = None
    if task.is_wanted(db.session(), now) and take_slot(
        db.session(), task.name, task.slot_at(now), now
    ):
        row_id = task.begin(db.session(), now)
    db.session.commit()
    if row_id is not None:
        log("schedule").info("slot_begun", task=task.name, company_id=company_id)
        task.hand_over(company_id, row_id)


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
                interval=TICK_SECONDS,
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
        queue_name=PERIODIC, connection=connection, job_class=JsonJob, interval=TICK_SECONDS
    )
