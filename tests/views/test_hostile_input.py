"""What nobody types by hand: a 4xx or a page, never a 500."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.factories import Tenant
from tests.views.conftest import Visitor

LONG = "0" * 19 + "1" + "0" * 5000


@pytest.fixture(autouse=True)
def answering(app: Flask) -> Iterator[None]:
    """Errors become pages, as in production."""
    app.testing = False
    yield
    app.testing = True


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a\x00b"},
        {"notes": "a\x00b"},
        {"email": "a\x00@example.org"},
        {"phone": "+49\x00"},
        {"service": LONG},
        {"customer": LONG},
        {"service": "1\x00"},
        {"day": "9999-12-31", "time": "23:59"},
        {"slot": "9999-12-31T23:59:00Z"},
        {"slot": "0001-01-01T00:00:00+14:00"},
    ],
)
def test_a_form_is_refused(at_admin: Visitor, company: Tenant, fields: dict[str, str]) -> None:
    form = {"customer": "new", "name": "A", "email": "a@example.org"}
    form |= {"service": str(company.service_id), "day": "2030-01-07", "time": "10:00"}

    assert at_admin.post("/appointments", {**form, **fields}).status_code in (303, 400, 404, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/appointments?text=%00a",
        "/reviews?text=%00a",
        "/appointments/new?q=%00",
        "/appointments/new/customers?q=%00a",
        f"/appointments?service={LONG}",
        f"/appointments?text=%23{'9' * 5000}",
        "/appointments?text=%ED%A0%80",
        "/appointments/99999999999999999999999",
        "/login?next=%00",
        *(
            f"/{name}?after=0_20000101T000000.000000_1&{asked}"
            for name in ("appointments", "reviews", "deliveries", "audit")
            for asked in ("endpoint=x", "_external=1&_scheme=javascript", "self=1")
        ),
    ],
)
def test_an_address_is_refused_or_answered(at_admin: Visitor, path: str) -> None:
    assert at_admin.get(path).status_code < 500


@pytest.mark.parametrize("path", ["/bulk-actions", "/appointments/cancellations"])
def test_an_instant_beyond_all_zones_is_refused(at_admin: Visitor, path: str) -> None:
    form = {"shown_at": "0001-01-01T00:00:00+14:00", "scope": "matching", "kind": "retry"}
    assert at_admin.post(path, form).status_code == 400


def test_the_doors_without_login_stand_it_too(nobody: Visitor) -> None:
    login = {"email": "a\x00@b.test", "password": "x" * 12}
    assert nobody.post("/login", login).status_code == 400
    assert nobody.post("/webhooks/calcom/%00abc").status_code == 400
    assert nobody.post("/webhooks/calcom/%ED%A0%80").status_code == 404
