"""Signs of life of workers and schedulers, so that anybody can see whether work is carried out.

They serve all companies and belong to none: the one table that is read and written without one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import BigInteger, ColumnElement, Index, Text, delete, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import TextEnum, one_of
from webapp.models.tenancy import ACROSS

KEPT = timedelta(days=1)
"""For so long one that fell silent is remembered."""


class ProcessKind(StrEnum):
    """What a process does: carries out jobs, or is pulse and clock."""

    WORKER = "worker"
    SCHEDULER = "scheduler"


class Heartbeat(Base):
    """One process. A clean end removes its row; one that died is known by the age of `seen_at`."""

    __tablename__ = "heartbeats"
    __table_args__ = (one_of("kind", ProcessKind), Index(None, "seen_at"))

    name: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    """Host, process id and a few random characters: process ids come again."""
    kind: Mapped[ProcessKind] = mapped_column(TextEnum(ProcessKind))
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    queues: Mapped[list[str]] = mapped_column(JSONB, default=list)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    job_id: Mapped[str | None]
    """What a worker was at when it was last seen: kind, company's and row's id."""
    is_leader: Mapped[bool] = mapped_column(default=False)
    """Of several schedulers, the one that works."""


def record_heartbeat(session: Session, beat: Heartbeat) -> None:
    """Write or renew a process's row, and forget those that have been silent for a day."""
    values = {column.name: getattr(beat, column.name) for column in Heartbeat.__table__.columns}
    renewal = insert(Heartbeat).values(values)
    session.execute(
        renewal.on_conflict_do_update(
            index_elements=["name"],
            set_={name: renewal.excluded[name] for name in ("seen_at", "job_id", "is_leader")},
        ),
        execution_options=ACROSS,
    )
    _delete(session, Heartbeat.seen_at < beat.seen_at - KEPT)


def remove_heartbeat(session: Session, name: str) -> None:
    """The process has ended as it should."""
    _delete(session, Heartbeat.name == name)


def heartbeats_since(session: Session, since: datetime) -> Sequence[Heartbeat]:
    """Every process that has given a sign since, in the order they began."""
    query = (
        select(Heartbeat)
        .where(Heartbeat.seen_at >= since)
        .order_by(Heartbeat.started_at, Heartbeat.name)
    )
    return session.scalars(query, execution_options=ACROSS).all()


def _delete(session: Session, which: ColumnElement[bool]) -> None:
    gone = delete(Heartbeat).where(which).execution_options(synchronize_session=False)
    session.execute(gone, execution_options=ACROSS)
