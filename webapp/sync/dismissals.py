"""Dismissals: a person has looked and wants to hear no more of it until something else is found."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.discrepancy import Discrepancy, DiscrepancyType, Resolution
from webapp.models.tenancy import require_company_id
from webapp.sync.reconcile import view_of_ours


def facts_of(
    appointment: Appointment, type_: DiscrepancyType, code: str, evidence: Mapping[str, Any]
) -> str:
    """What a finding is about, hashed: its kind and code, and what each side says.

    When Cal.com last wrote the row and in which words it refused are no facts.
    """
    ours = view_of_ours(appointment)
    theirs = {
        name: _plain(values.get("theirs"))
        for name, values in (evidence.get("fields") or {}).items()
    }
    facts = [type_.value, code, _plain(ours.starts_at), ours.status, theirs]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_dismissed(session: Session, appointment: Appointment, facts: str) -> bool:
    """Whether a person dismissed exactly this, and the two sides haven't agreed since."""
    last = session.scalar(
        select(Discrepancy)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id == appointment.id,
        )
        .order_by(Discrepancy.id.desc())
        .limit(1)
    )
    if last is None or last.resolution is not Resolution.DISMISSED or last.resolved_at is None:
        return False
    agreed_at = appointment.sync_verified_at
    return last.dismissed_facts == facts and (agreed_at is None or agreed_at <= last.resolved_at)


def _plain(value: object) -> str | None:
    """One spelling for one instant, whatever zone it was written in."""
    if value is None:
        return None
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return instant.astimezone(UTC).isoformat()
