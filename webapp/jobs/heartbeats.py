"""A process's signs of life: a row in the database, renewed every few seconds.

Written between two jobs and while one runs, by the process itself and never by the child that
carries out a job: no connection is held between two beats, so none is shared by a fork.
"""

import os
import secrets
import socket
import time

from sqlalchemy.exc import DBAPIError

from webapp import clock
from webapp.extensions import db
from webapp.insight.workers import BEAT_SECONDS
from webapp.logs import log
from webapp.models.heartbeat import Heartbeat, ProcessKind, record_heartbeat, remove_heartbeat


class Heart:
    """Beats for the process that made it; a database that is away only costs the beat."""

    def __init__(self, kind: ProcessKind, queues: tuple[str, ...] = ()) -> None:
        self._kind, self._queues = kind, queues
        self._host, self._pid = socket.gethostname(), os.getpid()
        self.name = f"{self._host}-{self._pid}-{secrets.token_hex(2)}"
        self._started_at = clock.now()
        self._next_at = 0.0

    def beat(self, *, job_id: str | None = None, is_leader: bool = False) -> None:
        """Give a sign, if one is due."""
        if os.getpid() != self._pid or time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + BEAT_SECONDS
        now = clock.now()
        sign = Heartbeat(
            name=self.name,
            kind=self._kind,
            host=self._host,
            pid=self._pid,
            queues=list(self._queues),
            started_at=self._started_at,
            seen_at=now,
            job_id=job_id,
            is_leader=is_leader,
        )
        try:
            record_heartbeat(db.session(), sign)
            db.session.commit()
        except DBAPIError as error:
            log("heartbeat").warning("beat_missed", error=type(error.orig).__name__)
        finally:
            db.session.remove()

    def stop(self) -> None:
        """The process ends as it should: it isn't missed."""
        if os.getpid() != self._pid:
            return
        try:
            remove_heartbeat(db.session(), self.name)
            db.session.commit()
        except DBAPIError as error:
            log("heartbeat").warning("beat_missed", error=type(error.orig).__name__)
        finally:
            db.session.remove()
