"""What Cal.com sends, as examples, and small servers that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

BASE = "https://api.cal.com/v2"
KEY = "cal_live_0123456789abcdef0123456789abcdef"
UID = "2NtaeaVcKfpmSZ4CthFdfk"
SUCCESSOR = "9xKqLmNpRsTuVwXyZaBcDe"


def booking_json(**changes: Any) -> dict[str, Any]:
    return {
        "id": 4711,
        "uid": UID,
        "title": "Haircut between Ada and Grace",
        "description": "",
        "hosts": [{"id": 7, "name": "Grace", "email": "grace@salon.example", "username": "grace"}],
        "status": "accepted",
        "cancellationReason": "",
        "start": "2026-03-02T09:00:00.000Z",
        "end": "2026-03-02T09:30:00.000Z",
        "duration": 30,
        "eventTypeId": 100,
        "eventType": {"id": 100, "slug": "haircut"},
        "location": "Main Street 1",
        "absentHost": False,
        "createdAt": "2026-02-01T08:00:00.000Z",
        "updatedAt": None,
        "metadata": {"lockstep_id": "a-1"},
        "attendees": [
            {
                "name": "Ada",
                "email": "ada@customer.example",
                "timeZone": "Europe/Berlin",
                "language": "de",
                "absent": False,
                "phoneNumber": "+49301234567",
            }
        ],
        "guests": ["friend@customer.example"],
        "bookingFieldsResponses": {},
        **changes,
    }


def event_type_json(**changes: Any) -> dict[str, Any]:
    return {
        "id": 100,
        "title": "Haircut",
        "slug": "haircut",
        "description": "Cut and wash",
        "lengthInMinutes": 30,
        "beforeEventBuffer": 5,
        "afterEventBuffer": 10,
        "minimumBookingNotice": 120,
        "hidden": False,
        "price": 0,
        "currency": "eur",
        "ownerId": 7,
        "recurrence": None,
        "seatsPerTimeSlot": None,
        **changes,
    }


def success(data: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"status": "success", "data": data})


def refusal(status: int, message: str = "no", code: str = "SomeException") -> httpx.Response:
    error = {"code": code, "message": message, "details": {}}
    body = {"status": "error", "timestamp": "t", "path": "/", "error": error}
    return httpx.Response(status, json=body)


def bare_refusal(status: int, message: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status, "message": message})


def html(status: int) -> httpx.Response:
    return httpx.Response(status, html="<html><body>Bad gateway</body></html>")


@contextmanager
def misbehaving_server(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listens on loopback and hands each connection to `behave`; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            behave(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def drip(connection: socket.socket, start: bytes, *, filler: bytes = b"a") -> None:
    """Sends `start` at once, then one byte every 20 ms for up to ten seconds."""
    connection.sendall(start)
    for _ in range(500):
        time.sleep(0.02)
        connection.sendall(filler)
