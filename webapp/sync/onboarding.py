"""How a company and its people come to be, and how its Cal.com connection is set."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import update
from sqlalchemy.orm import Session

from webapp.calcom.addresses import parse_base_url
from webapp.models.audit import Actor, record_audit
from webapp.models.base import fold
from webapp.models.company import Company, ConnectionState, Secret, make_token
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.models.user import MIN_PASSWORD_LENGTH, Role, User
from webapp.models.vault import Vault
from webapp.sync.connection import release_waiting


class InvalidValue(ValueError):
    """Something a person typed can't be used; the text says what and why."""


def create_company(
    session: Session,
    *,
    slug: str,
    name: str,
    time_zone: str,
    locale: str,
    now: datetime,
    webhook_token: str | None = None,
    phone_token: str | None = None,
) -> Company:
    """Make the company the caller acts for (see `crossing.next_company_id`).

    Raises InvalidValue for an unknown zone. The addresses of its doors get random tokens.
    """
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidValue(f"'{time_zone}' is no IANA time zone, such as Europe/Berlin") from None
    company = Company(
        id=require_company_id(),
        slug=slug,
        name=name,
        time_zone=time_zone,
        locale=locale,
        created_at=now,
        webhook_token=webhook_token or make_token(),
        phone_token=phone_token or make_token(),
    )
    session.add(company)
    session.flush()
    record_audit(session, "company.created", f"company:{company.id}", at=now, actor=Actor.OPERATOR)
    return company


def create_user(
    session: Session,
    *,
    email: str,
    name: str,
    role: Role,
    locale: str,
    password: str,
    now: datetime,
) -> User:
    """Make a person of the current company; raises InvalidValue for a short password."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidValue(f"a password has at least {MIN_PASSWORD_LENGTH} characters")
    user = User(
        email=email.strip(),
        email_folded=fold(email),
        name=name,
        role=role,
        locale=locale,
        created_at=now,
        session_version=0,
    )
    user.set_password(password)
    session.add(user)
    session.flush()
    record_audit(
        session,
        "user.created",
        f"user:{user.id}",
        at=now,
        actor=Actor.OPERATOR,
        role=role.value,
    )
    return user


def connect_company(
    session: Session,
    vault: Vault,
    *,
    base_url: str,
    api_key: str,
    webhook_secret: str | None,
    allow_private_networks: bool,
    now: datetime,
) -> None:
    """Set where the company's Cal.com is and its key; what waited for a key is due at once.

    Raises AddressError (a ValueError) for an address that must not be called, InvalidValue for an
    empty key. The webhook secret stays as it is where None is given.
    """
    if not api_key.strip():
        raise InvalidValue("the API key is empty")
    address = parse_base_url(base_url, allow_private=allow_private_networks)
    company = session.get_one(Company, require_company_id())
    company.calcom_base_url = address
    company.set_secret(Secret.API_KEY, api_key.strip(), vault)
    if webhook_secret:
        company.set_secret(Secret.WEBHOOK_SECRET, webhook_secret.strip(), vault)
    company.connection_state = ConnectionState.UNKNOWN
    company.connection_error_code = None
    company.connection_checked_at = None
    _move_services_to(session, company.calcom_host)
    release_waiting(session, now=now)
    record_audit(
        session, "company.connected", f"company:{company.id}", at=now, actor=Actor.OPERATOR
    )


def connect_phone(
    session: Session,
    vault: Vault,
    *,
    api_key: str,
    takes_unchecked: bool | None = None,
    now: datetime,
) -> None:
    """Set the key that the voice agent's requests are signed with; raises InvalidValue if empty.

    `takes_unchecked`: whether it takes appointments while Cal.com can't be asked; None: as it is.
    """
    if not api_key.strip():
        raise InvalidValue("the key is empty")
    company = session.get_one(Company, require_company_id())
    company.set_secret(Secret.RETELL_KEY, api_key.strip(), vault)
    if takes_unchecked is not None:
        company.takes_calls_unchecked = takes_unchecked
    record_audit(
        session, "company.phone_connected", f"company:{company.id}", at=now, actor=Actor.OPERATOR
    )


def _move_services_to(session: Session, host: str) -> None:
    session.execute(
        update(Service)
        .where(
            Service.company_id == require_company_id(), Service.calcom_event_type_id.is_not(None)
        )
        .values(calcom_host=host)
    )
