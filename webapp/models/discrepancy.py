"""What a verification or a push found and a person may have to settle; the open ones are the
review queue."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from webapp.extensions import Base
from webapp.models.appointment import Appointment
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.tenancy import require_company_id


class DiscrepancyType(StrEnum):
    """What is wrong; also the type of the notification that tells it."""

    ORPHANED_LOCAL = "orphaned_local"
    ORPHANED_CALCOM = "orphaned_calcom"
    DATA_MISMATCH = "data_mismatch"
    VERIFICATION_ERROR = "verification_error"
    SYNC_FAILED = "sync_failed"


class Resolution(StrEnum):
    """How it was settled."""

    BY_ITSELF = "by_itself"
    RETRIED = "retried"
    PUSHED_AGAIN = "pushed_again"
    TOOK_REMOTE = "took_remote"
    KEPT_OURS = "kept_ours"
    ADOPTED = "adopted"
    CANCELLED_REMOTE = "cancelled_remote"
    CHANGED = "changed"
    DISMISSED = "dismissed"
    BY_POLICY = "by_policy"


class Action(StrEnum):
    """What a person may do about a finding (S6); `sync.actions` says when."""

    RETRY = "retry"
    PUSH_AGAIN = "push_again"
    TAKE_REMOTE = "take_remote"
    KEEP_OURS = "keep_ours"
    ADOPT = "adopt"
    CANCEL_REMOTE = "cancel_remote"
    DISMISS = "dismiss"


RESOLUTION_OF = {
    Action.RETRY: Resolution.RETRIED,
    Action.PUSH_AGAIN: Resolution.PUSHED_AGAIN,
    Action.TAKE_REMOTE: Resolution.TOOK_REMOTE,
    Action.KEEP_OURS: Resolution.KEPT_OURS,
    Action.ADOPT: Resolution.ADOPTED,
    Action.CANCEL_REMOTE: Resolution.CANCELLED_REMOTE,
    Action.DISMISS: Resolution.DISMISSED,
}
UNATTRIBUTED = frozenset({Resolution.BY_ITSELF, Resolution.RETRIED, Resolution.CHANGED})
"""Ways of settling that a job sees without knowing whose wish led to it."""


class Discrepancy(Owned, Base):
    """A finding about one appointment; at most one is open per appointment.

    A trouble that comes back gets a row of its own with `reopened_count` one higher, so that who
    settled it before, when, how and why stays as it was.
    """

    __tablename__ = "discrepancies"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("type", DiscrepancyType),
        one_of("resolution", Resolution),
        one_of("asked_resolution", Resolution),
        CheckConstraint("(asked_resolution IS NULL) = (asked_at IS NULL)", name="asked_at"),
        CheckConstraint(
            "(dismissed_facts IS NULL) OR (resolution = 'dismissed')", name="facts_of_dismissed"
        ),
        CheckConstraint("(resolution IS NULL) = (resolved_at IS NULL)", name="resolved_at"),
        Index(
            "uq_discrepancies_one_open",
            "company_id",
            "appointment_id",
            unique=True,
            postgresql_where="resolved_at IS NULL",
        ),
        Index(
            "ix_discrepancies_queue",
            "company_id",
            "opened_at",
            "id",
            postgresql_where="resolved_at IS NULL",
        ),
        Index(
            "ix_discrepancies_mismatches",
            "company_id",
            "opened_at",
            "id",
            postgresql_where="type = 'data_mismatch'",
        ),
        Index(
            "ix_discrepancies_evidence",
            "company_id",
            "resolved_at",
            postgresql_where="resolved_at IS NOT NULL AND evidence <> '{}'::jsonb",
        ),
        Index(None, "company_id", "appointment_id", "id"),
        Index(None, "company_id", "opened_at"),
        Index(
            "ix_discrepancies_resolved",
            "company_id",
            "resolved_at",
            postgresql_where="resolved_at IS NOT NULL",
        ),
    )

    appointment_id: Mapped[int]
    type: Mapped[DiscrepancyType] = mapped_column(TextEnum(DiscrepancyType))
    code: Mapped[str]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    reopened_count: Mapped[int] = mapped_column(default=0)
    resolution: Mapped[Resolution | None] = mapped_column(TextEnum(Resolution))
    resolved_at: Mapped[datetime | None]
    resolved_by_user_id: Mapped[int | None]
    resolution_note: Mapped[str | None]
    asked_resolution: Mapped[Resolution | None] = mapped_column(TextEnum(Resolution))
    """What a person has asked for and a job is still about; it becomes the resolution."""
    asked_at: Mapped[datetime | None]
    asked_by_user_id: Mapped[int | None]
    asked_note: Mapped[str | None]
    dismissed_facts: Mapped[str | None] = mapped_column(Text(collation="C"))
    """What a dismissed finding was about, hashed: while nothing else is found it stays away."""

    appointment: Mapped[Appointment] = relationship(viewonly=True, lazy="raise_on_sql")

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    @property
    def attempt_count(self) -> int:
        """Tries at a push that failed, as its evidence says; else verifications since both agreed.

        Needs `appointment` loaded.
        """
        is_push = self.type is DiscrepancyType.SYNC_FAILED and "attempts" in self.evidence
        return int(self.evidence["attempts"]) if is_push else self.appointment.sync_attempt_count

    @property
    def time_to_resolution(self) -> timedelta | None:
        """From finding to settling; None while it is open."""
        return None if self.resolved_at is None else self.resolved_at - self.opened_at

    def ask(
        self, how: Resolution, *, now: datetime, user_id: int | None, note: str | None = None
    ) -> None:
        """Remember what a person wants done: whoever settles it writes that down as theirs."""
        self.asked_resolution, self.asked_at = how, now
        self.asked_by_user_id, self.asked_note = user_id, note

    def drop_ask(self) -> None:
        self.asked_resolution = self.asked_at = None
        self.asked_by_user_id = self.asked_note = None

    def resolve(
        self, how: Resolution, *, now: datetime, user_id: int | None = None, note: str | None = None
    ) -> None:
        """Settle it; what a job only saw to be over is credited to the person who asked for it."""
        if self.asked_resolution is not None and user_id is None:
            user_id, note = self.asked_by_user_id, note or self.asked_note
            if how in UNATTRIBUTED and not self._agreed_before_it_was_taken(how):
                how = self.asked_resolution
        self.drop_ask()
        self.resolution, self.resolved_at = how, now
        self.resolved_by_user_id, self.resolution_note = user_id, note

    def _agreed_before_it_was_taken(self, how: Resolution) -> bool:
        """Both were seen to agree when Cal.com's version was to be taken: nothing was."""
        return how is Resolution.RETRIED and self.asked_resolution is Resolution.TOOK_REMOTE


def open_discrepancy(session: Session, appointment_id: int) -> Discrepancy | None:
    """The open finding about an appointment, locked until the transaction ends."""
    return session.scalar(
        select(Discrepancy)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.appointment_id == appointment_id,
            Discrepancy.resolved_at.is_(None),
        )
        .with_for_update()
    )


def drop_ask(session: Session, appointment_id: int) -> None:
    """What a person asked for has ended without settling it."""
    found = open_discrepancy(session, appointment_id)
    if found is not None:
        found.drop_ask()
