"""The four cards, what stands behind them, and what the overview warns of."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text, update

from tests.factories import Person, Tenant, make_appointment, make_notification
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.calcom.rate_limits import RateLimit
from webapp.extensions import db
from webapp.insight.trend import keep_card_day
from webapp.jobs import schedule
from webapp.jobs.connection import address_and_key, key_budget
from webapp.models.card_day import CardDay
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company

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


def test_the_sentence_of_health_stands_above_the_cards(
    at_staff: Visitor, company: Tenant, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET paused_at = now(), paused_by = 'Paula'"))
    for page in (at_staff.page("/"), at_staff.get("/cards?poll", htmx=True).text):
        assert "Nothing waits, but: sending has been paused since" in words(page)


def test_while_cal_com_slows_us_down_the_overview_says_until_when(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    with app.app_context(), as_company(company.id):
        _, host, key = address_and_key()
        budget = key_budget(host, key)
        budget.learn(RateLimit(), clock.now(), pause_seconds=300)
    assert "Cal.com asks us to slow down until" in at_staff.page("/")


def test_without_redis_the_overview_still_answers_and_says_what_waits(
    app: Flask, at_staff: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = app.extensions["settings"].model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    monkeypatch.setitem(app.extensions, "settings", settings)
    assert "the queue to the workers cannot be reached" in at_staff.page("/")


def test_the_cards_draw_their_last_days_and_say_them(
    app: Flask, at_staff: Visitor, company: Tenant, mixture: None
) -> None:
    page = at_staff.page("/")
    assert find(page, "polyline") == []
    assert "No trend yet" in page
    with app.app_context(), as_company(company.id):
        for back in (3, 2, 1):
            keep_card_day(db.session(), clock.now() - timedelta(days=back), ZoneInfo("UTC"))
        db.session.execute(update(CardDay).values(failures=9))
        db.session.commit()
    page = at_staff.page("/")
    charts = find(page, "svg", role="img")
    assert len(charts) == len(find(page, "polyline")) == 4
    assert charts[3].attributes["aria-label"] == (
        "The last 4 days: from 9 to 4, at least 4, at most 9."
    )


def test_a_days_figures_are_kept_once_however_often_they_are_counted(
    app: Flask, company: Tenant, mixture: None, inside: None
) -> None:
    for _ in range(2):
        keep_card_day(db.session(), clock.now(), ZoneInfo("Europe/Berlin"))
        db.session.commit()
    day = db.session.scalars(select(CardDay)).one()
    assert (day.synced, day.pending, day.review, day.failures) == (3, 2, 5, 4)


def test_the_clock_keeps_the_figures_of_every_company(
    app: Flask, company: Tenant, other_company: Tenant
) -> None:
    with app.app_context():
        schedule.tick("figures")
        schedule.tick("figures")
        for tenant in (company, other_company):
            with as_company(tenant.id):
                assert len(db.session.scalars(select(CardDay)).all()) == 1


def test_the_page_costs_at_most_fifteen_queries(
    app: Flask, at_admin: Visitor, mixture: None
) -> None:
    with count_statements(app) as seen:
        at_admin.page("/")
    asked = [each for each in seen if "set_config" not in each]
    assert len(asked) <= 15, asked


def test_the_cards_say_how_old_they_are(at_staff: Visitor) -> None:
    page = at_staff.page("/")
    assert "As of " in page
    sign = by_id(page, "reconnecting")
    assert sign is not None
    assert "hidden" in sign.attributes
