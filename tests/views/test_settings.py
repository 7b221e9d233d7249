"""The settings page shows how things stand, and of a secret only its end."""

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Tenant
from tests.views.conftest import Visitor
from webapp import clock
from webapp.calcom.rate_limits import RateLimit
from webapp.jobs import connection
from webapp.jobs.queues import connect_for_web
from webapp.models.tenancy import as_company
from webapp.models.vault import fingerprint


def test_secrets_show_their_end_and_fingerprint_only(at_admin: Visitor, company: Tenant) -> None:
    page = at_admin.page("/settings")
    assert company.webhook_secret not in page
    assert "cal_test_key" not in page
    assert "…_key" in page
    assert fingerprint("cal_test_key") in page


def test_the_webhook_address_is_complete(at_admin: Visitor, company: Tenant) -> None:
    address = f"http://127.0.0.1:8000/webhooks/calcom/{company.webhook_token}"
    assert address in at_admin.page("/settings")


def test_a_secret_whose_key_is_gone_is_named_not_crashed_on(
    at_admin: Visitor, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET calcom_api_key = 'v1.gone.AAAA'"))
    assert "the key to open it is missing" in at_admin.page("/settings")


def test_the_telephones_address_and_key_are_shown_as_the_others_are(
    at_admin: Visitor, company: Tenant
) -> None:
    page = at_admin.page("/settings")
    assert f"http://127.0.0.1:8000/webhooks/retell/{company.phone_token}" in page
    assert company.phone_key not in page
    assert fingerprint(company.phone_key) in page
    assert "noted, confirmed later" in page


def test_the_state_of_breaker_and_budget_is_visible(
    at_admin: Visitor, app: Flask, company: Tenant
) -> None:
    page = at_admin.page("/settings")
    assert "Cal.com answers" in page
    assert "0 of 100 in the last minute" in page

    use_up(app, company, failures=5, pause_seconds=30)

    page = at_admin.page("/settings")
    assert "Held back" in page
    assert "5 failures in a row" in page
    assert "Cal.com asks us to wait until" in page


def test_without_redis_the_state_is_unknown_and_the_page_answers(
    at_admin: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = connect_for_web("redis://127.0.0.1:1/0")
    monkeypatch.setattr(connection, "connect_for_web", lambda _: gone)

    assert "Redis can't be reached" in at_admin.page("/settings")


def use_up(app: Flask, company: Tenant, *, failures: int, pause_seconds: float) -> None:
    with app.app_context(), as_company(company.id):
        breaker = connection.company_breaker()
        for _ in range(failures):
            breaker.note_failure(clock.now())
        _, host, key = connection.address_and_key()
        budget = connection.key_budget(host, key)
        budget.learn(RateLimit(), clock.now(), pause_seconds=pause_seconds)
