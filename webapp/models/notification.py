"""The inbox: who was told what. Type and parameters are stored, not text: readers have
different languages."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Index, Text, case, func, select
from sqlalchemy.orm import Mapped, column_property, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.discrepancy import Discrepancy
from webapp.models.sending import Pace


class NotificationType(StrEnum):
    """S7; the first five share their names with the discrepancies they tell of."""

    ORPHANED_LOCAL = "orphaned_local"
    ORPHANED_CALCOM = "orphaned_calcom"
    DATA_MISMATCH = "data_mismatch"
    VERIFICATION_ERROR = "verification_error"
    SYNC_FAILED = "sync_failed"
    CONNECTION_BROKEN = "connection_broken"
    WEBHOOK_SILENT = "webhook_silent"
    BOOKING_ADOPTED = "booking_adopted"
    VERIFICATION_UNTRUSTED = "verification_untrusted"
    BULK_FINISHED = "bulk_finished"
    CHANNEL_FAILED = "channel_failed"
    THRESHOLD_CROSSED = "threshold_crossed"
    DELIVERY_FAILED = "delivery_failed"


NEWS = frozenset({NotificationType.BULK_FINISHED, NotificationType.BOOKING_ADOPTED})
"""What nobody has to do anything about, and nothing will ever be over for."""

MANY = "many"
"""The subject of an item that tells of many appointments at once (folded by `notify.inbox`)."""


class Notification(Owned, Base):
    """One person's or chat channel's item. Repeats of the same trouble fold into it while it is
    open."""

    __tablename__ = "notifications"
    __table_args__ = (
        belongs_to("user_id", "users"),
        belongs_to("channel_id", "chat_channels", ondelete="CASCADE"),
        belongs_to("appointment_id", "appointments"),
        one_of("type", NotificationType),
        one_of("pace", Pace),
        CheckConstraint("num_nonnulls(user_id, channel_id) = 1", name="one_recipient"),
        CheckConstraint("repeat_count >= 1", name="repeats_sane"),
        Index(
            "uq_notifications_one_open",
            "company_id",
            "user_id",
            "type",
            "subject",
            unique=True,
            postgresql_where="closed_at IS NULL",
        ),
        Index(
            "uq_notifications_one_open_in_channel",
            "company_id",
            "channel_id",
            "type",
            "subject",
            unique=True,
            postgresql_where="closed_at IS NULL AND channel_id IS NOT NULL",
        ),
        Index(
            "ix_notifications_unsent",
            "company_id",
            "pace",
            postgresql_where="pace IS NOT NULL AND sent_at IS NULL AND closed_at IS NULL",
        ),
        Index(
            "ix_notifications_open_by_type",
            "company_id",
            "type",
            "created_at",
            postgresql_where="closed_at IS NULL",
        ),
        Index(
            "ix_notifications_unread",
            "company_id",
            "user_id",
            postgresql_where="read_at IS NULL AND closed_at IS NULL",
        ),
        Index(
            "ix_notifications_closed",
            "company_id",
            "closed_at",
            postgresql_where="closed_at IS NOT NULL",
        ),
        Index(None, "company_id", "user_id", "last_at", "id"),
        Index(None, "company_id", "subject"),
    )

    user_id: Mapped[int | None]
    channel_id: Mapped[int | None]
    type: Mapped[NotificationType] = mapped_column(TextEnum(NotificationType))
    subject: Mapped[str] = mapped_column(Text(collation="C"))
    """What it is about, e.g. `appointment:12`; with the type it decides what folds."""
    appointment_id: Mapped[int | None]
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    repeat_count: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    last_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    pace: Mapped[Pace | None] = mapped_column(TextEnum(Pace))
    """How soon it leaves by mail or chat; None: it stays in the inbox."""
    sent_at: Mapped[datetime | None]
    if TYPE_CHECKING:
        open_findings: Mapped[int | None]
        """Of an open item that tells of many: how many findings of its type are open now."""


Notification.open_findings = column_property(
    case(
        (
            (Notification.subject == MANY) & Notification.closed_at.is_(None),
            select(func.count(Discrepancy.id))
            .where(
                Discrepancy.company_id == Notification.company_id,
                Discrepancy.type == Notification.type,
                Discrepancy.resolved_at.is_(None),
            )
            .correlate_except(Discrepancy)
            .scalar_subquery(),
        )
    )
)
