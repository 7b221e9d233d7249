"""Runs: one pass over a company's appointments, a row that can be watched and stopped.

    listing ──► doubts ──► absences ──► done
       └────────────┴───────────┴─────► failed (also: the brake), stopped

A run checkpoints with every page, in the page's own transaction, so that a further job (or another
worker, after a death) goes on where it stopped and nothing counts twice. The checkpoint is a
compare-and-swap: a job that lost its lease to another can't write a page. While doubts and
absences are settled the checkpoint stands still: two jobs there ask twice and count twice, but
write the same. Nothing is written for a run that is over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.run import Run, RunPhase, RunScope, RunStatus, running_run
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.listing import Checkpoint
from webapp.sync.sightings import forget_sightings

RUN_LEASE = timedelta(seconds=60)
BY_PEOPLE = frozenset({RunScope.REQUESTED, RunScope.IMPORT})
FIRST_DELTA = timedelta(days=1)
"""How far a company's first look at changes goes back; what is older, the sweep sees."""


class RunLost(Exception):
    """Another job goes on with this run: write nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How far back runs look; the future belongs to all of them."""

    scheduled_days: int
    sweep_days: int
    overlap_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What doesn't change while a job works on a run: read once."""

    host: str
    event_type_ids: tuple[int, ...]
    lately_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as it stands, with what its company's listing needs: plain values."""

    id: int
    scope: RunScope
    phase: RunPhase
    started_at: datetime
    window_from: datetime | None
    checkpoint: Checkpoint
    lately_since: datetime | None
    event_type_ids: tuple[int, ...]
    host: str
    listing_count: int
    listed_count: int
    expected_count: int
    error_count: int
    is_trusted: bool
    is_truncated: bool
    is_stop_requested: bool

    @property
    def has_window(self) -> bool:
        """Whether it compares a stretch of time; a delta only what changed."""
        return self.scope is not RunScope.DELTA

    @property
    def is_import(self) -> bool:
        """Whether a person asked for all that is only there."""
        return self.scope is RunScope.IMPORT

    def was_verified_lately(self, verified_at: datetime) -> bool:
        """Since the previous slot began; only scheduled runs leave those out (S5.3)."""
        return self.lately_since is not None and verified_at >= self.lately_since


def start_run(
    session: Session,
    *,
    scope: RunScope,
    now: datetime,
    user_id: int | None = None,
    slot: str | None = None,
    is_trusted: bool = False,
) -> int | None:
    """Begin a run; None where one of this company is running already (the database decides).

    A person's goes ahead of a look at changes: that one ends, what it has compared holds, and the
    next reads the rest, for its watermark hasn't moved.
    """
    if scope in BY_PEOPLE:
        _end_look_at_changes(session, now=now, user_id=user_id)
    values = {
        "company_id": require_company_id(),
        "scope": scope,
        "slot": slot,
        "requested_by_user_id": user_id,
        "started_at": now,
        "lease_until": now,
        "is_trusted": is_trusted,
    }
    return session.scalar(insert(Run).values(values).on_conflict_do_nothing().returning(Run.id))


def _end_look_at_changes(session: Session, *, now: datetime, user_id: int | None) -> None:
    """Whoever works on it finds it over at the next checkpoint. Sightings go first, as at every
    end: two orders would be a deadlock."""
    found = running_run(session)
    if found is None or found.scope is not RunScope.DELTA:
        return
    forget_sightings(session, found.id)
    _write(
        session,
        found.id,
        status=RunStatus.STOPPED,
        finished_at=now,
        stop_requested_at=now,
        stop_requested_by_user_id=user_id,
    )


def take_run(session: Session, run_id: int, *, now: datetime) -> bool:
    """Work on a run whose lease has passed; False where another job does."""
    taken = session.scalar(
        update(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.id == run_id,
            Run.status == RunStatus.RUNNING,
            Run.lease_until <= now,
        )
        .values(lease_until=now + RUN_LEASE)
        .returning(Run.id)
    )
    return taken is not None


def prepare_run(session: Session, run_id: int, windows: Windows) -> None:
    """Set a new run's window, its first checkpoint and what progress is measured by."""
    run = _get(session, run_id)
    if run.cursor_at is not None:
        return
    if run.scope is RunScope.DELTA:
        company = session.get_one(Company, require_company_id())
        known = company.verified_changes_until or run.started_at - FIRST_DELTA
        run.changed_since = known - timedelta(seconds=windows.overlap_seconds)
        run.cursor_at = run.changed_since
        return
    is_short = run.scope is RunScope.SCHEDULED
    days = windows.scheduled_days if is_short else windows.sweep_days
    run.window_from = run.started_at - timedelta(days=days)
    run.cursor_at = run.window_from
    run.expected_count = count_expected(session, run.window_from)


def count_expected(session: Session, since: datetime) -> int:
    """The appointments that start from here on."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Appointment)
            .where(Appointment.company_id == require_company_id(), Appointment.starts_at >= since)
        )
        or 0
    )


def survey_ground(session: Session, run_id: int) -> Ground:
    company = session.get_one(Company, require_company_id())
    return Ground(
        host=company.calcom_host,
        event_type_ids=_event_type_ids(session),
        lately_since=_previous_slot(session, _get(session, run_id)),
    )


def load_facts(session: Session, run_id: int, ground: Ground) -> RunFacts | None:
    """The run as it stands now; None where it is over."""
    run = _get(session, run_id)
    if run.status is not RunStatus.RUNNING:
        return None
    return RunFacts(
        id=run.id,
        scope=run.scope,
        phase=run.phase,
        started_at=run.started_at,
        window_from=run.window_from,
        checkpoint=Checkpoint(at=run.cursor_at or run.started_at, skip=run.cursor_skip),
        lately_since=ground.lately_since,
        event_type_ids=ground.event_type_ids,
        host=ground.host,
        listing_count=run.listing_count,
        listed_count=run.listed_count,
        expected_count=run.expected_count,
        error_count=run.error_count,
        is_trusted=run.is_trusted,
        is_truncated=run.is_truncated,
        is_stop_requested=run.stop_requested_at is not None,
    )


def advance_run(
    session: Session, run: RunFacts, *, now: datetime, skipped: dict[str, int], **steps: Any
) -> None:
    """Write figures and the next checkpoint. A name that ends in `_count` is added to, any other
    is set; the lease is renewed. Raises RunLost where another job has gone on meanwhile."""
    row = session.scalar(
        select(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.id == run.id,
            Run.status == RunStatus.RUNNING,
            Run.phase == run.phase,
            Run.cursor_at == run.checkpoint.at,
            Run.cursor_skip == run.checkpoint.skip,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise RunLost
    for name, value in steps.items():
        setattr(row, name, getattr(row, name) + value if name.endswith("_count") else value)
    reasons = dict(row.skipped)
    for reason, count in skipped.items():
        reasons[reason] = reasons.get(reason, 0) + count
    row.skipped = reasons
    row.skipped_count += sum(skipped.values())
    row.lease_until = now + RUN_LEASE
    session.flush()


def request_stop(session: Session, run_id: int, *, now: datetime, user_id: int | None) -> bool:
    """Let a running run end: a further job ends it at once, also where it waits for Cal.com, and
    the one that works on it writes nothing more. False where it is over already."""
    asked = session.scalar(
        update(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.id == run_id,
            Run.status == RunStatus.RUNNING,
        )
        .values(stop_requested_at=now, stop_requested_by_user_id=user_id, lease_until=now)
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return asked is not None


def pause_run(session: Session, run_id: int, *, now: datetime) -> None:
    """Let a further job go on at once: this one's time is over."""
    _write(session, run_id, lease_until=_unless_stopping(now))


def count_requests(session: Session, run_id: int, requests: int) -> None:
    """Add calls to Cal.com that were made for this run, answered or not; also where it is over."""
    if requests:
        session.execute(
            update(Run)
            .where(Run.company_id == require_company_id(), Run.id == run_id)
            .values(request_count=Run.request_count + requests)
            .execution_options(synchronize_session=False)
        )


def note_trouble(session: Session, run_id: int, *, until: datetime) -> int:
    """Cal.com couldn't answer: wait. Returns how often in a row that has been."""
    _write(
        session,
        run_id,
        lease_until=_unless_stopping(until),
        error_streak=Run.error_streak + 1,
    )
    return _get(session, run_id).error_streak


def _unless_stopping(until: datetime) -> ColumnElement[datetime]:
    """A run that is to stop waits for nothing: the request has made it due."""
    return case((Run.stop_requested_at.is_(None), until), else_=Run.lease_until)


def finish_run(
    session: Session,
    run_id: int,
    *,
    now: datetime,
    status: RunStatus = RunStatus.DONE,
    error_code: str | None = None,
) -> None:
    _write(session, run_id, status=status, finished_at=now, error_code=error_code)


def note_watermark(session: Session, run: RunFacts) -> None:
    """What changed on Cal.com before this run began has been read, to the last page."""
    company = session.get_one(Company, require_company_id())
    known = company.verified_changes_until
    if known is None or known < run.started_at:
        company.verified_changes_until = run.started_at


def _previous_slot(session: Session, run: Run) -> datetime | None:
    if run.scope is not RunScope.SCHEDULED:
        return None
    return session.scalar(
        select(func.max(Run.started_at)).where(
            Run.company_id == require_company_id(),
            Run.scope.in_([RunScope.SCHEDULED, RunScope.FULL]),
            Run.status == RunStatus.DONE,
            Run.id < run.id,
        )
    )


def _event_type_ids(session: Session) -> tuple[int, ...]:
    rows = session.scalars(
        select(Service.calcom_event_type_id)
        .where(
            Service.company_id == require_company_id(),
            Service.calcom_event_type_id.is_not(None),
        )
        .order_by(Service.calcom_event_type_id)
    )
    return tuple(each for each in rows if each is not None)


def _get(session: Session, run_id: int) -> Run:
    return session.get_one(Run, (require_company_id(), run_id), populate_existing=True)


def _write(session: Session, run_id: int, **values: object) -> None:
    session.execute(
        update(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.id == run_id,
            Run.status == RunStatus.RUNNING,
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
