"""PostgreSQL for one machine: made, started and stopped without its wheel's own launcher."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from webapp.embedded.account import Account, home_for, known_shelter, server_account
from webapp.embedded.binaries import postgres_programs
from webapp.embedded.errors import EmbeddedError
from webapp.embedded.folders import choose_port, claimed, last_lines, write_private
from webapp.embedded.kept import Kept, Order
from webapp.embedded.leftovers import end_servers_in
from webapp.embedded.roles import ADMIN, APP, DATABASE, OWNER, prepare

START_SECONDS = 60.0
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
}
# Commits stay synchronous: without fsync they cost little, and survive a `kill -9` of the server.
_HASTY = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    """One server in one folder; every `start` ends what an earlier run left there."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._account = server_account()
        self._programs = postgres_programs(self._account)
        self._home = home_for(folder, self._account)
        self._passwords = _passwords(folder / "passwords.json")
        self._kept: Kept | None = None
        self.port = 0

    @property
    def database_url(self) -> str:
        """For the app role, which owns nothing."""
        return f"postgresql+psycopg://{self._address(APP, DATABASE)}"

    @property
    def database_owner_url(self) -> str:
        """For the role that owns the database and migrates."""
        return f"postgresql+psycopg://{self._address(OWNER, DATABASE)}"

    @property
    def admin_url(self) -> str:
        """For the superuser, as psycopg takes it; for tests that look behind the curtain."""
        return f"postgresql://{self._address(ADMIN, 'postgres')}"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._kept is None:
            raise EmbeddedError("PostgreSQL has not been started.")
        return self._kept.pid

    @property
    def is_running(self) -> bool:
        return self._kept is not None and self._kept.poll() is None

    def start(self) -> None:
        """Start, wait until it answers, see to the roles and the database."""
        if self.is_running:
            return
        end_servers_in(self._data)
        if not self._data.exists():
            self._make_data()
        self._check_version()
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for last in (False, False, True):
            if self._launch(is_last_try=last):
                break
        prepare(self.admin_url, self._passwords)

    def stop(self) -> None:
        """Disconnect everybody, write everything down, end."""
        if self._kept is not None:
            self._kept.stop()

    def discard(self) -> None:
        """Remove the data of a stopped server."""
        shutil.rmtree(self._data, ignore_errors=True)
        if self._home != self._folder:
            shutil.rmtree(self._home, ignore_errors=True)

    def kill9(self) -> None:
        """End all of its processes as a power cut would."""
        if self._kept is not None:
            self._kept.kill()
            end_servers_in(self._data)

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "postgres.log"

    def _address(self, role: str, database: str) -> str:
        return f"{role}:{self._passwords[role]}@127.0.0.1:{self.port}/{database}"

    def _launch(self, *, is_last_try: bool) -> bool:
        """Whether it answers; False is worth another try, with another port."""
        self._log.unlink(missing_ok=True)
        self.port = choose_port(self._folder / "port")
        self._kept = Kept(self._order())
        deadline = time.monotonic() + START_SECONDS
        while self._kept.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.03)
        self._kept.stop()
        is_port_taken = "could not bind" in self._log.read_text(errors="replace")
        if is_port_taken and not is_last_try:
            return False
        raise EmbeddedError(
            f"PostgreSQL did not start. {self._log} ends with:\n{last_lines(self._log)}"
        )

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise EmbeddedError(
                    f"{self._folder}/passwords.json doesn't fit the data beside it. "
                    "Start afresh with make demo-reset."
                ) from error
            return False
        return True

    def _order(self) -> Order:
        settings = {**_SETTINGS, **({} if self._durable else _HASTY), "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Order(
            command=[str(self._programs / "postgres"), "-D", str(self._data), *options],
            log=self._log,
            marker=f"{self._folder}:postgres;",
            env=_ENVIRONMENT,
            cwd=self._data,
            account=self._account.popen,
            # SIGINT is its "fast" shutdown, SIGQUIT its "immediate" one.
            stops=(("SIGINT", 20.0), ("SIGQUIT", 3.0)),
        )

    def _make_data(self) -> None:
        """initdb into a draft, so that an interrupted one is not taken for a whole one."""
        draft, password = self._home / "data.new", self._home / "password.new"
        end_servers_in(draft)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._account.take(draft)
        write_private(password, self._passwords[ADMIN])
        self._account.take(password)
        try:
            _initdb(self._programs / "initdb", draft, password, self._account)
        finally:
            password.unlink()
        draft.rename(self._data)

    def _check_version(self) -> None:
        answer = subprocess.run(
            [self._programs / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        ours = answer.stdout.split()[-1].split(".")[0]
        theirs = (self._data / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise EmbeddedError(
                f"{self._data} is of PostgreSQL {theirs}, and this is PostgreSQL {ours}. "
                "Start afresh with make demo-reset."
            )


@contextlib.contextmanager
def running_postgres(folder: Path, durable: bool = True) -> Iterator[Postgres]:
    """A started PostgreSQL that lives in `folder` and is stopped at the end.

    `durable=False`, for tests, trades safety against a power cut for speed and throws the data
    away at the end. Raises EmbeddedError.
    """
    with claimed(folder) as own:
        server = Postgres(own, durable=durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            if not durable:
                server.discard()


def erase_postgres(folder: Path) -> None:
    """Remove the folder and everything kept for it elsewhere, ending what still runs there."""
    with claimed(folder) as own:
        for home in (own, known_shelter(own)):
            if home is not None:
                end_servers_in(home / "data")
                shutil.rmtree(home, ignore_errors=True)


def _passwords(path: Path) -> dict[str, str]:
    if not path.exists():
        fresh = {role: secrets.token_urlsafe(24) for role in (ADMIN, OWNER, APP)}
        write_private(path, json.dumps(fresh))
    return dict(json.loads(path.read_text()))


def _initdb(program: Path, data: Path, password: Path, account: Account) -> None:
    options = ["-U", ADMIN, "-A", "scram-sha-256", f"--pwfile={password}"]
    locale = ["--encoding=UTF8", "--locale=C"]
    result = subprocess.run(
        [program, "-D", data, *options, *locale, "--no-instructions", "--no-sync"],
        cwd=data,
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        **account.popen,
    )
    if result.returncode != 0:
        raise EmbeddedError(f"PostgreSQL's initdb failed:\n{result.stdout}{result.stderr}")
