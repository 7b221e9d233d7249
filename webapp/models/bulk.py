"""Bulk actions: one thing done to many findings, or many appointments cancelled, in the background,
with an outcome for each.

    bulk action:  running ──► done | cancelled
    item:         queued ──► started ──► settled | still_open | failed
                     └─────► refused | cancelled      the act was not begun

Items are frozen when a person confirms; an item is begun by compare-and-swap, in the transaction of
its effect. One that is started waits for what a push or a verification says.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base
from webapp.models.appointment import Appointment
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.discrepancy import Discrepancy
from webapp.models.tenancy import require_company_id


class BulkKind(StrEnum):
    """The first are actions on findings (S6), by the same names; the last is on appointments."""

    RETRY = "retry"
    PUSH_AGAIN = "push_again"
    TAKE_REMOTE = "take_remote"
    KEEP_OURS = "keep_ours"
    ADOPT = "adopt"
    CANCEL_REMOTE = "cancel_remote"
    DISMISS = "dismiss"
    CANCEL = "cancel"


class BulkStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class ItemStatus(StrEnum):
    QUEUED = "queued"
    STARTED = "started"
    SETTLED = "settled"
    STILL_OPEN = "still_open"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNDONE = frozenset({ItemStatus.QUEUED, ItemStatus.STARTED})


class BulkAction(Owned, Base):
    """One act on many findings or appointments."""

    __tablename__ = "bulk_actions"
    __table_args__ = (
        belongs_to("requested_by_user_id", "users"),
        one_of("kind", BulkKind),
        one_of("status", BulkStatus),
        CheckConstraint("(status = 'running') = (finished_at IS NULL)", name="finished_at"),
        CheckConstraint("status <> 'cancelled' OR cancelled_at IS NOT NULL", name="cancelled_at"),
        CheckConstraint("item_count >= 1", name="has_items"),
        Index("ix_bulk_actions_due", "lease_until", postgresql_where="status = 'running'"),
        Index(None, "company_id", "created_at", "id"),
    )

    kind: Mapped[BulkKind] = mapped_column(TextEnum(BulkKind))
    status: Mapped[BulkStatus] = mapped_column(TextEnum(BulkStatus), default=BulkStatus.RUNNING)
    requested_by_user_id: Mapped[int]
    note: Mapped[str | None]
    """The reason, of a dismissal or a cancellation."""
    scope: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    """What was chosen, to be shown: the filters of the queue, or how many were ticked."""
    item_count: Mapped[int]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancelled_by_user_id: Mapped[int | None]
    lease_until: Mapped[datetime]
    """Due from here on: its job is taken to have died, or wants to look again."""
    setback_count: Mapped[int] = mapped_column(default=0)
    """Listings in a row that Cal.com could not answer."""

    @property
    def is_running(self) -> bool:
        return self.status is BulkStatus.RUNNING


class BulkItem(Owned, Base):
    """One finding, or one appointment to be cancelled, and what became of it."""

    __tablename__ = "bulk_items"
    __table_args__ = (
        belongs_to("bulk_action_id", "bulk_actions", ondelete="CASCADE"),
        belongs_to("discrepancy_id", "discrepancies"),
        belongs_to("appointment_id", "appointments"),
        one_of("status", ItemStatus),
        CheckConstraint(
            "(status IN ('queued', 'started')) = (finished_at IS NULL)", name="finished_at"
        ),
        Index(None, "company_id", "bulk_action_id", "status", "id"),
        Index(
            "uq_bulk_items_once",
            "company_id",
            "bulk_action_id",
            "discrepancy_id",
            unique=True,
        ),
        Index(
            "uq_bulk_items_one_cancellation",
            "company_id",
            "bulk_action_id",
            "appointment_id",
            unique=True,
            postgresql_where="discrepancy_id IS NULL",
        ),
    )

    bulk_action_id: Mapped[int]
    discrepancy_id: Mapped[int | None]
    """None where an appointment is cancelled, whatever was found about it."""
    appointment_id: Mapped[int]
    status: Mapped[ItemStatus] = mapped_column(TextEnum(ItemStatus), default=ItemStatus.QUEUED)
    outcome: Mapped[str | None]
    """Why: an error code of S3.5, a resolution, or why it was refused."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    discrepancy: Mapped[Discrepancy | None] = relationship(
        viewonly=True, lazy="raise_on_sql", overlaps="appointment"
    )
    appointment: Mapped[Appointment] = relationship(
        viewonly=True, lazy="raise_on_sql", overlaps="discrepancy"
    )


def count_items(session: Session, bulk_id: int) -> dict[ItemStatus, int]:
    """How many items stand where; every status is there."""
    rows = session.execute(
        select(BulkItem.status, func.count())
        .where(BulkItem.company_id == require_company_id(), BulkItem.bulk_action_id == bulk_id)
        .group_by(BulkItem.status)
    )
    found = {row[0]: row[1] for row in rows}
    return {status: found.get(status, 0) for status in ItemStatus}
