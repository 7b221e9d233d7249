"""What stands in the queues, for the operator: how much waits and since when, what failed, and what
can be done about it. Everything here raises RedisError where Redis is away."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, cast

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry

from webapp.jobs.queues import NAMES, JsonJob, queue


class QueueFigures(NamedTuple):
    """`oldest_at`: since when the foremost job waits; None where nothing does."""

    name: str
    waiting: int
    oldest_at: datetime | None
    running: int
    failed: int


class FailedJob(NamedTuple):
    """A job that ended in an error nobody foresaw; the log has the trace."""

    id: str
    queue: str
    function: str
    row: str
    ended_at: datetime | None
    error: str


def queue_figures(connection: Redis) -> list[QueueFigures]:
    """Every queue, in the order workers empty them."""
    return [_figures(name, connection) for name in NAMES]


def failed_jobs(connection: Redis, names: tuple[str, ...] = NAMES) -> list[FailedJob]:
    """What failed and is still known, by queue."""
    return [_describe(job, name) for name in names for job in _failed(name, connection)]


def clear_queue(name: str, connection: Redis) -> int:
    """Take every waiting job out of a queue; returns how many.

    Nothing is lost by it: the rows are the truth, and the pulse queues again whatever is due.
    """
    return int(queue(name, connection).empty())  # type: ignore[no-untyped-call]


def retry_failed(connection: Redis, names: tuple[str, ...] = NAMES) -> int:
    """Queue what failed again; returns how many. Each job claims its row anew, or finds it done."""
    number = 0
    for name in names:
        registry = _registry(name, connection)
        for job in _failed(name, connection):
            registry.requeue(job)
            number += 1
    return number


def _figures(name: str, connection: Redis) -> QueueFigures:
    waiting = queue(name, connection)
    foremost = waiting.get_job_ids(0, 1)
    return QueueFigures(
        name,
        waiting.count,
        _enqueued_at(foremost[0], connection) if foremost else None,
        waiting.started_job_registry.count,
        _registry(name, connection).count,
    )


def _enqueued_at(job_id: str, connection: Redis) -> datetime | None:
    try:
        return _aware(JsonJob.fetch(job_id, connection=connection).enqueued_at)
    except NoSuchJobError:
        return None


def _registry(name: str, connection: Redis) -> FailedJobRegistry:
    return cast(FailedJobRegistry, queue(name, connection).failed_job_registry)


def _failed(name: str, connection: Redis) -> Iterator[Job]:
    registry = _registry(name, connection)
    for job_id in registry.get_job_ids():
        try:
            yield JsonJob.fetch(job_id, connection=connection)
        except NoSuchJobError:
            registry.remove(job_id)


def _describe(job: Job, name: str) -> FailedJob:
    return FailedJob(
        job.id,
        name,
        job.func_name or "",
        " ".join(map(str, job.args or ())),
        _aware(job.ended_at),
        _error_of(job),
    )


def _error_of(job: Job) -> str:
    """The error's class and nothing it says: messages may hold what a row held."""
    result = job.latest_result()
    lines = (result.exc_string or "").strip().splitlines() if result else []
    return lines[-1].partition(":")[0].rpartition(".")[2] if lines else "unknown"


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
