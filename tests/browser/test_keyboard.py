"""The main job without a mouse: book, move, retry, cancel and mark read by Tab, Enter and Space."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import log_in
from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_customer,
    make_discrepancy,
    make_notification,
)
from webapp.models.sync_state import SyncState

pytestmark = [pytest.mark.browser, pytest.mark.long]

Open = Callable[..., Page]
MOST_STEPS = 60


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus, and see to it that the focus is visible there."""
    for _ in range(MOST_STEPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => element.matches(':focus-visible')")
            return
    raise AssertionError(f"Tab doesn't lead to {wanted}")


def test_the_main_job_needs_no_mouse(
    app: Flask, open_browser: Open, admin: Person, company: Tenant
) -> None:
    with app.app_context():
        make_customer(company, "ruth@example.org", name="Ruth Rosen")
        lost = make_appointment(company, state=SyncState.ORPHANED_LOCAL, flagged=True)
        make_discrepancy(company, lost, code="ORPHANED_LOCAL")
        make_notification(admin, lost)
    page = open_browser()
    log_in(page, admin)

    tab_to(page, page.get_by_role("link", name="New appointment"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/appointments/new")
    tab_to(page, page.get_by_label("Find a customer on file"))
    page.keyboard.type("ruth")
    expect(page.get_by_text("Ruth Rosen")).to_be_visible()
    tab_to(page, page.locator("input[name=customer]:checked"))
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Ruth Rosen")).to_be_checked()
    tab_to(page, page.get_by_label("Service", exact=True))
    page.keyboard.type("Consultation")
    tab_to(page, page.get_by_label("Date"))
    page.keyboard.type("01072031")
    tab_to(page, page.get_by_label("Time"))
    page.keyboard.type("0230PM")
    tab_to(page, page.get_by_role("button", name="Book appointment"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ruth Rosen")
    expect(page.get_by_text("14:30 – 15:00")).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Reschedule"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    tab_to(page, dialog.get_by_label("Time"))
    page.keyboard.type("0345PM")
    tab_to(page, dialog.get_by_role("button", name="Reschedule"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("15:45 – 16:15")).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Cancel appointment"))
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("krank")
    tab_to(page, dialog.get_by_role("button", name="Cancel appointment"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Cancelled. The change is on its way")).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Review queue"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/reviews")
    tab_to(page, page.get_by_role("button", name="Retry"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Verifying …").first).to_be_visible()

    tab_to(page, page.get_by_role("link", name="Inbox"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/notifications")
    tab_to(page, page.get_by_role("button", name="Mark as read", exact=True))
    page.keyboard.press("Space")
    expect(page.locator("#unread")).to_have_text("")
