"""What happened to an appointment: one append-only list, shown as its timeline (S2.6).

Routine agreement writes nothing here: a million rows twice a day would drown what matters.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.appointment import Origin
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.tenancy import require_company_id


class EventKind(StrEnum):
    """Stable names: they are shown, counted and exported."""

    BOOKED = "booked"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    MARKED = "marked"
    EDITED = "edited"
    IMPORTED = "imported"
    SUPERSEDED = "superseded"
    NOTHING_TO_PUSH = "nothing_to_push"
    PUSHED = "pushed"
    PUSH_RETRIES = "push_retries"
    PUSH_WAITS = "push_waits"
    PUSH_FAILED = "push_failed"
    LEASE_LOST = "lease_lost"
    VERIFIED = "verified"
    MISMATCH = "mismatch"
    MISSING = "missing"
    ABSENCE_SUSPECTED = "absence_suspected"
    VERIFICATION_FAILED = "verification_failed"
    RETRY_REQUESTED = "retry_requested"
    VERIFY_REQUESTED = "verify_requested"
    PUSH_REQUESTED = "push_requested"
    SETTLEMENT_REQUESTED = "settlement_requested"
    RESOLVED = "resolved"
    HEALED = "healed"
    FOUND_THERE = "found_there"
    ADOPTED = "adopted"
    RECOGNISED = "recognised"
    WEBHOOK_APPLIED = "webhook_applied"
    ECHO_SUPPRESSED = "echo_suppressed"
    PUSH_BACK_SUPPRESSED = "push_back_suppressed"


class HistoryEvent(Owned, Base):
    """One entry of the timeline; the application role may insert and read, nothing else."""

    __tablename__ = "history_events"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("kind", EventKind),
        one_of("origin", Origin),
        Index(None, "company_id", "appointment_id", "id"),
        Index(None, "company_id", "at", "id"),
        Index(
            "ix_history_events_delivery_id",
            "company_id",
            "delivery_id",
            postgresql_where="delivery_id IS NOT NULL",
        ),
    )

    appointment_id: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[EventKind] = mapped_column(TextEnum(EventKind))
    origin: Mapped[Origin] = mapped_column(TextEnum(Origin))
    user_id: Mapped[int | None]
    intent_id: Mapped[int | None]
    delivery_id: Mapped[int | None]
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)


def record_event(
    session: Session,
    appointment_id: int,
    kind: EventKind,
    *,
    at: datetime,
    origin: Origin = Origin.SYSTEM,
    user_id: int | None = None,
    intent_id: int | None = None,
    delivery_id: int | None = None,
    **data: Any,
) -> None:
    """Append to an appointment's timeline; `data` must be JSON (instants as ISO text)."""
    session.add(
        HistoryEvent(
            appointment_id=appointment_id,
            kind=kind,
            at=at,
            origin=origin,
            user_id=user_id,
            intent_id=intent_id,
            delivery_id=delivery_id,
            data=data,
        )
    )


def timeline(session: Session, appointment_id: int, limit: int = 200) -> list[HistoryEvent]:
    """An appointment's latest events, newest first."""
    query = (
        select(HistoryEvent)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.appointment_id == appointment_id,
        )
        .order_by(HistoryEvent.id.desc())
        .limit(limit)
    )
    return list(session.scalars(query))


def effects_of(session: Session, delivery_id: int, limit: int = 50) -> list[HistoryEvent]:
    """What one delivery wrote into histories, oldest first."""
    query = (
        select(HistoryEvent)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.delivery_id == delivery_id,
        )
        .order_by(HistoryEvent.id)
        .limit(limit)
    )
    return list(session.scalars(query))
