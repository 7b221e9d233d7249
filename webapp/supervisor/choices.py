"""What the caller may choose about the demo, read from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webapp.embedded import EmbeddedError

HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Choices:
    """Where the demo lives and answers, and which servers it is given instead of embedded ones."""

    folder: Path
    port: int
    sandbox_port: int
    database_url: str
    database_owner_url: str
    redis_url: str
    inherited: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def read_choices() -> Choices:
    """Raises EmbeddedError and names the variable when a value makes no sense."""
    given = dict(os.environ)
    choices = Choices(
        folder=Path(given.get("DEMO_DIR") or ".demo").absolute(),
        port=_port(given, "PORT", 8000),
        sandbox_port=_port(given, "SANDBOX_PORT", 8001),
        database_url=given.get("DATABASE_URL", ""),
        database_owner_url=given.get("DATABASE_OWNER_URL", ""),
        redis_url=given.get("REDIS_URL", ""),
        inherited=given,
    )
    if choices.port == choices.sandbox_port:
        raise EmbeddedError(f"PORT and SANDBOX_PORT are both {choices.port}: choose two.")
    if choices.database_url and not choices.database_owner_url:
        raise EmbeddedError("DATABASE_URL is set, so DATABASE_OWNER_URL has to be set too.")
    return choices


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT:
        raise EmbeddedError(f"{name} is {text!r}: it has to be a number from 1 to {HIGHEST_PORT}.")
    return int(text)
