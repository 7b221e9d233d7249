"""Who plays in the sandbox's tests: a caller with keys, and a subscriber on a real socket."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

ANNA = "anna@example.com"
BEN = "ben@example.com"
ANNA_KEY = "cal_anna"
BEN_KEY = "cal_ben"
HAIRCUT = 501
CONSULTATION = 502
BENS_MASSAGE = 601
SECRET = "a-secret"
BOOKINGS = "2024-08-13"
EVENT_TYPES = "2024-06-14"
SLOTS = "2024-09-04"
NOW = "2026-03-01T08:00:00Z"
NINE = "2026-03-02T09:00:00Z"
TEN = "2026-03-02T10:00:00Z"
JO = {"name": "Jo Doe", "email": "jo@example.org", "timeZone": "Europe/Berlin", "language": "de"}

Answer = httpx.Response


class Caller:
    """Calls the API as Anna unless told otherwise, and steers through the control door."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=10)

    def api(
        self,
        method: str,
        path: str,
        *,
        key: str | None = ANNA_KEY,
        version: str | None = BOOKINGS,
        **more: Any,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if version:
            headers["cal-api-version"] = version
        return self.http.request(method, f"/v2{path}", headers=headers, **more)

    def steer(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def create(self, start: str = NINE, *, key: str | None = ANNA_KEY, **more: Any) -> Answer:
        version = more.pop("version", BOOKINGS)
        body = {"start": start, "eventTypeId": HAIRCUT, "attendee": JO, **more}
        return self.api("POST", "/bookings", key=key, version=version, json=body)

    def booked(self, start: str = NINE, **more: Any) -> dict[str, Any]:
        answer = self.create(start, **more)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def get(self, uid: str, **more: Any) -> Answer:
        return self.api("GET", f"/bookings/{uid}", **more)

    def listed(self, *, key: str = ANNA_KEY, **params: Any) -> list[dict[str, Any]]:
        answer = self.api("GET", "/bookings", key=key, params=params)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    def move(self, uid: str, start: str = TEN, **more: Any) -> Answer:
        key = more.pop("key", ANNA_KEY)
        body = {"start": start, **more}
        return self.api("POST", f"/bookings/{uid}/reschedule", key=key, json=body)

    def cancel(self, uid: str, reason: str | None = "Ill", **more: Any) -> Answer:
        body = {"cancellationReason": reason} if reason is not None else {}
        return self.api("POST", f"/bookings/{uid}/cancel", json=body, **more)

    def mails(self) -> list[tuple[str, str]]:
        mails = self.steer("GET", "/state?only=mails")["mails"]
        return [(mail["kind"], mail["to"]) for mail in mails]

    def fail(self, *faults: dict[str, Any], seed: int = 0) -> None:
        self.steer("PUT", "/faults", {"faults": list(faults), "seed": seed})


def message(answer: Answer) -> str:
    """The text of a refusal, in whichever shape it came."""
    body = answer.json()
    text: str = body["error"]["message"] if "error" in body else body["message"]
    return text


@dataclass
class Received:
    body: bytes
    signature: str
    at: float

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = self.json["payload"]
        return payload

    @property
    def trigger(self) -> str:
        return str(self.json["triggerEvent"])

    def is_signed_with(self, secret: str) -> bool:
        return self.signature == hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()


@dataclass
class Subscriber:
    """A webhook's receiver. `meanwhile` runs before it answers; `status` is what it answers."""

    url: str = ""
    status: int = 200
    received: list[Received] = field(default_factory=list)
    meanwhile: Callable[[Received], None] | None = None

    def wait_for(self, number: int, seconds: float = 5) -> list[Received]:
        ends_at = time.monotonic() + seconds
        while len(self.received) < number and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert len(self.received) >= number, [each.trigger for each in self.received]
        return self.received

    def triggers(self) -> list[str]:
        return [each.trigger for each in self.received]


@contextmanager
def listening() -> Iterator[Subscriber]:
    """A subscriber on a free port of loopback."""
    subscriber = Subscriber()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Received(body, self.headers["X-Cal-Signature-256"], time.monotonic())
            if subscriber.meanwhile is not None:
                subscriber.meanwhile(got)
            subscriber.received.append(got)
            self.send_response(subscriber.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    subscriber.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield subscriber
    finally:
        server.shutdown()
        server.server_close()
