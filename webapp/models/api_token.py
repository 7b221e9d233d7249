"""Tokens that other systems show at the API's door: kept as a hash, shown once, revocable."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, belongs_to, quoted
from webapp.models.tenancy import require_company_id

PREFIX = "ls_"
"""Tells people and secret scanners whose token this is."""

RANDOM_BYTES = 32
USE_NOTED_EVERY = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token may do. Whoever may write appointments may read them too."""

    APPOINTMENTS_READ = "appointments:read"
    APPOINTMENTS_WRITE = "appointments:write"
    STATS_READ = "stats:read"


IMPLIED = {Scope.APPOINTMENTS_WRITE: frozenset({Scope.APPOINTMENTS_READ})}


class ApiToken(Owned, Base):
    """One token; the text itself is stored nowhere."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        belongs_to("created_by_user_id", "users"),
        UniqueConstraint("token_hash"),
        CheckConstraint(
            f"scopes <@ ARRAY[{quoted(Scope)}]::text[] AND cardinality(scopes) > 0",
            name="scopes_known",
        ),
        CheckConstraint("octet_length(token_hash) = 32", name="hash_is_sha256"),
        Index(None, "company_id", "created_at", "id"),
    )

    name: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    ending: Mapped[str]
    """The last four characters, by which people tell tokens apart."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    created_by_user_id: Mapped[int | None]
    """None: the operator, on the command line."""
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    """To the minute: every use would be a write."""
    revoked_at: Mapped[datetime | None]

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        return f"{PREFIX}…{self.ending}"

    @property
    def is_revoked(self) -> bool:
        return self.revoked_at is not None

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_valid(self, now: datetime) -> bool:
        return not self.is_revoked and not self.has_expired(now)


def new_token_text() -> str:
    """A token nobody can guess: `ls_` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(RANDOM_BYTES)


def hash_token(text: str) -> bytes:
    """What is stored and looked up. A plain hash suffices: there are 256 bits to guess."""
    return hashlib.sha256(text.encode()).digest()


def effective_scopes(scopes: list[str]) -> frozenset[Scope]:
    """The scopes a token was given, with those they imply."""
    given = frozenset(Scope(each) for each in scopes)
    return given.union(*(IMPLIED.get(each, frozenset()) for each in given))


def find_token(session: Session, token_hash: bytes) -> ApiToken | None:
    """The current company's token of this hash."""
    return session.scalar(
        select(ApiToken).where(
            ApiToken.company_id == require_company_id(), ApiToken.token_hash == token_hash
        )
    )


def company_tokens(session: Session) -> list[ApiToken]:
    """All tokens of the company, those in force first, then the newest."""
    return list(
        session.scalars(
            select(ApiToken)
            .where(ApiToken.company_id == require_company_id())
            .order_by(
                ApiToken.revoked_at.is_not(None), ApiToken.created_at.desc(), ApiToken.id.desc()
            )
        )
    )


def note_use(session: Session, token: ApiToken, now: datetime) -> bool:
    """Say that a token was used now; False where that was said within the last minute."""
    if token.last_used_at is not None and token.last_used_at > now - USE_NOTED_EVERY:
        return False
    is_old = or_(ApiToken.last_used_at.is_(None), ApiToken.last_used_at <= now - USE_NOTED_EVERY)
    session.execute(
        update(ApiToken)
        .where(ApiToken.company_id == require_company_id(), ApiToken.id == token.id, is_old)
        .values(last_used_at=now)
        .execution_options(synchronize_session=False)
    )
    return True
