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
from webapp.jobs.queues import hand_over, hand_over_first, job_id, waiting_job_ids
from webapp.logs import log
from webapp.models.crossing import DueRow, due_rows
from webapp.models.tenancy import as_company
from webapp.sync.intents import expired_intents

BATCH = 5000
LEADER_LOCK = 0x10C4_57E9
"""The advisory lock's number; any constant of our own does."""


def beat(connection: Redis) -> int:
    """Hand over what is due; returns how many rows. Raises RedisError when Redis is away."""
    rows = due_rows(db.session(), clock.now(), BATCH)
    db.session.rollback()
    if not rows:
        return 0
    held = _held_by_the_dead(rows)
    waiting = waiting_job_ids(connection)
    fresh = [row for row in rows if row not in held and job_id(*row) not in waiting]
    handed = sum(hand_over(*row, connection=connection) for row in fresh)
    handed += sum(hand_over_first(*row, connection=connection) for row in held)
    if handed:
        log("pulse").info("handed_over", rows=handed)
    return handed


def _held_by_the_dead(rows: list[DueRow]) -> list[DueRow]:
    """The pushes whose lease ran out: they have waited long enough, and don't queue up again."""
    pushes = [row for row in rows if row.kind == "push"]
    held: set[tuple[int, int]] = set()
    for company_id in {row.company_id for row in pushes}:
        with as_company(company_id):
            expired = expired_intents(db.session(), now=clock.now())
            db.session.rollback()
        held |= {(company_id, intent_id) for intent_id in expired}
    return [row for row in pushes if (row.company_id, row.id) in held]


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
