"""Which POSTs of the API were carried out already, and what was answered.

    (new) ──► leased ──► answered      in the transaction of the change itself
                │ ▲
                └─┘ the lease of a process that died runs out, and the next try takes over

The database says who is first: a key stands once per company and token.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    CheckConstraint,
    CursorResult,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    delete,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, belongs_to
from webapp.models.tenancy import require_company_id

LEASE = timedelta(seconds=60)
"""Longer than any request lasts: only a process that died leaves a key leased for so long."""


class IdempotencyKey(Owned, Base):
    """One key that a client sent with a POST, until it is forgotten."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        belongs_to("token_id", "api_tokens"),
        UniqueConstraint("company_id", "token_id", "key"),
        CheckConstraint("octet_length(key) BETWEEN 1 AND 255", name="key_bounded"),
        CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease_whole"),
        CheckConstraint("(status IS NULL) = (lease_token IS NOT NULL)", name="leased_or_answered"),
        CheckConstraint("(status IS NULL) = (answer IS NULL)", name="answer_whole"),
        Index(None, "company_id", "created_at"),
    )

    token_id: Mapped[int]
    key: Mapped[str] = mapped_column(Text(collation="C"))
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    lease_token: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None]
    status: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """`{"body": JSON as text, "headers": …}`: to be given again word for word."""


class Lease(NamedTuple):
    """The right to carry out a request; worthless once somebody else holds it."""

    key_id: int
    token: uuid.UUID


class Given(NamedTuple):
    """The answer that was given."""

    status: int
    answer: dict[str, Any]


class KeyBusy(Exception):
    """The same request is being carried out at this moment."""


class KeyReused(Exception):
    """The key was sent before, with another request."""


def claim_key(
    session: Session, *, token_id: int, key: str, request_hash: bytes, now: datetime
) -> Lease | Given:
    """The right to carry the request out, or the answer it got; raises KeyBusy or KeyReused.

    Commit before carrying anything out: only then do others see the claim.
    """
    lease = uuid.uuid4()
    key_id = session.scalar(
        insert(IdempotencyKey)
        .values(
            company_id=require_company_id(),
            token_id=token_id,
            key=key,
            request_hash=request_hash,
            created_at=now,
            lease_token=lease,
            lease_until=now + LEASE,
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.id)
    )
    if key_id is not None:
        return Lease(key_id, lease)
    return _from_before(session, token_id, key, request_hash, now)


def settle_key(session: Session, lease: Lease, status: int, answer: dict[str, Any]) -> bool:
    """Write the answer down, in the change's transaction; False: the lease was lost."""
    return _swap(session, lease, status=status, answer=answer, lease_token=None, lease_until=None)


def release_key(session: Session, lease: Lease) -> None:
    """Forget a claim that came to nothing: the next try may begin at once."""
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.company_id == require_company_id(),
            IdempotencyKey.id == lease.key_id,
            IdempotencyKey.lease_token == lease.token,
        )
    )


def forget_keys(session: Session, before: datetime) -> None:
    """Remove the company's keys from before an instant."""
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.company_id == require_company_id(), IdempotencyKey.created_at < before
        )
    )


def _from_before(
    session: Session, token_id: int, key: str, request_hash: bytes, now: datetime
) -> Lease | Given:
    found = session.scalar(
        select(IdempotencyKey)
        .where(
            IdempotencyKey.company_id == require_company_id(),
            IdempotencyKey.token_id == token_id,
            IdempotencyKey.key == key,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise KeyBusy  # it was released between the two statements
    if found.request_hash != request_hash:
        raise KeyReused
    if found.status is not None and found.answer is not None:
        return Given(found.status, found.answer)
    if found.lease_until is not None and found.lease_until > now:
        raise KeyBusy
    found.lease_token, found.lease_until = uuid.uuid4(), now + LEASE
    session.flush()
    return Lease(found.id, found.lease_token)


def _swap(session: Session, lease: Lease, **columns: Any) -> bool:
    result = session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.company_id == require_company_id(),
            IdempotencyKey.id == lease.key_id,
            IdempotencyKey.lease_token == lease.token,
        )
        .values(**columns)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount == 1
