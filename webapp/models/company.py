"""The tenant: its place in time and language, its Cal.com connection, its pause."""

import secrets
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import TextEnum, one_of
from webapp.models.vault import Vault

DEFAULT_CALCOM_URL = "https://api.cal.com/v2"
TOKEN_BYTES = 24


class ConnectionState(StrEnum):
    """What is known of the company's key: never tried, answered, or refused by Cal.com."""

    UNKNOWN = "unknown"
    OK = "ok"
    BROKEN = "broken"


class UnclaimedPolicy(StrEnum):
    """What becomes of a booking of ours on Cal.com that no appointment claims (S5.4): it is
    flagged for a person, or taken over at once and told."""

    FLAG = "flag"
    ADOPT = "adopt"


class Secret(StrEnum):
    """The encrypted columns; the name is part of what binds the ciphertext to its place."""

    API_KEY = "calcom_api_key"
    WEBHOOK_SECRET = "calcom_webhook_secret"  # noqa: S105 - a column's name
    WEBHOOK_SECRET_PREVIOUS = "calcom_webhook_secret_previous"  # noqa: S105 - a column's name
    RETELL_KEY = "retell_api_key"


class FieldPolicy(StrEnum):
    """Which side a verification lets win where a field differs (S5.8)."""

    FLAG = "flag"
    CALCOM_WINS = "calcom_wins"
    OURS_WINS = "ours_wins"


class Company(Base):
    """A tenant. Row-level security compares its `id`; all other tables their `company_id`."""

    __tablename__ = "companies"
    __table_args__ = (
        one_of("connection_state", ConnectionState),
        one_of("unclaimed_policy", UnclaimedPolicy),
        one_of("start_policy", FieldPolicy),
        one_of("status_policy", FieldPolicy),
        CheckConstraint("locale IN ('en', 'de')", name="locale_known"),
        CheckConstraint(r"slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug_form"),
        CheckConstraint("(paused_at IS NULL) = (paused_by IS NULL)", name="pause_has_author"),
        CheckConstraint(
            "(admin_paused_at IS NULL) = (admin_paused_by IS NULL)", name="admin_pause_has_author"
        ),
        Index(
            "ix_companies_services_due",
            "services_due_at",
            postgresql_where="services_due_at IS NOT NULL",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    time_zone: Mapped[str]
    locale: Mapped[str]
    created_at: Mapped[datetime]

    calcom_base_url: Mapped[str] = mapped_column(default=DEFAULT_CALCOM_URL)
    calcom_api_key: Mapped[str | None]
    calcom_webhook_secret: Mapped[str | None]
    calcom_webhook_secret_previous: Mapped[str | None]
    webhook_token: Mapped[str] = mapped_column(Text(collation="C"), unique=True)
    phone_token: Mapped[str] = mapped_column(
        Text(collation="C"), unique=True, default=lambda: make_token()
    )
    """In the address of the telephone's door; another one than Cal.com's."""
    retell_api_key: Mapped[str | None]
    takes_calls_unchecked: Mapped[bool] = mapped_column(default=True)
    """Whether a caller's appointment is taken while Cal.com can't be asked if it is free."""

    connection_state: Mapped[ConnectionState] = mapped_column(
        TextEnum(ConnectionState), default=ConnectionState.UNKNOWN
    )
    connection_error_code: Mapped[str | None]
    connection_checked_at: Mapped[datetime | None]
    calcom_account_id: Mapped[int | None]
    """Whose key it was when verification first succeeded: another account's bookings would make
    all of ours look missing."""
    calcom_account_name: Mapped[str | None]

    unclaimed_policy: Mapped[UnclaimedPolicy] = mapped_column(
        TextEnum(UnclaimedPolicy), default=UnclaimedPolicy.FLAG
    )
    verified_changes_until: Mapped[datetime | None]
    """The watermark: what changed on Cal.com before this instant has been read."""

    webhook_id: Mapped[str | None]
    """Our webhook's id on Cal.com, where we registered it ourselves."""
    webhook_registered_at: Mapped[datetime | None]
    """When it was registered last; a delivery since then proves that it works."""

    webhook_silent_since: Mapped[datetime | None]
    """Since when changes on Cal.com go unannounced; None: nothing is amiss with the webhook."""
    webhook_recovered_at: Mapped[datetime | None]
    """When it was last heard again: what was missed before is over."""

    mails_staff: Mapped[bool] = mapped_column(default=False)
    """Whether staff are mailed too; by default admins and managers are (S7)."""

    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    admin_paused_at: Mapped[datetime | None]
    """The admins' own pause, while the operator's lies over it and stands in `paused_at`."""
    admin_paused_by: Mapped[str | None]

    start_policy: Mapped[FieldPolicy] = mapped_column(
        TextEnum(FieldPolicy), default=FieldPolicy.FLAG
    )
    status_policy: Mapped[FieldPolicy] = mapped_column(
        TextEnum(FieldPolicy), default=FieldPolicy.FLAG
    )
    managers_settle: Mapped[bool] = mapped_column(default=True)
    """Whether managers may settle findings, or admins alone (S12.3)."""

    services_due_at: Mapped[datetime | None]
    """When the services are to be compared with Cal.com, or their comparison is taken to have
    died; None: nothing is due."""
    services_compared_at: Mapped[datetime | None]
    services_error_code: Mapped[str | None]

    @property
    def zone(self) -> ZoneInfo:
        """The company's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def calcom_host(self) -> str:
        """The Cal.com installation, which event types and uids are unique on."""
        return host_of(self.calcom_base_url)

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a key that Cal.com has not refused."""
        return self.calcom_api_key is not None and (
            self.connection_state is not ConnectionState.BROKEN
        )

    def set_secret(self, which: Secret, value: str | None, vault: Vault) -> None:
        """Seal a secret into its column; None forgets it."""
        sealed = value and vault.seal(value, company_id=self.id, column=which.value)
        setattr(self, which.value, sealed or None)

    def secret(self, which: Secret, vault: Vault) -> str | None:
        """Open a secret; raises VaultError when it cannot be opened."""
        sealed = getattr(self, which.value)
        return sealed and vault.open(sealed, company_id=self.id, column=which.value)


def make_token() -> str:
    """What nobody can guess, for an address that a program calls."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def host_of(base_url: str) -> str:
    """Host and port of a Cal.com address: one spelling for one installation."""
    parts = urlsplit(base_url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = (parts.hostname or "").rstrip(".").lower()
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"
