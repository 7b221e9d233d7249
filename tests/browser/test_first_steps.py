"""The first-run guide in a real browser: from an empty company to its first synced appointment."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.desk import Cal
from tests.factories import PASSWORD, Person
from tests.views.test_first_steps import cal, owner
from webapp.jobs.inline import work_off_due
from webapp.sandbox.server import RunningSandbox

__all__ = ["cal", "owner"]

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def public(app: Flask, address: str) -> Iterator[str]:
    """The address that Cal.com is told is the one that answers."""
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(update={"public_url": address})
    yield address
    app.extensions["settings"] = before


def work(app: Flask) -> None:
    """What workers do meanwhile."""
    with app.app_context():
        work_off_due()


def test_an_empty_company_walks_to_its_first_synced_appointment(
    app: Flask,
    open_browser: Open,
    sandbox: RunningSandbox,
    owner: Person,
    cal: Cal,
    public: str,
) -> None:
    page = open_browser(locale="en")
    log_in(page, owner)
    page.get_by_role("link", name="First steps").click()

    page.get_by_label("Address").fill(f"{sandbox.url}/v2")
    page.get_by_label("API key").fill("cal_neu")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_text("Connected as")).to_be_visible()

    expect(page.get_by_label("Massage")).to_be_checked()
    page.get_by_role("button", name="Make services of the ticked ones").click()
    expect(page.get_by_text("2 services were made.")).to_be_visible()

    page.get_by_role("button", name="Register on Cal.com").click()
    expect(page.get_by_text("a test ping came through")).to_be_visible()

    page.get_by_role("button", name="Take over the bookings").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    work(app)
    expect(page.get_by_text("4 bookings were taken over.")).to_be_visible()

    page.get_by_role("link", name="To the overview").click()
    expect(page.locator(".stat", has_text="Synced appointments")).to_contain_text("4")
    page.get_by_role("link", name="Appointments", exact=True).click()
    page.get_by_role("link", name="Anna Alt").first.click()
    expect(page.get_by_text("Synchronised").first).to_be_visible()
