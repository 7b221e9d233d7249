"""A telephone: the voice agent's signed requests over our door, with a sandbox behind it."""

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.desk import Desk
from tests.factories import Tenant
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox
from webapp.views.phone.signatures import HEADER, sign

BERLIN = ZoneInfo("Europe/Berlin")
NUMBER = "+4915112345678"


class Line:
    """One call of a voice agent."""

    def __init__(
        self, app: Flask, company: Tenant, call_id: str = "call_1", number: str | None = NUMBER
    ) -> None:
        self._app = app
        self.company = company
        self.call_id = call_id
        self.number = number

    def ask(self, name: str, **args: Any) -> Any:
        """The answer of a function that has to answer."""
        response = self.send({"name": name, "args": args, "call": self._call()})
        assert response.status_code == 200, response.text
        return response.get_json()

    def send(self, body: object) -> TestResponse:
        return self.send_raw(json.dumps(body).encode())

    def send_raw(self, raw: bytes) -> TestResponse:
        signature = sign(raw, self.company.phone_key, clock.now())
        return self.post(raw, {HEADER: signature})

    def post(self, raw: bytes, headers: dict[str, str], token: str | None = None) -> TestResponse:
        path = f"/webhooks/retell/{token or self.company.phone_token}"
        client = self._app.test_client()
        return client.post(path, data=raw, headers=headers, content_type="application/json")

    def _call(self) -> dict[str, Any]:
        return {
            "call_id": self.call_id,
            "from_number": self.number,
            "direction": "inbound",
            "transcript": "Agent: Praxis Sonnenschein, guten Tag. Caller: …",
        }


@pytest.fixture
def outside(app: Flask) -> Iterator[Flask]:
    """No application context is open, as between two requests; errors become pages."""
    app.testing = False
    yield app
    app.testing = True


@pytest.fixture
def office(outside: Flask, sandbox: RunningSandbox) -> Desk:
    """A company whose calendar the sandbox keeps; the host works from nine to five in Berlin."""
    with outside.app_context():
        desk = Desk(sandbox)
    desk.cal.put("accounts", {"email": "sonnenschein@cal.test", "timeZone": "Europe/Berlin"})
    return desk


@pytest.fixture
def ring(outside: Flask, office: Desk) -> Callable[..., Line]:
    """Call the office: `ring()`, `ring("call_2")`, `ring(number=None)`."""

    def call(call_id: str = "call_1", number: str | None = NUMBER) -> Line:
        return Line(outside, office.company, call_id, number)

    return call


@pytest.fixture
def line(ring: Callable[..., Line]) -> Line:
    return ring()


def weekday(weeks: int = 1) -> date:
    """A Tuesday, so many weeks ahead."""
    today = clock.now().astimezone(BERLIN).date()
    return today + timedelta(days=(1 - today.weekday()) % 7 + 7 * weeks)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN)


def speak_german(app: Flask, desk: Desk, **columns: Any) -> None:
    change_company(app, desk, locale="de", **columns)


def change_company(app: Flask, desk: Desk, **columns: Any) -> None:
    with app.app_context(), as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        for name, value in columns.items():
            setattr(company, name, value)
        db.session.commit()


def work(app: Flask, desk: Desk) -> None:
    with app.app_context():
        desk.work()


def rows(app: Flask, desk: Desk) -> list[Appointment]:
    """The company's appointments, detached."""
    with app.app_context(), as_company(desk.company.id):
        found = list(db.session.scalars(select(Appointment).order_by(Appointment.id)))
        db.session.expunge_all()
        return found
