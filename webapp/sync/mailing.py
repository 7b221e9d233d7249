"""Whether a change makes Cal.com write to the customer: known before a person starts it (S3.10).

Every create, reschedule and cancel mails the attendee (API.md §2). Silent is what never was there,
and what concerns somebody of whom Cal.com has no address.
"""

from enum import StrEnum

from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.intent import IntentKind
from webapp.sync.intents import is_unsent


class Mail(StrEnum):
    """IF_NEEDED: only if Cal.com doesn't say the same as this desk yet."""

    YES = "yes"
    IF_NEEDED = "if_needed"
    NO_ADDRESS = "no_address"
    NEVER_SENT = "never_sent"


def foresee_mail(session: Session, appointment: Appointment, kind: IntentKind) -> Mail:
    """What carrying such a change to Cal.com means for the customer's inbox."""
    if kind is IntentKind.CANCEL and is_unsent(session, appointment):
        return Mail.NEVER_SENT
    return Mail.YES if _has_address(session, appointment) else Mail.NO_ADDRESS


def foresee_mail_of_pushing_again(session: Session, appointment: Appointment) -> Mail:
    """The same of a push that looks first."""
    return Mail.IF_NEEDED if _has_address(session, appointment) else Mail.NO_ADDRESS


def _has_address(session: Session, appointment: Appointment) -> bool:
    customer = session.get_one(Customer, (appointment.company_id, appointment.customer_id))
    return customer.email is not None
