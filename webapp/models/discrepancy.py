"""What a verification or a push found and a person may have to settle; the open ones are the
review queue."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base
from webapp.models.appointment import Appointment
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.tenancy import require_company_id


class DiscrepancyType(StrEnum):
    """What is wrong; also the type of the notification that tells it."""

    ORPHANED_LOCAL = "orphaned_local"
    ORPHANED_CALCOM = "orphaned_calcom"
    DATA_MISMATCH = "data_mismatch"
    VERIFICATION_ERROR = "verification_error"
    SYNC_FAILED = "sync_failed"


class Resolution(StrEnum):
    """How it was settled."""

    BY_ITSELF = "by_itself"
    RETRIED = "retried"
    PUSHED_AGAIN = "pushed_again"
    TOOK_REMOTE = "took_remote"
    KEPT_OURS = "kept_ours"
    ADOPTED = "adopted"
    CANCELLED_REMOTE = "cancelled_remote"
    CHANGED = "changed"
    DISMISSED = "dismissed"
    BY_POLICY = "by_policy"


class Discrepancy(Owned, Base):
    """A finding about one appointment; at most one is open per appointment."""

    __tablename__ = "discrepancies"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("type", DiscrepancyType),
        one_of("resolution", Resolution),
        CheckConstraint("(resolution IS NULL) = (resolved_at IS NULL)", name="resolved_at"),
        Index(
            "uq_discrepancies_one_open",
            "company_id",
            "appointment_id",
            unique=True,
            postgresql_where="resolved_at IS NULL",
        ),
        Index(
            "ix_discrepancies_queue",
            "company_id",
            "opened_at",
            "id",
            postgresql_where="resolved_at IS NULL",
        ),
        Index(
            "ix_discrepancies_mismatches",
            "company_id",
            "opened_at",
            "id",
            postgresql_where="type = 'data_mismatch'",
        ),
        Index(None, "company_id", "appointment_id", "id"),
    )

    appointment_id: Mapped[int]
    type: Mapped[DiscrepancyType] = mapped_column(TextEnum(DiscrepancyType))
    code: Mapped[str]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    reopened_count: Mapped[int] = mapped_column(default=0)
    resolution: Mapped[Resolution | None] = mapped_column(TextEnum(Resolution))
    resolved_at: Mapped[datetime | None]
    resolved_by_user_id: Mapped[int | None]
    resolution_note: Mapped[str | None]

    appointment: Mapped[Appointment] = relationship(viewonly=True, lazy="raise_on_sql")


def open_discrepancy(session: Session, appointment_id: int) -> Discrepancy | None:
    """The open finding about an appointment, locked until the transaction ends."""
    return session.scalar(
        select(Discrepancy)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id == appointment_id,
            Discrepancy.resolved_at.is_(None),
        )
        .with_for_update()
    )
