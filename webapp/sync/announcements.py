"""Announcements: were Cal.com's own changes told by webhook? Where reading shows changes that no
delivery announced, the webhook is dead or its secret wrong, and people are told (S4.4).

Whoever reads Cal.com hands in what had changed there since the base (`note_changes`, any number at
once); a change is judged when a late webhook has had its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.delivery import Delivery, first_received_at
from webapp.models.notification import NotificationType
from webapp.models.remote_change import (
    ANNOUNCED_BY,
    Announcements,
    RemoteChange,
    RemoteChangeKind,
    count_announcements,
    latest_missed,
)
from webapp.models.tenancy import require_company_id
from webapp.notify.inbox import close_told, tell
from webapp.sync.reconcile import (
    Mover,
    StatusClass,
    differences,
    view_of_base,
    view_of_ours,
    view_of_theirs,
)

WEBHOOK_SUBJECT = "webhook"
WINDOW = timedelta(hours=24)
FEW_WITHIN = timedelta(days=14)
"""Where so little changes that a day holds no alarm's worth of it, the latest changes count, no
older than this."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """When silence is told: `misses` at least, and this `share` of a day's changes; or the latest
    so many `misses`, nothing announced since the first of them."""

    patience_seconds: float = 300.0
    """How late a webhook may come and still have announced its change."""
    misses: int = 3
    share: float = 0.5


USUAL_ALARM = Alarm()


@dataclass(frozen=True, slots=True)
class SeenChange:
    """A change on Cal.com's side that a reading showed and that ours knew nothing of.

    `uid` is the booking's current one (the new one of a reschedule); `changed_at` Cal.com's
    updatedAt, or createdAt of what is new.
    """

    uid: str
    kind: RemoteChangeKind
    changed_at: datetime
    appointment_id: int | None = None


def change_seen(appointment: Appointment, booking: Booking) -> SeenChange | None:
    """What Cal.com's side did since the base; None where it did nothing, or doesn't say when."""
    found = differences(
        view_of_ours(appointment), view_of_theirs(booking), view_of_base(appointment)
    )
    moved = {each.field for each in found if each.moved in (Mover.THEIRS, Mover.BOTH)}
    if not moved or booking.updated_at is None:
        return None
    kind = RemoteChangeKind.RESCHEDULED
    if "status" in moved:
        is_over = view_of_theirs(booking).status is StatusClass.CANCELLED
        kind = RemoteChangeKind.CANCELLED if is_over else RemoteChangeKind.CONFIRMED
    return SeenChange(booking.uid, kind, booking.updated_at, appointment.id)


def note_changes(
    session: Session, changes: Sequence[SeenChange], *, now: datetime, alarm: Alarm
) -> Announcements | None:
    """Note what a reading showed, judge what is old enough, and tell people of a silence.

    Set-based: three statements, however many changes. Returns the last 24 hours' figures where
    something was judged, else None. The caller commits.
    """
    if changes:
        _keep(session, changes, now)
    if not _judge(session, now - timedelta(seconds=alarm.patience_seconds)):
        return None
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    figures = count_announcements(session, since=_window_start(company, now), until=now)
    if company.webhook_silent_since is None:
        silence = _silence(session, company, figures, alarm, now)
        if silence is not None:
            _sound(session, company, silence, now)
    return figures


def note_arrival(session: Session, received_at: datetime, *, now: datetime) -> None:
    """A signed delivery came: if the webhook was silent it is so no longer, and what was missed
    before counts no more. The caller commits."""
    company = session.get_one(Company, require_company_id())
    silent_since = company.webhook_silent_since
    if silent_since is None or received_at < silent_since:
        return
    company.webhook_silent_since = None
    company.webhook_recovered_at = received_at
    close_told(session, [NotificationType.WEBHOOK_SILENT], WEBHOOK_SUBJECT, now=now)


def _keep(session: Session, changes: Sequence[SeenChange], now: datetime) -> None:
    """Each change once, however often it is read; older than the webhook itself it says nothing."""
    company = session.get_one(Company, require_company_id())
    began_at = first_received_at(session) or company.webhook_registered_at or company.created_at
    rows = {
        (change.uid, change.kind): {
            "company_id": company.id,
            "uid": change.uid,
            "kind": change.kind,
            "changed_at": change.changed_at,
            "seen_at": now,
            "appointment_id": change.appointment_id,
        }
        for change in changes
        if began_at <= change.changed_at <= now
    }
    if rows:
        session.execute(insert(RemoteChange).values(list(rows.values())).on_conflict_do_nothing())


def _judge(session: Session, before: datetime) -> bool:
    """Decide what changed before an instant: announced, or missed. True if anything was decided."""
    is_announced = exists(
        select(Delivery.id).where(
            Delivery.company_id == RemoteChange.company_id,
            Delivery.booking_uid == RemoteChange.uid,
            _is_announcement(),
        )
    )
    decided = session.scalars(
        update(RemoteChange)
        .where(
            RemoteChange.company_id == require_company_id(),
            RemoteChange.was_announced.is_(None),
            RemoteChange.changed_at <= before,
        )
        .values(was_announced=is_announced)
        .returning(RemoteChange.id)
        .execution_options(synchronize_session=False)
    )
    return decided.first() is not None


def _is_announcement() -> ColumnElement[bool]:
    return or_(
        *(
            and_(RemoteChange.kind == kind, Delivery.trigger.in_(triggers))
            for kind, triggers in ANNOUNCED_BY.items()
        )
    )


def _silence(
    session: Session, company: Company, figures: Announcements, alarm: Alarm, now: datetime
) -> Announcements | None:
    """What is to be told, by the day's `figures`; None: nothing. Of a day in which much was missed
    the share tells, for a single delivery is lost now and then."""
    if figures.missed < alarm.misses:
        return _silence_of_few(session, company, alarm, now)
    rate = figures.miss_rate
    return figures if rate is not None and rate >= alarm.share else None


def _silence_of_few(
    session: Session, company: Company, alarm: Alarm, now: datetime
) -> Announcements | None:
    """A small company's webhook could be dead for months without three misses in one day."""
    begin = _window_start(company, now, FEW_WITHIN)
    missed = [each.changed_at for each in latest_missed(session, alarm.misses)]
    if len(missed) < alarm.misses or missed[-1] < begin:
        return None
    figures = count_announcements(session, since=missed[-1], until=now)
    return figures if not figures.announced else None


def _window_start(company: Company, now: datetime, length: timedelta = WINDOW) -> datetime:
    """So far back, but not behind the last time that the webhook was heard again."""
    begin = now - length
    return max(begin, company.webhook_recovered_at or begin)


def _sound(session: Session, company: Company, figures: Announcements, now: datetime) -> None:
    company.webhook_silent_since = now
    tell(
        session,
        NotificationType.WEBHOOK_SILENT,
        WEBHOOK_SUBJECT,
        now=now,
        missed=figures.missed,
        announced=figures.announced,
    )
