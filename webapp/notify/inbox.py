"""The database inbox: written in the transaction of the finding, so that nobody is told of
something that was rolled back, and nothing that happened goes untold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.notification import Notification, NotificationType
from webapp.models.tenancy import require_company_id
from webapp.models.user import User


@dataclass(frozen=True, slots=True)
class Told:
    """An item for everybody's inbox. `parameters` hold ids and codes, no customer data."""

    type: NotificationType
    subject: str
    appointment_id: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


def tell(
    session: Session,
    type_: NotificationType,
    subject: str,
    *,
    now: datetime,
    appointment_id: int | None = None,
    only: Sequence[int] | None = None,
    **parameters: Any,
) -> int:
    """Put an item into everybody's inbox; a repeat while one is open folds into it, unread again.

    `only` are the people whom alone it concerns. Returns how many people were told.
    `parameters` hold ids and codes, no customer data.
    """
    item = Told(type_, subject, appointment_id, parameters)
    return tell_many(session, [item], now=now, only=only)


def tell_many(
    session: Session, items: Sequence[Told], *, now: datetime, only: Sequence[int] | None = None
) -> int:
    """The same for many items, of different subjects, in one statement."""
    people = _recipient_ids(session, only) if items else []
    if not people:
        return 0
    fold = insert(Notification).values(
        [_row(item, person, now) for item in items for person in people]
    )
    session.execute(
        fold.on_conflict_do_update(
            index_elements=["company_id", "user_id", "type", "subject"],
            index_where=text("closed_at IS NULL"),
            set_={
                "repeat_count": Notification.repeat_count + 1,
                "last_at": fold.excluded.last_at,
                "parameters": fold.excluded.parameters,
                "read_at": None,
            },
        )
    )
    return len(people)


def _row(item: Told, person: int, now: datetime) -> dict[str, Any]:
    return {
        "company_id": require_company_id(),
        "user_id": person,
        "type": item.type,
        "subject": item.subject,
        "appointment_id": item.appointment_id,
        "parameters": item.parameters,
        "repeat_count": 1,
        "created_at": now,
        "last_at": now,
    }


def close_told(
    session: Session, types: Iterable[NotificationType], subject: str, *, now: datetime
) -> None:
    """The trouble is over: its items close by themselves."""
    close_all_told(session, types, [subject], now=now)


def close_all_told(
    session: Session, types: Iterable[NotificationType], subjects: Sequence[str], *, now: datetime
) -> None:
    """The same for many subjects."""
    if not subjects:
        return
    session.execute(
        update(Notification)
        .where(
            Notification.company_id == require_company_id(),
            Notification.subject.in_(subjects),
            Notification.type.in_(list(types)),
            Notification.closed_at.is_(None),
        )
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
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


def _recipient_ids(session: Session, only: Sequence[int] | None) -> list[int]:
    """Admins, managers and staff of the company: an inbox item is for all who can log in."""
    query = select(User.id).where(User.company_id == require_company_id(), User.is_enabled)
    if only is not None:
        query = query.where(User.id.in_(only))
    return list(session.scalars(query))
