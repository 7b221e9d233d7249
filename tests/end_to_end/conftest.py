"""The whole demo, running: supervisor, PostgreSQL, Redis, sandbox, web, workers, scheduler. One for
all tests in here (`xdist_group` keeps them in one process); they make their own appointments."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
import pytest
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser

from tests.browser.conftest import browser
from tests.desk import Cal
from tests.processes.conftest import free_port
from webapp.embedded import erase_postgres
from webapp.supervisor.environment import read_environment

__all__ = ["Browser", "browser"]

ROOT = Path(__file__).parents[2]
# A minute on two idle cores; a crowded machine gets its time.
READY_SECONDS = 600


@dataclass
class Postbox:
    """What the demo's mail server took: recipient, text and when, by the machine's clock."""

    mails: list[tuple[str, str, float]] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        text = message_from_bytes(envelope.content, policy=policy.default)
        body = text.get_body(("plain",)) if isinstance(text, EmailMessage) else None
        words = f"{text['Subject']}\n{body.get_content() if body else ''}"
        self.mails += [(to, words, time.time()) for to in envelope.rcpt_tos]
        return "250 OK"


class RunningDemo:
    """The demo from outside: its address, its sandbox, its database as the owner sees it."""

    def __init__(
        self, folder: Path, url: str, sandbox_url: str, pid: int, postbox: Postbox
    ) -> None:
        self.folder = folder
        self.url = url
        self.pid = pid
        self.postbox = postbox
        self.cal_url = sandbox_url
        self.cal = Cal(sandbox_url, "calcom@sonnenschein.test")
        environment = read_environment(folder / "environment")
        self._owner = environment["DATABASE_OWNER_URL"].replace("+psycopg", "")

    def ask(self, query: str, *values: object) -> tuple[object, ...]:
        """The one row that a query finds, as the owner of the tables."""
        with psycopg.connect(self._owner) as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None, query
        return row

    def appointment(self, appointment_id: int) -> tuple[object, ...]:
        """`(sync state, status, uid)`."""
        return self.ask(
            "SELECT calcom_sync_status, status, calcom_v2_booking_id FROM appointments"
            " WHERE id = %s",
            appointment_id,
        )

    def changes(self, appointment_ids: Sequence[int]) -> object:
        """What was to be carried for these appointments, how far each is, and every try."""
        return self.ask(
            "SELECT array_agg(concat_ws(' ', i.appointment_id, i.kind, i.status, i.attempt_count,"
            " 'due', i.due_at::time, 'until', i.lease_until::time, 'tries', (SELECT"
            " string_agg(concat_ws(' ', a.started_at::time, a.finished_at::time, a.operations,"
            " a.outcome), '; ')"
            " FROM attempts a WHERE a.intent_id = i.id), 'now', now()::time))"
            " FROM intents i WHERE i.appointment_id = ANY(%s)",
            list(appointment_ids),
        )

    def runs(self) -> object:
        """The company's latest runs, and what became of them."""
        return self.ask(
            "SELECT array_agg(to_jsonb(r) - 'evidence') FROM (SELECT * FROM runs WHERE"
            " company_id = 1 ORDER BY id DESC LIMIT 3) r"
        )

    @contextmanager
    def between_runs(self) -> Iterator[None]:
        """No run of the company begins meanwhile: it would settle what a test is about to."""
        deadline = time.monotonic() + 60
        while (held := self._hold_runs()) is None:
            assert time.monotonic() < deadline, self.runs()
            time.sleep(0.5)
        yield
        ended = "UPDATE runs SET status = 'stopped', finished_at = now() WHERE id = %s RETURNING id"
        self.ask(ended, held)

    def _hold_runs(self) -> object:
        """A run of which no worker ever hears; None while a real one is running."""
        [held] = self.ask(
            "WITH fresh AS (SELECT (jsonb_populate_record(r, jsonb_build_object("
            " 'id', nextval(pg_get_serial_sequence('runs', 'id')), 'scope', 'delta', 'slot', NULL,"
            " 'status', 'running', 'started_at', now(), 'finished_at', NULL,"
            " 'lease_until', now() + interval '1 hour'))).*"
            " FROM runs r WHERE company_id = 1 ORDER BY r.id DESC LIMIT 1),"
            " held AS (INSERT INTO runs OVERRIDING SYSTEM VALUE SELECT * FROM fresh"
            " ON CONFLICT DO NOTHING RETURNING id) SELECT max(id) FROM held"
        )
        return held

    def deliveries(self, uid: str) -> object:
        """What became of Cal.com's news of a booking, there and here."""
        sent = self.cal.state(only="deliveries", uid=uid)
        here = self.ask(
            "SELECT array_agg(trigger || ': ' || status || ' ' || coalesce(reason, ''))"
            " FROM deliveries WHERE body->'payload'->>'uid' = %s",
            uid,
        )
        return sent, here

    def command(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """One of the operator's commands, with the demo's settings, as `make flask` runs it;
        `given` on its standard input."""
        with_settings = [sys.executable, "-m", "webapp.supervisor", "with"]
        return subprocess.run(
            [*with_settings, sys.executable, "-m", "flask", "--app", "webapp", *words],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "DEMO_DIR": str(self.folder)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self, word: str) -> list[psutil.Process]:
        """The demo's processes whose command line has the word."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):  # a worker's finished child, not collected yet
                if word in " ".join(process.cmdline()):
                    found.append(process)
        return found


@pytest.fixture(scope="session")
def demo() -> Iterator[RunningDemo]:
    port, sandbox_port, mail_port = free_port(), free_port(), free_port()
    postbox = Postbox()
    with ExitStack() as stack:
        mail_server = Controller(postbox, "127.0.0.1", mail_port, ready_timeout=20)
        mail_server.start()
        stack.callback(mail_server.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lockstep e2e ")))
        stack.callback(_erase, folder)
        said = stack.enter_context((folder / "said").open("w+"))
        process = subprocess.Popen(
            [sys.executable, "-m", "webapp.supervisor", "demo"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": os.environ.get("HOME", "/"),
                "DEMO_DIR": str(folder),
                "PORT": str(port),
                "SANDBOX_PORT": str(sandbox_port),
                # These tests log in far more often than a person does.
                "LOGIN_ATTEMPTS_PER_MINUTE": "100",
                "SMTP_URL": f"smtp-plain://127.0.0.1:{mail_port}",
            },
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
        stack.callback(_stop, process)
        line = _first_line(process)
        assert line == f"Lockstep is ready: http://127.0.0.1:{port}\n", _tail(said)
        yield RunningDemo(
            folder,
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{sandbox_port}",
            process.pid,
            postbox,
        )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    timer = threading.Timer(READY_SECONDS, process.terminate)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def _tail(said: IO[str]) -> str:
    said.seek(0)
    return said.read()[-3000:]


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(40)


def _erase(folder: Path) -> None:
    if (folder / "postgres").exists():
        erase_postgres(folder / "postgres")
