"""Policies: which side wins where a field differs, and when nobody may (S5.8). Pure.

    every field that matters says the same ──► take Cal.com's version, or push ours
    one says flag, or they contradict ──► a person settles it

Whatever the policy, some things are a person's: a change of ours that could not be carried is no
difference of opinion, a cancelled appointment isn't brought back to life, what has taken place is
not rewritten, and what was put right a moment ago and differs again is fought over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from webapp.models.appointment import LIVE, AppointmentStatus
from webapp.models.company import Company, FieldPolicy
from webapp.sync.reconcile import StatusClass

REMEDY_WINDOW = timedelta(hours=24)
MOST_IN_WINDOW = 3
"""How often an appointment is put right within REMEDY_WINDOW; one of them may mail."""

MAILS_WINDOW = timedelta(hours=1)
MOST_MAILS_IN_WINDOW = 20
"""How many customers a company's policies may have mailed within MAILS_WINDOW: who moves a whole
calendar on Cal.com meant it, or it is a mistake that a person should see before its customers."""

OVER = frozenset({AppointmentStatus.COMPLETED, AppointmentStatus.NO_SHOW})


class Remedy(StrEnum):
    """What becomes of a finding. PUSH and CREATE mail the customer."""

    FLAG = "flag"
    FOLLOW = "follow"
    PUSH = "push"
    CREATE = "create"

    @property
    def mails(self) -> bool:
        return self in (Remedy.PUSH, Remedy.CREATE)


class HeldBack(StrEnum):
    """Why a person has to settle it; stable words that screens translate."""

    POLICY = "policy"
    CONFLICT = "conflict"
    FAILED_PUSH = "failed_push"
    CANCELLED_HERE = "cancelled_here"
    OVER = "over"
    PAST = "past"
    NOT_OURS_TO_SAY = "not_ours_to_say"
    REPEATED = "repeated"
    TOO_MANY_MAILS = "too_many_mails"


@dataclass(frozen=True, slots=True)
class Choice:
    """A remedy, and with FLAG the reason for it."""

    remedy: Remedy
    held_back: HeldBack | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """What a company decided, per field that verification compares."""

    start: FieldPolicy = FieldPolicy.FLAG
    status: FieldPolicy = FieldPolicy.FLAG

    @classmethod
    def of(cls, company: Company) -> "Policies":
        return cls(company.start_policy, company.status_policy)

    def wanted_for(self, name: str) -> FieldPolicy:
        """A field that there is no policy for is flagged."""
        return {"starts_at": self.start, "status": self.status}.get(name, FieldPolicy.FLAG)

    @property
    def always_flag(self) -> bool:
        return self == Policies()


@dataclass(frozen=True, slots=True)
class Heal:
    """A remedy that was taken, and when."""

    remedy: Remedy
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A difference as it was found: field → (ours, theirs), and how our side stood."""

    fields: Mapping[str, tuple[str | None, str | None]]
    status: AppointmentStatus
    starts_at: datetime
    has_failed_push: bool = False
    earlier: Sequence[Heal] = field(default_factory=tuple)

    @classmethod
    def from_evidence(
        cls,
        evidence: Mapping[str, Any],
        *,
        status: AppointmentStatus,
        starts_at: datetime,
        earlier: Sequence[Heal] = (),
    ) -> "Mismatch":
        """Out of a discrepancy's evidence; `status` and `starts_at` are our side's."""
        fields = evidence.get("fields") or {}
        return cls(
            fields={name: (each.get("ours"), each.get("theirs")) for name, each in fields.items()},
            status=status,
            starts_at=starts_at,
            has_failed_push=bool(evidence.get("cause")),
            earlier=earlier,
        )

    @property
    def statuses(self) -> set[str | None]:
        """The two classes of status, where they differ."""
        return set(self.fields.get("status", ()))

    @property
    def decisive(self) -> set[str]:
        """The fields that matter: of what one side cancelled it is no matter when it was to be."""
        if StatusClass.CANCELLED.value in self.statuses:
            return {"status"}
        return set(self.fields)


def choose(mismatch: Mismatch, policies: Policies, *, now: datetime) -> Choice:
    """What the company's policies make of a mismatch."""
    wanted = {policies.wanted_for(name) for name in mismatch.decisive}
    if not wanted or FieldPolicy.FLAG in wanted:
        return _hold(HeldBack.POLICY)
    if len(wanted) > 1:
        return _hold(HeldBack.CONFLICT)
    if mismatch.has_failed_push:
        return _hold(HeldBack.FAILED_PUSH)
    if mismatch.status in OVER:
        return _hold(HeldBack.OVER)
    if wanted == {FieldPolicy.CALCOM_WINS}:
        return _follow(mismatch, now)
    return _push(mismatch, now)


def hold_beyond_limit(choice: Choice, mailed: int) -> Choice:
    """The choice, unless it mails and as many were `mailed` within MAILS_WINDOW as may be."""
    if choice.remedy.mails and mailed >= MOST_MAILS_IN_WINDOW:
        return _hold(HeldBack.TOO_MANY_MAILS)
    return choice


def _follow(mismatch: Mismatch, now: datetime) -> Choice:
    if mismatch.status not in LIVE:
        return _hold(HeldBack.CANCELLED_HERE)
    return _unless_repeated(Remedy.FOLLOW, mismatch.earlier, now)


def _push(mismatch: Mismatch, now: datetime) -> Choice:
    if mismatch.starts_at <= now:
        return _hold(HeldBack.PAST)
    awaits_host = {StatusClass.ACCEPTED.value, StatusClass.PENDING.value}
    if mismatch.statuses == awaits_host and len(mismatch.fields) == 1:
        # Whether a booking is confirmed is its host's word on Cal.com; nothing can push that.
        return _hold(HeldBack.NOT_OURS_TO_SAY)
    return _unless_repeated(Remedy.PUSH, mismatch.earlier, now)


def _unless_repeated(remedy: Remedy, earlier: Sequence[Heal], now: datetime) -> Choice:
    lately = [heal for heal in earlier if now - heal.at < REMEDY_WINDOW]
    has_mailed = any(heal.remedy.mails for heal in lately)
    if len(lately) >= MOST_IN_WINDOW or (remedy.mails and has_mailed):
        return _hold(HeldBack.REPEATED)
    return Choice(remedy)


def _hold(reason: HeldBack) -> Choice:
    return Choice(Remedy.FLAG, reason)
