"""Customers: found by e-mail or phone before one is made."""

import re
from dataclasses import dataclass
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from webapp.models.base import fold
from webapp.models.customer import Customer
from webapp.models.tenancy import require_company_id


class CustomerUnreachable(ValueError):
    """Neither e-mail nor phone: Cal.com needs one of them."""


class InvalidEmail(ValueError):
    """Not an e-mail address."""


class InvalidPhone(ValueError):
    """Not a phone number in international form."""


class OnFile(ValueError):
    """Another customer has this e-mail: two rows for one person would part their appointments."""

    def __init__(self, name: str) -> None:
        super().__init__("another customer has this e-mail")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What a person typed about a customer."""

    name: str
    email: str | None
    phone: str | None
    time_zone: str
    language: str


def add_customer(session: Session, contact: Contact, *, now: datetime) -> Customer:
    """A new customer; raises OnFile, CustomerUnreachable, InvalidEmail or InvalidPhone."""
    email, phone = _clean_contact(session, contact, None)
    return make_customer(
        session,
        name=contact.name,
        email=email,
        phone=phone,
        time_zone=contact.time_zone,
        language=contact.language,
        now=now,
    )


def change_customer(session: Session, customer: Customer, contact: Contact) -> None:
    """Write what was edited; the same errors. Cal.com isn't told: bookings keep what they were
    made with (S3.11)."""
    email, phone = _clean_contact(session, contact, customer)
    customer.name, customer.name_folded = contact.name.strip(), fold(contact.name)
    customer.email, customer.email_folded = email, email and fold(email)
    customer.phone = phone
    customer.time_zone, customer.language = contact.time_zone, contact.language
    session.flush()


def _clean_contact(
    session: Session, contact: Contact, customer: Customer | None
) -> tuple[str | None, str | None]:
    email, phone = clean_email(contact.email), clean_phone(contact.phone)
    if email is None and phone is None:
        raise CustomerUnreachable
    if email is not None:
        lock_contact(session, email)
        twin = find_customer(session, email=email, phone=None)
        if twin is not None and twin is not customer:
            raise OnFile(twin.name)
    return email, phone


def find_or_make_customer(
    session: Session,
    *,
    name: str,
    email: str | None,
    phone: str | None,
    time_zone: str,
    language: str,
    now: datetime,
) -> Customer:
    """The customer with this e-mail, else with this phone, else a new one.

    Raises CustomerUnreachable, InvalidEmail or InvalidPhone.
    """
    email, phone = clean_email(email), clean_phone(phone)
    if email is None and phone is None:
        raise CustomerUnreachable
    lock_contact(session, email or phone or "")
    return find_customer(session, email=email, phone=phone) or make_customer(
        session,
        name=name,
        email=email,
        phone=phone,
        time_zone=time_zone,
        language=language,
        now=now,
    )


def make_customer(
    session: Session,
    *,
    name: str,
    email: str | None,
    phone: str | None,
    time_zone: str,
    language: str,
    now: datetime,
) -> Customer:
    """A new customer; e-mail and phone as `clean_email` and `clean_phone` give them."""
    customer = Customer(
        name=name.strip() or email or phone or "",
        name_folded=fold(name),
        email=email,
        email_folded=email and fold(email),
        phone=phone,
        time_zone=time_zone,
        language=language,
        created_at=now,
    )
    session.add(customer)
    session.flush()
    return customer


def find_customer(session: Session, *, email: str | None, phone: str | None) -> Customer | None:
    """By e-mail, because it names one person. A family may share a phone: it finds only whom no
    other e-mail tells apart."""
    mine = Customer.company_id == require_company_id()
    if email:
        found = _first(session, mine, Customer.email_folded == fold(email))
        if found is not None:
            return found
    if phone is None:
        return None
    nobody_else = [Customer.email_folded.is_(None)] if email else []
    return _first(session, mine, Customer.phone == phone, *nobody_else)


def _first(session: Session, *conditions: ColumnElement[bool]) -> Customer | None:
    return session.scalar(select(Customer).where(*conditions).order_by(Customer.id).limit(1))


def lock_contact(session: Session, contact: str) -> None:
    """Two requests for one person at once must not make two customers."""
    key = f"{require_company_id()}:{fold(contact)}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def clean_phone(phone: str | None) -> str | None:
    """`+49301234567` out of `+49 (30) 123-4567` or `0049 30 …`; raises InvalidPhone."""
    if not phone or not phone.strip():
        return None
    compact = compact_phone(phone)
    if not re.fullmatch(r"\+[1-9]\d{6,14}", compact):
        raise InvalidPhone
    return compact


def compact_phone(phone: str) -> str:
    """What is typed of a number as it is stored: `+4930` out of `0049 (30)`."""
    return re.sub(r"^00", "+", re.sub(r"[\s()/.\-]", "", phone))


def clean_email(email: str | None) -> str | None:
    """The address as it is written down; None for none, raises InvalidEmail."""
    if not email or not email.strip():
        return None
    try:
        checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidEmail from None
    return checked.normalized
