"""The settings the demo's processes get, and the file that keeps them for `make flask`."""

import base64
import secrets
from collections.abc import Mapping
from pathlib import Path

from webapp.embedded.folders import write_private
from webapp.supervisor.choices import Choices

FILE = "environment"

# Fit for a laptop, not for customers. Whoever sets one of these is heard.
_DEMO_DEFAULTS = {
    "ALLOW_PRIVATE_NETWORKS": "true",
    "SESSION_COOKIE_SECURE": "false",
    # The sandbox is as consistent as one process: what is missing there, is missing.
    "ABSENCE_GRACE_SECONDS": "1",
    # Faults that somebody tries out are over sooner.
    "CALCOM_CALL_SECONDS": "5",
    "BREAKER_OPEN_SECONDS": "10",
    "LOG_FORMAT": "console",
}


def demo_environment(choices: Choices, servers: Mapping[str, str]) -> dict[str, str]:
    """Settings for every process; `servers` are the addresses of PostgreSQL and Redis.

    Keys that were made once are kept in the demo's folder: sessions and stored secrets outlive
    a restart.
    """
    path = choices.folder / FILE
    known = read_environment(path) if path.exists() else {}
    settings = {name: choices.inherited.get(name, value) for name, value in _DEMO_DEFAULTS.items()}
    settings |= {
        **servers,
        "SECRET_KEY": known.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": known.get("ENCRYPTION_KEYS") or f"1:{_random_key()}",
        "PUBLIC_URL": choices.url,
        "SANDBOX_URL": choices.sandbox_url,
    }
    write_private(path, "".join(f"{name}={value}\n" for name, value in settings.items()))
    return settings


def read_environment(path: Path) -> dict[str, str]:
    """The settings of the last start."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _random_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
