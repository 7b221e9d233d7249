"""What strangers and colleagues see of the desk. That every route keeps to its roles and companies
is shown in tests/contracts/test_routes.py."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_delivery,
    make_discrepancy,
    make_notification,
)
from tests.views.conftest import Visitor
from webapp.models.sync_state import SyncState

Make = Callable[..., int]


@pytest.fixture
def ids(make: Make, company: Tenant, admin: Person) -> dict[str, int]:
    """Rows of the company, by the names that addresses use."""
    appointment_id = make(make_appointment, company, state=SyncState.FAILED, flagged=True)
    discrepancy_id = make(make_discrepancy, company, appointment_id)
    return {
        "appointment_id": appointment_id,
        "discrepancy_id": discrepancy_id,
        "notification_id": make(make_notification, admin, appointment_id),
        "delivery_id": make(make_delivery, company, appointment_id),
    }


def test_lists_show_a_stranger_nothing(at_stranger: Visitor, ids: dict[str, int]) -> None:
    for path in ("/", "/appointments?period=all", "/reviews", "/notifications", "/deliveries"):
        assert "Erika Beispiel" not in at_stranger.page(path)


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
