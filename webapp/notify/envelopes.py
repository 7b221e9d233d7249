"""Envelopes on their way: put out with the news, claimed by one worker, filled when they leave.

Lock order: an envelope's row is locked by who adds news and by who closes it, so that news either
gets into the envelope that is leaving or finds none and puts out the next one. Who adds news also
locks items, before it and after it; so who closes it never holds both: what becomes of the items
is committed first.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.company import Company
from webapp.models.notification import MANY, Notification
from webapp.models.sending import UNDER_WAY, Pace, Sending, SendingStatus
from webapp.models.tenancy import require_company_id
from webapp.notify.recipients import Recipient

COLLECTS_FOR = timedelta(seconds=3)
"""News of the same moment leaves in one message."""

DAILY_HOUR = 7
LEASE = timedelta(seconds=330)
"""Longer than the job may take: a mail server may scan a mail for long before it answers."""

MOST_ITEMS = 500

SENT_COUNT = "sent_count"
"""The parameter of a fold that says how many it told of when it left."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An envelope in this worker's hands."""

    sending_id: int
    token: uuid.UUID
    attempt: int
    pace: Pace
    user_id: int | None
    channel_id: int | None
    last_error: str | None
    """The code of the try before, where it failed."""


def put_out(session: Session, recipients: Sequence[Recipient], *, now: datetime) -> None:
    """See that everybody whose news leaves the house has an envelope under way."""
    company = session.get_one(Company, require_company_id())
    for recipient in recipients:
        if recipient.pace is not None:
            _put_out(session, recipient, recipient.pace, due_at(recipient.pace, company, now), now)


def put_out_test(
    session: Session, *, user_id: int | None, channel_id: int | None, now: datetime
) -> None:
    """A message that says nothing but that it arrives."""
    _put_out(session, Recipient(user_id, channel_id, Pace.TEST), Pace.TEST, now, now)


def due_at(pace: Pace, company: Company, now: datetime) -> datetime:
    """When an envelope leaves: in a moment, or at seven the next morning, company time."""
    if pace is not Pace.DAILY:
        return now + COLLECTS_FOR
    local = now.astimezone(company.zone)
    seven = local.replace(hour=DAILY_HOUR, minute=0, second=0, microsecond=0)
    return seven if seven > local else seven + timedelta(days=1)


def claim_envelope(session: Session, sending_id: int, *, now: datetime) -> Claim | None:
    """Take an envelope that is due, or whose holder died; None where another has it."""
    token = uuid.uuid4()
    row = session.execute(
        update(Sending)
        .where(
            Sending.company_id == require_company_id(),
            Sending.id == sending_id,
            or_(
                (Sending.status == SendingStatus.WAITING) & (Sending.due_at <= now),
                (Sending.status == SendingStatus.IN_FLIGHT) & (Sending.lease_until <= now),
            ),
        )
        .values(
            status=SendingStatus.IN_FLIGHT,
            lease_token=token,
            lease_until=now + LEASE,
            attempt_count=Sending.attempt_count + 1,
        )
        .returning(
            Sending.attempt_count.label("attempt"),
            Sending.pace,
            Sending.user_id,
            Sending.channel_id,
            Sending.error_code,
        )
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        return None
    return Claim(
        sending_id, token, row.attempt, row.pace, row.user_id, row.channel_id, row.error_code
    )


def contents_of(session: Session, claim: Claim) -> list[Notification]:
    """What is to leave now: open, not sent yet, the oldest first."""
    return list(
        session.scalars(
            select(Notification)
            .where(*_unsent(claim), Notification.closed_at.is_(None))
            .order_by(Notification.id)
            .limit(MOST_ITEMS)
        )
    )


def stamp_sent(session: Session, told: Mapping[int, int], *, now: datetime) -> None:
    """These items have left the house: how many times, or troubles, each told of, by id. Commit
    before the envelope is closed."""
    items = (Notification.company_id == require_company_id(), Notification.id.in_(list(told)))
    count = case(dict(told), value=Notification.id)
    session.execute(
        update(Notification)
        .where(*items)
        .values(
            sent_at=now,
            parameters=case(
                (
                    Notification.subject == MANY,
                    Notification.parameters.concat(func.jsonb_build_object(SENT_COUNT, count)),
                ),
                else_=Notification.parameters,
            ),
        )
        .execution_options(synchronize_session=False)
    )


def keep_inside(session: Session, claim: Claim) -> None:
    """What could not leave stays in the inbox: it must not flood anybody weeks later. Commit before
    the envelope is closed."""
    if claim.pace is Pace.TEST:
        return
    session.execute(
        update(Notification)
        .where(*_unsent(claim))
        .values(pace=None)
        .execution_options(synchronize_session=False)
    )


def close_envelope(
    session: Session,
    claim: Claim,
    status: SendingStatus,
    *,
    now: datetime,
    sent_ids: Sequence[int] = (),
    error: tuple[str, str] | None = None,
) -> bool:
    """The envelope's end; what is still to be sent gets an envelope of its own.

    False where the lease was lost: then another worker has taken over and nothing is written.
    """
    values = {"finished_at": now, "notification_ids": list(sent_ids)}
    if not _settle(session, claim, status, error, **values):
        return False
    if contents_of(session, claim):
        put_out(session, [Recipient(claim.user_id, claim.channel_id, claim.pace)], now=now)
    return True


def put_off(session: Session, claim: Claim, *, until: datetime, error: tuple[str, str]) -> bool:
    """Try again later; False where the lease was lost."""
    return _settle(session, claim, SendingStatus.WAITING, error, due_at=until)


def _settle(
    session: Session,
    claim: Claim,
    status: SendingStatus,
    error: tuple[str, str] | None,
    **values: object,
) -> bool:
    code, message = error or (None, None)
    settled = session.scalar(
        update(Sending)
        .where(
            Sending.company_id == require_company_id(),
            Sending.id == claim.sending_id,
            Sending.lease_token == claim.token,
        )
        .values(
            status=status,
            lease_token=None,
            lease_until=None,
            error_code=code,
            error_message=message,
            **values,
        )
        .returning(Sending.id)
        .execution_options(synchronize_session=False)
    )
    return settled is not None


def _unsent(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    recipient = (
        Notification.user_id == claim.user_id
        if claim.user_id is not None
        else Notification.channel_id == claim.channel_id
    )
    return (
        Notification.company_id == require_company_id(),
        recipient,
        Notification.pace == claim.pace,
        Notification.sent_at.is_(None),
    )


def _put_out(
    session: Session, recipient: Recipient, pace: Pace, due: datetime, now: datetime
) -> None:
    column = "user_id" if recipient.user_id is not None else "channel_id"
    new = insert(Sending).values(
        company_id=require_company_id(),
        user_id=recipient.user_id,
        channel_id=recipient.channel_id,
        pace=pace,
        status=SendingStatus.WAITING,
        created_at=now,
        due_at=due,
        attempt_count=0,
        notification_ids=[],
    )
    under_way = ", ".join(f"'{status.value}'" for status in sorted(UNDER_WAY, reverse=True))
    session.execute(
        # Not DO NOTHING: the row has to be locked, see the module's lock order.
        new.on_conflict_do_update(
            index_elements=["company_id", column, "pace"],
            index_where=text(f"status IN ({under_way}) AND {column} IS NOT NULL"),
            set_={"created_at": Sending.created_at},
        )
    )


def try_again(session: Session, sending_id: int, *, now: datetime) -> bool:
    """Let an envelope that waits for its next try leave now; False where it doesn't wait."""
    waiting = session.scalar(
        update(Sending)
        .where(
            Sending.company_id == require_company_id(),
            Sending.id == sending_id,
            Sending.status == SendingStatus.WAITING,
        )
        .values(due_at=now)
        .returning(Sending.id)
        .execution_options(synchronize_session=False)
    )
    return waiting is not None
