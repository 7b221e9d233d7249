"""What a call has been answered, so that it does each thing once however often it asks.

A repeat finds the first answer, kept in the transaction of the change. What undoes a change lets it
be asked for anew: a cancellation clears the booking and the moves of its appointment; a booking or
a move clears the cancellations of its call; a further move clears the moves before it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.phone_answer import PhoneAnswer, PhoneChange
from webapp.models.tenancy import require_company_id

KEPT = timedelta(days=7)
"""Far longer than a call lasts."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that a call asks for, by what was understood of its arguments."""

    call_id: str
    change: PhoneChange
    arguments_hash: bytes


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first answer, and where its appointment stands now."""

    answer: dict[str, Any]
    appointment_id: int
    starts_at: datetime


def wish(call_id: str, change: PhoneChange, understood: Mapping[str, object]) -> Wish:
    """A wish by its understood arguments; their order and spelling don't matter."""
    text = json.dumps(understood, sort_keys=True, default=str)
    return Wish(call_id, change, hashlib.sha256(text.encode()).digest())


def lock_call(session: Session, call_id: str) -> None:
    """One change of a call at a time: a repeat waits for the first and gets its answer."""
    key = f"call:{require_company_id()}:{call_id}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def recall(session: Session, wish: Wish) -> Remembered | None:
    """The answer this wish got before; None if it is new, or what it did was undone since."""
    found = session.execute(
        select(PhoneAnswer.answer, Appointment)
        .join(
            Appointment,
            (Appointment.company_id == PhoneAnswer.company_id)
            & (Appointment.id == PhoneAnswer.appointment_id),
        )
        .where(*_is(wish))
    ).one_or_none()
    if found is None:
        return None
    answer, appointment = found
    if wish.change is not PhoneChange.CANCEL and not appointment.is_live:
        return None
    return Remembered(answer, appointment.id, appointment.starts_at)


def remember(
    session: Session, wish: Wish, appointment_id: int, answer: dict[str, Any], *, now: datetime
) -> None:
    """Keep the answer of a change just made, and forget what it undoes and what is long past."""
    mine = PhoneAnswer.company_id == require_company_id()
    _forget(session, mine, PhoneAnswer.answered_at < now - KEPT)
    _forget(session, *_is(wish))
    of_appointment = PhoneAnswer.appointment_id == appointment_id
    if wish.change is PhoneChange.CANCEL:
        _forget(session, mine, of_appointment, PhoneAnswer.function != PhoneChange.CANCEL)
    else:
        of_call = PhoneAnswer.call_id == wish.call_id
        _forget(session, mine, of_call, PhoneAnswer.function == PhoneChange.CANCEL)
        _forget(
            session, mine, of_call, of_appointment, PhoneAnswer.function == PhoneChange.RESCHEDULE
        )
    session.add(
        PhoneAnswer(
            call_id=wish.call_id,
            function=wish.change,
            arguments_hash=wish.arguments_hash,
            appointment_id=appointment_id,
            answered_at=now,
            answer=answer,
        )
    )


def appointments_of_call(call_id: str) -> ColumnElement[bool]:
    """The appointments that this very call has booked or moved."""
    return Appointment.id.in_(
        select(PhoneAnswer.appointment_id).where(
            PhoneAnswer.company_id == require_company_id(),
            PhoneAnswer.call_id == call_id,
            PhoneAnswer.function != PhoneChange.CANCEL,
        )
    )


def _is(wish: Wish) -> tuple[ColumnElement[bool], ...]:
    return (
        PhoneAnswer.company_id == require_company_id(),
        PhoneAnswer.call_id == wish.call_id,
        PhoneAnswer.function == wish.change,
        PhoneAnswer.arguments_hash == wish.arguments_hash,
    )


def _forget(session: Session, *conditions: ColumnElement[bool]) -> None:
    session.execute(delete(PhoneAnswer).where(*conditions))
