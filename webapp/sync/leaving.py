"""Who of our own is about to leave a time that Cal.com still refuses to another: an appointment
whose cancellation or move is on its way there, so that the refusal isn't final."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.intent import UNFINISHED, Intent, IntentStatus
from webapp.models.tenancy import require_company_id
from webapp.sync.answers import SLOT_LEAVING

SHORTEST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Leaving:
    """One that leaves; `next_try_at` None: it is being carried right now."""

    appointment_id: int
    next_try_at: datetime | None
    is_flagged: bool
    is_waiting_too: bool
    """Its own new time isn't free yet either."""


def who_leaves(session: Session, appointment: Appointment) -> list[Leaving]:
    """Whose unfinished changes free the (locked) appointment's wished time.

    Empty also where these wait in their turn for the time that this one would leave: two that
    swap would wait for each other for ever.
    """
    first = _leaving(session, appointment)
    ahead, seen = list(first), set[int]()
    while ahead:
        each = ahead.pop()
        if each.appointment_id == appointment.id:
            return []
        if each.is_waiting_too and each.appointment_id not in seen:
            seen.add(each.appointment_id)
            key = (require_company_id(), each.appointment_id)
            ahead += _leaving(session, session.get_one(Appointment, key))
    return first


def pause_until_free(leaving: Sequence[Leaving], now: datetime) -> float:
    """Seconds until it is worth another try: when the first of them has had its own."""
    pauses = [(each.next_try_at - now).total_seconds() for each in leaving if each.next_try_at]
    soonest = min(pauses) if len(pauses) == len(leaving) else 0.0
    return min(max(soonest, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)


def _leaving(session: Session, appointment: Appointment) -> list[Leaving]:
    rows = session.execute(
        select(
            Appointment.id,
            Appointment.requires_manual_review,
            Intent.status,
            Intent.due_at,
            Intent.error_code,
        )
        .join(
            Intent,
            (Intent.company_id == Appointment.company_id)
            & (Intent.appointment_id == Appointment.id),
        )
        .where(
            Intent.company_id == require_company_id(),
            Intent.status.in_(UNFINISHED),
            Appointment.id != appointment.id,
            _has_stood_at(appointment),
            _is_wished_elsewhere(appointment),
        )
    )
    return [
        Leaving(
            row.id,
            row.due_at if row.status is IntentStatus.WAITING else None,
            row.requires_manual_review,
            row.error_code == SLOT_LEAVING,
        )
        for row in rows
    ]


def _has_stood_at(appointment: Appointment) -> ColumnElement[bool]:
    """As both sides last agreed, or as a try in doubt asked for."""
    sent = func.unnest(Intent.sent_starts).column_valued("sent")
    length = Appointment.ends_at - Appointment.starts_at
    return or_(
        and_(
            Appointment.base_starts_at < appointment.ends_at,
            Appointment.base_ends_at > appointment.starts_at,
        ),
        exists().where(sent < appointment.ends_at, sent + length > appointment.starts_at),
    )


def _is_wished_elsewhere(appointment: Appointment) -> ColumnElement[bool]:
    return or_(
        Appointment.status == AppointmentStatus.CANCELLED,
        Appointment.starts_at >= appointment.ends_at,
        Appointment.ends_at <= appointment.starts_at,
    )
