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
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.insight.trend import keep_card_day
from webapp.jobs.queues import (
    PERIODIC,
    JsonJob,
    enqueue_cleaning,
    enqueue_reconnection,
    enqueue_rollup,
    enqueue_run,
    enqueue_sealing,
    enqueue_thresholds,
    queue,
)
from webapp.jobs.sealing import begin_sealing
from webapp.jobs.slots import every, nightly
from webapp.logs import log
from webapp.models.company import Company
from webapp.models.crossing import company_ids
from webapp.models.run import RunScope, is_slot_taken, take_slot
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.connection import needs_asking
from webapp.sync.first_steps import has_begun
from webapp.sync.runs import start_run

FIGURES_MINUTES = 5
"""How often figures are counted and thresholds evaluated (S11)."""


@dataclass(frozen=True, slots=True)
class Task:
    """A periodic check: its name, its slot at an instant, and what a slot begins.

    `begin` gets the instant and the slot and returns the row that `hand_over` gives to the workers;
    None: nothing to begin, and the slot stays free for a later tick.
    """

    name: str
    slot_at: Callable[[datetime, ZoneInfo], str]
    begin: Callable[[Session, datetime, str], int | None]
    hand_over: Callable[[int, int], None] = enqueue_run


def verification_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(hours=settings().verification_interval_hours))


def sweep_slot(now: datetime, zone: ZoneInfo) -> str:
    return nightly(now, zone, settings().sweep_hour)


def delta_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(minutes=settings().delta_interval_minutes))


def reconnection_slot(now: datetime, _zone: ZoneInfo) -> str:
    """How many of the pauses before a refused key is asked again have passed since 1970."""
    return str(int(now.timestamp() // settings().reconnect_seconds))


def cleaning_slot(now: datetime, zone: ZoneInfo) -> str:
    return nightly(now, zone, settings().cleaning_hour)


def sealing_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(minutes=settings().sealing_interval_minutes))


def _run_of(scope: RunScope) -> Callable[[Session, datetime, str], int | None]:
    def begin(session: Session, now: datetime, slot: str) -> int | None:
        """None for a company that has not begun, and while another run of it is running."""
        company = session.get_one(Company, require_company_id())
        if company.calcom_api_key is None or not has_begun(session):
            return None
        return start_run(session, scope=scope, now=now, slot=slot)

    return begin


def _begin_reconnection(session: Session, now: datetime, _slot: str) -> int | None:
    return require_company_id() if needs_asking(session, now) else None


def _begin_sealing(session: Session, _now: datetime, _slot: str) -> int | None:
    return begin_sealing(session)


def cards_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(hours=1))


def _keep_figures(session: Session, now: datetime, _slot: str) -> int | None:
    """Small enough to be done by the tick itself."""
    company = session.get_one(Company, require_company_id())
    keep_card_day(session, now, company.zone)
    return company.id


def _nobody(_company_id: int, _row_id: int) -> None:
    """There is nothing left to hand over."""


def figures_slot(now: datetime, _zone: ZoneInfo) -> str:
    return every(now, timedelta(minutes=FIGURES_MINUTES))


def _begin_always(_session: Session, _now: datetime, _slot: str) -> int:
    return require_company_id()


TASKS = {
    task.name: task
    for task in (
        Task("sweep", sweep_slot, _run_of(RunScope.FULL)),
        Task("verification", verification_slot, _run_of(RunScope.SCHEDULED)),
        Task("delta", delta_slot, _run_of(RunScope.DELTA)),
        Task("reconnection", reconnection_slot, _begin_reconnection, enqueue_reconnection),
        Task("cleaning", cleaning_slot, _begin_always, enqueue_cleaning),
        Task("sealing", sealing_slot, _begin_sealing, enqueue_sealing),
        Task("figures", cards_slot, _keep_figures, _nobody),
        Task("rollup", figures_slot, _begin_always, enqueue_rollup),
        Task("thresholds", figures_slot, _begin_always, enqueue_thresholds),
    )
}


def slot_bounds(task: Task, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the slot that `now` is in began and when the next begins, to the second; no slot is
    longer than a day and its hour of summer time."""
    longest = timedelta(hours=26)
    slot = task.slot_at(now, zone)
    begins = _change(lambda at: task.slot_at(at, zone) == slot, now - longest, now)
    ends = _change(lambda at: task.slot_at(at, zone) != slot, now, now + longest)
    return begins, ends


def _change(is_after: Callable[[datetime], bool], low: datetime, high: datetime) -> datetime:
    """The first full second that is after a change, between an instant before and one after it."""
    while high - low > timedelta(milliseconds=100):
        middle = low + (high - low) / 2
        low, high = (low, middle) if is_after(middle) else (middle, high)
    return high.replace(microsecond=0)


def tick(task_name: str) -> None:
    """The scheduler's job: every company that has not had the task's current slot gets it now."""
    task = TASKS[task_name]
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            try:
                _tick_for(company_id, task)
            except OperationalError:
                raise
            except Exception:  # noqa: BLE001 - one company must not cost those after it their slot
                db.session.rollback()
                log("schedule").exception("tick_broke_off", task=task.name, company_id=company_id)


def _tick_for(company_id: int, task: Task) -> None:
    row_id = begin_if_due(db.session(), task, clock.now())
    db.session.commit()
    if row_id is not None:
        log("schedule").info("slot_begun", task=task.name, company_id=company_id)
        task.hand_over(company_id, row_id)


def begin_if_due(session: Session, task: Task, now: datetime) -> int | None:
    """Begin what the task's current slot brings, if nobody has; returns the row to hand over.

    The slot is taken together with its row, never without: while another run of the company is
    running it stays free, and a later tick begins it.
    """
    company = session.get_one(Company, require_company_id())
    slot = task.slot_at(now, company.zone)
    if is_slot_taken(session, task.name, slot):
        return None
    row_id = task.begin(session, now, slot)
    if row_id is None or not take_slot(session, task.name, slot, now):
        session.rollback()
        return None
    return row_id


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
    """What rq-scheduler's own loop does, but past an entry that can't be read; and a tick that
    waits already isn't queued once more, or they would pile up where no worker is."""
    scheduler = _scheduler(connection)
    now = datetime.now(UTC).timestamp()
    due = cast(list[bytes], connection.zrangebyscore(Scheduler.scheduled_jobs_key, 0, now))
    waiting = set(queue(PERIODIC, connection).job_ids) if due else set()
    for raw in due:
        entry = raw.decode(errors="replace")
        if entry in waiting:
            next_at = now + settings().tick_seconds
            connection.zadd(Scheduler.scheduled_jobs_key, {raw: next_at}, xx=True)
            continue
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
