"""From a finding to the people, on the running demo: how long each channel takes."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.end_to_end.conftest import RunningDemo
from tests.end_to_end.person import Person, within
from tests.end_to_end.test_main_job import far_ahead, is_synced

pytestmark = [
    pytest.mark.processes,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("real processes"),
]


@pytest.fixture
def chat() -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """A chat service on loopback: its address, and what it was told and when."""
    told: list[tuple[str, float]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            words = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append((words["title"], time.time()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


def test_a_finding_is_in_the_inbox_within_a_second_and_outside_within_ten(
    demo: RunningDemo, chat: tuple[str, list[tuple[str, float]]]
) -> None:
    address, told = chat
    admin = Person(demo.url, "admin@sonnenschein.test")
    page = "/settings/notifications"
    admin.fill(f"{page}/channels", on=page, name="Team", address=address, current="lockstep-demo")
    assert within(20, lambda: told), "the test message"
    email = f"telling{time.time_ns()}@example.org"
    lost = admin.book(far_ahead(33), email=email)
    assert within(10, lambda: is_synced(demo, lost))
    time.sleep(1.5)  # the demo's grace period after a write
    demo.cal.vanish(str(demo.appointment(lost)[2]))

    admin.press(f"/appointments/{lost}/verifications", on=f"/appointments/{lost}")
    assert within(10, lambda: demo.appointment(lost)[0] == "orphaned_local")
    found = _found_at(demo, lost)
    assert within(5, lambda: _in_the_inbox(admin, lost))
    inbox = time.time() - found
    assert within(10, lambda: _mailed(demo, lost) and _posted(told, lost))
    mail, post = _mailed(demo, lost)[0][1] - found, _posted(told, lost)[0] - found

    print(f"\ninbox {inbox:.2f} s, mail {mail:.2f} s, chat {post:.2f} s")  # noqa: T201 - figures
    assert inbox < 1
    assert mail < 10
    assert post < 10
    mails = _mailed(demo, lost)
    assert {to for to, _at in mails} == {"admin@sonnenschein.test", "manager@sonnenschein.test"}
    assert len(mails) == 2, "one each"
    assert not any(email in words for _to, words, _at in demo.postbox.mails)


def _found_at(demo: RunningDemo, appointment_id: int) -> float:
    [at] = demo.ask("SELECT opened_at FROM discrepancies WHERE appointment_id = %s", appointment_id)
    assert isinstance(at, datetime)
    return at.timestamp()


def _in_the_inbox(person: Person, appointment_id: int) -> bool:
    return f"#{appointment_id}" in person.page("/notifications")


def _mailed(demo: RunningDemo, appointment_id: int) -> list[tuple[str, float]]:
    return [(to, at) for to, words, at in demo.postbox.mails if f"#{appointment_id}" in words]


def _posted(told: list[tuple[str, float]], appointment_id: int) -> list[float]:
    return [at for title, at in told if f"#{appointment_id}" in title]
