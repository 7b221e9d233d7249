"""A machine of its own: real servers, real `worker.py` processes, a sandbox over HTTP. What is done
to it hurts nobody else's tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import psycopg
from flask import Flask

from tests.conftest import KEY
from tests.desk import Desk, in_days
from tests.factories import Person, make_person
from tests.processes.conftest import eventually, free_port
from webapp import create_app
from webapp.embedded import Postgres, Redis, running_postgres, running_redis
from webapp.jobs.queues import enqueue_push
from webapp.sandbox.server import RunningSandbox
from webapp.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
PUSHES = 200
A_DAY = 24


class Machine:
    """The servers; programs are started on it by name."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis) -> None:
        self.folder = folder
        self.postgres = postgres
        self.redis = redis
        self.environment = {
            "DATABASE_URL": postgres.database_url,
            "DATABASE_OWNER_URL": postgres.database_owner_url,
            "REDIS_URL": redis.url,
            "SECRET_KEY": "a secret for tests only, long enough",
            "ENCRYPTION_KEYS": KEY,
            "SESSION_COOKIE_SECURE": "false",
            "ALLOW_PRIVATE_NETWORKS": "true",
            "CALCOM_CALLS_PER_MINUTE": "6000",
            "LOG_FORMAT": "console",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def make_app(self) -> Flask:
        """The application in this process, to arrange and to look."""
        wanted = {name.lower(): value for name, value in self.environment.items()}
        return create_app(load_settings(**wanted))

    def run(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=self._env({}),
            check=True,
            capture_output=True,
        )

    def start(self, *words: str, **settings: str) -> psutil.Process:
        log = (self.folder / f"{len(self._started)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=self._env(settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        return psutil.Process(process.pid)

    def end_all(self) -> None:
        """The programs, and the children of those that were killed."""
        for process in self._started:
            with suppress(psutil.Error):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait()
        self._started.clear()

    def logs(self) -> str:
        return "\n".join(each.read_text()[-3000:] for each in sorted(self.folder.glob("*.log")))

    def ask(self, query: str, *values: object) -> tuple[int, ...]:
        """The one row that a query finds, as the owner of the tables."""
        address = self.postgres.database_owner_url.replace("+psycopg", "")
        with psycopg.connect(address) as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None, query
        return tuple(row)

    def change(self, statement: str) -> None:
        address = self.postgres.database_owner_url.replace("+psycopg", "")
        with psycopg.connect(address) as connection:
            connection.execute(statement)

    def _env(self, settings: dict[str, str]) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": "/", **self.environment, **settings}


@contextmanager
def running_machine(folder: Path) -> Iterator[Machine]:
    """Migrated servers in `folder`, nothing else."""
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres(folder / "postgres", durable=False))
        redis = stack.enter_context(running_redis(folder / "redis"))
        machine = Machine(folder, postgres, redis)
        machine.run("flask", "--app", "webapp", "db", "upgrade")
        stack.callback(machine.end_all)
        yield machine


class Rush:
    """Two hundred bookings of one company on their way to Cal.com."""

    def __init__(self, machine: Machine, sandbox: RunningSandbox, slug: str) -> None:
        self.machine = machine
        self.began = 0.0
        self.desk = Desk(sandbox, slug)
        self.person: Person = make_person(self.desk.company)

    @property
    def company_id(self) -> int:
        return self.desk.company.id

    def begin(self) -> None:
        """Book them all, handing each to the workers as a page does."""
        self.began = time.monotonic()
        for number in range(PUSHES):
            day, hour = divmod(number, A_DAY)
            appointment_id = self.desk.book(in_days(2 + day, hour))
            enqueue_push(self.company_id, self.desk.intents(appointment_id)[0].id)

    def done(self) -> int:
        return self._count("status = 'done'")

    def in_flight(self) -> int:
        return self._count("status = 'in_flight'")

    def begun_within(self, seconds: float) -> int:
        """How many of those in flight were claimed so lately."""
        lease = float(Settings.model_fields["push_lease_seconds"].default)
        return self._count(
            "status = 'in_flight' AND lease_until > now() + make_interval(secs => %s)",
            lease - seconds,
        )

    def held_longest(self, ids: list[int]) -> int:
        """How many of these intents aren't done yet."""
        return self._count("id = ANY(%s) AND status <> 'done'", ids)

    def ids_in_flight(self) -> list[int]:
        query = "SELECT coalesce(array_agg(id), '{}') FROM intents WHERE company_id = %s"
        [ids] = self.machine.ask(f"{query} AND status = 'in_flight'", self.company_id)
        return list(ids)  # type: ignore[call-overload]

    def lost_leases(self) -> int:
        query = "SELECT count(*) FROM history_events WHERE company_id = %s AND kind = 'lease_lost'"
        return self.machine.ask(query, self.company_id)[0]

    def wait_until_done(self, number: int = PUSHES, seconds: float = 240) -> None:
        self.wait(lambda: self.done() >= number, seconds)

    def wait(self, is_so: Callable[[], bool], seconds: float) -> None:
        assert eventually(is_so, seconds), f"{self.done()} of {PUSHES}\n{self.machine.logs()}"

    def assert_each_arrived_once(self) -> None:
        live = self.desk.cal.live_bookings()
        assert len(live) == len({each["metadata"]["lockstep"] for each in live}) == PUSHES
        assert self.desk.cal.mails() == ["created"] * PUSHES
        states = "SELECT count(*) FROM appointments WHERE company_id = %s"
        agreed = f"{states} AND calcom_sync_status = 'synced' AND NOT requires_manual_review"
        assert self.machine.ask(agreed, self.company_id) == (PUSHES,)

    def _count(self, condition: str, *values: object) -> int:
        query = f"SELECT count(*) FROM intents WHERE company_id = %s AND {condition}"
        return self.machine.ask(query, self.company_id, *values)[0]


class Visitor:
    """Somebody who is logged in and looks at a page."""

    def __init__(self, machine: Machine, person: Person) -> None:
        port = free_port()
        options = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4"]
        machine.start("-m", "gunicorn", *options, "--no-control-socket", "webapp:create_app()")
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        assert eventually(self._answers, 60), machine.logs()
        self._log_in(person)
        self.slowest = 0.0

    def look(self, path: str = "/") -> int:
        """Its status; how long it took is kept if it was the slowest yet."""
        began = time.monotonic()
        answer = self._http.get(path)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return answer.status_code

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self._http.get("/healthz").is_success
        return False

    def _log_in(self, person: Person) -> None:
        page = self._http.get("/login").text
        token = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
        fields = {"csrf_token": token, "email": person.email, "password": person.password}
        answer = self._http.post("/login", data=fields)
        assert answer.status_code == 303, answer.text


def kill_9(*processes: psutil.Process) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)


def children_of(*workers: psutil.Process) -> list[psutil.Process]:
    return [child for worker in workers for child in worker.children()]
