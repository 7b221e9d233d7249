"""The sandbox as a process: it starts, keeps its state through a kill -9, and stops at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sandbox_cast import ANNA, ANNA_KEY, HAIRCUT, NOW, TEN, Caller

from webapp.sandbox.server import running_sandbox

ROOT = Path(__file__).parents[2]


@contextmanager
def process(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", Caller]]:
    """`python -m webapp.sandbox` on a free port, gone at the end whatever happens."""
    running = subprocess.Popen(
        [sys.executable, "-m", "webapp.sandbox", "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert running.stdout is not None
        address = running.stdout.readline().split()[-1]
        yield running, Caller(address)
    finally:
        running.kill()
        running.communicate()


def people(cal: Caller) -> None:
    cal.steer("POST", "/clock", {"set": NOW})
    cal.steer("POST", "/accounts", {"email": ANNA, "name": "Anna Berg", "key": ANNA_KEY})
    haircut = {"id": HAIRCUT, "account": ANNA, "title": "Haircut", "lengthInMinutes": 30}
    cal.steer("POST", "/event-types", haircut)
    cal.steer("POST", "/webhooks", {"account": ANNA, "subscriberUrl": "http://127.0.0.1:9/x"})


@pytest.mark.processes
def test_the_state_survives_a_kill_9(tmp_path: Path) -> None:
    data = str(tmp_path / "a folder" / "sandbox.db")
    with process("--data", data) as (running, cal):
        people(cal)
        old = cal.booked(metadata={"ours": "41"})["uid"]
        new = cal.move(old).json()["data"]["uid"]
        calls = cal.steer("GET", "/state?only=calls,totals")
        running.send_signal(signal.SIGKILL)
        running.wait(5)
    with process("--data", data) as (_, cal):
        known = cal.steer("GET", "/state?only=calls,totals")
        assert (known["calls"], known["totals"]) == (calls["calls"], calls["totals"])
        before, after = cal.listed()
        assert (before["uid"], before["rescheduledToUid"]) == (old, new)
        assert (after["uid"], after["metadata"]) == (new, {"ours": "41"})
        assert [kind for kind, _ in cal.mails()] == ["created", "rescheduled"]
        assert cal.steer("GET", "/clock")["now"].startswith("2026-03-01T08:00")
        assert len(cal.api("GET", "/webhooks", version=None).json()["data"]) == 1
        assert cal.create(TEN).status_code == 409
        assert cal.booked("2026-03-05T09:00:00Z")["id"] > after["id"]


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_even_while_it_holds_a_connection(number: signal.Signals) -> None:
    with process() as (running, cal):
        people(cal)
        cal.fail({"kind": "timeout_before", "operation": "me"})
        with pytest.raises(httpx.ReadTimeout):
            cal.api("GET", "/me", timeout=0.1)
        began = time.monotonic()
        running.send_signal(number)
        assert running.wait(5) == 0
        assert time.monotonic() - began < 2


@pytest.mark.processes
def test_a_taken_port_is_said_in_one_line() -> None:
    with running_sandbox() as taken:
        port = taken.url.rsplit(":", 1)[1]
        done = subprocess.run(
            [sys.executable, "-m", "webapp.sandbox", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_connections_are_kept_alive(cal: Caller) -> None:
    first = cal.http.get("/_sandbox/health").extensions["network_stream"]
    second = cal.http.get("/_sandbox/health").extensions["network_stream"]
    assert first is second or first.get_extra_info("client_addr") == second.get_extra_info(
        "client_addr"
    )


def test_twenty_thousand_bookings_are_listed_in_a_moment(cal: Caller) -> None:
    bookings = [
        {"eventTypeId": HAIRCUT, "start": f"20{27 + n // 8000}-03-02T09:00:00Z"}
        for n in range(20_000)
    ]
    cal.http.timeout = httpx.Timeout(60)
    cal.steer("POST", "/bookings", {"bookings": bookings})
    began = time.monotonic()
    seen: set[str] = set()
    while page := cal.listed(take=250, skip=len(seen), sortStart="asc"):
        seen.update(each["uid"] for each in page)
    assert len(seen) == 20_000
    assert time.monotonic() - began < 10


def test_two_sandboxes_in_one_process_know_nothing_of_each_other() -> None:
    with running_sandbox() as one, running_sandbox() as other:
        Caller(one.url).steer("POST", "/accounts", {"email": ANNA, "key": ANNA_KEY})
        assert Caller(one.url).api("GET", "/me").status_code == 200
        assert Caller(other.url).api("GET", "/me").status_code == 401
