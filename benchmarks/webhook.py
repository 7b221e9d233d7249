"""The webhook's door under load, beside a handler that does one INSERT and COMMIT (S15).

gunicorn as the demo runs it, embedded PostgreSQL (with fsync) and Redis. The two are measured by
turns, so that whatever else the machine does meanwhile meets both. The last line is one JSON
object.
"""

import argparse
import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from flask import Flask, request
from flask_migrate import upgrade
from sqlalchemy import create_engine, text

from benchmarks.house import settings_for
from webapp import clock, create_app
from webapp.calcom.signatures import sign
from webapp.embedded import Servers, running_servers
from webapp.extensions import csrf, db
from webapp.models.company import Company, Secret
from webapp.models.crossing import next_company_id
from webapp.models.tenancy import as_company
from webapp.models.vault import Vault
from webapp.views.access import DOORS

TOKEN = "bench"
SECRET = "a secret as long as those that are made for companies"
TARGET_RATIO = 0.5
TARGET_P99_MS = 50.0

Request = Callable[[], tuple[str, bytes, dict[str, str]]]


def make_app() -> Flask:
    """The application, with the handler to compare with; gunicorn calls this."""
    import webapp.views.access as access

    app = create_app()
    access.DOORS = DOORS | {"insert_and_commit"}

    @csrf.exempt
    def insert_and_commit() -> str:
        with db.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO baseline (body) VALUES (:body)"), {"body": request.get_data()}
            )
        return "stored"

    app.add_url_rule("/baseline", view_func=insert_and_commit, methods=["POST"])
    return app


@dataclass
class Figures:
    """What one handler did: rate per second and latencies in milliseconds."""

    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round and handler")
    parser.add_argument("--connections", type=int, default=4)
    choices = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder,
        _running(Path(folder)) as port,
    ):
        baseline, door = Figures(), Figures()
        for number in range(choices.rounds + 1):
            # The first round warms up and doesn't count.
            for figures, make in ((baseline, _plain()), (door, _delivery())):
                kept = Figures() if number == 0 else figures
                _load(port, make, kept, choices.seconds / (1 if number else 4), choices.connections)
    return _report(baseline, door)


def _report(baseline: Figures, door: Figures) -> int:
    ratio = statistics.median(
        ours / theirs for ours, theirs in zip(door.rates, baseline.rates, strict=True)
    )
    for name, figures in (("one INSERT and COMMIT", baseline), ("webhook", door)):
        print(
            f"{name:>22}: {figures.rate:7.0f}/s   p50 {figures.percentile(0.5):6.1f} ms"
            f"   p99 {figures.percentile(0.99):6.1f} ms   ({len(figures.latencies)} requests)"
        )
    result = {
        "benchmark": "webhook",
        "webhook_per_second": round(door.rate, 1),
        "webhook_p50_ms": round(door.percentile(0.5), 2),
        "webhook_p99_ms": round(door.percentile(0.99), 2),
        "baseline_per_second": round(baseline.rate, 1),
        "baseline_p50_ms": round(baseline.percentile(0.5), 2),
        "baseline_p99_ms": round(baseline.percentile(0.99), 2),
        "ratio": round(ratio, 3),
        "target_ratio": TARGET_RATIO,
        "target_p99_ms": TARGET_P99_MS,
        "met": ratio >= TARGET_RATIO and door.percentile(0.99) < TARGET_P99_MS,
    }
    print(json.dumps(result))
    return 0


def _load(port: int, make: Request, figures: Figures, seconds: float, connections: int) -> None:
    """So many connections, each sending the next as soon as the last is answered."""
    ends = time.perf_counter() + seconds
    latencies: list[list[float]] = [[] for _ in range(connections)]
    threads = [
        threading.Thread(target=_send_until, args=(port, make, ends, mine)) for mine in latencies
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    figures.rates.append(sum(map(len, latencies)) / took)
    figures.latencies += [each for mine in latencies for each in mine]


def _send_until(port: int, make: Request, ends: float, latencies: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.perf_counter() < ends:
        path, body, headers = make()
        began = time.perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        latencies.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
    connection.close()


_numbers = count(1)
PAYLOAD = {
    "type": "consultation",
    "title": "Consultation between Dr. Sommer and Jo Visitor",
    "description": "",
    "startTime": "2030-03-04T09:00:00Z",
    "endTime": "2030-03-04T09:30:00Z",
    "length": 30,
    "organizer": {
        "id": 7,
        "name": "Dr. Sommer",
        "email": "sommer@example.org",
        "timeZone": "Europe/Berlin",
        "language": {"locale": "en"},
    },
    "attendees": [
        {
            "email": "jo@example.org",
            "name": "Jo Visitor",
            "timeZone": "Europe/Berlin",
            "language": {"locale": "de"},
        }
    ],
    "responses": {
        name: {"label": name, "value": "something that was typed", "isHidden": False}
        for name in ("name", "email", "notes", "location", "guests")
    },
    "location": "Main Street 1",
    "bookingId": 4711,
    "eventTypeId": 77,
    "status": "ACCEPTED",
    "metadata": {"lockstep": "3f0c4c60-8f5c-4e55-9e0b-1f4f2c7a5b10"},
}


def _delivery() -> Request:
    def make() -> tuple[str, bytes, dict[str, str]]:
        body = json.dumps(
            {
                "triggerEvent": "BOOKING_CREATED",
                "createdAt": "2030-03-01T08:00:00.000Z",
                "payload": {**PAYLOAD, "uid": f"bench{next(_numbers):017}"},
            }
        ).encode()
        headers = {"Content-Type": "application/json", "X-Cal-Signature-256": sign(body, SECRET)}
        return f"/webhooks/calcom/{TOKEN}", body, headers

    return make


def _plain() -> Request:
    body = json.dumps({"triggerEvent": "BOOKING_CREATED", "payload": PAYLOAD}).encode()
    return lambda: ("/baseline", body, {"Content-Type": "application/json"})


@contextmanager
def _running(folder: Path) -> Iterator[int]:
    """Servers, a company, gunicorn; the port it answers on."""
    with running_servers(folder) as servers:
        environment = settings_for(servers)
        os.environ.update(environment)
        _prepare(servers)
        yield from _gunicorn(folder, environment)


def _prepare(servers: Servers) -> None:
    app = create_app()
    with app.app_context():
        upgrade()
        _make_company(app.extensions["vault"])
    owner = create_engine(servers.database_owner_url.replace("postgresql:", "postgresql+psycopg:"))
    with owner.begin() as connection:
        connection.execute(
            text("CREATE TABLE baseline (id bigint GENERATED ALWAYS AS IDENTITY, body bytea)")
        )
        connection.execute(text("GRANT INSERT ON baseline TO PUBLIC"))
    owner.dispose()


def _make_company(vault: Vault) -> None:
    company_id = next_company_id(db.session())
    db.session.rollback()
    with as_company(company_id):
        company = Company(
            id=company_id,
            name="Bench",
            slug="bench",
            time_zone="Europe/Berlin",
            locale="en",
            created_at=clock.now(),
            webhook_token=TOKEN,
        )
        company.set_secret(Secret.WEBHOOK_SECRET, SECRET, vault)
        db.session.add(company)
        db.session.commit()


def _gunicorn(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    announced = folder / "port"
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "2"]
    command += ["--threads", "4", "--no-control-socket", "--log-level", "info"]
    with announced.open("w") as log:
        process = subprocess.Popen(
            [*command, "benchmarks.webhook:make_app()"],
            env={**os.environ, **environment},
            stderr=log,
        )
        try:
            yield _wait_for_port(announced, process)
        finally:
            process.terminate()
            process.wait(timeout=15)


def _wait_for_port(log: Path, process: "subprocess.Popen[bytes]") -> int:
    ends = time.monotonic() + 30
    while time.monotonic() < ends and process.poll() is None:
        said = log.read_text()
        if "Listening at: http://127.0.0.1:" in said and said.count("Booting worker") == 2:
            return int(said.split("Listening at: http://127.0.0.1:")[1].split()[0])
        time.sleep(0.1)
    raise SystemExit(f"gunicorn did not start:\n{log.read_text()}")


if __name__ == "__main__":
    sys.exit(main())
