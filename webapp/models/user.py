"""People who log in: their role, language and the version that ends their sessions."""

from datetime import datetime
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, one_of

_hasher = PasswordHasher()
_NOBODYS_HASH = _hasher.hash("a password that nobody has")

MIN_PASSWORD_LENGTH = 10


class Role(StrEnum):
    """What a person may do (S12.3)."""

    ADMIN = "admin"
    MANAGER = "manager"
    STAFF = "staff"


class User(Owned, Base):
    """A person of one company; the e-mail is unique over all companies."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("id"),
        UniqueConstraint("email_folded"),
        one_of("role", Role),
        CheckConstraint("locale IN ('en', 'de')", name="locale_known"),
    )

    email: Mapped[str]
    email_folded: Mapped[str] = mapped_column(Text(collation="C"))
    name: Mapped[str]
    password_hash: Mapped[str]
    session_version: Mapped[int] = mapped_column(default=1)
    role: Mapped[Role] = mapped_column(TextEnum(Role))
    locale: Mapped[str]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]

    is_authenticated = True
    is_anonymous = False

    @property
    def is_active(self) -> bool:
        """Flask-Login's word for: may log in."""
        return self.is_enabled

    def get_id(self) -> str:
        """What the session cookie holds: changing the password makes it worthless."""
        return f"{self.id}:{self.session_version}"

    @property
    def may_act(self) -> bool:
        """Book, move, cancel, retry and settle."""
        return self.role in (Role.ADMIN, Role.MANAGER)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def set_password(self, password: str) -> None:
        """Hash with argon2 and end every session of this person."""
        self.password_hash = _hasher.hash(password)
        self.session_version = (self.session_version or 0) + 1

    def has_password(self, password: str) -> bool:
        return _matches(self.password_hash, password)


def check_nobodys_password(password: str) -> None:
    """Spend the time of a real check, so that an unknown e-mail answers no faster."""
    _matches(_NOBODYS_HASH, password)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
