"""Customers: found by e-mail or phone before one is made."""

import re
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
    compact = re.sub(r"[\s()/.\-]", "", phone)
    compact = re.sub(r"^00", "+", compact)
    if not re.fullmatch(r"\+[1-9]\d{6,14}", compact):
        raise InvalidPhone
    return compact


def clean_email(email: str | None) -> str | None:
    """The address as it is written down; None for none, raises InvalidEmail."""
    if not email or not email.strip():
        return None
    try:
        checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidEmail from None
    return checked.normalized
