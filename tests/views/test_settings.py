"""The settings page shows how things stand, and of a secret only its end."""

from sqlalchemy import Engine, text

from tests.factories import Tenant
from tests.views.conftest import Visitor
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
