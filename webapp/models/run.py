"""Verification runs and what one has sighted so far, and the slots of the periodic checks."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.tenancy import require_company_id


class RunScope(StrEnum):
    """What a run looks at (S5.3): a slot's window, the nightly sweep's, what changed there, or
    the sweep's window because a person asked. An import does that too, for a company that begins:
    what it finds only there is taken over, for that is what it was begun for."""

    SCHEDULED = "scheduled"
    FULL = "full"
    DELTA = "delta"
    REQUESTED = "requested"
    IMPORT = "import"


class RunStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class RunPhase(StrEnum):
    """Where a run is: it reads the listing, looks at what the listing left in doubt one by one,
    then says what is missing."""

    LISTING = "listing"
    DOUBTS = "doubts"
    ABSENCES = "absences"


class SightingKind(StrEnum):
    """What a run noted of an appointment for later: seen where its own page would not show it,
    in doubt, not seen where it should be, or proven absent by a direct look."""

    SEEN = "seen"
    DOUBTED = "doubted"
    UNSEEN = "unseen"
    MISSING = "missing"


class Run(Owned, Base):
    """One pass over many appointments of a company; two never run at once."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("scope", RunScope),
        one_of("status", RunStatus),
        one_of("phase", RunPhase),
        CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished_at"),
        Index(
            "uq_runs_one_running",
            "company_id",
            unique=True,
            postgresql_where="status = 'running'",
        ),
        Index("ix_runs_due", "lease_until", postgresql_where="status = 'running'"),
        Index(None, "company_id", "started_at", "id"),
        Index(None, "company_id", "finished_at"),
    )

    scope: Mapped[RunScope] = mapped_column(TextEnum(RunScope))
    status: Mapped[RunStatus] = mapped_column(TextEnum(RunStatus), default=RunStatus.RUNNING)
    slot: Mapped[str | None] = mapped_column(Text(collation="C"))
    """The slot that began it, as in `periodic_slots`; None: a person did."""
    requested_by_user_id: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_until: Mapped[datetime]
    """The run's job is taken to have died when this passes; the pulse goes on with it."""
    stop_requested_at: Mapped[datetime | None]
    stop_requested_by_user_id: Mapped[int | None]

    phase: Mapped[RunPhase] = mapped_column(TextEnum(RunPhase), default=RunPhase.LISTING)
    window_from: Mapped[datetime | None]
    """Appointments that start from here on are compared; None: a delta, which has no window."""
    changed_since: Mapped[datetime | None]
    """A delta reads what changed on Cal.com since this instant."""
    cursor_at: Mapped[datetime | None]
    """The checkpoint: the next page begins with this start (a delta: updatedAt), inclusive."""
    cursor_skip: Mapped[int] = mapped_column(default=0)
    """How many bookings at exactly `cursor_at` earlier pages have shown already."""
    error_streak: Mapped[int] = mapped_column(default=0)
    """Calls in a row that Cal.com could not answer; a page that was read sets it back."""

    listing_count: Mapped[int] = mapped_column(default=0)
    request_count: Mapped[int] = mapped_column(default=0)
    listed_count: Mapped[int] = mapped_column(default=0)
    """Bookings the listings showed, repeats left out."""
    expected_count: Mapped[int] = mapped_column(default=0)
    """Appointments in the window when the run began: what progress is measured by."""
    compared_count: Mapped[int] = mapped_column(default=0)
    agreed_count: Mapped[int] = mapped_column(default=0)
    disagreed_count: Mapped[int] = mapped_column(default=0)
    flagged_count: Mapped[int] = mapped_column(default=0)
    """Newly flagged by this run; `disagreed_count` holds what was flagged before, too."""
    healed_count: Mapped[int] = mapped_column(default=0)
    """Flagged before, seen to agree now."""
    missing_count: Mapped[int] = mapped_column(default=0)
    only_there_count: Mapped[int] = mapped_column(default=0)
    skipped_count: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[dict[str, int]] = mapped_column(JSONB, default=dict)
    """Why how many were left out: reason → count."""
    error_count: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]
    is_truncated: Mapped[bool] = mapped_column(default=False)
    """The page cap ended the listing: it proves nothing missing."""
    is_trusted: Mapped[bool] = mapped_column(default=False)
    """A person has looked: the brake is off, and what is missing counts at once (S5.6)."""

    @property
    def is_running(self) -> bool:
        return self.status is RunStatus.RUNNING

    @property
    def duration(self) -> timedelta | None:
        return None if self.finished_at is None else self.finished_at - self.started_at

    @property
    def is_complete(self) -> bool:
        """Whether everything in its window was seen to: only such a run proves absence."""
        return self.status is RunStatus.DONE and not self.is_truncated


class RunSighting(Owned, Base):
    """What a run noted of an appointment until it is through; agreement leaves none."""

    __tablename__ = "run_sightings"
    __table_args__ = (
        belongs_to("run_id", "runs", ondelete="CASCADE"),
        belongs_to("appointment_id", "appointments"),
        one_of("kind", SightingKind),
        UniqueConstraint("company_id", "run_id", "appointment_id"),
        Index(None, "company_id", "run_id", "kind", "id"),
    )

    run_id: Mapped[int]
    appointment_id: Mapped[int]
    kind: Mapped[SightingKind] = mapped_column(TextEnum(SightingKind))


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


def is_slot_taken(session: Session, task: str, slot: str) -> bool:
    """Whether a slot of the current company was begun; `take_slot` decides, this only asks."""
    return session.get(PeriodicSlot, (require_company_id(), task, slot)) is not None


def latest_slots(session: Session, tasks: Iterable[str]) -> dict[str, PeriodicSlot]:
    """Of each of these tasks the current company's last slot, however many there are: by task."""
    newest = [
        select(PeriodicSlot)
        .where(PeriodicSlot.company_id == require_company_id(), PeriodicSlot.task == task)
        .order_by(PeriodicSlot.slot.desc())
        .limit(1)
        .subquery()
        .select()
        for task in tasks
    ]
    rows = session.scalars(select(PeriodicSlot).from_statement(union_all(*newest)))
    return {row.task: row for row in rows}


def running_run(session: Session) -> Run | None:
    """The company's one run that isn't over; no other may begin."""
    return session.scalar(
        select(Run)
        .where(Run.company_id == require_company_id(), Run.status == RunStatus.RUNNING)
        .execution_options(populate_existing=True)
    )


def latest_run(session: Session) -> Run | None:
    """The company's newest run over a window; looks at what changed come every few minutes."""
    return session.scalar(
        select(Run)
        .where(Run.company_id == require_company_id(), Run.scope != RunScope.DELTA)
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
    )


def latest_finished_run(session: Session) -> Run | None:
    """The newest one over a window that got to its end."""
    return session.scalar(
        select(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.scope != RunScope.DELTA,
            Run.status == RunStatus.DONE,
        )
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
    )
