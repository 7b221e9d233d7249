"""What must be carried to Cal.com, and every try at it (S3.1).

    waiting ──claim──► in_flight ──► done
       ▲  │                │  └────► failed      final answer, or retries used up
       │  └► superseded    │
       └──── retry/wait ◄──┘         a lease that ran out is claimed again

At most one intent of an appointment is in flight and at most one waits: the database says so.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ARRAY, CheckConstraint, DateTime, Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.appointment import Origin
from webapp.models.base import Owned, TextEnum, belongs_to, one_of


class IntentKind(StrEnum):
    """What the person (or system) asked for; each of them mails the customer."""

    CREATE = "create"
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"


class IntentStatus(StrEnum):
    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    FAILED = "failed"
    SUPERSEDED = "superseded"


UNFINISHED = frozenset({IntentStatus.WAITING, IntentStatus.IN_FLIGHT})


class Intent(Owned, Base):
    """One change to carry to Cal.com; the appointment's row holds the wish itself."""

    __tablename__ = "intents"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("kind", IntentKind),
        one_of("status", IntentStatus),
        one_of("origin", Origin),
        CheckConstraint(
            "(status = 'in_flight') = (lease_token IS NOT NULL)"
            " AND (lease_token IS NULL) = (lease_until IS NULL)",
            name="in_flight_has_lease",
        ),
        CheckConstraint(
            "(status IN ('waiting', 'in_flight')) = (finished_at IS NULL)", name="finished_at"
        ),
        Index(
            "uq_intents_one_in_flight",
            "company_id",
            "appointment_id",
            unique=True,
            postgresql_where="status = 'in_flight'",
        ),
        Index(
            "uq_intents_one_waiting",
            "company_id",
            "appointment_id",
            unique=True,
            postgresql_where="status = 'waiting'",
        ),
        Index("ix_intents_due", "due_at", postgresql_where="status = 'waiting'"),
        Index("ix_intents_leases", "lease_until", postgresql_where="status = 'in_flight'"),
        Index(None, "company_id", "appointment_id", "id"),
    )

    appointment_id: Mapped[int]
    kind: Mapped[IntentKind] = mapped_column(TextEnum(IntentKind))
    status: Mapped[IntentStatus] = mapped_column(
        TextEnum(IntentStatus), default=IntentStatus.WAITING
    )
    origin: Mapped[Origin] = mapped_column(TextEnum(Origin))
    requested_by_user_id: Mapped[int | None]
    reason: Mapped[str | None]
    is_interactive: Mapped[bool] = mapped_column(default=True)
    """A person waits for it: it goes ahead of what the system does by itself."""
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_token: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None]

    attempt_count: Mapped[int] = mapped_column(default=0)
    """Tries that counted; waiting for a rate limit or a pause does not."""
    has_unknown_outcome: Mapped[bool] = mapped_column(default=False)
    """A try may have reached Cal.com without our seeing the answer: look before repeating."""
    sent_starts: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), default=list
    )
    """The starts that such tries asked for; the look searches there too."""
    doubted_since: Mapped[datetime | None]
    """When the first of such tries was begun: a uid we have learnt since may be its doing."""
    last_call_at: Mapped[datetime | None]
    """When such a try was begun: a listing soon after may lag behind it."""
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    outcome: Mapped[str | None]


class Attempt(Owned, Base):
    """One try at an intent, written when it ends; a try whose worker died has no end."""

    __tablename__ = "attempts"
    __table_args__ = (
        belongs_to("intent_id", "intents"),
        Index(None, "company_id", "intent_id", "id"),
        Index(None, "company_id", "started_at"),
    )

    intent_id: Mapped[int]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    lease_token: Mapped[uuid.UUID] = mapped_column(Uuid)
    operations: Mapped[str] = mapped_column(default="")
    """The calls made, in order, e.g. `list,create`."""
    outcome: Mapped[str | None]
    """`done`, an error code of S3.5, or `LEASE_LOST`."""
    http_status: Mapped[int | None]
