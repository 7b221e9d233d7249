"""The desk in a real browser: by keyboard and mouse, on a telephone and a wide screen."""

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, Route, expect
from sqlalchemy import Engine, text

from tests.browser.conftest import log_in
from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_bulk_action,
    make_customer,
    make_discrepancy,
    make_notification,
    make_run,
)
from webapp.models.appointment import AppointmentStatus
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.sync_state import SyncState

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def finding(app: Flask, company: Tenant, admin: Person) -> int:
    """A missing booking, told to the admin; the appointment is number one."""
    with app.app_context():
        appointment = make_appointment(company, state=SyncState.ORPHANED_LOCAL, flagged=True)
        make_notification(admin, appointment)
        make_run(company, is_running=True, expected_count=10, compared_count=4)
        finding = make_discrepancy(
            company, appointment, type_=DiscrepancyType.ORPHANED_LOCAL, code="ORPHANED_LOCAL"
        )
        make_bulk_action(admin, [finding])
        return finding


def _settle(owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE appointments SET calcom_sync_status = 'synced', sync_verified_at = now(),"
                " requires_manual_review = false, manual_review_flagged_at = NULL,"
                " verification_requested_at = NULL"
            )
        )
        connection.execute(
            text("UPDATE discrepancies SET resolution = 'by_itself', resolved_at = now()")
        )


def test_the_cards_lead_to_their_list(open_browser: Open, admin: Person, finding: int) -> None:
    page = open_browser()
    log_in(page, admin)
    page.get_by_role("link", name="Sync failures").click()
    expect(page.get_by_role("row")).to_have_count(2)


def test_one_reaches_the_content_by_keyboard(open_browser: Open, admin: Person) -> None:
    page = open_browser()
    log_in(page, admin)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New appointment")).to_be_focused()


def test_a_retry_says_verifying_and_then_successful(
    open_browser: Open, admin: Person, finding: int, owner_engine: Engine
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.get_by_role("button", name="Retry").press("Enter")
    expect(page.get_by_text("Verifying …").first).to_be_visible()
    _settle(owner_engine)
    expect(page.locator(".outcome", has_text="Sync successful")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("Sync successful")
    expect(page.locator("tr[hx-trigger]")).to_have_count(0)


def test_pushing_again_asks_in_a_dialog_and_escape_leaves_it(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.get_by_role("link", name="Push again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cal.com will mail Erika Beispiel")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Push again").click()
    dialog.get_by_role("button", name="Push again").click()
    expect(page.get_by_text("Sending to Cal.com …")).to_be_visible()
    expect(dialog).to_be_hidden()


def test_a_finding_is_dismissed_in_a_dialog_by_keyboard(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.get_by_role("link", name="Dismiss").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("Agreed by telephone")
    page.keyboard.press("Enter")
    expect(page.locator(".outcome", has_text="Dismissed")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("Dismissed")
    expect(dialog).to_be_hidden()


def test_a_refused_reason_stays_in_the_dialog_and_the_row_in_the_queue(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.get_by_role("link", name="Dismiss").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("   ")
    dialog.get_by_role("button", name="Dismiss").click()
    expect(dialog).to_contain_text("Give a reason")
    expect(page.locator("#confirmation")).to_have_count(1)
    expect(page.locator(f"#review-{finding}")).to_be_visible()
    dialog.get_by_label("Reason").fill("Agreed by telephone")
    dialog.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".outcome", has_text="Dismissed")).to_be_visible()
    expect(dialog).to_be_hidden()


def test_all_are_ticked_at_once_and_done_together(
    open_browser: Open, admin: Person, finding: int, owner_engine: Engine
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.get_by_label("Choose all on this page").check()
    page.get_by_role("button", name="For those ticked").click()
    page.get_by_role("button", name="Start for 1").click()
    expect(page.get_by_text("0 of 1 have an outcome")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("1 of 1 have an outcome")).to_be_visible()
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE bulk_actions SET status = 'cancelled', finished_at = now() WHERE id = 2")
        )
    expect(page.locator("#progress[hx-trigger]")).to_have_count(0)
    expect(page.locator("#outcomes")).to_contain_text("Stopped before it began")


def test_the_file_is_downloaded_as_often_as_one_asks(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    for _ in range(2):
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as CSV").click()
        assert download.value.suggested_filename.startswith("review-queue-")


def test_cancelling_without_a_reason_stays_in_the_dialog(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/appointments/1")
    page.get_by_role("link", name="Cancel appointment").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_label("Reason").fill("   ")
    dialog.get_by_role("button", name="Cancel appointment").click()
    expect(dialog).to_contain_text("Give a reason")
    dialog.get_by_label("Reason").fill("krank")
    dialog.get_by_role("button", name="Cancel appointment").click()
    expect(page.get_by_text("Cancelled. The change is on its way")).to_be_visible()


def test_a_customer_is_found_while_typing_and_booked(
    app: Flask, open_browser: Open, admin: Person, company: Tenant
) -> None:
    with app.app_context():
        make_customer(company, "ruth@example.org", name="Ruth Rosen")
    page = open_browser(width=390)
    log_in(page, admin)
    page.goto("/appointments/new")
    page.get_by_label("Find a customer on file").press_sequentially("ruth")
    page.get_by_text("Ruth Rosen").click()
    expect(page.locator(".new-customer")).to_be_hidden()
    page.get_by_label("Service", exact=True).select_option(label="Consultation, 30 min")
    page.get_by_label("Date").fill("2031-01-07")
    page.get_by_label("Time").fill("14:30")
    page.get_by_role("button", name="Book appointment").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ruth Rosen")
    expect(page.get_by_text("14:30 – 15:00")).to_be_visible()


def test_marking_read_takes_the_number_off_the_badge(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/notifications")
    expect(page.locator("#unread")).to_contain_text("1 unread")
    page.get_by_role("button", name="Mark as read", exact=True).click()
    expect(page.locator("#unread")).to_have_text("")


def test_following_an_item_of_the_inbox_reads_it(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/notifications")
    page.locator(".inbox-item .row-link").first.click()
    page.wait_for_url(lambda url: "/notifications" not in url)
    expect(page.locator("#unread")).to_have_text("")


def test_what_came_of_a_push_shows_everywhere_on_the_page(
    open_browser: Open, app: Flask, admin: Person, company: Tenant, owner_engine: Engine
) -> None:
    with app.app_context():
        number = make_appointment(
            company, state=SyncState.VERIFICATION_PENDING, status=AppointmentStatus.SCHEDULED
        )
    page = open_browser()
    log_in(page, admin)
    page.goto(f"/appointments/{number}")
    expect(page.locator("#facts")).to_contain_text("Scheduled")
    expect(page.get_by_role("link", name="Reschedule")).to_be_visible()
    with owner_engine.begin() as connection:
        settled = "UPDATE appointments SET calcom_sync_status = 'synced', status = 'cancelled',"
        settled += " sync_verified_at = now()"
        connection.execute(text(settled))
    expect(page.locator("#facts")).to_contain_text("Cancelled")
    expect(page.get_by_role("link", name="Reschedule")).to_have_count(0)


def test_a_chosen_look_overrules_the_device(open_browser: Open, admin: Person) -> None:
    page = open_browser(color_scheme="light")
    log_in(page, admin)
    page.goto("/profile")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_run_is_watched_until_it_is_over(
    open_browser: Open, admin: Person, finding: int, owner_engine: Engine
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/runs/1")
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "4")

    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE runs SET compared_count = 7"))
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "7")

    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE runs SET status = 'done', finished_at = now()"))
    expect(page.get_by_role("progressbar")).to_have_count(0)
    expect(page.locator("#run")).not_to_have_attribute("hx-trigger", "every 2s")
    expect(page.locator("#announcer")).to_have_text("Done")


def test_the_focus_outlives_the_polls(
    open_browser: Open, admin: Person, finding: int, owner_engine: Engine
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/runs/1")
    page.get_by_role("button", name="Stop").focus()
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE runs SET compared_count = 7"))
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "7")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()

    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE runs SET status = 'done', finished_at = now()"))
    expect(page.locator("#run")).to_be_focused()


def test_what_takes_its_time_shows_that_it_is_at_work(
    open_browser: Open, admin: Person, finding: int
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    held: list[Route] = []
    page.route("**/pushes", lambda route: held.append(route))
    page.get_by_role("link", name="Push again").click()
    expect(page.locator("#busy")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#busy")).to_be_hidden()


def test_an_error_is_told_without_taking_the_focus(
    open_browser: Open, admin: Person, finding: int, complaints: list[str]
) -> None:
    page = open_browser()
    log_in(page, admin)
    page.goto("/reviews")
    page.route("**/retries*", lambda route: route.abort())
    page.get_by_role("button", name="Retry").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("The server could not be reached")
    expect(page.get_by_role("button", name="Retry")).to_be_focused()
    complaints.clear()
