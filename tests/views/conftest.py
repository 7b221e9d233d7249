"""A cast at their browsers: the admin, the manager, the colleague with fewer rights, a stranger."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.contracts.filling import Row, fill
from tests.factories import Person, Tenant
from webapp.models.tenancy import as_company


class Visitor:
    """Somebody at a browser, with or without htmx."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def log_in(self, person: Person, password: str | None = None) -> TestResponse:
        form = {"email": person.email, "password": password or person.password}
        return self.client.post("/login", data=form)

    def get(self, path: str, *, htmx: bool = False, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self._headers(htmx, headers))

    def post(
        self, path: str, data: dict[str, str] | None = None, *, htmx: bool = False
    ) -> TestResponse:
        return self.client.post(path, data=data or {}, headers=self._headers(htmx, {}))

    def page(self, path: str) -> str:
        """The text of a page that has to be there."""
        response = self.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        return response.text

    @staticmethod
    def _headers(htmx: bool, headers: dict[str, str]) -> dict[str, str]:
        return {**({"HX-Request": "true"} if htmx else {}), **headers}


def _visit(app: Flask, person: Person) -> Visitor:
    visitor = Visitor(app)
    assert visitor.log_in(person).status_code == 303
    return visitor


@pytest.fixture
def nobody(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def at_admin(app: Flask, admin: Person) -> Visitor:
    return _visit(app, admin)


@pytest.fixture
def at_manager(app: Flask, manager: Person) -> Visitor:
    return _visit(app, manager)


@pytest.fixture
def at_staff(app: Flask, staff: Person) -> Visitor:
    return _visit(app, staff)


@pytest.fixture
def at_stranger(app: Flask, stranger: Person) -> Visitor:
    return _visit(app, stranger)


@pytest.fixture
def make(app: Flask) -> Callable[..., object]:
    """Call a factory inside the application's context: `make(make_appointment, company, …)`."""

    def call(factory: Callable[..., object], *args: object, **kwargs: object) -> object:
        with app.app_context():
            return factory(*args, **kwargs)

    return call


@pytest.fixture
def inside(app: Flask, company: Tenant) -> Iterator[None]:
    """Act for the company, to read rows back."""
    with app.app_context(), as_company(company.id):
        yield


@pytest.fixture
def ours(owner_engine: Engine, company: Tenant, admin: Person) -> dict[str, Row]:
    """A row of everything, in the company of the admin."""
    return fill(owner_engine, company.id)


@pytest.fixture
def theirs(owner_engine: Engine, other_company: Tenant, stranger: Person) -> dict[str, Row]:
    """A row of everything that is the stranger's own."""
    return fill(owner_engine, other_company.id, word="Spatz")
