"""Changes on Cal.com's side that a reading showed and nothing here knew of: did a webhook announce
them? From these, and from the deliveries that took effect, comes the miss rate (S4.4).

unknown (too fresh to tell) ──► announced | missed
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Index, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import require_company_id


class RemoteChangeKind(StrEnum):
    """What happened over there; each has triggers that should have told us."""

    CREATED = "created"
    CONFIRMED = "confirmed"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"


ANNOUNCED_BY: dict[RemoteChangeKind, tuple[str, ...]] = {
    RemoteChangeKind.CREATED: ("BOOKING_CREATED", "BOOKING_REQUESTED"),
    RemoteChangeKind.CONFIRMED: ("BOOKING_CREATED", "BOOKING_RESCHEDULED"),
    RemoteChangeKind.RESCHEDULED: ("BOOKING_RESCHEDULED", "BOOKING_REQUESTED"),
    RemoteChangeKind.CANCELLED: ("BOOKING_CANCELLED", "BOOKING_REJECTED"),
}
"""By Cal.com's names of the triggers (API.md §5)."""

ANNOUNCING = tuple(sorted({each for triggers in ANNOUNCED_BY.values() for each in triggers}))
"""Others tell of what reading never shows (a meeting's end, a no-show), so they say nothing of how
much goes unannounced."""


class RemoteChange(Owned, Base):
    """One change of one booking, noted once however often it is read."""

    __tablename__ = "remote_changes"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("kind", RemoteChangeKind),
        UniqueConstraint("company_id", "uid", "kind"),
        Index(None, "company_id", "changed_at"),
        Index(
            "ix_remote_changes_undecided",
            "company_id",
            "changed_at",
            postgresql_where="was_announced IS NULL",
        ),
    )

    uid: Mapped[str] = mapped_column(Text(collation="C"))
    kind: Mapped[RemoteChangeKind] = mapped_column(TextEnum(RemoteChangeKind))
    changed_at: Mapped[datetime]
    """When Cal.com's row changed, by its own clock."""
    seen_at: Mapped[datetime]
    was_announced: Mapped[bool | None]
    """None until a late webhook has had its time."""
    appointment_id: Mapped[int | None]


class Announcements(NamedTuple):
    """How many of Cal.com's own changes a webhook told of in some time, and how many not."""

    announced: int
    missed: int

    @property
    def miss_rate(self) -> float | None:
        """Share of changes that no webhook announced, 0 to 1; None where there were no changes."""
        changes = self.announced + self.missed
        return self.missed / changes if changes else None


def count_announcements(session: Session, *, since: datetime, until: datetime) -> Announcements:
    """What was announced and what was missed of the changes between two instants.

    A delivery that took effect is a change announced, where its kind is one that a reading could
    have shown; a reading shows only what none brought.
    """
    applied = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.status == DeliveryStatus.APPLIED,
            Delivery.trigger.in_(ANNOUNCING),
            Delivery.received_at >= since,
            Delivery.received_at <= until,
        )
    )
    rows = session.execute(
        select(RemoteChange.was_announced, func.count().label("number"))
        .where(
            RemoteChange.company_id == require_company_id(),
            RemoteChange.changed_at >= since,
            RemoteChange.changed_at <= until,
            RemoteChange.was_announced.is_not(None),
        )
        .group_by(RemoteChange.was_announced)
    )
    read = {row.was_announced: row.number for row in rows}
    return Announcements((applied or 0) + read.get(True, 0), read.get(False, 0))


def recent_announcements(session: Session, now: datetime, hours: int) -> Announcements:
    """The last so many hours."""
    return count_announcements(session, since=now - timedelta(hours=hours), until=now)


def latest_missed(session: Session, limit: int) -> list[RemoteChange]:
    """The newest changes that no webhook announced, newest first."""
    return list(
        session.scalars(
            select(RemoteChange)
            .where(
                RemoteChange.company_id == require_company_id(),
                RemoteChange.was_announced.is_(False),
            )
            .order_by(RemoteChange.changed_at.desc(), RemoteChange.id.desc())
            .limit(limit)
        )
    )
