"""How a company and its people come to be, and how its Cal.com connection is set."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import update
from sqlalchemy.orm import Session

from webapp.calcom.addresses import parse_base_url
from webapp.models.audit import Actor, record_audit
from webapp.models.base import fold
from webapp.models.company import Company, ConnectionState, Secret, make_token
from webapp.models.service import EventTypeState, Service, ServiceSync
from webapp.models.tenancy import require_company_id
from webapp.models.user import MIN_PASSWORD_LENGTH, Role, User
from webapp.models.vault import Vault
from webapp.sync.connection import release_waiting
from webapp.sync.webhook_registration import replace_secret


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
    _needs_length(password)
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


def set_password(session: Session, user: User, password: str, *, now: datetime) -> None:
    """The operator's way: no link, nobody's old password. Their sessions end. Raises InvalidValue
    for a short one."""
    _needs_length(password)
    user.set_password(password)
    record_audit(session, "password_set", f"user:{user.id}", at=now, actor=Actor.OPERATOR)


def _needs_length(password: str) -> None:
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidValue(f"a password has at least {MIN_PASSWORD_LENGTH} characters")


def connect_company(
    session: Session,
    vault: Vault,
    *,
    base_url: str,
    api_key: str,
    webhook_secret: str | None,
    allow_private_networks: bool,
    user_id: int | None = None,
    now: datetime,
) -> int:
    """Set where the company's Cal.com is and its key; what waited for a key is due at once.

    Returns how many services lost their event type, which was another server's: they are bound anew
    by a person, for there its number may be anything.

    Raises AddressError (a ValueError) for an address that must not be called, InvalidValue for an
    empty key. The webhook secret stays as it is where None is given; one that was there before a
    new one stays valid (see `replace_secret`).
    """
    if not api_key.strip():
        raise InvalidValue("the API key is empty")
    address = parse_base_url(base_url, allow_private=allow_private_networks)
    company = session.get_one(Company, require_company_id())
    company.calcom_base_url = address
    company.set_secret(Secret.API_KEY, api_key.strip(), vault)
    session.flush()
    if webhook_secret and webhook_secret.strip():
        replace_secret(session, vault, webhook_secret.strip(), user_id=user_id, now=now)
    company.connection_state = ConnectionState.UNKNOWN
    company.connection_error_code = None
    company.connection_checked_at = None
    unbound = _unbind_services_from_others(session, company.calcom_host)
    release_waiting(session, now=now)
    _audit(session, "company.connected", user_id, now, unbound_services=unbound)
    return len(unbound)


class KeyNeeded(InvalidValue):
    """The key was given for another address: it must not travel to a new one by itself."""

    def __init__(self) -> None:
        super().__init__("enter the API key again for another address")


def change_connection(
    session: Session,
    vault: Vault,
    *,
    base_url: str,
    api_key: str | None,
    webhook_secret: str | None,
    allow_private_networks: bool,
    user_id: int,
    now: datetime,
) -> int:
    """What an admin changes of the connection; None leaves key or secret as it is.

    Returns how many services lost their event type (see `connect_company`). Raises AddressError,
    and KeyNeeded where there is no key, or the address is
    another one.
    """
    company = session.get_one(Company, require_company_id())
    address = parse_base_url(base_url, allow_private=allow_private_networks)
    if api_key is None:
        if company.calcom_api_key is None or address != company.calcom_base_url:
            raise KeyNeeded
        if webhook_secret:
            replace_secret(session, vault, webhook_secret, user_id=user_id, now=now)
        return 0
    return connect_company(
        session,
        vault,
        base_url=base_url,
        api_key=api_key,
        webhook_secret=webhook_secret,
        allow_private_networks=allow_private_networks,
        user_id=user_id,
        now=now,
    )


def describe_company(
    session: Session, *, name: str, time_zone: str, locale: str, user_id: int, now: datetime
) -> list[str]:
    """Write what an admin says of the company; returns the names of what was changed."""
    company = session.get_one(Company, require_company_id())
    wanted = {"name": name, "time_zone": time_zone, "locale": locale}
    changed = [key for key, value in wanted.items() if getattr(company, key) != value]
    for key in changed:
        setattr(company, key, wanted[key])
    if changed:
        _audit(session, "company.described", user_id, now, fields=changed)
    return changed


def change_phone(
    session: Session,
    vault: Vault,
    *,
    api_key: str | None,
    takes_unchecked: bool,
    user_id: int,
    now: datetime,
) -> bool:
    """What an admin changes of the telephone; None leaves the key. False: nothing was changed."""
    company = session.get_one(Company, require_company_id())
    is_changed = api_key is not None or company.takes_calls_unchecked != takes_unchecked
    if api_key is not None:
        company.set_secret(Secret.RETELL_KEY, api_key, vault)
    company.takes_calls_unchecked = takes_unchecked
    if is_changed:
        _audit(
            session,
            "company.phone_changed",
            user_id,
            now,
            has_new_key=api_key is not None,
            takes_unchecked=takes_unchecked,
        )
    return is_changed


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


def _audit(
    session: Session, action: str, user_id: int | None, now: datetime, **data: object
) -> None:
    record_audit(
        session,
        action,
        f"company:{require_company_id()}",
        at=now,
        actor=Actor.OPERATOR if user_id is None else Actor.USER,
        user_id=user_id,
        **data,
    )


def _unbind_services_from_others(session: Session, host: str) -> list[int]:
    """Event types are numbered per installation: on another one, ours would be anybody's.

    Returns the ids of the services that have none now.
    """
    unbound = session.scalars(
        update(Service)
        .where(
            Service.company_id == require_company_id(),
            Service.calcom_event_type_id.is_not(None),
            Service.calcom_host != host,
        )
        .values(
            calcom_event_type_id=None,
            calcom_host=None,
            event_type_state=EventTypeState.UNKNOWN,
            event_type_seen=None,
            event_type_checked_at=None,
            drifts_since=None,
            sync_status=ServiceSync.NEVER,
            sync_error=None,
            sync_error_code=None,
            sync_due_at=None,
            sync_lease_until=None,
            last_calcom_sync=None,
        )
        .returning(Service.id)
    )
    return sorted(unbound)
