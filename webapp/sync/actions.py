"""What may be done about a finding, and what is best (S6). A pure table over the finding, its
appointment and the time; and the same as a condition, for thousands at once.

| finding         | besides retry and dismiss                                                    |
|-----------------|------------------------------------------------------------------------------|
| data_mismatch   | take Cal.com's version; while to come: keep ours, or cancel on Cal.com where |
|                 | ours is cancelled                                                            |
| orphaned_local  | take Cal.com's version: cancel here; while to come: push again               |
| orphaned_calcom | adopt; while to come: cancel on Cal.com                                      |
| sync_failed     | while to come: push again                                                    |

While something is on its way only a verification may be asked for anew.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import TIMESTAMP, ColumnElement, and_, cast, false, func, or_

from webapp.models.appointment import LIVE, Appointment, AppointmentStatus
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.models.sync_state import FAILURES, SyncState

MAILING = frozenset({Action.PUSH_AGAIN, Action.KEEP_OURS, Action.CANCEL_REMOTE})
"""Cal.com mails the customer about these (API.md §2)."""

NEEDS_REASON = frozenset({Action.CANCEL_REMOTE, Action.DISMISS})

BY_ITSELF_LATER = frozenset(
    {"TIMEOUT", "CONNECTION", "RATE_LIMITED", "CIRCUIT_OPEN", "SLOT_LEAVING"}
)
"""Codes that say nothing of the appointment: trying again may do."""

NEEDS_A_CHANGE = frozenset(
    {"SLOT_UNAVAILABLE", "HTTP_409", "UNAUTHORIZED", "NO_EVENT_TYPE", "PROTOCOL"}
)
"""Codes where pushing the same again would end the same way."""


def actions_for(
    finding: Discrepancy, appointment: Appointment, now: datetime
) -> tuple[Action, ...]:
    """What may be done now, in the order in which it is shown; empty where nothing may."""
    if not finding.is_open or appointment.calcom_sync_status is SyncState.PENDING:
        return ()
    if is_being_verified(appointment):
        return (Action.RETRY,)
    retry = (Action.RETRY,) if appointment.calcom_sync_status in FAILURES else ()
    return (*retry, *_settling(finding, appointment, now), Action.DISMISS)


def suggest(finding: Discrepancy, appointment: Appointment, now: datetime) -> Action | None:
    """What is most likely right; None where a person has to compare, or to change something."""
    offered = actions_for(finding, appointment, now)
    wanted = _best(finding, appointment)
    return wanted if wanted in offered else None


def is_second(finding: Discrepancy) -> bool:
    """Whether it is about a second booking for an appointment that has one."""
    return finding.evidence.get("second_of") is not None


def is_being_verified(appointment: Appointment) -> bool:
    return (
        appointment.calcom_sync_status is SyncState.VERIFICATION_PENDING
        or appointment.verification_requested_at is not None
    )


def ends_appointment(finding: Discrepancy, appointment: Appointment, action: Action) -> bool:
    """Whether ours would be cancelled by it, which nothing undoes."""
    if action is Action.CANCEL_REMOTE:
        return appointment.status is not AppointmentStatus.CANCELLED
    if action is not Action.TAKE_REMOTE or appointment.status is AppointmentStatus.CANCELLED:
        return False
    if finding.type is DiscrepancyType.ORPHANED_LOCAL:
        return True
    return _field(finding, "status").get("theirs") == "cancelled"


def _settling(finding: Discrepancy, appointment: Appointment, now: datetime) -> tuple[Action, ...]:
    is_live = appointment.is_live
    is_to_come = appointment.starts_at > now
    match finding.type:
        case DiscrepancyType.DATA_MISMATCH:
            return _of_mismatch(finding, appointment, now)
        case DiscrepancyType.ORPHANED_LOCAL if is_live:
            push = (Action.PUSH_AGAIN,) if is_to_come else ()
            return (*push, Action.TAKE_REMOTE)
        case DiscrepancyType.ORPHANED_CALCOM:
            may_cancel = is_live and is_to_come
            return (Action.ADOPT, Action.CANCEL_REMOTE) if may_cancel else (Action.ADOPT,)
        case DiscrepancyType.SYNC_FAILED if is_to_come and not _has_taken_place(appointment):
            return (Action.PUSH_AGAIN,)
    return ()


def _of_mismatch(
    finding: Discrepancy, appointment: Appointment, now: datetime
) -> tuple[Action, ...]:
    take = (Action.TAKE_REMOTE,) if finding.evidence.get("fields") else ()
    if appointment.status is AppointmentStatus.CANCELLED:
        cancels = max(appointment.starts_at, _their_start(finding) or now) > now
        return (*take, Action.CANCEL_REMOTE) if cancels else take
    if appointment.is_live and appointment.starts_at > now:
        return (*take, Action.KEEP_OURS)
    return take


def _best(finding: Discrepancy, appointment: Appointment) -> Action | None:
    match finding.type:
        case DiscrepancyType.DATA_MISMATCH:
            return _best_of_mismatch(finding, appointment)
        case DiscrepancyType.ORPHANED_LOCAL:
            return Action.PUSH_AGAIN
        case DiscrepancyType.ORPHANED_CALCOM:
            return Action.CANCEL_REMOTE if is_second(finding) else Action.ADOPT
        case DiscrepancyType.VERIFICATION_ERROR:
            return Action.RETRY
    if finding.code in BY_ITSELF_LATER or finding.code.startswith("HTTP_5"):
        return Action.RETRY
    return None if finding.code in NEEDS_A_CHANGE else Action.PUSH_AGAIN


def _best_of_mismatch(finding: Discrepancy, appointment: Appointment) -> Action | None:
    """Whoever left the base means it; where both did, or nobody knows, a person compares."""
    movers = {each.get("moved") for each in (finding.evidence.get("fields") or {}).values()}
    if movers == {"theirs"}:
        return Action.TAKE_REMOTE
    if movers != {"ours"}:
        return None
    is_cancelled = appointment.status is AppointmentStatus.CANCELLED
    return Action.CANCEL_REMOTE if is_cancelled else Action.KEEP_OURS


def _has_taken_place(appointment: Appointment) -> bool:
    return appointment.status in {AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW}


def _field(finding: Discrepancy, name: str) -> dict[str, Any]:
    return dict((finding.evidence.get("fields") or {}).get(name) or {})


def _their_start(finding: Discrepancy) -> datetime | None:
    theirs = _field(finding, "starts_at").get("theirs")
    return None if theirs is None else datetime.fromisoformat(theirs)


# The same, as conditions over discrepancies joined with their appointments.

_STATE, _TYPE = Appointment.calcom_sync_status, Discrepancy.type
_IS_IDLE = and_(
    _STATE.not_in([SyncState.PENDING, SyncState.VERIFICATION_PENDING]),
    Appointment.verification_requested_at.is_(None),
)
_IS_VERIFYING = and_(
    _STATE != SyncState.PENDING,
    or_(
        _STATE == SyncState.VERIFICATION_PENDING,
        Appointment.verification_requested_at.is_not(None),
    ),
)
_IS_LIVE = Appointment.status.in_(LIVE)
_IS_CANCELLED = Appointment.status == AppointmentStatus.CANCELLED
_HAS_FIELDS = func.coalesce(Discrepancy.evidence["fields"].astext, "{}").not_in(["{}", "null"])
_THEIRS = cast(
    Discrepancy.evidence["fields"]["starts_at"]["theirs"].astext, TIMESTAMP(timezone=True)
)


def offers(action: Action, now: datetime) -> ColumnElement[bool]:
    """The open findings for which `actions_for` has this action."""
    return and_(Discrepancy.resolved_at.is_(None), _conditions(now)[action])


def ends_many(action: Action) -> ColumnElement[bool]:
    """Those of them whose appointment `action` would cancel here."""
    if action is Action.CANCEL_REMOTE:
        return ~_IS_CANCELLED
    there = Discrepancy.evidence["fields"]["status"]["theirs"].astext
    gone = or_(_TYPE == DiscrepancyType.ORPHANED_LOCAL, func.coalesce(there, "") == "cancelled")
    return and_(~_IS_CANCELLED, gone) if action is Action.TAKE_REMOTE else false()


def _conditions(now: datetime) -> dict[Action, ColumnElement[bool]]:
    to_come = Appointment.starts_at > now
    mismatch = _TYPE == DiscrepancyType.DATA_MISMATCH
    ours_gone = _TYPE == DiscrepancyType.ORPHANED_CALCOM
    theirs_gone = _TYPE == DiscrepancyType.ORPHANED_LOCAL
    failed = _TYPE == DiscrepancyType.SYNC_FAILED
    over = Appointment.status.in_([AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW])
    cancels_live = and_(mismatch, _IS_CANCELLED, or_(to_come, func.coalesce(now < _THEIRS, False)))
    idle: dict[Action, ColumnElement[bool]] = {
        Action.PUSH_AGAIN: and_(to_come, or_(and_(theirs_gone, _IS_LIVE), and_(failed, ~over))),
        Action.TAKE_REMOTE: or_(and_(mismatch, _HAS_FIELDS), and_(theirs_gone, _IS_LIVE)),
        Action.KEEP_OURS: and_(mismatch, _IS_LIVE, to_come),
        Action.ADOPT: ours_gone,
        Action.CANCEL_REMOTE: or_(cancels_live, and_(ours_gone, _IS_LIVE, to_come)),
    }
    conditions = {action: and_(_IS_IDLE, condition) for action, condition in idle.items()}
    retry = or_(_IS_VERIFYING, and_(_IS_IDLE, _STATE.in_(FAILURES)))
    return {**conditions, Action.RETRY: retry, Action.DISMISS: _IS_IDLE}
