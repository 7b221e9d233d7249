"""Whom appointments are for."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned

SURNAME_FIRST = r"regexp_replace(name_folded, '^(.*\S)\s+(\S+)$', '\2 \1')"


class Customer(Owned, Base):
    """A customer; e-mail, phone or both, because Cal.com needs one of them."""

    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint("email IS NOT NULL OR phone IS NOT NULL", name="can_be_reached"),
        CheckConstraint("(email IS NULL) = (email_folded IS NULL)", name="email_folded"),
        Index(None, "company_id", "email_folded"),
        Index(None, "company_id", "phone"),
        Index(None, "company_id", "name_folded"),
        Index(None, "company_id", "surname_folded"),
    )

    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(Text(collation="C"))
    surname_folded: Mapped[str] = mapped_column(
        Text(collation="C"), Computed(SURNAME_FIRST, persisted=True)
    )
    """`rosen ruth`: people are looked for by their last word."""
    email: Mapped[str | None]
    email_folded: Mapped[str | None] = mapped_column(Text(collation="C"))
    phone: Mapped[str | None] = mapped_column(Text(collation="C"))
    time_zone: Mapped[str]
    language: Mapped[str]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    """When what told who it is was removed (`sync.erasure`); the row stays for its appointments."""
