"""A cast of systems: one with every scope, one with fewer, one of another company."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.factories import Tenant, Token, make_token
from webapp import clock
from webapp.models.api_token import Scope
from webapp.settings import Settings


class System:
    """A program with a token (or none), at the API's door."""

    def __init__(self, app: Flask, token: Token | None) -> None:
        self.client = app.test_client()
        self.token = token

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(f"/api/v1{path}", headers=self._headers(headers))

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, **options: Any
    ) -> TestResponse:
        headers = self._headers(options.pop("headers", {}))
        if key is not None:
            headers["Idempotency-Key"] = key
        if "data" not in options:
            options["json"] = body
        return self.client.post(f"/api/v1{path}", headers=headers, **options)

    def read(self, path: str) -> Any:
        """The JSON of something that has to be there."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.get_json()

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        mine = {"Authorization": f"Bearer {self.token.text}"} if self.token else {}
        return {**mine, **more}


@pytest.fixture
def token(app: Flask, company: Tenant) -> Token:
    with app.app_context():
        return make_token(company)


@pytest.fixture
def partner(app: Flask, token: Token) -> System:
    """May do everything."""
    return System(app, token)


@pytest.fixture
def counter(app: Flask, company: Tenant) -> System:
    """May read the numbers only."""
    with app.app_context():
        return System(app, make_token(company, Scope.STATS_READ))


@pytest.fixture
def reader(app: Flask, company: Tenant) -> System:
    """May read appointments, and not write them."""
    with app.app_context():
        return System(app, make_token(company, Scope.APPOINTMENTS_READ))


@pytest.fixture
def foreigner(app: Flask, other_company: Tenant) -> System:
    """May do everything, for another company."""
    with app.app_context():
        return System(app, make_token(other_company))


@pytest.fixture
def tuned(app: Flask) -> Iterator[Callable[..., None]]:
    """Run with other settings: `tuned(api_requests_per_minute=3)`."""
    before: Settings = app.extensions["settings"]

    def tune(**changes: Any) -> None:
        app.extensions["settings"] = before.model_copy(update=changes)

    yield tune
    app.extensions["settings"] = before


@pytest.fixture
def as_in_production(app: Flask) -> Iterator[None]:
    """Errors become answers instead of being raised."""
    app.testing = False
    yield
    app.testing = True


def booking(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    """The body of a booking, the same whenever it is asked for."""
    return {
        "service_id": tenant.service_id,
        "customer": {"name": "Nora Neu", "email": "nora@example.org"},
        "starts_at": f"{clock.now().year + 1}-03-05T10:00:00Z",
        **changes,
    }
