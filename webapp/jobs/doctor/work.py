"""Whether the work gets done: workers, the scheduler, the clock's list, the queues, what is due."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from redis.exceptions import RedisError

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.insight.workers import living_workers, silent_workers
from webapp.jobs.doctor.findings import Finding, fail, ok, warn
from webapp.jobs.inspection import queue_figures
from webapp.jobs.queues import connect_for_web
from webapp.jobs.timetable import next_ticks
from webapp.models.crossing import due_rows
from webapp.models.heartbeat import ProcessKind

LATE = timedelta(minutes=5)
"""Work that has been due for so long isn't being carried out."""
OVERDUE_TICKS = 4
MOST_ROWS = 1000


def work_findings(*, has_redis: bool) -> Iterator[Finding]:
    now = clock.now()
    yield from _processes(now)
    yield _due(now)
    if has_redis:
        try:
            yield _clock(now)
            yield from _queues(now)
        except RedisError as error:
            yield fail("queues", f"can't be read: {type(error).__name__}", "look at Redis")


def _processes(now: datetime) -> Iterator[Finding]:
    living, silent = living_workers(db.session(), now), silent_workers(db.session(), now)
    number = sum(each.kind is ProcessKind.WORKER for each in living)
    has_leader = any(each.is_leader for each in living)
    fell_silent = [each.name for each in silent]
    db.session.rollback()
    if number == 0:
        yield fail("workers", "no worker lives", "start `python worker.py`, and see why it ended")
    elif fell_silent:
        yield warn(
            "workers",
            f"{number} live, fell silent: {', '.join(fell_silent)}",
            "see why they died; what they held is taken over by itself",
        )
    else:
        yield ok("workers", f"{number} live")
    if has_leader:
        yield ok("scheduler", "one leads")
    else:
        yield fail(
            "scheduler",
            "none leads: nothing is retried and no check begins",
            "start `python worker.py scheduler`",
        )


def _due(now: datetime) -> Finding:
    """The rows are asked, not the queues: what is due and nobody carries out shows here alone."""
    late = due_rows(db.session(), now - LATE, MOST_ROWS)
    db.session.rollback()
    if late:
        kinds = sorted({row.kind for row in late})
        number = f"{len(late)}{' or more' if len(late) == MOST_ROWS else ''}"
        return fail(
            "work",
            f"{number} overdue by {LATE.seconds // 60} minutes and more: {', '.join(kinds)}",
            "see workers, scheduler and queues above and below; `queues list`",
        )
    return ok("work", "nothing is overdue")


def _clock(now: datetime) -> Finding:
    ticks = next_ticks(connect_for_web(settings().redis_url))
    late = now - timedelta(seconds=settings().tick_seconds * OVERDUE_TICKS)
    missing = sorted(name for name, at in ticks.items() if at is None)
    overdue = sorted(name for name, at in ticks.items() if at is not None and at < late)
    if missing:
        return fail(
            "schedule",
            f"not on the clock's list: {', '.join(missing)}",
            "a leading scheduler puts it back within seconds: start one of this version",
        )
    if overdue:
        return fail(
            "schedule", f"not asked in time: {', '.join(overdue)}", "see the scheduler's log"
        )
    return ok("schedule", f"{len(ticks)} checks are on the clock's list")


def _queues(now: datetime) -> Iterator[Finding]:
    figures = queue_figures(connect_for_web(settings().redis_url))
    slow = [each.name for each in figures if each.oldest_at and each.oldest_at < now - LATE]
    failed = sum(each.failed for each in figures)
    if slow:
        yield fail(
            "queues",
            f"something has waited for {LATE.seconds // 60} minutes in: {', '.join(slow)}",
            "start more workers, or see what holds those that run: `workers`",
        )
    else:
        yield ok("queues", f"{sum(each.waiting for each in figures)} jobs wait")
    if failed:
        yield warn(
            "failed-jobs",
            f"{failed} ended in an error nobody foresaw",
            "`queues failed` names them, the log has the traces; then `queues retry-failed`",
        )
    else:
        yield ok("failed-jobs", "none")
