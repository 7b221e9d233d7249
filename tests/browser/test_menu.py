"""On a telephone everything is within two touches, also what the bar has no room for."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.factories import Person

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def test_the_telephones_menu_leads_everywhere(open_browser: Open, admin: Person) -> None:
    page = open_browser(width=390)
    log_in(page, admin)
    page.get_by_text("More", exact=True).click()
    sheet = page.locator(".menu-sheet")
    for name in ("Customers", "Services", "Deliveries", "Audit log", "Settings", "Profile"):
        expect(sheet.get_by_role("link", name=name)).to_be_visible()
    expect(sheet.get_by_role("button", name="Log out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.get_by_text("More", exact=True).click()
    sheet.get_by_role("link", name="Monitoring").click()
    page.wait_for_url("**/monitoring")
    expect(page.locator(".menu-more > summary")).to_have_attribute("aria-current", "true")


def test_a_desk_has_room_for_all(open_browser: Open, admin: Person) -> None:
    page = open_browser(width=1440)
    log_in(page, admin)
    menu = page.get_by_role("navigation", name="Main navigation")
    expect(menu.get_by_role("link", name="Monitoring")).to_have_count(1)
    expect(menu.get_by_text("More", exact=True)).to_be_hidden()
