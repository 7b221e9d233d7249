"""Envelopes: what leaves the house by mail or chat, one open envelope per recipient and pace.

    waiting ──claim──► in_flight ──► sent
       ▲                  │ ├──────► empty       the trouble was over before it left
       │                  │ ├──────► unsendable  the operator has set no mail server
       └──── later ◄──────┘ └──────► failed      refused for good, or given up

What goes into an envelope is decided when it leaves: whatever its recipient has not been sent yet.
So a channel that was down for an hour gets one message, not a hundred.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of


class Pace(StrEnum):
    """How soon somebody wants to be told outside the inbox; TEST is an admin's try."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    TEST = "test"


class SendingStatus(StrEnum):
    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    EMPTY = "empty"
    UNSENDABLE = "unsendable"
    FAILED = "failed"


UNDER_WAY = frozenset({SendingStatus.WAITING, SendingStatus.IN_FLIGHT})
_UNDER_WAY = "status IN ('waiting', 'in_flight')"


class Sending(Owned, Base):
    """One message to one person (mail) or one chat channel."""

    __tablename__ = "sendings"
    __table_args__ = (
        belongs_to("user_id", "users"),
        belongs_to("channel_id", "chat_channels", ondelete="CASCADE"),
        one_of("pace", Pace),
        one_of("status", SendingStatus),
        CheckConstraint("num_nonnulls(user_id, channel_id) = 1", name="one_recipient"),
        CheckConstraint(f"({_UNDER_WAY}) = (finished_at IS NULL)", name="finished_at"),
        CheckConstraint(
            "(status = 'in_flight') = (lease_token IS NOT NULL)"
            " AND (lease_token IS NULL) = (lease_until IS NULL)",
            name="in_flight_has_lease",
        ),
        Index(
            "uq_sendings_one_to_person",
            "company_id",
            "user_id",
            "pace",
            unique=True,
            postgresql_where=f"{_UNDER_WAY} AND user_id IS NOT NULL",
        ),
        Index(
            "uq_sendings_one_to_channel",
            "company_id",
            "channel_id",
            "pace",
            unique=True,
            postgresql_where=f"{_UNDER_WAY} AND channel_id IS NOT NULL",
        ),
        Index("ix_sendings_due", "due_at", postgresql_where="status = 'waiting'"),
        Index("ix_sendings_leases", "lease_until", postgresql_where="status = 'in_flight'"),
        Index(None, "company_id", "created_at", "id"),
        Index(None, "company_id", "finished_at"),
        Index(None, "company_id", "user_id"),
        Index(None, "company_id", "channel_id"),
    )

    user_id: Mapped[int | None]
    channel_id: Mapped[int | None]
    pace: Mapped[Pace] = mapped_column(TextEnum(Pace))
    status: Mapped[SendingStatus] = mapped_column(
        TextEnum(SendingStatus), default=SendingStatus.WAITING
    )
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_token: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None]
    attempt_count: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    notification_ids: Mapped[list[int]] = mapped_column(JSONB, default=list)
    """What was in it, written when it left."""
