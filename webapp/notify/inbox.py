"""The database inbox: written in the transaction of the finding, so that nobody is told of
something that was rolled back, and nothing that happened goes untold.

Repeats of one trouble fold into one item. So do many troubles of one kind: five of a type within
ten minutes become one item that counts them ("500 appointments differ"), which is over when none
of them is open any more. It leaves the house once; and again where it had been quiet for ten
minutes, or has grown tenfold since it left.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.discrepancy import Discrepancy, DiscrepancyType
from webapp.models.notification import MANY, Notification, NotificationType
from webapp.models.sending import Sending, SendingStatus
from webapp.models.tenancy import require_company_id
from webapp.notify.envelopes import SENT_COUNT, put_out
from webapp.notify.recipients import Recipient, recipients_of

FOLDS_FROM = 5
FOLDS_WITHIN = timedelta(minutes=10)
GROWTH_THAT_IS_NEWS = 10
"""A fold that has grown so many times since it left the house leaves again."""

IS_FOLDED = "is_folded"
"""The parameter of an item that went on in a fold: its link has left the house already."""

_OF_FINDINGS = [NotificationType(type_.value) for type_ in DiscrepancyType]


@dataclass(frozen=True, slots=True)
class Told:
    """An item for everybody's inbox. `parameters` hold ids and codes, no customer data."""

    type: NotificationType
    subject: str
    appointment_id: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    count: int = 1
    """How many times, or for a fold how many appointments, it stands for."""


def tell(
    session: Session,
    type_: NotificationType,
    subject: str,
    *,
    now: datetime,
    appointment_id: int | None = None,
    only: Collection[int] | None = None,
    **parameters: Any,
) -> int:
    """Put an item into everybody's inbox; a repeat while one is open folds into it, unread again.

    `only` are the people whom alone it concerns. Returns how many people and channels were told.
    `parameters` hold ids and codes, no customer data.
    """
    item = Told(type_, subject, appointment_id, parameters)
    return tell_many(session, [item], now=now, only=only)


def tell_many(
    session: Session, items: Sequence[Told], *, now: datetime, only: Collection[int] | None = None
) -> int:
    """The same for many items, of different subjects, in a handful of statements."""
    by_type: dict[NotificationType, list[Told]] = defaultdict(list)
    for item in items:
        by_type[item.type].append(item)
    told: dict[tuple[int | None, int | None], Recipient] = {}
    for type_, of_type in by_type.items():
        recipients = recipients_of(session, type_, only)
        if not recipients:
            structlog.get_logger("lockstep.notify").warning("nobody_to_tell", type=type_.value)
            continue
        _write(session, _folded(session, type_, of_type, now), recipients, now)
        put_out(session, recipients, now=now)
        told |= {(each.user_id, each.channel_id): each for each in recipients}
    return len(told)


def close_told(
    session: Session, types: Iterable[NotificationType], subject: str, *, now: datetime
) -> None:
    """The trouble is over: its items close by themselves, and what folded many with the last."""
    close_all_told(session, types, [subject], now=now)


def close_all_told(
    session: Session, types: Iterable[NotificationType], subjects: Sequence[str], *, now: datetime
) -> None:
    """The same for many subjects."""
    if not subjects:
        return
    types = list(types)
    _close(session, now, Notification.subject.in_(subjects), Notification.type.in_(types))
    close_finished_folds(session, now=now)


def close_finished_folds(session: Session, *, now: datetime) -> None:
    """Close the items that tell of many findings where none of their type is open any more."""
    still_open = select(Discrepancy.id).where(
        Discrepancy.company_id == Notification.company_id,
        Discrepancy.type == Notification.type,
        Discrepancy.resolved_at.is_(None),
    )
    _close(
        session,
        now,
        Notification.subject == MANY,
        Notification.type.in_(_OF_FINDINGS),
        ~still_open.exists(),
    )


def unread_count(session: Session, user_id: int) -> int:
    """The number on the bell."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Notification)
            .where(
                Notification.company_id == require_company_id(),
                Notification.user_id == user_id,
                Notification.read_at.is_(None),
                Notification.closed_at.is_(None),
            )
        )
        or 0
    )


def _folded(
    session: Session, type_: NotificationType, items: list[Told], now: datetime
) -> list[Told]:
    """The items of a type as they are written: one by one, or as one that counts them."""
    singles = [item for item in items if item.appointment_id is not None]
    others = [item for item in items if item.appointment_id is None]
    if not singles or not _are_many(session, type_, singles, now):
        return items
    count = len(singles) + _absorb(session, type_, now)
    return [*others, Told(type_, MANY, None, singles[-1].parameters, count)]


def _are_many(
    session: Session, type_: NotificationType, singles: list[Told], now: datetime
) -> bool:
    """Whether a fold of this type is going on, or these are the ones that begin it."""
    subjects = {item.subject for item in singles}
    recent = session.execute(
        select(
            func.count(Notification.subject.distinct()).label("subjects"),
            func.coalesce(func.bool_or(Notification.subject == MANY), False).label("has_fold"),
        ).where(*_recent(type_, now), Notification.subject.not_in(subjects))
    ).one()
    return bool(recent.has_fold) or recent.subjects + len(subjects) >= FOLDS_FROM


def _absorb(session: Session, type_: NotificationType, now: datetime) -> int:
    """Take the recent single items into the fold that is about to be made; how many troubles."""
    singles = (*_recent(type_, now), Notification.appointment_id.is_not(None))
    leaving = select(Sending.id).where(
        Sending.company_id == Notification.company_id,
        or_(Sending.user_id == Notification.user_id, Sending.channel_id == Notification.channel_id),
        Sending.status == SendingStatus.IN_FLIGHT,
    )
    # What has left the house, or may be leaving, is kept: its link has to lead somewhere.
    kept = update(Notification).where(
        *singles, or_(Notification.sent_at.is_not(None), leaving.exists())
    )
    folded = kept.values(
        closed_at=now, parameters=Notification.parameters.concat({IS_FOLDED: True})
    )
    subjects: set[str] = set()
    for statement in (folded, delete(Notification).where(*singles)):
        subjects |= set(
            session.scalars(
                statement.returning(Notification.subject).execution_options(
                    synchronize_session=False
                )
            )
        )
    return len(subjects)


def _write(session: Session, items: list[Told], recipients: list[Recipient], now: datetime) -> None:
    people = [each for each in recipients if each.user_id is not None]
    channels = [each for each in recipients if each.channel_id is not None]
    is_open = "closed_at IS NULL"
    _fold(session, [_row(i, r, now) for i in items for r in people], "user_id", is_open)
    _fold(
        session,
        [_row(i, r, now) for i in items for r in channels],
        "channel_id",
        f"{is_open} AND channel_id IS NOT NULL",
    )


def _row(item: Told, recipient: Recipient, now: datetime) -> dict[str, Any]:
    return {
        "company_id": require_company_id(),
        **recipient._asdict(),
        "type": item.type,
        "subject": item.subject,
        "appointment_id": item.appointment_id,
        "parameters": item.parameters,
        "repeat_count": item.count,
        "created_at": now,
        "last_at": now,
    }


def _fold(session: Session, rows: list[dict[str, Any]], column: str, where: str) -> None:
    """Insert, or count on in the open item of the same recipient, type and subject."""
    if not rows:
        return
    fold = insert(Notification).values(rows)
    new = fold.excluded
    is_new_wave = and_(
        Notification.subject == MANY, Notification.last_at < new.last_at - FOLDS_WITHIN
    )
    has_grown = and_(
        Notification.subject == MANY,
        Notification.repeat_count + new.repeat_count
        >= GROWTH_THAT_IS_NEWS * Notification.parameters[SENT_COUNT].as_integer(),
    )
    leaves_again = or_(is_new_wave, has_grown)
    count = case((is_new_wave, 0), else_=Notification.repeat_count) + new.repeat_count
    kept = case((Notification.subject == MANY, Notification.parameters), else_=text("'{}'::jsonb"))
    session.execute(
        fold.on_conflict_do_update(
            index_elements=["company_id", column, "type", "subject"],
            index_where=text(where),
            set_={
                "repeat_count": count,
                "last_at": new.last_at,
                "parameters": kept.concat(new.parameters),
                "read_at": None,
                "pace": case((leaves_again, new.pace), else_=Notification.pace),
                "sent_at": case((leaves_again, None), else_=Notification.sent_at),
            },
        )
    )


def _recent(type_: NotificationType, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Notification.company_id == require_company_id(),
        Notification.type == type_,
        Notification.closed_at.is_(None),
        Notification.last_at > now - FOLDS_WITHIN,
    )


def _close(session: Session, now: datetime, *which: ColumnElement[bool]) -> None:
    session.execute(
        update(Notification)
        .where(
            Notification.company_id == require_company_id(),
            Notification.closed_at.is_(None),
            *which,
        )
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )
