"""Numbers that refresh by themselves: they say when a poll failed, and when it works again."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.factories import Person, make_notification

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def polls_each_second(app: Flask) -> Iterator[None]:
    usual = app.extensions["settings"]
    app.extensions["settings"] = usual.model_copy(update={"cards_poll_seconds": 1})
    yield
    app.extensions["settings"] = usual


@pytest.mark.parametrize("trouble", ["no connection", "an error"])
def test_the_cards_say_that_they_are_reconnecting(
    open_browser: Open,
    admin: Person,
    polls_each_second: None,
    complaints: list[str],
    trouble: str,
) -> None:
    page = open_browser()
    log_in(page, admin)
    sign = page.locator("#reconnecting")
    expect(sign).to_be_hidden()
    if trouble == "an error":
        page.route("**/cards?poll=", lambda route: route.fulfill(status=503, body="Bad gateway"))
    else:
        page.route("**/cards?poll=", lambda route: route.abort())
    expect(sign).to_be_visible()
    expect(sign).to_have_text("Reconnecting …")
    expect(page.locator(".stat-value")).to_have_count(4)
    page.unroute("**/cards?poll=")
    expect(sign).to_be_hidden()
    complaints.clear()


def test_one_poll_brings_the_cards_and_the_badge(
    app: Flask, open_browser: Open, admin: Person, polls_each_second: None
) -> None:
    page = open_browser()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log_in(page, admin)
    with app.app_context():
        make_notification(admin)
    expect(page.locator("#unread")).to_contain_text("1 unread")
    assert not [url for url in asked if "badge" in url]
