"""Findings: what was found is flagged, written down and told in one transaction, and closes by
itself when both sides agree again."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, move_sync_state
from webapp.models.discrepancy import (
    Discrepancy,
    DiscrepancyType,
    Resolution,
    open_discrepancy,
)
from webapp.models.history import EventKind, record_event
from webapp.models.notification import NotificationType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell
from webapp.sync.dismissals import facts_of, is_dismissed
from webapp.sync.reconcile import Difference

STATE_BY_TYPE = {
    DiscrepancyType.ORPHANED_LOCAL: SyncState.ORPHANED_LOCAL,
    DiscrepancyType.ORPHANED_CALCOM: SyncState.ORPHANED_CALCOM,
    DiscrepancyType.DATA_MISMATCH: SyncState.FAILED,
    DiscrepancyType.VERIFICATION_ERROR: SyncState.FAILED,
    DiscrepancyType.SYNC_FAILED: SyncState.FAILED,
}
EVENT_BY_TYPE = {
    DiscrepancyType.ORPHANED_LOCAL: EventKind.MISSING,
    DiscrepancyType.ORPHANED_CALCOM: EventKind.MISSING,
    DiscrepancyType.DATA_MISMATCH: EventKind.MISMATCH,
    DiscrepancyType.VERIFICATION_ERROR: EventKind.VERIFICATION_FAILED,
    DiscrepancyType.SYNC_FAILED: EventKind.PUSH_FAILED,
}
TOLD_OF_APPOINTMENTS = [NotificationType(type_.value) for type_ in DiscrepancyType]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person may have to settle; `detail` is Cal.com's own text."""

    type: DiscrepancyType
    code: str
    detail: str | None = None
    differences: Sequence[Difference] = field(default_factory=list)
    remote_updated_at: datetime | None = None
    cause: str | None = None
    """The code of the failed push that led to it, where one did."""

    @property
    def evidence(self) -> dict[str, Any]:
        fields = {difference.field: asdict(difference) for difference in self.differences}
        for values in fields.values():
            values.pop("field")
        seen = self.remote_updated_at
        return {
            "fields": fields,
            "detail": self.detail,
            "cause": self.cause,
            "remote_updated_at": seen and seen.isoformat(),
        }


def raise_finding(
    session: Session,
    appointment: Appointment,
    finding: Finding,
    *,
    now: datetime,
    intent_id: int | None = None,
    **changes: Any,
) -> None:
    """Flag the (locked) appointment, open or renew its discrepancy, write history, tell people.

    The same finding seen again renews the row quietly; one that a person dismissed flags nothing.
    `changes` are further columns to write.
    """
    appointment_id = appointment.id
    step = _open_or_renew(session, appointment, finding, now)
    if step is not _Step.DISMISSED:
        changes |= _flag(appointment, now)
    move_sync_state(
        session,
        appointment_id,
        STATE_BY_TYPE[finding.type],
        sync_error_code=finding.code,
        sync_error_message=finding.detail,
        **changes,
    )
    if step in (_Step.NEWS, _Step.FURTHER_ON):
        _write(session, appointment_id, finding, now=now, intent_id=intent_id)
    if step is _Step.NEWS:
        _tell(session, appointment_id, finding, now=now)


def close_finding(
    session: Session,
    appointment_id: int,
    resolution: Resolution,
    *,
    now: datetime,
    user_id: int | None = None,
    note: str | None = None,
) -> bool:
    """Settle the open discrepancy, if there is one, and close what was told of it.

    Whoever calls this also moves the sync state and clears the flag.
    """
    discrepancy = open_discrepancy(session, appointment_id)
    if discrepancy is None:
        return False
    discrepancy.resolve(resolution, now=now, user_id=user_id, note=note)
    assert discrepancy.resolution is not None  # noqa: S101 - narrows the type
    close_told(session, TOLD_OF_APPOINTMENTS, subject_of(appointment_id), now=now)
    record_event(
        session,
        appointment_id,
        EventKind.RESOLVED,
        at=now,
        user_id=discrepancy.resolved_by_user_id,
        resolution=discrepancy.resolution.value,
        type=discrepancy.type.value,
        note=discrepancy.resolution_note,
    )
    return True


def subject_of(appointment_id: int) -> str:
    """What a notification about an appointment folds by."""
    return f"appointment:{appointment_id}"


class _Step(Enum):
    """How a finding relates to what is open: a stranger, the same trouble further on, the same;
    or to what was dismissed."""

    NEWS = auto()
    FURTHER_ON = auto()
    RENEWED = auto()
    DISMISSED = auto()


def _flag(appointment: Appointment, now: datetime) -> dict[str, Any]:
    return {
        "requires_manual_review": True,
        "manual_review_flagged_at": appointment.manual_review_flagged_at or now,
    }


def _open_or_renew(
    session: Session, appointment: Appointment, finding: Finding, now: datetime
) -> _Step:
    appointment_id = appointment.id
    found = open_discrepancy(session, appointment_id)
    if found is None:
        facts = facts_of(appointment, finding.type, finding.code, finding.evidence)
        if is_dismissed(session, appointment, facts):
            return _Step.DISMISSED
        session.add(_new_discrepancy(session, appointment_id, finding, now))
        session.flush()
        return _Step.NEWS
    step = _step(found, finding)
    if step is _Step.NEWS:
        close_told(session, TOLD_OF_APPOINTMENTS, subject_of(appointment_id), now=now)
    found.type, found.code = finding.type, finding.code
    found.evidence = finding.evidence
    found.last_seen_at = now
    if finding.type is not DiscrepancyType.SYNC_FAILED:
        # The answer to what a person asked for; a push that failed may still go on quietly.
        found.drop_ask()
    return step


def _step(found: Discrepancy, finding: Finding) -> _Step:
    if found.type is finding.type:
        return _Step.RENEWED
    if finding.cause is not None and found.type is DiscrepancyType.SYNC_FAILED:
        # Missing or different there because our push failed, of which people were told.
        return _Step.FURTHER_ON
    return _Step.NEWS


def _new_discrepancy(
    session: Session, appointment_id: int, finding: Finding, now: datetime
) -> Discrepancy:
    earlier = session.scalar(
        select(Discrepancy.reopened_count)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id == appointment_id,
            Discrepancy.type == finding.type,
        )
        .order_by(Discrepancy.id.desc())
        .limit(1)
    )
    return Discrepancy(
        appointment_id=appointment_id,
        type=finding.type,
        code=finding.code,
        evidence=finding.evidence,
        opened_at=now,
        last_seen_at=now,
        reopened_count=0 if earlier is None else earlier + 1,
    )


def _write(
    session: Session, appointment_id: int, finding: Finding, *, now: datetime, intent_id: int | None
) -> None:
    record_event(
        session,
        appointment_id,
        EVENT_BY_TYPE[finding.type],
        at=now,
        intent_id=intent_id,
        code=finding.code,
        **finding.evidence,
    )


def _tell(session: Session, appointment_id: int, finding: Finding, *, now: datetime) -> None:
    tell(
        session,
        NotificationType(finding.type.value),
        subject_of(appointment_id),
        now=now,
        appointment_id=appointment_id,
        code=finding.code,
    )
