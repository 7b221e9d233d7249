"""The four cards, what stands behind them, and what the overview warns of."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Person, Tenant, make_appointment, make_notification
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.models.sync_state import SyncState

Make = Callable[..., int]


@pytest.fixture
def mixture(make: Make, company: Tenant) -> None:
    """Three synced, two waiting, four failures, five flagged; two more out of the window."""
    for state, flagged in (
        (SyncState.SYNCED, False),
        (SyncState.SYNCED, False),
        (SyncState.SYNCED, True),
        (SyncState.PENDING, False),
        (SyncState.VERIFICATION_PENDING, True),
        (SyncState.FAILED, True),
        (SyncState.FAILED, False),
        (SyncState.ORPHANED_LOCAL, True),
        (SyncState.ORPHANED_CALCOM, True),
    ):
        make(make_appointment, company, state=state, flagged=flagged)
    long_ago = clock.now() - timedelta(days=40)
    make(make_appointment, company, starts_at=long_ago)
    make(make_appointment, company, starts_at=long_ago, state=SyncState.FAILED, flagged=True)


def _cards(html: str) -> list[tuple[str, int, str]]:
    """Name, number and address of each card."""
    cards = [a for a in find(html, "a") if "stat" in a.attributes.get("class", "").split()]
    found = [re.fullmatch(r"(\d+) (.+?)", words(card.text)) for card in cards]
    return [
        (match[2], int(match[1]), unescape(card.attributes["href"]))
        for match, card in zip(found, cards, strict=True)
        if match
    ]


def test_the_cards_have_their_names_and_numbers(at_staff: Visitor, mixture: None) -> None:
    assert [(name, number) for name, number, _ in _cards(at_staff.page("/"))] == [
        ("Synced appointments Successfully synchronised", 3),
        ("Pending verification Awaiting verification", 2),
        ("Requires review Manual review needed", 5),
        ("Sync failures Failed or orphaned", 4),
    ]


def test_each_card_leads_to_exactly_its_list(at_staff: Visitor, mixture: None) -> None:
    for name, number, address in _cards(at_staff.page("/")):
        rows = find(at_staff.page(address), "a", class_="row-link")
        assert len(rows) == number, name


def test_the_poll_brings_the_cards_and_the_badge(
    at_admin: Visitor, admin: Person, make: Make, mixture: None
) -> None:
    make(make_notification, admin)
    fragment = at_admin.get("/cards?poll", htmx=True).text
    badge = by_id(fragment, "unread")
    assert len(_cards(fragment)) == 4
    assert badge is not None
    assert badge.attributes["hx-swap-oob"] == "true"
    assert "1 unread" in badge.text


def test_the_page_has_one_poll_for_all_cards(at_admin: Visitor, app: Flask) -> None:
    seconds = app.extensions["settings"].cards_poll_seconds
    page = at_admin.page("/")
    assert page.count('hx-trigger="every') == 1
    assert f'hx-trigger="every {seconds}s"' in page
    assert "hx-get" not in (by_id(page, "unread") or pytest.fail("no badge")).attributes


def test_other_pages_poll_the_badge(at_admin: Visitor) -> None:
    badge = by_id(at_admin.page("/appointments"), "unread")
    assert badge is not None
    assert badge.attributes["hx-get"] == "/notifications/badge?poll="
    assert at_admin.get("/notifications/badge?poll=", htmx=True).status_code == 200


def test_without_a_run_the_last_verification_is_never(at_admin: Visitor) -> None:
    section = by_id(at_admin.page("/"), "verification")
    assert section is not None
    assert "Never" in section.text


def test_a_pause_is_announced_with_its_author(
    at_staff: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE companies SET paused_at = now(), paused_by = 'Paula' WHERE id = :id"),
            {"id": company.id},
        )
    page = words(at_staff.page("/"))
    assert "Sending to Cal.com is paused" in page
    assert "Paused by Paula" in page
    assert "0 changes wait." in page


def test_a_broken_connection_says_what_to_do(
    at_staff: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE companies SET connection_state = 'broken',"
                " connection_error_code = 'UNAUTHORIZED' WHERE id = :id"
            ),
            {"id": company.id},
        )
    assert "An admin has to make a new API key" in at_staff.page("/")


def test_verify_all_now_starts_one_run(at_manager: Visitor, owner_engine: Engine) -> None:
    assert at_manager.post("/verifications").status_code == 303
    assert "Verification started." in at_manager.page("/")
    again = at_manager.post("/verifications", htmx=True)
    assert "A verification is already running." in again.text
    with owner_engine.connect() as connection:
        runs = connection.execute(text("SELECT scope, status FROM runs")).all()
    assert [tuple(run) for run in runs] == [("requested", "running")]


def test_a_running_verification_asks_again_and_a_finished_one_does_not(
    at_manager: Visitor, owner_engine: Engine
) -> None:
    assert "every 3s" in at_manager.post("/verifications", htmx=True).text
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE runs SET status = 'done', finished_at = now(), compared_count = 12")
        )
    fragment = at_manager.get("/verifications/latest?poll", htmx=True).text
    assert "every 3s" not in fragment
    assert "12 compared" in words(fragment)


def test_the_number_of_queries_does_not_grow_with_the_rows(
    app: Flask, at_admin: Visitor, make: Make, company: Tenant
) -> None:
    make(make_appointment, company)
    with count_statements(app) as few:
        at_admin.page("/")
    for _ in range(6):
        make(make_appointment, company)
    with count_statements(app) as many:
        at_admin.page("/")
    assert len(many) == len(few)
