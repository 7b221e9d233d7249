"""When a company's own figures are bad enough to tell somebody, and when that is over (S10).

A threshold is crossed by the first figure beyond its bound. It is over when two evaluations in a
row find the figure calm, at most 80 % of the bound, so that one that hovers is told once. Of a
success rate the failing share is compared: with a bound of 95 % it is calm from 96 % on.

Too few data say nothing: a success rate of fewer than 20 appointments, a mean of fewer than 5
changes. Where nothing has been said for a day, a crossed threshold is let go without a word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment, Origin
from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.intent import Intent
from webapp.models.sync_state import FAILURES, SyncState
from webapp.models.tenancy import require_company_id
from webapp.models.threshold import Threshold, ThresholdKind, thresholds

CALM_SHARE = 0.8
CALM_EVALUATIONS = 2
LEAST_APPOINTMENTS = 20
LEAST_CHANGES = 5
FORGOTTEN = timedelta(days=1)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OUR_ORIGINS = (Origin.RETELL, Origin.ADMIN, Origin.API, Origin.SYSTEM)
ORPHANS = (DiscrepancyType.ORPHANED_LOCAL, DiscrepancyType.ORPHANED_CALCOM)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that was crossed just now, or is over; not `is_known`: let go without a word."""

    kind: ThresholdKind
    value: float
    bound: float
    is_over: bool
    is_known: bool = True


def evaluate_thresholds(session: Session, now: datetime) -> list[Crossing]:
    """Measure everything and move the states; returns what changed."""
    changes = []
    for kind, row in thresholds(session).items():
        value = MEASURES[kind](session, now)
        change = _let_go(row) if row.bound is None else _judge(row, row.bound, value, now)
        row.evaluated_at = now
        if change is not None:
            changes.append(change)
    return changes


def _judge(row: Threshold, bound: float, value: float | None, now: datetime) -> Crossing | None:
    if value is None:
        is_stale = row.measured_at is None or now - row.measured_at >= FORGOTTEN
        return _let_go(row) if is_stale else None
    row.value, row.measured_at = value, now
    if not row.is_crossed:
        if not is_beyond(row.kind, value, bound):
            return None
        row.crossed_at, row.calm_count = now, 0
        return Crossing(row.kind, value, bound, is_over=False)
    row.calm_count = row.calm_count + 1 if is_calm(row.kind, value, bound) else 0
    if row.calm_count < CALM_EVALUATIONS:
        return None
    row.crossed_at, row.calm_count = None, 0
    return Crossing(row.kind, value, bound, is_over=True)


def _let_go(row: Threshold) -> Crossing | None:
    if not row.is_crossed:
        return None
    row.crossed_at, row.calm_count = None, 0
    return Crossing(row.kind, row.value or 0.0, row.bound or 0.0, is_over=True, is_known=False)


def is_beyond(kind: ThresholdKind, value: float, bound: float) -> bool:
    """Whether a figure crosses its bound."""
    return value < bound if kind is ThresholdKind.SUCCESS_RATE else value > bound


def is_calm(kind: ThresholdKind, value: float, bound: float) -> bool:
    """Whether a figure is so far on the good side that its trouble is over."""
    if kind is ThresholdKind.SUCCESS_RATE:
        return 100 - value <= CALM_SHARE * (100 - bound)
    return value <= CALM_SHARE * bound


def _orphans(session: Session, now: datetime) -> float:
    return _count(
        session,
        Discrepancy.company_id == require_company_id(),
        Discrepancy.opened_at > now - DAY,
        Discrepancy.type.in_(ORPHANS),
    )


def _verification_failures(session: Session, now: datetime) -> float:
    return _count(
        session,
        HistoryEvent.company_id == require_company_id(),
        HistoryEvent.at > now - HOUR,
        HistoryEvent.kind == EventKind.VERIFICATION_FAILED,
    )


def _queue_length(session: Session, _now: datetime) -> float:
    return _count(
        session,
        Discrepancy.company_id == require_company_id(),
        Discrepancy.resolved_at.is_(None),
    )


def _queue_age(session: Session, now: datetime) -> float:
    oldest = session.scalar(
        select(func.min(Discrepancy.opened_at)).where(
            Discrepancy.company_id == require_company_id(), Discrepancy.resolved_at.is_(None)
        )
    )
    return 0.0 if oldest is None else (now - oldest) / HOUR


def _success_rate(session: Session, now: datetime) -> float | None:
    """What still waits counts neither way."""
    row = session.execute(
        select(
            func.count().filter(Appointment.calcom_sync_status == SyncState.SYNCED).label("synced"),
            func.count().filter(Appointment.calcom_sync_status.in_(FAILURES)).label("failed"),
        ).where(
            Appointment.company_id == require_company_id(),
            Appointment.created_at > now - DAY,
            Appointment.created_by_origin.in_(OUR_ORIGINS),
        )
    ).one()
    settled = row.synced + row.failed
    return 100.0 * row.synced / settled if settled >= LEAST_APPOINTMENTS else None


def _latency(session: Session, now: datetime) -> float | None:
    taken = func.extract("epoch", HistoryEvent.at - Intent.created_at)
    row = session.execute(
        select(func.count().label("number"), func.avg(taken).label("mean"))
        .select_from(HistoryEvent)
        .join(
            Intent,
            (Intent.company_id == HistoryEvent.company_id) & (Intent.id == HistoryEvent.intent_id),
        )
        .where(
            HistoryEvent.company_id == require_company_id(),
            HistoryEvent.at > now - HOUR,
            HistoryEvent.kind == EventKind.PUSHED,
        )
    ).one()
    return float(row.mean) if row.number >= LEAST_CHANGES else None


def _count(session: Session, *which: ColumnElement[bool]) -> float:
    return float(session.scalar(select(func.count()).where(*which)) or 0)


MEASURES: dict[ThresholdKind, Callable[[Session, datetime], float | None]] = {
    ThresholdKind.ORPHANS: _orphans,
    ThresholdKind.VERIFICATION_FAILURES: _verification_failures,
    ThresholdKind.QUEUE_LENGTH: _queue_length,
    ThresholdKind.QUEUE_AGE: _queue_age,
    ThresholdKind.SUCCESS_RATE: _success_rate,
    ThresholdKind.LATENCY: _latency,
}
"""Each in the unit that `ThresholdKind` names; None: too few data to say anything."""
