"""A bad value stops the start and is named; nothing secret is repeated."""

import base64
import math
import re

import pytest
from annotated_types import Le
from pydantic.fields import FieldInfo

from tests.contracts.source import ROOT
from webapp.jobs.queues import DELIVERY_TIMEOUT_SECONDS, PUSH_TIMEOUT_SECONDS
from webapp.settings import Settings, SettingsError, load_settings

KEY = "1:" + base64.urlsafe_b64encode(b"0" * 32).decode()
GOOD = {
    "DATABASE_URL": "postgresql://lockstep_app:pw@db/lockstep",
    "REDIS_URL": "redis://redis:6379/0",
    "SECRET_KEY": "x" * 40,
    "ENCRYPTION_KEYS": KEY,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_the_four_that_must_be_set_suffice() -> None:
    settings = load_settings()

    assert settings.push_retry_seconds == (1.0, 5.0, 30.0)
    assert settings.app_role == "lockstep_app"
    assert settings.session_cookie_secure


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "http://x"),
        ("SECRET_KEY", "short"),
        ("ENCRYPTION_KEYS", "1:too-short"),
        ("ENCRYPTION_KEYS", f"{KEY},{KEY}"),
        ("ENCRYPTION_KEYS", ","),
        ("PUBLIC_URL", "ftp://x"),
        ("PULSE_SECONDS", "often"),
        ("PUSH_RETRY_SECONDS", "1,x"),
        ("LOG_LEVEL", "LOUD"),
        ("REDIS_URL", "redis://redis:six/0"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://desk.example.com:https"),
        ("SANDBOX_URL", "x"),
        ("SMTP_URL", "smtp://mail:abc"),
        ("SMTP_URL", "mail:25"),
        ("MAIL_FROM", "nonsense"),
        ("METRICS_TOKEN", "short"),
        ("PUSH_RETRY_SECONDS", "-5,1"),
        ("PUSH_RETRY_SECONDS", "1,nan"),
        ("PUSH_QUIET_RETRY_SECONDS", "60,inf"),
        ("VERIFICATION_RETRY_SECONDS", ","),
        ("ABSENCE_GRACE_SECONDS", "inf"),
        ("BRAKE_SHARE", "nan"),
        ("KEEP_AUDIT_DAYS", "1000000000000"),
        ("RECONNECT_SECONDS", "1e10"),
        ("CALCOM_CALL_SECONDS", "20"),
        ("PUSH_BUDGET_SECONDS", "51"),
        ("PUSH_LEASE_SECONDS", "120"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(SettingsError) as refusal:
        load_settings()

    assert name in str(refusal.value)
    if name == "ENCRYPTION_KEYS" and len(value) > 20:
        assert KEY[2:] not in str(refusal.value)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_value_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)

    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_a_lease_shorter_than_the_calls_under_it_is_refused(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PUSH_LEASE_SECONDS", "5")

    with pytest.raises(SettingsError, match="PUSH_LEASE_SECONDS"):
        load_settings()


def test_no_job_is_ended_before_its_own_deadlines_are() -> None:
    """RQ breaks a job off, whatever it is at."""
    longest = {name: _at_most(name) for name in Settings.model_fields}
    assert longest["push_lease_seconds"] < PUSH_TIMEOUT_SECONDS
    assert longest["push_budget_seconds"] < longest["push_lease_seconds"]
    assert 2 * longest["calcom_call_seconds"] < DELIVERY_TIMEOUT_SECONDS


def _at_most(name: str) -> float:
    bounds = [each.le for each in Settings.model_fields[name].metadata if isinstance(each, Le)]
    return float(str(bounds[0])) if bounds else math.inf


def test_set_to_nothing_is_not_set(environment: pytest.MonkeyPatch) -> None:
    """Files of settings say it so."""
    for name in ("SMTP_URL", "METRICS_TOKEN", "PUSH_RETRY_SECONDS", "DATABASE_OWNER_URL"):
        environment.setenv(name, "")
    settings = load_settings()
    assert settings.smtp_url is None
    assert settings.metrics_token is None
    assert settings.push_retry_seconds == (1.0, 5.0, 30.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("REDIS_URL", "rediss://:pw@redis:6380/0"),
        ("SMTP_URL", "smtps://user:pw@mail.example.com:465"),
        ("MAIL_FROM", "desk@example.com"),
        ("PUBLIC_URL", "http://[::1]:8000/"),
        ("KEEP_AUDIT_DAYS", "36500"),
    ],
)
def test_what_can_be_used_is_taken(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    assert str(getattr(load_settings(), name.lower())) == value.rstrip("/")


def test_several_pauses_are_read_from_one_variable(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PUSH_RETRY_SECONDS", "2,4")

    assert load_settings().push_retry_seconds == (2.0, 4.0)


def test_every_setting_stands_in_the_readme_with_its_default() -> None:
    table = (ROOT / "README.md").read_text().partition("| setting |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| .+ \|$", table, re.MULTILINE))
    wanted = {name.upper(): _as_told(field) for name, field in Settings.model_fields.items()}
    missing = {name: default for name, default in wanted.items() if rows.get(name) != default}
    assert not missing, f"add a row | `NAME` | default | meaning | to the README: {missing}"
    assert set(rows) == set(wanted), f"no such setting (any more): {set(rows) - set(wanted)}"


def _as_told(field: FieldInfo) -> str:
    """A default as the README's table gives it."""
    if field.is_required():
        return "required"
    if field.default is None:
        return "–"
    values = field.default if isinstance(field.default, tuple) else (field.default,)
    texts = [f"{each:g}" if isinstance(each, float) else str(each) for each in values]
    text = ",".join(texts)
    return f"`{text.lower() if isinstance(field.default, bool) else text}`"
