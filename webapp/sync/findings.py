"""Findings: what was found is flagged, written down and told in one transaction, and closes by
itself when both sides agree again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.discrepancy import (
    Discrepancy,
    DiscrepancyType,
    Resolution,
)
from webapp.models.history import EventKind, record_event
from webapp.models.notification import NotificationType
from webapp.models.sync_state import ALLOWED_FROM, SyncState
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import Told, close_all_told, tell_many
from webapp.sync.dismissals import dismissed_facts, facts_of
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
    DiscrepancyType.ORPHANED_CALCOM: EventKind.FOUND_THERE,
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
    branch: str | None = None
    """What happened, in `verdict`'s words."""
    ours: Mapping[str, str] | None = None
    """How our side stood, where that may decide: `status` and `starts_at`."""
    held_back: str | None = None
    """Why the company's policies leave it to a person, where they have a say."""
    second_of: int | None = None
    """The appointment whose key a booking found only there carries, beside its own booking."""
    attempts: int | None = None
    """How often a push was tried, where one failed."""

    @property
    def evidence(self) -> dict[str, Any]:
        more = {
            "ours": self.ours,
            "held_back": self.held_back,
            "second_of": self.second_of,
            "attempts": self.attempts,
        }
        return self._seen | {name: value for name, value in more.items() if value is not None}

    @property
    def _seen(self) -> dict[str, Any]:
        fields = {difference.field: asdict(difference) for difference in self.differences}
        for values in fields.values():
            values.pop("field")
        seen = self.remote_updated_at
        return {
            "fields": fields,
            "detail": self.detail,
            "cause": self.cause,
            "branch": self.branch,
            "remote_updated_at": seen and seen.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Raised:
    """A finding about a (locked) appointment; `changes` are further columns to write."""

    appointment: Appointment
    finding: Finding
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> int:
        return self.appointment.id


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
    raise_findings(session, [Raised(appointment, finding, changes)], now=now, intent_id=intent_id)


def raise_findings(
    session: Session, raised: Sequence[Raised], *, now: datetime, intent_id: int | None = None
) -> int:
    """The same for many at once, in a handful of statements; returns how many are news."""
    steps, opened = _open_or_renew_all(session, raised, now)
    news = [each for each, step in zip(raised, steps, strict=True) if step is _Step.NEWS]
    # Another kind of trouble takes the place of what was told before.
    superseded = [subject_of(each.key) for each in news if each.key in opened]
    close_all_told(session, TOLD_OF_APPOINTMENTS, superseded, now=now)
    for each, step in zip(raised, steps, strict=True):
        _flag(each, now, is_dismissed=step is _Step.DISMISSED)
        if step in (_Step.NEWS, _Step.FURTHER_ON):
            _write(session, each.appointment.id, each.finding, now=now, intent_id=intent_id)
    session.flush()
    tell_many(session, [_told(each) for each in news], now=now)
    return len(news)


def note_findings(session: Session, raised: Sequence[Raised], *, now: datetime) -> None:
    """Open or renew the discrepancies, and no more: for what is settled in the same breath, so
    that nobody has to be told."""
    _open_or_renew_all(session, raised, now)
    session.flush()


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
    closed = close_findings(
        session, [appointment_id], resolution, now=now, user_id=user_id, note=note
    )
    return bool(closed)


def close_findings(
    session: Session,
    appointment_ids: Sequence[int],
    resolution: Resolution,
    *,
    now: datetime,
    user_id: int | None = None,
    note: str | None = None,
) -> set[int]:
    """The same for many; returns the appointments that had one open."""
    opened = _open_discrepancies(session, appointment_ids)
    for appointment_id, discrepancy in opened.items():
        discrepancy.resolve(resolution, now=now, user_id=user_id, note=note)
        assert discrepancy.resolution is not None  # noqa: S101 - narrows the type
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
    close_all_told(session, TOLD_OF_APPOINTMENTS, [subject_of(each) for each in opened], now=now)
    return set(opened)


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


def _open_or_renew_all(
    session: Session, raised: Sequence[Raised], now: datetime
) -> tuple[list[_Step], set[int]]:
    """What each finding is to what is open, and which appointments had one open."""
    opened = _open_discrepancies(session, [each.key for each in raised])
    fresh = [each for each in raised if each.key not in opened]
    earlier = _earlier_reopenings(session, fresh)
    dismissed = dismissed_facts(session, [each.appointment for each in fresh])
    steps = [_open_or_renew(session, each, opened, earlier, dismissed, now) for each in raised]
    return steps, set(opened)


def _open_discrepancies(session: Session, appointment_ids: Sequence[int]) -> dict[int, Discrepancy]:
    """What is open about these appointments, locked, by appointment."""
    found = session.scalars(
        select(Discrepancy)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id.in_(appointment_ids),
            Discrepancy.resolved_at.is_(None),
        )
        .with_for_update()
    )
    return {each.appointment_id: each for each in found}


def _earlier_reopenings(
    session: Session, raised: Sequence[Raised]
) -> dict[tuple[int, DiscrepancyType], int]:
    """How often the last discrepancy of each appointment and type had been reopened."""
    if not raised:
        return {}
    rows = session.execute(
        select(Discrepancy.appointment_id, Discrepancy.type, Discrepancy.reopened_count)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id.in_([each.key for each in raised]),
        )
        .order_by(Discrepancy.id)
    )
    return {(appointment_id, type_): count for appointment_id, type_, count in rows}


def _open_or_renew(
    session: Session,
    raised: Raised,
    opened: dict[int, Discrepancy],
    earlier: dict[tuple[int, DiscrepancyType], int],
    dismissed: dict[int, str],
    now: datetime,
) -> _Step:
    finding, found = raised.finding, opened.get(raised.key)
    if found is None:
        facts = facts_of(raised.appointment, finding.type, finding.code, finding.evidence)
        if dismissed.get(raised.key) == facts:
            return _Step.DISMISSED
        before = earlier.get((raised.key, finding.type))
        session.add(_new_discrepancy(raised, 0 if before is None else before + 1, now))
        return _Step.NEWS
    step = _step(found, finding)
    found.type, found.code = finding.type, finding.code
    found.evidence = finding.evidence
    found.last_seen_at = now
    if finding.type is not DiscrepancyType.SYNC_FAILED:
        # The answer to what a person asked for; a push that failed may still go on quietly.
        found.drop_ask()
    return step


def _flag(raised: Raised, now: datetime, *, is_dismissed: bool) -> None:
    """The row is locked, so writing it is the move; `sync_state` says which are allowed.

    What a person dismissed is as it is, but nobody's to review.
    """
    appointment, finding = raised.appointment, raised.finding
    state = STATE_BY_TYPE[finding.type]
    if appointment.calcom_sync_status not in ALLOWED_FROM[state]:
        return
    appointment.calcom_sync_status = state
    appointment.sync_error_code = finding.code
    appointment.sync_error_message = finding.detail
    if not is_dismissed:
        appointment.requires_manual_review = True
        appointment.manual_review_flagged_at = appointment.manual_review_flagged_at or now
    for column, value in raised.changes.items():
        setattr(appointment, column, value)


def _step(found: Discrepancy, finding: Finding) -> _Step:
    if found.type is finding.type:
        return _Step.RENEWED
    if finding.cause is not None and found.type is DiscrepancyType.SYNC_FAILED:
        # Missing or different there because our push failed, of which people were told.
        return _Step.FURTHER_ON
    if finding.type is DiscrepancyType.SYNC_FAILED and found.evidence.get("cause") == finding.code:
        # The way back: pushed again by itself on a later day, refused again for the same reason.
        return _Step.FURTHER_ON
    return _Step.NEWS


def _new_discrepancy(raised: Raised, reopened_count: int, now: datetime) -> Discrepancy:
    finding = raised.finding
    return Discrepancy(
        appointment_id=raised.key,
        type=finding.type,
        code=finding.code,
        evidence=finding.evidence,
        opened_at=now,
        last_seen_at=now,
        reopened_count=reopened_count,
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


def _told(raised: Raised) -> Told:
    return Told(
        NotificationType(raised.finding.type.value),
        subject_of(raised.key),
        raised.key,
        {"code": raised.finding.code},
    )
