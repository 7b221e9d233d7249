"""Webhooks received from Cal.com, stored before anything is made of them (S4.1).

received ──► applied | ignored | refused | failed
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of


class DeliveryStatus(StrEnum):
    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    REFUSED = "refused"
    FAILED = "failed"


class Delivery(Owned, Base):
    """One signed webhook; the hash of its raw bytes makes a duplicate do nothing."""

    __tablename__ = "deliveries"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("status", DeliveryStatus),
        UniqueConstraint("company_id", "body_hash"),
        Index("ix_deliveries_due", "due_at", postgresql_where="status = 'received'"),
        Index(None, "company_id", "received_at", "id"),
    )

    received_at: Mapped[datetime]
    trigger: Mapped[str]
    body: Mapped[dict[str, Any]]
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[DeliveryStatus] = mapped_column(
        TextEnum(DeliveryStatus), default=DeliveryStatus.RECEIVED
    )
    reason: Mapped[str | None]
    due_at: Mapped[datetime]
    attempt_count: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]
    appointment_id: Mapped[int | None]
