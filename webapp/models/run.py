"""Verification runs, and the slots of the periodic checks."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of
from webapp.models.tenancy import require_company_id


class RunScope(StrEnum):
    """Why a run looks: its slot came, or a person asked."""

    SCHEDULED = "scheduled"
    REQUESTED = "requested"


class RunStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Run(Owned, Base):
    """One pass over many appointments of a company; two never run at once."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("scope", RunScope),
        one_of("status", RunStatus),
        CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished_at"),
        Index(
            "uq_runs_one_running",
            "company_id",
            unique=True,
            postgresql_where="status = 'running'",
        ),
        Index("ix_runs_due", "lease_until", postgresql_where="status = 'running'"),
        Index(None, "company_id", "started_at", "id"),
    )

    scope: Mapped[RunScope] = mapped_column(TextEnum(RunScope))
    status: Mapped[RunStatus] = mapped_column(TextEnum(RunStatus), default=RunStatus.RUNNING)
    requested_by_user_id: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_until: Mapped[datetime]
    """The run's job is taken to have died when this passes; the pulse goes on with it."""
    cursor_id: Mapped[int] = mapped_column(default=0)
    """The last appointment looked at; a further job goes on behind it."""
    compared_count: Mapped[int] = mapped_column(default=0)
    agreed_count: Mapped[int] = mapped_column(default=0)
    disagreed_count: Mapped[int] = mapped_column(default=0)
    skipped_count: Mapped[int] = mapped_column(default=0)
    error_count: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]


class PeriodicSlot(Base):
    """Slot X of task Y was taken: two clocks, a restart or a repeated tick do nothing twice."""

    __tablename__ = "periodic_slots"

    company_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("companies.id"), primary_key=True
    )
    task: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    slot: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    taken_at: Mapped[datetime]


def take_slot(session: Session, task: str, slot: str, now: datetime) -> bool:
    """Take a slot of the current company; False when it was taken before."""
    taken = session.scalar(
        insert(PeriodicSlot)
        .values(company_id=require_company_id(), task=task, slot=slot, taken_at=now)
        .on_conflict_do_nothing()
        .returning(PeriodicSlot.slot)
    )
    return taken is not None


def latest_run(session: Session) -> Run | None:
    """The company's newest run."""
    return session.scalar(
        select(Run)
        .where(Run.company_id == require_company_id())
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
    )
