"""Who is told, and how soon outside the inbox (S7): everybody who can log in finds it in the inbox;
admins and managers are mailed too, staff where the company wants it; chat channels as they are set.
Nobody of another company, ever."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company
from webapp.models.notification import NotificationType
from webapp.models.preference import MailPreference, MailWish
from webapp.models.sending import Pace
from webapp.models.tenancy import require_company_id
from webapp.models.user import Role, User

NEVER_LEAVES = frozenset({NotificationType.CHANNEL_FAILED})
"""That mail or chat fails can't be told by mail or chat."""

_PACES = {MailWish.AT_ONCE: Pace.AT_ONCE, MailWish.DAILY: Pace.DAILY, MailWish.NEVER: None}


class Recipient(NamedTuple):
    """A person or a chat channel; `pace` None: the inbox alone."""

    user_id: int | None
    channel_id: int | None
    pace: Pace | None


def recipients_of(
    session: Session, type_: NotificationType, only: Collection[int] | None = None
) -> list[Recipient]:
    """Everybody to tell of a type, by id, so that locks are taken in one order.

    `only` narrows it to some people, and leaves the channels out.
    """
    people = _people(session, type_, only)
    channels = [] if only is not None else _channels(session, type_)
    return [*people, *channels]


def _people(
    session: Session, type_: NotificationType, only: Collection[int] | None
) -> list[Recipient]:
    query = (
        select(User.id, User.role, MailPreference.wish, Company.mails_staff)
        .join(Company, Company.id == User.company_id)
        .outerjoin(
            MailPreference,
            and_(
                MailPreference.company_id == User.company_id,
                MailPreference.user_id == User.id,
                MailPreference.type == type_,
            ),
        )
        .where(User.company_id == require_company_id(), User.is_enabled)
        .order_by(User.id)
    )
    if only is not None:
        query = query.where(User.id.in_(only))
    return [
        Recipient(row.id, None, _pace(type_, row.role, row.wish, row.mails_staff))
        for row in session.execute(query)
    ]


def _pace(
    type_: NotificationType, role: Role, wish: MailWish | None, mails_staff: bool
) -> Pace | None:
    if type_ in NEVER_LEAVES or not may_be_mailed(role, mails_staff):
        return None
    return _PACES[wish or MailWish.AT_ONCE]


def may_be_mailed(role: Role, mails_staff: bool) -> bool:
    return role is not Role.STAFF or mails_staff


def _channels(session: Session, type_: NotificationType) -> list[Recipient]:
    if type_ in NEVER_LEAVES:
        return []
    channels = session.scalars(
        select(ChatChannel)
        .where(ChatChannel.company_id == require_company_id(), ChatChannel.is_enabled)
        .order_by(ChatChannel.id)
    )
    return [
        Recipient(None, channel.id, Pace.AT_ONCE)
        for channel in channels
        if type_.value not in channel.muted_types
    ]
