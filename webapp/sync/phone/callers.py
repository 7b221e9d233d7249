"""Who calls. The number that the network reports opens the customers on it; what a caller merely
says (an e-mail, another number) opens a customer only together with the name on file."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from webapp.models.base import fold
from webapp.models.customer import Customer
from webapp.models.tenancy import require_company_id
from webapp.sync.customers import lock_contact, make_customer
from webapp.sync.phone.likeness import is_same_person, words
from webapp.sync.phone.outcomes import Reason, objection


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A call, and what its caller said of themselves.

    `number`: E.164, from the network; None where withheld. `phone`: another one they named.
    """

    call_id: str
    number: str | None = None
    name: str = ""
    email: str | None = None
    phone: str | None = None


def identify(session: Session, caller: Caller) -> list[Customer]:
    """Whose appointments the caller may hear of and change: one person, be they on file twice.

    Raises Objection: caller_unknown, name_missing or several_customers.
    """
    on_number = _by_name(caller, _on_number(session, caller.number))
    if on_number:
        return _one_person(_by_email(caller, on_number))
    claimed = _find(session, *_claims(caller))
    if claimed and not words(caller.name):
        raise objection(Reason.NAME_MISSING)
    claimed = _by_name(caller, claimed)
    if not claimed:
        raise objection(Reason.CALLER_UNKNOWN)
    return _one_person(claimed)


def customer_to_book_for(
    session: Session, caller: Caller, *, time_zone: str, language: str, now: datetime
) -> Customer:
    """The customer on file, else a new one. Of a number that is merely said the name tells whether
    it is theirs.

    Raises Objection: contact_missing, name_missing or several_customers.
    """
    phone = caller.phone or caller.number
    contact = caller.email or phone
    if contact is None:
        raise objection(Reason.CONTACT_MISSING)
    lock_contact(session, contact)
    known = _find(session, _has_email(caller.email)) if caller.email else []
    if not known and phone != caller.number and not words(caller.name):
        raise objection(Reason.NAME_MISSING)
    known = known or _one_person(_by_name(caller, _on_number(session, phone)))
    if known:
        return _completed(known[0], caller)
    if not words(caller.name):
        raise objection(Reason.NAME_MISSING)
    return make_customer(
        session,
        name=caller.name,
        email=caller.email,
        phone=phone,
        time_zone=time_zone,
        language=language,
        now=now,
    )


def _completed(customer: Customer, caller: Caller) -> Customer:
    """Who had no e-mail and names one, expects Cal.com's mail there; only who calls from the number
    on file is sure to be them."""
    is_theirs = caller.number is not None and customer.phone == caller.number
    if is_theirs and customer.email is None and caller.email is not None:
        customer.email, customer.email_folded = caller.email, fold(caller.email)
    return customer


def _one_person(found: list[Customer]) -> list[Customer]:
    if len({words(each.name) for each in found}) > 1:
        raise objection(Reason.SEVERAL_CUSTOMERS)
    return found


def _by_name(caller: Caller, found: list[Customer]) -> list[Customer]:
    """Of those found the ones whose name was said; the full name before a part of it."""
    if not words(caller.name):
        return found
    alike = [each for each in found if is_same_person(caller.name, each.name)]
    return [each for each in alike if words(each.name) == words(caller.name)] or alike


def _by_email(caller: Caller, found: list[Customer]) -> list[Customer]:
    folded = caller.email and fold(caller.email)
    return [each for each in found if folded and each.email_folded == folded] or found


def _claims(caller: Caller) -> list[ColumnElement[bool]]:
    claims = []
    if caller.email:
        claims.append(_has_email(caller.email))
    if caller.phone:
        claims.append(Customer.phone == caller.phone)
    return [or_(*claims)] if claims else []


def _on_number(session: Session, number: str | None) -> list[Customer]:
    return _find(session, Customer.phone == number) if number else []


def _has_email(email: str) -> ColumnElement[bool]:
    return Customer.email_folded == fold(email)


def _find(session: Session, *conditions: ColumnElement[bool]) -> list[Customer]:
    if not conditions:
        return []
    query = select(Customer).where(
        Customer.company_id == require_company_id(), Customer.erased_at.is_(None), *conditions
    )
    return list(session.scalars(query.order_by(Customer.id).limit(50)))
