"""What a company offers, and the Cal.com event type it is booked as."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of


class ServiceSync(StrEnum):
    """How the service's event type stands (S2.4)."""

    NEVER = "never"
    PENDING = "pending"
    SYNCED = "synced"
    ERROR = "error"


class EventTypeState(StrEnum):
    """What became of the service's event type when it was last looked for."""

    UNKNOWN = "unknown"
    PRESENT = "present"
    GONE = "gone"
    FOREIGN = "foreign"
    """It exists, but this company's account may not read it."""


class Service(Owned, Base):
    """A service. `calcom_host` repeats the company's, so that an event type has one owner."""

    __tablename__ = "services"
    __table_args__ = (
        one_of("sync_status", ServiceSync),
        one_of("event_type_state", EventTypeState),
        CheckConstraint("duration_minutes BETWEEN 1 AND 1440", name="duration_sane"),
        CheckConstraint(
            "buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="buffers_sane"
        ),
        CheckConstraint("price_cents >= 0", name="price_sane"),
        CheckConstraint(
            "(calcom_event_type_id IS NULL) = (calcom_host IS NULL)", name="event_type_has_host"
        ),
        Index(
            "uq_services_event_type",
            "calcom_host",
            "calcom_event_type_id",
            unique=True,
            postgresql_where="calcom_event_type_id IS NOT NULL",
        ),
        Index("ix_services_sync_due", "sync_due_at", postgresql_where="sync_due_at IS NOT NULL"),
    )

    name: Mapped[str]
    duration_minutes: Mapped[int]
    buffer_before_minutes: Mapped[int] = mapped_column(default=0)
    buffer_after_minutes: Mapped[int] = mapped_column(default=0)
    price_cents: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(default="EUR")
    is_offered: Mapped[bool] = mapped_column(default=True)
    calcom_event_type_id: Mapped[int | None]
    calcom_host: Mapped[str | None] = mapped_column(Text(collation="C"))
    sync_status: Mapped[ServiceSync] = mapped_column(
        TextEnum(ServiceSync), default=ServiceSync.NEVER
    )
    sync_error: Mapped[str | None]
    """The reason in Cal.com's or our own words, for an admin's eyes; None: none."""
    sync_error_code: Mapped[str | None]
    sync_due_at: Mapped[datetime | None]
    """When the event type is to be written next, or whoever is at it is taken to have died."""
    sync_lease_until: Mapped[datetime | None]
    """Until then PENDING holds the button; a job that was lost can't hold it longer."""
    sync_attempt_count: Mapped[int] = mapped_column(default=0)
    last_calcom_sync: Mapped[datetime | None]
    created_at: Mapped[datetime]

    event_type_state: Mapped[EventTypeState] = mapped_column(
        TextEnum(EventTypeState), default=EventTypeState.UNKNOWN
    )
    event_type_seen: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """The event type as last read (`sync.catalog` says in which form); None: never, or gone.
    What differs is worked out from it, so that a change made here shows at once."""
    event_type_checked_at: Mapped[datetime | None]
    drifts_since: Mapped[datetime | None]
    """When a comparison first found the two to differ; None: in step when last compared."""
