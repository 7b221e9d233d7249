"""Filters of the appointment list that a person keeps under a name of their own."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, belongs_to

MOST_VIEWS = 20
"""One person's; beyond that tabs help nobody."""


class SavedView(Owned, Base):
    """One person's view; `query` is the list's address without `?`, as it was checked."""

    __tablename__ = "saved_views"
    __table_args__ = (
        belongs_to("user_id", "users", ondelete="CASCADE"),
        UniqueConstraint("company_id", "user_id", "name_folded"),
        CheckConstraint("name <> ''", name="has_name"),
    )

    user_id: Mapped[int]
    name: Mapped[str]
    name_folded: Mapped[str] = mapped_column(Text(collation="C"))
    query: Mapped[str]
    created_at: Mapped[datetime]
