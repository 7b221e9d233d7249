"""Runs: one pass over a company's appointments, a row that can be watched.

A run goes through the appointments of its window by id, a cursor behind the last one looked at,
so that a further job (or another worker, after a death) goes on where it stopped. Listings,
sightings across pages and the brake come with reconciliation at scale; here each appointment is
looked at by itself.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.run import Run, RunScope, RunStatus
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.verify import Outcome

RUN_LEASE = timedelta(seconds=60)

_COUNTER = {
    Outcome.AGREED: "agreed_count",
    Outcome.DISAGREED: "disagreed_count",
    Outcome.SUSPECTED: "disagreed_count",
    Outcome.ERROR: "error_count",
    Outcome.SKIPPED: "skipped_count",
}


@dataclass(frozen=True, slots=True)
class Window:
    """What a run looks at: the last `past_days` and the future; what agreed within `skip_seconds`
    is left out where a slot began the run, never where a person did."""

    past_days: int
    skip_seconds: float


def start_run(
    session: Session, *, scope: RunScope, now: datetime, user_id: int | None = None
) -> int | None:
    """Begin a run; None where one of this company is running already (the database decides)."""
    return session.scalar(
        insert(Run)
        .values(
            company_id=require_company_id(),
            scope=scope,
            status=RunStatus.RUNNING,
            requested_by_user_id=user_id,
            started_at=now,
            lease_until=now,
        )
        .on_conflict_do_nothing()
        .returning(Run.id)
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


def next_appointments(
    session: Session, run_id: int, window: Window, *, limit: int = 50
) -> list[int]:
    """The next appointments a run has to look at, by id; empty where it is through."""
    run = session.get_one(Run, (require_company_id(), run_id), populate_existing=True)
    query = (
        select(Appointment.id)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id > run.cursor_id,
            or_(
                Appointment.starts_at >= run.started_at - timedelta(days=window.past_days),
                Appointment.requires_manual_review,
            ),
        )
        .order_by(Appointment.id)
        .limit(limit)
    )
    if run.scope is RunScope.SCHEDULED:
        seen_lately = run.started_at - timedelta(seconds=window.skip_seconds)
        query = query.where(
            or_(
                Appointment.calcom_sync_status != SyncState.SYNCED,
                Appointment.sync_verified_at < seen_lately,
            )
        )
    return list(session.scalars(query))


def note_progress(
    session: Session, run_id: int, appointment_id: int, outcome: Outcome, *, now: datetime
) -> None:
    """Count one appointment, move the cursor, renew the lease: one small write."""
    counter = getattr(Run, _COUNTER[outcome])
    session.execute(
        update(Run)
        .where(Run.company_id == require_company_id(), Run.id == run_id)
        .values(
            {
                Run.cursor_id: appointment_id,
                Run.compared_count: Run.compared_count + int(outcome is not Outcome.SKIPPED),
                counter: counter + 1,
                Run.lease_until: now + RUN_LEASE,
            }
        )
        .execution_options(synchronize_session=False)
    )


def pause_run(session: Session, run_id: int, *, now: datetime) -> None:
    """Let a further job go on at once: this one's time is over."""
    _write(session, run_id, lease_until=now)


def finish_run(
    session: Session,
    run_id: int,
    *,
    now: datetime,
    status: RunStatus = RunStatus.DONE,
    error_code: str | None = None,
) -> None:
    _write(session, run_id, status=status, finished_at=now, error_code=error_code)


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
