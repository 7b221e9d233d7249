"""The database inbox: written in the transaction of the finding, so that nobody is told of
something that was rolled back, and nothing that happened goes untold.

Repeats of one trouble fold into one item. So do many troubles of one kind: five of a type within
ten minutes become one item that counts them ("500 appointments differ"), which is over when none
of them is open any more.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.discrepancy import Discrepancy
from webapp.models.notification import MANY, Notification, NotificationType
from webapp.models.tenancy import require_company_id
from webapp.notify.envelopes import put_out
from webapp.notify.recipients import Recipient, recipients_of

FOLDS_FROM = 5
FOLDS_WITHIN = timedelta(minutes=10)


def tell(
    session: Session,
    type_: NotificationType,
    subject: str,
    *,
    now: datetime,
    appointment_id: int | None = None,
    only_users: Collection[int] | None = None,
    **parameters: Any,
) -> int:
    """Put an item into everybody's inbox; a repeat while one is open folds into it, unread again.

    Returns how many people and channels were told. `parameters` hold ids and codes, no customer
    data. `only_users` narrows the recipients to some people.
    """
    recipients = recipients_of(session, type_, only_users)
    if not recipients:
        structlog.get_logger("lockstep.notify").warning("nobody_to_tell", type=type_.value)
        return 0
    count = 1
    if appointment_id is not None and _is_one_of_many(session, type_, subject, now):
        count += _absorb(session, type_, now)
        subject, appointment_id = MANY, None
    item = {
        "company_id": require_company_id(),
        "type": type_,
        "subject": subject,
        "appointment_id": appointment_id,
        "parameters": parameters,
        "repeat_count": count,
        "created_at": now,
        "last_at": now,
    }
    _fold(session, item, [each for each in recipients if each.user_id is not None], "user_id")
    _fold(session, item, [each for each in recipients if each.channel_id is not None], "channel_id")
    put_out(session, recipients, now=now)
    return len(recipients)


def close_told(
    session: Session, types: Iterable[NotificationType], subject: str, *, now: datetime
) -> None:
    """The trouble is over: its items close by themselves, and what folded many with the last."""
    types = list(types)
    _close(session, now, Notification.subject == subject, Notification.type.in_(types))
    close_finished_folds(session, now=now)


def close_finished_folds(session: Session, *, now: datetime) -> None:
    """Close the items that tell of many where no finding of their type is open any more."""
    still_open = select(Discrepancy.id).where(
        Discrepancy.company_id == Notification.company_id,
        Discrepancy.type == Notification.type,
        Discrepancy.resolved_at.is_(None),
    )
    _close(session, now, Notification.subject == MANY, ~still_open.exists())


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


def _fold(session: Session, item: dict[str, Any], recipients: list[Recipient], column: str) -> None:
    if not recipients:
        return
    rows = [item | recipient._asdict() for recipient in recipients]
    fold = insert(Notification).values(rows)
    is_open = "closed_at IS NULL"
    session.execute(
        fold.on_conflict_do_update(
            index_elements=["company_id", column, "type", "subject"],
            index_where=text(
                is_open if column == "user_id" else f"{is_open} AND channel_id IS NOT NULL"
            ),
            set_={
                "repeat_count": Notification.repeat_count + 1,
                "last_at": fold.excluded.last_at,
                "parameters": fold.excluded.parameters,
                "read_at": None,
            },
        )
    )


def _is_one_of_many(session: Session, type_: NotificationType, subject: str, now: datetime) -> bool:
    """Whether a fold of this type is going on, or this is the one that begins it."""
    recent = session.execute(
        select(
            func.count(Notification.subject.distinct()).label("subjects"),
            func.coalesce(func.bool_or(Notification.subject == MANY), False).label("has_fold"),
        ).where(*_recent(type_, now), Notification.subject != subject)
    ).one()
    return bool(recent.has_fold) or recent.subjects + 1 >= FOLDS_FROM


def _absorb(session: Session, type_: NotificationType, now: datetime) -> int:
    """Take the recent single items into the fold that is about to be made; how many troubles."""
    gone = session.scalars(
        delete(Notification)
        .where(*_recent(type_, now), Notification.appointment_id.is_not(None))
        .returning(Notification.subject)
        .execution_options(synchronize_session=False)
    )
    return len(set(gone))


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
