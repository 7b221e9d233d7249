"""Incidents: a verification that can't be believed, and the ways out (S5.6).

A run that would flag more as missing than can be believed flags nothing and opens one incident. It
stays until a person runs it again or says "I have looked: flag them", or a later complete run finds
nothing of the kind.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Account
from webapp.models.appointment import Appointment
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.incident import (
    Incident,
    IncidentCause,
    IncidentType,
    Settlement,
    open_incident,
)
from webapp.models.notification import NotificationType
from webapp.models.run import Run, RunPhase, RunScope, RunSighting, SightingKind
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell
from webapp.sync.runs import RunFacts, start_run
from webapp.sync.sightings import forget_sightings

UNTRUSTED = "VERIFICATION_UNTRUSTED"
UNTRUSTED_SUBJECT = "verification"


@dataclass(frozen=True, slots=True)
class Settled:
    """What a person's way out led to; `run_id` is the run it began."""

    incident_id: int
    run_id: int


def recognise_account(session: Session, account: Account) -> bool:
    """Remember whose key it is at the first success; False where it is another's now."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    if company.calcom_account_id is None:
        company.calcom_account_id = account.id
        company.calcom_account_name = account.username or account.email
    return company.calcom_account_id == account.id


def raise_untrusted(
    session: Session,
    run_id: int,
    cause: IncidentCause,
    evidence: dict[str, Any],
    *,
    now: datetime,
) -> int:
    """Open the company's incident, or renew the open one; people are told once. Returns its id.

    `evidence` holds counts and ids, no customer data.
    """
    found = open_incident(session, IncidentType.VERIFICATION_UNTRUSTED)
    if found is None:
        found = Incident(
            type=IncidentType.VERIFICATION_UNTRUSTED, opened_at=now, last_seen_at=now, evidence={}
        )
        session.add(found)
        session.flush()
        type_ = NotificationType.VERIFICATION_UNTRUSTED
        tell(session, type_, UNTRUSTED_SUBJECT, now=now, cause=cause.value)
    elif found.run_id is not None:
        forget_sightings(session, found.run_id)
    found.run_id = run_id
    found.last_seen_at = now
    found.evidence = {**evidence, "cause": cause.value}
    session.flush()
    return found.id


def settle_by_itself(session: Session, run: RunFacts, *, now: datetime) -> bool:
    """A later complete run found nothing of the kind; False where it couldn't have."""
    found = open_incident(session, IncidentType.VERIFICATION_UNTRUSTED)
    if found is None or run.error_count or _looks_less_far(session, run, found):
        return False
    _settle(session, found, Settlement.BY_ITSELF, now=now, user_id=None)
    return True


def run_again(
    session: Session, incident_id: int, *, now: datetime, user_id: int | None
) -> Settled | None:
    """The first way out: look anew, with the brake on. None where the incident is settled already
    or a run is running; the caller commits and enqueues the run."""
    found = _open_one(session, incident_id)
    if found is None:
        return None
    run_id = start_run(session, scope=RunScope.REQUESTED, now=now, user_id=user_id)
    if run_id is None:
        return None
    _settle(session, found, Settlement.RAN_AGAIN, now=now, user_id=user_id)
    return Settled(found.id, run_id)


def flag_them(
    session: Session, incident_id: int, *, now: datetime, user_id: int | None
) -> Settled | None:
    """The second way out, "I have looked: flag them": go on where the run braked, without brake.

    Each is still asked for by a direct look, which then counts at once. Another account is taken
    for the company's from now on, and everything is compared anew with the brake on. None as for
    `run_again`.
    """
    found = _open_one(session, incident_id)
    if found is None:
        return None
    cause = found.evidence.get("cause")
    is_account = cause == IncidentCause.OTHER_ACCOUNT
    run_id = start_run(
        session, scope=RunScope.REQUESTED, now=now, user_id=user_id, is_trusted=not is_account
    )
    if run_id is None:
        return None
    if is_account:
        _accept_account(session, found)
    elif cause != IncidentCause.OURS_EMPTY and found.run_id is not None:
        _go_on_from(session, found.run_id, run_id)
    _settle(session, found, Settlement.FLAGGED, now=now, user_id=user_id)
    return Settled(found.id, run_id)


def _looks_less_far(session: Session, run: RunFacts, incident: Incident) -> bool:
    """A slot's run has a shorter window than the others, and sees nothing of what is missing before
    it."""
    seen_by = incident.evidence.get("scope")
    if run.scope is not RunScope.SCHEDULED or seen_by in (RunScope.SCHEDULED, RunScope.DELTA):
        return False
    before = (
        select(RunSighting.id)
        .join(
            Appointment,
            (Appointment.company_id == RunSighting.company_id)
            & (Appointment.id == RunSighting.appointment_id),
        )
        .where(
            RunSighting.company_id == require_company_id(),
            RunSighting.run_id == incident.run_id,
            RunSighting.kind.in_([SightingKind.UNSEEN, SightingKind.MISSING]),
            Appointment.starts_at < run.window_from,
            Appointment.requires_manual_review.is_(False),
        )
    )
    return session.scalar(before.limit(1)) is not None


def _go_on_from(session: Session, braked_id: int, run_id: int) -> None:
    """The new run takes over what the braked one noted, and looks at it one by one."""
    company_id = require_company_id()
    braked = session.get(Run, (company_id, braked_id))
    if braked is None:
        return
    run = session.get_one(Run, (company_id, run_id))
    run.phase = RunPhase.DOUBTS
    run.window_from = braked.window_from
    run.cursor_at = braked.cursor_at
    run.expected_count = braked.expected_count
    session.execute(
        update(RunSighting)
        .where(RunSighting.company_id == company_id, RunSighting.run_id == braked_id)
        .values(run_id=run_id)
    )


def _accept_account(session: Session, incident: Incident) -> None:
    account = incident.evidence["account"]
    company = session.get_one(Company, require_company_id())
    company.calcom_account_id = account["id"]
    company.calcom_account_name = account["name"]


def _open_one(session: Session, incident_id: int) -> Incident | None:
    found = open_incident(session, IncidentType.VERIFICATION_UNTRUSTED)
    return found if found is not None and found.id == incident_id else None


def _settle(
    session: Session,
    incident: Incident,
    settlement: Settlement,
    *,
    now: datetime,
    user_id: int | None,
) -> None:
    incident.settlement = settlement
    incident.settled_at = now
    incident.settled_by_user_id = user_id
    if settlement is not Settlement.FLAGGED and incident.run_id is not None:
        forget_sightings(session, incident.run_id)
    close_told(session, [NotificationType.VERIFICATION_UNTRUSTED], UNTRUSTED_SUBJECT, now=now)
    record_audit(
        session,
        "incident.settled",
        f"incident:{incident.id}",
        at=now,
        actor=Actor.SYSTEM if user_id is None else Actor.USER,
        user_id=user_id,
        settlement=settlement.value,
        cause=incident.evidence.get("cause"),
    )
