"""The calendar in a real browser, whose own zone is another one than the company's."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.factories import Person, Tenant, make_appointment
from webapp.models.sync_state import SyncState

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def crowded(app: Flask, company: Tenant) -> dict[str, int]:
    """The week in which the clocks are put forward, at 2:00 on the 30th."""
    with app.app_context():
        return {
            "early": make_appointment(
                company, starts_at=datetime(2031, 3, 30, 1, 0, tzinfo=BERLIN)
            ),
            "after the gap": make_appointment(
                company,
                starts_at=datetime(2031, 3, 30, 9, 0, tzinfo=BERLIN),
                state=SyncState.ORPHANED_LOCAL,
            ),
        }


def row_of(page: Page, appointment_id: int) -> tuple[float, str]:
    """How far down an appointment is drawn, in hours since midnight, and what it says."""
    link = page.locator(f".calendar-link[href='/appointments/{appointment_id}']")
    link.wait_for(state="attached")
    event = link.locator("xpath=ancestor::article")
    top = event.evaluate("each => parseFloat(each.style.insetBlockStart)")
    return top / 68, str(link.text_content())


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Berlin", "Pacific/Auckland"])
def test_times_are_the_companys_whatever_zone_the_browser_is_in(
    open_browser: Open, admin: Person, crowded: dict[str, int], zone: str
) -> None:
    page = open_browser(timezone_id=zone)
    log_in(page, admin)
    page.goto("/appointments/calendar?view=week&day=2031-03-26")
    hours, said = row_of(page, crowded["early"])
    assert hours == pytest.approx(1.0)
    assert "01:00 – 01:30" in said
    hours, said = row_of(page, crowded["after the gap"])
    assert hours == pytest.approx(9.0)
    assert "Missing on Cal.com" in said
    expect(page.locator("#calendar-list")).to_be_hidden()


def test_an_appointment_is_opened_by_keyboard(
    open_browser: Open, admin: Person, crowded: dict[str, int]
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/appointments/calendar?view=day&day=2031-03-30")
    link = page.locator(f".calendar-link[href='/appointments/{crowded['early']}']")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/appointments/{crowded['early']}")


def test_an_empty_hour_becomes_a_new_appointment(
    open_browser: Open, admin: Person, crowded: dict[str, int]
) -> None:
    page = open_browser(timezone_id="America/Los_Angeles")
    log_in(page, admin)
    page.goto("/appointments/calendar?view=day&day=2031-03-30")
    grid = page.locator(".ec-day.ec-sun, .ec-body .ec-day").first
    grid.wait_for()
    event = page.locator(f".ec-event:has(a[href='/appointments/{crowded['after the gap']}'])")
    event.scroll_into_view_if_needed()
    box = event.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 40, box["y"] + 2 * 68 + 10)
    page.wait_for_url("**/appointments/new?**")
    assert page.get_by_label("Date").input_value() == "2031-03-30"
    assert page.get_by_label("Time", exact=True).input_value() == "11:00"


def test_without_script_there_is_a_list(
    open_browser: Open, admin: Person, crowded: dict[str, int]
) -> None:
    page = open_browser(java_script_enabled=False)
    log_in(page, admin)
    page.goto("/appointments/calendar?view=week&day=2031-03-26")
    expect(page.locator("#calendar-list a")).to_have_count(2)
    page.get_by_role("link", name="Next week").click()
    expect(page.get_by_text("Nothing begins here")).to_be_visible()


def test_where_it_cannot_be_loaded_the_list_stays(
    open_browser: Open, admin: Person, crowded: dict[str, int], complaints: list[str]
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.route("**/calendar/events**", lambda route: route.fulfill(status=500))
    page.goto("/appointments/calendar?view=week&day=2031-03-26")
    expect(page.get_by_text("The appointments could not be loaded.")).to_be_visible()
    expect(page.locator("#calendar-list a")).to_have_count(2)
    complaints.clear()
