"""What was answered on the telephone when something was booked, moved or cancelled: a call does
each of these once, however often it asks (S4.5). Kept as long as a call may last, and some days."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned, TextEnum, belongs_to, one_of


class PhoneChange(StrEnum):
    """The functions that change something, by the names the voice agent knows."""

    BOOK = "book_appointment"
    RESCHEDULE = "reschedule_appointment"
    CANCEL = "cancel_appointment"


class PhoneAnswer(Owned, Base):
    """One change done in one call, written in the transaction of the change.

    `arguments_hash` is that of what was understood, so that `9:30` and `09:30` are the same wish.
    """

    __tablename__ = "phone_answers"
    __table_args__ = (
        belongs_to("appointment_id", "appointments"),
        one_of("function", PhoneChange),
        UniqueConstraint("company_id", "call_id", "function", "arguments_hash"),
        Index(None, "company_id", "appointment_id"),
        Index(None, "company_id", "answered_at"),
    )

    call_id: Mapped[str] = mapped_column(Text(collation="C"))
    function: Mapped[PhoneChange] = mapped_column(TextEnum(PhoneChange))
    arguments_hash: Mapped[bytes] = mapped_column(LargeBinary)
    appointment_id: Mapped[int]
    answered_at: Mapped[datetime]
    answer: Mapped[dict[str, Any]]
