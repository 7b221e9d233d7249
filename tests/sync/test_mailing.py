"""Each change is known as mailing the customer or silent, and afterwards the history says which."""

import pytest
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_customer
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.intent import IntentKind
from webapp.models.tenancy import as_company
from webapp.sync.mailing import Mail, foresee_mail, foresee_mail_of_pushing_again


def foreseen(desk: Desk, appointment_id: int, kind: IntentKind) -> Mail:
    with as_company(desk.company.id):
        row = db.session.get_one(Appointment, (desk.company.id, appointment_id))
        return foresee_mail(db.session(), row, kind)


def book_without_address(desk: Desk) -> int:
    """For somebody who telephoned."""
    appointment_id = desk.book(in_days(2))
    caller = make_customer(desk.company, phone="+49301234567")
    with as_company(desk.company.id):
        row = db.session.get_one(Appointment, (desk.company.id, appointment_id))
        row.customer_id = caller
        customer = db.session.get_one(Customer, (desk.company.id, caller))
        customer.email = customer.email_folded = None
        db.session.commit()
    return appointment_id


def told_mails(desk: Desk, appointment_id: int) -> list[bool]:
    """What the history says of each push."""
    with as_company(desk.company.id):
        pushed = db.session.scalars(
            select(HistoryEvent)
            .where(
                HistoryEvent.appointment_id == appointment_id,
                HistoryEvent.kind == EventKind.PUSHED,
            )
            .order_by(HistoryEvent.id)
        )
        return [event.data["mailed"] for event in pushed]


@pytest.mark.parametrize("kind", [IntentKind.RESCHEDULE, IntentKind.CANCEL])
def test_a_change_of_what_stands_on_cal_com_mails(desk: Desk, kind: IntentKind) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()

    assert foreseen(desk, appointment_id, kind) is Mail.YES


def test_cancelling_what_was_never_sent_is_silent(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    assert foreseen(desk, appointment_id, IntentKind.CANCEL) is Mail.NEVER_SENT

    desk.cancel(appointment_id)
    desk.work()

    assert desk.cal.mails() == []


def test_cancelling_what_may_have_been_sent_mails(desk: Desk) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    in_flight = desk.book(in_days(3))
    desk.claim(desk.intents(in_flight)[0].id)
    desk.work()

    assert foreseen(desk, appointment_id, IntentKind.CANCEL) is Mail.YES
    assert foreseen(desk, in_flight, IntentKind.CANCEL) is Mail.YES


def test_somebody_without_an_address_is_not_mailed(desk: Desk) -> None:
    appointment_id = book_without_address(desk)

    desk.work()

    assert foreseen(desk, appointment_id, IntentKind.CANCEL) is Mail.NO_ADDRESS
    assert told_mails(desk, appointment_id) == [False]


def test_pushing_again_mails_only_if_something_has_to_change(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    with as_company(desk.company.id):
        row = db.session.get_one(Appointment, (desk.company.id, appointment_id))
        assert foresee_mail_of_pushing_again(db.session(), row) is Mail.IF_NEEDED


@pytest.mark.parametrize("fault", ["reset_after", None])
def test_the_history_says_that_a_push_mailed_whichever_try_did(
    desk: Desk, fault: str | None
) -> None:
    if fault:
        desk.cal.fail({"kind": fault, "operation": "bookings", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work_through(10)
    desk.cancel(appointment_id)
    desk.work_through(10)

    assert told_mails(desk, appointment_id) == [True, True]


def test_a_push_that_found_everything_as_wished_mailed_nobody(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.reschedule", "times": 1})
    desk.move(appointment_id, in_days(4))
    desk.work()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.change(str(uid), "reschedule", start=in_days(4).isoformat())

    assert desk.push_again(appointment_id)
    desk.work_through(10)

    assert told_mails(desk, appointment_id) == [True, False]
    assert desk.cal.mails() == ["created", "rescheduled"]
