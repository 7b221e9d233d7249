"""From the operator's two commands to a company in step: the first-run guide in a browser, on the
running demo, with its workers and with webhooks that really come."""

import time
from datetime import UTC

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.desk import Cal
from tests.end_to_end.conftest import RunningDemo
from tests.end_to_end.person import within
from tests.end_to_end.test_main_job import far_ahead

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("real processes"),
]

SLUG = f"neu{time.time_ns()}"
KEY = f"cal_{SLUG}"
PASSWORD = "correct horse battery"
EMAIL = f"olga@{SLUG}.test"


def account_with_two_bookings(demo: RunningDemo) -> tuple[Cal, int]:
    """As it was before there was a desk; and an event type's number."""
    there = Cal(demo.cal_url, f"{SLUG}@cal.test")
    account = there.put("accounts", {"email": f"{SLUG}@cal.test", "key": KEY})
    event_type = there.put(
        "event-types",
        {
            "account": account["id"],
            "title": "Massage",
            "slug": f"massage-{SLUG}",
            "lengthInMinutes": 30,
        },
    )
    for number in range(2):
        book_there(there, event_type["id"], f"Gast {number}", hour=9 + number)
    return there, event_type["id"]


def book_there(there: Cal, event_type: int, name: str, *, hour: int) -> None:
    there.book(
        eventTypeId=event_type,
        start=far_ahead(20, hour=hour).astimezone(UTC).isoformat(),
        attendee={
            "name": name,
            "email": f"{name.lower().replace(' ', '')}@{SLUG}.test",
            "timeZone": "Europe/Berlin",
        },
    )


def make_company(demo: RunningDemo) -> None:
    made = demo.command("company", "create", SLUG, "--name", "Neu GmbH")
    assert made.returncode == 0, made.stderr
    words = ("user", "create", SLUG, EMAIL, "--name", "Olga Owner", "--role", "admin")
    made = demo.command(*words, given=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr


def log_in(page: Page) -> None:
    page.set_default_timeout(20_000)
    page.goto("/login")
    page.get_by_label("E-Mail").fill(EMAIL)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.keyboard.press("Enter")


def test_a_new_company_is_led_to_its_first_appointments(
    demo: RunningDemo, browser: Browser
) -> None:
    there, event_type = account_with_two_bookings(demo)
    make_company(demo)
    context = browser.new_context(base_url=demo.url, locale="de-DE")
    page = context.new_page()
    log_in(page)
    page.get_by_role("link", name="Erste Schritte").first.click()

    page.get_by_label("Adresse").fill(f"{demo.cal_url}/v2")
    page.get_by_label("API-Schlüssel").fill(KEY)
    page.get_by_label("Aktuelles Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Speichern und testen").click()
    expect(page.get_by_label("Massage")).to_be_checked()
    page.locator("form", has=page.get_by_label("Massage")).get_by_role("button").click()
    page.get_by_role("button", name="In Cal.com eintragen").click()
    page.get_by_role("button", name="Buchungen übernehmen").click()
    expect(page.get_by_text("2 Buchungen wurden übernommen.")).to_be_visible(timeout=60_000)

    page.goto("/appointments?period=all")
    page.get_by_role("link", name="Gast 0").first.click()
    expect(page.locator("#sync")).to_contain_text("Synchronisiert")

    book_there(there, event_type, "Gast danach", hour=14)
    arrived = "SELECT count(*) FROM customers WHERE email = %s"
    assert within(20, lambda: demo.ask(arrived, f"gastdanach@{SLUG}.test")[0] == 1)
    context.close()
