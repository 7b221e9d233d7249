"""Writing down what a page of a run showed, in batches: uids learnt, agreements, mismatches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.appointment import Appointment, BookingAlias
from webapp.models.intent import UNFINISHED, Intent, IntentStatus
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.agreement import record_agreements
from webapp.sync.findings import raise_findings
from webapp.sync.healing import heal_mismatches
from webapp.sync.joining import Ours
from webapp.sync.judge import mismatch_of
from webapp.sync.unclaimed import follow_unclaimed, is_unclaimed
from webapp.sync.verdict import Verdict
from webapp.sync.verify import fingerprint_of


@dataclass(frozen=True, slots=True)
class Judged:
    """An appointment that has something to be written. `uids` are its booking's, learnt just now;
    `look_again_at`: it differs, but too soon to say so."""

    ours: Ours
    booking: Booking
    verdict: Verdict
    uids: Sequence[str] = ()
    look_again_at: datetime | None = None


@dataclass(slots=True)
class Written:
    """How many were newly flagged, how many flags closed, and what was left out and why."""

    flagged: int = 0
    healed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)


def write_judged(
    session: Session, judged: Sequence[Judged], *, host: str, now: datetime
) -> Written:
    """Lock the appointments, leave out what has changed since it was read, write the rest."""
    written = Written()
    locked = lock_appointments(session, [each.ours.id for each in judged])
    claimed = _claim(session, judged, locked, host, now)
    standing: list[tuple[Judged, Appointment]] = []
    for each in judged:
        row = locked.get(each.ours.id)
        if row is None or fingerprint_of(row) != each.ours.fingerprint:
            written.skipped["changed_meanwhile"] += 1
        elif not claimed.issuperset(each.uids):
            written.skipped["claimed_by_another"] += 1
        else:
            standing.append((each, row))
    _write_standing(session, standing, written, now)
    return written


def _write_standing(
    session: Session,
    standing: Iterable[tuple[Judged, Appointment]],
    written: Written,
    now: datetime,
) -> None:
    agreed: list[tuple[Appointment, Booking | None]] = []
    differing: list[tuple[Judged, Appointment]] = []
    for each, row in standing:
        if each.look_again_at is not None:
            row.next_verification_at = row.next_verification_at or each.look_again_at
        elif row.calcom_sync_status is SyncState.VERIFICATION_PENDING and is_unclaimed(
            session, row
        ):
            # It agrees because it was made of the booking; a person's own look is on its way.
            written.skipped["being_looked_at"] += 1
        elif each.verdict.agrees or _was_cancelled_there(row, each.booking):
            agreed.append((row, each.booking))
        elif row.verification_requested_at is not None:
            # A person has asked, perhaps to take Cal.com's version: their own look is on its way.
            written.skipped["being_looked_at"] += 1
        elif row.calcom_sync_status is not SyncState.ORPHANED_CALCOM:
            differing.append((each, row))
    written.healed += record_agreements(session, agreed, now=now) if agreed else 0
    if differing:
        _write_differing(session, differing, written, now)


def _was_cancelled_there(row: Appointment, booking: Booking) -> bool:
    """An orphan of Cal.com's follows its booking; True where that leaves nothing to settle."""
    is_orphan = row.calcom_sync_status is SyncState.ORPHANED_CALCOM
    return is_orphan and follow_unclaimed(row, booking)


def _write_differing(
    session: Session,
    differing: Sequence[tuple[Judged, Appointment]],
    written: Written,
    now: datetime,
) -> None:
    """What the company's policies settle is put right; the rest is flagged."""
    causes = codes_of_failed_pushes(session, [row.id for _, row in differing])
    mismatches = [
        (mismatch_of(row, each.booking, each.verdict, cause=causes.get(row.id)), each.booking)
        for each, row in differing
    ]
    was_flagged = {each.ours.id for each, _ in differing if each.ours.is_flagged}
    left = heal_mismatches(session, mismatches, now=now)
    left_ids = {each.key for each in left}
    written.flagged += len(left_ids - was_flagged)
    written.healed += len(was_flagged - left_ids)
    if left:
        raise_findings(session, left, now=now)


def lock_appointments(session: Session, ids: Sequence[int]) -> dict[int, Appointment]:
    """Rows as they are now, locked in order of id; those with a change on its way are left out,
    for whoever adds an intent holds the lock first."""
    rows = session.scalars(
        select(Appointment)
        .where(Appointment.company_id == require_company_id(), Appointment.id.in_(ids))
        .order_by(Appointment.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    busy = set(
        session.scalars(
            select(Intent.appointment_id).where(
                Intent.company_id == require_company_id(),
                Intent.appointment_id.in_(ids),
                Intent.status.in_(UNFINISHED),
            )
        )
    )
    return {row.id: row for row in rows if row.id not in busy}


def _claim(
    session: Session,
    judged: Sequence[Judged],
    locked: dict[int, Appointment],
    host: str,
    now: datetime,
) -> set[str]:
    """Write down the uids learnt; returns those that are now their appointment's."""
    wanted = {uid: each.ours.id for each in judged if each.ours.id in locked for uid in each.uids}
    if not wanted:
        return set()
    rows = [
        {
            "company_id": require_company_id(),
            "appointment_id": appointment_id,
            "calcom_host": host,
            "uid": uid,
            "first_seen_at": now,
        }
        for uid, appointment_id in wanted.items()
    ]
    session.execute(insert(BookingAlias).values(rows).on_conflict_do_nothing())
    holders = session.execute(
        select(BookingAlias.uid, BookingAlias.appointment_id).where(
            BookingAlias.company_id == require_company_id(),
            BookingAlias.calcom_host == host,
            BookingAlias.uid.in_(wanted),
        )
    )
    return {uid for uid, holder in holders if wanted[uid] == holder}


def codes_of_failed_pushes(session: Session, ids: Sequence[int]) -> dict[int, str]:
    """Why the last intents of these appointments were given up, where they were."""
    if not ids:
        return {}
    rows = session.execute(
        select(Intent.appointment_id, Intent.status, Intent.error_code)
        .ext(distinct_on(Intent.appointment_id))
        .where(Intent.company_id == require_company_id(), Intent.appointment_id.in_(ids))
        .order_by(Intent.appointment_id, Intent.id.desc())
    )
    return {
        appointment_id: code
        for appointment_id, status, code in rows
        if status is IntentStatus.FAILED and code is not None
    }
