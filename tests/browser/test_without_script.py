"""With JavaScript switched off: what a day needs is done by links and forms."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_discrepancy,
    make_notification,
)
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.sync_state import SyncState

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def page(open_browser: Open, app: Flask, company: Tenant, admin: Person) -> Page:
    """A telephone without script; three bookings are missing, the first one was told."""
    with app.app_context():
        for _ in range(3):
            lost = make_appointment(company, state=SyncState.ORPHANED_LOCAL, flagged=True)
            make_discrepancy(
                company, lost, type_=DiscrepancyType.ORPHANED_LOCAL, code="ORPHANED_LOCAL"
            )
        make_notification(admin, 1)
    page = open_browser(width=390, java_script_enabled=False)
    log_in(page, admin)
    return page


def test_one_books_moves_and_cancels(page: Page) -> None:
    page.get_by_role("link", name="New appointment").click()
    page.get_by_role("radio", name="New customer").check()
    page.get_by_label("Name", exact=True).fill("Ruth Rosen")
    page.get_by_role("textbox", name="E-mail").fill("ruth@example.org")
    page.get_by_role("main").get_by_label("Service").select_option(label="Consultation, 30 min")
    page.get_by_role("main").get_by_label("Date").fill("2031-01-07")
    page.get_by_role("textbox", name="Time").fill("14:30")
    page.get_by_role("button", name="Book appointment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ruth Rosen")

    page.get_by_role("link", name="Reschedule").click()
    page.get_by_role("textbox", name="Time").fill("15:45")
    page.get_by_role("button", name="Reschedule").click()
    expect(page.get_by_text("15:45 – 16:15")).to_be_visible()

    page.get_by_role("link", name="Cancel appointment").click()
    page.get_by_role("textbox", name="Reason").fill("Ill")
    page.get_by_role("button", name="Cancel appointment").click()
    expect(page.get_by_text("Cancelled. The change is on its way")).to_be_visible()


def test_one_retries_settles_and_dismisses(page: Page) -> None:
    page.goto("/reviews")
    page.locator("#review-1").get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Verifying now.")).to_be_visible()

    page.goto("/reviews")
    page.locator("#review-2").get_by_role("link", name="Push again").click()
    expect(page.get_by_text("Cal.com will mail Erika Beispiel")).to_be_visible()
    page.get_by_role("button", name="Push again").click()
    expect(page.get_by_role("status").first).to_be_visible()
    expect(page.locator("#review-2").get_by_text("Sending to Cal.com …")).to_be_visible()

    page.locator("#review-3").get_by_role("link", name="Dismiss").click()
    page.get_by_label("Reason").fill("Agreed by telephone")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#review-3")).to_have_count(0)


def test_one_does_it_to_many_after_a_preview(page: Page) -> None:
    page.goto("/reviews")
    page.get_by_text("Do with many", exact=True).first.click()
    page.get_by_role("button", name="For the whole queue").click()
    expect(page.get_by_text("Retry: 3 findings")).to_be_visible()
    page.get_by_role("button", name="Start for 3").click()
    expect(page.get_by_text("0 of 3 have an outcome")).to_be_visible()


def test_one_filters_and_reads_the_inbox(page: Page) -> None:
    page.goto("/reviews")
    page.get_by_text("Search and filter").click()
    page.get_by_role("searchbox", name="Customer").fill("nobody")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Customer")).to_have_value("nobody")

    page.goto("/notifications")
    page.get_by_role("button", name="Mark as read", exact=True).click()
    expect(page.locator("#unread")).to_have_text("")


def test_one_chooses_language_and_look_and_leaves(page: Page) -> None:
    page.goto("/profile")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.get_by_role("button", name="Abmelden").click()
    page.wait_for_url("**/login*")
