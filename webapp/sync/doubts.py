"""Doubts: what a listing left open is looked at one by one, the way a single verification looks;
but that a booking is missing is said only when the run is through (S5.5)."""

from datetime import datetime

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.sync_state import FAILURES
from webapp.sync.intents import has_unfinished_intent, lock_appointment
from webapp.sync.judge import record_verification
from webapp.sync.pages import Change, PageFindings
from webapp.sync.reconcile import Mover, view_of_base, view_of_ours, view_of_theirs
from webapp.sync.runs import RunFacts
from webapp.sync.sightings import settle_sighting
from webapp.sync.verdict import decide
from webapp.sync.verify import Look, Observation, Outcome, Patience, fingerprint_of


def record_look(
    session: Session,
    run: RunFacts,
    look: Look,
    seen: Observation,
    *,
    now: datetime,
    patience: Patience,
) -> PageFindings:
    """Write down what a direct look showed, and end the doubt."""
    if seen.is_missing:
        return _note_missing(session, run, look)
    findings = PageFindings()
    row = lock_appointment(session, look.appointment_id)
    was_flagged = row is not None and row.requires_manual_review
    change = _change(session, look, seen.booking)
    outcome = record_verification(session, look, seen, now=now, patience=patience)
    settle_sighting(session, run.id, look.appointment_id, is_missing=False)
    _count(findings, outcome)
    if outcome in (Outcome.AGREED, Outcome.HEALED):
        findings.healed = int(was_flagged)
    is_flagged = row is not None and row.requires_manual_review
    if outcome is Outcome.DISAGREED and is_flagged and not was_flagged:
        findings.flagged = 1
        findings.moved_there = [] if change is None else [change]
    return findings


def skip_look(session: Session, run: RunFacts, appointment_id: int) -> PageFindings:
    """Nothing can or need be said of it now."""
    settle_sighting(session, run.id, appointment_id, is_missing=False)
    findings = PageFindings()
    findings.skipped["not_due"] += 1
    return findings


def _note_missing(session: Session, run: RunFacts, look: Look) -> PageFindings:
    findings = PageFindings()
    row = lock_appointment(session, look.appointment_id)
    has_changed = row is None or fingerprint_of(row) != look.seen
    if row is None or has_changed or has_unfinished_intent(session, look.appointment_id):
        settle_sighting(session, run.id, look.appointment_id, is_missing=False)
        findings.skipped["changed_meanwhile"] += 1
        return findings
    # What the look's lease would bring up again is settled when the run is through.
    row.next_verification_at = None
    settle_sighting(session, run.id, look.appointment_id, is_missing=True)
    findings.compared = 1
    findings.missing = 1
    return findings


def _count(findings: PageFindings, outcome: Outcome) -> None:
    differs = outcome in (Outcome.DISAGREED, Outcome.HEALED)
    findings.compared = int(differs or outcome is Outcome.AGREED)
    findings.agreed = int(outcome is Outcome.AGREED)
    findings.disagreed = int(differs)
    findings.errors = int(outcome is Outcome.ERROR)
    if outcome in (Outcome.SKIPPED, Outcome.SUSPECTED):
        findings.skipped["changed_meanwhile" if outcome is Outcome.SKIPPED else "just_written"] += 1


def _change(session: Session, look: Look, booking: Booking | None) -> Change | None:
    """What Cal.com changed, for whoever asks whether a webhook had announced it."""
    row = lock_appointment(session, look.appointment_id)
    if row is None or booking is None or row.calcom_sync_status in FAILURES:
        return None
    verdict = decide(view_of_ours(row), view_of_theirs(booking), view_of_base(row))
    if verdict.mover not in (Mover.THEIRS, Mover.BOTH):
        return None
    return Change(booking.uid, verdict.branch, row.id, booking.updated_at)
