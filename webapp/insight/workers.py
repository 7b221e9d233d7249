"""Whether anybody carries out the work: processes by their signs of life in the database.

Others may build on this: `living_workers` and `silent_workers` are kept stable.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from webapp.models.heartbeat import KEPT, Heartbeat, ProcessKind, heartbeats_since

BEAT_SECONDS = 10.0
"""How often a process gives a sign, seconds."""
LIVING = timedelta(seconds=45)
"""Who has given a sign this recently lives: three may be missed, the database being slow."""


def living_workers(session: Session, now: datetime) -> Sequence[Heartbeat]:
    """Workers and schedulers that live, in the order they began."""
    return heartbeats_since(session, now - LIVING)


def silent_workers(session: Session, now: datetime) -> list[Heartbeat]:
    """Those of the last day that fell silent without a clean end: killed, hung, or cut off."""
    return [each for each in heartbeats_since(session, now - KEPT) if not is_living(each, now)]


def is_living(process: Heartbeat, now: datetime) -> bool:
    return process.seen_at >= now - LIVING


def count_living(processes: Sequence[Heartbeat], kind: ProcessKind) -> int:
    """How many of one kind are among them."""
    return sum(process.kind is kind for process in processes)
