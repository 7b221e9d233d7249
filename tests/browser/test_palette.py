"""The command palette by keyboard, by mouse, and without script."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.factories import Person, Tenant, make_appointment, make_customer

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def booked(app: Flask, company: Tenant) -> int:
    with app.app_context():
        anna = make_customer(company, "anna@example.org", name="Anna Abel")
        make_customer(company, "arno@example.org", name="Anna Zorn")
        return make_appointment(company, customer_id=anna)


@pytest.mark.parametrize("keys", ["Control+k", "/"])
def test_it_opens_by_keyboard_and_enter_goes_to_the_first_result(
    open_browser: Open, admin: Person, booked: int, keys: str
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.keyboard.press(keys)
    box = page.get_by_role("combobox", name="Customer, appointment, service or page")
    expect(box).to_be_focused()
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    page.keyboard.type("anna ab")
    first = page.get_by_role("option").first
    expect(first).to_contain_text(f"#{booked} Anna Abel")
    expect(first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", "palette-1")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/appointments/{booked}")


def test_enter_that_comes_before_the_results_opens_what_was_typed(
    open_browser: Open, admin: Person, booked: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Overview")).to_be_visible()
    page.keyboard.type("anna ab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/appointments/{booked}")


def test_arrows_choose_and_go_round(open_browser: Open, admin: Person, booked: int) -> None:
    page = open_browser()
    log_in(page, admin)
    page.keyboard.press("Control+k")
    page.keyboard.type("anna")
    options = page.get_by_role("option")
    expect(options).to_have_count(3)
    chosen = page.locator("[role=option][aria-selected=true]")
    for key, place in (("ArrowDown", 2), ("ArrowDown", 3), ("ArrowDown", 1), ("ArrowUp", 3)):
        page.keyboard.press(key)
        expect(chosen).to_have_attribute("id", f"palette-{place}")
    expect(page.get_by_role("combobox", name="Customer, app")).to_be_focused()


def test_escape_closes_it_and_focus_returns(open_browser: Open, admin: Person) -> None:
    page = open_browser()
    log_in(page, admin)
    page.get_by_role("link", name="Search").click()
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    expect(page.get_by_role("link", name="Search")).to_be_focused()


def test_a_slash_in_a_field_is_a_slash(open_browser: Open, admin: Person) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/appointments")
    field = page.get_by_role("searchbox")
    field.focus()
    page.keyboard.press("/")
    expect(field).to_have_value("/")
    expect(page.locator("#palette")).to_be_hidden()


def test_without_script_it_is_a_page(open_browser: Open, admin: Person, booked: int) -> None:
    page = open_browser(java_script_enabled=False, width=390)
    log_in(page, admin)
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").fill("anna")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name=f"#{booked} Anna Abel").click()
    page.wait_for_url(f"**/appointments/{booked}")
