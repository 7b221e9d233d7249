"""Links that let a person in: an invitation, or a new password. Kept as a hash, for one use."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.user import Role

RANDOM_BYTES = 32


class LinkKind(StrEnum):
    """What a link is for."""

    INVITATION = "invitation"
    PASSWORD = "password"  # noqa: S105 - what the link is for


LIVES = {LinkKind.INVITATION: timedelta(days=7), LinkKind.PASSWORD: timedelta(hours=2)}
"""How long a link opens anything."""


class AccessLink(Owned, Base):
    """One link. An invitation names whom and as what, a password link whose.

    `token_hash` is None until the mail with the link leaves: only who sends it knows its text.
    """

    __tablename__ = "access_links"
    __table_args__ = (
        belongs_to("user_id", "users"),
        one_of("kind", LinkKind),
        one_of("role", Role),
        CheckConstraint(
            "(kind = 'invitation') = (role IS NOT NULL)"
            " AND (kind = 'password') = (user_id IS NOT NULL)",
            name="kind_fits",
        ),
        CheckConstraint("octet_length(token_hash) = 32", name="hash_is_sha256"),
        UniqueConstraint("token_hash"),
        Index(
            "uq_access_links_one_open",
            "company_id",
            "kind",
            "email_folded",
            unique=True,
            postgresql_where="ended_at IS NULL",
        ),
        Index(
            "ix_access_links_mail_due", "mail_due_at", postgresql_where="mail_due_at IS NOT NULL"
        ),
    )

    kind: Mapped[LinkKind] = mapped_column(TextEnum(LinkKind))
    user_id: Mapped[int | None]
    email: Mapped[str]
    email_folded: Mapped[str] = mapped_column(Text(collation="C"))
    role: Mapped[Role | None] = mapped_column(TextEnum(Role))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    created_by_user_id: Mapped[int | None]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """Used, withdrawn or replaced by a newer one."""
    mail_due_at: Mapped[datetime | None]
    """When its mail is to leave, or whoever sends it is taken to have died; None: nothing is."""
    mail_attempt_count: Mapped[int] = mapped_column(default=0)
    mailed_at: Mapped[datetime | None]
    mail_error: Mapped[str | None]

    def is_open(self, now: datetime) -> bool:
        """Whether it lets somebody in."""
        return self.ended_at is None and now < self.expires_at


def new_link_text() -> str:
    """What stands in the address: 256 random bits."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def hash_link(text: str) -> bytes:
    """What is stored and looked up; a plain hash suffices for 256 bits."""
    return hashlib.sha256(text.encode()).digest()
