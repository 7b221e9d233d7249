"""Every route needs a login or stands in the short list; strangers find nothing, staff read."""

from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.routing import Rule

from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_bulk_action,
    make_discrepancy,
    make_notification,
    make_service,
)
from tests.views.conftest import Visitor
from webapp.models.sync_state import SyncState
from webapp.views.access import DOORS, PUBLIC_ENDPOINTS

Make = Callable[..., int]
STAFF_MAY_POST = {
    "login.leave",
    "notifications.read",
    "notifications.read_all",
    "profile.choose_language",
    "profile.choose_theme",
    "profile.change_password",
}


def _addresses(app: Flask, ids: dict[str, int]) -> list[tuple[str, str, Rule]]:
    """Every route of ours as (method, address, rule)."""
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint in DOORS:
            continue
        address = adapter.build(rule.endpoint, {name: ids.get(name, 1) for name in rule.arguments})
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        found += [(method, address, rule) for method in methods]
    return found


@pytest.fixture
def ids(make: Make, company: Tenant, admin: Person) -> dict[str, int]:
    """Rows of the company, by the names that addresses use."""
    appointment_id = make(make_appointment, company, state=SyncState.FAILED, flagged=True)
    discrepancy_id = make(make_discrepancy, company, appointment_id)
    return {
        "appointment_id": appointment_id,
        "discrepancy_id": discrepancy_id,
        "bulk_id": make(make_bulk_action, admin, [discrepancy_id]),
        "notification_id": make(make_notification, admin, appointment_id),
    }


def test_every_route_needs_a_login_or_is_in_the_short_list(
    app: Flask, nobody: Visitor, ids: dict[str, int]
) -> None:
    for method, address, rule in _addresses(app, ids):
        response = nobody.client.open(address, method=method)
        if rule.endpoint in PUBLIC_ENDPOINTS:
            assert response.status_code in (200, 422), address
        else:
            assert response.status_code == 303, f"{method} {address} is open to everybody"
            assert response.location.startswith("/login")


def test_a_stranger_finds_no_row_of_ours(
    app: Flask, at_stranger: Visitor, ids: dict[str, int]
) -> None:
    for method, address, rule in _addresses(app, ids):
        if rule.arguments:
            response = at_stranger.client.open(address, method=method)
            assert response.status_code == 404, f"{method} {address}"


@pytest.mark.parametrize("number", [2**63, 10**30, 0])
def test_an_id_beyond_all_rows_is_404(app: Flask, at_admin: Visitor, number: int) -> None:
    names = ("appointment_id", "discrepancy_id", "notification_id", "bulk_id")
    for method, address, rule in _addresses(app, dict.fromkeys(names, number)):
        if rule.arguments:
            response = at_admin.client.open(address, method=method)
            assert response.status_code == 404, f"{method} {address}"


def test_a_strangers_ids_in_bodies_and_filters_are_404(
    make: Make, at_stranger: Visitor, company: Tenant, other_company: Tenant
) -> None:
    own_service = make(make_service, other_company, event_type_id=77)
    form = {"day": "2030-01-07", "time": "10:00"}
    for fields in (
        {"customer": str(company.customer_id), "service": str(own_service)},
        {"customer": str(other_company.customer_id), "service": str(company.service_id)},
    ):
        assert at_stranger.post("/appointments", {**form, **fields}).status_code == 404
    assert at_stranger.get(f"/appointments?service={company.service_id}").status_code == 404
    assert at_stranger.get(f"/appointments?service={2**64}").status_code == 404


def test_lists_show_a_stranger_nothing(at_stranger: Visitor, ids: dict[str, int]) -> None:
    for path in ("/", "/appointments?period=all", "/reviews", "/notifications", "/bulk-actions"):
        assert "Erika Beispiel" not in at_stranger.page(path)


def test_staff_change_nothing_but_their_own(
    app: Flask, at_staff: Visitor, ids: dict[str, int]
) -> None:
    for method, address, rule in _addresses(app, ids):
        if method == "POST" and rule.endpoint not in STAFF_MAY_POST | PUBLIC_ENDPOINTS:
            assert at_staff.post(address).status_code == 403, address


def test_staff_read_the_desk_without_its_buttons(at_staff: Visitor, ids: dict[str, int]) -> None:
    for path in ("/", "/appointments", f"/appointments/{ids['appointment_id']}", "/reviews"):
        page = at_staff.page(path)
        assert 'href="/appointments/new"' not in page
        assert "/retries" not in page
        assert "/pushes" not in page
        assert "/cancellations" not in page
        assert "/bulk-actions/new" not in page
        assert "/dismissals" not in page
        assert "/exports" not in page
        assert 'action="/verifications"' not in page


def test_settings_are_for_admins(at_admin: Visitor, at_manager: Visitor, at_staff: Visitor) -> None:
    assert at_admin.get("/settings").status_code == 200
    assert at_manager.get("/settings").status_code == 403
    assert at_staff.get("/settings").status_code == 403


def test_a_colleagues_notification_is_not_mine(at_manager: Visitor, ids: dict[str, int]) -> None:
    assert at_manager.post(f"/notifications/{ids['notification_id']}/reading").status_code == 404


def test_answers_carry_their_policy(at_admin: Visitor) -> None:
    headers = at_admin.get("/").headers
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "HX-Request" in headers["Vary"]
    assert "Strict-Transport-Security" not in headers


def test_over_https_browsers_are_told_to_stay_there(app: Flask) -> None:
    response = app.test_client().get("/login", base_url="https://localhost")
    assert response.headers["Strict-Transport-Security"].startswith("max-age=")
