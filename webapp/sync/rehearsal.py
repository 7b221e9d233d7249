"""Rehearsal: what other policies would have made of the mismatches that were found lately, before
anybody switches to them. Nothing is changed; the same function chooses as when it is in earnest.

What is open would be settled by its next verification, so it is judged as it stands now. What is
settled is judged as it stood when it was found, by its evidence.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.tenancy import require_company_id
from webapp.sync.policies import REMEDY_WINDOW, Choice, Heal, Mismatch, Policies, Remedy, choose

LOOKS_BACK = timedelta(days=30)
MOST = 5000
"""More mismatches than this are not read: the newest count, and the page says so."""
SAMPLES_EACH = 4


class Found(NamedTuple):
    """One mismatch of the past, and how our side stands now."""

    id: int
    appointment_id: int
    opened_at: datetime
    resolved_at: datetime | None
    evidence: dict[str, Any]
    status: AppointmentStatus
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would become, or would have become, of one mismatch."""

    found: Found
    choice: Choice

    @property
    def is_open(self) -> bool:
        return self.found.resolved_at is None


@dataclass(slots=True)
class Rehearsal:
    """The sum of it. `samples` holds the newest few of each remedy."""

    is_cut: bool = False
    by_remedy: Counter[Remedy] = field(default_factory=Counter)
    open_by_remedy: Counter[Remedy] = field(default_factory=Counter)
    held_back: Counter[str] = field(default_factory=Counter)
    samples: list[Rehearsed] = field(default_factory=list)
    unclaimed: int = 0
    """Bookings found on Cal.com that nobody here knew of."""

    @property
    def total(self) -> int:
        return self.by_remedy.total()

    @property
    def mails(self) -> int:
        """How many mails to customers that makes: one a push."""
        return sum(count for remedy, count in self.by_remedy.items() if remedy.mails)

    @property
    def open_mails(self) -> int:
        """Of these what would go out as soon as the policies hold."""
        return sum(count for remedy, count in self.open_by_remedy.items() if remedy.mails)


def rehearse(session: Session, policies: Policies, *, now: datetime) -> Rehearsal:
    """Run the policies over what is open and what was found in the last 30 days."""
    result = Rehearsal(unclaimed=_count_unclaimed(session, now))
    newest: dict[Remedy, deque[Rehearsed]] = defaultdict(lambda: deque(maxlen=SAMPLES_EACH))
    found = _fetch(session, now)
    result.is_cut = len(found) > MOST
    for each in judge_all(session, found[-MOST:], policies, now=now):
        remedy = each.choice.remedy
        result.by_remedy[remedy] += 1
        result.open_by_remedy[remedy] += each.is_open
        if each.choice.held_back is not None:
            result.held_back[each.choice.held_back] += 1
        newest[remedy].append(each)
    for remedy in (Remedy.PUSH, Remedy.FOLLOW, Remedy.FLAG):
        result.samples += reversed(newest[remedy])
    return result


def judge_all(
    session: Session, found: list[Found], policies: Policies, *, now: datetime
) -> Iterator[Rehearsed]:
    """Each mismatch with its remedy, oldest first: what would have been done before counts."""
    real = _real_heals(
        session, [each.appointment_id for each in found if not each.resolved_at], now
    )
    rehearsed: dict[int, list[Heal]] = defaultdict(list)
    for each in found:
        earlier = rehearsed[each.appointment_id] if each.resolved_at else real[each.appointment_id]
        at = each.opened_at if each.resolved_at else now
        choice = choose(_as_it_stood(each, earlier), policies, now=at)
        if choice.remedy is not Remedy.FLAG:
            rehearsed[each.appointment_id].append(Heal(choice.remedy, at))
        yield Rehearsed(each, choice)


def _as_it_stood(found: Found, earlier: list[Heal]) -> Mismatch:
    """An open one is judged by the row; a settled one by what was written down of it then."""
    then: Mapping[str, str] = found.evidence.get("ours") or {}
    if found.resolved_at is None or not then:
        status, starts_at = found.status, found.starts_at
    else:
        status = AppointmentStatus(then["status"])
        starts_at = datetime.fromisoformat(then["starts_at"])
    return Mismatch.from_evidence(
        found.evidence, status=status, starts_at=starts_at, earlier=earlier
    )


def _fetch(session: Session, now: datetime) -> list[Found]:
    """Oldest first; one more than MOST says that there are more."""
    rows = session.execute(
        select(
            Discrepancy.id,
            Discrepancy.appointment_id,
            Discrepancy.opened_at,
            Discrepancy.resolved_at,
            Discrepancy.evidence,
            Appointment.status,
            Appointment.starts_at,
        )
        .join(Discrepancy.appointment)
        .where(
            Discrepancy.company_id == require_company_id(),
            Discrepancy.type == DiscrepancyType.DATA_MISMATCH,
            or_(Discrepancy.opened_at >= now - LOOKS_BACK, Discrepancy.resolved_at.is_(None)),
        )
        .order_by(Discrepancy.opened_at.desc(), Discrepancy.id.desc())
        .limit(MOST + 1)
    )
    return [Found(*row) for row in rows][::-1]


def _real_heals(
    session: Session, appointment_ids: list[int], now: datetime
) -> Mapping[int, list[Heal]]:
    """What was really put right lately, of the appointments with an open mismatch."""
    heals: dict[int, list[Heal]] = defaultdict(list)
    rows = session.execute(
        select(HistoryEvent.appointment_id, HistoryEvent.data, HistoryEvent.at)
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.at > now - REMEDY_WINDOW,
            HistoryEvent.kind == EventKind.HEALED,
            HistoryEvent.appointment_id.in_(appointment_ids),
        )
        .order_by(HistoryEvent.id)
    )
    for row in rows:
        heals[row.appointment_id].append(Heal(Remedy(row.data["remedy"]), row.at))
    return heals


def _count_unclaimed(session: Session, now: datetime) -> int:
    query = select(func.count()).where(
        Discrepancy.company_id == require_company_id(),
        Discrepancy.type == DiscrepancyType.ORPHANED_CALCOM,
        or_(Discrepancy.opened_at >= now - LOOKS_BACK, Discrepancy.resolved_at.is_(None)),
    )
    return session.scalar(query) or 0
