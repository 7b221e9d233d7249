"""The five functions. Each is *understand → ask Cal.com → act → commit → enqueue → answer*, and no
transaction is open while Cal.com is asked."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from webapp.extensions import db
from webapp.jobs.free_times import ask_slots
from webapp.jobs.queues import enqueue_push
from webapp.models.appointment import Appointment
from webapp.models.base import fold
from webapp.models.phone_answer import PhoneChange
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.phone import changes, memory
from webapp.sync.phone.callers import Caller
from webapp.sync.phone.diary import as_booked_time, coming_appointments, point_at
from webapp.sync.phone.likeness import words
from webapp.sync.phone.lookups import Asked, look_up
from webapp.sync.phone.memory import Wish
from webapp.sync.phone.offers import choose_offer, read_offers
from webapp.sync.phone.openings import Offered
from webapp.sync.phone.outcomes import BookedTime, Objection, Outcome, Reason, objection
from webapp.views.phone.answers import as_answer, starts_at_of
from webapp.views.phone.arguments import Arguments
from webapp.views.phone.speech import Voice
from webapp.views.words import gettext as _

DAYS_SHOWN = 7
"""How far alternatives may lie behind the wanted day."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Phone:
    """One request being answered: its arguments, the company's voice, now."""

    args: Arguments
    call_id: str
    voice: Voice
    now: datetime

    def answer(self, outcome: Outcome) -> Answer:
        return as_answer(outcome, self.voice)


def check_availability(phone: Phone) -> Answer:
    """Whether a time is free, or which are: on a day, or from now on."""
    offer = choose_offer(read_offers(db.session()), phone.args.service)
    asked = _asked(phone)
    offered = _ask(phone, offer.event_type_id, asked.day, may_be_told_again=True)
    outcome = look_up(db.session(), offer, asked, offered, zone=phone.voice.zone, now=phone.now)
    return phone.answer(outcome)


def find_appointments(phone: Phone) -> Answer:
    """The caller's appointments to come."""
    coming = coming_appointments(db.session(), phone.args.caller(), now=phone.now)
    if not coming:
        raise objection(Reason.NO_APPOINTMENT)
    return phone.answer(Outcome(reason=Reason.FOUND, appointments=tuple(coming)))


def book_appointment(phone: Phone) -> Answer:
    """Take an appointment, once per call."""
    caller, notes = phone.args.caller(), phone.args.reason
    offer = choose_offer(read_offers(db.session()), phone.args.service)
    starts_at = phone.args.wanted_start()
    understood = {"caller": _who(caller), "service": offer.service_id, "starts_at": starts_at}
    wish = memory.wish(phone.call_id, PhoneChange.BOOK, understood)
    if (answer := _recalled(phone, wish)) is not None:
        return answer
    day = starts_at.astimezone(phone.voice.zone).date()
    offered = _ask(phone, offer.event_type_id, day)
    return _once(
        phone,
        wish,
        lambda: changes.book(
            db.session(), caller, offer, starts_at, offered, notes=notes, now=phone.now
        ),
    )


def reschedule_appointment(phone: Phone) -> Answer:
    """Move one of the caller's appointments, once per call."""
    caller, why = phone.args.caller(), phone.args.reason or None
    pointer, starts_at = phone.args.pointer(is_moving=True), phone.args.new_start()
    understood = {"caller": _who(caller), "which": asdict(pointer), "starts_at": starts_at}
    wish = memory.wish(phone.call_id, PhoneChange.RESCHEDULE, understood)
    if (answer := _recalled(phone, wish)) is not None:
        return answer
    try:
        booked = _pointed_at(phone, caller, is_moving=True)
    except Objection:
        # A repeat that came at the same time may just have moved it away from where it was.
        if (answer := _recalled(phone, wish)) is not None:
            return answer
        raise
    day = starts_at.astimezone(phone.voice.zone).date()
    offered = _ask(phone, booked.event_type_id, day, moving_uid=booked.uid)
    return _once(
        phone,
        wish,
        lambda: changes.move(db.session(), booked, starts_at, offered, why=why, now=phone.now),
    )


def cancel_appointment(phone: Phone) -> Answer:
    """Cancel one of the caller's appointments, once per call."""
    caller = phone.args.caller()
    why = phone.args.reason or _("Cancelled by telephone")
    understood = {"caller": _who(caller), "which": asdict(phone.args.pointer(is_moving=False))}
    wish = memory.wish(phone.call_id, PhoneChange.CANCEL, understood)
    return _once(
        phone,
        wish,
        lambda: changes.cancel(
            db.session(), _pointed_at(phone, caller, is_moving=False), why=why, now=phone.now
        ),
    )


FUNCTIONS: dict[str, Callable[[Phone], Answer]] = {
    each.__name__: each
    for each in (
        check_availability,
        book_appointment,
        reschedule_appointment,
        cancel_appointment,
        find_appointments,
    )
}


def answer_phone(function: str, phone: Phone) -> Answer:
    """Carry out a function; an objection is an answer too, and leaves nothing written."""
    try:
        return FUNCTIONS[function](phone)
    except Objection as found:
        db.session.rollback()
        return phone.answer(found.outcome)


def _once(phone: Phone, wish: Wish, change: Callable[[], Outcome]) -> Answer:
    """Make a change and keep its answer in one transaction, unless this call has done so before."""
    memory.lock_call(db.session(), wish.call_id)
    if (answer := _recalled(phone, wish)) is not None:
        return answer
    outcome = change()
    answer = phone.answer(outcome)
    if outcome.appointment is not None and outcome.reason is not Reason.BOOKED_ALREADY:
        memory.remember(db.session(), wish, outcome.appointment.id, answer, now=phone.now)
    db.session.commit()
    enqueue_push(require_company_id(), outcome.intent_id)
    return answer


def _recalled(phone: Phone, wish: Wish) -> Answer | None:
    """What this wish was answered before; where its appointment was moved since, how it is now."""
    before = memory.recall(db.session(), wish)
    if before is None:
        return None
    if wish.change is PhoneChange.CANCEL or starts_at_of(before.answer) == before.starts_at:
        return before.answer
    row = db.session.get_one(Appointment, (require_company_id(), before.appointment_id))
    service = db.session.get_one(Service, (require_company_id(), row.service_id))
    booked = as_booked_time(row, service)
    return phone.answer(Outcome(reason=Reason.BOOKED_ALREADY, appointment=booked))


def _pointed_at(phone: Phone, caller: Caller, *, is_moving: bool) -> BookedTime:
    coming = coming_appointments(db.session(), caller, now=phone.now)
    return point_at(coming, phone.args.pointer(is_moving=is_moving), phone.voice.zone)


def _asked(phone: Phone) -> Asked:
    moment = phone.args.wanted()
    if moment.day is None and moment.at is not None:
        raise objection(Reason.DATE_MISSING)
    if moment.day is None:
        return Asked()
    phone.args.refuse_far(moment.day)
    if moment.at is None:
        return Asked(moment.day)
    starts_at = phone.args.instant(moment)
    if starts_at <= phone.now:
        raise objection(Reason.IN_PAST, wanted_at=starts_at)
    return Asked(moment.day, starts_at)


def _ask(
    phone: Phone,
    event_type_id: int | None,
    day: date | None,
    *,
    moving_uid: str | None = None,
    may_be_told_again: bool = False,
) -> Offered | None:
    """What Cal.com offers on that day and in the week after it; ends the transaction."""
    db.session.rollback()
    first = day or phone.args.today
    return ask_slots(
        event_type_id,
        start=_beginning(first, phone),
        end=_beginning(first + timedelta(days=DAYS_SHOWN), phone),
        moving_uid=moving_uid,
        may_be_told_again=may_be_told_again,
    )


def _beginning(day: date, phone: Phone) -> datetime:
    return datetime.combine(day, time(), phone.voice.zone).astimezone(UTC)


def _who(caller: Caller) -> dict[str, object]:
    """The caller by what was understood: a name may be spelled in many ways."""
    return {
        **asdict(caller),
        "name": words(caller.name),
        "email": caller.email and fold(caller.email),
    }
