"""The few questions that are asked across companies answer with exactly one company's ids."""

import pytest
from flask import Flask

from tests.factories import Person, Tenant, make_person
from webapp.extensions import db
from webapp.models import crossing
from webapp.models.user import Role

pytestmark = pytest.mark.usefixtures("engine")


def test_a_login_is_found_by_its_own_email_only(admin: Person, stranger: Person) -> None:
    assert crossing.find_login(db.session(), admin.email) == (admin.company_id, admin.id)
    assert crossing.find_login(db.session(), admin.email.upper()) == (admin.company_id, admin.id)
    assert crossing.find_login(db.session(), stranger.email) == (stranger.company_id, stranger.id)
    assert crossing.find_login(db.session(), "nobody@example.org") is None


def test_a_user_belongs_to_one_company(admin: Person, stranger: Person) -> None:
    assert crossing.company_of_user(db.session(), admin.id) == admin.company_id
    assert crossing.company_of_user(db.session(), stranger.id) == stranger.company_id
    assert crossing.company_of_user(db.session(), 4711) is None


def test_a_token_and_a_slug_lead_to_one_company(
    engine: Flask, company: Tenant, other_company: Tenant
) -> None:
    make_person(company, Role.ADMIN)
    for tenant in (company, other_company):
        found = crossing.company_of_webhook_token(db.session(), tenant.webhook_token)
        assert found == tenant.id
        assert crossing.company_of_slug(db.session(), tenant.slug) == tenant.id
    assert crossing.company_of_webhook_token(db.session(), "nobody") is None
    assert crossing.company_of_slug(db.session(), "nobody") is None


def test_an_event_type_is_claimed_elsewhere_only_by_others_on_the_same_host(
    company: Tenant, other_company: Tenant
) -> None:
    theirs = other_company.event_type_id

    def claimed(host: str, event_type_id: int, own: int) -> bool:
        return crossing.is_event_type_claimed_elsewhere(db.session(), host, event_type_id, own)

    assert claimed("127.0.0.1:9", theirs, company.id)
    assert not claimed("127.0.0.1:9", theirs, other_company.id)
    assert not claimed("api.cal.com", theirs, company.id)
