"""Webhooks received from Cal.com, stored before anything is made of them (S4.1).

received ──► applied | ignored | refused | failed
   ▲  └ waits for a look at Cal.com where the delivery alone leaves doubt (`reason` READ_AGAIN)
   └── run again by a person
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CursorResult,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.tenancy import require_company_id

OWN_PING = "LOCKSTEP_PING"
"""The trigger of the pings that we send our own door: they say nothing of Cal.com's reaching it."""
READ_AGAIN = "read_again"
"""The reason of a delivery that waits until Cal.com has been asked what holds now."""


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
        Index(None, "company_id", "status", "received_at", "id"),
        Index(None, "company_id", "trigger", "received_at", "id"),
        Index(
            "ix_deliveries_booking_uid",
            "company_id",
            "booking_uid",
            postgresql_where="booking_uid IS NOT NULL",
        ),
        Index(
            "ix_deliveries_old_booking_uid",
            "company_id",
            "old_booking_uid",
            postgresql_where="old_booking_uid IS NOT NULL",
        ),
        Index(
            "ix_deliveries_appointment_id",
            "company_id",
            "appointment_id",
            postgresql_where="appointment_id IS NOT NULL",
        ),
    )

    received_at: Mapped[datetime]
    trigger: Mapped[str] = mapped_column(Text(collation="C"))
    booking_uid: Mapped[str | None] = mapped_column(Text(collation="C"))
    old_booking_uid: Mapped[str | None] = mapped_column(Text(collation="C"))
    """What the booking was called before a reschedule."""
    sent_at: Mapped[datetime | None]
    """By Cal.com's clock; MEETING_* don't say."""
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
    run_again_count: Mapped[int] = mapped_column(default=0)
    """How often a person has had it run again; the audit log knows who and what came before."""


def has_later_news(session: Session, delivery_id: int, uid: str, endings: frozenset[str]) -> bool:
    """Whether another delivery tells what became of this booking: a successor, or its end (by one
    of these triggers)."""
    found = session.scalar(
        select(Delivery.id)
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.id != delivery_id,
            or_(
                Delivery.old_booking_uid == uid,
                (Delivery.booking_uid == uid) & Delivery.trigger.in_(endings),
            ),
        )
        .limit(1)
    )
    return found is not None


def other_deliveries(
    session: Session, delivery_id: int, uid: str, triggers: frozenset[str], limit: int = 20
) -> list[Delivery]:
    """What else came of these triggers about one booking, newest first."""
    return list(
        session.scalars(
            select(Delivery)
            .where(
                Delivery.company_id == require_company_id(),
                Delivery.id != delivery_id,
                Delivery.booking_uid == uid,
                Delivery.trigger.in_(triggers),
            )
            .order_by(Delivery.id.desc())
            .limit(limit)
        )
    )


def first_received_at(session: Session, since: datetime | None = None) -> datetime | None:
    """When Cal.com was first heard by the company's webhook, ever or since an instant: the proof
    that the way leads here."""
    query = select(Delivery.received_at).where(
        Delivery.company_id == require_company_id(), Delivery.trigger != OWN_PING
    )
    if since is not None:
        query = query.where(Delivery.received_at >= since)
    return session.scalar(query.order_by(Delivery.received_at, Delivery.id).limit(1))


def request_run(session: Session, delivery_id: int, *, now: datetime) -> bool:
    """Have a finished delivery worked off again, compare-and-swap; False where it is waiting."""
    result = session.execute(
        update(Delivery)
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.id == delivery_id,
            Delivery.status != DeliveryStatus.RECEIVED,
        )
        .values(
            status=DeliveryStatus.RECEIVED,
            reason=None,
            due_at=now,
            attempt_count=0,
            finished_at=None,
            run_again_count=Delivery.run_again_count + 1,
        )
        .execution_options(synchronize_session="fetch")
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount == 1


def delete_deliveries_before(session: Session, before: datetime, limit: int = 10_000) -> int:
    """Forget the oldest finished deliveries received before an instant; returns how many.

    Histories keep their number. With a row its hash goes too: a replay is then known by its uid.
    """
    oldest = (
        select(Delivery.id)
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.received_at < before,
            Delivery.status != DeliveryStatus.RECEIVED,
        )
        .order_by(Delivery.received_at, Delivery.id)
        .limit(limit)
    )
    result = session.execute(
        delete(Delivery)
        .where(Delivery.company_id == require_company_id(), Delivery.id.in_(oldest))
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount
