"""/metrics: behind a token, by number and never by name, also without Redis."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Tenant, make_discrepancy
from webapp.settings import Settings

TOKEN = "a token for the scraper"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def with_token(app: Flask, settings: Settings) -> Iterator[None]:
    app.extensions["settings"] = settings.model_copy(update={"metrics_token": TOKEN})
    yield
    app.extensions["settings"] = settings


def test_without_a_token_set_there_is_no_such_page(client: FlaskClient) -> None:
    assert client.get("/metrics", headers=BEARER).status_code == 404


@pytest.mark.usefixtures("with_token")
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer ü"])
def test_who_has_not_the_token_learns_nothing(client: FlaskClient, header: str) -> None:
    answer = client.get("/metrics", headers={"Authorization": header})
    assert answer.status_code == 401
    assert b"lockstep_" not in answer.data


@pytest.mark.usefixtures("with_token")
def test_it_counts_over_all_companies_by_number(
    client: FlaskClient, app: Flask, company: Tenant, other_company: Tenant
) -> None:
    with app.app_context():
        make_discrepancy(company)
    text = client.get("/metrics", headers=BEARER).get_data(as_text=True)
    assert f'lockstep_open_findings{{company="{company.id}"}} 1.0' in text
    assert f'lockstep_open_findings{{company="{other_company.id}"}} 0.0' in text
    assert 'lockstep_queue_jobs{queue="people"} 0.0' in text
    assert "lockstep_redis_up 1.0" in text
    assert company.name not in text
    assert company.slug not in text


@pytest.mark.usefixtures("with_token")
def test_without_redis_the_rest_is_still_told(
    client: FlaskClient, app: Flask, company: Tenant, settings: Settings
) -> None:
    app.extensions["settings"] = settings.model_copy(
        update={"metrics_token": TOKEN, "redis_url": "redis://127.0.0.1:9/0"}
    )
    text = client.get("/metrics", headers=BEARER).get_data(as_text=True)
    assert "lockstep_redis_up 0.0" in text
    assert "lockstep_open_findings" in text
    assert "lockstep_queue_jobs{" not in text
