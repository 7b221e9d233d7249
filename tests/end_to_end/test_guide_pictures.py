"""The pictures in docs/guide/, taken from the running demo. `GUIDE_FOLDER` says where to keep them
(`make guide-pictures`); else it is only seen to that each can still be taken."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.end_to_end.conftest import ROOT, RunningDemo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("real processes"),
]

KEPT = ROOT / "docs" / "guide" / "images"
MOST_BYTES = 150_000
READERS = {"de": "admin@sonnenschein.test", "en": "admin@blau.test"}
PAGES = {
    "overview": "/",
    "reviews": "/reviews",
    "new-appointment": "/appointments/new",
    "calendar": "/appointments/calendar",
    "inbox": "/notifications",
    "services": "/services",
    "settings": "/settings",
}
"""Name of a picture → the page it shows; `appointment` is the first one of the review queue."""


@pytest.mark.parametrize("language", READERS)
def test_every_picture_of_the_guide_can_be_taken(
    demo: RunningDemo, browser: Browser, tmp_path: Path, language: str
) -> None:
    folder = Path(os.environ.get("GUIDE_FOLDER", tmp_path)) / language
    folder.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(
        base_url=demo.url,
        locale=language,
        viewport={"width": 1200, "height": 750},
        reduced_motion="reduce",
        color_scheme="light",
    )
    page = context.new_page()
    page.goto("/login")
    page.locator("[name=email]").fill(READERS[language])
    page.locator("[name=password]").fill("lockstep-demo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    for name, path in PAGES.items():
        _take(page, path, folder / f"{name}.png")
    page.goto("/reviews")
    found = page.locator("tr[id^=review-] .row-link").first.get_attribute("href")
    _take(page, str(found), folder / "appointment.png")
    context.close()

    taken = {each.name for each in folder.iterdir()}
    assert taken == {each.name for each in (KEPT / language).iterdir()}
    for each in (KEPT / language).iterdir():
        assert each.stat().st_size <= MOST_BYTES, f"{each} is too heavy"


def _take(page: Page, path: str, picture: Path) -> None:
    page.goto(path, wait_until="networkidle")
    assert page.locator("main h1").count() == 1, path
    page.screenshot(path=picture)
