"""The worker (`python worker.py`) and the scheduler (`python worker.py scheduler`).

Any number of either may run, on any machine. A worker carries out jobs inside the application's
context. One scheduler leads: it beats the pulse and is rq-scheduler's clock; the others stand by.
"""

import argparse
import os
import signal
import sys
import threading
import time
from types import FrameType

from flask import Flask
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from webapp import create_app
from webapp.extensions import db
from webapp.jobs import pulse, queues, schedule
from webapp.jobs.heartbeats import Heart
from webapp.logs import log
from webapp.models.heartbeat import ProcessKind

ASSERT_LIST_SECONDS = 5.0
BEGIN_ANEW_SECONDS = 1.0
LISTEN_SECONDS = 10
"""How long a worker waits for a job, or for its child at one, before it gives a sign of life."""


class LockstepWorker(Worker):
    """An RQ worker that is back soon after Redis is: by default it waits up to a minute. Between
    two jobs and during one it gives signs of life."""

    max_connection_wait_time = 2.0
    is_told_to_stop = False

    def __init__(self, names: tuple[str, ...], connection: Redis, heart: Heart) -> None:
        self._heart = heart
        super().__init__(
            [queues.queue(name, connection) for name in names],
            connection=connection,
            job_class=queues.JsonJob,
            serializer=JSONSerializer,
            worker_ttl=LISTEN_SECONDS + 15,  # RQ waits 15 s less than this
            job_monitoring_interval=LISTEN_SECONDS,
        )

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Called by RQ often enough; ours goes first, for Redis may be away."""
        self._heart.beat()
        super().heartbeat(timeout, pipeline)

    def maintain_heartbeats(self, job: Job) -> None:
        self._heart.beat(job_id=job.id)
        super().maintain_heartbeats(job)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Noted before Redis is asked, which may be away, what to do about it."""
        self.is_told_to_stop = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def main() -> int:
    arguments = _parser().parse_args()
    app = create_app()
    os.register_at_fork(after_in_child=lambda: _forget_connections(app))
    with app.app_context():
        return _schedule(app) if arguments.role == "scheduler" else _work(app, arguments.burst)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("role", nargs="?", choices=["work", "scheduler"], default="work")
    parser.add_argument("--burst", action="store_true", help="end when the queues are empty")
    return parser


def _forget_connections(app: Flask) -> None:
    """A forked child must not share the parent's database connections."""
    with app.app_context():
        db.engine.dispose(close=False)


def _work(app: Flask, burst: bool) -> int:
    """RQ's loop ends when Redis goes away between two jobs: then it is begun anew."""
    heart = Heart(ProcessKind.WORKER, queues.NAMES)
    while not _work_while_redis_is_there(_connect(app), burst, heart):
        heart.beat()
        time.sleep(BEGIN_ANEW_SECONDS)
    heart.stop()
    return 0


def _work_while_redis_is_there(connection: Redis, burst: bool, heart: Heart) -> bool:
    """Whether that was all: told to stop, or (`burst`) the queues are empty."""
    worker = None
    try:
        worker = LockstepWorker(queues.NAMES, connection, heart)
        worker.work(burst=burst, with_scheduler=False, logging_level="WARNING")
    except RedisError as error:
        log("worker").warning("redis_away", error=type(error).__name__)
    finally:
        _stop_on_signals_again()
        connection.close()
    return burst or (worker is not None and worker.is_told_to_stop)


def _stop_on_signals_again() -> None:
    """The worker that ended has left its handlers behind; without one a signal ends the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def _schedule(app: Flask) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    connection = queues.connect_for_web(app.extensions["settings"].redis_url)
    leadership = pulse.Leadership()
    heart = Heart(ProcessKind.SCHEDULER)
    pause = app.extensions["settings"].pulse_seconds
    next_assertion = 0.0
    while not stop.wait(pause):
        is_leader = leadership.is_held()
        heart.beat(is_leader=is_leader)
        if is_leader:
            pulse.beat_or_log(connection, lambda what: log("pulse").warning("away", what=what))
            next_assertion = _keep_clock(connection, next_assertion)
    leadership.release()
    heart.stop()
    return 0


def _keep_clock(connection: Redis, next_assertion: float) -> float:
    """Serve rq-scheduler's list; returns when it is to be asserted again (monotonic seconds)."""
    try:
        if time.monotonic() >= next_assertion:
            schedule.assert_list(connection)
            next_assertion = time.monotonic() + ASSERT_LIST_SECONDS
        schedule.hand_over_due(connection)
    except RedisError as error:
        log("schedule").warning("away", what=f"redis: {type(error).__name__}")
    return next_assertion


def _connect(app: Flask) -> Redis:
    return Redis.from_url(app.extensions["settings"].redis_url, socket_connect_timeout=2)


if __name__ == "__main__":
    sys.exit(main())
