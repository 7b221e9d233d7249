"""A real Chromium against a real server in this process. Without a browser the tests are skipped
loudly, or fail where REQUIRE_BROWSER=1 says that there has to be one."""

import atexit
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import make_server

from tests.factories import Person
from tests.views.conftest import ours

__all__ = ["ours"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Browser:
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        message = "no Chromium on the PATH: install one, or name it in CHROMIUM"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return _started(path)


@cache
def _started(path: str) -> Browser:
    """One for the process: other folders' tests use this fixture too, and Playwright's loop
    cannot be begun twice."""
    playwright = sync_playwright().start()
    started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    atexit.register(lambda: (started.close(), playwright.stop()))
    return started


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the app answers, over HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers complained of: script errors, violated policies, failed loads."""
    heard: list[str] = []
    yield heard
    assert heard == []


@pytest.fixture
def open_browser(browser: Browser, address: str, complaints: list[str]) -> Iterator[Open]:
    """Open a page of a fresh browser: `open_browser(width=390, color_scheme="dark")`."""
    contexts: list[BrowserContext] = []

    def open_(*, width: int = 1440, **options: object) -> Page:
        context = browser.new_context(
            base_url=address,
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("console", lambda message: _note(complaints, message.type, message.text))
        page.set_default_timeout(10_000)
        return page

    yield open_
    for context in contexts:
        context.close()


def _note(complaints: list[str], kind: str, text: str) -> None:
    is_expected = "status of 422" in text
    if kind in ("error", "warning") and not is_expected:
        complaints.append(f"{kind}: {text}")


def log_in(page: Page, person: Person) -> None:
    page.goto("/login")
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
