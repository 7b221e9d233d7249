"""What a person wants to be mailed about; the inbox holds everything always (S7)."""

from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of
from webapp.models.notification import NotificationType


class MailWish(StrEnum):
    """When a type of notification comes by mail."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    NEVER = "never"


class MailPreference(Owned, Base):
    """One person's wish for one type; where there is none, it comes at once."""

    __tablename__ = "mail_preferences"
    __table_args__ = (
        belongs_to("user_id", "users"),
        one_of("type", NotificationType),
        one_of("wish", MailWish),
        UniqueConstraint("company_id", "user_id", "type"),
    )

    user_id: Mapped[int]
    type: Mapped[NotificationType] = mapped_column(TextEnum(NotificationType))
    wish: Mapped[MailWish] = mapped_column(TextEnum(MailWish))
