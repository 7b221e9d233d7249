"""Incidents: something is wrong with what Lockstep goes by, not with one appointment. It stays on
the overview until a person or a later run settles it (S5.6)."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of
from webapp.models.tenancy import require_company_id


class IncidentType(StrEnum):
    """What can't be relied on."""

    VERIFICATION_UNTRUSTED = "verification_untrusted"


class IncidentCause(StrEnum):
    """What made a run stop short of flagging; stands in the evidence as `cause`."""

    TOO_MANY_MISSING = "too_many_missing"
    THEIRS_EMPTY = "theirs_empty"
    OURS_EMPTY = "ours_empty"
    OTHER_ACCOUNT = "other_account"


class Settlement(StrEnum):
    """How it was settled."""

    RAN_AGAIN = "ran_again"
    FLAGGED = "flagged"
    BY_ITSELF = "by_itself"


class Incident(Owned, Base):
    """One trouble of a company; of each type at most one is open."""

    __tablename__ = "incidents"
    __table_args__ = (
        one_of("type", IncidentType),
        one_of("settlement", Settlement),
        CheckConstraint("(settlement IS NULL) = (settled_at IS NULL)", name="settled_at"),
        Index(
            "uq_incidents_one_open",
            "company_id",
            "type",
            unique=True,
            postgresql_where="settled_at IS NULL",
        ),
        Index(None, "company_id", "opened_at", "id"),
    )

    type: Mapped[IncidentType] = mapped_column(TextEnum(IncidentType))
    run_id: Mapped[int | None]
    """The run that opened or last renewed it. No foreign key: runs are cleaned up, this stays."""
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by_user_id: Mapped[int | None]
    settlement: Mapped[Settlement | None] = mapped_column(TextEnum(Settlement))

    @property
    def is_open(self) -> bool:
        return self.settled_at is None


def open_incident(session: Session, type_: IncidentType) -> Incident | None:
    """The company's open incident of a type, locked until the transaction ends."""
    return session.scalar(
        select(Incident)
        .where(
            Incident.company_id == require_company_id(),
            Incident.type == type_,
            Incident.settled_at.is_(None),
        )
        .with_for_update()
    )


def open_incidents(session: Session) -> list[Incident]:
    """What stays on the overview until it is settled, oldest first."""
    query = (
        select(Incident)
        .where(Incident.company_id == require_company_id(), Incident.settled_at.is_(None))
        .order_by(Incident.opened_at, Incident.id)
    )
    return list(session.scalars(query))
