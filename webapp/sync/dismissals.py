"""Dismissals: a person has looked and wants to hear no more of it until something else is found."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
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


def dismissed_facts(session: Session, appointments: Sequence[Appointment]) -> dict[int, str]:
    """What a person dismissed about each of these last, where the two sides haven't agreed since:
    by appointment, hashed as `facts_of`."""
    if not appointments:
        return {}
    agreed_at = {each.id: each.sync_verified_at for each in appointments}
    rows = session.execute(
        select(
            Discrepancy.appointment_id,
            Discrepancy.resolution,
            Discrepancy.resolved_at,
            Discrepancy.dismissed_facts,
        )
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id.in_(agreed_at),
        )
        .ext(distinct_on(Discrepancy.appointment_id))
        .order_by(Discrepancy.appointment_id, Discrepancy.id.desc())
    )
    return {
        row.appointment_id: row.dismissed_facts
        for row in rows
        if row.resolution is Resolution.DISMISSED
        and not _is_after(agreed_at[row.appointment_id], row.resolved_at)
    }


def _is_after(one: datetime | None, other: datetime) -> bool:
    return one is not None and one > other


def _plain(value: object) -> str | None:
    """One spelling for one instant, whatever zone it was written in."""
    if value is None:
        return None
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return instant.astimezone(UTC).isoformat()
