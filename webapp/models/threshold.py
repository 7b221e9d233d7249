"""Bounds that a company sets for its own figures, and whether each is crossed just now (S10).

    calm ──above the bound──► crossed (told) ──calm for two evaluations──► calm (told)

A kind without a row has the default bound and has never been evaluated.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Float, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of
from webapp.models.tenancy import require_company_id


class ThresholdKind(StrEnum):
    """What is watched; the unit of its bound and figure follows."""

    ORPHANS = "orphans"
    """Orphans found within 24 hours."""
    VERIFICATION_FAILURES = "verification_failures"
    """Verifications that failed within an hour."""
    QUEUE_LENGTH = "queue_length"
    """Findings that are open."""
    QUEUE_AGE = "queue_age"
    """Age of the oldest open finding, hours."""
    SUCCESS_RATE = "success_rate"
    """Share of the appointments made within 24 hours that are in step, per cent; too low is bad."""
    LATENCY = "latency"
    """Mean time from a change to agreement within an hour, seconds."""


DEFAULT_BOUNDS: dict[ThresholdKind, float] = {
    ThresholdKind.ORPHANS: 5.0,
    ThresholdKind.VERIFICATION_FAILURES: 10.0,
    ThresholdKind.QUEUE_LENGTH: 20.0,
    ThresholdKind.QUEUE_AGE: 24.0,
    ThresholdKind.SUCCESS_RATE: 95.0,
    ThresholdKind.LATENCY: 10.0,
}


class Threshold(Owned, Base):
    """One bound of a company, with what the last evaluation found."""

    __tablename__ = "thresholds"
    __table_args__ = (
        one_of("kind", ThresholdKind),
        UniqueConstraint("company_id", "kind"),
        CheckConstraint("bound >= 0", name="bound_not_negative"),
    )

    kind: Mapped[ThresholdKind] = mapped_column(TextEnum(ThresholdKind))
    bound: Mapped[float | None] = mapped_column(Float(53))
    """None: not watched."""
    value: Mapped[float | None] = mapped_column(Float(53))
    """The last figure that said something, as of `measured_at`."""
    measured_at: Mapped[datetime | None]
    evaluated_at: Mapped[datetime | None]
    crossed_at: Mapped[datetime | None]
    """Since when it is crossed; None: it isn't."""
    calm_count: Mapped[int] = mapped_column(default=0)
    """Evaluations in a row that found it well below the bound while it is crossed."""

    @property
    def is_crossed(self) -> bool:
        return self.crossed_at is not None


def thresholds(session: Session) -> dict[ThresholdKind, Threshold]:
    """Every kind of the current company, in the order of the kinds; missing rows are added, and
    all stay locked until the transaction ends."""
    rows = session.scalars(
        select(Threshold)
        .where(Threshold.company_id == require_company_id())
        .order_by(Threshold.id)
        .with_for_update()
    )
    known = {row.kind: row for row in rows}
    for kind in ThresholdKind:
        if kind not in known:
            known[kind] = Threshold(kind=kind, bound=DEFAULT_BOUNDS[kind])
            session.add(known[kind])
    return {kind: known[kind] for kind in ThresholdKind}


def bounds(session: Session) -> dict[ThresholdKind, float | None]:
    """What the company has set, or the defaults; for reading only."""
    rows = session.execute(
        select(Threshold.kind, Threshold.bound).where(Threshold.company_id == require_company_id())
    )
    return dict(DEFAULT_BOUNDS) | {row.kind: row.bound for row in rows}
