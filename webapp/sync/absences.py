"""Absence: what a complete listing didn't show and a direct look didn't find (S5.5), and the brake
that keeps a bad listing from flagging a company's whole calendar (S5.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.models.appointment import LIVE, Appointment, AppointmentStatus
from webapp.models.company import Company
from webapp.models.incident import IncidentCause
from webapp.models.run import Run, RunScope, RunSighting, RunStatus, SightingKind
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import record_agreements
from webapp.sync.findings import Raised, raise_findings
from webapp.sync.healing import create_again
from webapp.sync.judge import absence_of
from webapp.sync.runs import RunFacts
from webapp.sync.sightings import sighted
from webapp.sync.verify import Patience
from webapp.sync.writing import codes_of_failed_pushes, lock_appointments

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Brake:
    """A run may newly flag `least` as missing, or this share of the active appointments."""

    least: int
    share: float

    def most(self, active: int) -> int:
        return max(self.least, int(active * self.share))


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why a run must not be believed, with the figures that say so."""

    cause: IncidentCause
    evidence: dict[str, Any]


def count_active(session: Session, since: datetime) -> int:
    """The company's appointments that should stand on Cal.com, from `since` on."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Appointment)
            .where(
                Appointment.company_id == require_company_id(),
                Appointment.starts_at >= since,
                Appointment.status.in_(LIVE),
            )
        )
        or 0
    )


def alarm_after_listing(
    session: Session, run: RunFacts, brake: Brake, *, most_looks: int
) -> Alarm | None:
    """Whether the listing itself is past belief: empty, or more is unseen than a run looks at. What
    is known to be missing doesn't count: a person has looked at it, or is to."""
    if run.is_trusted or run.window_from is None:
        return None
    unseen = _count_newly(session, run.id, SightingKind.UNSEEN)
    active = count_active(session, run.window_from)
    figures = {"unseen": unseen, "active": active, "threshold": brake.most(active)}
    if run.listed_count == 0 and unseen > brake.least:
        return _alarm(session, run, IncidentCause.THEIRS_EMPTY, SightingKind.UNSEEN, figures)
    if unseen > max(brake.most(active), most_looks):
        return _alarm(session, run, IncidentCause.TOO_MANY_MISSING, SightingKind.UNSEEN, figures)
    return None


def alarm_at_missing(session: Session, run: RunFacts, brake: Brake) -> Alarm | None:
    """Whether more would newly be flagged as missing than can be believed."""
    if run.is_trusted or run.window_from is None:
        return None
    missing = _count_newly(session, run.id, SightingKind.MISSING)
    if missing <= brake.least:
        return None
    active = count_active(session, run.window_from)
    if missing <= brake.most(active):
        return None
    figures = {"missing": missing, "active": active, "threshold": brake.most(active)}
    return _alarm(session, run, IncidentCause.TOO_MANY_MISSING, SightingKind.MISSING, figures)


def alarm_of_our_side(session: Session, run: RunFacts, brake: Brake) -> Alarm | None:
    """Whether our own side is suddenly empty, so that each booking there would look unclaimed."""
    if run.is_trusted or not is_ours_suddenly_empty(session, run, brake):
        return None
    return Alarm(IncidentCause.OURS_EMPTY, evidence_of(session, run, sample=[]))


def is_ours_suddenly_empty(session: Session, run: RunFacts, brake: Brake) -> bool:
    """None of our appointments are left where the last complete run compared many. An import begins
    with nothing, and was asked for."""
    if run.is_trusted or run.is_import:
        return False
    before = _last_complete_run(session)
    if before is None or before.window_from is None or before.compared_count <= brake.least:
        return False
    # Of that run's window: a narrower one may have nothing in it.
    left = select(Appointment.id).where(
        Appointment.company_id == require_company_id(),
        Appointment.starts_at >= before.window_from,
        # What a run found only there is no sign of ours.
        Appointment.calcom_sync_status != SyncState.ORPHANED_CALCOM,
    )
    return session.scalar(left.limit(1)) is None


def _last_complete_run(session: Session) -> Run | None:
    return session.scalar(
        select(Run)
        .where(
            Run.company_id == require_company_id(),
            Run.status == RunStatus.DONE,
            Run.scope != RunScope.DELTA,
        )
        .order_by(Run.id.desc())
        .limit(1)
    )


def record_absences(
    session: Session, run: RunFacts, ids: Sequence[int], *, now: datetime, patience: Patience
) -> int:
    """Say what is missing, in a batch: a first sighting is kept for a second one, later; a second
    one, or a person's word, flags. Returns how many were newly flagged."""
    locked = lock_appointments(session, ids)
    rows = [row for row in locked.values() if not _was_written_lately(row, now, patience)]
    _end_what_nobody_wants(session, rows, now)
    causes = codes_of_failed_pushes(session, [row.id for row in rows])
    raised: list[Raised] = []
    newly = 0
    for row in rows:
        if row.status is AppointmentStatus.CANCELLED:
            continue
        again_at = _second_sighting_at(row, run, now, patience)
        if again_at is not None:
            row.absence_first_seen_at = row.absence_first_seen_at or now
            row.next_verification_at = again_at
            continue
        if not run.is_trusted and create_again(session, row, now=now):
            continue
        newly += row.calcom_sync_status is not SyncState.ORPHANED_LOCAL
        cause = causes.get(row.id) if row.calcom_v2_booking_id is None else None
        raised.append(absence_of(row, cause=cause))
    if raised:
        raise_findings(session, raised, now=now)
    session.flush()
    return newly


def _end_what_nobody_wants(session: Session, rows: Sequence[Appointment], now: datetime) -> None:
    """Cancelled here, or never more than a booking over there: gone on both sides is agreement."""
    gone = []
    for row in rows:
        if row.calcom_sync_status is SyncState.ORPHANED_CALCOM:
            row.status = AppointmentStatus.CANCELLED
        if row.status is AppointmentStatus.CANCELLED:
            gone.append((row, None))
    if gone:
        record_agreements(session, gone, now=now)


def _second_sighting_at(
    row: Appointment, run: RunFacts, now: datetime, patience: Patience
) -> datetime | None:
    """When the absence is to be seen once more; None: it counts now."""
    is_known = row.calcom_sync_status is SyncState.ORPHANED_LOCAL
    if run.is_trusted or is_known or row.calcom_v2_booking_id is None:
        return None
    gap = timedelta(seconds=patience.gap)
    first = row.absence_first_seen_at
    if first is None:
        return now + gap
    return first + gap if now < first + gap else None


def _was_written_lately(row: Appointment, now: datetime, patience: Patience) -> bool:
    written = row.remote_written_at
    return written is not None and now < written + timedelta(seconds=patience.grace)


def _count_newly(session: Session, run_id: int, kind: SightingKind) -> int:
    """How many of those noted so aren't flagged as missing already."""
    return (
        session.scalar(
            select(func.count())
            .select_from(RunSighting)
            .join(
                Appointment,
                (Appointment.company_id == RunSighting.company_id)
                & (Appointment.id == RunSighting.appointment_id),
            )
            .where(
                RunSighting.company_id == require_company_id(),
                RunSighting.run_id == run_id,
                RunSighting.kind == kind,
                Appointment.calcom_sync_status != SyncState.ORPHANED_LOCAL,
                Appointment.status != AppointmentStatus.CANCELLED,
            )
        )
        or 0
    )


def _alarm(
    session: Session,
    run: RunFacts,
    cause: IncidentCause,
    kind: SightingKind,
    figures: dict[str, Any],
) -> Alarm:
    sample = sighted(session, run.id, kind, SAMPLE)
    return Alarm(cause, {**evidence_of(session, run, sample=sample), **figures})


def evidence_of(session: Session, run: RunFacts, *, sample: list[int]) -> dict[str, Any]:
    """What an incident shows of a run: figures, ids and the account; no customer data."""
    company = session.get_one(Company, require_company_id())
    return {
        "scope": run.scope.value,
        "expected": run.expected_count,
        "listed": run.listed_count,
        "listings": run.listing_count,
        "window_from": run.window_from and run.window_from.isoformat(),
        "sample": sample,
        "account": {"id": company.calcom_account_id, "name": company.calcom_account_name},
        "known_account": {"id": company.calcom_account_id, "name": company.calcom_account_name},
    }
