"""Appointments, with how each stands towards Cal.com, and every uid one has ever had there."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    CursorResult,
    Index,
    Text,
    UniqueConstraint,
    Uuid,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.sync_state import ALLOWED_FROM, FAILURES, SyncState
from webapp.models.tenancy import require_company_id


class AppointmentStatus(StrEnum):
    """What the company knows of the appointment itself, apart from its sync."""

    SCHEDULED = "scheduled"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"


LIVE = frozenset(
    {AppointmentStatus.SCHEDULED, AppointmentStatus.PENDING, AppointmentStatus.CONFIRMED}
)
"""Still to come about: these may be moved and cancelled."""


class Origin(StrEnum):
    """Who caused a change (S1)."""

    RETELL = "retell"
    ADMIN = "admin"
    API = "api"
    CALCOM = "calcom"
    SYSTEM = "system"


class Appointment(Owned, Base):
    """An appointment. The `base_*` columns hold what both sides last agreed on (S1 Base)."""

    __tablename__ = "appointments"
    __table_args__ = (
        belongs_to("customer_id", "customers"),
        belongs_to("service_id", "services"),
        one_of("status", AppointmentStatus),
        one_of("calcom_sync_status", SyncState),
        one_of("created_by_origin", Origin),
        one_of("base_status", AppointmentStatus),
        one_of("sync_origin", Origin),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("sync_attempt_count >= 0", name="attempts_not_negative"),
        CheckConstraint(
            "requires_manual_review = (manual_review_flagged_at IS NOT NULL)",
            name="flag_has_instant",
        ),
        CheckConstraint(
            "calcom_sync_status <> 'synced' OR sync_verified_at IS NOT NULL",
            name="synced_was_verified",
        ),
        UniqueConstraint("company_id", "sync_key"),
        Index(None, "company_id", "starts_at", "id"),
        Index(None, "company_id", "created_at"),
        Index(None, "company_id", "customer_id"),
        Index(None, "company_id", "service_id", "starts_at"),
        Index(None, "company_id", "calcom_sync_status", "starts_at", "id"),
        Index(
            "ix_appointments_flagged",
            "company_id",
            "starts_at",
            "id",
            postgresql_where="requires_manual_review",
        ),
        Index(
            "ix_appointments_existence_due",
            "existence_due_at",
            postgresql_where="existence_due_at IS NOT NULL",
        ),
        Index(
            "ix_appointments_verification_due",
            "next_verification_at",
            postgresql_where="next_verification_at IS NOT NULL",
        ),
    )

    customer_id: Mapped[int]
    service_id: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[AppointmentStatus] = mapped_column(TextEnum(AppointmentStatus))
    notes: Mapped[str] = mapped_column(default="")
    guests: Mapped[list[str]] = mapped_column(JSONB, default=list)
    cancellation_reason: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by_origin: Mapped[Origin] = mapped_column(TextEnum(Origin))

    calcom_v2_booking_id: Mapped[str | None] = mapped_column(Text(collation="C"))
    calcom_sync_status: Mapped[SyncState] = mapped_column(TextEnum(SyncState))
    last_sync_attempt_at: Mapped[datetime | None]
    sync_attempt_count: Mapped[int] = mapped_column(default=0)
    sync_error_code: Mapped[str | None]
    sync_error_message: Mapped[str | None]
    sync_verified_at: Mapped[datetime | None]
    requires_manual_review: Mapped[bool] = mapped_column(default=False)
    manual_review_flagged_at: Mapped[datetime | None]
    sync_origin: Mapped[Origin] = mapped_column(TextEnum(Origin))
    sync_initiated_at: Mapped[datetime | None]
    sync_job_id: Mapped[str | None]

    base_starts_at: Mapped[datetime | None]
    base_ends_at: Mapped[datetime | None]
    base_status: Mapped[AppointmentStatus | None] = mapped_column(TextEnum(AppointmentStatus))
    base_uid: Mapped[str | None] = mapped_column(Text(collation="C"))
    base_remote_updated_at: Mapped[datetime | None]

    remote_written_at: Mapped[datetime | None]
    """When a push last changed Cal.com: the grace period for absence counts from here."""
    existence_due_at: Mapped[datetime | None]
    """When a fresh create's existence is to be proven by a listing; None: it is, or need not."""
    absence_first_seen_at: Mapped[datetime | None]
    """The first sighting of a missing booking; a second one, later, proves it (S5.5)."""
    next_verification_at: Mapped[datetime | None]
    """When the pulse has to verify this again; None: the periodic runs suffice."""
    verification_error_streak: Mapped[int] = mapped_column(default=0)
    """Verifications in a row that ended in an error; any that said something sets it back."""
    verification_requested_at: Mapped[datetime | None]
    """A person asked and waits: what they find counts at once."""
    sync_key: Mapped[uuid.UUID] = mapped_column(Uuid, default=uuid.uuid4)
    """Our id in the booking's metadata. Not the row's id: whoever books on Cal.com may write
    metadata, so what claims an appointment must not be guessable."""

    customer: Mapped[Customer] = relationship(viewonly=True, lazy="raise_on_sql")
    service: Mapped[Service] = relationship(viewonly=True, lazy="raise_on_sql")

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_known_to_calcom(self) -> bool:
        return self.calcom_v2_booking_id is not None

    @property
    def can_be_retried(self) -> bool:
        """Whether "verify again now" is offered for it."""
        return self.calcom_sync_status in FAILURES | {SyncState.VERIFICATION_PENDING}

    @property
    def can_be_pushed_again(self) -> bool:
        """What has taken place can't be carried anywhere any more."""
        is_over = self.status in {AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW}
        return not is_over and self.calcom_sync_status in {
            SyncState.FAILED,
            SyncState.ORPHANED_LOCAL,
        }


class BookingAlias(Owned, Base):
    """A uid an appointment has or had. Unique per Cal.com host over all companies: nobody
    claims another's booking, and no two appointments one booking (S2.6)."""

    __tablename__ = "booking_aliases"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        UniqueConstraint("calcom_host", "uid"),
        Index(None, "company_id", "appointment_id"),
    )

    appointment_id: Mapped[int]
    calcom_host: Mapped[str] = mapped_column(Text(collation="C"))
    uid: Mapped[str] = mapped_column(Text(collation="C"))
    first_seen_at: Mapped[datetime]


def move_sync_state(
    session: Session,
    appointment_id: int,
    to: SyncState,
    *,
    only_from: frozenset[SyncState] | None = None,
    **changes: Any,
) -> bool:
    """Move one appointment's sync state, compare-and-swap; `changes` are columns written with it.

    Returns False where the appointment is not in a state that may be left for `to`.
    """
    allowed = ALLOWED_FROM[to] if only_from is None else ALLOWED_FROM[to] & only_from
    result = session.execute(
        update(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id == appointment_id,
            Appointment.calcom_sync_status.in_(allowed),
        )
        .values(calcom_sync_status=to, **changes)
        .execution_options(synchronize_session="fetch")
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount == 1
