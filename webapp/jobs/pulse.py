"""The pulse: every second, whatever is due and not queued yet is handed to the workers (S3.1).

It asks the database alone what is due, so it works after a flushed or restarted Redis as before.
One process leads, by an advisory lock that PostgreSQL drops with the leader's connection; the
others stand by.
"""

from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import hand_over, job_id, waiting_job_ids
from webapp.logs import log
from webapp.models.crossing import DueRow, due_rows

BATCH = 5000
OVERTAKES = "push"
"""A person's change that comes from here was a dead worker's, or waits for its retry: it is older
than what stands in the queue, and must not wait behind all that again."""

LEADER_LOCK = 0x10C4_57E9
"""The advisory lock's number; any constant of our own does."""


def beat(connection: Redis) -> int:
    """Hand over what is due; returns how many rows. Raises RedisError when Redis is away."""
    rows = due_rows(db.session(), clock.now(), BATCH)
    db.session.rollback()
    if not rows:
        return 0
    waiting = waiting_job_ids(connection)
    fresh = [row for row in rows if job_id(*row) not in waiting]
    handed = sum(_hand_over(row, connection) for row in _in_order_of_arrival(fresh))
    if handed:
        log("pulse").info("handed_over", rows=handed)
    return handed


def _hand_over(row: DueRow, connection: Redis) -> bool:
    return hand_over(*row, connection=connection, at_front=row.kind == OVERTAKES)


def _in_order_of_arrival(rows: list[DueRow]) -> list[DueRow]:
    """What overtakes arrives last first: each is put before the one before."""
    overtaking = [row for row in rows if row.kind == OVERTAKES]
    return overtaking[::-1] + [row for row in rows if row.kind != OVERTAKES]


class Leadership:
    """Whether this process may beat: it holds the advisory lock on a connection of its own."""

    def __init__(self, lock: int = LEADER_LOCK) -> None:
        self._lock = lock
        self._connection: Connection | None = None

    def is_held(self) -> bool:
        """Hold on to the lead or try to take it; a lost database connection loses the lead."""
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                self._connection.rollback()
                return True
            return self._take()
        except DBAPIError:
            self.release()
            return False

    def release(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _take(self) -> bool:
        connection = db.engine.connect()
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:n)"), {"n": self._lock})
        connection.rollback()
        if taken:
            self._connection = connection
            log("pulse").info("leading")
        else:
            connection.close()
        return bool(taken)


def beat_or_log(connection: Redis, report: Callable[[str], None]) -> None:
    """A beat that outlives a stopped Redis or PostgreSQL: both come back."""
    try:
        beat(connection)
    except RedisError as error:
        report(f"redis: {type(error).__name__}")
    except DBAPIError as error:
        db.session.remove()
        report(f"postgresql: {type(error.orig).__name__}")
