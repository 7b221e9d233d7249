"""Customers: found by e-mail or phone before one is made."""

import re
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
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
    email, phone = _clean_email(email), clean_phone(phone)
    if email is None and phone is None:
        raise CustomerUnreachable
    found = find_customer(session, email=email, phone=phone)
    if found is not None:
        return found
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
    """By e-mail first, because it names one person; a family may share a phone."""
    for column, value in (
        (Customer.email_folded, email and fold(email)),
        (Customer.phone, phone),
    ):
        if value:
            found = session.scalar(
                select(Customer)
                .where(Customer.company_id == require_company_id(), column == value)
                .order_by(Customer.id)
                .limit(1)
            )
            if found is not None:
                return found
    return None


def clean_phone(phone: str | None) -> str | None:
    """`+49301234567` out of `+49 (30) 123-4567` or `0049 30 …`; raises InvalidPhone."""
    if not phone or not phone.strip():
        return None
    compact = re.sub(r"[\s()/.\-]", "", phone)
    compact = re.sub(r"^00", "+", compact)
    if not re.fullmatch(r"\+[1-9]\d{6,14}", compact):
        raise InvalidPhone
    return compact


def _clean_email(email: str | None) -> str | None:
    if not email or not email.strip():
        return None
    try:
        checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise InvalidEmail from None
    return checked.normalized
