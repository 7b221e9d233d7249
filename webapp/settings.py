"""Settings: one frozen object, read once from the environment; nothing else reads it.

A bad value stops the start and names the variable. Lengths carry their unit in the name.
"""

import base64
import binascii
from email.utils import parseaddr
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

AES_KEY_BYTES = 32
LONGEST_DAYS = 36_500
"""A hundred years: behind it no length of time leads to an instant any more."""
UNIT_DAYS = {"seconds": 1 / 86_400, "minutes": 1 / 1440, "hours": 1 / 24, "days": 1}


class SettingsError(Exception):
    """The environment holds a value that Lockstep cannot start with."""


class Settings(BaseSettings):
    """Everything an operator can set; README lists each with its meaning. Set to nothing counts as
    not set: so files of settings say it."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        str_strip_whitespace=True,
        env_ignore_empty=True,
        allow_inf_nan=False,
    )

    database_url: str = Field(description="PostgreSQL, as the role that serves")
    database_owner_url: str | None = Field(
        None, description="PostgreSQL, as the role that owns the tables; needed by migrations only"
    )
    redis_url: str = Field(description="Redis, for queues, throttling and the clock's list")
    secret_key: str = Field(min_length=32, description="Signs sessions and form tokens")
    encryption_keys: str = Field(
        description="`id:key` pairs, comma separated, base64url of 32 bytes; the first encrypts"
    )
    public_url: str = Field(
        "http://127.0.0.1:8000", description="Where people and Cal.com reach this server"
    )

    session_cookie_secure: bool = Field(True, description="Send the session cookie over https only")
    session_idle_minutes: int = Field(480, ge=5, description="Idle time after which a login ends")
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="How many proxies in front set X-Forwarded-*"
    )
    allow_private_networks: bool = Field(
        False, description="Let tenants point Cal.com at private addresses (the demo does)"
    )
    login_attempts_per_minute: int = Field(
        10,
        ge=1,
        description="Login attempts a minute for one address; per e-mail twenty times that",
    )
    api_requests_per_minute: int = Field(
        300, ge=1, description="Requests a minute that one API token may make"
    )
    api_idempotency_hours: int = Field(
        48, ge=24, le=720, description="How long the API remembers what it did for a key"
    )
    webhook_max_bytes: int = Field(262_144, ge=1024, description="Largest webhook body taken")
    webhook_patience_seconds: float = Field(
        300.0, ge=0, description="How late a webhook may come and still have announced its change"
    )
    webhook_silent_misses: int = Field(
        3,
        ge=1,
        description="Unannounced changes in a day from which the webhook counts as silent; where a"
        " day has fewer, the latest so many, if nothing was announced since",
    )
    webhook_silent_share: float = Field(
        0.5, gt=0, le=1, description="And only where they are this share of the day's changes"
    )

    phone_max_bytes: int = Field(
        1_048_576,
        ge=1024,
        description="Largest request of a voice agent taken; its call's transcript comes along",
    )
    phone_calcom_seconds: float = Field(
        0.8,
        gt=0,
        le=5,
        description="How long a caller may wait for Cal.com; then a wish is noted unchecked",
    )
    phone_slots_seconds: float = Field(
        5.0, ge=0, description="How long free times from Cal.com are told again without asking"
    )

    metrics_token: str | None = Field(
        None, min_length=16, description="What /metrics is asked with; unset: there is no /metrics"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="Form of the log lines")

    calcom_call_seconds: float = Field(
        10.0, gt=0, le=15, description="Total deadline of one call to Cal.com; jobs hold two"
    )
    calcom_calls_per_minute: int = Field(
        100, ge=1, description="Calls a minute per API key, until Cal.com announces its limit"
    )
    calcom_people_share: float = Field(
        0.4, ge=0, lt=1, description="Share of those calls that sweeps leave to people"
    )
    breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which a company's calls stop for a while"
    )
    breaker_open_seconds: float = Field(
        60.0, gt=0, description="How long they stop before one call tries again"
    )
    push_budget_seconds: float = Field(
        30.0, gt=0, le=50, description="Total time one try at an intent may take"
    )
    push_lease_seconds: float = Field(
        40.0,
        gt=0,
        le=55,
        description="After this a silent worker's intent is taken over; its job ends after 60 s",
    )
    push_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (1.0, 5.0, 30.0), description="Pauses before the retries of a push; then it is flagged"
    )
    push_quiet_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (60.0, 300.0, 900.0), description="Pauses before the retries after the flag"
    )
    reconnect_seconds: float = Field(
        120.0, gt=0, description="How often a broken connection is tried again"
    )
    look_trust_seconds: float = Field(
        5.0, ge=0, description="A listing younger than this after a write proves nothing missing"
    )
    proof_seconds: float = Field(
        15.0, ge=0, description="After a create, its existence is proven by a listing"
    )
    pulse_seconds: float = Field(1.0, gt=0, le=60, description="How often due rows are looked for")

    tick_seconds: int = Field(
        30, ge=1, le=300, description="How often the periodic checks ask whether a slot is due"
    )
    verification_interval_hours: float = Field(
        6, gt=0, le=24, description="Hours between scheduled verifications"
    )
    verification_skip_seconds: float = Field(
        300.0, ge=0, description="An automatic verification this soon after the last is skipped"
    )
    verification_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (60.0, 300.0, 900.0), description="Pauses before a failed verification is tried again"
    )
    verification_past_days: int = Field(
        30, ge=1, description="How many days back scheduled verifications look"
    )
    sweep_past_days: int = Field(
        90, ge=1, description="How many days back the nightly sweep and requested runs look"
    )
    sweep_hour: int = Field(
        2, ge=0, le=23, description="The company's local hour at which the nightly sweep begins"
    )
    delta_interval_minutes: float = Field(
        10, gt=0, le=60, description="Minutes between looks at what changed on Cal.com"
    )
    delta_overlap_seconds: float = Field(
        600.0, ge=0, description="How far a look at changes reaches back behind the last one"
    )
    verification_news_seconds: float = Field(
        120.0, ge=0, description="A change on Cal.com this young is left to its webhook"
    )
    verification_page_cap: int = Field(
        4000,
        ge=1,
        description="Listing pages that end a run: it then proves nothing missing",
    )
    verification_doubts_cap: int = Field(
        500, ge=1, description="Most appointments a run looks at one by one before it doubts itself"
    )
    brake_least: int = Field(
        5, ge=0, description="A run may newly flag this many as missing, however few there are"
    )
    brake_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="… and this share of the active ones; beyond, it brakes",
    )
    absence_grace_seconds: float = Field(
        180.0, ge=0, description="After a write, a missing booking means nothing for this long"
    )
    absence_gap_seconds: float = Field(
        180.0, ge=0, description="Time between the two sightings that prove a booking missing"
    )
    bulk_batch: int = Field(
        50, ge=1, le=250, description="Findings that a bulk action begins before it asks Cal.com"
    )
    bulk_most_items: int = Field(
        20_000, ge=1, le=100_000, description="Findings that one bulk action takes on at most"
    )
    keep_history_days: int = Field(
        730, ge=90, description="How long the timelines of what is over are kept"
    )
    keep_attempts_days: int = Field(
        90, ge=30, description="How long tries at changes that are over are kept"
    )
    keep_runs_days: int = Field(90, ge=30, description="How long verification runs are kept")
    keep_deliveries_days: int = Field(
        90, ge=30, description="How long webhooks that were worked off are kept"
    )
    keep_sendings_days: int = Field(
        90, ge=30, description="How long it is kept what was sent by mail and chat"
    )
    keep_notifications_days: int = Field(
        180, ge=30, description="How long inbox items that are over are kept"
    )
    keep_bulk_actions_days: int = Field(
        180, ge=30, description="How long bulk actions and their outcomes are kept"
    )
    keep_evidence_days: int = Field(
        365, ge=90, description="How long the evidence of settled findings is kept"
    )
    keep_audit_days: int = Field(1095, ge=90, description="How long the audit log is kept")
    cleaning_hour: int = Field(
        3, ge=0, le=23, description="The company's local hour at which what is old is forgotten"
    )
    cleaning_batch: int = Field(
        1000, ge=1, le=50_000, description="Rows forgotten in one transaction"
    )
    sealing_interval_minutes: float = Field(
        10, gt=0, le=1440, description="Minutes between seals over the audit log"
    )
    smtp_url: str | None = Field(
        None,
        description="Mail server: smtp:// (STARTTLS), smtps:// or smtp-plain://; unset: no mail",
    )
    mail_from: str = Field("Lockstep <lockstep@localhost>", description="Sender of our mail")
    cards_poll_seconds: int = Field(60, ge=2, description="How often the overview's cards refresh")
    sandbox_url: str | None = Field(None, description="The demo's sandbox; unset in production")

    @field_validator(
        "push_retry_seconds",
        "push_quiet_retry_seconds",
        "verification_retry_seconds",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _is_a_length_of_time(cls, value: Any, info: ValidationInfo) -> Any:
        """What is named by a unit can be added to an instant."""
        unit = UNIT_DAYS.get((info.field_name or "").rpartition("_")[2])
        if unit is None or value is None:
            return value
        lengths = value if isinstance(value, tuple) else (value,)
        if not lengths:
            raise ValueError("needs one length of time or more")
        if not all(0 <= length * unit <= LONGEST_DAYS for length in lengths):
            raise ValueError("must not be negative, nor longer than a hundred years")
        return value

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _is_postgresql(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = make_url(value)
        except ArgumentError as error:
            raise ValueError("is not a database address") from error
        if url.get_backend_name() != "postgresql":
            raise ValueError("must be a postgresql address")
        return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        _split_address(value)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, value: str | None) -> str | None:
        if value is not None:
            parts = _split_address(value)
            if parts.scheme not in ("smtp", "smtps", "smtp-plain") or not parts.hostname:
                raise ValueError("must be smtp://, smtps:// or smtp-plain:// and name a host")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, value: str) -> str:
        name, _, domain = parseaddr(value)[1].rpartition("@")
        if not name or not domain:
            raise ValueError("must be an e-mail address, as in Lockstep <desk@example.com>")
        return value

    @field_validator("public_url", "sandbox_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = _split_address(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and name a host")
        return value.rstrip("/")

    @field_validator("encryption_keys")
    @classmethod
    def _keys_can_be_read(cls, value: str) -> str:
        parse_encryption_keys(value)
        return value

    @model_validator(mode="after")
    def _deadlines_nest(self) -> "Settings":
        if not self.calcom_call_seconds <= self.push_budget_seconds < self.push_lease_seconds:
            raise ValueError(
                "CALCOM_CALL_SECONDS <= PUSH_BUDGET_SECONDS < PUSH_LEASE_SECONDS must hold:"
                " a try has to end before its lease does"
            )
        return self

    @cached_property
    def vault_keys(self) -> dict[str, bytes]:
        """Key id to AES key, the encrypting one first."""
        return parse_encryption_keys(self.encryption_keys)

    @property
    def app_role(self) -> str:
        """The database role that serves; policies and grants are made out to it."""
        return make_url(self.database_url).username or ""


def _split_address(value: str) -> SplitResult:
    """Raises ValueError for a port that is none."""
    parts = urlsplit(value)
    _ = parts.port
    return parts


def parse_encryption_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64url,…`; raises ValueError naming the bad entry's id, never a key."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except (binascii.Error, ValueError):
            key = b""
        if not key_id or len(key) != AES_KEY_BYTES:
            raise ValueError(f"entry '{key_id[:8]}' is not id:base64url of {AES_KEY_BYTES} bytes")
        if key_id in keys:
            raise ValueError(f"key id '{key_id[:8]}' stands twice")
        keys[key_id] = key
    if not keys:
        raise ValueError("holds no key")
    return keys


def load_settings(**overrides: Any) -> Settings:
    """Read the environment (overrides win); raises SettingsError naming each bad variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_describe(error)) from None


def _describe(error: ValidationError) -> str:
    lines = [
        f"  {'_'.join(map(str, problem['loc'])).upper() or 'SETTINGS'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]
    return "Lockstep cannot start, these settings need attention:\n" + "\n".join(lines)
